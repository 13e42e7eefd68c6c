//! Crash after every single effect, in a loop: effect 1, 2, 3, ... until an operation runs through without crash.

use std::time::Duration;

use infra_core::words::planted::Planted;

use super::coverage::Coverage;
use super::gate::When;
use super::ops::Op;
use super::world::World;

/// An operation is expected to end well before this many effects.
const EFFECTS_MAX: u64 = 400;

impl World {
    /// The next few effects hold a crash.
    pub fn sure_crash(&mut self) {
        self.replica().gate.crash_in(1 + self.below(12), When::After);
    }

    /// At least one create call of this world has its reply lost after it took effect.
    pub fn sure_fault(&mut self) {
        self.fault("launch", infra_providers::sim::FaultEffect::LostReply, 1);
    }

    fn quiet(&mut self, turns: u64) {
        for _ in 0..turns {
            self.tick();
            self.advance(Duration::from_secs(5));
        }
    }
}

/// Runs one operation with a crash at its n-th effect. `None` when there was no n-th effect.
fn crashed_at(seed: u64, op: Op, n: u64, when: When) -> Option<Result<Coverage, String>> {
    let mut world = World::new(seed, Planted::NONE);
    if op != Op::Create {
        world.perform_quietly(Op::Create);
        world.quiet(20);
    }
    let crashes = |world: &World| world.coverage.crashes.values().sum::<u64>();
    let before = crashes(&world);
    if op == Op::Restart {
        // The new process is the one that crashes.
        world.perform_quietly(op);
        world.replica().gate.crash_in(n, when);
    } else {
        world.replica().gate.crash_in(n, when);
        world.perform_quietly(op);
    }
    world.quiet(20);
    if crashes(&world) == before {
        return None;
    }
    let violation = world.violation().or_else(|| world.finish());
    Some(
        violation.map_or_else(
            || Ok(world.coverage.clone()),
            |wrong| Err(format!("{op:?} at {n} {when:?}: {wrong}")),
        ),
    )
}

/// `INFRA_POINTS=1/3` plays every third effect, for whoever has not the minutes for all of them.
fn stride() -> usize {
    let share = std::env::var("INFRA_POINTS").ok();
    share.and_then(|share| share.strip_prefix("1/")?.parse().ok()).filter(|stride| *stride > 0).unwrap_or(1)
}

#[test]
fn crash_at_every_effect_of_every_operation() {
    let mut total = Coverage::default();
    let mut points = 0;
    let stride = stride();
    // Two worlds each: with idempotency tokens and without.
    let (with, without) = two_kinds();
    for op in [Op::Create, Op::Power, Op::Resize, Op::Release, Op::Restart, Op::Converge] {
        for (seed, when) in [(with, When::After), (without, When::After), (with, When::Before)] {
            for n in (1..EFFECTS_MAX).step_by(stride) {
                match crashed_at(seed, op, n, when) {
                    None => break,
                    Some(Ok(coverage)) => total.add(&coverage),
                    Some(Err(wrong)) => panic!("{wrong}"),
                }
                points += 1;
            }
        }
    }
    println!("COUNT crash_at_every_effect points={points} {}", total.line().trim_start_matches("COUNT "));
    assert!(points * stride > 300, "only {points} crash points");
}

/// A seed whose cloud has tokens, and one whose cloud has none.
fn two_kinds() -> (u64, u64) {
    let find = |tokens| (0..64).find(|seed| World::new(*seed, Planted::NONE).tokens == tokens);
    (find(true).expect("one of 64"), find(false).expect("one of 64"))
}
