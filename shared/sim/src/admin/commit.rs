//! Committing faults, and the list of those that were committed.
//!
//! Inputs: fault requests of the admin interface and of a file. Outputs: changes of the exchange, of
//! the fault list, or a refusal; an entry with the time. Invariant: what is refused does nothing and
//! is not listed.

use super::FaultRequest;
use crate::exchange::{PairStatus, SystemStatus};
use crate::server::Venue;
use serde_json::{Value, json};
use std::sync::{Mutex, PoisonError};

/// Faults that are remembered; later ones are only counted.
const LOG_LIMIT: usize = 100_000;

/// The faults that were committed, for judges.
#[derive(Debug, Default)]
pub struct FaultLog {
    rows: Mutex<(Vec<(i64, FaultRequest)>, u64)>,
}

impl FaultLog {
    fn push(&self, us: i64, request: &FaultRequest) {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        if rows.0.len() < LOG_LIMIT {
            rows.0.push((us, request.clone()));
        } else {
            rows.1 += 1;
        }
    }

    /// All faults with their times.
    #[must_use]
    pub fn json(&self) -> Value {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let row = |(us, fault): &(i64, FaultRequest)| json!({"us": us, "fault": fault});
        json!({"faults": rows.0.iter().map(row).collect::<Vec<_>>(), "truncated": rows.1})
    }
}

/// Commits a fault and notes it.
///
/// # Errors
/// It names something that the venue does not have.
pub(super) fn commit(venue: &Venue, request: &FaultRequest) -> Result<(), String> {
    let request = resolved(venue, request)?;
    carry_out(venue, &request)?;
    venue.fault_log.push(venue.steady_us(), &request);
    Ok(())
}

/// The fault with the order that it concerns, when it left that open.
fn resolved(venue: &Venue, request: &FaultRequest) -> Result<FaultRequest, String> {
    let FaultRequest::Vanish { order_id, for_ms } = request else { return Ok(request.clone()) };
    venue.with(|exchange, _| {
        let account = exchange.account();
        let mut open = account.open_orders();
        let found = match order_id {
            Some(id) => open.find(|order| order.txid == *id).ok_or(format!("{id} is not open")),
            None => open.next().ok_or("no order is open".to_owned()),
        };
        let order_id = found.map(|order| order.txid.clone())?;
        Ok(FaultRequest::Vanish { order_id: Some(order_id), for_ms: *for_ms })
    })
}

/// Status changes are events of the exchange; all other faults wait in the list.
fn carry_out(venue: &Venue, request: &FaultRequest) -> Result<(), String> {
    match request {
        FaultRequest::SystemStatus { status } => {
            let parsed =
                SystemStatus::parse(status).ok_or(format!("status {status} is unknown"))?;
            venue.with(|exchange, now_us| exchange.set_status(parsed, now_us));
            Ok(())
        }
        FaultRequest::ClockSkew { ms } => {
            venue.set_skew(i64::from(*ms) * 1_000);
            Ok(())
        }
        FaultRequest::PairStatus { symbol, status } => {
            let parsed = PairStatus::parse(status).ok_or(format!("status {status} is unknown"))?;
            venue.with(|exchange, now_us| {
                let no = exchange.symbol_no(symbol).ok_or(format!("{symbol} is not listed"))?;
                exchange.set_pair_status(no, parsed, now_us);
                Ok(())
            })
        }
        FaultRequest::Overfill { count, bps } => {
            venue.with(|exchange, _| exchange.overfill_next(*count, *bps));
            Ok(())
        }
        FaultRequest::BadChecksum { symbol, .. } | FaultRequest::Frames { symbol, .. }
            if !venue.lists(symbol) =>
        {
            Err(format!("{symbol} is not listed"))
        }
        FaultRequest::BadChecksum { .. }
        | FaultRequest::Frames { .. }
        | FaultRequest::Cut { .. }
        | FaultRequest::Stall { .. }
        | FaultRequest::RestLag { .. }
        | FaultRequest::Silence { .. }
        | FaultRequest::Executions { .. }
        | FaultRequest::Request { .. }
        | FaultRequest::Vanish { .. }
        | FaultRequest::KeyPermission { .. }
        | FaultRequest::LostAck { .. }
        | FaultRequest::Error { .. }
        | FaultRequest::Http { .. }
        | FaultRequest::VenueDelay { .. }
        | FaultRequest::RestDelay { .. }
        | FaultRequest::HistoryShift { .. }
        | FaultRequest::Clear => {
            if matches!(request, FaultRequest::Clear) {
                venue.with(|exchange, _| exchange.overfill_next(0, 0));
            }
            venue.faults.add(request, venue.steady_us());
            Ok(())
        }
    }
}
