//! How far a model may change a decision: only towards less risk, judged field by field.
//!
//! Input: a valid entry, the change that an answer asks for, the least order. Output: the changed decision with an id of
//! its own, or every breach. Invariants: no quantity, price paid, loss at the stop, urgency, slippage or time of a
//! changed decision is above that of the first; rounding goes the same way; what was decided by others keeps its
//! reasons and its verdicts. It knows no model and no market.

pub mod lattice;

use crate::ai::answer::{DecisionPatch, EntryPatch, ExitPatch, FallbackPatch};
use crate::amount::{AmountKind, DecStr, ceil_step, floor_step};
use crate::decision::Decision;
use crate::plans::{
    DecisionConstraints, EntryPlan, ExitPlan, TIME_STOP_SECS_MIN, is_on_step, trails,
};
use crate::vocab::{EntryKind, Intent, Side, TimeInForce};
use penstock_types::Decimal;
use penstock_types::decimal::scale;
use penstock_types::vocab::{QueueDecision, ReasonCode, StageName};

/// Basis points of one.
const BPS_PER_UNIT: Decimal = Decimal::from_parts(10_000, 0, 0, false, 0);
/// How far above the pair's least order an entry stays, so that its rest can still be sold after a partial fill.
const FLOOR_FACTOR: Decimal = Decimal::from_parts(15, 0, 0, false, 1);

/// A change that is not conservative.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Breach {
    /// Field.
    pub field: &'static str,
    /// What is wrong, with value and limit.
    pub problem: String,
}

/// Why a change is refused: every breach, the first of which is recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("change refused for {} breaches, the first: {}", breaches.len(), first.problem)]
pub struct Refusal {
    /// The one that is recorded.
    pub first: Breach,
    /// All, in the order of the rules.
    pub breaches: Vec<Breach>,
}

impl Refusal {
    /// Reason code that it is recorded with.
    #[must_use]
    pub const fn reason(&self) -> ReasonCode {
        ReasonCode::AigateModifyInvalid
    }

    fn of(breaches: Vec<Breach>) -> Option<Self> {
        let first = breaches.first()?.clone();
        Some(Self { first, breaches })
    }

    fn one(field: &'static str, problem: String) -> Self {
        let first = Breach { field, problem };
        Self { breaches: vec![first.clone()], first }
    }
}

/// Least size of an entry in quote at a price: half as much again as the greatest of the pair's least quantity, its
/// least amount and the configured least order. `None` when it does not fit.
#[must_use]
pub fn size_floor_quote(
    rules: &DecisionConstraints,
    price: Decimal,
    min_order_notional_quote: Decimal,
) -> Option<Decimal> {
    let by_qty = rules.min_qty.value().checked_mul(price)?;
    let least = by_qty.max(rules.min_notional.value()).max(min_order_notional_quote);
    least.checked_mul(FLOOR_FACTOR)
}

/// The decision, changed as far as the rules allow.
///
/// # Errors
/// [`Refusal`] when the change is empty, breaks a rule, or makes a decision that is not valid.
pub fn apply(
    decision: &Decision,
    patch: &DecisionPatch,
    gate_reasons: &[ReasonCode],
    min_order_notional_quote: Decimal,
) -> Result<Decision, Refusal> {
    let entry_of_a_buy = decision.intent == Intent::Entry && decision.side == Side::Buy;
    let (true, Some(entry), Some(exit)) =
        (entry_of_a_buy, &decision.entry_plan, &decision.exit_plan)
    else {
        let problem = "only an entry that buys and has both plans can be changed".to_owned();
        return Err(Refusal::one("modified_decision", problem));
    };
    if patch.is_empty() {
        return Err(Refusal::one("modified_decision", "MODIFY changes nothing".to_owned()));
    }
    let rules = &decision.constraints;
    let mut found = Breaches::default();
    let new_entry = match &patch.entry_plan {
        Some(wanted) => {
            found.entry(entry, wanted, rules, min_order_notional_quote);
            merge_entry(entry, wanted, rules)
        }
        None => Some(entry.clone()),
    };
    let paid = new_entry.as_ref().map_or(entry.limit_price, |entry| entry.limit_price);
    let new_exit = merge_exit(exit, patch.exit_plan.as_ref(), entry.limit_price, paid, rules);
    found.exit(exit, patch.exit_plan.as_ref(), new_exit.as_ref().unwrap_or(exit), paid);
    if let Some(refusal) = Refusal::of(found.found) {
        return Err(refusal);
    }
    let (Some(new_entry), Some(new_exit)) = (new_entry, new_exit) else {
        let problem = "a changed value cannot be rounded to the pair's steps".to_owned();
        return Err(Refusal::one("modified_decision", problem));
    };
    finish(decision, new_entry, new_exit, gate_reasons)
}

