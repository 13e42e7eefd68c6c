//! Claim: pricing takes no more instructions than were recorded. To be run below valgrind's callgrind, which counts what
//! happens inside the functions named `counted_*` and nowhere else; see `scripts/stages/instructions`. Seeds are fixed, and
//! nothing that is counted hangs on time or on how a map hashes: each run counts the same.

#![allow(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::hint::black_box;

use infra_benches::offers::{Size, ruled, sized, world};
use infra_core::contracts::pricing::{Prepared, PriceContext, Ranking};
use infra_core::nouns::request::Request;
use infra_core::testing::price_world::PriceWorld;
use infra_core::{CheapestFit, PricingEngine};

// Each names itself: functions of one and the same code would be merged, and counted as one.
#[inline(never)]
fn counted_pick(need: &Request, context: &PriceContext<'_>) -> bool {
    black_box(CheapestFit.pick(need, context)).is_some()
}

#[inline(never)]
fn counted_top_20(need: &Request, context: &PriceContext<'_>) -> Ranking {
    black_box("top-20");
    black_box(CheapestFit.rank(need, context))
}

#[inline(never)]
fn counted_gpu_deny_cap_spot(need: &Request, context: &PriceContext<'_>) -> Ranking {
    black_box("gpu-deny-cap-spot");
    black_box(CheapestFit.rank(need, context))
}

#[inline(never)]
fn counted_nothing_fits(need: &Request, context: &PriceContext<'_>) -> Ranking {
    black_box("nothing-fits");
    black_box(CheapestFit.rank(need, context))
}

#[inline(never)]
fn counted_build(world: &PriceWorld) -> Vec<Prepared> {
    black_box(world.prepare(&CheapestFit))
}

fn main() {
    let world = world(Size::Usual);
    let prepared = counted_build(&world);
    let (sized, ruled, none) = (sized(16.0, 64.0), ruled(9.0), ruled(0.001));
    world.with_context(&prepared, |context| {
        // Once uncounted: the first call of a library's function finds it, and that is not ours.
        for need in [&sized, &ruled, &none] {
            black_box((CheapestFit.pick(need, context).is_some(), CheapestFit.rank(need, context)));
        }
        assert!(counted_pick(&sized, context), "something fits");
        assert!(matches!(counted_top_20(&sized, context), Ranking::Fits(_)));
        assert!(matches!(counted_gpu_deny_cap_spot(&ruled, context), Ranking::Fits(_)));
        assert!(matches!(counted_nothing_fits(&none, context), Ranking::Nothing(_)));
    });
}
