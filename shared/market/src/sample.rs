//! A sample of a maintained book: spread, microprice, imbalances and depth near the mid.
//!
//! Input: levels in the instrument's integers, best first. Output: the columns of an L2 row, each
//! rounded half-even to its scale. A one-sided or crossed book gives no sample.

use penstock_types::decimal::{from_feature, round_to, scale, to_feature};
use penstock_types::{Decimal, UtcMicros};

/// Levels that the wide imbalance looks at.
const IMBALANCE_LEVELS: usize = 10;

/// Digits of an instrument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scales {
    /// Digits after the point of prices.
    pub price: u32,
    /// Digits after the point of quantities.
    pub qty: u32,
}

/// Figures of a book at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BookSample {
    /// Venue time of the last update.
    pub ts_exchange: Option<UtcMicros>,
    /// Best bid.
    pub bid: Decimal,
    /// Best ask.
    pub ask: Decimal,
    /// Quantity at the best bid.
    pub bid_qty: Decimal,
    /// Quantity at the best ask.
    pub ask_qty: Decimal,
    /// Spread in bps of mid.
    pub spread_bps: Option<Decimal>,
    /// Size-weighted mid.
    pub microprice: Option<Decimal>,
    /// Microprice against mid.
    pub microprice_dev_bps: Option<Decimal>,
    /// Imbalance of the best quantities.
    pub imbalance_l1: Option<Decimal>,
    /// Imbalance of ten levels.
    pub imbalance_10: Option<Decimal>,
    /// Bids within 10 bps of mid.
    pub depth_bid_10bps_quote: Option<Decimal>,
    /// Asks within 10 bps of mid.
    pub depth_ask_10bps_quote: Option<Decimal>,
    /// Subscribed depth.
    pub book_depth: i16,
}

/// Computes a sample from levels `(price, quantity)`, best first.
#[must_use]
pub fn sample_book(
    bids: impl Iterator<Item = (i64, i64)> + Clone,
    asks: impl Iterator<Item = (i64, i64)> + Clone,
    scales: Scales,
    ts_exchange: Option<UtcMicros>,
    book_depth: i16,
) -> Option<BookSample> {
    let (bid_units, bid_qty_units) = bids.clone().next()?;
    let (ask_units, ask_qty_units) = asks.clone().next()?;
    if bid_units <= 0 || ask_units <= bid_units {
        return None;
    }
    let bid = Decimal::try_new(bid_units, scales.price).ok()?;
    let ask = Decimal::try_new(ask_units, scales.price).ok()?;
    let bid_qty = Decimal::try_new(bid_qty_units, scales.qty).ok()?;
    let ask_qty = Decimal::try_new(ask_qty_units, scales.qty).ok()?;
    let twice_mid = i128::from(bid_units) + i128::from(ask_units);
    let micro = microprice(bid, ask, bid_qty, ask_qty);
    let mid = to_feature(bid + ask) / 2.0;
    let micro_dev = micro.map(|m| (to_feature(m) - mid) / mid * 10_000.0);
    Some(BookSample {
        ts_exchange,
        bid: round_to(bid, scale::PX),
        ask: round_to(ask, scale::PX),
        bid_qty: round_to(bid_qty, scale::QTY),
        ask_qty: round_to(ask_qty, scale::QTY),
        spread_bps: spread_bps(bid, ask),
        microprice: micro,
        microprice_dev_bps: micro_dev.and_then(|d| from_feature(d, scale::BPS)),
        imbalance_l1: imbalance(i128::from(bid_qty_units), i128::from(ask_qty_units)),
        imbalance_10: imbalance(
            bids.clone().take(IMBALANCE_LEVELS).map(|(_, q)| i128::from(q)).sum(),
            asks.clone().take(IMBALANCE_LEVELS).map(|(_, q)| i128::from(q)).sum(),
        ),
        // Within 10 bps of mid: price ≥ mid·0.999 for bids, ≤ mid·1.001 for asks, in whole numbers.
        depth_bid_10bps_quote: depth(
            bids.take_while(|&(p, _)| i128::from(p) * 2_000 >= twice_mid * 999),
            scales,
        ),
        depth_ask_10bps_quote: depth(
            asks.take_while(|&(p, _)| i128::from(p) * 2_000 <= twice_mid * 1_001),
            scales,
        ),
        book_depth,
    })
}

/// Spread in bps of mid, half-even at scale 4.
#[must_use]
pub fn spread_bps(bid: Decimal, ask: Decimal) -> Option<Decimal> {
    let sum = bid.checked_add(ask)?;
    let spread = ask.checked_sub(bid)?.checked_mul(Decimal::from(20_000))?;
    spread.checked_div(sum).map(|d| round_to(d, scale::BPS))
}

fn microprice(bid: Decimal, ask: Decimal, bid_qty: Decimal, ask_qty: Decimal) -> Option<Decimal> {
    let weight = bid_qty.checked_add(ask_qty)?;
    let weighted = bid.checked_mul(ask_qty)?.checked_add(ask.checked_mul(bid_qty)?)?;
    weighted.checked_div(weight).map(|d| round_to(d, scale::PX))
}

fn imbalance(bid: i128, ask: i128) -> Option<Decimal> {
    if bid + ask == 0 {
        return None;
    }
    from_feature(crate::units::float(bid - ask) / crate::units::float(bid + ask), scale::RATIO)
}

fn depth(levels: impl Iterator<Item = (i64, i64)>, scales: Scales) -> Option<Decimal> {
    let mut sum = Decimal::ZERO;
    for (price, qty) in levels {
        let price = Decimal::try_new(price, scales.price).ok()?;
        let qty = Decimal::try_new(qty, scales.qty).ok()?;
        sum = sum.checked_add(price.checked_mul(qty)?)?;
    }
    Some(round_to(sum, scale::AMT))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bids 100.0×2, 99.9×1, 99.8×5; asks 100.2×6, 100.3×1; one digit each. Mid 100.1, so 10 bps reach
    /// from 99.9999 to 100.2001: only the best levels are inside.
    #[test]
    fn a_small_book_gives_the_figures_computed_by_hand() {
        let bids = [(1_000, 20), (999, 10), (998, 50)];
        let asks = [(1_002, 60), (1_003, 10)];
        let scales = Scales { price: 1, qty: 1 };
        let got = sample_book(bids.into_iter(), asks.into_iter(), scales, None, 10).unwrap();
        let text = |d: Option<Decimal>| d.map(|d| d.normalize().to_string());
        assert_eq!(text(got.spread_bps).as_deref(), Some("19.98"), "0.2 / 100.1");
        // (100·6 + 100.2·2) / 8
        assert_eq!(text(got.microprice).as_deref(), Some("100.05"));
        assert_eq!(text(got.microprice_dev_bps).as_deref(), Some("-4.995"), "-0.05 / 100.1");
        assert_eq!(text(got.imbalance_l1).as_deref(), Some("-0.5"), "(2 - 6) / 8");
        assert_eq!(text(got.imbalance_10).as_deref(), Some("0.066667"), "(8 - 7) / 15");
        assert_eq!(text(got.depth_bid_10bps_quote).as_deref(), Some("200"));
        assert_eq!(text(got.depth_ask_10bps_quote).as_deref(), Some("601.2"));
    }

    #[test]
    fn a_crossed_or_one_sided_book_gives_no_sample() {
        let scales = Scales { price: 0, qty: 0 };
        let one = [(10, 1)];
        assert!(sample_book(one.into_iter(), one.into_iter(), scales, None, 10).is_none());
        assert!(sample_book(one.into_iter(), core::iter::empty(), scales, None, 10).is_none());
    }
}
