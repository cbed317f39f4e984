//! The private socket as a task.
//!
//! Input: order requests, the stop. Output: [`PrivateEvent`]s in order. Each connection gets a new
//! token by REST first. The task writes requests one after the other, remembers each until it is
//! answered, and tells every waiting caller *unknown* when the connection goes. A reader that does not
//! keep up loses the connection, not a message: what follows is an image and a reconcile.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use penstock_venue_net::{Socket, Stamp};
use penstock_venues::endpoint::{Endpoint, EndpointError, Transport};
use penstock_venues::kraken::rates::RestUse;
use penstock_venues::kraken::reconnect::{Chance, PRIVATE, Reconnect};
use penstock_venues::kraken::rest::private::TokenResult;
use penstock_venues::kraken::rest::{PrivateRequest, Reply, UnknownReason};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

use super::handle::{OpenToken, OrderSocket};
use super::messages::{DisconnectReason, Outgoing, PrivateEvent, SocketConfig, StreamHealth};
use super::session::{Action, Session};
use crate::gate::{SendGate, Sending, Shut, guarded, shut};
use crate::outcome::{self, NotSent, OrderAnswer, OrderOutcome, RestOutcome};
use crate::private_rest::PrivateRest;
use crate::state::Way;
use crate::state_file::SharedVenueState;

/// Requests that may wait for the task.
const REQUESTS_LEN_LIMIT: usize = 256;
/// Distance of the session's polls.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Time of one write.
const WRITE_TIMEOUT: Duration = Duration::from_secs(3);
/// Distance of looks at a gate that is shut, milliseconds.
const SHUT_LOOK_MS: i64 = 250;
/// Time of the goodbye.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// A running private socket.
#[derive(Debug)]
pub struct RunningSocket {
    /// The way to it.
    pub orders: OrderSocket,
    /// Its task; ends after cancellation or when the reader is gone.
    pub task: JoinHandle<()>,
}

/// Starts the private socket. `events` should hold 4,096 messages.
///
/// # Errors
/// The address is refused.
pub fn spawn_order_socket(
    config: SocketConfig,
    rest: PrivateRest,
    events: mpsc::Sender<PrivateEvent>,
    cancel: CancellationToken,
) -> Result<RunningSocket, EndpointError> {
    let endpoint = Endpoint::new(&config.url, Transport::Socket)?;
    let (requests, inbox) = mpsc::channel(REQUESTS_LEN_LIMIT);
    let open = Arc::new(RwLock::new(None));
    let (state, gate) = (rest.state().clone(), rest.gate().clone());
    let images = Arc::new(AtomicBool::new(false));
    let last_frame_mono_ns = state.now().mono_ns;
    let before = StreamHealth { last_frame_mono_ns, ..StreamHealth::default() };
    let (health_sender, health) = watch::channel(before);
    let orders = OrderSocket {
        requests,
        open: open.clone(),
        next_req_id: Arc::new(AtomicU64::new(1)),
        images: images.clone(),
        state: state.clone(),
        health,
    };
    let runner = Runner {
        config,
        endpoint,
        rest,
        state,
        gate,
        events,
        cancel,
        inbox,
        open,
        images,
        health: health_sender,
        waiting: BTreeMap::new(),
        reconnect: Reconnect::new(PRIVATE),
        epoch: 0,
    };
    let task = tokio::spawn(async move {
        // The reader went away or the process stops; both are the owner's own doing.
        let _ = runner.run().await;
    });
    Ok(RunningSocket { orders, task })
}

/// The task has to end: cancelled, or nobody reads.
struct Ended;

/// Why there is no socket, and the wait if it is known.
struct NotOpened {
    error: String,
    wait_ms: Option<i64>,
}

/// A written request that waits for its answer.
struct Waiting {
    sent_at: Stamp,
    symbol: Option<String>,
    answer: oneshot::Sender<OrderAnswer>,
}

struct Runner {
    config: SocketConfig,
    endpoint: Endpoint,
    rest: PrivateRest,
    state: SharedVenueState,
    gate: Arc<dyn SendGate>,
    events: mpsc::Sender<PrivateEvent>,
    cancel: CancellationToken,
    inbox: mpsc::Receiver<Outgoing>,
    open: Arc<RwLock<Option<OpenToken>>>,
    /// New images are wanted.
    images: Arc<AtomicBool>,
    health: watch::Sender<StreamHealth>,
    waiting: BTreeMap<u64, Waiting>,
    reconnect: Reconnect,
    epoch: u64,
}

