//! Where a resting entry stands: behind the queue at the best bid, or one tick before it.
//!
//! Purpose: one rule over numbers that are stored with the cycle. Inputs: the quote, the queue as the orders of the book
//! tell it, the size, what the trade is worth. Outputs: join or improve. Invariants: pure; it never stands at or beyond
//! the ask; without a trusted view of the queue it joins; the tick that it pays is paid out of the surplus.

use penstock_types::Decimal;
use penstock_types::vocab::QueueDecision;

/// Least quality of the queue's estimate that is trusted.
const QUALITY_MIN: Decimal = Decimal::from_parts(5, 0, 0, false, 1);
/// A queue of more than so many times our size is long.
const QUEUE_SIZES: i64 = 5;
/// An expected time to a fill above this is long, milliseconds.
const FILL_MS_MAX: i64 = 40_000;
/// Ticks between bid and ask that leave room for a price between them.
const SPREAD_TICKS_MIN: i64 = 2;
/// Basis points of the whole.
const BPS: i64 = 10_000;

/// What the rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct QueueLook {
    /// Best bid.
    pub(super) bid: Decimal,
    /// Best ask.
    pub(super) ask: Decimal,
    /// Step of the price.
    pub(super) tick: Decimal,
    /// How much the view of single orders is to be trusted, 0 to 1; none without one.
    pub(super) quality: Option<Decimal>,
    /// Value that rests at the best bid.
    pub(super) ahead_quote: Option<Decimal>,
    /// Expected time until a new order there is filled, milliseconds.
    pub(super) est_fill_ms: Option<i64>,
    /// Size of the entry, quote.
    pub(super) size_quote: Decimal,
    /// What the trade is worth above its demand, basis points.
    pub(super) surplus_bps: Decimal,
}

/// The rule.
pub(super) fn decide(look: &QueueLook) -> QueueDecision {
    let room = look.ask - look.bid >= look.tick * Decimal::from(SPREAD_TICKS_MIN);
    let trusted = look.quality.is_some_and(|quality| quality >= QUALITY_MIN);
    let long =
        look.ahead_quote.is_some_and(|ahead| ahead > look.size_quote * Decimal::from(QUEUE_SIZES))
            || look.est_fill_ms.is_some_and(|ms| ms > FILL_MS_MAX);
    let worth = look
        .tick
        .checked_div(look.bid)
        .is_some_and(|part| look.surplus_bps - part * Decimal::from(BPS) >= Decimal::ZERO);
    if room && trusted && long && worth { QueueDecision::Improve } else { QueueDecision::Join }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn look() -> QueueLook {
        QueueLook {
            bid: Decimal::from(100),
            ask: Decimal::new(1002, 1),
            tick: Decimal::new(1, 1),
            quality: Some(Decimal::new(5, 1)),
            ahead_quote: Some(Decimal::from(501)),
            est_fill_ms: Some(1_000),
            size_quote: Decimal::from(100),
            surplus_bps: Decimal::from(10),
        }
    }

    #[test]
    fn each_condition_alone_makes_it_join() {
        assert_eq!(decide(&look()), QueueDecision::Improve);
        for (name, one) in [
            ("no room", QueueLook { ask: Decimal::new(1001, 1), ..look() }),
            ("no view", QueueLook { quality: None, ..look() }),
            ("a doubtful view", QueueLook { quality: Some(Decimal::new(49, 2)), ..look() }),
            ("a short queue", QueueLook { ahead_quote: Some(Decimal::from(500)), ..look() }),
            ("not worth a tick", QueueLook { surplus_bps: Decimal::new(999, 2), ..look() }),
            ("no price", QueueLook { bid: Decimal::ZERO, ..look() }),
        ] {
            assert_eq!(decide(&one), QueueDecision::Join, "{name}");
        }
        let slow = QueueLook { ahead_quote: None, est_fill_ms: Some(40_001), ..look() };
        assert_eq!(decide(&slow), QueueDecision::Improve, "a slow queue is as long as a full one");
        let neither = QueueLook { ahead_quote: None, est_fill_ms: Some(40_000), ..look() };
        assert_eq!(decide(&neither), QueueDecision::Join);
    }

    proptest! {
        /// One tick before the bid is never at or beyond the ask, and never costs more than the surplus.
        #[test]
        fn a_better_price_rests_and_is_paid_by_the_surplus(
            bid in 1_i64..1_000_000, spread in 0_i64..50, tick in 1_i64..20, surplus in -100_i64..100,
            ahead in 0_i64..10_000, size in 0_i64..2_000, quality in 0_i64..11
        ) {
            let tick = Decimal::new(tick, 2);
            let bid = Decimal::new(bid, 2);
            let one = QueueLook {
                bid,
                ask: bid + Decimal::new(spread, 2),
                tick,
                quality: Some(Decimal::new(quality, 1)),
                ahead_quote: Some(Decimal::from(ahead)),
                est_fill_ms: None,
                size_quote: Decimal::from(size),
                surplus_bps: Decimal::from(surplus),
            };
            if decide(&one) == QueueDecision::Improve {
                prop_assert!(one.bid + one.tick < one.ask);
                prop_assert!(one.tick / one.bid * Decimal::from(10_000) <= one.surplus_bps);
            }
        }
    }
}
