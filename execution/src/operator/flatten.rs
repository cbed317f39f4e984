//! The wish to close positions.
//!
//! Input: a symbol or none. Output: positions that are marked, entries that are cancelled. A mark is carried out by
//! the tick; in an outage by the row in stock.

use penstock_types::Symbol;
use penstock_types::vocab::PlanState;

use crate::desk::{Desk, DeskError};

/// Where the wish stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Wish {
    /// Positions that it is about.
    pub(super) positions: usize,
    /// Those whose close is not committed yet.
    pub(super) undecided: usize,
    /// Those of them that wait for the venue to take orders.
    pub(super) wait: usize,
}

impl Wish {
    /// What the operator is told; none while a moment more decides the rest.
    pub(super) fn answer(self) -> Option<String> {
        match self {
            Self { undecided: 0, positions, .. } => Some(format!("closing {positions} positions")),
            Self { undecided, wait, positions } if undecided == wait => Some(format!(
                "closing {positions} positions, {wait} of them when the venue takes orders again; a restart before \
                 that forgets those"
            )),
            Self { .. } => None,
        }
    }
}

impl Desk {
    /// Marks positions to be closed by the next tick; how many.
    pub(crate) fn flatten(&mut self, symbol: Option<&Symbol>) -> usize {
        let mut count = 0;
        if !self.is_permitted() {
            return count;
        }
        for held in self.tracker.positions.values_mut() {
            if symbol.is_none_or(|s| *s == held.position.symbol) && !held.is_dust() {
                held.flatten = true;
                count += 1;
            }
        }
        for tracked in self.tracker.orders_mut() {
            let row = &tracked.record;
            if row.enters() && symbol.is_none_or(|s| *s == row.symbol) && tracked.is_live() {
                tracked.cancel_wanted = true;
            }
        }
        count
    }

    /// The same with rows: what can be committed now is committed before this returns.
    pub(super) async fn flatten_now(&mut self, symbol: Option<&Symbol>) -> Result<Wish, DeskError> {
        self.flatten(symbol);
        let of = |s: &Symbol| symbol.is_none_or(|wanted| wanted == s);
        let ids: Vec<_> = self
            .tracker
            .positions
            .iter()
            .filter(|(_, h)| of(&h.position.symbol) && !h.is_dust())
            .map(|(id, _)| *id)
            .collect();
        for id in &ids {
            self.supervise(*id).await?;
        }
        self.cancel_wished_entries().await?;
        let mut wish = Wish { positions: ids.len(), ..Wish::default() };
        for id in ids {
            let Some(held) = self.tracker.positions.get(&id) else { continue };
            let decided = held.plan.as_ref().is_none_or(|p| match p.state {
                PlanState::Triggered
                | PlanState::Exiting
                | PlanState::DustHold
                | PlanState::Closed => true,
                PlanState::Created
                | PlanState::Arming
                | PlanState::Armed
                | PlanState::Trailing
                | PlanState::Unprotected => false,
            });
            wish.undecided += usize::from(!decided);
            wish.wait += usize::from(!decided && held.close_waits);
        }
        Ok(wish)
    }

    /// Cancels entries that the operator wants gone, also those whose answer was open when it was asked.
    pub(crate) async fn cancel_wished_entries(&mut self) -> Result<(), DeskError> {
        let ids: Vec<_> = self
            .tracker
            .live()
            .filter(|t| t.cancel_wanted && t.mutation.is_none() && t.cancel_mono_ms.is_none())
            .map(|t| t.record.order_id)
            .collect();
        for id in ids {
            self.cancel(id, "operator").await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Wish;

    #[test]
    fn an_answer_comes_when_everything_is_committed_or_waits_for_the_venue() {
        let wish = |positions, undecided, wait| Wish { positions, undecided, wait }.answer();
        assert_eq!(wish(2, 0, 0).as_deref(), Some("closing 2 positions"));
        assert_eq!(wish(2, 1, 0), None);
        assert_eq!(wish(2, 2, 1), None);
        let waits = wish(2, 1, 1).unwrap();
        assert!(waits.starts_with("closing 2 positions, 1 of them when the venue"), "{waits}");
    }
}
