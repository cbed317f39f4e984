//! Standby rows: when one that shows up at the venue may be taken as sent, and when one may be sent without a write.
//!
//! Input: what its row says; the age of the last renewal of the fence. Output: yes or no. Invariants: the stop of an
//! entry is matched only after the entry's fill gave it a position, or it would protect nothing; without the
//! decision cluster something is sent only for a limited time after the last proof that nobody else holds the fence.

use penstock_types::vocab::OrderState;

use crate::rules::{Rule, holds};

/// What the row of a reported order says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StandbyRow {
    /// Its state.
    pub state: OrderState,
    /// A position is known for it.
    pub has_position: bool,
    /// It stands by for an entry.
    pub has_parent: bool,
}

/// The report waits: the trades of the row's entry are fetched and booked first.
#[must_use]
pub fn waits_for_parent(row: &StandbyRow) -> bool {
    let unplaced = row.state == OrderState::Created && !row.has_position;
    holds(Rule::StandbyBeforeFill) && unplaced && row.has_parent
}

/// Whether a process without its decision cluster may send: stops in stock, cancels of entries, amends of a live stop.
/// `permitted` is the operator's switch, times in milliseconds. A newer token at the venue ends the process instead.
#[must_use]
pub fn may_send_cut_off(permitted: bool, lease_age_ms: i64, limit_ms: i64) -> bool {
    permitted && lease_age_ms <= limit_ms && holds(Rule::CutOff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_row_in_stock_without_a_position_waits_for_its_entry() {
        for state in OrderState::ALL {
            for has_position in [false, true] {
                for has_parent in [false, true] {
                    let row = StandbyRow { state: *state, has_position, has_parent };
                    let waits = *state == OrderState::Created && !has_position && has_parent;
                    assert_eq!(waits_for_parent(&row), waits, "{row:?}");
                }
            }
        }
    }

    #[test]
    fn a_process_that_is_cut_off_sends_for_a_limited_time() {
        assert!(may_send_cut_off(true, 0, 300_000));
        assert!(may_send_cut_off(true, 300_000, 300_000));
        assert!(!may_send_cut_off(true, 300_001, 300_000));
        assert!(!may_send_cut_off(false, 0, 300_000));
    }
}
