//! Numbers that the venues give their messages, and what a number says about those before it.
//!
//! Input: the number of each message, in order of arrival. Output: what it means: next, a gap, a
//! duplicate, late. Two kinds exist: numbers that rise by one ([`Contiguous`]: prints, book changes of
//! Kraken Futures) and messages that name their predecessor ([`Chain`]: book changes of Binance).
//! Invariants: each number is accepted once; after a gap counting goes on from what came, so one loss
//! is one gap. What a gap costs (a book is void, prints are fetched again) is the caller's decision.

use std::collections::VecDeque;

/// Ranges of missing numbers that are kept open for what comes late; the oldest is given up first.
const OPEN_RANGES_MAX: usize = 64;

/// What a number of a contiguous sequence means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The first of its sequence.
    First,
    /// The one that was expected.
    Next,
    /// Everything from `expected` up to the one before it is missing.
    Gap {
        /// The number that was expected.
        expected: u64,
    },
    /// It was missing and came after all.
    Late,
    /// It was there before.
    Duplicate,
}

/// A sequence that rises by one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contiguous {
    mark: Option<u64>,
    /// Missing numbers, first and last, ascending.
    open: VecDeque<(u64, u64)>,
}

impl Contiguous {
    /// Highest number that came.
    pub const fn mark(&self) -> Option<u64> {
        self.mark
    }

    /// Takes a number.
    pub fn see(&mut self, number: u64) -> Seen {
        let Some(mark) = self.mark else {
            self.mark = Some(number);
            return Seen::First;
        };
        if number <= mark {
            return if self.close(number) { Seen::Late } else { Seen::Duplicate };
        }
        self.mark = Some(number);
        let expected = mark + 1;
        if number == expected {
            return Seen::Next;
        }
        if self.open.len() == OPEN_RANGES_MAX {
            self.open.pop_front();
        }
        self.open.push_back((expected, number - 1));
        Seen::Gap { expected }
    }

    /// Takes a number that a venue repeats when it is asked for its last messages: what is known
    /// already says nothing.
    pub fn see_repeated(&mut self, number: u64) -> Option<Seen> {
        match self.see(number) {
            Seen::Duplicate => None,
            seen @ (Seen::First | Seen::Next | Seen::Gap { .. } | Seen::Late) => Some(seen),
        }
    }

    /// Starts anew behind an image that carries its own number.
    pub fn restart_at(&mut self, number: u64) {
        self.mark = Some(number);
        self.open.clear();
    }

    /// Removes a number from the missing ones.
    fn close(&mut self, number: u64) -> bool {
        let Some(at) =
            self.open.iter().position(|(first, last)| (*first..=*last).contains(&number))
        else {
            return false;
        };
        let (first, last) = self.open[at];
        match (number == first, number == last) {
            (true, true) => {
                self.open.remove(at);
            }
            (true, false) => self.open[at].0 = number + 1,
            (false, true) => self.open[at].1 = number - 1,
            (false, false) => {
                self.open[at].1 = number - 1;
                self.open.insert(at + 1, (number + 1, last));
                if self.open.len() > OPEN_RANGES_MAX {
                    self.open.pop_front();
                }
            }
        }
        true
    }
}

/// What a message of a chain means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// The first of its chain.
    First,
    /// It follows the last one.
    Linked,
    /// It does not name the last one as its predecessor.
    Broken {
        /// The last number that came.
        expected: i64,
    },
    /// It is not newer than the last one.
    Duplicate,
}

/// A chain: each message has a number and names that of its predecessor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    last: Option<i64>,
}

impl Chain {
    /// Takes a message.
    pub fn see(&mut self, previous: i64, number: i64) -> Link {
        let Some(last) = self.last else {
            self.last = Some(number);
            return Link::First;
        };
        if number <= last {
            return Link::Duplicate;
        }
        self.last = Some(number);
        if previous == last { Link::Linked } else { Link::Broken { expected: last } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn numbers_say_what_they_mean() {
        let mut sequence = Contiguous::default();
        for (number, want) in [
            (7, Seen::First),
            (8, Seen::Next),
            (8, Seen::Duplicate),
            (12, Seen::Gap { expected: 9 }),
            (10, Seen::Late),
            (10, Seen::Duplicate),
            (9, Seen::Late),
            (11, Seen::Late),
            (11, Seen::Duplicate),
            (13, Seen::Next),
            (6, Seen::Duplicate),
            (u64::MAX, Seen::Gap { expected: 14 }),
            (u64::MAX, Seen::Duplicate),
        ] {
            assert_eq!(sequence.see(number), want, "{number}");
        }
        assert_eq!(sequence.see_repeated(u64::MAX), None);
    }

    #[test]
    fn a_chain_breaks_where_the_predecessor_is_another() {
        let mut chain = Chain::default();
        for (previous, number, want) in [
            (1, 5, Link::First),
            (5, 9, Link::Linked),
            (5, 9, Link::Duplicate),
            (11, 12, Link::Broken { expected: 9 }),
            (12, 13, Link::Linked),
        ] {
            assert_eq!(chain.see(previous, number), want, "{previous} {number}");
        }
    }

    proptest! {
        /// Whatever the order of arrival, every number is accepted exactly once.
        #[test]
        fn each_number_is_accepted_once(numbers in proptest::collection::vec(0u64..60, 1..200)) {
            let mut sequence = Contiguous::default();
            let mut accepted = BTreeSet::new();
            let first = numbers[0];
            for number in numbers {
                let seen = sequence.see(number);
                // What lies before the first number was never missed, so it counts as known.
                let known = number < first || accepted.contains(&number);
                prop_assert_eq!(seen == Seen::Duplicate, known, "{} {:?}", number, seen);
                accepted.insert(number);
                prop_assert_eq!(sequence.mark(), accepted.iter().copied().filter(|n| *n >= first).max());
            }
        }

        /// One lost number of a running sequence is one gap that names it.
        #[test]
        fn one_loss_is_one_gap(len in 3u64..100, at in 1u64..98) {
            let at = at % (len - 2) + 1;
            let mut sequence = Contiguous::default();
            let gaps: Vec<Seen> = (0..len)
                .filter(|number| *number != at)
                .map(|number| sequence.see(number))
                .filter(|seen| matches!(seen, Seen::Gap { .. }))
                .collect();
            prop_assert_eq!(gaps, [Seen::Gap { expected: at }]);
        }
    }
}
