//! Windows over the quotes of one symbol: spread, imbalance, small-scale volatility of the last minute.
//!
//! Purpose: what the entry filters, the least edge and the price rules ask of the market's last minute. Inputs: the
//! quote that stands at every second sealed tick. Outputs: [`QuoteWindow`], whole numbers. Invariants: pure; a withdrawn
//! quote gives no sample; a sample of more than a minute ago counts no more, so that a quote which returns after an hour
//! does not meet figures of an hour ago; regime and costs never read this.

use std::collections::{BTreeMap, VecDeque};

use penstock_types::decimal::{from_feature, round_to, to_feature};
use penstock_types::{Decimal, Symbol, TickId};
use serde::{Deserialize, Serialize};

use crate::cycle::Quote;

/// A quote is sampled at every so many ticks of 250 ms.
pub const TICKS_PER_SAMPLE: i64 = 2;
/// Samples of the window: one minute.
const WINDOW_SAMPLES: usize = 120;
/// Samples below which the window says nothing.
pub const WINDOW_SAMPLES_MIN: i64 = 100;
/// Ticks of one minute.
const WINDOW_TICKS: i64 = 240;
/// Ticks of ten seconds: so far back the earlier 90th percentile of the spread is taken.
const BEFORE_TICKS: i64 = 40;
/// Samples of the median imbalance: ten seconds.
const IMBALANCE_SAMPLES: usize = 20;
/// Samples that are kept: the window of now and that of ten seconds ago.
const KEPT_SAMPLES: usize = WINDOW_SAMPLES + IMBALANCE_SAMPLES;
/// Minutes over whose figures the normal small-scale volatility is the median.
const BASELINE_MINUTES: usize = 60;
/// One as times 10,000.
const UNIT_X10000: i64 = 10_000;

/// Figures of one symbol at one tick.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuoteWindow {
    /// Symbol.
    pub symbol: Symbol,
    /// Samples of the last minute; below [`WINDOW_SAMPLES_MIN`] the figures are no figures.
    pub samples: i64,
    /// Median spread, bps, rounded up per sample.
    pub spread_p50_bps: i32,
    /// Its 90th percentile.
    pub spread_p90_bps: i32,
    /// Spread of the newest sample.
    pub spread_now_bps: i32,
    /// 90th percentile now less that of ten seconds ago.
    pub spread_p90_delta_bps: i32,
    /// Median share of the bid in the best quantities over ten seconds, times 10,000.
    pub imbalance_p50_x10000: i32,
    /// Root mean square of the returns between consecutive mids, bps.
    pub microvol_bps: i32,
    /// Median of that figure at the last sixty whole minutes; none before the first.
    pub microvol_normal_bps: Option<i32>,
}

impl QuoteWindow {
    /// The window holds enough to be believed.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.samples >= WINDOW_SAMPLES_MIN
    }
}

/// One sample.
#[derive(Debug, Clone, Copy)]
struct Sample {
    tick: i64,
    spread_bps: i32,
    imbalance_x10000: i32,
    mid: Decimal,
}

/// Samples of one symbol.
#[derive(Debug, Clone, Default)]
struct Samples {
    last: VecDeque<Sample>,
    minutes: VecDeque<i32>,
    minute: i64,
}

/// Samples of all symbols, fed by one tick after another.
#[derive(Debug, Clone, Default)]
pub struct QuoteWindows {
    symbols: BTreeMap<Symbol, Samples>,
    tick: i64,
}

impl QuoteWindows {
    /// No sample yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The quotes that stand at a tick. A tick that is no sampling tick, or not after the last one, is left out.
    pub fn tick<'a>(&mut self, tick: TickId, quotes: impl IntoIterator<Item = &'a Quote>) {
        if tick.0 % TICKS_PER_SAMPLE != 0 || tick.0 <= self.tick {
            return;
        }
        self.tick = tick.0;
        for quote in quotes {
            let Some(sample) = sample(tick.0, quote) else { continue };
            match self.symbols.get_mut(&quote.symbol) {
                Some(samples) => samples.push(sample),
                None => {
                    let mut samples = Samples::default();
                    samples.push(sample);
                    self.symbols.insert(quote.symbol.clone(), samples);
                }
            }
        }
    }

    /// The feed began anew: what was sampled before does not continue.
    pub fn clear(&mut self) {
        self.symbols.clear();
        self.tick = 0;
    }

    /// Figures of every symbol that was sampled within the last minute, symbols ascending.
    #[must_use]
    pub fn figures(&self) -> Vec<QuoteWindow> {
        let figures = self.symbols.iter().filter_map(|(symbol, s)| s.figures(symbol, self.tick));
        figures.collect()
    }
}

