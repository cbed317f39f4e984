//! The newest orders, read at most once a second however often they are asked for.
//!
//! Input: a read-only pool. Output: the first so many of them as JSON. Invariants: one reading at a time; a reading
//! that failed is not repeated within the second either; each row is written as text once per reading.

use std::time::{Duration, Instant};

use bytes::Bytes;
use sqlx::PgPool;
use tokio::sync::Mutex;

use crate::builder::READ_MAX;
use crate::rows;

/// Least time between two readings.
const READ_EVERY: Duration = Duration::from_secs(1);

/// The orders could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotRead;

#[derive(Debug)]
struct Held {
    at: Instant,
    /// All rows, one after another with commas, and where each ends.
    rows: Result<(Bytes, Vec<usize>), NotRead>,
}

/// The orders.
#[derive(Debug)]
pub struct Orders {
    pool: PgPool,
    held: Mutex<Option<Held>>,
}

impl Orders {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self { pool, held: Mutex::new(None) }
    }

    /// The newest `number` of them as a JSON list.
    ///
    /// # Errors
    /// [`NotRead`].
    pub async fn newest(&self, number: usize) -> Result<Bytes, NotRead> {
        // Held while the rows are read: whoever else asks meanwhile waits for the same reading, [`READ_MAX`] at most.
        let mut held = self.held.lock().await;
        let held = match &mut *held {
            Some(held) if held.at.elapsed() < READ_EVERY => held,
            place => {
                let rows = self.read().await;
                place.insert(Held { at: Instant::now(), rows })
            }
        };
        let (text, ends) = held.rows.as_ref().map_err(|error| *error)?;
        let end = number.checked_sub(1).and_then(|at| ends.get(at)).or(ends.last()).copied();
        let rows = &text[..end.unwrap_or(0)];
        let mut list = Vec::with_capacity(rows.len() + 2);
        list.push(b'[');
        list.extend_from_slice(rows);
        list.push(b']');
        Ok(Bytes::from(list))
    }

    async fn read(&self) -> Result<(Bytes, Vec<usize>), NotRead> {
        let problem = match tokio::time::timeout(READ_MAX, rows::orders(&self.pool)).await {
            Ok(Ok(orders)) => {
                let (mut text, mut ends) = (Vec::new(), Vec::new());
                for order in orders.items() {
                    if !text.is_empty() {
                        text.push(b',');
                    }
                    let row = serde_json::to_vec(order);
                    text.extend(row.expect("a row has text keys and plain values only"));
                    ends.push(text.len());
                }
                return Ok((Bytes::from(text), ends));
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} ms", READ_MAX.as_millis()),
        };
        tracing::warn!("orders not read for the panel: {problem}");
        Err(NotRead)
    }
}
