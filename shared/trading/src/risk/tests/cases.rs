//! Cases of the rules that look at the decision, the data and the symbol.

use penstock_contracts::ai::Call;
use penstock_contracts::units::{Hex64, X10000};
use penstock_types::vocab::{ReasonCode, ReasonCode as C, Regime, SafetyMode, SysMode};

use super::super::Rule;
use super::super::rule::Rule as R;
use super::world::World;
use crate::engine_gate::EngineCode;
use crate::fixtures::dec;

pub(super) type Change = fn(&mut World);

/// A rule, the reason it must give, what it just passes, what it just refuses.
pub(super) type Case = (Rule, ReasonCode, Change, Change);

pub(super) fn call() -> Call {
    Call {
        model: "model".to_owned(),
        latency_ms: 10,
        raw_hash: Hex64::of_bytes(b"raw"),
        input_hash: Hex64::of_bytes(b"input"),
        snapshot_hash: World::new().decision.snapshot_hash,
        attempts: 1,
    }
}

fn allow(w: &mut World) {
    w.gate = Some(call().allowed(vec![C::AigateOk]));
}

pub(super) fn nothing(_: &mut World) {}

pub(super) fn of_decision() -> Vec<Case> {
    let ok: Change = nothing;
    vec![
        (R::Mode, C::RiskModeBlock, ok, |w| w.inputs.sys_mode = SysMode::Degrade),
        (R::Mode, C::RiskModeBlock, ok, |w| w.inputs.sys_mode = SysMode::Pause),
        (R::Mode, C::RiskModeBlock, ok, |w| w.inputs.sys_mode = SysMode::Exit),
        (R::Mode, C::RiskModeBlock, ok, |w| w.config.execution_enable = false),
        (R::Contract, C::StratInputInvalid, ok, |w| w.decision.edge_score_x10000 = X10000(7_999)),
        (
            R::Contract,
            C::StratInputInvalid,
            |w| w.renumber(),
            |w| {
                w.decision.reasons.clear();
                w.renumber();
            },
        ),
        (
            R::Contract,
            C::StratInputInvalid,
            |w| w.rehash(),
            |w| {
                w.snapshot.flow.trades_1m += 1;
            },
        ),
        (
            R::Contract,
            C::StratInputInvalid,
            |w| w.rehash(),
            |w| {
                w.decision.snapshot_hash = Hex64::of_bytes(b"of another cycle");
                w.renumber();
            },
        ),
        (R::Costs, C::StratInputInvalid, ok, |w| w.inputs.has_fees = false),
        (
            R::Costs,
            C::StratInputInvalid,
            |w| w.terms.fee_entry_bps = dec("0"),
            |w| {
                w.terms.fee_entry_bps = dec("-0.0001");
            },
        ),
        (
            R::Costs,
            C::StratInputInvalid,
            |w| w.terms.fee_exit_bps = dec("0"),
            |w| {
                w.terms.fee_exit_bps = dec("-0.0001");
            },
        ),
        (
            R::Costs,
            C::StratInputInvalid,
            |w| w.terms.slip_entry_bps = dec("0"),
            |w| {
                w.terms.slip_entry_bps = dec("-0.0001");
            },
        ),
        (
            R::Costs,
            C::StratInputInvalid,
            |w| w.terms.slip_exit_bps = dec("0"),
            |w| {
                w.terms.slip_exit_bps = dec("-0.0001");
            },
        ),
        (
            R::Edge,
            C::StratEdgeBelowMin,
            |w| w.edge.plan_bps = dec("5"),
            |w| {
                w.edge.plan_bps = dec("4.99999999");
            },
        ),
        (
            R::Edge,
            C::StratEdgeBelowMin,
            |w| w.edge.adjusted_bps = dec("14"),
            |w| {
                w.edge.before_gate_bps = Some(dec("4.9"));
                w.edge.plan_bps = dec("4.8");
            },
        ),
        (
            R::Edge,
            C::RiskEdgeAfterModify,
            |w| w.edge.before_gate_bps = Some(dec("5")),
            |w| {
                w.edge.before_gate_bps = Some(dec("5"));
                w.edge.plan_bps = dec("4.99999999");
            },
        ),
        (R::Gate, C::AigateConcernCost, allow, |w| {
            w.gate = Some(call().blocked(vec![C::AigateConcernCost]));
        }),
        (R::Gate, C::AigateTimeout, allow, |w| w.gate = Some(call().failed(C::AigateTimeout))),
        (R::Generation, C::StateGenerationMismatch, ok, |w| w.inputs.is_generation_sound = false),
        (
            R::Freshness,
            C::RouteStaleData,
            |w| w.inputs.state_age_ms = Some(45_000),
            |w| {
                w.inputs.state_age_ms = Some(45_001);
            },
        ),
        (
            R::Freshness,
            C::DataStale,
            |w| w.inputs.message_age_ms = Some(60_000),
            |w| {
                w.inputs.message_age_ms = Some(60_001);
            },
        ),
        (
            R::Freshness,
            C::QuoteStale,
            |w| w.inputs.quote_age_ms = Some(2_000),
            |w| {
                w.inputs.quote_age_ms = Some(2_001);
            },
        ),
        (R::Freshness, C::QuoteStale, ok, |w| w.inputs.quote_age_ms = None),
        (R::SymbolMode, C::SymbolQuiet, ok, |w| w.inputs.safety = SafetyMode::Quiet),
        (R::SymbolMode, C::SymbolExitOnly, ok, |w| w.inputs.safety = SafetyMode::ExitOnly),
        (R::SymbolMode, C::SymbolHardBlocked, ok, |w| w.inputs.safety = SafetyMode::HardBlocked),
        (
            R::SymbolMode,
            C::SymbolQuarantined,
            |w| w.inputs.is_quarantine = true,
            |w| {
                (w.inputs.safety, w.inputs.is_quarantine) = (SafetyMode::Quiet, true);
            },
        ),
        (R::SymbolMode, C::SymbolQuarantined, ok, |w| {
            (w.inputs.safety, w.inputs.is_quarantine) = (SafetyMode::ExitOnly, true);
        }),
        (R::Regime, C::RegimeNoTrade, ok, |w| w.inputs.regime = Regime::Chaos),
        (R::Regime, C::RegimeMismatch, ok, |w| w.inputs.regime = Regime::Range),
        (
            R::Engine,
            C::EngineFsmBlock,
            |w| w.inputs.engine.size_factor = 2_500,
            |w| {
                w.inputs.engine.size_factor = 2_499;
            },
        ),
        (R::Position, C::RiskPositionAlreadyOpen, ok, |w| w.inputs.symbol_positions = 1),
        (R::Pending, C::RiskEntryAlreadyPending, more_of_a_symbol, |w| {
            more_of_a_symbol(w);
            w.inputs.symbol_entries = 1;
        }),
    ]
}

