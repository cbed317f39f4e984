//! One socket of a recording, as a task.
//!
//! Input: an address and requests. Output: every text frame that was sent or received, stamped, in one
//! bounded channel. It ends when it is cancelled (then what the venue sent before it heard the goodbye
//! still counts), when nobody reads, or when the connection is lost, which is an error.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use penstock_venue_net::{Clock, Message, NetError, Socket, SystemClock, connect};
use penstock_venues::endpoint::{Endpoint, EndpointError, Transport};
use penstock_venues::kraken::request::redacted;
use penstock_venues::recording::Direction;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::plan::{Connection, Ping};

/// Largest message: the instrument image of Kraken spot reaches 1 MB.
const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// Time for the venue's goodbye.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// A socket that is silent for longer than this is lost: every venue here sends more often.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A frame.
#[derive(Clone, Debug)]
pub(super) struct Captured {
    /// Wall clock, microseconds.
    pub(super) at_us: i64,
    /// Who sent it.
    pub(super) direction: Direction,
    /// Its text.
    pub(super) text: String,
}

impl Captured {
    /// Whether the venue sent it.
    pub(super) const fn is_received(&self) -> bool {
        matches!(self.direction, Direction::Received)
    }
}

/// Why a socket ended.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The address is refused.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// It could not be opened.
    #[error(transparent)]
    Net(#[from] NetError),
    /// It was lost.
    #[error("the connection to {host} was lost: {reason}")]
    Lost {
        /// Host.
        host: String,
        /// Cause.
        reason: String,
    },
    /// The task broke.
    #[error("the task of a connection broke: {0}")]
    Broken(String),
}

/// Runs a socket.
pub(super) async fn run(
    connection: Connection,
    clock: Arc<SystemClock>,
    frames: mpsc::Sender<Captured>,
    cancel: CancellationToken,
) -> Result<(), SessionError> {
    let Connection { url, requests, pace_ms, ping } = connection;
    let endpoint = Endpoint::new(&url, Transport::Socket)?;
    let socket = tokio::select! {
        // Biased: a stop goes before a socket that might open just now.
        biased;
        () = cancel.cancelled() => return Ok(()),
        socket = connect(&endpoint, MESSAGE_BYTES_MAX) => socket?,
    };
    let mut session = Session { socket, clock, frames };
    let ended = session.until_stopped((requests, pace_ms), ping, &cancel).await;
    ended.map_err(|reason| SessionError::Lost { host: endpoint.host().to_owned(), reason })
}

struct Session {
    socket: Socket,
    clock: Arc<SystemClock>,
    frames: mpsc::Sender<Captured>,
}

impl Session {
    async fn until_stopped(
        &mut self,
        (requests, pace_ms): (Vec<String>, u64),
        ping: Ping,
        cancel: &CancellationToken,
    ) -> Result<(), String> {
        let mut requests = requests.into_iter();
        let mut pace = tokio::time::interval(Duration::from_millis(pace_ms.max(1)));
        let mut beat = tokio::time::interval(interval(&ping));
        // The first tick of an interval is at once; nothing has to be kept alive yet.
        beat.tick().await;
        let mut asked = false;
        let mut heard = tokio::time::Instant::now();
        loop {
            tokio::select! {
                // Biased: a stop first; requests and pings are rare and must not starve under a flood.
                biased;
                () = cancel.cancelled() => return self.goodbye().await,
                _ = pace.tick(), if !asked => match requests.next() {
                    Some(text) => self.send(text).await?,
                    None => asked = true,
                },
                _ = beat.tick() => match &ping {
                    Ping::Text { text, .. } => self.send(text.clone()).await?,
                    Ping::Protocol { .. } => self.write(Message::Ping(Vec::new().into())).await?,
                    Ping::Venue => {}
                },
                received = tokio::time::timeout_at(heard + SILENCE_MAX, self.socket.next()) => {
                    let Ok(received) = received else {
                        return Err(format!("no frame for {} s", SILENCE_MAX.as_secs()));
                    };
                    heard = tokio::time::Instant::now();
                    if !self.received(received).await? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Hands on a frame; `false` when nobody reads any more.
    async fn received(
        &mut self,
        received: Option<Result<Message, impl std::fmt::Display>>,
    ) -> Result<bool, String> {
        match received {
            Some(Ok(Message::Text(text))) => {
                Ok(self.hand_on(Direction::Received, text.as_str().to_owned()).await)
            }
            // Answers to protocol pings are written by the library.
            Some(Ok(
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_),
            )) => Ok(true),
            Some(Ok(Message::Close(_))) | None => Err("the venue closed it".to_owned()),
            Some(Err(error)) => Err(error.to_string()),
        }
    }

    async fn hand_on(&self, direction: Direction, text: String) -> bool {
        let at_us = self.clock.now().wall.0;
        self.frames.send(Captured { at_us, direction, text }).await.is_ok()
    }

    async fn send(&mut self, text: String) -> Result<(), String> {
        // Before the write: an answer must not stand before its request. A token stays out of the file.
        if self.hand_on(Direction::Sent, redacted(&text)).await {
            self.write(Message::text(text)).await?;
        }
        Ok(())
    }

    async fn write(&mut self, message: Message) -> Result<(), String> {
        match tokio::time::timeout(DRAIN_TIMEOUT, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("a request was not taken within {} s", DRAIN_TIMEOUT.as_secs())),
        }
    }

    /// Says goodbye and hands on what the venue had sent before it heard that.
    async fn goodbye(&mut self) -> Result<(), String> {
        let deadline = tokio::time::Instant::now() + DRAIN_TIMEOUT;
        // It goes away either way.
        let _ = tokio::time::timeout_at(deadline, self.socket.close(None)).await;
        while let Ok(Some(Ok(message))) =
            tokio::time::timeout_at(deadline, self.socket.next()).await
        {
            if let Message::Text(text) = message
                && !self.hand_on(Direction::Received, text.as_str().to_owned()).await
            {
                break;
            }
        }
        Ok(())
    }
}

fn interval(ping: &Ping) -> Duration {
    match ping {
        Ping::Text { interval_ms, .. } | Ping::Protocol { interval_ms } => {
            Duration::from_millis(u64::try_from(*interval_ms).unwrap_or(1).max(1))
        }
        // Nothing is sent; the beat is only there.
        Ping::Venue => SILENCE_MAX,
    }
}
