//! The minutes of a symbol: 120 one-minute candles of trades with the log mid at their end, and the
//! quarter-hour bars behind the average true range.
//!
//! Candles are outputs: each closed minute with a trade is handed out once, at the next cut.

use crate::text;
use crate::units::{decimal_of, float, units};
use penstock_types::decimal::scale;
use penstock_types::raw::{CandleRow, TradeRow};
use penstock_types::{Symbol, UtcMicros, vocab::Side};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Closed minutes kept.
const MINUTES: usize = 120;
/// Closed quarter-hour bars kept: fourteen ranges need fifteen closes.
const BARS: usize = 15;
/// Ranges of the mean.
const RANGES: usize = 14;
/// Least ranges that give a mean.
const RANGES_MIN: usize = 3;
const SECS_PER_MINUTE: i64 = 60;
const MINUTES_PER_BAR: i64 = 15;

/// Prices in units of 1e-12, volumes in units of their column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Candle {
    trades: i32,
    #[serde(with = "text::wide")]
    open: i128,
    #[serde(with = "text::wide")]
    high: i128,
    #[serde(with = "text::wide")]
    low: i128,
    #[serde(with = "text::wide")]
    close: i128,
    #[serde(with = "text::wide")]
    base: i128,
    #[serde(with = "text::wide")]
    quote: i128,
    #[serde(with = "text::wide")]
    buy_base: i128,
}

impl Candle {
    fn trade(&mut self, price: i128, base: i128, quote: i128, is_buy: bool) {
        if self.trades == 0 {
            (self.open, self.high, self.low) = (price, price, price);
        }
        self.high = self.high.max(price);
        self.low = self.low.min(price);
        self.close = price;
        self.base += base;
        self.quote += quote;
        self.buy_base += if is_buy { base } else { 0 };
        self.trades += 1;
    }

    fn merge(&mut self, later: &Self) {
        if later.trades == 0 {
            return;
        }
        if self.trades == 0 {
            *self = *later;
            return;
        }
        self.high = self.high.max(later.high);
        self.low = self.low.min(later.low);
        self.close = later.close;
        self.trades += later.trades;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct ClosedMinute {
    minute: i64,
    #[serde(with = "text::bits_one")]
    log_mid: f64,
}

/// The minutes of one symbol.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Minutes {
    minute: i64,
    since_us: i64,
    open: Candle,
    bar: Candle,
    mids: VecDeque<ClosedMinute>,
    bars: VecDeque<Candle>,
    ready: Vec<(i64, Candle, bool)>,
    gap_until_us: i64,
    /// Figures of the closed minutes; they change with a minute, not with a cut.
    #[serde(skip)]
    figures: MinuteFigures,
}

/// What the closed minutes say until the next one closes. Derived from them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct MinuteFigures {
    /// Root mean square of the one-minute log returns of 15 minutes, with their number.
    pub rms_15: Option<(f64, usize)>,
    /// Of 30 minutes.
    pub rms_30: Option<(f64, usize)>,
    /// Mean true range of the quarter-hour bars, bps.
    pub atr_bps: Option<f64>,
}

impl Minutes {
    pub(crate) fn new(at_us: i64) -> Self {
        Self {
            minute: at_us.div_euclid(SECS_PER_MINUTE * 1_000_000),
            since_us: at_us,
            open: Candle::default(),
            bar: Candle::default(),
            mids: VecDeque::with_capacity(MINUTES + 1),
            bars: VecDeque::with_capacity(BARS + 1),
            ready: Vec::new(),
            gap_until_us: i64::MIN,
            figures: MinuteFigures::default(),
        }
    }

