//! Sizes: how much an entry may take.
//!
//! Purpose: the size of one entry. Inputs: [`CapitalState`], state, rules of the venue, settings. Outputs: [`Sized`]. Invariants: pure; amounts are decimals; a score
//! enters as a decimal already rounded to its column. Caps reduce a size first, the rules of the risk
//! gate block only what changed afterwards.

use penstock_types::decimal::{ceil_to_step, floor_to_step, round_to, scale};
use penstock_types::rows::{InstrumentRow, LiveOrderRow};
use penstock_types::state_row::StateRow;
use penstock_types::vocab::{OrderRole, Side, Strategy};
use penstock_types::{Decimal, Symbol};
use serde::{Deserialize, Serialize};

use crate::capital::CapitalState;
use crate::costs::{CostTerms, StopTerms};
use crate::cycle::CycleInput;
use crate::decide::config::DecideConfig;
use crate::engine_gate::{Verdict, WHOLE};
use crate::routes;

/// Part of the free quote that one entry may take.
const FREE_SHARE: (i64, u32) = (98, 2);
/// Part of the depth within 10 bps that one entry may take.
const DEPTH_SHARE: (i64, u32) = (10, 2);
/// The floor keeps a position sellable after partial fills and a loss at the stop.
const FLOOR_FACTOR: (i64, u32) = (15, 1);
/// Digits to which a cost is rounded up.
const COST_DECIMALS: u32 = 5;

const fn dec(parts: (i64, u32)) -> Decimal {
    Decimal::from_parts(parts.0 as u32, 0, 0, false, parts.1)
}

/// What made a size as small as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limiter {
    /// Nothing: the request was granted.
    Request,
    /// Greatest share of equity of one entry.
    EquityRatioMax,
    /// Exposure of the symbol.
    SymbolExposure,
    /// Exposure in total.
    TotalExposure,
    /// Budget of the strategy or of the symbol's group.
    Budget,
    /// Loss at the stop.
    RiskPerTrade,
    /// Free quote.
    FreeQuote,
    /// Depth of the book.
    Depth,
    /// The deterministic engine.
    Engine,
    /// The AI gate.
    Gate,
    /// Raised to the least sellable size.
    Floor,
    /// A proof run's size.
    Proof,
}

/// Size of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sized {
    /// Asked for, quote.
    pub requested: Decimal,
    /// Granted, quote, at the price that divides it into a quantity.
    pub approved: Decimal,
    /// Quantity.
    pub qty: Decimal,
    /// What limited it.
    pub limiter: Limiter,
}

/// What sizing needs for one finalist.
#[derive(Debug, Clone, Copy)]
pub struct SizeInput<'a> {
    /// Capital.
    pub capital: &'a CapitalState,
    /// Settings.
    pub config: &'a DecideConfig,
    /// State of the symbol.
    pub state: &'a StateRow,
    /// Rules of the venue.
    pub instrument: &'a InstrumentRow,
    /// Strategy.
    pub strategy: Strategy,
    /// Adjusted edge, bps.
    pub edge_adj_bps: Decimal,
    /// Confidence.
    pub confidence: Decimal,
    /// Costs.
    pub terms: &'a CostTerms,
    /// Stop.
    pub stop: &'a StopTerms,
    /// Price that divides the size into a quantity.
    pub price: Decimal,
    /// Worst price of the order: caps are kept at this one.
    pub limit_price: Decimal,
    /// Largest size of a proof run; none otherwise.
    pub proof_max_quote: Option<Decimal>,
    /// What the engine's gates leave of the size.
    pub engine: Verdict,
}

/// Least size of an entry in quote.
#[must_use]
pub fn floor_quote(instrument: &InstrumentRow, price: Decimal, config: &DecideConfig) -> Decimal {
    let least =
        (instrument.qty_min * price).max(instrument.cost_min).max(config.min_order_notional_quote);
    dec(FLOOR_FACTOR) * least
}

