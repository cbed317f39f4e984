//! Tokens of the order-by-order sockets: one task fetches them for every connection of an account.
//!
//! Input: connections that ask, the key of the account. Output: a [`FeedCommand::Token`] to each, and a
//! [`TokenStatus`] for whoever watches. One call is in flight at a time, and whoever asked by its end
//! gets the same token. A venue that does not give one is asked again after a time that depends on what
//! it said; a refused key is asked for rarely and never ends anything. Neither key nor token is ever
//! shown. It signs nothing but this one method. The nonce of each call is kept in a file before the call
//! goes out, where one is named.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use penstock_venue_net::{Clock, NetError, http_client};
use penstock_venues::endpoint::{Endpoint, Transport};
use penstock_venues::kraken::error_table::{ErrorAction, ErrorClass, Judgement};
use penstock_venues::kraken::nonce::Nonce;
use penstock_venues::kraken::rest::private::TokenResult;
use penstock_venues::kraken::rest::{PrivateRequest, Reply, RestAnswer};
use penstock_venues::kraken::signing::PrivateKey;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::nonce_file::NonceFile;
use crate::public_rest::{body, lost};
use crate::session::FeedCommand;

/// Time of one call.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Asks that may wait: more than there can be connections of the largest universe.
const ASKS_LEN_LIMIT: usize = 1_024;
/// First pause after a call without an answer, milliseconds; doubles.
const RETRY_BASE_MS: i64 = 1_000;
/// Largest of these pauses, milliseconds.
const RETRY_CAP_MS: i64 = 60_000;
/// Pause after a refused key, milliseconds: somebody has to change it.
const REFUSED_WAIT_MS: i64 = 300_000;
/// Pause after a rate limit, milliseconds, as the venue asks for.
const RATE_WAIT_MS: i64 = 10_000;
/// Pause after a lock-out, milliseconds, as the venue documents it.
const LOCKED_WAIT_MS: i64 = 900_000;

/// A bearer secret of one account.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionToken(Arc<str>);

impl SessionToken {
    /// A token as the venue gave it.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Arc::from(text))
    }

    /// The secret, for a request to the venue and for nothing else: it must stand in no log and no file.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl core::fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SessionToken(redacted)")
    }
}

/// An API key that reads market data; it needs no right to trade.
#[derive(Clone)]
pub struct DataKey {
    /// The public part.
    pub key: String,
    /// The private part.
    pub secret: PrivateKey,
}

impl core::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("DataKey(redacted)")
    }
}

/// Whether the venue gives tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TokenStatus {
    /// Nobody has asked yet, or the first answer is still to come.
    #[default]
    Unknown,
    /// The last answer was a token.
    Given,
    /// The venue refuses the key, in its own words.
    Refused(String),
    /// No answer that says anything about the key.
    Missing(String),
}

/// Where connections ask for a token: by their own queue of commands.
pub(crate) type TokenAsks<C> = mpsc::Sender<mpsc::Sender<C>>;

/// The handle of the task.
#[derive(Debug)]
pub struct Tokens {
    pub(crate) asks: TokenAsks<FeedCommand>,
    /// Whether the venue gives tokens.
    pub status: watch::Receiver<TokenStatus>,
    /// The task; ends with its cancellation.
    pub task: JoinHandle<()>,
}

/// Starts the task for the account of a key, whose nonce is kept in `nonce_file`.
///
/// # Errors
/// The address is refused, or the client cannot be built.
pub fn spawn_tokens(
    base: &str,
    key: DataKey,
    nonce_file: Option<PathBuf>,
    clock: Arc<dyn Clock>,
    cancel: CancellationToken,
) -> Result<Tokens, NetError> {
    let (asks, inbox) = mpsc::channel(ASKS_LEN_LIMIT);
    let (status, status_seen) = watch::channel(TokenStatus::Unknown);
    let caller = Caller::new(base, key, nonce_file, clock)?;
    let fetcher = Fetcher { caller, inbox, waiting: Vec::new(), status };
    let task = tokio::spawn(async move {
        // A stop ends a call wherever it is: a token that nobody uses expires by itself.
        let _ = cancel.run_until_cancelled(fetcher.run()).await;
    });
    Ok(Tokens { asks, status: status_seen, task })
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The address is refused, or the client cannot be built.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The venue refuses the key, in its own words.
    #[error("the venue refuses the key: {0}")]
    Refused(String),
    /// No answer that says anything about the key.
    #[error("no token: {0}")]
    Missing(String),
}

