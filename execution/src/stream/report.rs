//! Reading one frame of executions or balances.
//!
//! Input: text. Output: values that own their text, because they outlive the frame.

use penstock_types::{Decimal, UtcMicros};
use penstock_venues::kraken::private::{BalanceRow, ExecutionRow};
use penstock_venues::kraken::vocabulary::{ExecType, Liquidity, OrderStatus, TriggerStatus};
use penstock_venues::kraken::wire::Vocabulary;
use penstock_venues::kraken::{DecodeError, Frame, Num, Tag, decode};

/// What a report says happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecKind {
    /// Accepted, not live.
    Pending,
    /// Live, or terms changed, or the state repeated.
    Live,
    /// One trade.
    Trade,
    /// Executed in full; totals only.
    Filled,
    /// Cancelled.
    Canceled,
    /// Time ran out.
    Expired,
    /// A word that nobody knows.
    Unknown,
}

/// The trade of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct Trade {
    /// The venue's id of the trade for us.
    pub exec_id: String,
    /// Public trade id.
    pub trade_id: Option<i64>,
    /// Quantity.
    pub qty: Decimal,
    /// Price.
    pub price: Decimal,
    /// Fees.
    pub fees: Vec<(String, Decimal)>,
    /// The venue's conversion of the fees.
    pub fee_quote_equiv: Option<Decimal>,
    /// `m` or `t`.
    pub liquidity: Option<char>,
}

/// One report of an order.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// What happened.
    pub kind: ExecKind,
    /// The word on the wire.
    pub exec_type: String,
    /// The status on the wire.
    pub order_status: String,
    /// The order is live by its status.
    pub is_open: bool,
    /// The venue's order id.
    pub order_id: String,
    /// Our id, when the report carries it.
    pub cl_ord_id: Option<String>,
    /// Symbol, when the report carries it.
    pub symbol: Option<String>,
    /// Sells, when the report carries the side.
    pub sells: Option<bool>,
    /// Is a stop, when the report carries the type.
    pub is_stop: Option<bool>,
    /// Quantity.
    pub order_qty: Option<Decimal>,
    /// Limit.
    pub limit_price: Option<Decimal>,
    /// Trigger.
    pub trigger_price: Option<Decimal>,
    /// The trigger was reached.
    pub triggered: bool,
    /// Executed quantity.
    pub cum_qty: Option<Decimal>,
    /// Trade.
    pub trade: Option<Trade>,
    /// Reason.
    pub reason: Option<String>,
    /// The venue's time.
    pub at: UtcMicros,
}

/// One row of balances.
#[derive(Debug, Clone, PartialEq)]
pub struct BalanceUpdate {
    /// Asset.
    pub asset: String,
    /// Total after.
    pub balance: Decimal,
    /// Ledger id of an update.
    pub ledger_id: Option<String>,
    /// Type of an update: `trade`, `deposit`, ...
    pub kind: Option<String>,
    /// Signed amount of an update.
    pub amount: Option<Decimal>,
    /// Fee of an update, taken in addition.
    pub fee: Option<Decimal>,
    /// The venue's time of an update.
    pub at: Option<UtcMicros>,
}

/// A frame.
#[derive(Debug, Clone, PartialEq)]
pub enum StreamMessage {
    /// Reports.
    Executions(Vec<Report>),
    /// Balances.
    Balances(Vec<BalanceUpdate>),
    /// Nothing that concerns orders.
    Other,
}

/// A frame that was not understood.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// It does not decode.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A number does not fit.
    #[error("{field} {text:?} is no decimal of at most 28 digits")]
    Number {
        /// Field.
        field: &'static str,
        /// Its text.
        text: String,
    },
}

/// Reads a frame.
///
/// # Errors
/// [`StreamError`].
pub fn read(text: &str) -> Result<StreamMessage, StreamError> {
    Ok(match decode(text)? {
        Frame::Executions(message) => StreamMessage::Executions(
            message.rows.iter().map(report).collect::<Result<Vec<_>, _>>()?,
        ),
        Frame::Balances(message) => StreamMessage::Balances(
            message.rows.iter().map(balance).collect::<Result<Vec<_>, _>>()?,
        ),
        Frame::Heartbeat
        | Frame::Status(_)
        | Frame::Instrument(_)
        | Frame::Ticker(_)
        | Frame::Trade(_)
        | Frame::Book(_)
        | Frame::Ohlc(_)
        | Frame::Level3(_)
        | Frame::Response(_)
        | Frame::Request { .. }
        | Frame::Unknown { .. } => StreamMessage::Other,
    })
}

/// The word of a tag, known or not.
pub(crate) fn word<T: Vocabulary>(tag: &Tag<'_, T>) -> String {
    match tag {
        Tag::Known(value) => value.wire().to_owned(),
        Tag::Unknown(text) => text.to_string(),
    }
}

fn number(field: &'static str, num: Option<Num<'_>>) -> Result<Option<Decimal>, StreamError> {
    num.map(|n| n.decimal().map_err(|_| StreamError::Number { field, text: n.as_str().to_owned() }))
        .transpose()
}