fn finish(
    decision: &Decision,
    entry: EntryPlan,
    exit: ExitPlan,
    gate_reasons: &[ReasonCode],
) -> Result<Decision, Refusal> {
    let mut changed = decision.clone();
    changed.entry_plan = Some(entry);
    changed.exit_plan = Some(exit);
    changed.stage = StageName::AigateCall;
    for reason in gate_reasons {
        if !changed.reasons.contains(reason) {
            changed.reasons.push(*reason);
        }
    }
    let changed =
        changed.with_id().map_err(|error| Refusal::one("modified_decision", error.to_string()))?;
    let breaches = changed
        .breaches()
        .into_iter()
        .map(|invalid| Breach { field: invalid.field, problem: invalid.problem });
    match Refusal::of(breaches.collect()) {
        Some(refusal) => Err(refusal),
        None => Ok(changed),
    }
}

/// Breaches of the rules of the fields, in their order.
#[derive(Default)]
struct Breaches {
    found: Vec<Breach>,
}

impl Breaches {
    fn rule(&mut self, field: &'static str, holds: bool, problem: impl FnOnce() -> String) {
        if !holds {
            self.found.push(Breach { field, problem: problem() });
        }
    }

    /// A number that may only fall.
    fn not_above(&mut self, field: &'static str, wanted: Option<i32>, now: i32, least: i32) {
        let Some(wanted) = wanted else { return };
        self.rule(field, (least..=now).contains(&wanted), || {
            format!("{wanted} is outside {least}..={now}")
        });
    }

    fn entry(
        &mut self,
        now: &EntryPlan,
        wanted: &EntryPatch,
        rules: &DecisionConstraints,
        min_order_notional_quote: Decimal,
    ) {
        if let Some(qty) = wanted.qty {
            self.qty(now, wanted, qty, rules, min_order_notional_quote);
        }
        if let Some(price) = wanted.limit_price {
            let field = "entry_plan.limit_price";
            let lower = price.is_positive() && price.value() <= now.limit_price.value();
            self.rule(field, lower, || {
                format!("{price} is above {} or not above 0", now.limit_price)
            });
            self.rule(field, is_on_step(price.value(), rules.tick_size), || {
                format!("{price} is no multiple of the tick {}", rules.tick_size)
            });
        }
        if let Some(kind) = wanted.kind {
            // The words stand in the order of their urgency.
            self.rule("entry_plan.kind", kind >= now.kind, || {
                format!("{kind} is more urgent than {}", now.kind)
            });
        }
        self.not_above("entry_plan.max_repegs", wanted.max_repegs, now.max_repegs, 0);
        self.not_above("entry_plan.ttl_ms", wanted.ttl_ms, now.ttl_ms, 1);
        if let Some(fallback) = &wanted.fallback {
            self.fallback(now, fallback);
        }
    }

    fn qty(
        &mut self,
        now: &EntryPlan,
        wanted: &EntryPatch,
        qty: DecStr,
        rules: &DecisionConstraints,
        min_order_notional_quote: Decimal,
    ) {
        let field = "entry_plan.qty";
        let smaller = qty.is_positive() && qty.value() < now.qty.value();
        self.rule(field, smaller, || format!("{qty} is not below {} or not above 0", now.qty));
        let price = wanted.limit_price.unwrap_or(now.limit_price).value();
        let floor = size_floor_quote(rules, price, min_order_notional_quote);
        let size = floor_step(qty.value(), rules.step_size.value())
            .and_then(|floored| floored.value().checked_mul(price));
        let enough = matches!((size, floor), (Some(size), Some(floor)) if size >= floor);
        self.rule(field, enough, || format!("{size:?} quote is below the least size {floor:?}"));
    }

    fn fallback(&mut self, now: &EntryPlan, wanted: &FallbackPatch) {
        if let Some(enabled) = wanted.enabled {
            self.rule("entry_plan.fallback.enabled", now.fallback.enabled || !enabled, || {
                "a fallback that is off cannot be switched on".to_owned()
            });
        }
        if let Some(kind) = wanted.kind {
            self.rule("entry_plan.fallback.kind", kind >= now.fallback.kind, || {
                format!("{kind} is more urgent than {}", now.fallback.kind)
            });
        }
        let slippage = wanted.max_slippage_bps.map(|bps| bps.0);
        let most = now.fallback.max_slippage_bps.0;
        self.not_above("entry_plan.fallback.max_slippage_bps", slippage, most, 0);
    }

