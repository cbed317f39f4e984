//! Purpose: the pairs of the bench's venue, and one book of each that moves in a circle. Inputs: a number
//! and a depth. Outputs: images, changes and their checksums as the venue writes them. Invariants: after
//! all changes the book is the image again, so that prepared frames can be sent without an end; each
//! checksum is that of the book after its change. It knows no socket and no time.

use std::fmt::Write as _;

/// Digits of prices and quantities of every pair.
pub(super) const PRICE_DIGITS: u8 = 2;
/// As above.
pub(super) const QTY_DIGITS: u8 = 8;
/// Levels of a side that a checksum covers.
const CHECKSUM_LEVELS: usize = 10;
/// Of five changes so many touch one level; the others move a level, which touches two. That is the mean
/// of 1.4 levels per message that recordings of the venue show.
const ONE_LEVEL_OF_5: usize = 3;

/// A pair of the venue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    /// Number among all pairs.
    pub(super) number: usize,
    /// Base asset.
    pub(super) base: String,
    /// Symbol of the socket.
    pub(super) symbol: String,
}

impl Pair {
    /// The pair of a number.
    #[must_use]
    pub(super) fn of(number: usize) -> Self {
        let base = format!("S{number:05}");
        Self { number, symbol: format!("{base}/USD"), base }
    }

    /// Middle of its book in steps of price; it stays there.
    fn middle(&self) -> i64 {
        50_000 + i64::try_from(self.number).unwrap_or(0) * 37
    }

    /// Price of a trade that hits the book's best bid or ask.
    #[must_use]
    pub(super) fn trade_price(&self, is_buy: bool) -> String {
        price(self.middle() + if is_buy { 1 } else { -1 })
    }
}

/// A price from its steps.
fn price(steps: i64) -> String {
    format!("{}.{:02}", steps / 100, steps % 100)
}

/// A quantity from its units.
pub(super) fn qty(units: i64) -> String {
    format!("{}.{:08}", units / 100_000_000, units % 100_000_000)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Level {
    price: i64,
    qty: i64,
}

/// The sides of a book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Bid,
    Ask,
}

/// A change as the venue writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    /// Levels of the bid side, as JSON.
    pub(super) bids: String,
    /// Levels of the ask side, as JSON.
    pub(super) asks: String,
    /// Of the book after it.
    pub(super) checksum: u32,
}

/// A book, best level first on each side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Circle {
    bids: Vec<Level>,
    asks: Vec<Level>,
}

impl Circle {
    /// The image of a pair's book with so many levels a side; every second step of price is free.
    #[must_use]
    pub(super) fn new(pair: &Pair, depth: usize) -> Self {
        let level = |n: usize, sign: i64| {
            let n = i64::try_from(n).unwrap_or(0);
            Level { price: pair.middle() + sign * (1 + 2 * n), qty: 12_345_678 * (n + 1) + 90 }
        };
        Self {
            bids: (0..depth).map(|n| level(n, -1)).collect(),
            asks: (0..depth).map(|n| level(n, 1)).collect(),
        }
    }

    /// The whole book as a change.
    #[must_use]
    pub(super) fn image(&self) -> Change {
        Change { bids: json(&self.bids), asks: json(&self.asks), checksum: self.checksum() }
    }

    /// `count` changes and as many that take them back.
    #[must_use]
    pub(super) fn changes(&self, count: usize) -> Vec<Change> {
        let slots = self.bids.len() + self.asks.len();
        let count = count.min(slots);
        let mut book = self.clone();
        let mut made = Vec::with_capacity(2 * count);
        for is_back in [false, true] {
            for n in 0..count {
                // A stride through all slots, so that near and far levels take turns on both sides.
                let slot = (n * 7) % slots;
                let (side, at) = if slot.is_multiple_of(2) {
                    (Side::Bid, slot / 2)
                } else {
                    (Side::Ask, slot / 2)
                };
                let levels = if n % 5 < ONE_LEVEL_OF_5 {
                    book.resize(side, at, is_back)
                } else {
                    book.shift(side, at, is_back)
                };
                let (mut bids, mut asks) = (String::from("[]"), String::from("[]"));
                match side {
                    Side::Bid => bids = json(&levels),
                    Side::Ask => asks = json(&levels),
                }
                made.push(Change { bids, asks, checksum: book.checksum() });
            }
        }
        made
    }

