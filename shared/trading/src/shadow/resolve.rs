//! One published mid against one pending shadow trade.
//!
//! Purpose: the total function from (trade, mid, time) to a step. Inputs: frozen terms, excursions so far, the mid of
//! a published state or none, that state's time. Outputs: new excursions and what the trade came to, if anything.
//! Invariants: first touch wins; a step that shows two ends takes the stop before the take-profit and both before the
//! expiry; exits are priced at the level that was touched, the expiry at the mid.

use penstock_types::decimal::{floor_to_step, round_to, scale};
use penstock_types::vocab::ExitPolicy;
use penstock_types::{Decimal, UtcMicros};

use super::{Direction, ShadowOutcome};
use crate::exit::policy::{PlanTerms, PolicyInput, plan_terms};
use crate::exit::shifted;
use crate::exit::trigger::{excursion_bps, target_bps};

/// How long after its expiry a state still tells what a shadow trade was worth then: the age at which any message
/// about a symbol is stale. A later state is void.
pub const VOID_AFTER_EXPIRY_MS: i64 = 60_000;

/// The frozen terms of a shadow trade.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShadowTrade {
    /// Direction.
    pub direction: Direction,
    /// Exit policy.
    pub policy: ExitPolicy,
    /// Mid at the opening.
    pub ref_price: Decimal,
    /// Take-profit, if the policy has one.
    pub tp_price: Option<Decimal>,
    /// Stop.
    pub sl_price: Option<Decimal>,
    /// When it opened, decision clock.
    pub opened_at: UtcMicros,
    /// When its time is up.
    pub expires_at: UtcMicros,
    /// Entry and exit fee, bps.
    pub fees_bps: Decimal,
    /// All costs of the cost model, bps; none when they are not known any more.
    pub cost_bps: Option<Decimal>,
}

/// How far the price went, bps in the direction of the trade; both begin at zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Excursion {
    /// Furthest for it, not below zero.
    pub mfe_bps: Decimal,
    /// Furthest against it, not above zero.
    pub mae_bps: Decimal,
}

/// The end of a shadow trade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolution {
    /// What it came to; never pending.
    pub outcome: ShadowOutcome,
    /// Price of its exit; none when void.
    pub exit_price: Option<Decimal>,
    /// Result net of all costs, bps; none when void.
    pub result_bps: Option<Decimal>,
    /// How far the price went.
    pub seen: Excursion,
    /// Time of the state that showed it.
    pub at: UtcMicros,
}

/// What a state did to a shadow trade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It goes on.
    Pending(Excursion),
    /// It has ended.
    Ended(Resolution),
}

impl ShadowTrade {
    /// The terms that an exit policy gives an entry at `input.entry_price`; those of a short are the mirror image.
    #[must_use]
    pub fn new(direction: Direction, input: &PolicyInput, cost_bps: Decimal) -> Self {
        let plan = plan_terms(input);
        let (sl_price, tp_price) = match direction {
            Direction::Long => (plan.sl_price, plan.tp_price),
            Direction::Short => mirrored(&plan, input),
        };
        Self {
            direction,
            policy: input.policy,
            ref_price: input.entry_price,
            tp_price,
            sl_price: Some(sl_price),
            opened_at: input.opened_at,
            expires_at: plan.time_stop_at,
            fees_bps: input.round_trip_fees_bps,
            cost_bps: Some(cost_bps),
        }
    }

    /// Distance of a price from the opening in the direction of the trade, bps.
    #[must_use]
    pub fn gain_bps(&self, price: Decimal) -> Decimal {
        let up = excursion_bps(price, self.ref_price);
        match self.direction {
            Direction::Long => up,
            Direction::Short => -up,
        }
    }

    /// The take-profit at a time: that of the decaying policy falls toward the fees until its expiry.
    #[must_use]
    pub fn target_at(&self, at: UtcMicros) -> Option<Decimal> {
        let price = self.tp_price?;
        match self.policy {
            ExitPolicy::MakerLadder | ExitPolicy::TrailingStop | ExitPolicy::Recovered => {
                Some(price)
            }
            ExitPolicy::TimeDecay => {
                let (first, life) = (self.gain_bps(price), (self.opened_at, self.expires_at));
                let left = target_bps(self.policy, first, self.fees_bps, life, at);
                let signed = match self.direction {
                    Direction::Long => left,
                    Direction::Short => -left,
                };
                Some(round_to(shifted(self.ref_price, signed), scale::PX))
            }
        }
    }

    fn is_beyond(&self, mid: Decimal, level: Decimal) -> bool {
        match self.direction {
            Direction::Long => mid >= level,
            Direction::Short => mid <= level,
        }
    }

    fn is_stopped(&self, mid: Decimal) -> bool {
        self.sl_price.is_some_and(|level| match self.direction {
            Direction::Long => mid <= level,
            Direction::Short => mid >= level,
        })
    }

    fn end(&self, outcome: ShadowOutcome, exit: Decimal, seen: Excursion, at: UtcMicros) -> Step {
        let Some(cost) = self.cost_bps else { return void(seen, at) };
        let limit = Decimal::from(99_999_999);
        let net = round_to(self.gain_bps(exit) - cost, scale::BPS).clamp(-limit, limit);
        Step::Ended(Resolution { outcome, exit_price: Some(exit), result_bps: Some(net), seen, at })
    }
}

/// Stop and take-profit of a short: above and below, each rounded to the side that is nearer for the one and further
/// for the other, as for a long.
fn mirrored(plan: &PlanTerms, input: &PolicyInput) -> (Decimal, Option<Decimal>) {
    let down = |price| round_to(floor_to_step(price, input.tick), scale::PX);
    let sl = down(shifted(input.entry_price, plan.sl_bps));
    (sl, plan.tp_bps.map(|tp| down(shifted(input.entry_price, -tp))))
}

const fn void(seen: Excursion, at: UtcMicros) -> Step {
    Step::Ended(Resolution {
        outcome: ShadowOutcome::Void,
        exit_price: None,
        result_bps: None,
        seen,
        at,
    })
}

/// Looks at one published state: its mid, when there is a valid one, and its time.
#[must_use]
pub fn step(trade: &ShadowTrade, seen: Excursion, mid: Option<Decimal>, at: UtcMicros) -> Step {
    if at.millis_since(trade.expires_at) > VOID_AFTER_EXPIRY_MS {
        return void(seen, at);
    }
    let Some(mid) = mid.filter(|mid| *mid > Decimal::ZERO && at > trade.opened_at) else {
        return Step::Pending(seen);
    };
    let gain = trade.gain_bps(mid);
    let seen = Excursion { mfe_bps: seen.mfe_bps.max(gain), mae_bps: seen.mae_bps.min(gain) };
    if let Some(level) = trade.sl_price.filter(|_| trade.is_stopped(mid)) {
        return trade.end(ShadowOutcome::Sl, level, seen, at);
    }
    if let Some(level) = trade.target_at(at).filter(|level| trade.is_beyond(mid, *level)) {
        return trade.end(ShadowOutcome::Tp, level, seen, at);
    }
    if at >= trade.expires_at {
        return trade.end(ShadowOutcome::Timeout, mid, seen, at);
    }
    Step::Pending(seen)
}
