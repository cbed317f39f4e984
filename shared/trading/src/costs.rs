//! The one cost model: what an entry and its exit cost, what is left of the expected move.
//!
//! Purpose: every term in bps, positive = cost; the spread appears once. Inputs: features, path, fees,
//! a size, the exit policy's stop. Outputs: the terms and the edge, rounded half-even to four digits.
//! Invariants: pure; the edge never rises when a cost term or the size rises. It decides nothing.

use penstock_types::Decimal;
use penstock_types::decimal::{from_feature, scale, to_feature};
use penstock_types::rows::FeeTierRow;
use penstock_types::vocab::{EntryMode, ExitPolicy};
use serde::{Deserialize, Serialize};

use crate::decide::config::TpAction;
use crate::routes::{Features, Path};

/// Stop of an exit policy in bps from the average entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopTerms {
    /// Initial stop distance.
    pub sl_bps: Decimal,
    /// Trailing distance, for the policy that trails from its entry on.
    pub trail_bps: Option<Decimal>,
}

/// How a maker entry's chance of a fill was estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FillModel {
    /// A taker fills.
    Taker,
    /// From the order-by-order book.
    L3Based,
    /// From the rate of trades.
    FallbackBased,
    /// No trade in five minutes.
    MissingInsufficient,
}

/// What the model needs beside features and path.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CostInput<'a> {
    /// Features of the symbol.
    pub features: &'a Features,
    /// Path of the route.
    pub path: &'a Path,
    /// Entry mode.
    pub mode: EntryMode,
    /// Exit policy.
    pub policy: ExitPolicy,
    /// Fees of the account.
    pub fees: &'a FeeTierRow,
    /// Stop of the policy.
    pub stop: StopTerms,
    /// Size, quote.
    pub size_quote: f64,
    /// Submit to acknowledgement, seconds.
    pub latency_s: f64,
    /// Life of a resting entry, seconds.
    pub ttl_s: f64,
    /// Price step in bps of the mid.
    pub tick_bps: f64,
    /// What take-profit does.
    pub tp_action: TpAction,
    /// Closing may rest first.
    pub maker_close: bool,
}

/// The terms, bps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostTerms {
    /// Part of the move that the policy captures, less what is spent.
    pub capturable_bps: Decimal,
    /// Fee of the entry.
    pub fee_entry_bps: Decimal,
    /// Fee of the exit.
    pub fee_exit_bps: Decimal,
    /// Slippage of the entry.
    pub slip_entry_bps: Decimal,
    /// Slippage of the exit.
    pub slip_exit_bps: Decimal,
    /// Half the spread: paid by a taker, earned by a maker.
    pub spread_net_bps: Decimal,
    /// Half the spread of a taking exit and the distance of a raised stop.
    pub exit_drag_bps: Decimal,
    /// What trailing gives back.
    pub tsl_drag_bps: Decimal,
    /// What waiting in the book risks.
    pub wait_risk_bps: Decimal,
    /// Probability of a fill.
    pub p_fill: Decimal,
    /// How it was estimated.
    pub fill_model: FillModel,
    /// What is left.
    pub edge_bps: Decimal,
}

/// Weight of a maker exit: zero unless take-profit closes and may rest first.
fn maker_exit_weight(policy: ExitPolicy, tp_action: TpAction, maker_close: bool) -> f64 {
    match (policy, tp_action) {
        (ExitPolicy::MakerLadder, TpAction::Close) if maker_close => 0.5,
        (
            ExitPolicy::MakerLadder
            | ExitPolicy::TrailingStop
            | ExitPolicy::TimeDecay
            | ExitPolicy::Recovered,
            TpAction::Close | TpAction::RaiseStop,
        ) => 0.0,
    }
}

/// Share of the gross move that a policy captures.
const fn capture(policy: ExitPolicy) -> f64 {
    match policy {
        ExitPolicy::MakerLadder => 0.70,
        ExitPolicy::TrailingStop | ExitPolicy::Recovered => 0.55,
        ExitPolicy::TimeDecay => 0.60,
    }
}

/// A policy whose take-profit raises the stop gives that distance away.
const fn raises_its_stop(policy: ExitPolicy, tp_action: TpAction) -> bool {
    match tp_action {
        TpAction::RaiseStop => matches!(policy, ExitPolicy::MakerLadder | ExitPolicy::TimeDecay),
        TpAction::Close => false,
    }
}

/// Initial stop and trailing distance of a policy for an expected move.
///
/// A range that does not exist yet drops out of its maximum or sum; the lower bound holds.
#[must_use]
pub fn stop_terms(policy: ExitPolicy, move_bps: Decimal, s: f64, atr: Option<f64>) -> StopTerms {
    let mx = to_feature(move_bps);
    let (sl, trail) = match policy {
        ExitPolicy::MakerLadder => {
            let width = 0.6 * s + atr.map_or(0.0, |a| 0.3 * a);
            (width.max(20.0).clamp(20.0, 80.0), None)
        }
        ExitPolicy::TrailingStop => {
            let sl = (0.5 * mx).max(atr.map_or(0.0, |a| 1.5 * a)).clamp(60.0, 500.0);
            (sl, Some(sl.min(atr.unwrap_or(0.0).max(70.0))))
        }
        ExitPolicy::TimeDecay => (atr.map_or(25.0, |a| 0.5 * a).max(25.0).clamp(25.0, 120.0), None),
        ExitPolicy::Recovered => (150.0, Some(70.0)),
    };
    let bps = |x: f64| from_feature(x, scale::BPS).unwrap_or(Decimal::ONE_HUNDRED);
    StopTerms { sl_bps: bps(sl), trail_bps: trail.map(bps) }
}

