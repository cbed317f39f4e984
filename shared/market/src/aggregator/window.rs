//! The seconds of a symbol: 300 buckets with exact sums, and the log mid at the end of each second.
//!
//! Sums over the trailing 60 s, 300 s and the epoch window are kept beside the buckets and corrected as
//! a second leaves them, so that a cut reads them without walking. All sums are integers and exact.

use crate::text;
use crate::units::float;
use serde::{Deserialize, Serialize};

/// Seconds kept.
pub(crate) const SECONDS: usize = 300;
/// Log mids kept: one more than the seconds, so that a return over all of them has both ends.
const MIDS: usize = 304;
/// Seconds of a window that must be covered before its figures are published.
pub(crate) const COVERED_SECS_MIN: i64 = 30;
/// A jump beyond this many seconds clears everything instead of walking through it.
const JUMP_SECS_MAX: i64 = 3_700;
const MICROS: i64 = 1_000_000;

/// Largest spread that is counted, 1e-4 bps. Between two positive prices it is at most 20,000 bps of their mid.
const SPREAD_MAX: i64 = 1_000_000_000;

/// What happened in one second. Three hundred of them are most of what a symbol costs in memory, so sums that
/// are bounded are no wider than they must be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bucket {
    /// Trades.
    pub trades: u32,
    /// Ticker rows.
    pub tickers: u32,
    /// L2 samples.
    pub l2: u32,
    /// Checksum failures.
    pub checksum_fails: u32,
    /// Losses of the order-by-order book.
    #[serde(default)]
    pub l3_resyncs: u32,
    /// Quote bought by takers, units of 1e-10.
    #[serde(with = "text::wide")]
    pub buy_quote: i128,
    /// Quote sold by takers, units of 1e-10.
    #[serde(with = "text::wide")]
    pub sell_quote: i128,
    /// Base traded, units of 1e-12.
    #[serde(with = "text::wide")]
    pub base: i128,
    /// Microseconds for which a spread was known, at most the 300 seconds of a window.
    pub spread_us: u32,
    /// Spread (1e-4 bps) times microseconds: at most [`SPREAD_MAX`] over 300 seconds.
    #[serde(with = "text::wide")]
    pub spread_sum: i64,
    /// Squared spread times microseconds.
    #[serde(with = "text::wide")]
    pub spread_squares: i128,
}

impl Bucket {
    fn add(&mut self, other: &Self) {
        self.trades += other.trades;
        self.tickers += other.tickers;
        self.l2 += other.l2;
        self.checksum_fails += other.checksum_fails;
        self.l3_resyncs += other.l3_resyncs;
        self.buy_quote += other.buy_quote;
        self.sell_quote += other.sell_quote;
        self.base += other.base;
        self.spread_us += other.spread_us;
        self.spread_sum += other.spread_sum;
        self.spread_squares += other.spread_squares;
    }

    fn subtract(&mut self, other: &Self) {
        self.trades -= other.trades;
        self.tickers -= other.tickers;
        self.l2 -= other.l2;
        self.checksum_fails -= other.checksum_fails;
        self.l3_resyncs -= other.l3_resyncs;
        self.buy_quote -= other.buy_quote;
        self.sell_quote -= other.sell_quote;
        self.base -= other.base;
        self.spread_us -= other.spread_us;
        self.spread_sum -= other.spread_sum;
        self.spread_squares -= other.spread_squares;
    }
}

/// The seconds of one symbol up to the current one, which is still open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Seconds {
    second: i64,
    first_second: i64,
    epoch_window: i64,
    buckets: Vec<Bucket>,
    #[serde(with = "text::bits")]
    log_mids: Vec<f64>,
    minute: Bucket,
    five_minutes: Bucket,
    epoch: Bucket,
    spread: Option<i64>,
    spread_from_us: i64,
    /// Mean spreads of the closed seconds that have one, ascending. Derived from the buckets: a cut finds
    /// its percentile here instead of dividing and sorting three hundred of them.
    #[serde(skip)]
    means: Vec<i64>,
}

/// A rolled-over second, told to the minutes.
pub(crate) struct Closed {
    /// Second that ended.
    pub second: i64,
    /// Log mid at its end, NaN when there was none.
    pub log_mid: f64,
}

impl Seconds {
    /// Starts at `at_us` with nothing.
    pub(crate) fn new(at_us: i64, epoch_window_secs: u16) -> Self {
        let second = at_us.div_euclid(MICROS);
        Self {
            second,
            first_second: second,
            epoch_window: i64::from(epoch_window_secs.clamp(1, 300)),
            buckets: vec![Bucket::default(); SECONDS],
            log_mids: vec![f64::NAN; MIDS],
            minute: Bucket::default(),
            five_minutes: Bucket::default(),
            epoch: Bucket::default(),
            spread: None,
            spread_from_us: at_us,
            means: Vec::with_capacity(SECONDS),
        }
    }

