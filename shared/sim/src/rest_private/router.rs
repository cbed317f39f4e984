//! `POST /0/private/{method}`.
//!
//! Inputs: calls with their headers, bytes and the time of their first byte. Outputs: the venue's
//! envelope, always with HTTP 200 but for injected faults. Invariants: a call is charged to the
//! counter before it is looked at; it is logged whether or not it is answered.

use super::auth::Fields;
use super::lag::Lagging;
use super::{funds, history, orders};
use crate::account::VenueError;
use crate::admin::RequestFault;
use crate::ledger::RequestEntry;
use crate::private::{EXPIRES_S, Object};
use crate::server::{FirstByte, Venue};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use std::sync::Arc;
use std::time::Duration;

/// The method that gives tokens, the only one for a key without trading rights.
const TOKEN: &str = "GetWebSocketsToken";
/// Longest body of a private call.
const BODY_BYTES_LIMIT: usize = 1 << 20;

/// The routes of private REST.
pub(crate) fn router(venue: Arc<Venue>) -> Router {
    Router::new()
        .route("/0/private/{method}", post(call))
        .layer(axum::extract::DefaultBodyLimit::max(BODY_BYTES_LIMIT))
        .with_state(venue)
}

/// The venue's envelope.
fn envelope(result: &Result<String, VenueError>) -> String {
    match result {
        Ok(result) => Object::new().raw("error", "[]").raw("result", result).end(),
        Err(error) => {
            let text = serde_json::Value::from(error.to_string()).to_string();
            Object::new().raw("error", &format!("[{text}]")).end()
        }
    }
}

async fn call(
    State(venue): State<Arc<Venue>>,
    ConnectInfo(first_byte): ConnectInfo<FirstByte>,
    Path(method): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let first_byte_us = first_byte.take();
    if !hold(&venue, &method).await {
        let entry = RequestEntry {
            first_byte_us,
            via: "rest",
            connection: first_byte.connection(),
            method,
            cl_ord_id: Vec::new(),
            order_id: Vec::new(),
            outcome: "dropped".to_owned(),
            answered: false,
            nonce: None,
        };
        venue.requests.push(entry);
        // The answer never comes: the client's own timeout or the end of the connection ends it.
        std::future::pending::<()>().await;
        return StatusCode::GATEWAY_TIMEOUT.into_response();
    }
    let http = venue.faults.take_http(&method);
    let executed = http.as_ref().is_none_or(|fault| fault.executed);
    let (result, fields, given) = if executed {
        carry_out(&venue, &method, &headers, &body)
    } else {
        (Err(VenueError::Unavailable), Fields::default(), Vec::new())
    };
    let lost = venue.faults.take_lost_ack(&method);
    let named = |name: &str| fields.list(name).iter().map(|id| (*id).to_owned()).collect();
    let mut order_id: Vec<String> = named("txid");
    order_id.extend(given);
    venue.requests.push(RequestEntry {
        first_byte_us,
        via: "rest",
        connection: first_byte.connection(),
        method: method.clone(),
        cl_ord_id: named("cl_ord_id"),
        order_id,
        outcome: result.as_ref().map_or_else(ToString::to_string, |_| "ok".to_owned()),
        answered: !lost && http.is_none(),
        nonce: fields.text("nonce").and_then(|text| text.parse().ok()),
    });
    venue.stats.rest(&method);
    let delay_ms = venue.faults.delay_ms();
    if delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(u64::from(delay_ms))).await;
    }
    if lost {
        // The answer never comes: the client's own timeout or the end of the connection ends it.
        std::future::pending::<()>().await;
    }
    match http {
        Some(fault) => {
            let status = StatusCode::from_u16(fault.status).unwrap_or(StatusCode::BAD_GATEWAY);
            (status, [(header::CONTENT_TYPE, "text/html")], fault.body).into_response()
        }
        None => ([(header::CONTENT_TYPE, "application/json")], envelope(&result)).into_response(),
    }
}

