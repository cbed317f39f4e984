//! What REST shows of the past: orders, trades, ledger entries, filtered and in pages.
//!
//! Inputs: the fields of a call. Outputs: the JSON of `result`. Newest first, `PAGE` a page, as
//! the venue does; `start` excludes, `end` includes.

use super::auth::Fields;
use super::lag::Lagging;
use super::render;
use crate::account::{AccountTrade, Order, VenueError};
use crate::exchange::{Exchange, Qty};
use crate::private::{Object, decimal_text};
use rust_decimal::Decimal;
use std::collections::HashMap;

/// Rows per page.
const PAGE: usize = 50;
/// Ids per `QueryOrders`.
const QUERY_ORDERS_LIMIT: usize = 50;
/// Ids per `QueryTrades`.
const QUERY_TRADES_LIMIT: usize = 20;

/// `OpenOrders`.
pub(crate) fn open_orders(view: &Lagging<'_>, fields: &Fields) -> Result<String, VenueError> {
    let with_trades = fields.flag("trades")?.unwrap_or(false);
    let wanted = Wanted::parse(fields)?;
    let mut open = Object::new();
    let orders = view.orders();
    let live = orders.iter().rev().filter(|order| !order.status.terminal());
    for order in live.filter(|order| wanted.order(order)) {
        open = open.raw(&order.txid, &render::order(view.exchange, order, with_trades));
    }
    Ok(Object::new().raw("open", &open.end()).end())
}

/// `ClosedOrders`.
pub(crate) fn closed_orders(view: &Lagging<'_>, fields: &Fields) -> Result<String, VenueError> {
    let with_trades = fields.flag("trades")?.unwrap_or(false);
    let without_count = fields.flag("without_count")?.unwrap_or(false);
    let wanted = Wanted::parse(fields)?;
    let window = Window::parse(view.exchange, fields)?;
    let by = fields.text("closetime").unwrap_or("both");
    if !["open", "close", "both"].contains(&by) {
        return Err(VenueError::argument("closetime"));
    }
    let inside = |order: &&Order| {
        let closed = order.closed_us.unwrap_or(order.opened_us);
        match by {
            "open" => window.contains(order.opened_us),
            "close" => window.contains(closed),
            _ => window.contains(order.opened_us) || window.contains(closed),
        }
    };
    let orders = view.orders();
    let terminal = orders.iter().filter(|order| order.status.terminal());
    let mut rows: Vec<&Order> =
        terminal.filter(|order| wanted.order(order)).filter(inside).collect();
    rows.sort_by_key(|order| std::cmp::Reverse((order.closed_us, order.no)));
    let mut closed = Object::new();
    for order in rows.iter().skip(window.offset).take(PAGE) {
        closed = closed.raw(&order.txid, &render::order(view.exchange, order, with_trades));
    }
    Ok(counted("closed", closed, rows.len(), without_count))
}

/// `QueryOrders`.
pub(crate) fn query_orders(view: &Lagging<'_>, fields: &Fields) -> Result<String, VenueError> {
    let with_trades = fields.flag("trades")?.unwrap_or(false);
    let ids = fields.list("txid");
    if ids.is_empty() || ids.len() > QUERY_ORDERS_LIMIT {
        return Err(VenueError::argument("txid"));
    }
    let mut found = Object::new();
    for id in ids {
        let order = view.by_txid(id).ok_or(VenueError::UnknownOrder)?;
        found = found.raw(id, &render::order(view.exchange, &order, with_trades));
    }
    Ok(found.end())
}

/// `TradesHistory`.
pub(crate) fn trades_history(view: &Lagging<'_>, fields: &Fields) -> Result<String, VenueError> {
    let ledgers = fields.flag("ledgers")?.unwrap_or(false);
    let without_count = fields.flag("without_count")?.unwrap_or(false);
    let window = Window::parse(view.exchange, fields)?;
    let trades = view.trades();
    let merged = if fields.flag("consolidate_taker")?.unwrap_or(true) {
        consolidated(view.exchange, trades)
    } else {
        trades.to_vec()
    };
    let inside = merged.iter().rev().filter(|trade| window.contains(trade.ts_us));
    let rows: Vec<&AccountTrade> = inside.collect();
    let mut page = Object::new();
    for trade in rows.iter().skip(window.offset).take(PAGE) {
        page = page.raw(&trade.txid, &render::trade(view.exchange, trade, ledgers));
    }
    Ok(counted("trades", page, rows.len(), without_count))
}

/// `QueryTrades`.
pub(crate) fn query_trades(view: &Lagging<'_>, fields: &Fields) -> Result<String, VenueError> {
    let ids = fields.list("txid");
    if ids.is_empty() || ids.len() > QUERY_TRADES_LIMIT {
        return Err(VenueError::argument("txid"));
    }
    let ledgers = fields.flag("ledgers")?.unwrap_or(false);
    let mut found = Object::new();
    for id in ids {
        let trade = view.trades().iter().find(|trade| trade.txid == id);
        let trade = trade.ok_or_else(|| VenueError::argument("txid"))?;
        found = found.raw(id, &render::trade(view.exchange, trade, ledgers));
    }
    Ok(found.end())
}

