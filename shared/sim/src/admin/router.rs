//! The admin interface: `GET /ledger`, `/stats`, `/exposure`, `/tops`, `/sends`, `/sends/flush`,
//! `/markets`, `/faults`, `/counters`, `POST /faults`, `/transfer`, `/orders`, `/bust`, `/market`,
//! `DELETE /orders/{txid}`.
//!
//! Inputs: HTTP on loopback without authentication; whoever reaches it owns the venue. Outputs:
//! JSON. Invariants: reading changes nothing; a request that is not understood is answered 400
//! with the reason and does nothing. It is not part of the venue that clients see.

use super::FaultRequest;
use super::commit::commit;
use super::{owner, view};
use crate::account::VenueError;
use crate::server::Venue;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use rust_decimal::Decimal;
use serde::Deserialize;
use std::sync::Arc;

/// The routes of the admin interface.
pub(crate) fn router(venue: Arc<Venue>) -> Router {
    Router::new()
        .route("/ledger", get(ledger))
        .route("/stats", get(stats))
        .route("/exposure", get(exposure))
        .route("/tops", get(tops))
        .route("/sends", get(sends))
        .route("/sends/flush", get(flush))
        .route("/faults", get(committed).post(faults))
        .route("/markets", get(markets))
        .route("/transfer", post(transfer))
        .route("/counters", get(counters))
        .route("/orders", post(owner::order))
        .route("/orders/{txid}", delete(owner::cancel))
        .route("/bust", post(owner::bust))
        .route("/market", post(owner::market))
        .with_state(venue)
}

async fn ledger(State(venue): State<Arc<Venue>>) -> Response {
    json(view::ledger(&venue))
}

async fn stats(State(venue): State<Arc<Venue>>) -> Response {
    json(venue.stats.json().to_string())
}

async fn exposure(State(venue): State<Arc<Venue>>) -> Response {
    json(view::exposure(&venue))
}

#[derive(Deserialize)]
struct TopsQuery {
    symbol: String,
}

async fn tops(State(venue): State<Arc<Venue>>, Query(query): Query<TopsQuery>) -> Response {
    match view::tops(&venue, &query.symbol) {
        Some(text) => json(text),
        None => refused(&format!("symbol {} is not listed", query.symbol)),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SendsQuery {
    #[serde(default)]
    from: u64,
    limit: Option<usize>,
    channel: Option<String>,
    symbol: Option<String>,
}

async fn sends(State(venue): State<Arc<Venue>>, Query(query): Query<SendsQuery>) -> Response {
    let limit = query.limit.unwrap_or(crate::server::PAGE_LIMIT);
    let (channel, symbol) = (query.channel.as_deref(), query.symbol.as_deref());
    json(venue.sends.page(query.from, limit, channel, symbol).to_string())
}

/// Everything that was sent so far stands in the file of the send log when this answers.
async fn flush(State(venue): State<Arc<Venue>>) -> Response {
    match venue.sends.flush() {
        Some(lines) => json(serde_json::json!({ "lines": lines }).to_string()),
        None => refused("there is no file of the send log, or it was given up"),
    }
}

async fn counters(State(venue): State<Arc<Venue>>) -> Response {
    json(view::counters(&venue))
}

async fn markets(State(venue): State<Arc<Venue>>) -> Response {
    json(view::markets(&venue))
}

async fn committed(State(venue): State<Arc<Venue>>) -> Response {
    json(venue.fault_log.json().to_string())
}

async fn faults(State(venue): State<Arc<Venue>>, body: Bytes) -> Response {
    let request: FaultRequest = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => return refused(&error.to_string()),
    };
    match commit(&venue, &request) {
        Ok(()) => json(r#"{"ok":true}"#.to_owned()),
        Err(reason) => refused(&reason),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Transfer {
    asset: String,
    /// Signed: positive is a deposit.
    amount: String,
}

async fn transfer(State(venue): State<Arc<Venue>>, body: Bytes) -> Response {
    let request: Transfer = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => return refused(&error.to_string()),
    };
    let Ok(amount) = Decimal::from_str_exact(&request.amount) else {
        return refused(&format!("amount {} is not a decimal", request.amount));
    };
    let moved = venue.with(|exchange, now_us| exchange.transfer(&request.asset, amount, now_us));
    match moved {
        Ok(entry) => json(view::entry(&entry)),
        Err(VenueError::InsufficientFunds) => {
            refused(&format!("{amount} {} is more than is available", request.asset))
        }
        Err(error) => refused(&error.to_string()),
    }
}

pub(super) fn json(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

pub(super) fn refused(reason: &str) -> Response {
    let body = serde_json::json!({ "error": reason }).to_string();
    (StatusCode::BAD_REQUEST, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