    /// Becomes the same as another one, in the memory that is there.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        let mut buckets = core::mem::take(&mut self.buckets);
        let mut log_mids = core::mem::take(&mut self.log_mids);
        let mut means = core::mem::take(&mut self.means);
        buckets.clone_from(&other.buckets);
        log_mids.clone_from(&other.log_mids);
        means.clone_from(&other.means);
        // Every other field is a number.
        let Self { second, first_second, epoch_window, minute, five_minutes, epoch, .. } = *other;
        let (spread, spread_from_us) = (other.spread, other.spread_from_us);
        *self = Self {
            second,
            first_second,
            epoch_window,
            buckets,
            log_mids,
            minute,
            five_minutes,
            epoch,
            spread,
            spread_from_us,
            means,
        };
    }

    /// Rebuilds what a checkpoint does not keep.
    pub(crate) fn derive(&mut self) {
        let open = slot(self.second, SECONDS);
        let closed = self.buckets.iter().enumerate().filter(|(i, _)| *i != open);
        self.means = closed.filter_map(|(_, bucket)| mean_spread(bucket)).collect();
        self.means.sort_unstable();
        self.means.reserve(SECONDS.saturating_sub(self.means.len()));
    }

    /// Adds to the current second and to every window that contains it.
    pub(crate) fn add(&mut self, change: &Bucket) {
        let slot = slot(self.second, SECONDS);
        self.buckets[slot].add(change);
        self.minute.add(change);
        self.five_minutes.add(change);
        self.epoch.add(change);
    }

    /// The spread from `at_us` on; `None` while there is no book.
    pub(crate) fn set_spread(&mut self, at_us: i64, spread: Option<i64>) {
        self.integrate(at_us);
        self.spread = spread.map(|spread| spread.clamp(-SPREAD_MAX, SPREAD_MAX));
    }

    fn integrate(&mut self, to_us: i64) {
        let elapsed = to_us - self.spread_from_us;
        if elapsed <= 0 {
            return;
        }
        self.spread_from_us = to_us;
        if let Some(spread) = self.spread {
            // Within one second, as time goes on only through `advance`.
            let us = u32::try_from(elapsed).unwrap_or(u32::MAX);
            let sum = spread * i64::from(us);
            self.add(&Bucket {
                spread_us: us,
                spread_sum: sum,
                spread_squares: i128::from(sum) * i128::from(spread),
                ..Bucket::default()
            });
        }
    }

    /// Closes every second that ended before the one that contains `at_us`.
    pub(crate) fn advance(&mut self, at_us: i64, log_mid: f64, mut closed: impl FnMut(Closed)) {
        let target = at_us.div_euclid(MICROS);
        if target - self.second > JUMP_SECS_MAX {
            *self = Self::new(at_us, u16::try_from(self.epoch_window).unwrap_or(300));
            return;
        }
        while self.second < target {
            self.integrate((self.second + 1) * MICROS);
            self.log_mids[slot(self.second, MIDS)] = log_mid;
            closed(Closed { second: self.second, log_mid });
            if let Some(mean) = mean_spread(&self.buckets[slot(self.second, SECONDS)]) {
                let at = self.means.partition_point(|m| *m < mean);
                self.means.insert(at, mean);
            }
            self.second += 1;
            self.open_second();
        }
    }

    /// Adds the spread up to `at_us` without closing the second, for a cut.
    pub(crate) fn settle(&mut self, at_us: i64) {
        self.integrate(at_us);
    }

    fn open_second(&mut self) {
        let leaving = |secs: i64| slot(self.second - secs, SECONDS);
        let (minute, epoch) = (self.buckets[leaving(60)], self.buckets[leaving(self.epoch_window)]);
        let oldest = self.buckets[slot(self.second, SECONDS)];
        self.minute.subtract(&minute);
        self.epoch.subtract(&epoch);
        self.five_minutes.subtract(&oldest);
        if let Some(mean) = mean_spread(&oldest)
            && let Ok(at) = self.means.binary_search(&mean)
        {
            self.means.remove(at);
        }
        self.buckets[slot(self.second, SECONDS)] = Bucket::default();
        self.log_mids[slot(self.second, MIDS)] = f64::NAN;
    }

    /// Sums of the last 60 seconds.
    pub(crate) const fn minute(&self) -> &Bucket {
        &self.minute
    }

    /// What takers bought and sold, units of 1e-10, in the minute that ends with the second of `at_us`,
    /// which may lie ahead of the current one. Moves nothing.
    pub(crate) fn takers_at(&self, at_us: i64) -> (i128, i128) {
        let ahead = at_us.div_euclid(MICROS) - self.second;
        let left = (self.second - 59)..=(self.second - 60 + ahead.clamp(0, 60));
        let gone = left.map(|second| &self.buckets[slot(second, SECONDS)]);
        let sums = (self.minute.buy_quote, self.minute.sell_quote);
        gone.fold(sums, |sums, bucket| (sums.0 - bucket.buy_quote, sums.1 - bucket.sell_quote))
    }

    /// The current second.
    pub(crate) const fn second(&self) -> i64 {
        self.second
    }

    /// Seconds of the epoch window, and how many of them are covered.
    pub(crate) fn epoch_secs(&self) -> (i64, i64) {
        (self.epoch_window, self.covered_secs().min(self.epoch_window))
    }

    /// Sums of the last 300 seconds.
    pub(crate) const fn five_minutes(&self) -> &Bucket {
        &self.five_minutes
    }

    /// Sums of the epoch window.
    pub(crate) const fn epoch(&self) -> &Bucket {
        &self.epoch
    }

    /// Seconds since the first one, the current one included.
    pub(crate) const fn covered_secs(&self) -> i64 {
        self.second - self.first_second + 1
    }

    /// Log mid at the end of the second `back` before the current one; NaN where there is none.
    pub(crate) fn log_mid_back(&self, back: i64) -> f64 {
        let second = self.second - back;
        let kept = i64::try_from(MIDS).unwrap_or(0);
        if back <= 0 || back >= kept || second < self.first_second {
            return f64::NAN;
        }
        self.log_mids[slot(second, MIDS)]
    }

    /// Log mids `step` seconds apart, newest first, from `step` seconds before the current one on; NaN
    /// where there is none.
    pub(crate) fn log_mids_back(&self, step: usize) -> impl Iterator<Item = f64> {
        let known = usize::try_from(self.second - self.first_second).unwrap_or(0).min(MIDS - 1);
        let newest = slot(self.second, MIDS);
        (1..=(MIDS - 1) / step).map(move |n| {
            let back = n * step;
            if back > known { f64::NAN } else { self.log_mids[(newest + MIDS - back) % MIDS] }
        })
    }

    /// Mean, standard deviation and 90th percentile of the spread over 300 s in bps, each time-weighted
    /// (the percentile over the means of the seconds, nearest rank); `None` below 30 s of spread.
    pub(crate) fn spread_figures(&self) -> Option<[f64; 3]> {
        let sums = &self.five_minutes;
        if i64::from(sums.spread_us) < COVERED_SECS_MIN * MICROS {
            return None;
        }
        let weight = float(i128::from(sums.spread_us));
        let mean = float(i128::from(sums.spread_sum)) / weight;
        let variance = float(sums.spread_squares) / weight - mean * mean;
        let p90 = float(i128::from(self.mean_percentile(9, 10)));
        Some([mean / 10_000.0, variance.max(0.0).sqrt() / 10_000.0, p90 / 10_000.0])
    }

    /// Nearest rank among the means of the seconds, the open one included; 0 without any.
    fn mean_percentile(&self, numerator: usize, denominator: usize) -> i64 {
        let open = mean_spread(&self.buckets[slot(self.second, SECONDS)]);
        let n = self.means.len() + usize::from(open.is_some());
        let rank = (n * numerator).div_ceil(denominator).max(1) - 1;
        let closed = |at: usize| self.means.get(at).copied().unwrap_or(0);
        let Some(open) = open else { return closed(rank) };
        // Where the open second would stand among the closed ones.
        match self.means.partition_point(|m| *m < open) {
            place if rank < place => closed(rank),
            place if rank == place => open,
            _ => closed(rank - 1),
        }
    }
}

