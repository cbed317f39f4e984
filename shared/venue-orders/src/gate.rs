//! The gate: what must hold before a byte leaves for the venue on behalf of the account.
//!
//! Input: what is about to leave. Output: whether it may, now. It is asked directly before the bytes of every
//! private request, on the socket and by REST, and again at every step of a write that takes longer; a request that
//! it stops half way ends its connection. Invariant: what the owner of the gate says at one moment holds for no later
//! one, because the process may have been stopped in between.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;
use std::sync::Arc;

use thiserror::Error;

use crate::state::EngineUse;

/// What is about to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sending {
    /// A new position, or a better price for a resting entry.
    Entry,
    /// Protection, exits and cancels.
    Protective,
    /// What keeps the account seen: tokens, subscriptions, pings, reads.
    Upkeep,
}

impl Sending {
    /// What an order request is, by its use.
    #[must_use]
    pub const fn of(usage: EngineUse) -> Self {
        match usage {
            EngineUse::Entry | EngineUse::Repeg => Self::Entry,
            EngineUse::Protective => Self::Protective,
        }
    }
}

/// Why nothing of the kind may leave now.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("this process may not send: {0}")]
pub struct Shut(pub String);

/// Says whether this process may send for the account.
pub trait SendGate: Send + Sync {
    /// Whether something of this kind may leave at this moment.
    ///
    /// # Errors
    /// Why not.
    fn judge(&self, what: Sending) -> Result<(), Shut>;
}

/// The gate of an account that one process alone uses: always open.
#[derive(Clone, Copy, Debug, Default)]
pub struct SoleUser;

impl SendGate for SoleUser {
    fn judge(&self, _: Sending) -> Result<(), Shut> {
        Ok(())
    }
}

/// Drives a future that writes, and asks the gate before each of its steps.
///
/// # Errors
/// The gate is shut; how far the future got is not known.
pub(crate) async fn guarded<F: Future>(
    gate: &Arc<dyn SendGate>,
    what: Sending,
    writes: F,
) -> Result<F::Output, Shut> {
    let mut writes = pin!(writes);
    poll_fn(|context| match gate.judge(what) {
        Err(shut) => Poll::Ready(Err(shut)),
        Ok(()) => writes.as_mut().poll(context).map(Ok),
    })
    .await
}

/// Ends when the gate is found shut; it is asked whenever the task that waits is woken.
pub(crate) async fn shut(gate: &Arc<dyn SendGate>) -> Shut {
    poll_fn(|_| gate.judge(Sending::Upkeep).map_or_else(Poll::Ready, |()| Poll::Pending)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Open for so many questions.
    struct Few(AtomicU32);

    impl SendGate for Few {
        fn judge(&self, _: Sending) -> Result<(), Shut> {
            let left =
                self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
            left.map(|_| ()).map_err(|_| Shut("asked enough".to_owned()))
        }
    }

    #[tokio::test]
    async fn a_write_that_takes_several_steps_is_stopped_between_two_of_them() {
        for open in 0..4 {
            let gate: Arc<dyn SendGate> = Arc::new(Few(AtomicU32::new(open)));
            let mut steps = 0;
            let writes = poll_fn(|context| {
                steps += 1;
                context.waker().wake_by_ref();
                if steps == 3 { Poll::Ready(()) } else { Poll::Pending }
            });
            let ended = guarded(&gate, Sending::Upkeep, writes).await;
            assert_eq!(ended.is_ok(), open >= 3, "{open}");
            assert_eq!(
                steps,
                open.min(3),
                "steps that a gate open for {open} questions lets through"
            );
        }
    }
}
