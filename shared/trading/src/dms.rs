//! The venue's dead man's switch: when it is armed, renewed, disarmed. It cancels every order of the account, stops
//! included, when nobody renews it.
//!
//! Input: what was asked and answered, whether the account is flat. Output: the next request. Invariants: it is asked
//! for only while no position is open and no protective order lives; whoever cannot exclude that it is armed counts it
//! as armed, until its time is over at the venue; with `allowed` false only what an earlier session left is disarmed.

/// Seconds after which the venue cancels.
pub const TIMEOUT_SECS: u32 = 60;
/// It is renewed so long after the last request that armed it, milliseconds.
const RENEW_MS: i64 = 20_000;
/// A request without an answer is repeated after this, milliseconds.
const AGAIN_MS: i64 = 1_000;
/// After the last request that may have armed it nothing is left at the venue, milliseconds: its time, and as much as
/// a request may be late.
const OVER_MS: i64 = TIMEOUT_SECS as i64 * 1_000 + 5_000;

/// What is known of the switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// Nothing yet: an earlier session may have left it armed.
    Unknown,
    /// Disarmed, by the venue's word.
    Off,
    /// It may be armed, by the last request at this time.
    MayBeArmed {
        /// When the last request that arms it was sent, monotonic milliseconds.
        sent_ms: i64,
    },
    /// Armed by the venue's word, the last time by the request of this time.
    Armed {
        /// When that was sent, monotonic milliseconds.
        sent_ms: i64,
    },
}

/// A request of the switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Arm or renew it.
    Arm,
    /// Disarm it.
    Disarm,
}

/// What the switch is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// The configuration lets it be armed.
    pub allowed: bool,
    /// The private socket is open, and orders may be sent.
    pub ready: bool,
    /// The session is reconciled, no position is open, no protective order lives or may live, the venue takes orders.
    pub flat: bool,
    /// Now, monotonic milliseconds.
    pub now_ms: i64,
}

/// The switch with its open request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadMansSwitch {
    switch: Switch,
    /// The last request of any kind, while it has no answer or shortly after.
    asked_ms: Option<i64>,
    /// The venue has said since it was off that it is armed.
    is_confirmed: bool,
}

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is armed now.
    Armed,
    /// It stays armed.
    Renewed,
    /// It is off.
    Disarmed,
    /// Nothing is proven.
    Nothing,
}

impl Default for DeadMansSwitch {
    fn default() -> Self {
        Self { switch: Switch::Unknown, asked_ms: None, is_confirmed: false }
    }
}

impl DeadMansSwitch {
    /// What is known.
    #[must_use]
    pub const fn switch(&self) -> Switch {
        self.switch
    }

    /// Nothing at the venue would cancel a stop now.
    #[must_use]
    pub const fn is_off(&self, now_ms: i64) -> bool {
        match self.switch {
            Switch::Off => true,
            Switch::MayBeArmed { sent_ms } | Switch::Armed { sent_ms } => {
                now_ms - sent_ms > OVER_MS
            }
            Switch::Unknown => false,
        }
    }

    /// The next request, when one is due.
    #[must_use]
    pub const fn next(&self, look: Look) -> Option<Ask> {
        if !look.ready {
            return None;
        }
        if let Some(at) = self.asked_ms
            && look.now_ms - at < AGAIN_MS
        {
            return None;
        }
        let arm = look.allowed && look.flat;
        match self.switch {
            // What is left of before goes first, whatever comes then.
            Switch::Unknown => Some(Ask::Disarm),
            Switch::Off if arm => Some(Ask::Arm),
            Switch::Off => None,
            Switch::MayBeArmed { .. } if arm => Some(Ask::Arm),
            Switch::Armed { sent_ms } if arm => {
                if look.now_ms - sent_ms >= RENEW_MS {
                    Some(Ask::Arm)
                } else {
                    None
                }
            }
            Switch::MayBeArmed { .. } | Switch::Armed { .. } => {
                if self.is_off(look.now_ms) {
                    None
                } else {
                    Some(Ask::Disarm)
                }
            }
        }
    }

    /// A request goes out.
    pub const fn sent(&mut self, ask: Ask, now_ms: i64) {
        self.asked_ms = Some(now_ms);
        if let Ask::Arm = ask {
            self.switch = Switch::MayBeArmed { sent_ms: now_ms };
        }
    }