/// Fetches one token, for a process that needs no more. It asks once.
///
/// # Errors
/// [`TokenError`].
pub async fn fetch_token(
    base: &str,
    key: DataKey,
    nonce_file: Option<PathBuf>,
    clock: Arc<dyn Clock>,
) -> Result<SessionToken, TokenError> {
    let answer = Caller::new(base, key, nonce_file, clock)?.call().await;
    match answer.reply::<TokenResult<'_>>() {
        Reply::Done { result, .. } => Ok(SessionToken::new(result.token.as_str())),
        Reply::Refused { text, .. } => Err(TokenError::Refused(text)),
        Reply::Unknown { reason, .. } => Err(TokenError::Missing(reason.to_string())),
    }
}

/// Signs and sends the one method.
struct Caller {
    endpoint: Endpoint,
    client: reqwest::Client,
    key: DataKey,
    nonce: Nonce,
    file: Option<NonceFile>,
    clock: Arc<dyn Clock>,
}

impl Caller {
    fn new(
        base: &str,
        key: DataKey,
        nonce_file: Option<PathBuf>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, NetError> {
        let file = nonce_file.map(NonceFile::new);
        let kept = file.as_ref().and_then(NonceFile::read);
        Ok(Self {
            endpoint: Endpoint::new(base, Transport::Rest)?,
            client: http_client(CALL_TIMEOUT)?,
            key,
            nonce: Nonce::start(kept, clock.now().wall_ns()),
            file,
            clock,
        })
    }

    async fn call(&mut self) -> RestAnswer {
        let nonce = self.nonce.next(self.clock.now().wall_ns());
        self.keep(nonce).await;
        let signed = PrivateRequest::GetWebSocketsToken.signed(&self.key.secret, nonce);
        let request = self
            .client
            .post(format!("{}{}", self.endpoint.url(), signed.path))
            .header("API-Key", &self.key.key)
            .header("API-Sign", signed.signature)
            .header("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
            .body(signed.body);
        match request.send().await {
            Ok(response) => body(response).await,
            Err(error) => RestAnswer::Lost(lost(&error)),
        }
    }

    /// Before the venue sees it.
    async fn keep(&self, nonce: u64) {
        let Some(file) = self.file.clone() else { return };
        match tokio::task::spawn_blocking(move || file.write(nonce)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("keep the nonce: {error}"),
            Err(error) => tracing::warn!("keep the nonce: {error}"),
        }
    }
}

struct Fetcher {
    caller: Caller,
    inbox: mpsc::Receiver<mpsc::Sender<FeedCommand>>,
    waiting: Vec<mpsc::Sender<FeedCommand>>,
    status: watch::Sender<TokenStatus>,
}

impl Fetcher {
    async fn run(mut self) {
        while let Some(first) = self.inbox.recv().await {
            self.waiting.push(first);
            let token = self.token().await;
            while let Ok(ask) = self.inbox.try_recv() {
                self.waiting.push(ask);
            }
            for asked in core::mem::take(&mut self.waiting) {
                // A connector that has ended needs none.
                let _ = asked.send(FeedCommand::Token(token.clone())).await;
            }
        }
    }

    /// Asks until the venue gives a token.
    async fn token(&mut self) -> SessionToken {
        let mut failures = 0;
        loop {
            let answer = self.caller.call().await;
            let reply = answer.reply::<TokenResult<'_>>();
            let (text, judgement) = match reply {
                Reply::Done { result, .. } => {
                    self.status.send_replace(TokenStatus::Given);
                    return SessionToken::new(result.token.as_str());
                }
                Reply::Refused { text, judgement } => (text, judgement),
                Reply::Unknown { reason, judgement } => (reason.to_string(), judgement),
            };
            failures += 1;
            if judgement.class == ErrorClass::Nonce {
                self.caller.nonce.raise(self.caller.clock.now().wall_ns());
            }
            let is_key = judgement.class == ErrorClass::Auth;
            let told = if is_key { TokenStatus::Refused } else { TokenStatus::Missing };
            self.status.send_replace(told(text));
            let now_s = self.caller.clock.now().wall.0 / 1_000_000;
            self.pause(wait_ms(judgement, failures, now_s)).await;
        }
    }

    /// Waits; whoever asks meanwhile is noted, so that the queue of asks stays short.
    async fn pause(&mut self, wait_ms: i64) {
        let wait = Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0));
        let end = tokio::time::sleep(wait);
        tokio::pin!(end);
        loop {
            tokio::select! {
                // Biased: the end goes before asks, which change nothing about it.
                biased;
                () = &mut end => return,
                Some(ask) = self.inbox.recv() => self.waiting.push(ask),
            }
        }
    }
}

