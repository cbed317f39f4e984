//! Every private request with the wall-clock time of its first byte.
//!
//! Inputs: the private socket and private REST. Outputs: the list for the ledger. Limit:
//! `REQUESTS_LIMIT`; later ones are counted, not kept. Tokens, keys and signatures never get here.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Requests kept.
const REQUESTS_LIMIT: usize = 1_000_000;

/// One private request.
#[derive(Clone, Debug, serde::Serialize)]
pub struct RequestEntry {
    /// When its first byte arrived, wall clock of this host, µs since the Unix epoch.
    pub first_byte_us: i64,
    /// `ws` or `rest`.
    pub via: &'static str,
    /// Number of the connection.
    pub connection: u64,
    /// `add_order`, `AddOrder`, `subscribe`, `ping` …
    pub method: String,
    /// Client ids that it names.
    pub cl_ord_id: Vec<String>,
    /// Venue ids that it names, or that its answer gave.
    pub order_id: Vec<String>,
    /// `ok`, or the text of the refusal.
    pub outcome: String,
    /// False when a fault swallowed the answer.
    pub answered: bool,
    /// The nonce of a signed call whose signature was right.
    pub nonce: Option<u64>,
}

#[derive(Debug, Default)]
struct Inner {
    entries: Vec<RequestEntry>,
    truncated: u64,
}

/// The list of requests.
#[derive(Debug, Default)]
pub struct RequestLog {
    inner: Mutex<Inner>,
}

impl RequestLog {
    /// Adds a request.
    pub fn push(&self, entry: RequestEntry) {
        let mut inner = self.lock();
        if inner.entries.len() >= REQUESTS_LIMIT {
            inner.truncated += 1;
        } else {
            inner.entries.push(entry);
        }
    }

    /// All requests in the order in which they were answered, and how many were not kept.
    #[must_use]
    pub fn all(&self) -> (Vec<RequestEntry>, u64) {
        let inner = self.lock();
        (inner.entries.clone(), inner.truncated)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while the list was held cannot leave it half changed.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
