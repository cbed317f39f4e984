//! Refusals of the account since it was last accepted.
//!
//! Input: classes of answers, accepted requests. Output: counts per way. Invariants: only an accepted request of a way
//! ends the count of that way; what was refused between two looks is seen by the later one, even when the repetition was
//! taken in the meantime.

use penstock_venues::kraken::error_table::ErrorClass;

use super::Way;

/// Refusals since the last accepted request of each way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Refusals {
    pub(super) rest: u32,
    pub(super) socket: u32,
    pub(super) key: bool,
    /// Most refusals for a time in a row since the last look.
    unseen: u32,
}

impl Refusals {
    /// The venue took a request.
    pub(super) const fn accepted(&mut self, way: Way) {
        match way {
            Way::Rest => self.rest = 0,
            Way::Socket => self.socket = 0,
        }
        self.key = false;
    }

    /// Most refusals for a time in a row, on one way, since the last look or now.
    pub(super) fn look(&mut self) -> u32 {
        std::mem::take(&mut self.unseen).max(self.rest).max(self.socket)
    }

    /// Counts an answer that refuses for a time or refuses the key.
    pub(super) const fn learn(&mut self, class: ErrorClass) {
        match class {
            ErrorClass::Nonce => self.rest = self.rest.saturating_add(1),
            ErrorClass::Deadline => self.socket = self.socket.saturating_add(1),
            ErrorClass::Auth => self.key = true,
            ErrorClass::AuthRate
            | ErrorClass::Rate
            | ErrorClass::Limit
            | ErrorClass::Transient
            | ErrorClass::Mode
            | ErrorClass::Funds
            | ErrorClass::Validation
            | ErrorClass::Identity
            | ErrorClass::State
            | ErrorClass::Config
            | ErrorClass::Bug
            | ErrorClass::Session
            | ErrorClass::Policy
            | ErrorClass::Warning
            | ErrorClass::Unlisted => {}
        }
        let now = if self.rest > self.socket { self.rest } else { self.socket };
        if now > self.unseen {
            self.unseen = now;
        }
    }
}
