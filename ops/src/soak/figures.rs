//! Quantiles of measured times.

use serde_json::{Value, json};

/// Times in milliseconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Times {
    list: Vec<f32>,
}

/// Quantiles of times, milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Quantiles {
    /// How many there were.
    pub count: u64,
    /// Half of them are not longer.
    pub p50: f64,
    /// 99 of 100 are not longer.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

impl Times {
    /// Adds one, microseconds.
    pub(super) fn push_us(&mut self, us: i64) {
        self.list.push(us as f32 / 1_000.0);
    }

    /// The quantiles by nearest rank; zeros without times.
    pub(super) fn quantiles(mut self) -> Quantiles {
        self.list.sort_unstable_by(f32::total_cmp);
        let rank = |percent: usize| {
            let rank = (self.list.len() * percent).div_ceil(100).max(1);
            self.list.get(rank - 1).copied().map_or(0.0, f64::from)
        };
        Quantiles { count: self.list.len() as u64, p50: rank(50), p99: rank(99), max: rank(100) }
    }
}

impl Quantiles {
    /// As JSON, tenths of a millisecond.
    pub(super) fn json(&self) -> Value {
        let tenth = |ms: f64| (ms * 10.0).round() / 10.0;
        json!({
            "count": self.count, "p50": tenth(self.p50), "p99": tenth(self.p99),
            "max": tenth(self.max),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_times_that_were_measured() {
        let mut times = Times::default();
        for ms in (1..=200).rev() {
            times.push_us(ms * 1_000);
        }
        let found = times.quantiles();
        assert_eq!((found.count, found.p50, found.p99, found.max), (200, 100.0, 198.0, 200.0));
        assert_eq!(Times::default().quantiles(), Quantiles::default());
    }
}
