//! What the account's owner and the venue's operator do by hand: orders, cancels, busts, moves of the market.
//!
//! Inputs: HTTP of the admin interface. Outputs: JSON, or the refusal with its reason. Invariants: an order
//! by hand passes the same engine and the same rules as one that came over the wire, and is no entry of
//! `requests[]`, because no client sent it; what is refused does nothing.

use super::router::{json, refused};
use super::view;
use crate::account::{AddOrder, OrderRef, VenueError};
use crate::exchange::Exchange;
use crate::private::{decimal_text, kind_of, side_of, tif_of};
use crate::server::{MarketMove, Venue};
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::Response;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// Longest time of one move of the market, ms: a day.
const MOVE_MS_MAX: u64 = 86_400_000;

/// An order by hand; decimals are texts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnOrder {
    symbol: String,
    side: String,
    order_type: String,
    qty: String,
    limit_price: Option<String>,
    trigger_price: Option<String>,
    time_in_force: Option<String>,
    #[serde(default)]
    post_only: bool,
    cl_ord_id: Option<String>,
}

impl OwnOrder {
    fn read(&self, exchange: &Exchange) -> Result<AddOrder, VenueError> {
        let decimal = |text: &str, name: &str| {
            decimal_text(text).ok_or_else(|| VenueError::Arguments(name.to_owned()))
        };
        let price = |text: &Option<String>, name: &str| -> Result<Option<Decimal>, VenueError> {
            text.as_deref().map(|text| decimal(text, name)).transpose()
        };
        let symbol = exchange
            .symbol_no(&self.symbol)
            .ok_or_else(|| VenueError::PairNotSupported(self.symbol.clone()))?;
        let kind = kind_of(&self.order_type, "order_type")?;
        let mut add = AddOrder::new(symbol, side_of(&self.side)?, kind);
        add.qty = Some(decimal(&self.qty, "qty")?);
        add.limit = price(&self.limit_price, "limit_price")?;
        add.trigger = price(&self.trigger_price, "trigger_price")?;
        if let Some(word) = &self.time_in_force {
            add.tif = tif_of(word)?;
        }
        add.post_only = self.post_only;
        add.cl_ord_id.clone_from(&self.cl_ord_id);
        Ok(add)
    }
}

/// `POST /orders`.
pub(super) async fn order(State(venue): State<Arc<Venue>>, body: Bytes) -> Response {
    let own: OwnOrder = match serde_json::from_slice(&body) {
        Ok(own) => own,
        Err(error) => return refused(&error.to_string()),
    };
    let added = venue.with(|exchange, now_us| {
        let add = own.read(exchange)?;
        exchange.add_order(&add, now_us)
    });
    match added {
        Ok(added) => json(json!({ "order_id": added.txid }).to_string()),
        Err(error) => refused(&error.to_string()),
    }
}

/// `DELETE /orders/{txid}`.
pub(super) async fn cancel(State(venue): State<Arc<Venue>>, Path(txid): Path<String>) -> Response {
    let cancelled =
        venue.with(|exchange, now_us| exchange.cancel_order(&OrderRef::Txid(txid), now_us));
    match cancelled {
        Ok(orders) => {
            let ids: Vec<&str> = orders.iter().map(|order| order.txid.as_str()).collect();
            json(json!({ "cancelled": ids }).to_string())
        }
        Err(error) => refused(&error.to_string()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bust {
    exec_id: String,
}

/// `POST /bust`.
pub(super) async fn bust(State(venue): State<Arc<Venue>>, body: Bytes) -> Response {
    let asked: Bust = match serde_json::from_slice(&body) {
        Ok(asked) => asked,
        Err(error) => return refused(&error.to_string()),
    };
    match venue.with(|exchange, now_us| exchange.bust(&asked.exec_id, now_us)) {
        Ok(entries) => {
            let rows: Vec<_> = entries.iter().map(view::entry_value).collect();
            json(json!({ "entries": rows }).to_string())
        }
        Err(error) => refused(&error.to_string()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Move {
    symbol: String,
    move_bps: i32,
    #[serde(default)]
    over_ms: u64,
}

/// `POST /market`.
pub(super) async fn market(State(venue): State<Arc<Venue>>, body: Bytes) -> Response {
    let asked: Move = match serde_json::from_slice(&body) {
        Ok(asked) => asked,
        Err(error) => return refused(&error.to_string()),
    };
    if !(-9_000..=90_000).contains(&asked.move_bps) || asked.over_ms > MOVE_MS_MAX {
        let range = format!("move_bps is -9000 to 90000, over_ms at most {MOVE_MS_MAX}");
        return refused(&range);
    }
    let symbol = match asked.symbol.as_str() {
        "*" => None,
        name => match venue.with(|exchange, _| exchange.symbol_no(name)) {
            Some(no) => Some(no),
            None => return refused(&format!("{name} is not listed")),
        },
    };
    let over_us = i64::try_from(asked.over_ms.saturating_mul(1_000)).unwrap_or(i64::MAX);
    let bps = f64::from(asked.move_bps);
    if venue.move_market(MarketMove { symbol, bps, over_us }) {
        json(r#"{"ok":true}"#.to_owned())
    } else {
        refused("nothing generates this market, or too many moves wait; ask a generated one, later")
    }
}
