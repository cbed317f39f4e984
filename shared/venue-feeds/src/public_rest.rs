//! Public REST, paced.
//!
//! Input: a [`PublicRequest`]. Output: status and body, or why there is none; the caller reads it with
//! [`RestAnswer::reply`]. At most one request per second leaves (the venue counts per address), one
//! at a time; bodies are limited. It never retries: the caller knows whether it still wants to know.

use std::time::Duration;

use penstock_venues::endpoint::{Endpoint, Transport};
use penstock_venues::kraken::rest::{PublicRequest, RestAnswer, UnknownReason};
use tokio::sync::Mutex;
use tokio::time::Instant;

use penstock_venue_net::{NetError, http_client};

use crate::connector::MESSAGE_BYTES_MAX;

/// Time of one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Distance of requests: the venue allows about one per second and address.
const REQUEST_INTERVAL: Duration = Duration::from_secs(1);

/// Client of the public REST methods.
#[derive(Debug)]
pub struct PublicRest {
    endpoint: Endpoint,
    client: reqwest::Client,
    interval: Duration,
    /// When the next request may leave. Held only to take a slot, never across a request.
    next: Mutex<Instant>,
}

impl PublicRest {
    /// A client for `base` (without `/0`).
    ///
    /// # Errors
    /// The address is refused, or the client cannot be built.
    pub fn new(base: &str) -> Result<Self, NetError> {
        Ok(Self {
            endpoint: Endpoint::new(base, Transport::Rest)?,
            client: http_client(REQUEST_TIMEOUT)?,
            interval: REQUEST_INTERVAL,
            next: Mutex::new(Instant::now()),
        })
    }

    /// The same client with another distance of requests; for a venue on loopback.
    #[must_use]
    pub const fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Sends one request as soon as the pace allows.
    pub async fn get(&self, request: &PublicRequest<'_>) -> RestAnswer {
        let slot = {
            let mut next = self.next.lock().await;
            let slot = (*next).max(Instant::now());
            *next = slot + self.interval;
            slot
        };
        tokio::time::sleep_until(slot).await;
        let url = format!("{}{}", self.endpoint.url(), request.path_and_query());
        match self.client.get(url).send().await {
            Ok(response) => body(response).await,
            Err(error) => RestAnswer::Lost(lost(&error)),
        }
    }
}

pub(crate) fn lost(error: &reqwest::Error) -> UnknownReason {
    if error.is_timeout() {
        let waited_ms = u64::try_from(REQUEST_TIMEOUT.as_millis()).unwrap_or(u64::MAX);
        UnknownReason::Timeout { waited_ms }
    } else {
        UnknownReason::Connection(error.to_string())
    }
}

pub(crate) async fn body(mut response: reqwest::Response) -> RestAnswer {
    let status = response.status().as_u16();
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() <= MESSAGE_BYTES_MAX => {
                bytes.extend_from_slice(&chunk);
            }
            Ok(Some(_)) => {
                let reason = format!("longer than {MESSAGE_BYTES_MAX} bytes");
                return RestAnswer::Lost(UnknownReason::Body { reason, body: String::new() });
            }
            Ok(None) => break,
            Err(error) => return RestAnswer::Lost(lost(&error)),
        }
    }
    match String::from_utf8(bytes) {
        Ok(text) => RestAnswer::Body { status, text },
        Err(_) => {
            let reason = "not UTF-8".to_owned();
            RestAnswer::Lost(UnknownReason::Body { reason, body: String::new() })
        }
    }
}
