//! When which symbol is pulsed, and how far: the script of the scenario `pulses`.
//!
//! Input: a seed, the number of symbols, market time in microseconds since the start of the
//! scenario. Output: each symbol's displacement and phase. Invariants: a pulse ends where it began
//! (the fall takes back the rise); a symbol carries at most one pulse; each pulse goes to the
//! symbol that has rested longest, ties broken by a seeded permutation. It moves nothing itself.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::story::Segment;

const SECOND_US: i64 = 1_000_000;
/// Slope of the three opening pulses, basis points per minute.
const OPENING_SLOPE: f64 = 80.0;
/// Rise of the opening pulses, seconds; each falls three times as fast.
const OPENING_RISE_S: [i64; 3] = [45, 60, 75];
/// First of the regular pulses.
const REGULAR_FROM_S: i64 = 24;
/// Regular pulses come this often until [`DENSE_UNTIL_S`] …
const DENSE_EVERY_S: i64 = 30;
/// … the last of the dense ones …
const DENSE_UNTIL_S: i64 = 234;
/// … and this often afterwards.
const SPARSE_EVERY_S: i64 = 60;
/// Rise of a regular pulse; it falls twice as fast.
const REGULAR_RISE_S: i64 = 50;
/// Slope of a regular pulse per root second of the volatility window filled so far: it makes the
/// five-minute volatility reach the same height whether the window is short or full.
const REGULAR_SLOPE: f64 = 14.3;

/// What a symbol is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// No pulse.
    Rest,
    /// Rising: takers buy.
    Rise,
    /// Falling: takers sell.
    Fall,
    /// A segment of the scenario `cascade`.
    Story(Segment),
}

/// One pulse of the script.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pulse {
    /// Market time of its start, microseconds since the scenario began.
    pub start_us: i64,
    /// Length of the rise, microseconds.
    pub rise_us: i64,
    /// Length of the fall, microseconds.
    pub fall_us: i64,
    /// Slope of the rise, basis points per minute.
    pub slope: f64,
}

impl Pulse {
    /// The `number`-th pulse of the script.
    pub fn nth(number: usize) -> Self {
        if let Some(&rise_s) = OPENING_RISE_S.get(number) {
            return Self::new(0, rise_s, rise_s * SECOND_US / 3, OPENING_SLOPE);
        }
        let regular = (number - OPENING_RISE_S.len()) as i64;
        let dense = (DENSE_UNTIL_S - REGULAR_FROM_S) / DENSE_EVERY_S;
        let start_s = if regular <= dense {
            REGULAR_FROM_S + regular * DENSE_EVERY_S
        } else {
            DENSE_UNTIL_S + (regular - dense) * SPARSE_EVERY_S
        };
        let window_s = (start_s + 30).min(300) as f64;
        let fall_us = REGULAR_RISE_S * SECOND_US / 2;
        Self::new(start_s, REGULAR_RISE_S, fall_us, REGULAR_SLOPE * window_s.sqrt())
    }

    fn new(start_s: i64, rise_s: i64, fall_us: i64, slope: f64) -> Self {
        Self { start_us: start_s * SECOND_US, rise_us: rise_s * SECOND_US, fall_us, slope }
    }

    /// End of the pulse.
    pub fn end_us(&self) -> i64 {
        self.start_us + self.rise_us + self.fall_us
    }

    /// Height at the top, basis points.
    pub fn height_bps(&self) -> f64 {
        self.slope * self.rise_us as f64 / 60e6
    }

    /// Phase and displacement (basis points) at a time.
    pub fn at(&self, now_us: i64) -> (Phase, f64) {
        let since = now_us - self.start_us;
        if since < 0 || now_us >= self.end_us() {
            (Phase::Rest, 0.0)
        } else if since < self.rise_us {
            (Phase::Rise, self.slope * since as f64 / 60e6)
        } else {
            let falling = (since - self.rise_us) as f64 / self.fall_us as f64;
            (Phase::Fall, self.height_bps() * (1.0 - falling))
        }
    }
}

/// The script bound to symbols.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Place in the seeded permutation, per symbol.
    order: Vec<usize>,
    /// The newest pulse of each symbol; it stays after its end.
    pulses: Vec<Option<Pulse>>,
    next: usize,
}

