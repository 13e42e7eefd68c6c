//! Runs a future by hand, one poll at a time, so that it can be stopped between any two of them.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use infra_core::testing::VirtualClock;

use super::gate::{Gate, StepKind};

/// A future that was begun and not finished.
pub type Job = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// How far a job came.
pub enum Outcome {
    /// To its end.
    Done(Result<(), String>),
    /// The replica died here; the job is dropped, as a process would be.
    Crashed(StepKind),
    /// It stands at the cloud's door and waits to be let in.
    Paused(Job),
}

/// Polls that may pass without any effect before time moves on.
const IDLE_POLLS: u32 = 6;
/// A job that needs more polls than this hangs.
const POLLS_MAX: u32 = 2_000_000;

/// Polls a job to its end, its crash or its pause. Time moves only when nothing else can.
pub fn drive(mut job: Job, gate: &Gate, clock: &VirtualClock) -> Outcome {
    let mut context = Context::from_waker(Waker::noop());
    let (mut idle, mut effects) = (0, gate.effects());
    for _ in 0..POLLS_MAX {
        if let Poll::Ready(result) = job.as_mut().poll(&mut context) {
            return Outcome::Done(result);
        }
        if let Some(kind) = gate.crashed() {
            return Outcome::Crashed(kind);
        }
        let now = gate.effects();
        idle = if now == effects { idle + 1 } else { 0 };
        effects = now;
        if idle >= IDLE_POLLS {
            if gate.paused() > 0 {
                return Outcome::Paused(job);
            }
            assert!(clock.advance_to_sleeper(), "nothing moves and nobody sleeps: a deadlock");
            idle = 0;
        }
    }
    panic!("a job did not end within {POLLS_MAX} polls");
}
