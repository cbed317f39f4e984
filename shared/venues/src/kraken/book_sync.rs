//! Life of one symbol's book on one connection: one total match, and the policy around it.
//!
//! Input: what was sent, what came and how it checked, timers. Output: the next state and what to do.
//!
//! ```text
//! Idle ──subscribe sent──▶ Awaiting ──good image──▶ Live
//!   ▲                        ▲  │ bad image, timer, refusal: resubscribe
//!   └──── socket closed ─────┴──┴── Live: mismatch, crossed, unreadable, precision change
//! ```
//!
//! Invariants: a book is published only in Live; an update outside of Live is never applied; after a
//! mismatch the book is withdrawn before anything else. It holds no levels (see `book`) and sends
//! nothing. Times are milliseconds of one monotonic clock.

/// State of a symbol's book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BookState {
    /// Not asked for.
    Idle,
    /// Asked for, no good image yet.
    Awaiting,
    /// The book is the venue's.
    Live,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BookEvent {
    /// The subscribe request was written.
    SubscribeSent,
    /// An image whose checksum agrees.
    SnapshotGood,
    /// An image whose checksum does not agree, or that cannot be read.
    SnapshotBad,
    /// A change that was applied and agrees (in Awaiting: any change, it is not applied).
    UpdateGood,
    /// A change after which the checksum does not agree, the book is crossed, or a number does not
    /// fit.
    UpdateBad,
    /// The instrument's precision changed.
    PrecisionChanged,
    /// The image did not come within its time.
    TimedOut,
    /// The venue refused the subscription.
    Refused,
    /// The symbol was silent longer than its limit.
    Silent,
    /// The socket closed.
    Closed,
}

impl BookState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Idle, Self::Awaiting, Self::Live];
}

impl BookEvent {
    /// Every event.
    pub const ALL: [Self; 10] = [
        Self::SubscribeSent,
        Self::SnapshotGood,
        Self::SnapshotBad,
        Self::UpdateGood,
        Self::UpdateBad,
        Self::PrecisionChanged,
        Self::TimedOut,
        Self::Refused,
        Self::Silent,
        Self::Closed,
    ];
}

/// What to do with the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BookAction {
    /// Nothing.
    None,
    /// Start the timer of the image.
    StartTimer,
    /// The book is good: publish it.
    Publish,
    /// The message does not belong to this state and is dropped (counted).
    Ignore,
    /// Publish "no book", forget the levels, subscribe again.
    WithdrawAndResubscribe,
    /// Subscribe again; nothing was published.
    Resubscribe,
    /// Publish "no book" if one was, forget everything.
    Discard,
}

/// The whole table.
pub const fn step(state: BookState, event: BookEvent) -> (BookState, BookAction) {
    use BookAction as A;
    use BookEvent as E;
    use BookState as S;
    match (state, event) {
        (S::Idle, E::SubscribeSent) => (S::Awaiting, A::StartTimer),
        // Data may come before we count ourselves as subscribed, never before we asked.
        (
            S::Idle,
            E::SnapshotGood
            | E::SnapshotBad
            | E::UpdateGood
            | E::UpdateBad
            | E::PrecisionChanged
            | E::TimedOut
            | E::Refused
            | E::Silent,
        ) => (S::Idle, A::Ignore),
        (S::Idle, E::Closed) => (S::Idle, A::Discard),

        (S::Awaiting, E::SubscribeSent) => (S::Awaiting, A::StartTimer),
        (S::Awaiting, E::SnapshotGood) => (S::Live, A::Publish),
        (S::Awaiting, E::SnapshotBad) => (S::Awaiting, A::Resubscribe),
        (S::Awaiting, E::UpdateGood | E::UpdateBad) => (S::Awaiting, A::Ignore),
        // The image that is on its way has the old digits.
        (S::Awaiting, E::PrecisionChanged) => (S::Awaiting, A::Resubscribe),
        (S::Awaiting, E::TimedOut | E::Refused) => (S::Awaiting, A::Resubscribe),
        // The timer of the image already watches this.
        (S::Awaiting, E::Silent) => (S::Awaiting, A::Ignore),
        (S::Awaiting, E::Closed) => (S::Idle, A::Discard),

        // A second subscribe brings a second image; until then the book is still the venue's.
        (S::Live, E::SubscribeSent) => (S::Live, A::None),
        (S::Live, E::SnapshotGood) => (S::Live, A::Publish),
        (S::Live, E::UpdateGood) => (S::Live, A::Publish),
        (S::Live, E::SnapshotBad | E::UpdateBad | E::PrecisionChanged | E::Refused | E::Silent) => {
            (S::Awaiting, A::WithdrawAndResubscribe)
        }
        // A timer that fires after its image came is late.
        (S::Live, E::TimedOut) => (S::Live, A::Ignore),
        (S::Live, E::Closed) => (S::Idle, A::Discard),
    }
}

/// Time that an image may take, milliseconds.
pub const SNAPSHOT_WAIT_MS: i64 = 10_000;
/// Time that the answer to an unsubscribe may take, milliseconds.
pub const UNSUBSCRIBE_WAIT_MS: i64 = 2_000;
/// First back-off of a resubscribe, milliseconds; doubles.
const BACKOFF_BASE_MS: i64 = 500;
/// Largest back-off, milliseconds.
const BACKOFF_CAP_MS: i64 = 8_000;
/// Tries before the socket is given up.
const TRIES_MAX: u32 = 5;
/// More mismatches than this within the window quarantine the symbol.
const MISMATCHES_MAX: usize = 3;
const MISMATCH_WINDOW_MS: i64 = 60_000;
/// Length of a quarantine, milliseconds.
pub const QUARANTINE_MS: i64 = 300_000;

