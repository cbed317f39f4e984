//! How a decision is carried out: the rules of the pair, the entry, its fallback, the exit.
//!
//! Input: the numbers of one decision. Output: contracts and their breaches. Invariants: prices stand on the tick and
//! quantities on the step, both above zero; the stop is below the entry and the target above it; a policy has the
//! distances that belong to it and no others. It computes no distance and places no order.

use crate::amount::{DecStr, floor_step};
use crate::invalid::{Checks, Invalid};
use crate::shape::contract;
use crate::units::Bps;
use crate::vocab::{EntryKind, FallbackKind, ProtectionKind, QuantizationPolicy, TimeInForce};
use penstock_types::Decimal;
use penstock_types::vocab::{ExitPolicy, QueueDecision, ReasonCode};

/// Shortest time stop in seconds.
pub const TIME_STOP_SECS_MIN: i32 = 60;
/// Most re-pegs of a resting entry.
pub const REPEGS_MAX: i32 = 5;
/// Digits after the point that a decimal can have.
const PRECISION_MAX: i64 = 28;

contract! {
    /// Rules of the pair at the time of the decision.
    pub DecisionConstraints {
        /// Least step of a price.
        tick_size: DecStr,
        /// Least step of a quantity.
        step_size: DecStr,
        /// Least quantity.
        min_qty: DecStr,
        /// Least amount of quote.
        min_notional: DecStr,
        /// Digits of a price.
        price_precision: i32,
        /// Digits of a quantity.
        qty_precision: i32,
        /// Greatest quantity; the venue has none, the configuration has.
        max_qty: DecStr,
        /// Open orders of the pair.
        max_num_orders: i32,
        /// Open conditional orders of the pair.
        max_algo_orders: i32,
        /// Greatest amount of quote.
        max_notional: Option<DecStr>,
        /// What is known of the rules.
        quantization_policy: QuantizationPolicy,
    }
}

contract! {
    /// What happens to a maker entry that was not filled in its time.
    pub FallbackPlan {
        /// It takes; if not, the other fields mean nothing.
        enabled: bool,
        /// How it takes.
        kind: FallbackKind,
        /// How far above the ask.
        max_slippage_bps: Bps,
    }
}

contract! {
    /// The entry.
    pub EntryPlan {
        /// How it goes to the venue.
        kind: EntryKind,
        /// Where it queues; none for one that takes.
        queue_decision: Option<QueueDecision>,
        /// Price before rounding.
        desired_price: DecStr,
        /// Price on the tick, not above the desired one.
        limit_price: DecStr,
        /// Quantity on the step.
        qty: DecStr,
        /// How long it may live.
        time_in_force: TimeInForce,
        /// Time after which it is cancelled or taken.
        ttl_ms: i32,
        /// How often its price may follow the market.
        max_repegs: i32,
        /// What happens at the end of the time.
        fallback: FallbackPlan,
    }
}

contract! {
    /// The exit, fixed at the entry; later it is only tightened. Distances in basis points of the entry.
    pub ExitPlan {
        /// Policy.
        policy: ExitPolicy,
        /// Distance of the stop.
        sl_bps: DecStr,
        /// Distance at which the position is closed at once.
        panic_bps: DecStr,
        /// Distance of the target.
        tp_bps: Option<DecStr>,
        /// Distance of the trail.
        trail_bps: Option<DecStr>,
        /// Gain at which the stop goes to the entry.
        breakeven_arm_bps: Option<DecStr>,
        /// Price of the stop.
        sl_price: DecStr,
        /// Price of the target.
        tp_price: Option<DecStr>,
        /// Seconds after which the position is closed.
        time_stop_secs: i32,
        /// What stands at the venue.
        protection_kind: ProtectionKind,
    }
}

/// The policy follows the price with its stop.
#[must_use]
pub const fn trails(policy: ExitPolicy) -> bool {
    match policy {
        ExitPolicy::TrailingStop | ExitPolicy::Recovered => true,
        ExitPolicy::MakerLadder | ExitPolicy::TimeDecay => false,
    }
}

/// The policy has a target.
#[must_use]
pub const fn has_target(policy: ExitPolicy) -> bool {
    match policy {
        ExitPolicy::MakerLadder | ExitPolicy::TimeDecay => true,
        ExitPolicy::TrailingStop | ExitPolicy::Recovered => false,
    }
}

