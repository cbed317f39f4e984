//! What an answer of the gate demands of an entry's exit: nearer than the policy, never wider.
//!
//! Input: the exit as proposed and as the gate changed it; later the policy's plan at the first fill. Output: limits that
//! are stored with the entry, and the plan within them. Invariant: no limit loosens anything: each distance of the plan
//! is the smaller of the policy's and the limit.

use penstock_contracts::plans::ExitPlan;
use penstock_types::Decimal;
use penstock_types::decimal::{round_to, scale};
use serde::{Deserialize, Serialize};

use super::policy::{PlanTerms, PolicyInput, TIME_STOP_SECS_MIN, stop_level};
use super::{shifted, trigger};

/// Upper limits of an exit's distances; `None`: the policy alone decides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitLimits {
    /// Stop, bps below the average entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sl_bps: Option<Decimal>,
    /// Target, bps above it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tp_bps: Option<Decimal>,
    /// Trail, bps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trail_bps: Option<Decimal>,
    /// Time stop, seconds after the first fill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_stop_secs: Option<i32>,
}

impl ExitLimits {
    /// What of `changed` is not as it was `proposed`.
    #[must_use]
    pub fn of(proposed: &ExitPlan, changed: &ExitPlan) -> Self {
        let bps = |now: penstock_contracts::DecStr| round_to(now.value(), scale::BPS);
        let stop = changed.sl_price != proposed.sl_price || changed.sl_bps != proposed.sl_bps;
        let target = changed.tp_price != proposed.tp_price || changed.tp_bps != proposed.tp_bps;
        let trail = changed.trail_bps != proposed.trail_bps;
        let time = changed.time_stop_secs != proposed.time_stop_secs;
        Self {
            sl_bps: stop.then(|| bps(changed.sl_bps)),
            tp_bps: changed.tp_bps.filter(|_| target).map(bps),
            trail_bps: changed.trail_bps.filter(|_| trail).map(bps),
            time_stop_secs: time.then_some(changed.time_stop_secs),
        }
    }

    /// Nothing is limited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The stop's distance within the limit.
    #[must_use]
    pub fn stop_bps(&self, policy_bps: Decimal) -> Decimal {
        self.sl_bps.map_or(policy_bps, |limit| limit.min(policy_bps))
    }

    /// The policy's plan within the limits. A target that the policy does not have stays absent.
    #[must_use]
    pub fn within(&self, terms: PlanTerms, input: &PolicyInput) -> PlanTerms {
        let nearer = |policy: Option<Decimal>, limit: Option<Decimal>| {
            policy.map(|policy| limit.map_or(policy, |limit| limit.min(policy)))
        };
        let sl_bps = self.stop_bps(terms.sl_bps);
        let tp_bps = nearer(terms.tp_bps, self.tp_bps);
        let tp_price = if tp_bps == terms.tp_bps {
            terms.tp_price
        } else {
            tp_bps.map(|bps| trigger::ceil_tick(shifted(input.entry_price, bps), input.tick))
        };
        let sl_price = if sl_bps == terms.sl_bps {
            terms.sl_price
        } else {
            stop_level(input.entry_price, sl_bps, input.tick).max(terms.sl_price)
        };
        let time_stop_at = self.time_stop_secs.map_or(terms.time_stop_at, |secs| {
            let secs = i64::from(secs).max(TIME_STOP_SECS_MIN);
            terms.time_stop_at.min(input.opened_at.plus_millis(secs * 1_000))
        });
        PlanTerms {
            sl_bps,
            tp_bps,
            trail_bps: nearer(terms.trail_bps, self.trail_bps),
            time_stop_at,
            sl_price,
            tp_price,
            ..terms
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::policy::plan_terms;
    use penstock_types::UtcMicros;
    use penstock_types::vocab::{ExitPolicy, Horizon};
    use proptest::prelude::*;

    fn input(policy: ExitPolicy, price: i64, atr: i64) -> PolicyInput {
        PolicyInput {
            policy,
            entry_price: Decimal::new(price, 2),
            mid: None,
            expected_move_bps: Decimal::from(120),
            atr_bps: Some(Decimal::from(atr)),
            spread_avg_bps: Decimal::from(2),
            round_trip_fees_bps: Decimal::from(30),
            horizon: Horizon::Short,
            tick: Decimal::new(1, 2),
            opened_at: UtcMicros(1_771_243_200_000_000),
        }
    }

    #[test]
    fn without_limits_the_policy_decides_and_a_nearer_stop_is_kept() {
        let input = input(ExitPolicy::TrailingStop, 6_000_000, 40);
        let policy = plan_terms(&input);
        assert_eq!(ExitLimits::default().within(policy, &input), policy);
        assert!(ExitLimits::default().is_empty());
        let limits = ExitLimits {
            sl_bps: Some(Decimal::from(30)),
            time_stop_secs: Some(120),
            ..ExitLimits::default()
        };
        let nearer = limits.within(policy, &input);
        assert_eq!(
            (nearer.sl_bps, nearer.sl_price),
            (Decimal::from(30), Decimal::new(5_982_000, 2))
        );
        assert_eq!(nearer.time_stop_at, input.opened_at.plus_millis(120_000));
        assert_eq!((nearer.tp_bps, nearer.trail_bps), (policy.tp_bps, policy.trail_bps));
    }

    proptest! {
        #[test]
        fn no_limit_loosens_an_exit(
            which in 0_usize..4,
            price in 10_000_i64..10_000_000,
            atr in 0_i64..300,
            sl in proptest::option::of(1_i64..10_000_000),
            tp in proptest::option::of(1_i64..20_000_000),
            trail in proptest::option::of(1_i64..10_000_000),
            time in proptest::option::of(-10_i32..100_000),
        ) {
            let input = input(ExitPolicy::ALL[which], price, atr);
            let policy = plan_terms(&input);
            let limits = ExitLimits {
                sl_bps: sl.map(|v| Decimal::new(v, 4)),
                tp_bps: tp.map(|v| Decimal::new(v, 4)),
                trail_bps: trail.map(|v| Decimal::new(v, 4)),
                time_stop_secs: time,
            };
            let within = limits.within(policy, &input);
            prop_assert!(within.sl_bps <= policy.sl_bps && within.sl_price >= policy.sl_price);
            prop_assert!(within.tp_bps <= policy.tp_bps && within.tp_price <= policy.tp_price);
            prop_assert!(within.trail_bps <= policy.trail_bps);
            prop_assert!(within.time_stop_at <= policy.time_stop_at);
            prop_assert_eq!(within.tp_bps.is_some(), policy.tp_bps.is_some());
            prop_assert_eq!(within.panic_bps, policy.panic_bps);
        }
    }
}
