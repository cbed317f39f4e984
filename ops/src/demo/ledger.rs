//! The venue's ledger, counters and exposure as facts of the invariant checker.

use crate::invariants::{Facts, VenueOrder, VenueRequest, VenueTrade};
use penstock_types::decimal::parse_wire;
use penstock_types::vocab::Side;
use penstock_types::{Decimal, Symbol, UtcMicros, Uuid};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// A ledger that does not read as one.
#[derive(Debug, thiserror::Error)]
#[error("the venue's ledger: {0}")]
pub struct LedgerError(String);

impl LedgerError {
    fn of(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

#[derive(Deserialize)]
struct Ledger {
    balances: BTreeMap<String, Balance>,
    orders: Vec<Order>,
    trades: Vec<Trade>,
    busts: Vec<Trade>,
    entries: Vec<Entry>,
    requests: Vec<Request>,
    requests_truncated: u64,
    timeline_truncated: u64,
}

#[derive(Deserialize)]
struct Balance {
    balance: String,
}

#[derive(Deserialize)]
struct Order {
    order_id: String,
    cl_ord_id: Option<String>,
}

#[derive(Deserialize)]
struct Trade {
    exec_id: String,
    symbol: String,
    side: String,
    price: String,
    qty: String,
    fee: String,
    ts_us: i64,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "type")]
    kind: String,
    ref_id: String,
    asset: String,
    amount: String,
    fee: String,
}

#[derive(Deserialize)]
struct Request {
    first_byte_us: i64,
    method: String,
    cl_ord_id: Vec<String>,
    outcome: String,
}

#[derive(Deserialize)]
struct Exposure {
    open: i64,
    close: i64,
    intervals: Vec<serde_json::Value>,
}

/// Fills the venue's half of the facts; gives the time of the first trade.
///
/// # Errors
/// [`LedgerError`] when something does not read, or when the venue had to forget part of its ledger.
pub fn fill(
    facts: &mut Facts,
    ledger: serde_json::Value,
    exposure: serde_json::Value,
) -> Result<Option<UtcMicros>, LedgerError> {
    let ledger: Ledger = serde_json::from_value(ledger).map_err(LedgerError::of)?;
    let exposure: Exposure = serde_json::from_value(exposure).map_err(LedgerError::of)?;
    if ledger.requests_truncated + ledger.timeline_truncated > 0 {
        return Err(LedgerError("the run was too long, the venue forgot its beginning".to_owned()));
    }
    let first_trade = ledger.trades.iter().map(|trade| UtcMicros(trade.ts_us)).min();
    for (asset, balance) in &ledger.balances {
        facts.venue_balances.insert(asset.clone(), number(&balance.balance)?);
    }
    facts.busted = ledger.busts.iter().map(|trade| trade.exec_id.clone()).collect();
    facts.venue_opening = from_outside(&ledger.entries, &facts.busted)?;
    facts.requests = ledger.requests.iter().map(request).collect();
    facts.requests.sort_by_key(|request| request.first_byte_at);
    facts.venue_orders = ledger
        .orders
        .into_iter()
        .map(|order| VenueOrder {
            cl_ord_id: order.cl_ord_id.as_deref().and_then(|id| Uuid::parse_str(id).ok()),
            order_id: order.order_id,
        })
        .collect();
    facts.venue_trades = ledger.trades.iter().map(trade).collect::<Result<_, _>>()?;
    facts.unprotected_open_ms_max = exposure.open;
    facts.unprotected_close_ms_max = exposure.close;
    // Every position was naked at least from its fill to its stop: the intervals count the positions.
    facts.exposures = exposure.intervals.len() as u64;
    Ok(first_trade)
}

fn number(text: &str) -> Result<Decimal, LedgerError> {
    parse_wire(text).map_err(LedgerError::of)
}

/// What came from outside: opening balance, deposits, withdrawals. The rest of a balance is trade, what gives a trade
/// back among it.
fn from_outside(
    entries: &[Entry],
    busted: &BTreeSet<String>,
) -> Result<BTreeMap<String, Decimal>, LedgerError> {
    let mut sums: BTreeMap<String, Decimal> = BTreeMap::new();
    let is_outside =
        |entry: &&Entry| entry.kind != "trade" && !busted.contains(entry.ref_id.as_str());
    for entry in entries.iter().filter(is_outside) {
        *sums.entry(entry.asset.clone()).or_default() +=
            number(&entry.amount)? - number(&entry.fee)?;
    }
    Ok(sums)
}

fn request(request: &Request) -> VenueRequest {
    let method = match request.method.as_str() {
        "AddOrder" | "AddOrderBatch" | "batch_add" => "add_order",
        other => other,
    };
    VenueRequest {
        first_byte_at: UtcMicros(request.first_byte_us),
        method: method.to_owned(),
        cl_ord_ids: request.cl_ord_id.iter().filter_map(|id| Uuid::parse_str(id).ok()).collect(),
        accepted: request.outcome == "ok",
    }
}

fn trade(trade: &Trade) -> Result<VenueTrade, LedgerError> {
    Ok(VenueTrade {
        exec_id: trade.exec_id.clone(),
        symbol: Symbol::new(&trade.symbol).map_err(LedgerError::of)?,
        side: Side::parse(&trade.side).map_err(LedgerError::of)?,
        price: number(&trade.price)?,
        qty: number(&trade.qty)?,
        fee: number(&trade.fee)?,
    })
}
