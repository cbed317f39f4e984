//! Signed REST.
//!
//! Input: a [`PrivateRequest`] and what it is for. Output: a [`RestOutcome`]. One call of the key is
//! in flight at a time, so that nonces arrive in the order in which they were given; the wait for
//! that place is limited like the call itself. Every call is paid from the modelled counter before it
//! leaves, and the gate of the account is asked at every step of it. A read whose nonce was refused is
//! sent once more with a raised one; nothing else is ever repeated here. Secrets stay in the signature and in the answer; neither is logged.

use std::sync::Arc;
use std::time::Duration;

use penstock_venues::endpoint::{Endpoint, Transport};
use penstock_venues::kraken::error_table::ErrorClass;
use penstock_venues::kraken::rates::RestUse;
use penstock_venues::kraken::rest::private::AnyResult;
use penstock_venues::kraken::rest::{
    PrivateRequest, PublicRequest, RestAnswer, SignedRequest, UnknownReason,
};
use penstock_venues::kraken::signing::PrivateKey;
use tokio::sync::Semaphore;

use crate::gate::{SendGate, Sending, guarded};
use crate::outcome::{NotSent, RestOutcome};
use crate::state::Way;
use crate::state_file::SharedVenueState;
use penstock_venue_net::{NetError, http_client};

/// Largest message and largest REST body, bytes: far above the image of the largest account.
pub(crate) const MESSAGE_BYTES_MAX: usize = 8 << 20;

/// Time of one call, and of the wait for its place.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// An API key.
#[derive(Clone)]
pub struct Credentials {
    /// The public part.
    pub key: String,
    /// The private part.
    pub secret: PrivateKey,
}

impl core::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Credentials(redacted)")
    }
}

/// Client of the private REST methods; clones share everything.
#[derive(Clone)]
pub struct PrivateRest {
    inner: Arc<Inner>,
}

impl core::fmt::Debug for PrivateRest {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("PrivateRest")
            .field("endpoint", &self.inner.endpoint)
            .field("credentials", &self.inner.credentials)
            .finish_non_exhaustive()
    }
}

struct Inner {
    endpoint: Endpoint,
    client: reqwest::Client,
    credentials: Credentials,
    state: SharedVenueState,
    gate: Arc<dyn SendGate>,
    in_flight: Semaphore,
}

impl PrivateRest {
    /// A client for `base` (without `/0`); the gate is asked before everything that it sends, and before
    /// everything that the socket sends.
    ///
    /// # Errors
    /// The address is refused, or the client cannot be built.
    pub fn new(
        base: &str,
        credentials: Credentials,
        state: SharedVenueState,
        gate: Arc<dyn SendGate>,
    ) -> Result<Self, NetError> {
        Ok(Self {
            inner: Arc::new(Inner {
                endpoint: Endpoint::new(base, Transport::Rest)?,
                client: http_client(CALL_TIMEOUT)?,
                credentials,
                state,
                gate,
                in_flight: Semaphore::new(1),
            }),
        })
    }

    /// What the client remembers.
    pub fn state(&self) -> &SharedVenueState {
        &self.inner.state
    }

    /// The gate of the account.
    pub(crate) fn gate(&self) -> &Arc<dyn SendGate> {
        &self.inner.gate
    }

    /// Sends one private request.
    pub async fn call(&self, request: &PrivateRequest<'_>, usage: RestUse) -> RestOutcome {
        let place = tokio::time::timeout(CALL_TIMEOUT, self.inner.in_flight.acquire()).await;
        let _place = match place {
            Ok(Ok(place)) => place,
            Ok(Err(_)) => return RestOutcome::NotSent(NotSent::Stopped),
            Err(_) => return RestOutcome::NotSent(NotSent::QueueFull),
        };
        let (outcome, nonce_refused) = self.once(request, usage).await;
        if nonce_refused && !request.is_mutation() {
            return self.once(request, usage).await.0;
        }
        outcome
    }

    /// One request; the flag says whether its nonce was refused.
    async fn once(&self, request: &PrivateRequest<'_>, usage: RestUse) -> (RestOutcome, bool) {
        // Before the charge: what does not leave costs nothing.
        if let Err(shut) = self.inner.gate.judge(Sending::Upkeep) {
            return (RestOutcome::NotSent(shut.into()), false);
        }
        let at = self.inner.state.now();
        let admitted = self.inner.state.lock().admit_rest(request.cost(), usage, at);
        let nonce = match admitted {
            Ok(nonce) => nonce,
            Err(reason) => return (RestOutcome::NotSent(reason), false),
        };
        let _under_way = UnderWay(&self.inner.state);
        let signed = request.signed(&self.inner.credentials.secret, nonce);
        let answer = match guarded(&self.inner.gate, Sending::Upkeep, self.post(signed)).await {
            Ok(answer) => answer,
            // Bytes may have left before the gate was shut: nothing is proven.
            Err(shut) => RestAnswer::Lost(UnknownReason::Connection(shut.to_string())),
        };
        let mut nonce_refused = false;
        if let Some(judgement) = answer.reply::<AnyResult>().judgement() {
            nonce_refused = judgement.class == ErrorClass::Nonce;
            let at = self.inner.state.now();
            let backs_off = self.inner.state.lock().learn(judgement, None, at);
            if backs_off {
                self.inner.state.flush().await;
            }
        } else {
            self.inner.state.lock().accepted(Way::Rest);
        }
        (RestOutcome::Sent(answer), nonce_refused)
    }

    async fn post(&self, signed: SignedRequest) -> RestAnswer {
        let url = format!("{}{}", self.inner.endpoint.url(), signed.path);
        let request = self
            .inner
            .client
            .post(url)
            .header("API-Key", &self.inner.credentials.key)
            .header("API-Sign", signed.signature)
            .header("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
            .body(signed.body);
        answer(request.send().await).await
    }

    /// Sends one public request, for the name tables and the venue's state; it costs no points.
    pub async fn public(&self, request: &PublicRequest<'_>) -> RestAnswer {
        let url = format!("{}{}", self.inner.endpoint.url(), request.path_and_query());
        answer(self.inner.client.get(url).send().await).await
    }
}

/// An admitted call until its answer: whatever ends the wait for it, its counter learns that it is over.
struct UnderWay<'a>(&'a SharedVenueState);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let now_ms = self.0.now().mono_ms();
        self.0.lock().rest_settled(now_ms);
    }
}

async fn answer(sent: Result<reqwest::Response, reqwest::Error>) -> RestAnswer {
    let mut response = match sent {
        Ok(response) => response,
        Err(error) => return RestAnswer::Lost(lost(&error)),
    };
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

fn lost(error: &reqwest::Error) -> UnknownReason {
    if error.is_timeout() {
        let waited_ms = u64::try_from(CALL_TIMEOUT.as_millis()).unwrap_or(u64::MAX);
        UnknownReason::Timeout { waited_ms }
    } else {
        UnknownReason::Connection(error.without_url_text())
    }
}

/// The error's own words and those of its causes.
trait ErrorText {
    fn without_url_text(&self) -> String;
}

impl ErrorText for reqwest::Error {
    fn without_url_text(&self) -> String {
        let mut text = String::new();
        let mut next: Option<&dyn std::error::Error> = std::error::Error::source(self);
        while let Some(error) = next {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&error.to_string());
            next = error.source();
        }
        if text.is_empty() { self.to_string() } else { text }
    }
}
