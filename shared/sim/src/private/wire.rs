//! Frames of the private channels and answers to requests.
//!
//! Inputs: reports, ledger entries, refusals. Outputs: JSON text with the venue's fields and
//! quirks: what a report leaves out is unchanged, reports after `pending_new` do not repeat symbol
//! and side, a completing fill still says `partially_filled`. It does not decide what is sent.

use super::json::{Object, array};
use crate::account::{
    AccountTrade, BalanceChange, ExecReport, ExecType, Order, OrderKind, VenueError,
};
use crate::exchange::{Exchange, Instrument, Qty, SystemStatus};
use rust_decimal::Decimal;

/// Heartbeat frame.
pub(crate) const HEARTBEAT: &str = r#"{"channel":"heartbeat"}"#;

/// First frame of a connection, and of every change of the venue's status.
pub(crate) fn status(system: SystemStatus, connection: u64) -> String {
    let data = Object::new()
        .text("api_version", "v2")
        .raw("connection_id", &(CONNECTION_ID_BASE + connection).to_string())
        .text("system", system.text())
        .text("version", "2.0.10")
        .end();
    frame("status", "update", &[data], None)
}

/// Connection ids of the venue exceed 2^53; clients have to cope.
const CONNECTION_ID_BASE: u64 = 11_500_000_000_000_000_000;

/// A channel frame.
pub(crate) fn frame(channel: &str, kind: &str, data: &[String], sequence: Option<u64>) -> String {
    let object =
        Object::new().text("channel", channel).text("type", kind).raw("data", &array(data));
    match sequence {
        Some(sequence) => object.raw("sequence", &sequence.to_string()).end(),
        None => object.end(),
    }
}

/// The answer to a request that was carried out.
pub(crate) fn answer(method: &str, req_id: Option<u64>, result: &str, times: (i64, i64)) -> String {
    let object = head(method, req_id).raw("result", result).flag("success", true);
    object.time("time_in", times.0).time("time_out", times.1).end()
}

/// The answer to a request that was refused.
pub(crate) fn refusal(
    method: &str,
    req_id: Option<u64>,
    error: &VenueError,
    times: (i64, i64),
) -> String {
    let object = head(method, req_id).text("error", &error.to_string()).flag("success", false);
    object.time("time_in", times.0).time("time_out", times.1).end()
}

/// The answer to a ping.
pub(crate) fn pong(req_id: Option<u64>, times: (i64, i64)) -> String {
    head("pong", req_id).time("time_in", times.0).time("time_out", times.1).end()
}

fn head(method: &str, req_id: Option<u64>) -> Object {
    let object = Object::new().text("method", method);
    match req_id {
        Some(req_id) => object.raw("req_id", &req_id.to_string()),
        None => object,
    }
}

/// One report of the stream.
pub(crate) fn report(exchange: &Exchange, report: &ExecReport, ratecounter: bool) -> String {
    let order = &report.order;
    let instrument = &exchange.market(order.symbol).instrument;
    let mut object = identity(report.exec_type, order, report.ts_us);
    object = match report.exec_type {
        ExecType::PendingNew => terms(names(object, instrument, order), instrument, order),
        ExecType::New => object,
        ExecType::Trade => {
            let object = totals(names(object, instrument, order), instrument, order)
                .number("order_qty", instrument.qty(order.qty));
            match &report.trade {
                Some(trade) => fill(object, instrument, trade),
                None => object,
            }
        }
        ExecType::Filled => totals(object, instrument, order),
        ExecType::Amended => terms(object, instrument, order).text("reason", "User requested"),
        ExecType::Status => triggers(object, instrument, order),
        ExecType::Canceled | ExecType::Expired => {
            let reason = order.reason.as_deref();
            totals(object, instrument, order)
                .maybe_text("reason", reason)
                .maybe_text("cancel_reason", reason)
        }
    };
    if ratecounter {
        object = object.number("ratecount", report.ratecount);
    }
    object.end()
}

/// One open order of the snapshot, complete.
pub(crate) fn snapshot_order(exchange: &Exchange, order: &Order) -> String {
    let instrument = &exchange.market(order.symbol).instrument;
    let object = identity(ExecType::New, order, order.changed_us);
    let object = terms(names(object, instrument, order), instrument, order);
    totals(object, instrument, order).end()
}

