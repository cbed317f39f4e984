//! One public socket as a task, whatever the venue.
//!
//! Input: address, session, commands. Output: [`FeedEvent`]s in one bounded channel, in order. The task
//! opens the socket within the venue's connect budget, keeps it subscribed through the session, stamps
//! every frame at receipt, and reconnects. When the reader is slower than the venue, the socket is not
//! read and the venue will close it: frames are never dropped here. It ends when it is cancelled or
//! the reader is gone.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{FutureExt, SinkExt, StreamExt};
use penstock_venue_net::{Clock, Socket};
use penstock_venues::endpoint::{Endpoint, EndpointError, Transport};
use penstock_venues::kraken::reconnect::{Chance, ConnectBudget, PUBLIC, Reconnect, ReconnectRule};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::{self, Bytes, Message};
use tokio_util::sync::CancellationToken;

use crate::protocol::{Opening, Protocol};
use crate::session::{Action, DisconnectReason, FeedCommand, FeedEvent, Notice, Plan, Session};
use crate::token::TokenAsks;

/// Largest message and largest REST body, bytes: the instrument image of the venue reaches 1 MB.
pub(crate) const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// Connects of the whole process; every connector of one venue shares one.
pub type SharedConnectBudget = Arc<Mutex<ConnectBudget>>;

/// What a connector needs.
#[derive(Clone, Debug)]
pub struct FeedConfig {
    /// Address, with `/v2`.
    pub url: String,
    /// What to subscribe.
    pub plan: Plan,
}

/// How a socket is opened again.
#[derive(Clone, Copy, Debug)]
pub struct SocketPolicy {
    /// Delays of attempts.
    pub rule: ReconnectRule,
    /// Shortest time between two attempts of one connector, milliseconds.
    pub spacing_ms: i64,
}

/// A running connector.
#[derive(Debug)]
pub struct FeedHandle<C = FeedCommand> {
    /// Commands of the reader.
    pub commands: mpsc::Sender<C>,
    /// The task; ends after cancellation or when the reader is gone.
    pub task: JoinHandle<()>,
}

/// Commands that may wait; a resync that finds no place is repeated by its reader.
const COMMANDS_LEN_LIMIT: usize = 1_024;
/// Distance of the session's polls.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Frames taken between two looks at stop, tick and commands.
const FRAMES_PER_LOOK: usize = 64;
/// Status of a venue that does not serve the region of this address; trying again soon changes nothing.
const HTTP_REGION: u16 = 451;
const REGION_WAIT_MS: i64 = 3_600_000;
/// Time for the venue's goodbye at a stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
/// Time of one write.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// Starts a connector of Kraken spot.
///
/// # Errors
/// The address is refused.
pub fn spawn_feed(
    config: FeedConfig,
    clock: Arc<dyn Clock>,
    budget: SharedConnectBudget,
    events: mpsc::Sender<FeedEvent<Notice>>,
    cancel: CancellationToken,
) -> Result<FeedHandle, EndpointError> {
    let policy = SocketPolicy { rule: PUBLIC, spacing_ms: 0 };
    spawn_session(&config.url, Session::new(config.plan), policy, (clock, budget), events, cancel)
}

/// Starts a connector that speaks what `session` speaks.
///
/// # Errors
/// The address is refused.
pub fn spawn_session<P: Protocol>(
    url: &str,
    session: P,
    policy: SocketPolicy,
    (clock, budget): (Arc<dyn Clock>, SharedConnectBudget),
    events: mpsc::Sender<FeedEvent<P::Notice>>,
    cancel: CancellationToken,
) -> Result<FeedHandle<P::Command>, EndpointError> {
    let shared = Shared { clock, budget, tokens: None };
    spawn(url, session, policy, shared, events, cancel)
}

/// What connectors of one process share.
pub(crate) struct Shared<C> {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) budget: SharedConnectBudget,
    /// Where tokens are asked for; none on sockets that need none.
    pub(crate) tokens: Option<TokenAsks<C>>,
}

/// Starts a connector with everything that it may share.
pub(crate) fn spawn<P: Protocol>(
    url: &str,
    session: P,
    policy: SocketPolicy,
    shared: Shared<P::Command>,
    events: mpsc::Sender<FeedEvent<P::Notice>>,
    cancel: CancellationToken,
) -> Result<FeedHandle<P::Command>, EndpointError> {
    let endpoint = Endpoint::new(url, Transport::Socket)?;
    let (commands, inbox) = mpsc::channel(COMMANDS_LEN_LIMIT);
    let connector = Connector {
        endpoint,
        shared,
        events,
        cancel,
        own: commands.downgrade(),
        inbox,
        session,
        reconnect: Reconnect::new(policy.rule),
        spacing_ms: policy.spacing_ms,
        last_attempt_ms: None,
        epoch: 0,
    };
    let task = tokio::spawn(async move {
        // The reader went away or the process stops; both are the owner's own doing.
        let _ = connector.run().await;
    });
    Ok(FeedHandle { commands, task })
}

