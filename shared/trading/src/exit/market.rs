//! What the venue takes at a moment, and which form of an exit that leaves.
//!
//! Input: the words for the state of the whole system and of one pair. Output: whether a stop, a change, a
//! cancel or a close may be sent, and in which form. Invariants: of two states the narrower holds; a stop is
//! given up only where a close in its place would be matched at once; a word that nobody knows restricts
//! nothing, because the venue's refusal will tell and an exit must not hang on a new word.

/// What the venue takes, from everything to nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Market {
    /// Everything.
    #[default]
    Online,
    /// Only what reduces: exits are that.
    ReduceOnly,
    /// Limit orders alone; they match.
    LimitOnly,
    /// Post-only limit orders; nothing matches, no stop fires.
    PostOnly,
    /// Cancels alone.
    CancelOnly,
    /// Nothing at all.
    Closed,
}

/// The form in which a close can be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CloseForm {
    /// At market.
    Market,
    /// As a limit that takes at once and does not rest.
    Limit,
    /// As a post-only limit at the ask.
    Rest,
}

impl Market {
    /// All of them, in the order of their narrowness.
    pub const ALL: [Self; 6] = [
        Self::Online,
        Self::ReduceOnly,
        Self::LimitOnly,
        Self::PostOnly,
        Self::CancelOnly,
        Self::Closed,
    ];

    /// The state behind a word of the venue, for the system or for a pair.
    #[must_use]
    pub fn of_word(word: &str) -> Self {
        match word {
            "reduce_only" => Self::ReduceOnly,
            "limit_only" => Self::LimitOnly,
            "post_only" => Self::PostOnly,
            "cancel_only" => Self::CancelOnly,
            "maintenance" | "delisted" | "work_in_progress" => Self::Closed,
            _ => Self::Online,
        }
    }

    /// The narrower of two.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.max(other)
    }

    /// A stop may be placed: it is a market order once it fires.
    #[must_use]
    pub const fn takes_stop(self) -> bool {
        match self {
            Self::Online | Self::ReduceOnly => true,
            Self::LimitOnly | Self::PostOnly | Self::CancelOnly | Self::Closed => false,
        }
    }

    /// A stop may be changed in place.
    #[must_use]
    pub const fn takes_amend(self) -> bool {
        match self {
            Self::Online | Self::ReduceOnly | Self::LimitOnly => true,
            Self::PostOnly | Self::CancelOnly | Self::Closed => false,
        }
    }

    /// An order may be cancelled.
    #[must_use]
    pub const fn takes_cancel(self) -> bool {
        match self {
            Self::Online | Self::ReduceOnly | Self::LimitOnly => true,
            Self::PostOnly | Self::CancelOnly => true,
            Self::Closed => false,
        }
    }

    /// Orders meet: a close in the place of a stop would be executed.
    #[must_use]
    pub const fn matches(self) -> bool {
        match self {
            Self::Online | Self::ReduceOnly | Self::LimitOnly => true,
            Self::PostOnly | Self::CancelOnly | Self::Closed => false,
        }
    }

    /// The form of a close that would rest, or would take; none while the venue takes neither.
    #[must_use]
    pub const fn close(self, rests: bool) -> Option<CloseForm> {
        match (self, rests) {
            (Self::Online | Self::ReduceOnly, false) => Some(CloseForm::Market),
            (Self::LimitOnly, false) => Some(CloseForm::Limit),
            (Self::Online | Self::ReduceOnly | Self::LimitOnly | Self::PostOnly, true)
            | (Self::PostOnly, false) => Some(CloseForm::Rest),
            (Self::CancelOnly | Self::Closed, true | false) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the venue's table says: stop, amend of a stop, cancel, matching; close that takes, close that rests.
    type Row = (Market, [bool; 4], Option<CloseForm>, Option<CloseForm>);

    #[test]
    fn every_state_of_the_market_takes_what_the_venues_table_says() {
        use CloseForm::{Limit, Market as Take, Rest};
        let table: [Row; 6] = [
            (Market::Online, [true; 4], Some(Take), Some(Rest)),
            (Market::ReduceOnly, [true; 4], Some(Take), Some(Rest)),
            (Market::LimitOnly, [false, true, true, true], Some(Limit), Some(Rest)),
            (Market::PostOnly, [false, false, true, false], Some(Rest), Some(Rest)),
            (Market::CancelOnly, [false, false, true, false], None, None),
            (Market::Closed, [false; 4], None, None),
        ];
        assert_eq!(table.map(|row| row.0), Market::ALL);
        for (market, takes, close, rest) in table {
            let found = [
                market.takes_stop(),
                market.takes_amend(),
                market.takes_cancel(),
                market.matches(),
            ];
            assert_eq!(found, takes, "{market:?}");
            assert_eq!((market.close(false), market.close(true)), (close, rest), "{market:?}");
        }
    }

    #[test]
    fn the_narrower_of_system_and_pair_holds_and_an_unknown_word_restricts_nothing() {
        for one in Market::ALL {
            for other in Market::ALL {
                let both = one.and(other);
                assert_eq!(both, other.and(one));
                assert!(both == one || both == other);
                for (all, each) in [
                    (both.takes_stop(), [one.takes_stop(), other.takes_stop()]),
                    (both.takes_amend(), [one.takes_amend(), other.takes_amend()]),
                    (both.takes_cancel(), [one.takes_cancel(), other.takes_cancel()]),
                    (both.matches(), [one.matches(), other.matches()]),
                ] {
                    assert_eq!(all, each == [true, true], "{one:?} {other:?}");
                }
            }
        }
        let words = ["online", "reduce_only", "limit_only", "post_only", "cancel_only"];
        assert_eq!(words.map(Market::of_word), Market::ALL[..5]);
        for word in ["maintenance", "delisted", "work_in_progress"] {
            assert_eq!(Market::of_word(word), Market::Closed);
        }
        assert_eq!(Market::of_word("sunny"), Market::Online);
    }
}