    /// The answer to the request that was sent at `sent_ms`: `Some(true)` taken, `Some(false)` not a byte left or the
    /// venue refused it, none not known.
    pub fn answered(&mut self, ask: Ask, sent_ms: i64, taken: Option<bool>) -> Told {
        // Only a request that was taken frees the next at once: what failed is repeated after its pause.
        if self.asked_ms == Some(sent_ms) && taken == Some(true) {
            self.asked_ms = None;
        }
        let newest = match self.switch {
            Switch::MayBeArmed { sent_ms: at } | Switch::Armed { sent_ms: at } => sent_ms >= at,
            Switch::Unknown | Switch::Off => true,
        };
        match (ask, taken) {
            (Ask::Arm, Some(true)) if newest => {
                self.switch = Switch::Armed { sent_ms };
                let renewed = std::mem::replace(&mut self.is_confirmed, true);
                if renewed { Told::Renewed } else { Told::Armed }
            }
            (Ask::Disarm, Some(true)) if newest => {
                (self.switch, self.is_confirmed) = (Switch::Off, false);
                Told::Disarmed
            }
            // It may have come after the request that disarmed it.
            (Ask::Arm, None) if self.switch == Switch::Off => {
                self.switch = Switch::MayBeArmed { sent_ms };
                Told::Nothing
            }
            // A later request armed it again, or nobody knows.
            (Ask::Arm | Ask::Disarm, _) => Told::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FLAT: Look = Look { allowed: true, ready: true, flat: true, now_ms: 0 };

    #[test]
    fn what_an_earlier_session_left_is_disarmed_first_and_only_once() {
        let mut dms = DeadMansSwitch::default();
        let never = Look { allowed: false, ..FLAT };
        assert_eq!(dms.next(Look { ready: false, ..never }), None);
        assert_eq!(dms.next(never), Some(Ask::Disarm));
        assert!(!dms.is_off(0));
        dms.sent(Ask::Disarm, 0);
        assert_eq!(dms.next(Look { now_ms: 999, ..never }), None, "its answer is awaited");
        assert_eq!(dms.next(Look { now_ms: 1_000, ..never }), Some(Ask::Disarm));
        dms.answered(Ask::Disarm, 0, Some(true));
        assert!(dms.is_off(1_001));
        assert_eq!(dms.next(Look { now_ms: 9_000_000, ..never }), None);
    }

    #[test]
    fn it_is_armed_and_renewed_while_flat_and_disarmed_before_a_stop() {
        let mut dms = DeadMansSwitch { switch: Switch::Off, asked_ms: None, is_confirmed: false };
        assert_eq!(dms.next(FLAT), Some(Ask::Arm));
        dms.sent(Ask::Arm, 0);
        assert!(!dms.is_off(1), "it may be armed from the first byte on");
        assert_eq!(dms.answered(Ask::Arm, 0, Some(true)), Told::Armed);
        let mut renewed = dms;
        renewed.sent(Ask::Arm, 20_000);
        assert_eq!(renewed.answered(Ask::Arm, 20_000, Some(true)), Told::Renewed);
        assert_eq!(dms.next(Look { now_ms: 19_999, ..FLAT }), None);
        assert_eq!(dms.next(Look { now_ms: 20_000, ..FLAT }), Some(Ask::Arm));
        let held = Look { flat: false, now_ms: 20_000, ..FLAT };
        assert_eq!(dms.next(held), Some(Ask::Disarm));
        dms.sent(Ask::Disarm, 20_000);
        dms.answered(Ask::Disarm, 20_000, None);
        assert!(!dms.is_off(20_001), "an answer that is not known proves nothing");
        dms.sent(Ask::Disarm, 21_001);
        dms.answered(Ask::Disarm, 21_001, Some(true));
        assert!(dms.is_off(21_002));
        // Without an answer its time at the venue runs out.
        dms.sent(Ask::Arm, 30_000);
        dms.answered(Ask::Arm, 30_000, None);
        assert!(!dms.is_off(30_000 + OVER_MS));
        assert!(dms.is_off(30_001 + OVER_MS));
    }

    #[test]
    fn a_request_that_armed_it_and_was_never_answered_outlives_a_later_one_that_disarmed_it() {
        let mut dms = DeadMansSwitch { switch: Switch::Off, asked_ms: None, is_confirmed: false };
        dms.sent(Ask::Arm, 0);
        dms.sent(Ask::Disarm, 10);
        assert_eq!(dms.answered(Ask::Disarm, 10, Some(true)), Told::Disarmed);
        assert!(dms.is_off(11));
        assert_eq!(dms.answered(Ask::Arm, 0, None), Told::Nothing);
        assert!(!dms.is_off(12), "the two may have changed places on their way");
        assert_eq!(dms.next(Look { flat: false, now_ms: 12, ..FLAT }), Some(Ask::Disarm));
    }

    proptest! {
        /// Whatever is asked and answered in which order: after a request that armed it, only the venue's word to a
        /// later one, or its time, makes it off; and nothing is armed that is not flat.
        #[test]
        fn it_is_never_taken_for_off_while_the_venue_could_cancel(
            steps in proptest::collection::vec((0_i64..15_000, any::<(bool, bool)>(), 0_u8..4), 1..80)
        ) {
            let mut dms = DeadMansSwitch::default();
            let (mut now, mut venue_fires_at) = (0_i64, None::<i64>);
            for (pause, (flat, allowed), fate) in steps {
                now += pause;
                if venue_fires_at.is_some_and(|at| at <= now) {
                    venue_fires_at = None;
                }
                let look = Look { allowed, ready: true, flat, now_ms: now };
                if let Some(ask) = dms.next(look) {
                    prop_assert!(ask == Ask::Disarm || (flat && allowed));
                    dms.sent(ask, now);
                    // 0: taken and answered, 1: taken and not answered, 2: lost, 3: refused.
                    if fate < 2 {
                        venue_fires_at = match ask {
                            Ask::Arm => Some(now + i64::from(TIMEOUT_SECS) * 1_000),
                            Ask::Disarm => None,
                        };
                    }
                    let taken = match fate { 0 => Some(true), 3 => Some(false), _ => None };
                    dms.answered(ask, now, taken);
                }
                prop_assert!(!dms.is_off(now) || venue_fires_at.is_none());
            }
        }
    }
}