/// Waits as long as a fault keeps this call from the engine; false when it is never to get there. On REST,
/// where a client waits for its answer, a reordered call is a late one.
async fn hold(venue: &Venue, method: &str) -> bool {
    match venue.faults.take_request_fault(method) {
        None => true,
        Some((RequestFault::Drop, _)) => false,
        Some((RequestFault::Delay | RequestFault::Reorder, delay_ms)) => {
            tokio::time::sleep(Duration::from_millis(u64::from(delay_ms))).await;
            true
        }
    }
}

fn carry_out(
    venue: &Venue,
    method: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> (Result<String, VenueError>, Fields, Vec<String>) {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let path = format!("/0/private/{method}");
    let key = text("API-Key");
    let is_data = key == Some(venue.data_credentials.key.as_str());
    let credentials = if is_data { &venue.data_credentials } else { &venue.credentials };
    let fields = match credentials.check(&path, key, text("API-Sign"), body) {
        Ok(fields) => fields,
        Err(error) => return (Err(error), Fields::default(), Vec::new()),
    };
    if is_data && method != TOKEN {
        return (Err(VenueError::PermissionDenied), fields, Vec::new());
    }
    // Order calls are free here, so a full counter does not stop them either.
    let points = points(method);
    if points > 0
        && let Err(error) = venue.charge(points)
    {
        return (Err(error), fields, Vec::new());
    }
    let injected = venue.faults.take_error(method);
    if let Some((text, false)) = injected {
        return (Err(VenueError::Injected(text)), fields, Vec::new());
    }
    let outcome = match method {
        TOKEN => {
            let token = if is_data { venue.issue_data_token() } else { venue.issue_token() };
            let object = Object::new().text("token", &token).integer("expires", EXPIRES_S);
            Ok((object.end(), Vec::new()))
        }
        _ => run(venue, method, &fields),
    };
    let (result, given) = match outcome {
        Ok((result, given)) => (Ok(result), given),
        Err(error) => (Err(error), Vec::new()),
    };
    match injected {
        Some((text, _)) => (Err(VenueError::Injected(text)), fields, given),
        None => (result, fields, given),
    }
}

/// Points of a method on the REST counter; order calls count on the engine's.
fn points(method: &str) -> i64 {
    match method {
        "AddOrder" | "AmendOrder" | "CancelOrder" | "CancelAll" | "CancelAllOrdersAfter" => 0,
        "TradesHistory" | "QueryTrades" | "Ledgers" => 4,
        _ => 1,
    }
}

fn run(venue: &Venue, method: &str, fields: &Fields) -> orders::OrderAnswer {
    let read = |result: Result<String, VenueError>| result.map(|result| (result, Vec::new()));
    venue.with(|exchange, now_us| {
        let lag_us = i64::from(venue.faults.rest_lag_ms()) * 1_000;
        let vanished = venue.faults.vanished(venue.steady_us());
        let view = Lagging { exchange, until_us: now_us - lag_us, vanished };
        match method {
            "OpenOrders" => return read(history::open_orders(&view, fields)),
            "ClosedOrders" => return read(history::closed_orders(&view, fields)),
            "QueryOrders" => return read(history::query_orders(&view, fields)),
            "TradesHistory" => return read(history::trades_history(&view, fields)),
            "QueryTrades" => return read(history::query_trades(&view, fields)),
            _ => {}
        }
        match method {
            "GetApiKeyInfo" => {
                let withdraws = venue.faults.key_withdraws();
                read(Ok(funds::key_info(venue.credentials.last_nonce(), withdraws)))
            }
            "Balance" => read(Ok(funds::balance(exchange))),
            "BalanceEx" => read(Ok(funds::balance_ex(exchange))),
            "TradeBalance" => read(Ok(funds::trade_balance(exchange))),
            "TradeVolume" => read(funds::trade_volume(exchange, fields)),
            "Ledgers" => read(history::ledgers(exchange, fields)),
            "AddOrder" => orders::add(exchange, fields, now_us),
            "AmendOrder" => orders::amend(exchange, fields, now_us),
            "CancelOrder" => orders::cancel(exchange, fields, now_us),
            "CancelAll" => orders::cancel_all(exchange, now_us),
            "CancelAllOrdersAfter" => orders::cancel_all_after(exchange, fields, now_us),
            _ => Err(VenueError::UnknownMethod),
        }
    })
}
