//! Orders on what exists: whatever is decided after the last look still stops them.

use std::time::Duration;

use infra_core::nouns::switch::SwitchValue;
use infra_core::words::ids::{ReservationId, UserId};
use infra_core::words::planted::Planted;

use super::cloud::{self, Seen};
use super::drive::Job;
use super::ops::Op;
use super::world::World;

/// The orders that a lane gives, each by what a person does to cause it.
#[derive(Debug, Clone, Copy)]
enum Order {
    End,
    PowerOff,
    Mark,
}

impl Order {
    /// Is it still as it was before the order?
    fn untouched(self, seen: &Seen) -> bool {
        match self {
            Self::End => seen.alive,
            Self::PowerOff => seen.on,
            Self::Mark => !seen.marked,
        }
    }
}

impl World {
    fn ticks(&mut self, turns: u64) {
        for _ in 0..turns {
            self.tick();
            self.advance(Duration::from_secs(5));
        }
    }

    fn owned_machines(&self) -> Vec<Seen> {
        cloud::everything(&self.sim).into_iter().filter(|seen| seen.machine).collect()
    }

    /// A person causes an order; nobody has ticked since.
    fn cause(&mut self, order: Order) {
        let held = self.held[0].clone();
        let (user, id) = (held.user, held.id.expect("it was made"));
        if matches!(order, Order::Mark) {
            self.owned_machines().iter().for_each(|seen| cloud::strip(&self.sim, &seen.id));
            self.ticks(20);
        }
        let job = cause(self, order, &user, id);
        assert_eq!(self.run(job), Some(Ok(())), "{order:?}");
    }
}

fn cause(world: &World, order: Order, user: &UserId, id: ReservationId) -> Job {
    let user = world.replica().infra.user(user);
    let count = u32::try_from(world.owned_machines().len()).expect("few machines");
    Box::pin(async move {
        let text = |error: infra_core::InfraError| error.to_string();
        match order {
            Order::End => user.release(&id).await.map(drop).map_err(text),
            Order::PowerOff => user.stop(&id, None).await.map(drop).map_err(text),
            Order::Mark => {
                for unit in 0..count {
                    user.confirm_mark(&id, unit).await.map_err(text)?;
                }
                Ok(())
            }
        }
    })
}

/// The switch is thrown after the tick has read it and before the order is written.
#[test]
fn a_switch_thrown_after_the_last_look_stops_every_order() {
    for order in [Order::End, Order::PowerOff, Order::Mark] {
        for seed in 0..4 {
            let mut world = World::new(seed, Planted::NONE);
            world.perform_quietly(Op::Create);
            world.ticks(20);
            world.cause(order);
            let clock = world.clock.clone();
            let hook = Box::new(move |store: &infra_store::MemoryStore| {
                cloud::throw_switch(store, &clock, SwitchValue::Frozen);
            });
            world.replica().gate.before_look(hook);
            world.ticks(8);
            let all = world.owned_machines();
            assert!(!all.is_empty(), "seed {seed}: no machine was made");
            assert!(!world.replica().gate.call_off(), "seed {seed}: {order:?} without any look");
            assert!(all.iter().all(|seen| order.untouched(seen)), "seed {seed}: {order:?} against a switch");
            world.throw(SwitchValue::Open);
            world.ticks(20);
            let late = world.owned_machines().into_iter().find(|seen| order.untouched(seen));
            assert!(late.is_none(), "seed {seed}: {order:?} does not come true: {late:?}");
            assert_eq!(world.violation(), None, "seed {seed}: {order:?}");
        }
    }
}
