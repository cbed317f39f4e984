//! Numbers of a venue that were seen: a mark and a ring behind it for numbers that come out of order.
//!
//! Input: the numbers of one instrument and source, in the order of their arrival. Output: whether a number is
//! taken. The ring is kept as runs of consecutive numbers, because venues count: a source without holes costs
//! one run whatever the length of the ring, and a number above the mark is taken without a look at any.

use serde::{Deserialize, Serialize, Serializer};
use std::collections::VecDeque;

/// Numbers kept behind the mark.
const RING_LEN: u64 = 4_096;

/// Numbers that came one after the other, each one above the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    first: u64,
    len: u64,
}

impl Run {
    const fn contains(self, number: u64) -> bool {
        number >= self.first && number - self.first < self.len
    }
}

/// Numbers of one instrument and source. It is written as the list of its numbers and read from one; in memory
/// the list of a ring would take thousands of times the place of its runs.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(from = "Vec<u64>")]
pub(super) struct SeenNumbers {
    /// What is kept, in the order of arrival.
    runs: VecDeque<Run>,
    /// Numbers in all runs.
    kept: u64,
    /// The highest number that was ever kept.
    mark: Option<u64>,
}

/// What is written is equal: the mark follows from it unless it has left the ring.
impl PartialEq for SeenNumbers {
    fn eq(&self, other: &Self) -> bool {
        self.runs == other.runs
    }
}

impl Serialize for SeenNumbers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.numbers())
    }
}

impl From<Vec<u64>> for SeenNumbers {
    fn from(numbers: Vec<u64>) -> Self {
        let mut seen = Self::default();
        numbers.into_iter().for_each(|number| seen.keep(number));
        seen
    }
}

impl SeenNumbers {
    /// What is kept, in the order of arrival.
    fn numbers(&self) -> impl Iterator<Item = u64> {
        self.runs.iter().flat_map(|run| (0..run.len).map(|n| run.first + n))
    }

    /// Takes a number once. One that is older than everything kept may have been seen long ago, or is
    /// from before the start; either way it is not taken.
    pub(super) fn accept(&mut self, number: u64) -> bool {
        self.accept_behind(number, RING_LEN)
    }

    fn accept_behind(&mut self, number: u64, ring_len: u64) -> bool {
        if self.mark.is_some_and(|mark| number <= mark) {
            let is_older = self.runs.iter().all(|run| number < run.first);
            if is_older || self.runs.iter().any(|run| run.contains(number)) {
                return false;
            }
        }
        self.keep(number);
        if self.kept > ring_len {
            self.drop_first();
        }
        true
    }

    fn keep(&mut self, number: u64) {
        match self.runs.back_mut() {
            Some(run) if run.first.checked_add(run.len) == Some(number) => run.len += 1,
            Some(_) | None => self.runs.push_back(Run { first: number, len: 1 }),
        }
        self.kept += 1;
        self.mark = self.mark.max(Some(number));
    }

    fn drop_first(&mut self) {
        let Some(run) = self.runs.front_mut() else { return };
        self.kept -= 1;
        if run.len > 1 {
            (run.first, run.len) = (run.first + 1, run.len - 1);
        } else {
            self.runs.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{RING_LEN, SeenNumbers};
    use proptest::prelude::*;
    use std::collections::{BTreeSet, VecDeque};

    #[test]
    fn a_number_is_taken_once_also_out_of_order() {
        let mut seen = SeenNumbers::default();
        let taken: Vec<bool> = [10, 12, 11, 12, 10, 9].map(|n| seen.accept(n)).into();
        assert_eq!(taken, [true, true, true, false, false, false]);
    }

    #[test]
    fn what_is_older_than_the_ring_is_not_taken() {
        let mut seen = SeenNumbers::default();
        let last = 2 + 2 * RING_LEN;
        assert!((1..=RING_LEN + 1).all(|n| seen.accept(2 * n)));
        assert!(!seen.accept(3), "between two that have left the ring");
        assert!(seen.accept(last - 1));
        assert_eq!(seen.numbers().count() as u64, RING_LEN);
    }

    #[test]
    fn a_venue_that_counts_costs_one_run() {
        let mut seen = SeenNumbers::default();
        assert!((1..=3 * RING_LEN).all(|n| seen.accept(n)));
        assert_eq!((seen.runs.len(), seen.kept), (1, RING_LEN));
        assert!(seen.accept(u64::MAX) && !seen.accept(u64::MAX));
    }

    /// Every number by itself, as the definition says it.
    #[derive(Default)]
    struct OneByOne {
        order: VecDeque<u64>,
        set: BTreeSet<u64>,
    }

    impl OneByOne {
        fn accept(&mut self, number: u64, ring_len: u64) -> bool {
            let is_older = self.set.first().is_some_and(|oldest| number < *oldest);
            if is_older || !self.set.insert(number) {
                return false;
            }
            self.order.push_back(number);
            if self.order.len() as u64 > ring_len
                && let Some(first) = self.order.pop_front()
            {
                self.set.remove(&first);
            }
            true
        }
    }

    proptest! {
        #[test]
        fn runs_judge_as_every_number_by_itself(
            ring_len in 1_u64..12,
            steps in proptest::collection::vec((-6_i64..8, 0_u8..40), 1..400),
        ) {
            let (mut quick, mut slow) = (SeenNumbers::default(), OneByOne::default());
            let mut newest = 50_i64;
            for (step, kind) in steps {
                // Mostly the next number, now and then one of before or far ahead.
                let number = match kind {
                    0 => newest + 40,
                    1..10 => newest + step,
                    _ => newest + 1,
                };
                let number = u64::try_from(number.max(0)).unwrap();
                let want = slow.accept(number, ring_len);
                prop_assert_eq!(quick.accept_behind(number, ring_len), want);
                if want {
                    newest = i64::try_from(number).unwrap();
                }
                prop_assert!(quick.numbers().eq(slow.order.iter().copied()));
            }
            // Written as the list of its numbers, and read from it.
            let written = serde_json::to_string(&quick).unwrap();
            prop_assert_eq!(&written, &serde_json::to_string(&slow.order).unwrap());
            let mut resumed: SeenNumbers = serde_json::from_str(&written).unwrap();
            prop_assert_eq!(&resumed, &quick);
            for number in 0..120 {
                let want = slow.accept(number, ring_len);
                prop_assert_eq!(quick.accept_behind(number, ring_len), want);
                prop_assert_eq!(resumed.accept_behind(number, ring_len), want);
            }
        }
    }
}