/// `Ledgers`.
pub(crate) fn ledgers(exchange: &Exchange, fields: &Fields) -> Result<String, VenueError> {
    let without_count = fields.flag("without_count")?.unwrap_or(false);
    let window = Window::parse(exchange, fields)?;
    let assets = fields.list("asset");
    let kind = fields.text("type").unwrap_or("all");
    let rows: Vec<_> = exchange
        .account()
        .entries()
        .iter()
        .rev()
        .filter(|entry| window.contains(entry.ts_us))
        .filter(|entry| kind == "all" || entry.kind == kind)
        .filter(|entry| {
            let code = render::asset_code(exchange, &entry.asset);
            let named = |asset: &&str| **asset == entry.asset || **asset == code || *asset == "all";
            assets.is_empty() || assets.iter().any(named)
        })
        .collect();
    let mut page = Object::new();
    for entry in rows.iter().skip(window.offset).take(PAGE) {
        page = page.raw(&entry.ledger_id, &render::ledger(exchange, entry));
    }
    Ok(counted("ledger", page, rows.len(), without_count))
}

fn counted(name: &str, rows: Object, count: usize, without_count: bool) -> String {
    let object = Object::new().raw(name, &rows.end());
    if without_count { object.end() } else { object.raw("count", &count.to_string()).end() }
}

/// Taker fills of one order as one trade, as the venue shows them unless told otherwise; its id
/// is the first fill's.
fn consolidated(exchange: &Exchange, trades: &[AccountTrade]) -> Vec<AccountTrade> {
    let mut merged: Vec<AccountTrade> = Vec::new();
    let mut first_of: HashMap<&str, usize> = HashMap::new();
    for trade in trades {
        let place = first_of.get(trade.order_txid.as_str()).copied().filter(|_| !trade.maker);
        let Some(sum) = place.and_then(|place| merged.get_mut(place)) else {
            if !trade.maker {
                first_of.insert(&trade.order_txid, merged.len());
            }
            merged.push(trade.clone());
            continue;
        };
        sum.qty = sum.qty.plus(trade.qty);
        sum.cost += trade.cost;
        sum.fee += trade.fee;
        let instrument = &exchange.market(trade.symbol).instrument;
        if sum.qty > Qty::ZERO {
            let average = sum.cost / instrument.qty(sum.qty);
            let average = average.round_dp(instrument.price_decimals);
            sum.price = instrument.price_of(average).unwrap_or(sum.price);
        }
    }
    merged
}

/// Filters by the client's names.
struct Wanted<'a> {
    cl_ord_id: Option<&'a str>,
    userref: Option<i64>,
}

impl<'a> Wanted<'a> {
    fn parse(fields: &'a Fields) -> Result<Wanted<'a>, VenueError> {
        let userref = fields.integer("userref")?;
        Ok(Wanted { cl_ord_id: fields.text("cl_ord_id"), userref })
    }

    fn order(&self, order: &Order) -> bool {
        let id = self.cl_ord_id.is_none_or(|id| {
            order.cl_ord_id.as_deref().is_some_and(|own| crate::account::same_client_id(own, id))
        });
        id && self.userref.is_none_or(|userref| order.userref == userref)
    }
}

/// Filters by time, and the page.
struct Window {
    after_us: Option<i64>,
    until_us: Option<i64>,
    offset: usize,
}

impl Window {
    fn parse(exchange: &Exchange, fields: &Fields) -> Result<Window, VenueError> {
        let offset = fields.integer("ofs")?.unwrap_or(0);
        Ok(Window {
            after_us: border(exchange, fields, "start")?,
            until_us: border(exchange, fields, "end")?,
            offset: usize::try_from(offset).map_err(|_| VenueError::argument("ofs"))?,
        })
    }

    fn contains(&self, ts_us: i64) -> bool {
        self.after_us.is_none_or(|after| ts_us > after)
            && self.until_us.is_none_or(|until| ts_us <= until)
    }
}

/// A border in seconds, or by the id of an order, trade or ledger entry.
fn border(exchange: &Exchange, fields: &Fields, name: &str) -> Result<Option<i64>, VenueError> {
    let Some(text) = fields.text(name) else { return Ok(None) };
    if let Some(seconds) = decimal_text(text) {
        let us = seconds.checked_mul(Decimal::from(1_000_000)).map(|us| us.floor());
        let us = us.and_then(|us| i64::try_from(us).ok());
        return us.map(Some).ok_or_else(|| VenueError::argument(name));
    }
    let account = exchange.account();
    let order = account.order_by_txid(text).map(|order| order.closed_us.unwrap_or(order.opened_us));
    let trade = || account.trades().iter().find(|trade| trade.txid == text).map(|t| t.ts_us);
    let entry = || account.entries().iter().find(|entry| entry.ledger_id == text).map(|e| e.ts_us);
    let found = order.or_else(trade).or_else(entry);
    found.map(Some).ok_or_else(|| VenueError::argument(name))
}
