//! The AI gate's place in a decision: its answer is a recorded input.
//!
//! Purpose: what the gate says of one proposal. Inputs: the settings, the mode, the answers that a cycle recorded.
//! Outputs: [`Said`]. Invariants: pure; the gate is asked in NORMAL only; the same record gives the same verdict, live
//! and replayed; a record that does not belong to its decision is none.

use penstock_contracts::Decision;
use penstock_contracts::ai::AiGateResult;
use penstock_contracts::ai::policy::{AiDec, consequence};
use penstock_contracts::ai::recorded::outcome_of;
use penstock_types::vocab::{ReasonCode, SysMode};

use super::case::Cycle;

/// What came of the gate.
pub(super) enum Said {
    /// It is not asked in this mode.
    Nothing,
    /// It has to be asked first.
    Asks,
    /// This.
    Result {
        /// Verdict.
        result: AiGateResult,
        /// The mode has to become PAUSE for this reason.
        pause: Option<ReasonCode>,
    },
}

const fn setting(ai_dec: i64) -> AiDec {
    match ai_dec {
        ..=0 => AiDec::Off,
        1 => AiDec::Conservative,
        2.. => AiDec::Mandatory,
    }
}

/// The gate asks somebody in this cycle.
pub(super) fn is_on(cycle: Cycle<'_>) -> bool {
    let on = setting(cycle.config.contract.ai_dec) != AiDec::Off;
    on && cycle.input.sys_mode == SysMode::Normal
}

/// What the gate says of a proposal.
pub(super) fn ask(cycle: Cycle<'_>, decision: &Decision) -> Said {
    if cycle.input.sys_mode != SysMode::Normal {
        return Said::Nothing;
    }
    let ai_dec = setting(cycle.config.contract.ai_dec);
    if ai_dec == AiDec::Off {
        return Said::Result { result: AiGateResult::disabled(), pause: None };
    }
    let id = &decision.decision_id;
    let Some(recorded) = cycle.input.ai_answers.iter().find(|a| &a.decision_id == id) else {
        return Said::Asks;
    };
    let least = cycle.config.min_order_notional_quote;
    let Ok(outcome) = outcome_of(recorded, decision, least) else { return Said::Asks };
    // A pair that cannot meet demands what a failure of a mandatory gate demands.
    let pauses = consequence(ai_dec, outcome.situation).map_or(true, |follows| follows.pause);
    let pause = outcome.result.error_code.filter(|_| pauses);
    Said::Result { result: outcome.result, pause }
}
