//! How often a symbol was made quiet, and when that is too often.
//!
//! Input: moments at which a symbol was made quiet. Output: whether it is the third within half an
//! hour. Plain memory of one symbol, bounded by the rule itself.

use std::collections::VecDeque;

use penstock_types::UtcMicros;

/// Quiet times that make a symbol exit-only.
pub const QUIETS_MAX: usize = 3;
/// Window in which they count, and how long exit-only lasts, milliseconds.
pub const QUIETS_WINDOW_MS: i64 = 1_800_000;

/// Quiet times of one symbol.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quiets {
    at: VecDeque<UtcMicros>,
}

impl Quiets {
    /// The symbol is made quiet now; true when it is the third time within the window. The count then
    /// starts anew.
    pub fn note(&mut self, now: UtcMicros) -> bool {
        self.at.retain(|at| now.millis_since(*at) < QUIETS_WINDOW_MS);
        self.at.push_back(now);
        let too_often = self.at.len() >= QUIETS_MAX;
        if too_often {
            self.at.clear();
        }
        too_often
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> UtcMicros {
        UtcMicros(secs * 1_000_000)
    }

    #[test]
    fn the_third_quiet_within_half_an_hour_is_too_often() {
        let mut quiets = Quiets::default();
        assert!(!quiets.note(at(0)));
        assert!(!quiets.note(at(900)));
        assert!(quiets.note(at(1_799)));
        assert!(!quiets.note(at(1_800)), "the count starts anew");
    }

    #[test]
    fn a_quiet_of_half_an_hour_ago_does_not_count() {
        let mut quiets = Quiets::default();
        assert!(!quiets.note(at(0)));
        assert!(!quiets.note(at(900)));
        assert!(!quiets.note(at(1_800)));
        assert!(quiets.note(at(1_801)));
    }
}