/// One old fill of the snapshot.
pub(crate) fn snapshot_trade(exchange: &Exchange, trade: &AccountTrade) -> String {
    let instrument = &exchange.market(trade.symbol).instrument;
    let order = exchange.account().order_by_txid(&trade.order_txid);
    let userref = order.map_or(0, |order| order.userref);
    let complete = order.is_some_and(|order| order.left().is_zero());
    let object = Object::new()
        .text("exec_type", ExecType::Trade.text())
        .text("order_status", if complete { "filled" } else { "partially_filled" })
        .text("order_id", &trade.order_txid)
        .maybe_text("cl_ord_id", trade.cl_ord_id.as_deref())
        .integer("order_userref", userref)
        .time("timestamp", trade.ts_us)
        .text("symbol", &instrument.symbol)
        .text("side", trade.side.text())
        .text("order_type", trade.kind.text());
    fill(object, instrument, trade).end()
}

fn identity(exec_type: ExecType, order: &Order, ts_us: i64) -> Object {
    Object::new()
        .text("exec_type", exec_type.text())
        .text("order_status", order.status.text())
        .text("order_id", &order.txid)
        .maybe_text("cl_ord_id", order.cl_ord_id.as_deref())
        .integer("order_userref", order.userref)
        .time("timestamp", ts_us)
}

fn names(object: Object, instrument: &Instrument, order: &Order) -> Object {
    object
        .text("symbol", &instrument.symbol)
        .text("side", order.side.text())
        .text("order_type", order.kind.text())
}

fn terms(object: Object, instrument: &Instrument, order: &Order) -> Object {
    let mut object = object
        .number("order_qty", instrument.qty(order.qty))
        .text("time_in_force", order.tif.text());
    if let Some(limit) = order.limit {
        object = object
            .number("limit_price", instrument.price(limit))
            .text("limit_price_type", "static");
    }
    if let Some(cash) = order.cash_qty {
        object = object.number("cash_order_qty", cash);
    }
    if let Some(expire_us) = order.expire_us {
        object = object.time("expire_time", expire_us);
    }
    if order.post_only {
        object = object.flag("post_only", true);
    }
    if order.amended {
        object = object.flag("amended", true);
    }
    triggers(object, instrument, order)
}

fn triggers(object: Object, instrument: &Instrument, order: &Order) -> Object {
    let Some(trigger) = order.trigger.filter(|_| order.kind == OrderKind::StopLoss) else {
        return object;
    };
    let json = Object::new()
        .text("reference", "last")
        .number("price", instrument.price(trigger))
        .text("price_type", "static")
        .text("status", if order.triggered { "triggered" } else { "untriggered" })
        .end();
    object.raw("triggers", &json)
}

fn totals(object: Object, instrument: &Instrument, order: &Order) -> Object {
    let qty = instrument.qty(order.cum_qty);
    let average = order.cum_cost.checked_div(qty).unwrap_or_default();
    // The average is for people; the totals beside it are exact.
    let average = average.round_dp(instrument.price_decimals + 6);
    object
        .number("cum_qty", instrument.qty(order.cum_qty))
        .number("cum_cost", order.cum_cost)
        .number("avg_price", if order.cum_qty == Qty::ZERO { Decimal::ZERO } else { average })
}

fn fill(object: Object, instrument: &Instrument, trade: &AccountTrade) -> Object {
    let fees = Object::new().text("asset", &trade.fee_asset).number("qty", trade.fee).end();
    object
        .text("exec_id", &trade.txid)
        .raw("trade_id", &trade.trade_id.to_string())
        .number("last_qty", instrument.qty(trade.qty))
        .number("last_price", instrument.price(trade.price))
        .number("cost", trade.cost)
        .text("liquidity_ind", if trade.maker { "m" } else { "t" })
        .raw("fees", &array(&[fees]))
}

/// One row of a balances update.
pub(crate) fn balance(change: &BalanceChange) -> String {
    Object::new()
        .text("ledger_id", &change.ledger_id)
        .text("ref_id", &change.ref_id)
        .time("timestamp", change.ts_us)
        .text("type", change.kind)
        .text("asset", &change.asset)
        .text("asset_class", "currency")
        .text("category", change.kind)
        .text("wallet_type", "spot")
        .text("wallet_id", "main")
        .number("amount", change.amount)
        .number("fee", change.fee)
        .number("balance", change.balance)
        .end()
}

/// One row of the balances snapshot.
pub(crate) fn snapshot_balance(asset: &str, total: Decimal) -> String {
    let wallet =
        Object::new().text("type", "spot").text("id", "main").number("balance", total).end();
    Object::new()
        .text("asset", asset)
        .text("asset_class", "currency")
        .number("balance", total)
        .raw("wallets", &array(&[wallet]))
        .end()
}
