//! The stages that an evaluation passes, said as it passes them.
//!
//! Purpose: where the loop stands, for the watchdog, the trail and the console. Inputs: what was decided so far. Outputs:
//! entered stages with a few words each. Invariants: a stage that was not reached is not entered; it waits for the trail as
//! every word of an evaluation does.

use penstock_trading::decide::{Finalist, Outcome};
use penstock_types::EvaluationId;
use penstock_types::vocab::StageName;

use crate::audit::{Loop, StageNote};
use crate::context::Context;
use crate::progress::LoopName;

/// Enters a stage of the evaluation.
pub(super) async fn enter(context: &Context, stage: StageName, note: StageNote) {
    context.mode.progress().enter(LoopName::Evaluation, stage);
    context.audit.enter_paced(Loop::Evaluation, stage, note).await;
}

/// Stages of the selection, as far as it came.
pub(super) async fn selected(context: &Context, outcome: &Outcome, cycle_id: EvaluationId) {
    let say = |stage, summary: String| {
        enter(context, stage, StageNote { summary, cycle_id, ..StageNote::default() })
    };
    let Some((best, score)) = outcome.topn.first() else { return };
    let (kept, all) = (outcome.topn.len(), outcome.exec_allowed.len());
    say(StageName::RankTopn, format!("{kept} of {all}, best {best} {score}")).await;
    let open = outcome.candidates.iter().filter(|c| c.is_open()).count();
    say(StageName::DeepScan, format!("{open} of {} candidates open", outcome.candidates.len()))
        .await;
    if outcome.finalists.is_empty() {
        return;
    }
    say(StageName::WatchlistAttach, format!("{} finalists", outcome.finalists.len())).await;
    say(StageName::StateUpdate, String::new()).await;
    if outcome.finalists.iter().any(|finalist| finalist.decision.is_some()) {
        say(StageName::StrategyPropose, String::new()).await;
    }
}

/// The verdict on each of these finalists that has one.
pub(super) async fn judged(context: &Context, finalists: &[Finalist], cycle_id: EvaluationId) {
    for finalist in finalists.iter().filter(|finalist| finalist.verdict.is_some()) {
        let note = StageNote { summary: said(finalist), ..of(finalist, cycle_id) };
        enter(context, StageName::RiskVerdict, note).await;
    }
}

/// What a stage is about.
pub(super) fn of(finalist: &Finalist, cycle_id: EvaluationId) -> StageNote {
    let decision_id = finalist.in_force().map(|d| d.decision_id.as_str().to_owned());
    StageNote {
        summary: String::new(),
        symbol: Some(finalist.symbol.clone()),
        cycle_id,
        decision_id: decision_id.unwrap_or_default(),
    }
}

fn said(finalist: &Finalist) -> String {
    let Some(verdict) = &finalist.verdict else { return String::new() };
    match verdict.reasons.first() {
        None => {
            format!("ALLOW {}, min edge {} bps", verdict.sized_qty, verdict.adjusted_min_edge_bps)
        }
        Some(first) => format!("BLOCK {first}"),
    }
}
