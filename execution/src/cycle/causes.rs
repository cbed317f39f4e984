//! From what a cycle found to causes of the mode.
//!
//! Purpose: raise and clear the causes that an evaluation sees. Inputs: the assessment and the capital.
//! Outputs: causes on the board of the mode's owner. Invariants: a cause that the evaluation raised is
//! cleared by the evaluation only; a drawdown stays until the operator or a new day with less of it.

use penstock_trading::decide::outcome::Assessment;
use penstock_trading::mode::{CauseCode, Level};
use penstock_types::Decimal;
use penstock_types::UtcMicros;
use penstock_types::vocab::EpochStatus;

use crate::mode::{ModeHandle, Source};

/// Drawdown below which a new day ends the cause, bps of the mark.
const DRAWDOWN_DAY_BPS: i64 = 300;

/// Raises and clears what the assessment says.
pub(super) fn apply(mode: &ModeHandle, a: &Assessment) {
    let set = |code, active, value: Option<String>| {
        mode.set_from(Source::Cycle, code, Level::Degrade, active, value);
    };
    let epoch_ok = a.binding.as_ref().is_some_and(|b| b.status == EpochStatus::Valid);
    let epoch_age = a.binding.as_ref().map(|b| format!("epoch age {} ms", b.epoch_age_ms));
    set(CauseCode::EpochNotValid, !epoch_ok, epoch_age);
    set(CauseCode::LineageBreak, a.lineage_break.is_some(), None);
    let m = &a.matrix;
    let ages = a.state_age_ms.map(|age| format!("state age {age} ms"));
    set(CauseCode::DataStale, !(m.global_liveness && m.market_freshness), ages);
    let sync = a.sync.map(|s| s.as_str().to_owned());
    let coherent = m.snapshot_coherence && a.sync.is_none();
    set(CauseCode::StateGenerationMismatch, !coherent, sync);
    set(CauseCode::UniverseTooSmall, !m.universe_viability, None);
    set(CauseCode::PrivateStreamSilent, !m.private_stream_ok, None);
    set(CauseCode::ProtectionMissing, !m.exposure_protected, None);
}

/// Kill switches with their memory.
#[derive(Debug, Default)]
pub(super) struct KillSwitches {
    drawdown_day: Option<i64>,
}

impl KillSwitches {
    /// Raises and clears the causes of the loss limits.
    pub(super) fn apply(
        &mut self,
        mode: &ModeHandle,
        hits: &[(&'static str, Decimal, Decimal)],
        drawdown_bps: Decimal,
        now: UtcMicros,
    ) {
        for code in [CauseCode::RiskDailyLossLimit, CauseCode::RiskDailyLossPct] {
            let hit = hits.iter().find(|h| h.0 == code.as_str());
            let value = hit.map(|(_, value, limit)| format!("{value} at limit {limit}"));
            mode.set_from(Source::Cycle, code, Level::Degrade, hit.is_some(), value);
        }
        let day = now.secs().div_euclid(86_400);
        let code = CauseCode::RiskDrawdownLimit;
        if let Some((_, value, limit)) = hits.iter().find(|h| h.0 == code.as_str()) {
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
