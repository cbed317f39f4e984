//! Base of the account that is nobody's position: what was there before us, and what was moved since.
//!
//! Input: a difference between balance and records that has settled. Output: a change of the outside part, and
//! what is left for the positions. Invariants: a shortfall is taken from the outside part first, because as
//! long as the account holds the base of a position the position is there; while nothing may be sent, a
//! surplus joins the outside part, so that switching orders on later sells nothing that it did not buy.

use penstock_store_orders::balances::BalanceChange;
use penstock_types::{Decimal, Symbol};
use serde_json::json;

use crate::desk::{Desk, DeskError};

impl Desk {
    /// Books what of a difference concerns no position; the rest, when there is one.
    pub(crate) async fn correct_outside(
        &mut self,
        symbol: &Symbol,
        delta: Decimal,
        outside: Decimal,
    ) -> Result<Option<Decimal>, DeskError> {
        let share = share_outside(delta, outside, self.is_permitted());
        if !share.is_zero() {
            let change = BalanceChange {
                asset: symbol.base(),
                at: self.now(),
                amount: share,
                cause: "other",
                ledger_id: None,
                evidence: json!({
                    "source": "two equal balances", "difference": delta.to_string(),
                    "outside": outside.to_string(), "orders_allowed": self.is_permitted(),
                }),
            };
            let stored = self.store.add_balance_change(&change).await;
            if self.written(stored)?.is_none() {
                return Ok(None);
            }
        }
        let rest = delta - share;
        Ok((!rest.is_zero()).then_some(rest))
    }
}

/// The part of a difference that the outside part takes.
fn share_outside(delta: Decimal, outside: Decimal, is_permitted: bool) -> Decimal {
    if delta < Decimal::ZERO {
        -outside.min(-delta)
    } else if is_permitted {
        Decimal::ZERO
    } else {
        delta
    }
}

#[cfg(test)]
mod tests {
    use super::share_outside;
    use penstock_types::Decimal;

    #[test]
    fn a_shortfall_is_taken_from_outside_first_and_a_surplus_only_while_nothing_may_be_sent() {
        let share = |delta: i64, outside: i64, is_permitted| {
            share_outside(Decimal::from(delta), Decimal::from(outside), is_permitted)
        };
        for is_permitted in [true, false] {
            assert_eq!(share(-3, 5, is_permitted), Decimal::from(-3), "all of it is outside");
            assert_eq!(share(-3, 2, is_permitted), Decimal::from(-2), "the rest is the position's");
            assert_eq!(share(-3, 0, is_permitted), Decimal::ZERO);
        }
        assert_eq!(share(3, 2, true), Decimal::ZERO, "somebody bought: a position");
        assert_eq!(share(3, 2, false), Decimal::from(3));
    }
}
