//! The plans of a decision: how it enters, how it leaves, by which rules of the pair.
//!
//! Purpose: constraints, entry plan and exit plan as contracts. Inputs: the case, its size, its prices. Outputs: the
//! contracts. Invariants: pure; quantized before they are written; the stop is rounded towards the entry.

use penstock_contracts::amount::AmountKind;
use penstock_contracts::plans::{
    DecisionConstraints, EntryPlan, ExitPlan, FallbackPlan, REPEGS_MAX, has_target, trails,
};
use penstock_contracts::units::Bps;
use penstock_contracts::vocab::{
    EntryKind, FallbackKind, ProtectionKind, QuantizationPolicy, TimeInForce,
};
use penstock_contracts::{DecStr, Invalid};
use penstock_types::Decimal;
use penstock_types::vocab::EntryMode;

use super::{amount, fits, int};
use crate::decide::case::{Case, Prices};
use crate::exit::policy::{PolicyInput, plan_terms};
use crate::size::Sized;

/// How far above the ask a taking fallback may buy.
const FALLBACK_SLIPPAGE_BPS: i32 = 5;

pub(super) fn constraints(case: &Case<'_>) -> Result<DecisionConstraints, Invalid> {
    let rules = case.instrument;
    let contract = &case.cycle.config.contract;
    let orders = int("constraints.max_num_orders", contract.max_num_orders)?;
    let price = AmountKind::Price { tick: case.tick() };
    let quantity = AmountKind::Quantity { step: case.step() };
    Ok(DecisionConstraints {
        tick_size: amount("constraints.tick_size", rules.price_increment, price)?,
        step_size: amount("constraints.step_size", rules.qty_increment, quantity)?,
        min_qty: DecStr::of(rules.qty_min.normalize()),
        min_notional: DecStr::of(rules.cost_min.normalize()),
        price_precision: rules.price_precision,
        qty_precision: rules.qty_precision,
        max_qty: DecStr::of(contract.max_qty.normalize()),
        max_num_orders: orders,
        max_algo_orders: orders,
        max_notional: None,
        quantization_policy: QuantizationPolicy::Enforced,
    })
}

pub(super) fn plan(case: &Case<'_>, sized: Sized, prices: Prices) -> Result<EntryPlan, Invalid> {
    let config = case.cycle.config;
    let rests = case.mode == EntryMode::Maker;
    let kind = match case.mode {
        EntryMode::Maker => EntryKind::MakerFirst,
        EntryMode::Taker if config.taker_as_ioc => EntryKind::Taker,
        EntryMode::Taker => EntryKind::Market,
    };
    let ttl_ms = config.entry_ttl_secs.get(case.candidate.strategy) * 1_000;
    let tick = AmountKind::Price { tick: case.tick() };
    let step = AmountKind::Quantity { step: case.step() };
    Ok(EntryPlan {
        kind,
        queue_decision: prices.queue,
        desired_price: DecStr::of(prices.desired.normalize()),
        limit_price: amount("entry_plan.limit_price", prices.limit, tick)?,
        qty: amount("entry_plan.qty", sized.qty, step)?,
        time_in_force: if rests { TimeInForce::Gtd } else { TimeInForce::Ioc },
        ttl_ms: if rests { int("entry_plan.ttl_ms", ttl_ms)? } else { 0 },
        max_repegs: if rests { REPEGS_MAX } else { 0 },
        fallback: FallbackPlan {
            enabled: false,
            kind: if config.taker_as_ioc { FallbackKind::IocLimit } else { FallbackKind::Market },
            max_slippage_bps: Bps(FALLBACK_SLIPPAGE_BPS),
        },
    })
}

/// The exit for an entry at its limit price.
pub(super) fn exit(case: &Case<'_>, entry_price: Decimal) -> Result<ExitPlan, Invalid> {
    let candidate = case.candidate;
    let opened_at = case.cycle.input.t0;
    let terms = plan_terms(&PolicyInput {
        policy: candidate.exit_policy,
        entry_price,
        mid: None,
        expected_move_bps: candidate.move_bps.unwrap_or(Decimal::ZERO),
        atr_bps: case.state.atr_15m_bps,
        spread_avg_bps: case.state.spread_avg_bps.unwrap_or(Decimal::ZERO),
        round_trip_fees_bps: case.terms.fees_bps(),
        horizon: candidate.horizon,
        tick: case.instrument.price_increment,
        opened_at,
    });
    let bps = |field, value| amount(field, value, AmountKind::Bps);
    let tick = AmountKind::Price { tick: case.tick() };
    // What guards the trailing policy against a runaway is no target of the plan.
    let target = has_target(candidate.exit_policy);
    let tp_bps = terms.tp_bps.filter(|_| target);
    let trail = terms.trail_bps.filter(|_| trails(candidate.exit_policy));
    let lasts_ms = terms.time_stop_at.millis_since(opened_at);
    Ok(ExitPlan {
        policy: candidate.exit_policy,
        sl_bps: bps("exit_plan.sl_bps", terms.sl_bps)?,
        panic_bps: bps("exit_plan.panic_bps", terms.panic_bps)?,
        tp_bps: tp_bps.map(|value| bps("exit_plan.tp_bps", value)).transpose()?,
        trail_bps: trail.map(|value| bps("exit_plan.trail_bps", value)).transpose()?,
        breakeven_arm_bps: Some(bps("exit_plan.breakeven_arm_bps", terms.breakeven_arm_bps)?),
        sl_price: amount("exit_plan.sl_price", terms.sl_price, tick)?,
        tp_price: terms
            .tp_price
            .filter(|_| target)
            .map(|value| amount("exit_plan.tp_price", value, tick))
            .transpose()?,
        time_stop_secs: fits("exit_plan.time_stop_secs", i32::try_from(lasts_ms / 1_000).ok())?,
        protection_kind: ProtectionKind::StaticStop,
    })
}