/// Probability of a fill and how it was estimated.
fn fill_probability(f: &Features, mode: EntryMode) -> (f64, FillModel) {
    if mode == EntryMode::Taker {
        return (1.0, FillModel::Taker);
    }
    if let Some(ms) = f.est_fill_bid_ms {
        let seconds = to_feature(Decimal::from(ms)) / 1_000.0;
        return ((300.0 / (300.0 + seconds)).clamp(0.05, 0.95), FillModel::L3Based);
    }
    if f.trades_per_s <= 0.0 {
        return (0.05, FillModel::MissingInsufficient);
    }
    let d = f.trades_per_s;
    ((d / (d + 0.25)).clamp(0.05, 0.95) * 0.9, FillModel::FallbackBased)
}

/// The terms of an entry; none when a number leaves the range of its column.
#[must_use]
pub fn costs(input: &CostInput<'_>) -> Option<CostTerms> {
    let f = input.features;
    let bps = |x: f64| from_feature(x, scale::BPS);
    let maker_share = maker_exit_weight(input.policy, input.tp_action, input.maker_close);
    let taker_share = 1.0 - maker_share;
    let (maker_fee, taker_fee) =
        (to_feature(input.fees.maker_bps), to_feature(input.fees.taker_bps));
    let (fee_entry, slip_entry, spread_net) = match input.mode {
        EntryMode::Maker => (maker_fee, 0.05 * f.s + 0.5, -0.5 * f.s),
        EntryMode::Taker => (
            taker_fee,
            3.5 + 0.3 * f.v * (input.latency_s / 60.0).sqrt()
                + 5.0 * input.size_quote / f.depth_ask,
            0.5 * f.s,
        ),
    };
    let slip_exit = taker_share * (2.0 + 5.0 * input.size_quote / f.depth_bid) + maker_share * 0.5;
    let raised = if raises_its_stop(input.policy, input.tp_action) {
        (2.0 * input.tick_bps).max(5.0)
    } else {
        0.0
    };
    let wait_s = f
        .est_fill_bid_ms
        .map_or(input.ttl_s, |ms| (to_feature(Decimal::from(ms)) / 1_000.0).min(input.ttl_s));
    let wait_risk = match input.mode {
        EntryMode::Maker => 0.25 * f.v * (wait_s / 60.0).sqrt(),
        EntryMode::Taker => 0.0,
    };
    let tsl_drag = match input.policy {
        ExitPolicy::TrailingStop => 0.30 * input.stop.trail_bps.map_or(0.0, to_feature),
        ExitPolicy::MakerLadder | ExitPolicy::TimeDecay | ExitPolicy::Recovered => 0.0,
    };
    let (p_fill, fill_model) = fill_probability(f, input.mode);
    let capturable =
        to_feature(input.path.move_bps) * capture(input.policy) - to_feature(input.path.spent_bps);
    let mut terms = CostTerms {
        capturable_bps: bps(capturable)?,
        fee_entry_bps: bps(fee_entry)?,
        fee_exit_bps: bps(taker_share * taker_fee + maker_share * maker_fee)?,
        slip_entry_bps: bps(slip_entry)?,
        slip_exit_bps: bps(slip_exit)?,
        spread_net_bps: bps(spread_net)?,
        exit_drag_bps: bps(taker_share * 0.5 * f.s + raised)?,
        tsl_drag_bps: bps(tsl_drag)?,
        wait_risk_bps: bps(wait_risk)?,
        p_fill: from_feature(p_fill, scale::RATIO)?,
        fill_model,
        edge_bps: Decimal::ZERO,
    };
    terms.edge_bps = terms.edge()?;
    Some(terms)
}

impl CostTerms {
    /// Probability of a fill times what the move leaves after all costs, rounded half-even.
    fn edge(&self) -> Option<Decimal> {
        let net = self.capturable_bps.checked_sub(self.total_bps())?;
        let edge = self.p_fill.checked_mul(net)?;
        Some(penstock_types::decimal::round_to(edge, scale::BPS).normalize())
    }

    /// Sum of all costs, bps.
    #[must_use]
    pub fn total_bps(&self) -> Decimal {
        self.fee_entry_bps
            + self.fee_exit_bps
            + self.slip_entry_bps
            + self.slip_exit_bps
            + self.spread_net_bps
            + self.exit_drag_bps
            + self.tsl_drag_bps
            + self.wait_risk_bps
    }

    /// Both fees, bps.
    #[must_use]
    pub fn fees_bps(&self) -> Decimal {
        self.fee_entry_bps + self.fee_exit_bps
    }

    /// Loss at the stop with what the exit costs, bps.
    #[must_use]
    pub fn loss_at_stop_bps(&self, stop: &StopTerms) -> Decimal {
        stop.sl_bps + self.slip_exit_bps + self.exit_drag_bps
    }
}
