//! What has traded: the newest prints, minute candles and the day's figures of one symbol.
//!
//! Input: prints in order. Output: what snapshots, candles and tickers show. Invariants: the number
//! of prints and candles kept is limited, the oldest go first; sums are exact integers. It keeps no
//! book and reads no clock.

use std::collections::VecDeque;

use crate::exchange::{Price, Print};

/// Prints kept per symbol: half an hour of a busy one, so that a gap can be filled from REST.
pub(super) const PRINTS_LIMIT: usize = 5_000;
/// Minute candles kept per symbol: a day.
pub(super) const CANDLES_LIMIT: usize = 1_440;
/// Intervals that the venue offers, minutes.
pub const INTERVALS_MIN: [i64; 9] = [1, 5, 15, 30, 60, 240, 1_440, 10_080, 21_600];
const MINUTE_US: i64 = 60_000_000;

/// One candle; volume and value in scaled units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candle {
    /// Begin, microseconds since the Unix epoch.
    pub begin_us: i64,
    /// First price.
    pub open: Price,
    /// Highest price.
    pub high: Price,
    /// Lowest price.
    pub low: Price,
    /// Last price.
    pub close: Price,
    /// Number of prints.
    pub trades: u64,
    volume: i128,
    value: i128,
}

impl Candle {
    fn first(begin_us: i64, print: &Print) -> Self {
        let price = print.price;
        let mut one = Self {
            begin_us,
            open: price,
            high: price,
            low: price,
            close: price,
            trades: 0,
            volume: 0,
            value: 0,
        };
        one.add(print);
        one
    }

    fn add(&mut self, print: &Print) {
        self.high = self.high.max(print.price);
        self.low = self.low.min(print.price);
        self.close = print.price;
        self.trades += 1;
        self.volume += i128::from(print.qty.0);
        self.value += i128::from(print.qty.0) * i128::from(print.price.0);
    }

    fn merge(&mut self, later: &Candle) {
        self.high = self.high.max(later.high);
        self.low = self.low.min(later.low);
        self.close = later.close;
        self.trades += later.trades;
        self.volume += later.volume;
        self.value += later.value;
    }

    /// Volume in quantity units.
    pub fn volume_units(&self) -> i64 {
        units(self.volume)
    }

    /// Volume-weighted price in price units.
    pub fn vwap_units(&self) -> i64 {
        if self.volume == 0 { self.close.0 } else { units(self.value / self.volume) }
    }
}

/// The figures of the trailing day, which here is the day before the start plus what has traded.
#[derive(Debug, Clone, Copy)]
pub struct Day {
    /// Price a day ago.
    pub open: Price,
    /// Highest price.
    pub high: Price,
    /// Lowest price.
    pub low: Price,
    /// Number of prints.
    pub trades: u64,
    volume: i128,
    value: i128,
}

impl Day {
    /// Volume in quantity units.
    pub fn volume_units(&self) -> i64 {
        units(self.volume)
    }

    /// Volume-weighted price in price units.
    pub fn vwap_units(&self) -> i64 {
        if self.volume == 0 { self.open.0 } else { units(self.value / self.volume) }
    }
}

