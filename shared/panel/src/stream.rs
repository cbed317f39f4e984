//! The stream: documents, alerts and pings as server-sent events.
//!
//! Input: the board. Output: text of events. Invariants: the newest document comes at once; a reader that is behind gets
//! only the newest one; the slot of a stream is given back when its connection ends, however it ends.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use penstock_contracts::dashboard::AlertAggregateRow;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, broadcast, watch};
use tokio::time::{Interval, MissedTickBehavior};

use crate::builder::Board;

/// Time between two pings.
const PING_EVERY: Duration = Duration::from_secs(15);

struct Reader {
    documents: watch::Receiver<Bytes>,
    alerts: broadcast::Receiver<AlertAggregateRow>,
    pings: Interval,
    _slot: OwnedSemaphorePermit,
}

/// The body of a stream that holds one of the slots.
pub fn body(board: &Board, slot: OwnedSemaphorePermit) -> Body {
    let mut pings = tokio::time::interval_at(tokio::time::Instant::now() + PING_EVERY, PING_EVERY);
    pings.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut documents = board.documents();
    // The one that stands is new to this reader, unless there is none yet.
    if !documents.borrow().is_empty() {
        documents.mark_changed();
    }
    let reader = Reader { documents, alerts: board.alerts(), pings, _slot: slot };
    Body::from_stream(stream::unfold(reader, |mut reader| async move {
        let event = next(&mut reader).await?;
        Some((Ok::<_, Infallible>(event), reader))
    }))
}

/// The next event; none when the panel ends.
async fn next(reader: &mut Reader) -> Option<Bytes> {
    loop {
        // An alert before the document that shows it too; the ping last, it says only that there is somebody.
        tokio::select! {
            biased;
            alert = reader.alerts.recv() => match alert {
                Ok(row) => {
                    let row = serde_json::to_vec(&row);
                    let row = row.expect("a row has text keys and plain values only");
                    return Some(event("alert", &row));
                }
                // What was missed stands in the next document.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            },
            changed = reader.documents.changed() => {
                changed.ok()?;
                let document = reader.documents.borrow_and_update().clone();
                return Some(event("snapshot", &document));
            }
            _ = reader.pings.tick() => {
                let now_ms = chrono::Utc::now().timestamp_millis();
                return Some(event("ping", format!("{{\"ts_ms\":{now_ms}}}").as_bytes()));
            }
        }
    }
}

/// An event with one line of data.
fn event(name: &str, data: &[u8]) -> Bytes {
    let mut text = Vec::with_capacity(data.len() + name.len() + 16);
    text.extend_from_slice(b"event: ");
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(b"\ndata: ");
    text.extend_from_slice(data);
    text.extend_from_slice(b"\n\n");
    Bytes::from(text)
}
