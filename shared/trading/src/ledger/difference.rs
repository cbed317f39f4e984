//! When a difference between a balance and the ledger may be corrected.
//!
//! Input: two views of the balance with the times for which they speak, and what is known about the moment.
//! Output: nothing, watch, or correct. Balances may overtake the trades that explain them, so a difference counts
//! only when two equal views at least five seconds apart show it, both newer than the symbol's last trade, when the
//! venue's orders were seen after the first of them, and with nothing waiting, nothing of the symbol unproven and
//! every quantity that the venue counts booked. A balance that is read again from memory is no second view: its time
//! is the same.

use penstock_types::Decimal;

use crate::rules::{Rule, holds};

/// Shortest time between the two views, milliseconds.
pub const SEEN_TWICE_MS: i64 = 5_000;

/// What the venue said of a balance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct View {
    /// Base that the venue reports.
    pub amount: Decimal,
    /// The moment for which it speaks, monotonic milliseconds: the receipt of a message of the stream; for a look
    /// that may lag, its start less the worst lag.
    pub as_of_ms: i64,
}

/// One comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DifferenceInput {
    /// The oldest view that shows the balance as it is now.
    pub first: View,
    /// The newest view.
    pub last: View,
    /// Base that the ledger holds, written-off dust included.
    pub ledger: Decimal,
    /// One lot, or a thousandth.
    pub tolerance: Decimal,
    /// Last trade of the symbol, booked or told by a balance, monotonic milliseconds.
    pub last_trade_ms: Option<i64>,
    /// The moment for which the venue's orders and trades were last seen whole, monotonic milliseconds.
    pub orders_seen_ms: Option<i64>,
    /// No report of the stream waits to be read or to be matched.
    pub queue_empty: bool,
    /// An order of the symbol is not proven.
    pub unproven: bool,
    /// The venue's executed quantities are all booked.
    pub booked_all: bool,
}

/// What to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Difference {
    /// They agree.
    None,
    /// They differ; look again.
    Watch,
    /// Correct the ledger by this much.
    Correct(Decimal),
}

/// Judges a comparison.
#[must_use]
pub fn judge(input: &DifferenceInput) -> Difference {
    let DifferenceInput { first, last, .. } = *input;
    let delta = last.amount - input.ledger;
    if delta.abs() <= input.tolerance {
        return Difference::None;
    }
    let twice = first.amount == last.amount && last.as_of_ms - first.as_of_ms >= SEEN_TWICE_MS;
    let newer = input.last_trade_ms.is_none_or(|trade| first.as_of_ms > trade);
    // A trade that the first view shows is older than it: orders seen after it would show that trade.
    let orders_seen = input.orders_seen_ms.is_some_and(|seen| seen > first.as_of_ms);
    let settled = input.queue_empty && !input.unproven && input.booked_all;
    if (twice && newer && orders_seen && settled) || !holds(Rule::BalanceBeforeTrade) {
        Difference::Correct(delta)
    } else {
        Difference::Watch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn input() -> DifferenceInput {
        let view = |as_of_ms| View { amount: Decimal::ONE, as_of_ms };
        DifferenceInput {
            first: view(1_000),
            last: view(6_000),
            ledger: Decimal::ZERO,
            tolerance: Decimal::ZERO,
            last_trade_ms: Some(999),
            orders_seen_ms: Some(1_001),
            queue_empty: true,
            unproven: false,
            booked_all: true,
        }
    }

    type Change = fn(&mut DifferenceInput);

    #[test]
    fn each_condition_alone_holds_a_correction_back() {
        assert_eq!(judge(&input()), Difference::Correct(Decimal::ONE));
        let without: [(&str, Change); 8] = [
            ("the same view twice", |i| i.first = i.last),
            ("too soon", |i| i.last.as_of_ms = 5_999),
            ("another amount", |i| i.first.amount = Decimal::TWO),
            ("older than the last trade", |i| i.last_trade_ms = Some(1_000)),
            ("orders not seen since", |i| i.orders_seen_ms = Some(1_000)),
            ("orders never seen", |i| i.orders_seen_ms = None),
            ("a report waits", |i| i.queue_empty = false),
            ("a quantity is not booked", |i| i.booked_all = false),
        ];
        for (name, change) in without {
            let mut changed = input();
            change(&mut changed);
            assert_eq!(judge(&changed), Difference::Watch, "{name}");
        }
        let unproven = DifferenceInput { unproven: true, ..input() };
        assert_eq!(judge(&unproven), Difference::Watch);
        let same = DifferenceInput { ledger: Decimal::ONE, ..input() };
        assert_eq!(judge(&same), Difference::None);
    }

    proptest! {
        /// However long one view is looked at, it corrects nothing.
        #[test]
        fn one_view_never_corrects(amount in -5i64..5, at in 0i64..100_000, seen in 0i64..1_000_000) {
            let view = View { amount: Decimal::from(amount), as_of_ms: at };
            let one = DifferenceInput {
                first: view,
                last: view,
                last_trade_ms: None,
                orders_seen_ms: Some(seen),
                ..input()
            };
            prop_assert!(!matches!(judge(&one), Difference::Correct(_)));
        }
    }
}