/// The task has to end: cancelled, or nobody reads.
struct Ended;

struct Connector<P: Protocol> {
    endpoint: Endpoint,
    shared: Shared<P::Command>,
    events: mpsc::Sender<FeedEvent<P::Notice>>,
    cancel: CancellationToken,
    /// Its own queue, for whoever brings a token; it does not keep the queue open.
    own: mpsc::WeakSender<P::Command>,
    inbox: mpsc::Receiver<P::Command>,
    session: P,
    reconnect: Reconnect,
    spacing_ms: i64,
    last_attempt_ms: Option<i64>,
    epoch: u64,
}

impl<P: Protocol> Connector<P> {
    async fn run(mut self) -> Result<(), Ended> {
        loop {
            self.prepare().await?;
            self.keep_distance().await?;
            self.wait_for_budget().await?;
            self.last_attempt_ms = Some(self.shared.clock.now().mono_ms());
            // Biased: a stop goes before a socket that might open just now.
            let opened = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Err(Ended),
                opened = penstock_venue_net::connect(&self.endpoint, MESSAGE_BYTES_MAX) => opened,
            };
            let delay_ms = match opened {
                Ok(mut socket) => {
                    let reason = self.connection(&mut socket).await?;
                    self.session.closed(self.shared.clock.now().mono_ms());
                    let stopped = reason == DisconnectReason::Stopped;
                    let (epoch, at) = (self.epoch, self.shared.clock.now());
                    self.emit(FeedEvent::Disconnected { epoch, at, reason }).await?;
                    // The loss is told before the goodbye, which a dead socket holds up. It goes away either
                    // way; one that has closed already answers at once.
                    let _ = tokio::time::timeout(DRAIN_TIMEOUT, socket.close(None)).await;
                    if stopped {
                        return Err(Ended);
                    }
                    self.lost()
                }
                Err(error) => {
                    let regular_ms = self.lost();
                    let is_region = error.status() == Some(HTTP_REGION);
                    let retry_in_ms = if is_region { REGION_WAIT_MS } else { regular_ms };
                    let (at, error) = (self.shared.clock.now(), error.to_string());
                    self.emit(FeedEvent::ConnectFailed { at, error, retry_in_ms }).await?;
                    retry_in_ms
                }
            };
            self.pause(delay_ms).await?;
        }
    }

    fn lost(&mut self) -> i64 {
        self.reconnect.maintenance(self.session.is_in_maintenance());
        self.reconnect.lost(self.shared.clock.now().mono_ms(), Chance(rand::random()))
    }

    /// Waits for what the session needs before its socket is worth opening.
    async fn prepare(&mut self) -> Result<(), Ended> {
        loop {
            match self.session.opening(self.shared.clock.now().mono_ms()) {
                Opening::Now => return Ok(()),
                Opening::AfterToken => self.ask_for_token(),
                Opening::AfterCommand => {}
            }
            tokio::select! {
                // Biased: a stop first; a reader that is gone will send no command any more.
                biased;
                () = self.cancel.cancelled() => return Err(Ended),
                () = self.events.closed() => return Err(Ended),
                Some(command) = self.inbox.recv() => {
                    self.session.command(command, self.shared.clock.now().mono_ms());
                }
            }
        }
    }

    fn ask_for_token(&self) {
        if let (Some(tokens), Some(own)) = (&self.shared.tokens, self.own.upgrade()) {
            // The queue holds more than there are connections, and each asks once until it is answered;
            // a task that has ended ends with the process.
            let _ = tokens.try_send(own);
        }
    }

    /// Some venues count attempts per address, so that even the first one after a loss may come too soon.
    async fn keep_distance(&self) -> Result<(), Ended> {
        let Some(last_ms) = self.last_attempt_ms else { return Ok(()) };
        let wait_ms = last_ms + self.spacing_ms - self.shared.clock.now().mono_ms();
        if wait_ms > 0 { self.pause(wait_ms).await } else { Ok(()) }
    }

    async fn wait_for_budget(&mut self) -> Result<(), Ended> {
        loop {
            let taken = {
                let mut budget = self.shared.budget.lock().unwrap_or_else(PoisonError::into_inner);
                budget.take(self.shared.clock.now().mono_ms())
            };
            match taken {
                Ok(()) => return Ok(()),
                Err(wait_ms) => self.pause(wait_ms).await?,
            }
        }
    }

    async fn pause(&self, delay_ms: i64) -> Result<(), Ended> {
        let delay = Duration::from_millis(u64::try_from(delay_ms).unwrap_or(0));
        tokio::select! {
            // Biased: a stop ends any pause.
            biased;
            () = self.cancel.cancelled() => Err(Ended),
            () = tokio::time::sleep(delay) => Ok(()),
        }
    }

    async fn emit(&self, event: FeedEvent<P::Notice>) -> Result<(), Ended> {
        if let Err(mpsc::error::TrySendError::Full(event)) = match self.events.try_send(event) {
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(Ended),
            other => other,
        } {
            return tokio::select! {
                // Biased: a reader that no longer reads must not keep the process alive.
                biased;
                () = self.cancel.cancelled() => Err(Ended),
                sent = self.events.send(event) => sent.map_err(|_| Ended),
            };
        }
        Ok(())
    }

    /// One connection from open to lost.
    async fn connection(&mut self, socket: &mut Socket) -> Result<DisconnectReason, Ended> {
        let at = self.shared.clock.now();
        self.epoch += 1;
        self.session.opened(at);
        self.reconnect.connected(at.mono_ms());
        self.emit(FeedEvent::Connected { epoch: self.epoch, at }).await?;
        let mut tick = tokio::time::interval(POLL_INTERVAL);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let mut received = tokio::select! {
                // Biased: a stop first; then the tick, which is rare and must not starve under a
                // flood of frames; commands before data, because they repair it.
                biased;
                () = self.cancel.cancelled() => {
                    self.drain(socket).await;
                    return Ok(DisconnectReason::Stopped);
                }
                _ = tick.tick() => {
                    if let Some(reason) = self.act(socket).await? {
                        return Ok(reason);
                    }
                    continue;
                }
                Some(command) = self.inbox.recv() => {
                    self.session.command(command, self.shared.clock.now().mono_ms());
                    continue;
                }
                received = socket.next() => received,
            };
            // What has arrived as well is taken before the next look at everything else, which costs as much
            // as a frame.
            for left in (0..FRAMES_PER_LOOK).rev() {
                if let Some(reason) = self.received(received).await? {
                    return Ok(reason);
                }
                let next = if left > 0 { socket.next().now_or_never() } else { None };
                match next {
                    Some(next) => received = next,
                    None => break,
                }
            }
        }
    }

    /// Takes what came from the socket; gives the reason when it is over.
    async fn received(
        &mut self,
        received: Option<Result<Message, tungstenite::Error>>,
    ) -> Result<Option<DisconnectReason>, Ended> {
        match received {
            Some(Ok(Message::Text(text))) => {
                let at = self.shared.clock.now();
                let epoch = self.epoch;
                if self.session.frame(&text, at) {
                    self.emit(FeedEvent::Frame { epoch, at, text }).await?;
                } else {
                    self.emit(FeedEvent::Alive { epoch, at }).await?;
                }
                Ok(None)
            }
            // Answers to protocol pings are written by the library.
            Some(Ok(
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_),
            )) => Ok(None),
            Some(Ok(Message::Close(_))) | None => Ok(Some(DisconnectReason::Closed)),
            Some(Err(error)) => Ok(Some(DisconnectReason::Failed(error.to_string()))),
        }
    }

    /// Says goodbye and hands on what the venue had sent before it heard that.
    async fn drain(&mut self, socket: &mut Socket) {
        let deadline = tokio::time::Instant::now() + DRAIN_TIMEOUT;
        let _ = tokio::time::timeout_at(deadline, socket.close(None)).await; // It goes away either way.
        while let Ok(Some(Ok(message))) = tokio::time::timeout_at(deadline, socket.next()).await {
            let Message::Text(text) = message else { continue };
            let (epoch, at) = (self.epoch, self.shared.clock.now());
            if self.session.frame(&text, at) {
                let event = FeedEvent::Frame { epoch, at, text };
                if !matches!(
                    tokio::time::timeout_at(deadline, self.events.send(event)).await,
                    Ok(Ok(()))
                ) {
                    return;
                }
            }
        }
    }

    /// Does what the session wants done.
    async fn act(&mut self, socket: &mut Socket) -> Result<Option<DisconnectReason>, Ended> {
        let at = self.shared.clock.now();
        for action in self.session.poll(at) {
            let failed = match action {
                Action::Notify(notice) => {
                    self.emit(FeedEvent::Notice { epoch: self.epoch, at, notice }).await?;
                    None
                }
                Action::Send(text) => write(socket, Message::text(text)).await,
                Action::Ping => write(socket, Message::Ping(Bytes::new())).await,
                Action::FetchToken => {
                    self.ask_for_token();
                    None
                }
                Action::Close(reason) => Some(reason),
            };
            if failed.is_some() {
                return Ok(failed);
            }
        }
        Ok(None)
    }
}

/// Writes a message; gives the reason to close when it cannot be written.
async fn write(socket: &mut Socket, message: Message) -> Option<DisconnectReason> {
    match tokio::time::timeout(WRITE_TIMEOUT, socket.send(message)).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(DisconnectReason::Failed(error.to_string())),
        Err(_) => {
            let text = "a request could not be written within 5 s".to_owned();
            Some(DisconnectReason::Failed(text))
        }
    }
}