/// Sizes an entry; an error names the limiter that left less than the floor.
///
/// # Errors
/// The limiter, when the size stays below the floor or a cap does not allow the floor.
pub fn size(input: &SizeInput<'_>) -> Result<Sized, Limiter> {
    if input.price <= Decimal::ZERO || input.limit_price <= Decimal::ZERO {
        return Err(Limiter::Depth);
    }
    let (cap, cap_limiter) = cap(input);
    let floor = floor_quote(input.instrument, input.price, input.config);
    let requested = requested(input);
    let wanted = input.proof_max_quote.map_or(requested, |max| floor.min(max));
    let (mut approved, mut limiter) =
        if wanted <= cap { (wanted, Limiter::Request) } else { (cap, cap_limiter) };
    let factor = input.engine.size_factor;
    if factor < WHOLE {
        // A factor reduces what everything else would grant, and nothing below zero.
        approved = approved.max(Decimal::ZERO) * Decimal::new(factor, 4);
        limiter = Limiter::Engine;
    }
    let step = input.instrument.qty_increment;
    let mut qty = floor_to_step(approved.max(Decimal::ZERO) / input.price, step);
    if qty * input.price < floor {
        let e = input.capital.sizing_equity_quote;
        let ratio = routes::terms(input.strategy).equity_ratio;
        qty = ceil_to_step(floor / input.price, step);
        approved = qty * input.price;
        let proof_ok = input.proof_max_quote.is_none_or(|max| approved <= max);
        if floor > Decimal::TWO * e * ratio || approved > cap || !proof_ok {
            return Err(if approved > cap { cap_limiter } else { limiter });
        }
        limiter = if input.proof_max_quote.is_some() { Limiter::Proof } else { Limiter::Floor };
    }
    Ok(Sized {
        requested: round_to(wanted, scale::AMT).normalize(),
        approved: round_to(approved, scale::AMT).normalize(),
        qty: qty.normalize(),
        limiter,
    })
}

/// The most that an entry may take, and the least that could be sold again, quote at the price that divides
/// it: what a refused size is explained with.
#[must_use]
pub fn room_quote(input: &SizeInput<'_>) -> (Decimal, Decimal) {
    let floor = floor_quote(input.instrument, input.price, input.config);
    if input.price <= Decimal::ZERO || input.limit_price <= Decimal::ZERO {
        return (Decimal::ZERO, floor);
    }
    let step = input.instrument.qty_increment;
    let least = ceil_to_step(floor / input.price, step) * input.price;
    let ratio = routes::terms(input.strategy).equity_ratio;
    let worth = Decimal::TWO * input.capital.sizing_equity_quote * ratio;
    let most = cap(input).0.min(worth);
    let most = input.proof_max_quote.map_or(most, |max| most.min(max)).max(Decimal::ZERO);
    (round_to(most, scale::AMT).normalize(), round_to(least, scale::AMT).normalize())
}

/// The size after a change by the AI gate, which only makes it smaller.
///
/// # Errors
/// [`Limiter::Gate`] when less than the floor would be left: what the gate took is not given back.
pub fn reduced(sized: Sized, gate_qty: Decimal, input: &SizeInput<'_>) -> Result<Sized, Limiter> {
    if gate_qty >= sized.qty {
        return Ok(sized);
    }
    let qty = floor_to_step(gate_qty.max(Decimal::ZERO), input.instrument.qty_increment);
    let approved = qty * input.price;
    if approved < floor_quote(input.instrument, input.price, input.config) {
        return Err(Limiter::Gate);
    }
    Ok(Sized {
        approved: round_to(approved, scale::AMT).normalize(),
        qty: qty.normalize(),
        limiter: Limiter::Gate,
        ..sized
    })
}

