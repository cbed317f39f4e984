//! Requests that a fault keeps from the engine for a while.
//!
//! Inputs: request texts with the fault that holds them. Outputs: those whose time has come, oldest first.
//! Invariants: a request is given out once; a reordered one is due right after the next request of its
//! connection, or when its time is over. Limit: `HELD_LIMIT`; what comes beyond it is not held.

use crate::admin::RequestFault;
use std::time::Duration;
use tokio::time::Instant;

/// Requests held per connection.
const HELD_LIMIT: usize = 1_000;

#[derive(Debug)]
struct Request {
    text: String,
    first_byte_us: i64,
    due: Instant,
    after_next: bool,
}

/// The requests that wait.
#[derive(Debug, Default)]
pub(crate) struct Held {
    list: Vec<Request>,
}

impl Held {
    /// Takes a request; false when it is not to be held, or too many are.
    pub(crate) fn hold(
        &mut self,
        text: &str,
        first_byte_us: i64,
        (fault, delay_ms): (RequestFault, u32),
    ) -> bool {
        let after_next = match fault {
            RequestFault::Drop => return false,
            RequestFault::Delay => false,
            RequestFault::Reorder => true,
        };
        if self.list.len() >= HELD_LIMIT {
            return false;
        }
        let due = Instant::now() + Duration::from_millis(u64::from(delay_ms));
        self.list.push(Request { text: text.to_owned(), first_byte_us, due, after_next });
        true
    }

    /// When the next one is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.list.iter().map(|request| request.due).min()
    }

    /// The oldest one whose time has come, with the time of its first byte.
    pub(crate) fn take_due(&mut self) -> Option<(String, i64)> {
        let now = Instant::now();
        self.take(|request| request.due <= now)
    }

    /// The oldest one that waited for another request, which has been carried out.
    pub(crate) fn take_reordered(&mut self) -> Option<(String, i64)> {
        self.take(|request| request.after_next)
    }

    fn take(&mut self, wanted: impl Fn(&Request) -> bool) -> Option<(String, i64)> {
        let index = self.list.iter().position(wanted)?;
        let request = self.list.remove(index);
        Some((request.text, request.first_byte_us))
    }
}
