//! The scenario `cascade`: pump, stacking, tension, cascade, and the dead market afterwards, in
//! prices, spreads and flow, and in open interest, funding, mark and liquidations of the
//! derivatives.
//!
//! Input: when it starts, how many symbols walk, market time. Output: the segment of a symbol and
//! the mood of its markets. Invariants: the walkers follow each other 20 s apart, first symbol
//! first; all others are calm; a mood is a function of the time alone. It moves nothing itself.

/// Seconds of each segment after the calm one.
const PUMP_S: f64 = 180.0;
const STACKING_S: f64 = 240.0;
const TENSION_S: f64 = 60.0;
const CASCADE_S: f64 = 40.0;
/// Seconds between two walkers.
const APART_S: f64 = 20.0;
/// Height of the pump, basis points: 60 a minute.
const PUMP_BPS: f64 = 180.0;
/// Fall of the cascade, basis points.
const CASCADE_BPS: f64 = 300.0;

/// Where in the script a symbol is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segment {
    /// Before the script, and for ever for symbols that do not walk.
    Calm,
    /// Volume, range and open interest rise; takers buy.
    Pump,
    /// Open interest and funding rise in a narrow range with a narrow spread.
    Stacking,
    /// The mark price leaves the market, the first liquidations.
    Tension,
    /// The fall: liquidations, a wide spread, open interest goes.
    Cascade,
    /// Little volume, nothing happens.
    Dead,
}

/// The script.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Story {
    /// Seconds of calm before the first walker starts.
    pub calm_s: f64,
    /// Symbols that walk, from the first.
    pub walkers: usize,
}

impl Default for Story {
    /// Twenty minutes of calm, so that averages of a quarter of an hour are settled; two walkers.
    fn default() -> Story {
        Story { calm_s: 1_200.0, walkers: 2 }
    }
}

/// How the markets of a symbol behave. Factors are relative to the calm market.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mood {
    /// Displacement of the fair price, basis points.
    pub displacement_bps: f64,
    /// Factor on the volatility.
    pub volatility: f64,
    /// Factor on the spread.
    pub spread: f64,
    /// Sweeps per second, spot.
    pub sweeps_per_s: f64,
    /// Probability that a taker buys; `None`: sides repeat with the recorded probability.
    pub buy_share: Option<f64>,
    /// Relative change of open interest per minute.
    pub oi_per_min: f64,
    /// Funding rate towards which the market goes, fraction of the notional per eight hours.
    pub funding_8h: f64,
    /// Mark price over the middle of the book, relative.
    pub mark_over_mid: f64,
    /// Share of the traded volume that is liquidations.
    pub liquidation_share: f64,
}

impl Mood {
    /// The calm market, with takers at this rate.
    pub const fn calm(sweeps_per_s: f64) -> Mood {
        Mood {
            displacement_bps: 0.0,
            volatility: 1.0,
            spread: 1.0,
            sweeps_per_s,
            buy_share: None,
            oi_per_min: 0.0,
            funding_8h: 0.0001,
            mark_over_mid: 0.0,
            liquidation_share: 0.001,
        }
    }
}

impl Story {
    /// Segment of a symbol, and how far it has gone in it (0 to 1; 0 in the endless ones).
    #[must_use]
    pub fn at(&self, symbol: usize, since_us: i64) -> (Segment, f64) {
        let mut left = since_us as f64 / 1e6 - self.calm_s - APART_S * symbol as f64;
        if symbol >= self.walkers || left < 0.0 {
            return (Segment::Calm, 0.0);
        }
        for (segment, length) in [
            (Segment::Pump, PUMP_S),
            (Segment::Stacking, STACKING_S),
            (Segment::Tension, TENSION_S),
            (Segment::Cascade, CASCADE_S),
        ] {
            if left < length {
                return (segment, left / length);
            }
            left -= length;
        }
        (Segment::Dead, 0.0)
    }

    /// The mood of a symbol's markets.
    #[must_use]
    pub fn mood(&self, symbol: usize, since_us: i64) -> Mood {
        let (segment, done) = self.at(symbol, since_us);
        let calm = Mood::calm(super::calibration::SWEEPS_PER_S);
        match segment {
            Segment::Calm => calm,
            Segment::Pump => Mood {
                displacement_bps: PUMP_BPS * done,
                volatility: 2.5,
                sweeps_per_s: 4.0,
                buy_share: Some(0.8),
                oi_per_min: 0.009,
                ..calm
            },
            Segment::Stacking => Mood {
                displacement_bps: PUMP_BPS,
                volatility: 0.3,
                spread: 0.6,
                sweeps_per_s: 1.5,
                buy_share: Some(0.6),
                oi_per_min: 0.009,
                funding_8h: 0.0001 + 0.0014 * done,
                ..calm
            },
            Segment::Tension => Mood {
                displacement_bps: PUMP_BPS,
                volatility: 0.4,
                spread: 0.5,
                sweeps_per_s: 1.5,
                buy_share: Some(0.5),
                oi_per_min: 0.002,
                funding_8h: 0.0015,
                mark_over_mid: 0.0033,
                liquidation_share: 0.03,
            },
            Segment::Cascade => Mood {
                displacement_bps: PUMP_BPS - CASCADE_BPS * done,
                volatility: 3.0,
                spread: 6.5,
                sweeps_per_s: 8.0,
                buy_share: Some(0.12),
                oi_per_min: -0.02,
                funding_8h: 0.0015 - 0.0012 * done,
                mark_over_mid: 0.0033,
                liquidation_share: 0.08,
            },
            Segment::Dead => Mood {
                displacement_bps: PUMP_BPS - CASCADE_BPS,
                volatility: 0.5,
                sweeps_per_s: 0.3,
                liquidation_share: 0.0,
                ..calm
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn walkers_go_through_all_segments_one_after_the_other() {
        let story = Story { calm_s: 10.0, walkers: 2 };
        let at = |symbol, second: i64| story.at(symbol, second * SECOND).0;
        for (second, segment) in [
            (0, Segment::Calm),
            (10, Segment::Pump),
            (189, Segment::Pump),
            (190, Segment::Stacking),
            (430, Segment::Tension),
            (490, Segment::Cascade),
            (530, Segment::Dead),
            (5_000, Segment::Dead),
        ] {
            assert_eq!(at(0, second), segment, "{second}");
            assert_eq!(at(1, second + 20), segment, "{second}");
            assert_eq!(at(2, second), Segment::Calm);
        }
    }

    #[test]
    fn price_and_funding_do_not_jump_between_segments() {
        let story = Story { calm_s: 0.0, walkers: 1 };
        let mut last = story.mood(0, 0);
        for tenth in 1..6_000 {
            let mood = story.mood(0, tenth * SECOND / 10);
            let moved = (mood.displacement_bps - last.displacement_bps).abs();
            assert!(moved < 1.0, "{tenth}: {moved}");
            // The dead market starts with ordinary funding; markets go there slowly.
            let rate = (mood.funding_8h - last.funding_8h).abs();
            assert!(rate < 3e-4, "{tenth}: {rate}");
            last = mood;
        }
    }
}