/// E · ratio · edge/(edge + 10) · confidence · liquidity · throttle.
fn requested(input: &SizeInput<'_>) -> Decimal {
    let e = input.capital.sizing_equity_quote;
    let ratio = routes::terms(input.strategy).equity_ratio;
    let edge = input.edge_adj_bps.max(Decimal::ZERO);
    let wanted_depth = Decimal::from(20) * e * ratio;
    let depth = depth(input.state);
    let quarter = Decimal::new(25, 2);
    let liquidity = if wanted_depth > Decimal::ZERO {
        (depth / wanted_depth).clamp(quarter, Decimal::ONE)
    } else {
        quarter
    };
    let by_edge = edge / (edge + Decimal::TEN);
    round_to(
        e * ratio * by_edge * input.confidence * liquidity * input.capital.throttle,
        scale::AMT,
    )
}

fn depth(state: &StateRow) -> Decimal {
    match (state.depth_bid_10bps_quote, state.depth_ask_10bps_quote) {
        (Some(bid), Some(ask)) => bid.min(ask),
        (None, _) | (_, None) => Decimal::ZERO,
    }
}

/// The smallest cap and its name. Caps that the risk gate checks at the worst price are kept at it.
fn cap(input: &SizeInput<'_>) -> (Decimal, Limiter) {
    let (capital, config) = (input.capital, input.config);
    let e = capital.sizing_equity_quote;
    let used = capital.exposure_of(&input.state.symbol);
    let symbol_cap =
        config.risk_max_exposure_symbol_quote.min(config.max_symbol_notional_pct_of_equity * e);
    let strategy = input.strategy;
    let group_free =
        capital.group_budget_quote() - capital.group_used_quote(&input.state.symbol, config);
    let budget_free = capital.budget.get(strategy) - capital.by_strategy.get(strategy);
    let at_worst = |quote: Decimal| quote * input.price / input.limit_price;
    let loss_bps = input.terms.loss_at_stop_bps(input.stop).max(Decimal::ONE);
    // The reservation is made with the taker fee, which is that of most exits.
    let fee_bps = input.terms.fee_entry_bps.max(input.terms.fee_exit_bps);
    let fee = Decimal::ONE + fee_bps / Decimal::from(10_000);
    let caps = [
        (e * routes::terms(strategy).equity_ratio_max, Limiter::EquityRatioMax),
        (at_worst(symbol_cap - used), Limiter::SymbolExposure),
        (at_worst(capital.open_cap_quote - capital.allocated_quote()), Limiter::TotalExposure),
        (at_worst(group_free.min(budget_free)), Limiter::Budget),
        (config.risk_per_trade_quote * Decimal::from(10_000) / loss_bps, Limiter::RiskPerTrade),
        (at_worst(capital.free_quote * dec(FREE_SHARE) / fee), Limiter::FreeQuote),
        (dec(DEPTH_SHARE) * depth(input.state), Limiter::Depth),
    ];
    let mut least = caps[0];
    for cap in &caps[1..] {
        if cap.0 < least.0 {
            least = *cap;
        }
    }
    least
}

/// Quote to reserve for an order: quantity × limit × (1 + taker fee), rounded up.
#[must_use]
pub fn required_quote(qty: Decimal, limit: Decimal, taker_bps: Decimal) -> Decimal {
    let gross = qty * limit * (Decimal::ONE + taker_bps / Decimal::from(10_000));
    gross.round_dp_with_strategy(COST_DECIMALS, rust_decimal::RoundingStrategy::AwayFromZero)
}

/// An order that opens a position.
#[must_use]
pub fn is_live_entry(order: &LiveOrderRow) -> bool {
    matches!(order.role, OrderRole::Entry | OrderRole::Proof) && order.side == Side::Buy
}

/// Live entries of a strategy and, when given, of one symbol.
#[must_use]
pub fn live_entries(
    input: &CycleInput,
    strategy: Option<Strategy>,
    symbol: Option<&Symbol>,
) -> i64 {
    let n = input
        .live_orders
        .iter()
        .filter(|o| is_live_entry(o))
        .filter(|o| strategy.is_none_or(|s| o.strategy == Some(s)))
        .filter(|o| symbol.is_none_or(|s| &o.symbol == s))
        .count();
    i64::try_from(n).unwrap_or(i64::MAX)
}