/// Time until the next call after the `failures`th in a row that gave no token.
fn wait_ms(judgement: Judgement, failures: u32, now_s: i64) -> i64 {
    let doubled = RETRY_BASE_MS.saturating_mul(1 << failures.saturating_sub(1).min(20));
    let regular_ms = doubled.min(RETRY_CAP_MS);
    match (judgement.class, judgement.action) {
        (_, ErrorAction::WaitUntil(unix_s)) => {
            (unix_s.saturating_sub(now_s).saturating_mul(1_000)).clamp(RATE_WAIT_MS, LOCKED_WAIT_MS)
        }
        (_, ErrorAction::LockOut) => LOCKED_WAIT_MS,
        (ErrorClass::Auth, _) => REFUSED_WAIT_MS,
        (ErrorClass::Rate, _) => RATE_WAIT_MS,
        // The raised nonce is tried at once; a clock that has gone back has to catch up.
        (ErrorClass::Nonce, _) if failures == 1 => 0,
        (_, _) => regular_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use penstock_venues::kraken::error_table::{TRANSPORT, judge};

    #[test]
    fn the_pause_follows_what_the_venue_said() {
        let waits = |text: &str| [1, 2, 9].map(|failures| wait_ms(judge(text), failures, 1_000));
        assert_eq!(waits("EAPI:Invalid key"), [300_000; 3]);
        assert_eq!(waits("EGeneral:Permission denied"), [300_000; 3]);
        assert_eq!(waits("EGeneral:Temporary lockout"), [900_000; 3]);
        assert_eq!(waits("EAPI:Rate limit exceeded"), [10_000; 3]);
        assert_eq!(waits("EAPI:Invalid nonce"), [0, 2_000, 60_000]);
        assert_eq!(waits("EService:Unavailable"), [1_000, 2_000, 60_000]);
        assert_eq!(waits("EOdd:Never heard of it"), [1_000, 2_000, 60_000]);
        assert_eq!(waits("EService:Throttled: 1060"), [60_000; 3]);
        assert_eq!(wait_ms(TRANSPORT, 3, 0), 4_000);
    }

    #[test]
    fn secrets_are_not_shown() {
        let key = DataKey {
            key: "the-key".to_owned(),
            secret: PrivateKey::from_base64("c2VjcmV0").unwrap(),
        };
        let token = FeedCommand::Token(SessionToken::new("the-token"));
        let shown = format!("{key:?} {token:?}");
        assert_eq!(shown, "DataKey(redacted) Token(SessionToken(redacted))");
    }
}