impl Runner {
    async fn run(mut self) -> Result<(), Ended> {
        loop {
            let opened = tokio::select! {
                // Biased: a stop goes before a socket that might open just now.
                biased;
                () = self.cancel.cancelled() => return Err(Ended),
                opened = self.open_socket() => opened,
            };
            let delay_ms = match opened {
                Ok((socket, token)) => {
                    let reason = self.connection(socket, token).await;
                    self.close_all(&reason);
                    let stopped = reason == DisconnectReason::Stopped;
                    let (epoch, at) = (self.epoch, self.state.now());
                    self.tell(PrivateEvent::Disconnected { epoch, at, reason }).await?;
                    if stopped {
                        return Err(Ended);
                    }
                    self.reconnect.lost(at.mono_ms(), Chance(rand::random()))
                }
                Err(NotOpened { error, wait_ms }) => {
                    let at = self.state.now();
                    // A wait that the counter names is no failure of the venue and no reason to
                    // back off from it.
                    let retry_in_ms = wait_ms.unwrap_or_else(|| {
                        self.reconnect.lost(at.mono_ms(), Chance(rand::random()))
                    });
                    self.tell(PrivateEvent::ConnectFailed { at, error, retry_in_ms }).await?;
                    retry_in_ms
                }
            };
            self.pause(delay_ms).await?;
        }
    }

