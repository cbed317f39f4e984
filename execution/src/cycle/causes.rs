//! From what a cycle found to causes of the mode.
//!
//! Purpose: raise and clear the causes that an evaluation sees. Inputs: the assessment and the capital.
//! Outputs: causes on the board of the mode's owner. Invariants: a cause that the evaluation raised is
//! cleared by the evaluation only; a drawdown stays until the operator or a new day with less of it, over a restart too.

use penstock_trading::decide::{Assessment, Finding, Guarantees};
use penstock_trading::mode::{CauseCode, Level};
use penstock_types::vocab::ReasonCode;
use penstock_types::{Decimal, UtcMicros};

use crate::mode::{ModeHandle, Source};

/// Drawdown below which a new day ends the cause, bps of the mark.
const DRAWDOWN_DAY_BPS: i64 = 300;

/// Raises and clears what the assessment says.
pub(super) fn apply(mode: &ModeHandle, a: &Assessment) {
    let m = &a.matrix;
    let found = |code, is_active| Finding { code, is_active, value: None };
    let of_cycle = [
        found(CauseCode::UniverseTooSmall, !m.universe_viability),
        found(CauseCode::PrivateStreamSilent, !m.private_stream_ok),
        found(CauseCode::ProtectionMissing, !m.exposure_protected),
    ];
    let of_generation = Guarantees::from(a).findings();
    mode.set_all(Source::Cycle, of_generation.into_iter().chain(of_cycle));
}

/// Kill switches with their memory.
#[derive(Debug, Default)]
pub(super) struct KillSwitches {
    drawdown_day: Option<i64>,
    is_recalled: bool,
}

impl KillSwitches {
    /// UTC day on which the drawdown that stands was last over its limit; none when none stands.
    pub(super) const fn drawdown_day(&self) -> Option<i64> {
        self.drawdown_day
    }

    /// A process before this one may have left a drawdown that stands: it is raised again, once.
    pub(super) fn recall(&mut self, mode: &ModeHandle, kept: Option<i64>) {
        if std::mem::replace(&mut self.is_recalled, true) {
            return;
        }
        self.drawdown_day = kept;
        if kept.is_some() {
            let value = Some("of before the restart".to_owned());
            let code = CauseCode::RiskDrawdownLimit;
            mode.set_from(Source::Cycle, code, Level::Degrade, true, value);
        }
    }

    /// Raises and clears the causes of the loss limits.
    pub(super) fn apply(
        &mut self,
        mode: &ModeHandle,
        hits: &[(ReasonCode, Decimal, Decimal)],
        drawdown_bps: Decimal,
        now: UtcMicros,
    ) {
        for code in [CauseCode::RiskDailyLossLimit, CauseCode::RiskDailyLossPct] {
            let hit = hits.iter().find(|h| h.0.as_str() == code.as_str());
            let value = hit.map(|(_, value, limit)| format!("{value} at limit {limit}"));
            mode.set_from(Source::Cycle, code, Level::Degrade, hit.is_some(), value);
        }
        let day = now.secs().div_euclid(86_400);
        let code = CauseCode::RiskDrawdownLimit;
        let hit = hits.iter().find(|h| h.0.as_str() == code.as_str());
        if mode.is_acknowledged(code, hit.is_some()) {
            // The operator has seen this drawdown; the next one is another.
            self.drawdown_day = None;
        } else if hit.is_none() && self.drawdown_day.is_some() && !mode.is_active(code) {
            // Seen, and over by now.
            self.drawdown_day = None;
        } else if let Some((_, value, limit)) = hit {
            self.drawdown_day = Some(day);
            let value = Some(format!("{value} at limit {limit}"));
            mode.set_from(Source::Cycle, code, Level::Degrade, true, value);
        } else if self.drawdown_day.is_some_and(|since| since != day)
            && drawdown_bps < Decimal::from(DRAWDOWN_DAY_BPS)
        {
            self.drawdown_day = None;
            mode.set_from(Source::Cycle, code, Level::Degrade, false, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use penstock_trading::mode::{ModeTiming, Thresholds};

    use super::*;

    #[test]
    fn a_drawdown_that_was_acknowledged_is_raised_again_by_the_next_one_only() {
        let timing = ModeTiming { stable_window_ms: 0, pause_auto_recover_feed: true };
        let (mode, _changes) = ModeHandle::new(timing, Thresholds::default());
        let mut switches = KillSwitches::default();
        let code = CauseCode::RiskDrawdownLimit;
        let dec = |text| Decimal::from_str(text).unwrap_or_default();
        let hit = [(ReasonCode::RiskDrawdownLimit, dec("510"), dec("500"))];
        let now = UtcMicros(1_771_243_200_000_000);
        switches.apply(&mode, &hit, dec("510"), now);
        assert!(mode.is_active(code));
        switches.apply(&mode, &[], dec("450"), now);
        assert!(mode.is_active(code), "it stays although the drawdown is less");
        switches.apply(&mode, &hit, dec("510"), now);
        assert!(mode.acknowledge(code));
        switches.apply(&mode, &hit, dec("520"), now);
        assert!(!mode.is_active(code), "the operator has seen it");
        switches.apply(&mode, &[], dec("450"), now);
        switches.apply(&mode, &hit, dec("505"), now);
        assert!(mode.is_active(code), "another one");
    }

    #[test]
    fn a_drawdown_stands_over_a_restart_until_the_operator_or_a_new_day_with_less_of_it() {
        let timing = ModeTiming { stable_window_ms: 0, pause_auto_recover_feed: true };
        let start = || ModeHandle::new(timing, Thresholds::default()).0;
        let code = CauseCode::RiskDrawdownLimit;
        let dec = |text| Decimal::from_str(text).unwrap_or_default();
        let now = UtcMicros(1_771_243_200_000_000);
        let day = now.secs().div_euclid(86_400);

        let mode = start();
        let mut switches = KillSwitches::default();
        switches.recall(&mode, Some(day));
        switches.apply(&mode, &[], dec("350"), now);
        assert!(mode.is_active(code) && switches.drawdown_day() == Some(day), "of this day");
        let tomorrow = now.plus_millis(86_400_000);
        switches.apply(&mode, &[], dec("350"), tomorrow);
        assert!(mode.is_active(code), "a new day, and too much of it");
        switches.apply(&mode, &[], dec("299"), tomorrow);
        assert!(!mode.is_active(code) && switches.drawdown_day().is_none());
        switches.recall(&mode, Some(day));
        assert!(!mode.is_active(code), "once");

        let mode = start();
        let mut switches = KillSwitches::default();
        switches.recall(&mode, Some(day));
        assert!(mode.acknowledge(code));
        switches.apply(&mode, &[], dec("350"), now);
        assert!(!mode.is_active(code), "the operator has seen it");
        assert_eq!(switches.drawdown_day(), None, "and the next process need not know");
    }
}