/// A multiple of the step; a step that is not above zero has none.
#[must_use]
pub fn is_on_step(value: Decimal, step: DecStr) -> bool {
    step.is_positive() && value.checked_rem(step.value()).is_some_and(|rest| rest.is_zero())
}

impl DecisionConstraints {
    /// Every breach: a rule that is zero, absurd or not understood blocks.
    #[must_use]
    pub fn breaches(&self) -> Vec<Invalid> {
        let mut checks = Checks::default();
        for (field, value) in [
            ("constraints.tick_size", self.tick_size),
            ("constraints.step_size", self.step_size),
            ("constraints.min_qty", self.min_qty),
            ("constraints.min_notional", self.min_notional),
            ("constraints.max_qty", self.max_qty),
        ] {
            checks.value(field, value.is_positive(), || format!("{value} is not above 0"));
        }
        let precision = |value: i32| i64::from(value);
        checks.range(
            "constraints.price_precision",
            precision(self.price_precision),
            0,
            PRECISION_MAX,
        );
        checks.range("constraints.qty_precision", precision(self.qty_precision), 0, PRECISION_MAX);
        let orders = i64::from(i32::MAX);
        checks.range("constraints.max_num_orders", i64::from(self.max_num_orders), 1, orders);
        checks.range("constraints.max_algo_orders", i64::from(self.max_algo_orders), 0, orders);
        let consistent = self.max_qty.value() >= self.min_qty.value();
        checks.rule("constraints.max_qty", consistent, ReasonCode::FiltersDriftDetected, || {
            format!("{} is below the least quantity {}", self.max_qty, self.min_qty)
        });
        let room = self.max_notional.is_none_or(|max| max.value() >= self.min_notional.value());
        checks.rule("constraints.max_notional", room, ReasonCode::FiltersDriftDetected, || {
            format!("{:?} is below the least amount {}", self.max_notional, self.min_notional)
        });
        let known = match self.quantization_policy {
            QuantizationPolicy::Enforced | QuantizationPolicy::KnownNonEnforced => true,
            QuantizationPolicy::Unknown => false,
        };
        let field = "constraints.quantization_policy";
        checks.rule(field, known, ReasonCode::FiltersDriftDetected, || {
            "a rule of the pair is not understood; next: exits only until it is".to_owned()
        });
        checks.finish()
    }
}

impl EntryPlan {
    /// Every breach, by the rules of the pair; run once more before an order is sent.
    #[must_use]
    pub fn breaches(&self, rules: &DecisionConstraints) -> Vec<Invalid> {
        let mut checks = Checks::default();
        for (field, value) in [
            ("entry_plan.desired_price", self.desired_price),
            ("entry_plan.limit_price", self.limit_price),
            ("entry_plan.qty", self.qty),
        ] {
            checks.value(field, value.is_positive(), || format!("{value} is not above 0"));
        }
        let floor = floor_step(self.desired_price.value(), rules.tick_size.value());
        let on_tick = floor.is_some_and(|floor| floor.value() == self.limit_price.value());
        checks.value("entry_plan.limit_price", on_tick, || {
            format!("{} is not {} rounded down to the tick", self.limit_price, self.desired_price)
        });
        checks.also(self.size_breaches(rules));
        checks.also(self.life_breaches());
        let fallback = &self.fallback;
        let slippage = !fallback.enabled || fallback.max_slippage_bps.0 > 0;
        checks.value("entry_plan.fallback.max_slippage_bps", slippage, || {
            format!("{} bps is not above 0", fallback.max_slippage_bps)
        });
        checks.finish()
    }

    fn size_breaches(&self, rules: &DecisionConstraints) -> Vec<Invalid> {
        let mut checks = Checks::default();
        let (qty, notional) = (self.qty.value(), self.notional());
        checks.value("entry_plan.qty", is_on_step(qty, rules.step_size), || {
            format!("{qty} is no multiple of the step {}", rules.step_size)
        });
        match rules.quantization_policy {
            QuantizationPolicy::Enforced => self.check_bounds(rules, notional, &mut checks),
            // Recorded with the decision and not checked: the venue does not keep to them either.
            QuantizationPolicy::KnownNonEnforced | QuantizationPolicy::Unknown => {}
        }
        checks.finish()
    }

