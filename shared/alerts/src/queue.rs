//! The queue between those that raise and those that deliver.
//!
//! Input: alerts with their keys. Output: the same in their order, and what was let go. Invariants: one entry per key,
//! and a repetition replaces its entry without losing its place; when the queue is full the oldest INFO goes, then the
//! oldest WARN; a CRIT never goes, so that the queue is longer than its capacity only by critical alerts of different
//! keys. It waits for nothing.

use std::collections::BTreeMap;

use penstock_types::vocab::Severity;

use crate::board::{Key, Open};

/// Alerts that wait.
#[derive(Debug)]
pub struct Queue {
    capacity: usize,
    next: u64,
    places: BTreeMap<Key, u64>,
    entries: BTreeMap<u64, Open>,
}

impl Queue {
    /// Of so many entries.
    #[must_use]
    pub const fn new(capacity: usize) -> Self {
        Self { capacity, next: 0, places: BTreeMap::new(), entries: BTreeMap::new() }
    }

    /// Adds or replaces an entry; gives back what was let go for it, which may be itself.
    pub fn push(&mut self, alert: Open) -> Vec<Open> {
        if let Some(place) = self.places.get(&alert.id.key) {
            self.entries.insert(*place, alert);
            return Vec::new();
        }
        self.places.insert(alert.id.key.clone(), self.next);
        self.entries.insert(self.next, alert);
        self.next += 1;
        let mut gone = Vec::new();
        while self.entries.len() > self.capacity {
            let Some(place) = self.weakest() else { break };
            gone.extend(self.remove(place));
        }
        gone
    }

    /// Place of the oldest INFO, else of the oldest WARN.
    fn weakest(&self) -> Option<u64> {
        let oldest = |severity: Severity| {
            self.entries.iter().find(|(_, a)| a.severity == severity).map(|(place, _)| *place)
        };
        oldest(Severity::Info).or_else(|| oldest(Severity::Warn))
    }

    fn remove(&mut self, place: u64) -> Option<Open> {
        let alert = self.entries.remove(&place)?;
        self.places.remove(&alert.id.key);
        Some(alert)
    }

    /// The oldest entry.
    pub fn pop(&mut self) -> Option<Open> {
        let place = *self.entries.keys().next()?;
        self.remove(place)
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::tests::open;
    use penstock_types::vocab::ReasonCode;
    use proptest::prelude::*;

    const INFO: ReasonCode = ReasonCode::EnterNormal;
    const WARN: ReasonCode = ReasonCode::SpoolBacklog;
    const CRIT: ReasonCode = ReasonCode::LedgerMismatch;

    fn symbols(queue: &mut Queue) -> Vec<String> {
        std::iter::from_fn(|| queue.pop()).map(|a| a.id.key.symbol.to_string()).collect()
    }

    #[test]
    fn the_oldest_info_goes_then_the_oldest_warn_and_a_crit_never() {
        let mut queue = Queue::new(3);
        for (reason, symbol) in [(WARN, "a"), (INFO, "b"), (INFO, "c")] {
            assert!(queue.push(open(reason, symbol, 1)).is_empty());
        }
        let mut gone = |reason, symbol| {
            let gone = queue.push(open(reason, symbol, 1));
            gone.iter().map(|a| a.id.key.symbol.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(gone(CRIT, "d"), ["b"]);
        assert_eq!(gone(CRIT, "e"), ["c"]);
        assert_eq!(gone(INFO, "f"), ["f"], "an INFO gives way before a WARN, be it the newest");
        assert_eq!(gone(WARN, "g"), ["a"]);
        assert_eq!(gone(CRIT, "h"), ["g"]);
        assert_eq!(gone(CRIT, "i"), [""; 0], "nothing but CRIT is left: the queue is longer");
        assert_eq!(gone(WARN, "j"), ["j"]);
        assert_eq!(symbols(&mut queue), ["d", "e", "h", "i"]);
    }

    #[test]
    fn a_repetition_replaces_its_entry_and_keeps_its_place() {
        let mut queue = Queue::new(4);
        queue.push(open(WARN, "a", 1));
        queue.push(open(WARN, "b", 1));
        queue.push(open(WARN, "a", 7));
        assert_eq!(queue.len(), 2);
        let first = queue.pop().unwrap();
        assert_eq!((first.id.key.symbol.as_str(), first.count), ("a", 7));
    }

    proptest! {
        #[test]
        fn no_crit_is_lost_and_the_others_stay_within_the_capacity(
            pushes in proptest::collection::vec((0..3_usize, 0..40_u8), 0..300),
            capacity in 1..20_usize,
        ) {
            let mut queue = Queue::new(capacity);
            let mut crits = std::collections::BTreeSet::new();
            let (mut pushed, mut gone) = (std::collections::BTreeSet::new(), 0);
            for (severity, symbol) in pushes {
                let reason = [INFO, WARN, CRIT][severity];
                let alert = open(reason, &symbol.to_string(), 1);
                if reason == CRIT {
                    crits.insert(alert.id.key.clone());
                }
                let is_new = !queue.places.contains_key(&alert.id.key);
                pushed.insert(alert.id.key.clone());
                let let_go = queue.push(alert);
                prop_assert!(let_go.iter().all(|a| a.severity < Severity::Crit));
                prop_assert!(let_go.len() <= usize::from(is_new));
                gone += let_go.len();
                prop_assert!(queue.len() <= capacity.max(crits.len()));
            }
            let left: std::collections::BTreeSet<Key> =
                std::iter::from_fn(|| queue.pop()).map(|a| a.id.key).collect();
            prop_assert!(crits.is_subset(&left));
            prop_assert!(left.is_subset(&pushed) && left.len() + gone >= pushed.len());
        }
    }
}