/// More than one entry of a symbol may be open, so that only the rule on pending ones refuses.
fn more_of_a_symbol(w: &mut World) {
    w.config.risk_max_open_orders_per_symbol = 2;
}

/// Each gate of the engine.
pub(super) fn of_engine() -> Vec<Case> {
    let ok: Change = nothing;
    vec![
        (R::Engine, C::EngineStale, ok, |w| w.inputs.engine.code = Some(EngineCode::Stale)),
        (R::Engine, C::EngineFailed, ok, |w| w.inputs.engine.code = Some(EngineCode::Failed)),
        (R::Engine, C::EngineWarmup, ok, |w| w.inputs.engine.code = Some(EngineCode::Warmup)),
        (R::Engine, C::EngineDegraded, ok, |w| w.inputs.engine.code = Some(EngineCode::Degraded)),
        (R::Engine, C::EngineClusterBlock, ok, |w| {
            w.inputs.engine.code = Some(EngineCode::ClusterBlock);
        }),
        (R::Engine, C::EngineFsmBlock, ok, |w| w.inputs.engine.code = Some(EngineCode::FsmBlock)),
        (R::Engine, C::EngineDirectionBlock, ok, |w| {
            w.inputs.engine.code = Some(EngineCode::DirectionBlock);
        }),
        (R::Engine, C::EngineCostBlock, ok, |w| w.inputs.engine.code = Some(EngineCode::CostBlock)),
    ]
}