fn report(row: &ExecutionRow<'_>) -> Result<Report, StreamError> {
    let kind = match row.exec_type.known() {
        Some(ExecType::PendingNew) => ExecKind::Pending,
        Some(
            ExecType::New
            | ExecType::Amended
            | ExecType::Restated
            | ExecType::IcebergRefill
            | ExecType::Status,
        ) => ExecKind::Live,
        Some(ExecType::Trade) => ExecKind::Trade,
        Some(ExecType::Filled) => ExecKind::Filled,
        Some(ExecType::Canceled) => ExecKind::Canceled,
        Some(ExecType::Expired) => ExecKind::Expired,
        None => ExecKind::Unknown,
    };
    let triggers = row.triggers.as_ref();
    let status = row.order_status.known();
    Ok(Report {
        kind,
        exec_type: word(&row.exec_type),
        order_status: word(&row.order_status),
        is_open: matches!(
            status,
            Some(OrderStatus::PendingNew | OrderStatus::New | OrderStatus::PartiallyFilled)
        ),
        order_id: row.order_id.to_string(),
        cl_ord_id: row.cl_ord_id.as_ref().map(|t| t.to_string()),
        symbol: row.symbol.as_ref().map(|t| t.to_string()),
        sells: row.side.as_ref().and_then(|s| s.known()).map(|s| s.as_str() == "sell"),
        is_stop: row.order_type.as_ref().map(|t| word(t).starts_with("stop-loss")),
        order_qty: number("order_qty", row.order_qty)?,
        limit_price: number("limit_price", row.limit_price)?,
        trigger_price: number("triggers.price", triggers.and_then(|t| t.price))?,
        triggered: triggers
            .and_then(|t| t.status.as_ref())
            .and_then(|s| s.known())
            .is_some_and(|s| s == TriggerStatus::Triggered),
        cum_qty: number("cum_qty", row.cum_qty)?,
        trade: if kind == ExecKind::Trade { trade(row)? } else { None },
        reason: row.reason_text().map(|t| t.to_string()),
        at: row.timestamp.utc(),
    })
}

/// The trade of a report; without an id, a quantity and a price it is none.
fn trade(row: &ExecutionRow<'_>) -> Result<Option<Trade>, StreamError> {
    let (Some(exec_id), Some(qty), Some(price)) = (
        row.exec_id.as_ref(),
        number("last_qty", row.last_qty)?,
        number("last_price", row.last_price)?,
    ) else {
        return Ok(None);
    };
    let mut fees = Vec::new();
    for fee in row.fees.iter().flatten() {
        let amount = number("fees.qty", Some(fee.qty))?.unwrap_or_default();
        fees.push((fee.asset.to_string(), amount));
    }
    Ok(Some(Trade {
        exec_id: exec_id.to_string(),
        trade_id: row.trade_id.and_then(|id| i64::try_from(id).ok()),
        qty,
        price,
        fees,
        fee_quote_equiv: number("fee_usd_equiv", row.fee_usd_equiv)?,
        liquidity: row.liquidity_ind.as_ref().and_then(|l| l.known()).map(|l| match l {
            Liquidity::Maker => 'm',
            Liquidity::Taker => 't',
        }),
    }))
}

fn balance(row: &BalanceRow<'_>) -> Result<BalanceUpdate, StreamError> {
    Ok(BalanceUpdate {
        asset: row.asset.to_string(),
        balance: number("balance", Some(row.balance))?.unwrap_or_default(),
        ledger_id: row.ledger_id.as_ref().map(|t| t.to_string()),
        kind: row.kind.as_ref().map(|t| t.to_string()),
        amount: number("amount", row.amount)?,
        fee: number("fee", row.fee)?,
        at: row.timestamp.map(|t| t.utc()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_trade_keeps_its_digits_and_a_report_without_an_id_is_no_trade() {
        let text = r#"{"channel":"executions","type":"update","data":[{"exec_type":"trade","order_status":"partially_filled","order_id":"O1","cl_ord_id":"019c6652-5e0c-8005-8000-0000002a944f","timestamp":"2026-02-16T12:00:00.012345Z","symbol":"BTC/USD","side":"buy","exec_id":"T1","trade_id":7,"last_qty":0.00100000,"last_price":64123.10,"cum_qty":0.00100000,"liquidity_ind":"m","fees":[{"asset":"USD","qty":0.0641231}]}],"sequence":3}"#;
        let StreamMessage::Executions(rows) = read(text).unwrap() else { panic!("executions") };
        let trade = rows[0].trade.as_ref().unwrap();
        assert_eq!(trade.qty.to_string(), "0.00100000");
        assert_eq!(trade.price.to_string(), "64123.10");
        assert_eq!(trade.fees, [("USD".to_owned(), "0.0641231".parse().unwrap())]);
        let nameless = text.replace(r#""exec_id":"T1","#, "");
        let StreamMessage::Executions(rows) = read(&nameless).unwrap() else { panic!("rows") };
        assert_eq!(rows[0].trade, None);
        let odd = text.replace("\"trade\",\"order_status\"", "\"teleported\",\"order_status\"");
        let StreamMessage::Executions(rows) = read(&odd).unwrap() else { panic!("rows") };
        assert_eq!((rows[0].kind, rows[0].exec_type.as_str()), (ExecKind::Unknown, "teleported"));
    }

    proptest! {
        #[test]
        fn any_text_is_a_message_or_an_error(text in "\\PC{0,200}") {
            let framed = format!(r#"{{"channel":"executions","type":"update","data":[{text}]}}"#);
            prop_assert!(read(&text).is_ok() || read(&text).is_err());
            prop_assert!(read(&framed).is_ok() || read(&framed).is_err());
        }
    }
}