    /// A new token, then the socket.
    async fn open_socket(&self) -> Result<(Socket, String), NotOpened> {
        let failed = |error: String| NotOpened { error, wait_ms: None };
        let request = PrivateRequest::GetWebSocketsToken;
        let token = match self.rest.call(&request, RestUse::Reserved).await {
            RestOutcome::NotSent(reason) => {
                let wait_ms = match &reason {
                    NotSent::Budget { wait_ms, .. } | NotSent::Paused { wait_ms, .. } => {
                        Some(*wait_ms)
                    }
                    NotSent::Shut(_) => Some(SHUT_LOOK_MS),
                    _ => None,
                };
                return Err(NotOpened { error: format!("no token: {reason}"), wait_ms });
            }
            RestOutcome::Sent(answer) => match answer.reply::<TokenResult<'_>>() {
                Reply::Done { result, .. } => result.token.to_string(),
                Reply::Refused { text, .. } => return Err(failed(format!("no token: {text}"))),
                Reply::Unknown { reason, .. } => {
                    return Err(failed(format!("no token: {reason}")));
                }
            },
        };
        let bytes_max = crate::private_rest::MESSAGE_BYTES_MAX;
        let opening = penstock_venue_net::connect(&self.endpoint, bytes_max);
        match guarded(&self.gate, Sending::Upkeep, opening).await {
            Ok(opened) => Ok((opened.map_err(|e| failed(e.to_string()))?, token)),
            Err(shut) => Err(NotOpened { error: shut.to_string(), wait_ms: Some(SHUT_LOOK_MS) }),
        }
    }

    async fn pause(&mut self, delay_ms: i64) -> Result<(), Ended> {
        let delay = Duration::from_millis(u64::try_from(delay_ms).unwrap_or(0));
        let end = tokio::time::Instant::now() + delay;
        loop {
            tokio::select! {
                // Biased: a stop ends any pause; requests are answered at once, not kept.
                biased;
                () = self.cancel.cancelled() => return Err(Ended),
                Some(request) = self.inbox.recv() => refuse(request, NotSent::NotConnected),
                () = tokio::time::sleep_until(end) => return Ok(()),
            }
        }
    }

    /// Tells the reader and waits for a place; used where nothing else has to go on.
    async fn tell(&self, event: PrivateEvent) -> Result<(), Ended> {
        tokio::select! {
            // Biased: a reader that no longer reads must not keep the process alive.
            biased;
            sent = self.events.send(event) => sent.map_err(|_| Ended),
            () = self.cancel.cancelled() => Err(Ended),
        }
    }

    /// Every waiting caller learns that nothing is proven; queued requests were never written.
    fn close_all(&mut self, reason: &DisconnectReason) {
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = None;
        let epoch = self.epoch;
        // How long it has been silent goes on counting from its last frame, and a clock does not change with it.
        self.health.send_modify(|health| {
            let StreamHealth { last_frame_mono_ns, clock_offset_us, .. } = *health;
            let kept =
                StreamHealth { last_frame_mono_ns, clock_offset_us, ..StreamHealth::default() };
            *health = StreamHealth { epoch, ..kept };
        });
        for (_, waiting) in core::mem::take(&mut self.waiting) {
            let text = format!("the connection was lost before the answer ({reason:?})");
            let lost = UnknownReason::Connection(text);
            // A caller that went away does not want to know.
            let _ = waiting.answer.send(OrderAnswer::unknown(lost, Some(waiting.sent_at)));
        }
        while let Ok(request) = self.inbox.try_recv() {
            refuse(request, NotSent::NotConnected);
        }
    }

    /// One connection from open to lost.
    async fn connection(&mut self, mut socket: Socket, token: String) -> DisconnectReason {
        let at = self.state.now();
        self.epoch += 1;
        let epoch = self.epoch;
        let (silent_ms, ack_ms) = (self.config.silent_ms, self.config.ack_timeout_ms);
        // It begins with images: what was wanted before is on its way.
        self.images.store(false, Ordering::Relaxed);
        let mut session = Session::open(epoch, token.clone(), silent_ms, ack_ms, at);
        self.reconnect.connected(at.mono_ms());
        if self.events.try_send(PrivateEvent::Connected { epoch, at }).is_err() {
            return self.reader_lost();
        }
        *self.open.write().unwrap_or_else(PoisonError::into_inner) =
            Some(OpenToken { epoch, token });
        let mut tick = tokio::time::interval(POLL_INTERVAL);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let lost = tokio::select! {
                // Biased: a shut gate first, because even the goodbye and the answer to a ping are bytes; then
                // a stop; the tick is rare and must not starve; orders before what is received, because their
                // deadlines run.
                biased;
                shut = shut(&self.gate) => Some(self.shut_out(shut)),
                () = self.cancel.cancelled() => {
                    self.goodbye(&mut socket).await;
                    Some(DisconnectReason::Stopped)
                }
                _ = tick.tick() => {
                    self.expire(&mut session);
                    if self.images.swap(false, Ordering::Relaxed) {
                        session.ask_images(self.state.now());
                    }
                    self.act(&mut session, &mut socket).await
                }
                Some(request) = self.inbox.recv() => {
                    self.submit(&mut session, &mut socket, request).await
                }
                received = socket.next() => self.received(&mut session, &mut socket, received).await,
            };
            self.health.send_replace(session.health());
            if let Some(reason) = lost {
                return reason;
            }
        }
    }

    /// The connection goes without a word. A stop that came with it stays a stop.
    fn shut_out(&self, shut: Shut) -> DisconnectReason {
        if self.cancel.is_cancelled() {
            DisconnectReason::Stopped
        } else {
            DisconnectReason::Shut(shut)
        }
    }

    /// Closes a socket, which goes away either way: a dead one must not keep the next one waiting.
    async fn goodbye(&self, socket: &mut Socket) {
        let closing = guarded(&self.gate, Sending::Upkeep, socket.close(None));
        let _ = tokio::time::timeout(GOODBYE_TIMEOUT, closing).await;
    }

    /// Writes one frame; the gate is asked before every step of it.
    async fn write(
        &self,
        socket: &mut Socket,
        what: Sending,
        text: String,
    ) -> Option<DisconnectReason> {
        let writing = guarded(&self.gate, what, socket.send(Message::text(text)));
        match tokio::time::timeout(WRITE_TIMEOUT, writing).await {
            Ok(Ok(Ok(()))) => None,
            Ok(Ok(Err(error))) => Some(DisconnectReason::Failed(error.to_string())),
            Ok(Err(shut)) => Some(self.shut_out(shut)),
            Err(_) => {
                Some(DisconnectReason::Failed("a request could not be written in 3 s".to_owned()))
            }
        }
    }

    fn reader_lost(&self) -> DisconnectReason {
        if self.events.is_closed() {
            DisconnectReason::Stopped
        } else {
            DisconnectReason::ReaderSlow
        }
    }

    async fn received(
        &mut self,
        session: &mut Session,
        socket: &mut Socket,
        received: Option<Result<Message, tokio_tungstenite::tungstenite::Error>>,
    ) -> Option<DisconnectReason> {
        let text = match received {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_),
            )) => return None,
            Some(Ok(Message::Close(_))) | None => return Some(DisconnectReason::Closed),
            Some(Err(error)) => return Some(DisconnectReason::Failed(error.to_string())),
        };
        let at = self.state.now();
        if let Some((req_id, response)) = session.frame(&text, at) {
            let outcome = outcome::read(&response);
            self.answer(req_id, outcome, at).await;
        }
        self.act(session, socket).await
    }

    async fn answer(&mut self, req_id: u64, outcome: OrderOutcome, at: Stamp) {
        let Some(waiting) = self.waiting.remove(&req_id) else { return };
        let judgement = match &outcome {
            OrderOutcome::Rejected { judgement, .. } | OrderOutcome::Unknown { judgement, .. } => {
                Some(*judgement)
            }
            OrderOutcome::Acked { .. } | OrderOutcome::NotSent(_) => None,
        };
        let symbol = waiting.symbol.as_deref();
        let backs_off = match judgement {
            Some(judgement) => self.state.lock().learn(judgement, symbol, at),
            None => {
                self.state.lock().accepted(Way::Socket);
                false
            }
        };
        let answer = OrderAnswer { outcome, sent_at: Some(waiting.sent_at), answered_at: Some(at) };
        // A caller that went away does not want to know.
        let _ = waiting.answer.send(answer);
        if backs_off {
            self.state.flush().await;
        }
    }

    fn expire(&mut self, session: &mut Session) {
        for req_id in session.timed_out(self.state.now()) {
            let Some(waiting) = self.waiting.remove(&req_id) else { continue };
            let waited_ms = u64::try_from(self.config.ack_timeout_ms).unwrap_or(0);
            let late = UnknownReason::Timeout { waited_ms };
            // A caller that went away does not want to know.
            let _ = waiting.answer.send(OrderAnswer::unknown(late, Some(waiting.sent_at)));
        }
    }

    /// Writes one order request.
    async fn submit(
        &mut self,
        session: &mut Session,
        socket: &mut Socket,
        request: Outgoing,
    ) -> Option<DisconnectReason> {
        // The text carries the token of another connection: that one is gone.
        if request.epoch != self.epoch {
            refuse(request, NotSent::NotConnected);
            return None;
        }
        if let Err(shut) = self.gate.judge(request.sending) {
            refuse(request, shut.into());
            return None;
        }
        let sent_at = self.state.now();
        if let Some(left_ms) = request.not_after_ms.map(|at| at - sent_at.mono_ms())
            && left_ms < 0
        {
            refuse(request, NotSent::DeadlineTooClose { left_ms, needed_ms: 0 });
            return None;
        }
        if let Some(deadline) = request.not_after {
            let left_ms = (deadline.0 - sent_at.wall.0).div_euclid(1_000);
            let needed_ms = self.config.deadline_left_ms;
            if left_ms < needed_ms {
                refuse(request, NotSent::DeadlineTooClose { left_ms, needed_ms });
                return None;
            }
        }
        if !session.sent(request.req_id, sent_at) {
            refuse(request, NotSent::QueueFull);
            return None;
        }
        let Outgoing { method, cl_ord_id, req_id, symbol, sending, text, answer, .. } = request;
        self.waiting.insert(req_id, Waiting { sent_at, symbol, answer });
        if let Some(hook) = &self.config.before_write {
            hook(method, cl_ord_id.as_deref(), sent_at);
        }
        // From here on bytes may have left: whatever happens, the outcome is not "not sent".
        self.write(socket, sending, text).await
    }

    /// Does what the session wants done.
    async fn act(
        &mut self,
        session: &mut Session,
        socket: &mut Socket,
    ) -> Option<DisconnectReason> {
        let at = self.state.now();
        for action in session.poll(at) {
            match action {
                Action::Tell(event) => {
                    if self.events.try_send(event).is_err() {
                        return Some(self.reader_lost());
                    }
                }
                Action::Send(text) => {
                    if let Some(reason) = self.write(socket, Sending::Upkeep, text).await {
                        return Some(reason);
                    }
                }
                Action::MaxRateCount(max) => self.state.lock().set_tier(max, at.mono_ms()),
                Action::RateCount { symbol, value } => {
                    self.state.lock().pair_count_reported(&symbol, value, at.mono_ms());
                }
                Action::Close(reason) => {
                    self.goodbye(socket).await;
                    return Some(reason);
                }
            }
        }
        None
    }
}

fn refuse(request: Outgoing, reason: NotSent) {
    // A caller that went away does not want to know.
    let _ = request.answer.send(OrderAnswer::not_sent(reason));
}
