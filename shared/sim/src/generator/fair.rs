//! The fair price of one symbol: a random walk with heavy tails plus the pulse's displacement.
//!
//! Input: market time, the displacement, a random source. Output: the natural logarithm of the
//! price. Invariants: increments have the volatility of the calibration whatever the step; the
//! displacement is added, not accumulated, so that a pulse leaves no trace. It knows no book.

use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StudentT};

use super::calibration::{INCREMENT_DOF, VOLATILITY_BPS};

/// One symbol's fair price.
#[derive(Debug, Clone)]
pub(super) struct FairPrice {
    base_ln: f64,
    walk_bps: f64,
    at_us: i64,
    increments: StudentT<f64>,
}

impl FairPrice {
    /// A fair price that starts at `price` quote units.
    pub(super) fn new(price: f64) -> Self {
        let increments = StudentT::new(INCREMENT_DOF).expect("the degrees of freedom are positive");
        Self { base_ln: price.ln(), walk_bps: 0.0, at_us: 0, increments }
    }

    /// Walks to `now_us` with so many times the calibrated volatility; a time in the past changes
    /// nothing.
    pub(super) fn advance(&mut self, now_us: i64, volatility: f64, rng: &mut ChaCha8Rng) {
        let minutes = (now_us - self.at_us) as f64 / 60e6;
        if minutes <= 0.0 {
            return;
        }
        self.at_us = now_us;
        // A t variable with n degrees of freedom has the variance n / (n − 2).
        let unit = (INCREMENT_DOF / (INCREMENT_DOF - 2.0)).sqrt();
        let step = self.increments.sample(rng) / unit;
        self.walk_bps += VOLATILITY_BPS * volatility * minutes.sqrt() * step;
    }

    /// Logarithm of the price under a displacement in basis points.
    pub(super) fn ln(&self, displacement_bps: f64) -> f64 {
        self.base_ln + (self.walk_bps + displacement_bps) / 10_000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn the_volatility_does_not_depend_on_the_step() {
        for step_us in [20_000, 500_000] {
            let mut rng = ChaCha8Rng::seed_from_u64(3);
            let mut fair = FairPrice::new(100.0);
            let (mut sum, mut last) = (0.0, fair.ln(0.0));
            for minute in 1..=2_000 {
                let mut now = (minute - 1) * 60_000_000;
                while now < minute * 60_000_000 {
                    now += step_us;
                    fair.advance(now, 1.0, &mut rng);
                }
                let ln = fair.ln(0.0);
                sum += ((ln - last) * 10_000.0).powi(2);
                last = ln;
            }
            let sd = (sum / 2_000.0).sqrt();
            assert!((3.6..4.4).contains(&sd), "step {step_us}: {sd}");
        }
    }
}
