//! Moves of the market that somebody asked for, for good.
//!
//! Inputs: pair, how far, in which time. Outputs: each pair's displacement at a market time. Invariants: a
//! move ends where it was asked to and stays there; moves add up; nothing is random here.

/// One move.
#[derive(Debug, Clone, Copy)]
struct Shift {
    from_us: i64,
    over_us: i64,
    ln_bps: f64,
}

/// Moves of all pairs.
#[derive(Debug, Default)]
pub(super) struct Shifts {
    pairs: Vec<(f64, Vec<Shift>)>,
}

impl Shifts {
    /// No moves, for so many pairs.
    pub(super) fn new(pairs: usize) -> Self {
        Self { pairs: vec![(0.0, Vec::new()); pairs] }
    }

    /// Moves a pair by so many basis points of its price from now on; what lies outside −99 % … +900 % is
    /// cut to it.
    pub(super) fn add(&mut self, symbol: usize, bps: f64, over_us: i64, now_us: i64) {
        let Some((settled, moving)) = self.pairs.get_mut(symbol) else { return };
        let ended = |shift: &Shift| shift.from_us.saturating_add(shift.over_us) <= now_us;
        *settled +=
            moving.iter().filter(|shift| ended(shift)).map(|shift| shift.ln_bps).sum::<f64>();
        moving.retain(|shift| !ended(shift));
        let ln_bps = (1.0 + bps.clamp(-9_900.0, 90_000.0) / 10_000.0).ln() * 10_000.0;
        moving.push(Shift { from_us: now_us, over_us: over_us.max(1), ln_bps });
    }

    /// Displacement of a pair, basis points of the logarithm.
    pub(super) fn at(&self, symbol: usize, now_us: i64) -> f64 {
        let Some((settled, moving)) = self.pairs.get(symbol) else { return 0.0 };
        let done = |shift: &Shift| {
            let since_us = now_us.saturating_sub(shift.from_us) as f64;
            shift.ln_bps * (since_us / shift.over_us as f64).clamp(0.0, 1.0)
        };
        settled + moving.iter().map(done).sum::<f64>()
    }

    /// True while a move of the pair goes on.
    pub(super) fn moves(&self, symbol: usize, now_us: i64) -> bool {
        let on = |shift: &Shift| shift.from_us.saturating_add(shift.over_us) > now_us;
        self.pairs.get(symbol).is_some_and(|(_, moving)| moving.iter().any(on))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_goes_on_evenly_ends_where_it_was_asked_to_and_adds_to_others() {
        let mut shifts = Shifts::new(2);
        shifts.add(0, 1_000.0, 10_000_000, 0);
        let whole = 1.1_f64.ln() * 10_000.0;
        assert!((shifts.at(0, 5_000_000) - whole / 2.0).abs() < 1e-6);
        assert!(shifts.moves(0, 9_999_999) && !shifts.moves(0, 10_000_000));
        assert!((shifts.at(0, i64::MAX) - whole).abs() < 1e-6);
        assert!(shifts.at(1, 5_000_000).abs() < 1e-12);
        shifts.add(0, -1_000.0, 0, 20_000_000);
        let back = whole + 0.9_f64.ln() * 10_000.0;
        assert!((shifts.at(0, 30_000_000) - back).abs() < 1e-6, "{}", shifts.at(0, 30_000_000));
        shifts.add(7, 1.0, 1, 0);
    }
}