    fn check_bounds(
        &self,
        rules: &DecisionConstraints,
        notional: Option<Decimal>,
        checks: &mut Checks,
    ) {
        let (qty, invalid) = (self.qty.value(), ReasonCode::RiskSizeInvalid);
        let enough = qty >= rules.min_qty.value() && qty <= rules.max_qty.value();
        checks.rule("entry_plan.qty", enough, invalid, || {
            format!("{qty} is outside {}..={}", rules.min_qty, rules.max_qty)
        });
        let paid = notional.is_some_and(|amount| {
            amount >= rules.min_notional.value()
                && rules.max_notional.is_none_or(|max| amount <= max.value())
        });
        checks.rule("entry_plan.qty", paid, invalid, || {
            format!(
                "{notional:?} quote is outside {}..={:?}",
                rules.min_notional, rules.max_notional
            )
        });
    }

    fn life_breaches(&self) -> Vec<Invalid> {
        let mut checks = Checks::default();
        let time = match (self.kind, self.time_in_force) {
            (EntryKind::MakerFirst, TimeInForce::Gtd)
            | (EntryKind::Taker, TimeInForce::Ioc)
            | (EntryKind::Market, TimeInForce::Gtc | TimeInForce::Ioc) => true,
            (EntryKind::MakerFirst, TimeInForce::Gtc | TimeInForce::Ioc)
            | (EntryKind::Taker, TimeInForce::Gtc | TimeInForce::Gtd)
            | (EntryKind::Market, TimeInForce::Gtd) => false,
        };
        checks.value("entry_plan.time_in_force", time, || {
            format!("{} does not belong to {}", self.time_in_force, self.kind)
        });
        let rests = match self.kind {
            EntryKind::MakerFirst => true,
            EntryKind::Taker | EntryKind::Market => false,
        };
        checks.range(
            "entry_plan.ttl_ms",
            i64::from(self.ttl_ms),
            i64::from(rests),
            i64::from(i32::MAX),
        );
        let most = i64::from(REPEGS_MAX);
        checks.range("entry_plan.max_repegs", i64::from(self.max_repegs), 0, most);
        checks.finish()
    }

    /// Quantity times limit price in quote; `None` when it does not fit.
    #[must_use]
    pub fn notional(&self) -> Option<Decimal> {
        self.qty.value().checked_mul(self.limit_price.value())
    }
}

impl ExitPlan {
    /// Every breach for an entry at `entry_price`, by the rules of the pair.
    #[must_use]
    pub fn breaches(&self, entry_price: Decimal, rules: &DecisionConstraints) -> Vec<Invalid> {
        let mut checks = Checks::default();
        let invalid = ReasonCode::StratExitInvalid;
        for (field, value) in [
            ("exit_plan.sl_bps", Some(self.sl_bps)),
            ("exit_plan.panic_bps", Some(self.panic_bps)),
            ("exit_plan.tp_bps", self.tp_bps),
            ("exit_plan.trail_bps", self.trail_bps),
            ("exit_plan.breakeven_arm_bps", self.breakeven_arm_bps),
            ("exit_plan.sl_price", Some(self.sl_price)),
        ] {
            let above = value.is_none_or(DecStr::is_positive);
            checks.rule(field, above, invalid, || format!("{value:?} is not above 0"));
        }
        for (field, has, is) in [
            ("exit_plan.tp_bps", has_target(self.policy), self.tp_bps.is_some()),
            ("exit_plan.tp_price", has_target(self.policy), self.tp_price.is_some()),
            ("exit_plan.trail_bps", trails(self.policy), self.trail_bps.is_some()),
        ] {
            checks.rule(field, has == is, invalid, || {
                format!("{} has one: {has}; the plan has one: {is}", self.policy)
            });
        }
        let below = self.sl_price.value() < entry_price;
        checks.rule("exit_plan.sl_price", below, invalid, || {
            format!("{} is not below the entry {entry_price}", self.sl_price)
        });
        let above = self.tp_price.is_none_or(|target| target.value() > entry_price);
        checks.rule("exit_plan.tp_price", above, invalid, || {
            format!("{:?} is not above the entry {entry_price}", self.tp_price)
        });
        for (field, price) in
            [("exit_plan.sl_price", Some(self.sl_price)), ("exit_plan.tp_price", self.tp_price)]
        {
            let on_tick = price.is_none_or(|price| is_on_step(price.value(), rules.tick_size));
            checks.value(field, on_tick, || {
                format!("{price:?} is no multiple of the tick {}", rules.tick_size)
            });
        }
        let (least, most) = (i64::from(TIME_STOP_SECS_MIN), i64::from(i32::MAX));
        checks.range("exit_plan.time_stop_secs", i64::from(self.time_stop_secs), least, most);
        checks.finish()
    }
}

#[cfg(test)]
mod tests;
