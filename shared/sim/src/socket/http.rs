//! What the REST sides of the derivatives venues have in common: injected faults and answers.
//!
//! Inputs: a method's name, the faults. Outputs: responses. A lost answer never comes: the client's
//! own timeout ends it.

use crate::server::Venue;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::time::Duration;

/// What is answered instead, when a fault wants it so; waits while answers are to be late.
pub(crate) async fn fault(venue: &Venue, method: &str) -> Option<Response> {
    let delay_ms = venue.faults.rest_delay_ms();
    if delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(u64::from(delay_ms))).await;
    }
    if venue.faults.take_lost_ack(method) {
        std::future::pending::<()>().await;
    }
    let fault = venue.faults.take_http(method)?;
    let status = StatusCode::from_u16(fault.status).unwrap_or(StatusCode::BAD_GATEWAY);
    Some((status, [(header::CONTENT_TYPE, "text/html")], fault.body).into_response())
}

/// A JSON body.
pub(crate) fn json(body: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