    /// Becomes the same as another one, in the memory that is there.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        let Self { minute, since_us, open, bar, mids, bars, ready, gap_until_us, figures } = other;
        (self.minute, self.since_us, self.gap_until_us) = (*minute, *since_us, *gap_until_us);
        (self.open, self.bar, self.figures) = (*open, *bar, *figures);
        self.mids.clone_from(mids);
        self.bars.clone_from(bars);
        self.ready.clone_from(ready);
    }

    /// Derives the figures of the closed minutes: after one has closed, and after a checkpoint was read.
    pub(crate) fn derive(&mut self) {
        self.figures = MinuteFigures {
            rms_15: self.returns_rms(15),
            rms_30: self.returns_rms(30),
            atr_bps: self.atr_bps(),
        };
    }

    /// Figures of the closed minutes.
    pub(crate) const fn figures(&self) -> &MinuteFigures {
        &self.figures
    }

    /// Takes a trade of the current minute.
    pub(crate) fn trade(&mut self, trade: &TradeRow, base: i128, quote: i128) {
        self.open.trade(units(trade.price, scale::PX), base, quote, trade.side == Side::Buy);
    }

    /// The symbol was not fully seen up to this time; minutes before it are incomplete.
    pub(crate) const fn blind_until(&mut self, us: i64) {
        if us > self.gap_until_us {
            self.gap_until_us = us;
        }
    }

    /// Takes the end of a second.
    pub(crate) fn second_closed(&mut self, second: i64, log_mid: f64) {
        let minute = second.div_euclid(SECS_PER_MINUTE);
        self.minute = minute;
        if second.rem_euclid(SECS_PER_MINUTE) != SECS_PER_MINUTE - 1 {
            return;
        }
        let start_us = minute * SECS_PER_MINUTE * 1_000_000;
        if self.open.trades > 0 {
            let complete = self.since_us <= start_us && self.gap_until_us <= start_us;
            self.ready.push((minute, self.open, complete));
        }
        keep(&mut self.mids, ClosedMinute { minute, log_mid }, MINUTES);
        self.bar.merge(&self.open);
        self.open = Candle::default();
        if minute.rem_euclid(MINUTES_PER_BAR) == MINUTES_PER_BAR - 1 {
            if self.bar.trades > 0 {
                keep(&mut self.bars, self.bar, BARS);
            }
            self.bar = Candle::default();
        }
        self.derive();
    }

    /// Hands out the candles that closed since the last call.
    pub(crate) fn take_closed(&mut self, symbol: &Symbol, out: &mut Vec<CandleRow>) {
        for (minute, candle, complete) in self.ready.drain(..) {
            out.extend(candle_row(symbol, minute, &candle, complete));
        }
    }

    /// Root mean square of the one-minute log returns of the last `n` minutes, with their number.
    fn returns_rms(&self, n: usize) -> Option<(f64, usize)> {
        let (mut sum, mut count) = (0.0, 0_u32);
        for (older, newer) in self.mids.iter().rev().skip(1).zip(self.mids.iter().rev()).take(n) {
            let r = newer.log_mid - older.log_mid;
            if r.is_finite() && newer.minute == older.minute + 1 {
                sum += r * r;
                count += 1;
            }
        }
        (count > 0).then(|| ((sum / f64::from(count)).sqrt(), count as usize))
    }

    /// Oldest known log mid at or after `second`, with the second at whose end it stood.
    pub(crate) fn oldest_mid_since(&self, second: i64) -> Option<(i64, f64)> {
        let end = |m: &ClosedMinute| (m.minute + 1) * SECS_PER_MINUTE - 1;
        let found = self.mids.iter().find(|m| end(m) >= second && m.log_mid.is_finite())?;
        Some((end(found), found.log_mid))
    }

    /// Mean true range of the last 14 quarter-hour bars in bps of each bar's close; `None` below three.
    fn atr_bps(&self) -> Option<f64> {
        let (mut sum, mut count) = (0.0, 0_u32);
        let newest_first = self.bars.iter().rev();
        for (bar, before) in newest_first.clone().zip(newest_first.skip(1)).take(RANGES) {
            let range = (bar.high - bar.low)
                .max((bar.high - before.close).abs())
                .max((bar.low - before.close).abs());
            sum += float(range) / float(bar.close) * 10_000.0;
            count += 1;
        }
        (count as usize >= RANGES_MIN).then(|| sum / f64::from(count))
    }
}

fn keep<T>(ring: &mut VecDeque<T>, value: T, limit: usize) {
    if ring.len() == limit {
        ring.pop_front();
    }
    ring.push_back(value);
}

fn candle_row(symbol: &Symbol, minute: i64, candle: &Candle, complete: bool) -> Option<CandleRow> {
    Some(CandleRow {
        symbol: symbol.clone(),
        minute: UtcMicros(minute * SECS_PER_MINUTE * 1_000_000),
        open: decimal_of(candle.open, scale::PX)?,
        high: decimal_of(candle.high, scale::PX)?,
        low: decimal_of(candle.low, scale::PX)?,
        close: decimal_of(candle.close, scale::PX)?,
        base_vol: decimal_of(candle.base, scale::QTY)?,
        quote_vol: decimal_of(candle.quote, scale::AMT)?,
        buy_base_vol: decimal_of(candle.buy_base, scale::QTY)?,
        trades: candle.trades,
        complete,
    })
}
