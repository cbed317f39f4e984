//! Edge of a plan as it is to be sent.
//!
//! Purpose: what is left of the expected move with the plan's own size, mode, trail and target. Inputs: the case, the
//! decision in force. Outputs: bps, the cell's bias included. Invariants: pure; the one cost model; a target that is
//! nearer than what the policy captures takes the difference away.

use penstock_contracts::Decision;
use penstock_contracts::vocab::EntryKind;
use penstock_types::Decimal;
use penstock_types::decimal::to_feature;
use penstock_types::vocab::EntryMode;

use super::case::Case;
use crate::costs::{self, CostInput, StopTerms};
use crate::rank;
use crate::routes::{Features, Path};

/// How an entry of this kind goes to the venue.
pub(super) const fn mode_of(kind: EntryKind) -> EntryMode {
    match kind {
        EntryKind::MakerFirst => EntryMode::Maker,
        EntryKind::Taker | EntryKind::Market => EntryMode::Taker,
    }
}

/// Edge of the plan in bps; none when it cannot be computed.
pub(super) fn plan_edge_bps(case: &Case<'_>, decision: &Decision) -> Option<Decimal> {
    let (entry, exit) = (decision.entry_plan.as_ref()?, decision.exit_plan.as_ref()?);
    let (input, config, candidate) = (case.cycle.input, case.cycle.config, case.candidate);
    let features = Features::of(case.state)?;
    let mid = case.state.mid.filter(|mid| *mid > Decimal::ZERO)?;
    let path = Path {
        move_bps: candidate.move_bps?,
        spent_bps: candidate.spent_bps?,
        confidence: candidate.confidence?,
        fallback: false,
    };
    let trail_bps = exit.trail_bps.map(penstock_contracts::DecStr::value);
    let terms = costs::costs(&CostInput {
        features: &features,
        path: &path,
        mode: mode_of(entry.kind),
        policy: exit.policy,
        fees: input.fees.as_ref()?,
        stop: StopTerms { sl_bps: exit.sl_bps.value(), trail_bps },
        size_quote: to_feature(entry.notional()?),
        latency_s: to_feature(Decimal::new(input.latency_us, 6)),
        ttl_s: to_feature(Decimal::from(config.entry_ttl_secs.get(candidate.strategy))),
        tick_bps: to_feature(case.instrument.price_increment.checked_div(mid)?) * 1e4,
        tp_action: config.tp_action,
        maker_close: config.maker_close_enable,
    })?;
    let target = exit.tp_bps.map_or(terms.capturable_bps, penstock_contracts::DecStr::value);
    let lost = (terms.capturable_bps - target).max(Decimal::ZERO);
    let cell =
        rank::cell(&input.scores, candidate.strategy, candidate.regime, candidate.route_type);
    Some(terms.edge_bps - terms.p_fill * lost + rank::bias_bps(cell, input.now))
}
