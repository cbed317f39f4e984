//! A search for a change that raises risk: random changes of random decisions, for tests and for a longer run by hand.
//!
//! Input: a seed and a number of cases. Output: how many changes were made and refused, or the first that raised a
//! measure of risk. Invariants: the same seed gives the same cases; nothing here is used by a service.

use super::apply;
use crate::ai::answer::{DecisionPatch, EntryPatch, ExitPatch, FallbackPatch};
use crate::amount::DecStr;
use crate::decision::Decision;
use crate::fixtures;
use crate::plans::{EntryPlan, ExitPlan};
use crate::units::Bps;
use crate::vocab::{EntryKind, FallbackKind, TimeInForce};
use penstock_types::Decimal;
use penstock_types::vocab::ReasonCode;

/// Outcome of a search that found nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tried {
    /// Changes that were made.
    pub made: u64,
    /// Changes that were refused.
    pub refused: u64,
}

/// Numbers that look random and repeat (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }

    /// A whole number near `about`, sometimes the same, sometimes far off.
    fn near(&mut self, about: i64) -> i64 {
        match self.roll(6) {
            0 => about,
            1 => about - 1,
            2 => about + 1,
            3 => about - (self.roll(about.unsigned_abs().max(1)) as i64),
            4 => about + (self.roll(about.unsigned_abs().max(1)) as i64),
            _ => self.roll(3) as i64 - 1,
        }
    }

    fn maybe<T>(&mut self, of: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.roll(3) == 0 { Some(of(self)) } else { None }
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len() as u64) as usize]
    }

    fn amount(&mut self, about: DecStr) -> DecStr {
        let finer = self.roll(4) == 0;
        let (units, scale) = (about.value().mantissa() as i64, about.scale());
        let units = self.near(units);
        if finer {
            return DecStr::of(Decimal::new(units.saturating_mul(10) + 7, scale + 1));
        }
        DecStr::of(Decimal::new(units, scale))
    }
}

fn some_decision(dice: &mut Dice, base: &Decision) -> Decision {
    let mut decision = base.clone();
    if dice.roll(2) == 0 {
        decision.exit_plan = Some(fixtures::ladder_exit());
    }
    if let Some(entry) = &mut decision.entry_plan {
        entry.kind = dice.pick(EntryKind::ALL);
        entry.time_in_force = match entry.kind {
            EntryKind::MakerFirst => TimeInForce::Gtd,
            EntryKind::Taker | EntryKind::Market => TimeInForce::Ioc,
        };
        entry.fallback.enabled = dice.roll(2) == 0;
        entry.fallback.kind = dice.pick(FallbackKind::ALL);
        entry.qty = DecStr::of(Decimal::new(30_000 + dice.roll(400_000) as i64, 8));
        entry.ttl_ms = 1 + dice.roll(60_000) as i32;
        entry.max_repegs = dice.roll(6) as i32;
    }
    decision
}

fn some_patch(dice: &mut Dice, entry: &EntryPlan, exit: &ExitPlan) -> DecisionPatch {
    DecisionPatch {
        entry_plan: dice.maybe(|dice| EntryPatch {
            kind: dice.maybe(|dice| dice.pick(EntryKind::ALL)),
            limit_price: dice.maybe(|dice| dice.amount(entry.limit_price)),
            qty: dice.maybe(|dice| dice.amount(entry.qty)),
            ttl_ms: dice.maybe(|dice| dice.near(i64::from(entry.ttl_ms)) as i32),
            max_repegs: dice.maybe(|dice| dice.near(i64::from(entry.max_repegs)) as i32),
            fallback: dice.maybe(|dice| FallbackPatch {
                enabled: dice.maybe(|dice| dice.roll(2) == 0),
                kind: dice.maybe(|dice| dice.pick(FallbackKind::ALL)),
                max_slippage_bps: dice.maybe(|dice| Bps(dice.near(5) as i32)),
            }),
        }),
        exit_plan: dice.maybe(|dice| ExitPatch {
            sl_price: dice.maybe(|dice| dice.amount(exit.sl_price)),
            tp_price: dice.maybe(|dice| dice.amount(exit.tp_price.unwrap_or(entry.limit_price))),
            trail_bps: dice.maybe(|dice| dice.amount(exit.trail_bps.unwrap_or(exit.sl_bps))),
            time_stop_secs: dice.maybe(|dice| dice.near(i64::from(exit.time_stop_secs)) as i32),
        }),
    }
}