fn units(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The tape of one symbol.
#[derive(Debug, Clone)]
pub struct Tape {
    prints: VecDeque<Print>,
    candles: VecDeque<Candle>,
    day: Day,
}

impl Tape {
    /// A tape that starts at `open` after a day of `volume_units` traded there.
    pub fn new(open: Price, volume_units: i64) -> Self {
        let volume = i128::from(volume_units);
        let value = volume * i128::from(open.0);
        let day = Day { open, high: open, low: open, trades: 0, volume, value };
        Self { prints: VecDeque::new(), candles: VecDeque::new(), day }
    }

    /// Adds a print.
    pub fn add(&mut self, print: &Print) {
        if self.prints.len() == PRINTS_LIMIT {
            self.prints.pop_front();
        }
        self.prints.push_back(print.clone());
        let begin_us = print.ts_us.div_euclid(MINUTE_US) * MINUTE_US;
        match self.candles.back_mut() {
            Some(candle) if candle.begin_us >= begin_us => candle.add(print),
            Some(_) | None => {
                if self.candles.len() == CANDLES_LIMIT {
                    self.candles.pop_front();
                }
                self.candles.push_back(Candle::first(begin_us, print));
            }
        }
        self.day.high = self.day.high.max(print.price);
        self.day.low = self.day.low.min(print.price);
        self.day.trades += 1;
        self.day.volume += i128::from(print.qty.0);
        self.day.value += i128::from(print.qty.0) * i128::from(print.price.0);
    }

    /// Price of the newest print.
    pub fn last(&self) -> Option<Price> {
        self.prints.back().map(|print| print.price)
    }

    /// All kept prints, oldest first.
    pub fn prints(&self) -> &VecDeque<Print> {
        &self.prints
    }

    /// The newest `count` prints, oldest first.
    pub fn newest(&self, count: usize) -> impl Iterator<Item = &Print> {
        self.prints.iter().skip(self.prints.len().saturating_sub(count))
    }

    /// The day's figures.
    pub fn day(&self) -> &Day {
        &self.day
    }

    /// Candles of an interval (minutes), oldest first, at most `count`. Minutes without a trade
    /// have none.
    pub fn candles(&self, interval_min: i64, count: usize) -> Vec<Candle> {
        let interval_us = interval_min.max(1) * MINUTE_US;
        let mut merged: Vec<Candle> = Vec::new();
        for minute in &self.candles {
            let begin_us = minute.begin_us.div_euclid(interval_us) * interval_us;
            match merged.last_mut() {
                Some(candle) if candle.begin_us == begin_us => candle.merge(minute),
                Some(_) | None => merged.push(Candle { begin_us, ..*minute }),
            }
        }
        merged.split_off(merged.len().saturating_sub(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{Qty, Side};

    fn print(trade_id: u64, second: i64, price: i64, qty: i64) -> Print {
        Print {
            trade_id,
            taker: Side::Buy,
            price: Price(price),
            qty: Qty(qty),
            market_order: false,
            ts_us: second * 1_000_000,
        }
    }

    #[test]
    fn candles_merge_into_larger_intervals() {
        let mut tape = Tape::new(Price(100), 10);
        for (id, second, price, qty) in
            [(1, 0, 100, 2), (2, 59, 110, 1), (3, 60, 90, 3), (4, 300, 95, 1)]
        {
            tape.add(&print(id, second, price, qty));
        }
        let minutes = tape.candles(1, 720);
        assert_eq!(minutes.len(), 3);
        assert_eq!(
            (minutes[0].open, minutes[0].close, minutes[0].trades),
            (Price(100), Price(110), 2)
        );
        let five = tape.candles(5, 720);
        assert_eq!(five.len(), 2);
        assert_eq!((five[0].high, five[0].low, five[0].close), (Price(110), Price(90), Price(90)));
        assert_eq!((five[0].volume_units(), five[0].vwap_units()), (6, 96));
        assert_eq!(tape.candles(5, 1)[0].begin_us, 300_000_000);
    }

    #[test]
    fn the_day_contains_what_came_before_and_the_tape_is_limited() {
        let mut tape = Tape::new(Price(100), 10);
        assert_eq!((tape.day().volume_units(), tape.day().vwap_units()), (10, 100));
        for id in 0..PRINTS_LIMIT as u64 + 10 {
            tape.add(&print(id, id as i64, 200, 1));
        }
        assert_eq!(tape.prints().len(), PRINTS_LIMIT);
        assert_eq!(tape.prints()[0].trade_id, 10);
        assert_eq!(tape.newest(2).map(|p| p.trade_id).collect::<Vec<_>>(), [5_008, 5_009]);
        assert_eq!((tape.day().high, tape.day().low), (Price(200), Price(100)));
    }
}