impl Schedule {
    /// A script for `symbols` symbols.
    pub fn new(seed: u64, symbols: usize) -> Self {
        let mut order: Vec<usize> = (0..symbols).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed ^ 0x70756c736573));
        Self { order, pulses: vec![None; symbols], next: 0 }
    }

    /// Start of the next pulse that has not been given to a symbol.
    pub fn next_start_us(&self) -> i64 {
        Pulse::nth(self.next).start_us
    }

    /// Gives every pulse that is due to the symbol that has rested longest. When all are busy the
    /// pulse is dropped: a market of few symbols cannot carry the script of many.
    pub fn advance(&mut self, now_us: i64) {
        while self.next_start_us() <= now_us {
            let pulse = Pulse::nth(self.next);
            self.next += 1;
            let rested = |symbol: &usize| self.pulses[*symbol].map_or(i64::MIN, |p| p.end_us());
            let longest = (0..self.order.len())
                .filter(|symbol| rested(symbol) <= pulse.start_us)
                .min_by_key(|symbol| (rested(symbol), self.order[*symbol]));
            if let Some(symbol) = longest {
                self.pulses[symbol] = Some(pulse);
            }
        }
    }

    /// Phase and displacement of a symbol; symbols outside the script rest.
    pub fn at(&self, symbol: usize, now_us: i64) -> (Phase, f64) {
        self.pulses
            .get(symbol)
            .copied()
            .flatten()
            .map_or((Phase::Rest, 0.0), |pulse| pulse.at(now_us))
    }

    /// The newest pulse of a symbol.
    pub fn pulse(&self, symbol: usize) -> Option<Pulse> {
        self.pulses.get(symbol).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_begins_as_written() {
        let rows: Vec<(i64, i64, i64, f64)> = (0..14)
            .map(Pulse::nth)
            .map(|p| (p.start_us / SECOND_US, p.rise_us / SECOND_US, p.fall_us, p.slope))
            .collect();
        assert_eq!(rows[0], (0, 45, 15_000_000, 80.0));
        assert_eq!(rows[1], (0, 60, 20_000_000, 80.0));
        assert_eq!(rows[2], (0, 75, 25_000_000, 80.0));
        let starts: Vec<i64> = rows[3..].iter().map(|row| row.0).collect();
        assert_eq!(starts, [24, 54, 84, 114, 144, 174, 204, 234, 294, 354, 414]);
        assert!((rows[3].3 - 14.3 * 54f64.sqrt()).abs() < 1e-9);
        assert!((rows[12].3 - 14.3 * 300f64.sqrt()).abs() < 1e-9);
        assert_eq!((rows[3].1, rows[3].2), (50, 25_000_000));
    }

    #[test]
    fn a_pulse_ends_where_it_began_and_falls_as_steeply_as_written() {
        for number in 0..20 {
            let pulse = Pulse::nth(number);
            let top = pulse.start_us + pulse.rise_us;
            assert_eq!(pulse.at(pulse.start_us - 1).0, Phase::Rest);
            assert_eq!(pulse.at(top - 1).0, Phase::Rise);
            assert_eq!(pulse.at(top).0, Phase::Fall);
            assert_eq!(pulse.at(pulse.end_us()), (Phase::Rest, 0.0));
            let fall = (pulse.at(top).1 - pulse.at(top + SECOND_US).1) * 60.0;
            let factor = if number < 3 { 3.0 } else { 2.0 };
            assert!((fall - factor * pulse.slope).abs() < 1e-6, "pulse {number}");
        }
    }

    #[test]
    fn each_pulse_goes_to_the_symbol_that_rested_longest() {
        let mut schedule = Schedule::new(7, 32);
        let mut given = Vec::new();
        for second in 0..1_800 {
            let before = schedule.pulses.clone();
            schedule.advance(second * SECOND_US);
            let changed = (0..32).filter(|&s| schedule.pulses[s] != before[s]);
            given.extend(changed.map(|symbol| (second, symbol)));
        }
        let first: std::collections::BTreeSet<usize> = given.iter().take(32).map(|g| g.1).collect();
        assert_eq!(first.len(), 32, "every symbol once before any a second time");
        assert_eq!(given.iter().take(3).filter(|g| g.0 == 0).count(), 3);
        let hot = |from: i64| given.iter().filter(|g| g.0 > from && g.0 <= from + 300).count();
        assert!((300..1_500).all(|from| hot(from) <= 8), "a quarter of 32 at most");
    }

    #[test]
    fn a_market_of_one_symbol_drops_what_it_cannot_carry() {
        let mut schedule = Schedule::new(1, 1);
        schedule.advance(0);
        assert_eq!(schedule.pulse(0).map(|pulse| pulse.rise_us), Some(45 * SECOND_US));
        schedule.advance(30 * SECOND_US);
        assert_eq!(schedule.pulse(0).map(|pulse| pulse.start_us), Some(0));
        schedule.advance(84 * SECOND_US);
        assert_eq!(schedule.pulse(0).map(|pulse| pulse.start_us), Some(84 * SECOND_US));
    }
}