    fn side(&mut self, side: Side) -> &mut Vec<Level> {
        match side {
            Side::Bid => &mut self.bids,
            Side::Ask => &mut self.asks,
        }
    }

    /// Another quantity at a level.
    fn resize(&mut self, side: Side, at: usize, is_back: bool) -> Vec<Level> {
        let level = &mut self.side(side)[at];
        level.qty += if is_back { -1_111 } else { 1_111 };
        vec![*level]
    }

    /// A level one step further from the middle: one goes, one comes. Its place among the others stays.
    fn shift(&mut self, side: Side, at: usize, is_back: bool) -> Vec<Level> {
        let away = if side == Side::Bid { -1 } else { 1 };
        let level = &mut self.side(side)[at];
        let gone = Level { price: level.price, qty: 0 };
        level.price += if is_back { -away } else { away };
        vec![gone, *level]
    }

    fn checksum(&self) -> u32 {
        let mut text = String::new();
        for level in self.asks.iter().take(CHECKSUM_LEVELS) {
            // Writing to a string cannot fail.
            let _ = write!(text, "{}{}", level.price, level.qty);
        }
        for level in self.bids.iter().take(CHECKSUM_LEVELS) {
            let _ = write!(text, "{}{}", level.price, level.qty);
        }
        let mut crc = flate2::Crc::new();
        crc.update(text.as_bytes());
        crc.sum()
    }
}

fn json(levels: &[Level]) -> String {
    let mut text = String::from("[");
    for (n, level) in levels.iter().enumerate() {
        let comma = if n == 0 { "" } else { "," };
        let (price, qty) = (price(level.price), qty(level.qty));
        // As above.
        let _ = write!(text, r#"{comma}{{"price":{price},"qty":{qty}}}"#);
    }
    text.push(']');
    text
}

#[cfg(test)]
mod tests {
    use penstock_venues::kraken::book::{Book, Precision, Verdict};
    use penstock_venues::kraken::{Frame, decode};

    use super::super::frames::{book_image, book_update};
    use super::{Circle, PRICE_DIGITS, Pair, QTY_DIGITS};

    const AT: &str = "2026-07-07T23:00:03.977459Z";

    #[test]
    fn the_product_verifies_every_change_and_the_circle_closes() {
        for depth in [10, 25] {
            let pair = Pair::of(7);
            let circle = Circle::new(&pair, depth);
            let precision = Precision { price: PRICE_DIGITS, qty: QTY_DIGITS };
            let mut book = Book::new(u32::try_from(depth).unwrap(), precision);
            let image = book_image(&pair, &circle.image(), AT);
            let mut texts = vec![image.clone()];
            let changes = circle.changes(20);
            assert_eq!(changes.len(), 40);
            // Twice: the second time begins where the first one ended.
            for _ in 0..2 {
                texts.extend(changes.iter().map(|change| book_update(&pair, change, AT)));
            }
            for text in texts {
                let Frame::Book(message) = decode(&text).unwrap() else { panic!("{text}") };
                let row = &message.rows[0];
                let verdict = if message.is_snapshot() {
                    book.apply_snapshot(row)
                } else {
                    book.apply_update(row)
                };
                assert_eq!(verdict.unwrap(), Verdict::Verified, "{text}");
            }
            assert_eq!(book_image(&pair, &circle.image(), AT), image);
            assert_eq!(book.bids().count(), depth);
        }
    }
}