    /// The prices are judged as they are after rounding, and also when only the entry moved towards them.
    fn exit(
        &mut self,
        now: &ExitPlan,
        wanted: Option<&ExitPatch>,
        merged: &ExitPlan,
        paid: DecStr,
    ) {
        let field = "exit_plan.sl_price";
        if let Some(stop) = wanted.and_then(|wanted| wanted.sl_price) {
            let higher = stop.value() >= now.sl_price.value();
            self.rule(field, higher, || format!("{stop} is below {}", now.sl_price));
        }
        let stop = merged.sl_price;
        let below = stop.value() < paid.value();
        self.rule(field, below, || format!("{stop} is not below the entry {paid}"));
        let field = "exit_plan.tp_price";
        if let Some(target) = wanted.and_then(|wanted| wanted.tp_price) {
            let lower = now.tp_price.is_some_and(|now| target.value() <= now.value());
            self.rule(field, lower, || format!("{target} is above {:?}", now.tp_price));
        }
        let target = merged.tp_price;
        let above = target.is_none_or(|target| target.value() > paid.value());
        self.rule(field, above, || format!("{target:?} is not above the entry {paid}"));
        let field = "exit_plan.trail_bps";
        if let Some(trail) = wanted.and_then(|wanted| wanted.trail_bps) {
            let smaller = now.trail_bps.is_some_and(|now| trail.value() <= now.value());
            self.rule(field, smaller, || format!("{trail} is above {:?}", now.trail_bps));
            self.rule(field, !trails(now.policy) || trail.is_positive(), || {
                format!("{trail} is not above 0 and {} trails", now.policy)
            });
        }
        let time_stop = wanted.and_then(|wanted| wanted.time_stop_secs);
        let field = "exit_plan.time_stop_secs";
        self.not_above(field, time_stop, now.time_stop_secs, TIME_STOP_SECS_MIN);
    }
}

/// The entry with the change in it, on the pair's steps; `None` when a value does not fit them.
fn merge_entry(
    now: &EntryPlan,
    wanted: &EntryPatch,
    rules: &DecisionConstraints,
) -> Option<EntryPlan> {
    let mut plan = now.clone();
    if let Some(qty) = wanted.qty {
        plan.qty = floor_step(qty.value(), rules.step_size.value())?;
    }
    if let Some(price) = wanted.limit_price {
        plan.limit_price = floor_step(price.value(), rules.tick_size.value())?;
        plan.desired_price = plan.limit_price;
    }
    if let Some(kind) = wanted.kind.filter(|kind| *kind != now.kind) {
        plan.kind = kind;
        plan.time_in_force = match kind {
            EntryKind::Market => now.time_in_force,
            EntryKind::Taker => TimeInForce::Ioc,
            EntryKind::MakerFirst => TimeInForce::Gtd,
        };
        if kind == EntryKind::MakerFirst {
            plan.queue_decision = plan.queue_decision.or(Some(QueueDecision::Join));
        }
    }
    plan.ttl_ms = wanted.ttl_ms.unwrap_or(plan.ttl_ms);
    plan.max_repegs = wanted.max_repegs.unwrap_or(plan.max_repegs);
    if let Some(fallback) = &wanted.fallback {
        plan.fallback.enabled = fallback.enabled.unwrap_or(plan.fallback.enabled);
        plan.fallback.kind = fallback.kind.unwrap_or(plan.fallback.kind);
        plan.fallback.max_slippage_bps =
            fallback.max_slippage_bps.unwrap_or(plan.fallback.max_slippage_bps);
    }
    Some(plan)
}

/// The exit with the change in it: prices on the tick towards less risk, distances from the price that is paid now.
fn merge_exit(
    now: &ExitPlan,
    wanted: Option<&ExitPatch>,
    paid_before: DecStr,
    paid: DecStr,
    rules: &DecisionConstraints,
) -> Option<ExitPlan> {
    let mut plan = now.clone();
    let tick = rules.tick_size.value();
    let moved = paid != paid_before;
    if let Some(wanted) = wanted {
        if let Some(stop) = wanted.sl_price {
            plan.sl_price = ceil_step(stop.value(), tick)?;
        }
        if let Some(target) = wanted.tp_price {
            plan.tp_price = Some(floor_step(target.value(), tick)?);
        }
        if let Some(trail) = wanted.trail_bps {
            // More digits than the column has are cut: a shorter trail.
            let unit = Decimal::new(1, scale::BPS);
            plan.trail_bps = Some(floor_step(trail.value(), unit)?);
        }
        plan.time_stop_secs = wanted.time_stop_secs.unwrap_or(plan.time_stop_secs);
    }
    if moved || plan.sl_price != now.sl_price {
        let distance = distance_bps(plan.sl_price.value(), paid.value())?;
        // The first distance may have been rounded; a change never makes it longer.
        if distance.value() < now.sl_bps.value() {
            plan.sl_bps = distance;
        }
    }
    if let Some(target) = plan.tp_price.filter(|_| moved || plan.tp_price != now.tp_price) {
        plan.tp_bps = Some(distance_bps(target.value(), paid.value())?);
    }
    Some(plan)
}

/// Distance of a price from the entry in basis points of the entry, four digits.
fn distance_bps(price: Decimal, entry: Decimal) -> Option<DecStr> {
    let off = price.checked_sub(entry)?.abs().checked_mul(BPS_PER_UNIT)?;
    DecStr::of_kind(off.checked_div(entry)?, AmountKind::Bps).ok()
}

#[cfg(test)]
mod tests;