/// Measures of risk, each of which may only fall.
fn measures(decision: &Decision) -> Option<Vec<(&'static str, Decimal)>> {
    let (entry, exit) = (decision.entry_plan.as_ref()?, decision.exit_plan.as_ref()?);
    let (qty, price) = (entry.qty.value(), entry.limit_price.value());
    let urgency = match entry.kind {
        EntryKind::Market => 2,
        EntryKind::Taker => 1,
        EntryKind::MakerFirst => 0,
    };
    let taking = match (entry.fallback.enabled, entry.fallback.kind) {
        (false, FallbackKind::Market | FallbackKind::IocLimit) => 0,
        (true, FallbackKind::IocLimit) => 1,
        (true, FallbackKind::Market) => 2,
    };
    let slippage = if entry.fallback.enabled { entry.fallback.max_slippage_bps.0 } else { 0 };
    let ceiling = Decimal::from(1_000_000_000);
    Some(vec![
        ("quantity", qty),
        ("price", price),
        ("amount", qty * price),
        ("loss at the stop", qty * (price - exit.sl_price.value())),
        ("distance of the stop", exit.sl_bps.value()),
        ("depth of the stop", ceiling - exit.sl_price.value()),
        ("price of the target", exit.tp_price.map_or(Decimal::ZERO, DecStr::value)),
        ("trail", exit.trail_bps.map_or(Decimal::ZERO, DecStr::value)),
        ("time in the market", Decimal::from(exit.time_stop_secs)),
        ("time of the order", Decimal::from(entry.ttl_ms)),
        ("re-pegs", Decimal::from(entry.max_repegs)),
        ("urgency", Decimal::from(urgency)),
        ("urgency of the fallback", Decimal::from(taking)),
        ("slippage of the fallback", Decimal::from(slippage)),
    ])
}

/// The rest of a decision, which no change may touch.
fn frame(decision: &Decision) -> impl PartialEq + use<> {
    let exit = decision.exit_plan.as_ref();
    (
        (decision.ts_ms, decision.symbol.clone(), decision.side, decision.intent),
        (decision.strategy, decision.route, decision.horizon, decision.cycle_id),
        (decision.snapshot_hash.clone(), decision.constraints.clone()),
        (decision.edge_score_x10000, decision.edge_bps_expected),
        exit.map(|exit| {
            (exit.policy, exit.panic_bps, exit.breakeven_arm_bps, exit.protection_kind)
        }),
        decision.risk_verdict.clone(),
    )
}

fn judge(before: &Decision, after: &Decision) -> Result<(), String> {
    let (Some(was), Some(is)) = (measures(before), measures(after)) else {
        return Err("a plan is gone".to_owned());
    };
    let raised = was.iter().zip(&is).find(|((_, was), (_, is))| is > was);
    if let Some(((measure, was), (_, is))) = raised {
        return Err(format!("{measure} rose from {was} to {is}"));
    }
    if frame(before) != frame(after) {
        return Err("something else changed".to_owned());
    }
    if !after.reasons.starts_with(&before.reasons) {
        return Err("reasons were lost".to_owned());
    }
    match after.breaches().first() {
        Some(breach) => Err(format!("the changed decision is not valid: {breach}")),
        None => Ok(()),
    }
}

/// Tries `cases` changes.
///
/// # Errors
/// The first change that raised risk, with the seed that finds it again.
pub fn search(seed: u64, cases: u64) -> Result<Tried, String> {
    let mut dice = Dice(seed | 1);
    let mut tried = Tried { made: 0, refused: 0 };
    let base = fixtures::decision();
    for case in 0..cases {
        let decision = some_decision(&mut dice, &base);
        let (Some(entry), Some(exit)) = (&decision.entry_plan, &decision.exit_plan) else {
            return Err("a fixture has both plans".to_owned());
        };
        let patch = some_patch(&mut dice, entry, exit);
        let reasons = [ReasonCode::AigateConcernCost];
        match apply(&decision, &patch, &reasons, Decimal::from(10)) {
            Ok(changed) => {
                judge(&decision, &changed)
                    .map_err(|raised| format!("seed {seed} case {case}: {raised}: {patch:?}"))?;
                tried.made += 1;
            }
            Err(_) => tried.refused += 1,
        }
    }
    Ok(tried)
}