/// Mean spread of a second in 1e-4 bps; `None` while there was no spread in it.
fn mean_spread(bucket: &Bucket) -> Option<i64> {
    bucket.spread_sum.checked_div(i64::from(bucket.spread_us))
}

fn slot(second: i64, len: usize) -> usize {
    let len = i64::try_from(len).unwrap_or(1);
    usize::try_from(second.rem_euclid(len)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trade() -> Bucket {
        Bucket { trades: 1, buy_quote: 7, ..Bucket::default() }
    }

    #[test]
    fn a_second_leaves_each_window_when_it_is_due() {
        let mut seconds = Seconds::new(0, 20);
        seconds.add(&trade());
        let counts = |s: &Seconds| (s.minute().trades, s.five_minutes().trades, s.epoch().trades);
        for (second, want) in [
            (19, (1, 1, 1)),
            (20, (1, 1, 0)),
            (59, (1, 1, 0)),
            (60, (0, 1, 0)),
            (299, (0, 1, 0)),
            (300, (0, 0, 0)),
        ] {
            seconds.advance(second * MICROS, f64::NAN, |_| {});
            assert_eq!(counts(&seconds), want, "second {second}");
        }
        assert_eq!(*seconds.five_minutes(), Bucket::default());
    }

    #[test]
    fn a_second_is_no_wider_than_it_must_be_and_sums_hold_the_widest_spread() {
        assert_eq!(size_of::<Bucket>(), 96);
        let mut seconds = Seconds::new(0, 300);
        seconds.set_spread(0, Some(i64::MAX));
        for second in 1..=400 {
            seconds.advance(second * MICROS, f64::NAN, |_| {});
        }
        seconds.settle(400 * MICROS + 999_999);
        let [mean, deviation, _] = seconds.spread_figures().unwrap();
        assert!((mean - 100_000.0).abs() < 1e-6 && deviation.abs() < 1e-3, "{mean} {deviation}");
    }

    #[test]
    fn the_spread_is_weighted_by_time_across_seconds() {
        let mut seconds = Seconds::new(0, 300);
        seconds.set_spread(0, Some(20_000));
        seconds.advance(30 * MICROS, 0.0, |_| {});
        seconds.set_spread(30 * MICROS, Some(50_000));
        seconds.advance(40 * MICROS, 0.0, |_| {});
        seconds.settle(40 * MICROS);
        // 30 s at 2 bps, 10 s at 5 bps: mean 2.75, variance 0.75·0.25·9 = 1.6875.
        let [mean, deviation, p90] = seconds.spread_figures().unwrap();
        assert!((mean - 2.75).abs() < 1e-12);
        assert!((deviation - 1.6875_f64.sqrt()).abs() < 1e-9);
        assert!((p90 - 5.0).abs() < 1e-12);
    }

    #[test]
    fn figures_wait_for_thirty_seconds_of_spread() {
        let mut seconds = Seconds::new(0, 300);
        seconds.set_spread(0, Some(1));
        seconds.settle(30 * MICROS - 1);
        assert!(seconds.spread_figures().is_none());
        seconds.settle(30 * MICROS);
        assert!(seconds.spread_figures().is_some());
    }

    /// By dividing and sorting all seconds, as the definition says it.
    fn percentile_by_definition(seconds: &Seconds) -> i64 {
        let with_spread = seconds.buckets.iter().filter(|b| b.spread_us > 0);
        let mut means: Vec<i64> =
            with_spread.map(|b| b.spread_sum / i64::from(b.spread_us)).collect();
        means.sort_unstable();
        means[(means.len() * 9).div_ceil(10).max(1) - 1]
    }

    proptest::proptest! {
        #[test]
        fn the_percentile_is_that_of_all_seconds_whatever_came_and_left(
            steps in proptest::collection::vec((1_i64..2_500_000, -5_i64..4_000), 30..900),
        ) {
            let mut seconds = Seconds::new(0, 300);
            let mut now = 0;
            for (elapsed, spread) in steps {
                now += elapsed;
                seconds.advance(now, f64::NAN, |_| {});
                seconds.set_spread(now, (spread >= 0).then_some(spread * spread));
                if seconds.five_minutes().spread_us > 0 {
                    let want = percentile_by_definition(&seconds);
                    proptest::prop_assert_eq!(seconds.mean_percentile(9, 10), want);
                }
            }
            let mut derived = seconds.clone();
            derived.means.clear();
            derived.derive();
            proptest::prop_assert_eq!(derived.means, seconds.means);
        }
    }

    #[test]
    fn log_mids_are_kept_for_three_hundred_seconds() {
        let mut seconds = Seconds::new(0, 300);
        for second in 1..=301 {
            seconds.advance(second * MICROS, second as f64, |_| {});
        }
        assert!((seconds.log_mid_back(300) - 2.0).abs() < f64::EPSILON);
        assert!((seconds.log_mid_back(1) - 301.0).abs() < f64::EPSILON);
        assert!(seconds.log_mid_back(400).is_nan());
        let tens: Vec<f64> = seconds.log_mids_back(10).collect();
        assert_eq!(tens.len(), 30);
        for (n, mid) in tens.into_iter().enumerate() {
            let back = 10 * (i64::try_from(n).unwrap() + 1);
            assert!((mid - seconds.log_mid_back(back)).abs() < f64::EPSILON, "{back}");
        }
        let young = Seconds::new(0, 300);
        assert!(young.log_mids_back(10).all(f64::is_nan));
    }
}