/// The sample of a sound quote; none when it has no two sides or figures that do not fit.
fn sample(tick: i64, quote: &Quote) -> Option<Sample> {
    if !quote.is_sound() {
        return None;
    }
    let mid = quote.mid();
    // Rounded up, so that an open market has at least one basis point and the tightest pairs are not lost.
    let spread = ((quote.ask - quote.bid) * Decimal::from(UNIT_X10000)).checked_div(mid)?.ceil();
    let both = quote.bid_qty.checked_add(quote.ask_qty)?;
    let share = quote.bid_qty.checked_mul(Decimal::from(UNIT_X10000))?.checked_div(both)?;
    Some(Sample {
        tick,
        spread_bps: i32::try_from(spread).ok()?,
        imbalance_x10000: i32::try_from(round_to(share, 0)).ok()?,
        mid,
    })
}

impl Samples {
    fn push(&mut self, sample: Sample) {
        let minute = sample.tick.div_euclid(WINDOW_TICKS);
        if minute != self.minute {
            // The figure of the minute that ended, if it was a whole one.
            let window = self.window(self.last.back().map_or(0, |last| last.tick));
            if self.minute != 0
                && i64::try_from(window.len()).is_ok_and(|n| n >= WINDOW_SAMPLES_MIN)
            {
                self.minutes.push_back(microvol(&window));
                if self.minutes.len() > BASELINE_MINUTES {
                    self.minutes.pop_front();
                }
            }
            self.minute = minute;
        }
        self.last.push_back(sample);
        if self.last.len() > KEPT_SAMPLES {
            self.last.pop_front();
        }
    }

    /// The samples of the minute that ends at a tick, oldest first.
    fn window(&self, end: i64) -> Vec<Sample> {
        let within = |s: &&Sample| s.tick <= end && s.tick > end - WINDOW_TICKS;
        self.last.iter().filter(within).copied().collect()
    }

    fn figures(&self, symbol: &Symbol, now: i64) -> Option<QuoteWindow> {
        let window = self.window(now);
        let newest = window.last()?;
        let spreads = |window: &[Sample]| sorted(window.iter().map(|s| s.spread_bps));
        let (spread_now, before) = (spreads(&window), spreads(&self.window(now - BEFORE_TICKS)));
        let p90 = percentile(&spread_now, 90)?;
        let lately = window.len().saturating_sub(IMBALANCE_SAMPLES);
        let imbalances = sorted(window[lately..].iter().map(|s| s.imbalance_x10000));
        let normal = sorted(self.minutes.iter().copied());
        Some(QuoteWindow {
            symbol: symbol.clone(),
            samples: i64::try_from(window.len()).ok()?,
            spread_p50_bps: percentile(&spread_now, 50)?,
            spread_p90_bps: p90,
            spread_now_bps: newest.spread_bps,
            // Before there was a window ten seconds ago nothing has changed against it.
            spread_p90_delta_bps: percentile(&before, 90)
                .map_or(0, |then| p90.saturating_sub(then)),
            imbalance_p50_x10000: percentile(&imbalances, 50)?,
            microvol_bps: microvol(&window),
            microvol_normal_bps: percentile(&normal, 50),
        })
    }
}

fn sorted(values: impl Iterator<Item = i32>) -> Vec<i32> {
    let mut values: Vec<i32> = values.collect();
    values.sort_unstable();
    values
}

/// Nearest rank of ascending values; none of none.
fn percentile(ascending: &[i32], percent: usize) -> Option<i32> {
    let rank = (ascending.len() * percent).div_ceil(100).checked_sub(1)?;
    ascending.get(rank).copied()
}

/// `10000·sqrt(Σ r²/n)`, r = simple return between consecutive mids, rounded half-even; 0 without a return.
fn microvol(window: &[Sample]) -> i32 {
    let mut sum = 0.0;
    for pair in window.windows(2) {
        let (before, after) = (to_feature(pair[0].mid), to_feature(pair[1].mid));
        let change = after / before - 1.0;
        sum += change * change;
    }
    let Some(returns) = window.len().checked_sub(1).filter(|n| *n > 0) else { return 0 };
    let count = to_feature(Decimal::from(returns));
    let bps = from_feature((sum / count).sqrt() * 10_000.0, 0);
    bps.and_then(|bps| i32::try_from(bps).ok()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests;
