//! Numbers of a venue that were seen: a mark and a ring behind it for numbers that come out of order.

use std::collections::{BTreeSet, VecDeque};

/// Numbers kept behind the mark.
const RING_LEN: usize = 4_096;

/// Numbers of one instrument and source.
#[derive(Debug, Clone, Default)]
pub(super) struct SeenNumbers {
    order: VecDeque<u64>,
    set: BTreeSet<u64>,
}

impl SeenNumbers {
    /// What is kept, in the order of arrival.
    pub(super) fn numbers(&self) -> Vec<u64> {
        self.order.iter().copied().collect()
    }

    /// Keeps these again.
    pub(super) fn of(numbers: Vec<u64>) -> Self {
        Self { set: numbers.iter().copied().collect(), order: numbers.into() }
    }

    /// Takes a number once. One that is older than everything kept may have been seen long ago, or is
    /// from before the start; either way it is not taken.
    pub(super) fn accept(&mut self, number: u64) -> bool {
        let is_older = self.set.first().is_some_and(|oldest| number < *oldest);
        if is_older || !self.set.insert(number) {
            return false;
        }
        self.order.push_back(number);
        if self.order.len() > RING_LEN
            && let Some(first) = self.order.pop_front()
        {
            self.set.remove(&first);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::{RING_LEN, SeenNumbers};

    #[test]
    fn a_number_is_taken_once_also_out_of_order() {
        let mut seen = SeenNumbers::default();
        let taken: Vec<bool> = [10, 12, 11, 12, 10, 9].map(|n| seen.accept(n)).into();
        assert_eq!(taken, [true, true, true, false, false, false]);
    }

    #[test]
    fn what_is_older_than_the_ring_is_not_taken() {
        let mut seen = SeenNumbers::default();
        let last = 2 + 2 * RING_LEN as u64;
        assert!((1..=RING_LEN as u64 + 1).all(|n| seen.accept(2 * n)));
        assert!(!seen.accept(3), "between two that have left the ring");
        assert!(seen.accept(last - 1));
        assert_eq!(seen.set.len(), seen.order.len());
    }
}