/// How to subscribe again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResyncPlan {
    /// Unsubscribe and subscribe after this delay, milliseconds.
    After {
        /// The delay.
        delay_ms: i64,
    },
    /// The tries are used up: connect the socket anew.
    ReconnectSocket,
    /// Too many mismatches: leave the symbol alone until then, and alert.
    Quarantine {
        /// End, milliseconds of the same clock.
        until_ms: i64,
    },
}

/// Tries and mismatches of one symbol; survives reconnects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResyncPolicy {
    tries: u32,
    mismatches_ms: Vec<i64>,
    quarantined_until_ms: Option<i64>,
}

impl ResyncPolicy {
    /// A good image came: the tries start anew.
    pub fn synced(&mut self) {
        self.tries = 0;
    }

    /// The socket was connected anew: the tries start anew, the mismatches stay.
    pub fn reconnected(&mut self) {
        self.tries = 0;
    }

    /// Whether the symbol is to be left alone.
    pub fn quarantined(&self, now_ms: i64) -> bool {
        self.quarantined_until_ms.is_some_and(|until| now_ms < until)
    }

    /// Plans the next try; `mismatch` says whether a bad checksum is its reason.
    pub fn plan(&mut self, mismatch: bool, now_ms: i64) -> ResyncPlan {
        if mismatch {
            self.mismatches_ms.retain(|at| now_ms - at < MISMATCH_WINDOW_MS);
            self.mismatches_ms.push(now_ms);
            if self.mismatches_ms.len() > MISMATCHES_MAX {
                self.mismatches_ms.clear();
                self.tries = 0;
                let until_ms = now_ms + QUARANTINE_MS;
                self.quarantined_until_ms = Some(until_ms);
                return ResyncPlan::Quarantine { until_ms };
            }
        }
        if self.tries >= TRIES_MAX {
            self.tries = 0;
            return ResyncPlan::ReconnectSocket;
        }
        let delay_ms = (BACKOFF_BASE_MS << self.tries.min(10)).min(BACKOFF_CAP_MS);
        self.tries += 1;
        ResyncPlan::After { delay_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use BookAction as A;
    use BookState as S;

    #[test]
    fn every_pair_of_state_and_event_does_what_the_table_says() {
        let withdraw = (S::Awaiting, A::WithdrawAndResubscribe);
        // Columns in the order of `BookEvent::ALL`.
        let table = [
            (
                S::Idle,
                [
                    (S::Awaiting, A::StartTimer),
                    (S::Idle, A::Ignore),
                    (S::Idle, A::Ignore),
                    (S::Idle, A::Ignore),
                    (S::Idle, A::Ignore),
                    (S::Idle, A::Ignore),
                    (S::Idle, A::Ignore),
                    (S::Idle, A::Ignore),
                    (S::Idle, A::Ignore),
                    (S::Idle, A::Discard),
                ],
            ),
            (
                S::Awaiting,
                [
                    (S::Awaiting, A::StartTimer),
                    (S::Live, A::Publish),
                    (S::Awaiting, A::Resubscribe),
                    (S::Awaiting, A::Ignore),
                    (S::Awaiting, A::Ignore),
                    (S::Awaiting, A::Resubscribe),
                    (S::Awaiting, A::Resubscribe),
                    (S::Awaiting, A::Resubscribe),
                    (S::Awaiting, A::Ignore),
                    (S::Idle, A::Discard),
                ],
            ),
            (
                S::Live,
                [
                    (S::Live, A::None),
                    (S::Live, A::Publish),
                    withdraw,
                    (S::Live, A::Publish),
                    withdraw,
                    withdraw,
                    (S::Live, A::Ignore),
                    withdraw,
                    withdraw,
                    (S::Idle, A::Discard),
                ],
            ),
        ];
        for (state, row) in table {
            for (event, want) in BookEvent::ALL.into_iter().zip(row) {
                assert_eq!(step(state, event), want, "{state:?} {event:?}");
            }
        }
    }

    #[test]
    fn only_live_books_are_published() {
        for state in BookState::ALL {
            for event in BookEvent::ALL {
                let (next, action) = step(state, event);
                if action == A::Publish {
                    assert_eq!(next, S::Live, "{state:?} {event:?}");
                }
            }
        }
    }

    #[test]
    fn tries_back_off_and_then_the_socket_goes() {
        let mut policy = ResyncPolicy::default();
        let plans: Vec<_> = (0..6).map(|_| policy.plan(false, 0)).collect();
        let after = |delay_ms| ResyncPlan::After { delay_ms };
        assert_eq!(
            plans,
            [
                after(500),
                after(1_000),
                after(2_000),
                after(4_000),
                after(8_000),
                ResyncPlan::ReconnectSocket
            ]
        );
        policy.synced();
        assert_eq!(policy.plan(false, 0), after(500));
    }

    #[test]
    fn the_fourth_mismatch_within_a_minute_quarantines() {
        let mut policy = ResyncPolicy::default();
        for at in [0, 1_000, 2_000] {
            assert!(matches!(policy.plan(true, at), ResyncPlan::After { .. }));
            policy.synced();
        }
        assert_eq!(policy.plan(true, 3_000), ResyncPlan::Quarantine { until_ms: 303_000 });
        assert!(policy.quarantined(302_999));
        assert!(!policy.quarantined(303_000));
        let mut slow = ResyncPolicy::default();
        for at in [0, 30_000, 59_000, 61_000, 95_000] {
            assert!(matches!(slow.plan(true, at), ResyncPlan::After { .. }), "{at}");
            slow.synced();
        }
    }
}
