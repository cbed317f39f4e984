//! One client of a public feed: the handshake, the requests, the frames, the pings.
//!
//! Inputs: a listener, the feed's queue, faults. Outputs: WebSocket frames; a counter and a line of
//! the send log per frame that was handed to the socket. Invariants: a client that does not read is
//! cut; the feed's rules about silence, pings, age and number of requests end a connection. It
//! reads no requests.

use super::outgoing::{CONNECTION_QUEUE_LEN_LIMIT, Line, Outgoing};
use crate::admin::Endpoint;
use crate::server::Venue;
use futures_util::{SinkExt, StreamExt};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_util::sync::CancellationToken;

/// Clients of one endpoint at one time; more are refused by closing their connection.
const CONNECTIONS_LIMIT: usize = 256;
/// Longest request, bytes: a subscription to every symbol fits many times.
const REQUEST_BYTES_LIMIT: usize = 256 * 1_024;
/// Frames written before the socket is flushed.
const FLUSH_AFTER: usize = 128;
/// Time that one flush may take.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// Time for the handshake.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// Time between looks at what a connection may still do.
const BEAT: Duration = Duration::from_secs(1);

/// What a venue demands of its connections.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rules {
    /// A connection that has said nothing for so long is closed, unless `idle_spares_listeners`
    /// and it listens to something.
    pub(crate) idle: Option<Duration>,
    /// Listeners may stay silent.
    pub(crate) idle_spares_listeners: bool,
    /// The venue sends a protocol ping this often.
    pub(crate) ping_every: Option<Duration>,
    /// A connection that has not answered a ping for so long is closed.
    pub(crate) pong_within: Option<Duration>,
    /// A connection older than this is closed.
    pub(crate) lifetime: Option<Duration>,
    /// More frames from the client within a second end the connection.
    pub(crate) incoming_per_s: Option<usize>,
}

/// A feed: who listens to what, and what is answered.
pub(crate) trait Feed: std::fmt::Debug + Send + Sync + 'static {
    /// The venue.
    fn venue(&self) -> &Arc<Venue>;
    /// The endpoint, for faults and counters.
    fn endpoint(&self) -> Endpoint;
    /// The rules.
    fn rules(&self) -> Rules;
    /// Whether there is something at this path.
    fn accepts(&self, path: &str) -> bool;
    /// A new connection, asked for with this path and query.
    fn connect(&self, connection: u64, target: &str, line: Line);
    /// The connection is over.
    fn disconnect(&self, connection: u64);
    /// Answers a text; the number of live subscriptions afterwards.
    fn request(&self, connection: u64, text: &str) -> usize;
    /// What a connection is sent every second by itself.
    fn beat(&self, connection: u64) -> Option<Outgoing>;
}

/// Serves connections until `stop`.
pub(crate) async fn serve<F: Feed>(listener: TcpListener, feed: Arc<F>, stop: CancellationToken) {
    let mut clients = JoinSet::new();
    let endpoint = feed.endpoint().name();
    loop {
        tokio::select! {
            // Stopping first; then finished clients, so that their places are free for new ones.
            biased;
            () = stop.cancelled() => break,
            Some(_) = clients.join_next() => {}
            accepted = listener.accept() => match accepted {
                // Nobody gets in while a fault wants it so.
                Ok(_) if feed.venue().faults.closed(feed.endpoint(), feed.venue().steady_us()) => {}
                Ok((stream, _)) if clients.len() < CONNECTIONS_LIMIT => {
                    clients.spawn(client(stream, Arc::clone(&feed), stop.clone()));
                }
                Ok(_) => tracing::warn!(endpoint, limit = CONNECTIONS_LIMIT, "connection refused"),
                Err(error) => tracing::warn!(endpoint, %error, "connection not accepted"),
            },
        }
    }
    clients.shutdown().await;
}

#[expect(clippy::result_large_err, reason = "the signature is that of the library's callback")]
async fn client<F: Feed>(stream: TcpStream, feed: Arc<F>, stop: CancellationToken) {
    // Without it small frames wait for acknowledgements; failing to set it costs only that.
    let _slower = stream.set_nodelay(true);
    let config = WebSocketConfig::default()
        .max_message_size(Some(REQUEST_BYTES_LIMIT))
        .max_frame_size(Some(REQUEST_BYTES_LIMIT));
    let target = Mutex::new(String::new());
    let check = |request: &Request, response: Response| check(request, response, &*feed, &target);
    let handshake = tokio_tungstenite::accept_hdr_async_with_config(stream, check, Some(config));
    match timeout(HANDSHAKE_LIMIT, handshake).await {
        Ok(Ok(socket)) => {
            let target = target.into_inner().unwrap_or_else(PoisonError::into_inner);
            talk(socket, &*feed, &target, &stop).await;
        }
        Ok(Err(error)) => tracing::debug!(%error, "handshake failed"),
        Err(_) => tracing::debug!("handshake took too long"),
    }
}

#[expect(clippy::result_large_err, reason = "the signature is that of the library's callback")]
fn check<F: Feed>(
    request: &Request,
    response: Response,
    feed: &F,
    target: &Mutex<String>,
) -> Result<Response, ErrorResponse> {
    if feed.accepts(request.uri().path()) {
        *target.lock().unwrap_or_else(PoisonError::into_inner) = request.uri().to_string();
        return Ok(response);
    }
    let mut refusal = ErrorResponse::new(Some("there is nothing at this path".to_owned()));
    *refusal.status_mut() = StatusCode::NOT_FOUND;
    Err(refusal)
}

async fn talk<F: Feed>(
    socket: WebSocketStream<TcpStream>,
    feed: &F,
    target: &str,
    stop: &CancellationToken,
) {
    let venue = feed.venue();
    let connection = venue.stats.connected(feed.endpoint().name());
    let (queue, outgoing) = mpsc::channel(CONNECTION_QUEUE_LEN_LIMIT);
    let cut = CancellationToken::new();
    feed.connect(connection, target, Line::new(queue, cut.clone()));
    let now = Instant::now();
    let (heard, ponged, pinged) = (now, now, now);
    let incoming = VecDeque::new();
    let mut talk = Talk {
        socket,
        feed,
        connection,
        outgoing,
        live: 0,
        began: now,
        heard,
        ponged,
        pinged,
        incoming,
    };
    let reason = talk.run(stop, &cut).await;
    feed.disconnect(connection);
    venue.stats.disconnected(connection);
    tracing::debug!(connection, endpoint = feed.endpoint().name(), ?reason, "connection ended");
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The venue stops.
    Stopped,
    /// A fault asked for it.
    Cut,
    /// It did not read.
    Slow,
    /// The client left.
    Left,
    /// It was silent for too long, or did not answer pings.
    Silent,
    /// It sent too much.
    Flood,
    /// It has reached its age.
    Old,
}

struct Talk<'a, F> {
    socket: WebSocketStream<TcpStream>,
    feed: &'a F,
    connection: u64,
    outgoing: mpsc::Receiver<Outgoing>,
    live: usize,
    began: Instant,
    heard: Instant,
    ponged: Instant,
    pinged: Instant,
    incoming: VecDeque<Instant>,
}

impl<F: Feed> Talk<'_, F> {
    async fn run(&mut self, stop: &CancellationToken, cut: &CancellationToken) -> End {
        let faults = &self.feed.venue().faults;
        let mut cuts = faults.cuts(self.feed.endpoint());
        let mut stalls = faults.stalls();
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if let Some(end) = self.stand_still(stop, cut, &mut cuts).await {
                return end;
            }
            let ended = tokio::select! {
                // Ends first; requests and heartbeats before the queue, which is rarely empty.
                biased;
                () = stop.cancelled() => {
                    // The venue goes away whether or not the client hears of it.
                    let _gone = timeout(Duration::from_secs(1), self.socket.close(None)).await;
                    Some(End::Stopped)
                }
                () = cut.cancelled() => Some(End::Slow),
                Ok(()) = cuts.changed() => Some(End::Cut),
                Ok(()) = stalls.changed() => None,
                message = self.socket.next() => self.message(message),
                _ = beat.tick() => self.beat(cut).await,
                Some(frame) = self.outgoing.recv() => {
                    (!self.write(frame, cut).await).then_some(End::Slow)
                }
            };
            match ended {
                Some(End::Old) => {
                    let _gone = timeout(Duration::from_secs(1), self.socket.close(None)).await;
                    return End::Old;
                }
                Some(end) => return end,
                None => {}
            }
        }
    }

    /// Reads and writes nothing while a fault wants it so.
    async fn stand_still(
        &self,
        stop: &CancellationToken,
        cut: &CancellationToken,
        cuts: &mut watch::Receiver<u64>,
    ) -> Option<End> {
        let venue = self.feed.venue();
        let still = venue.faults.stall(self.feed.endpoint(), venue.steady_us())?;
        tokio::select! {
            biased;
            () = stop.cancelled() => Some(End::Stopped),
            () = cut.cancelled() => Some(End::Slow),
            Ok(()) = cuts.changed() => Some(End::Cut),
            () = tokio::time::sleep(still) => None,
        }
    }

    fn message(
        &mut self,
        message: Option<Result<Message, tokio_tungstenite::tungstenite::Error>>,
    ) -> Option<End> {
        self.heard = Instant::now();
        match message {
            Some(Ok(Message::Text(text))) => {
                self.live = self.feed.request(self.connection, &text);
            }
            Some(Ok(Message::Pong(_))) => self.ponged = self.heard,
            Some(Ok(Message::Ping(_) | Message::Binary(_))) => {}
            Some(Ok(Message::Close(_) | Message::Frame(_)) | Err(_)) | None => {
                return Some(End::Left);
            }
        }
        let limit = self.feed.rules().incoming_per_s?;
        let since = self.heard.checked_sub(Duration::from_secs(1));
        self.incoming.push_back(self.heard);
        while self.incoming.front().is_some_and(|first| since.is_some_and(|since| *first < since)) {
            self.incoming.pop_front();
        }
        (self.incoming.len() > limit).then_some(End::Flood)
    }

    /// What the second that has passed asks for.
    async fn beat(&mut self, cut: &CancellationToken) -> Option<End> {
        let rules = self.feed.rules();
        let over = |limit: Option<Duration>, since: Instant| {
            limit.is_some_and(|limit| since.elapsed() > limit)
        };
        if over(rules.lifetime, self.began) {
            return Some(End::Old);
        }
        let spared = rules.idle_spares_listeners && self.live > 0;
        if over(rules.idle, self.heard) && !spared {
            return Some(End::Silent);
        }
        if over(rules.pong_within, self.ponged.max(self.began)) {
            return Some(End::Silent);
        }
        if over(rules.ping_every, self.pinged) {
            self.pinged = Instant::now();
            let payload = Bytes::from(self.feed.venue().now_us().to_string());
            let ping = self.socket.send(Message::Ping(payload));
            if !matches!(timeout(WRITE_LIMIT, ping).await, Ok(Ok(()))) {
                return Some(End::Slow);
            }
        }
        match self.feed.beat(self.connection) {
            Some(frame) => (!self.write(frame, cut).await).then_some(End::Slow),
            None => None,
        }
    }

    /// Writes a frame and what waits behind it; false when the client does not take it.
    async fn write(&mut self, first: Outgoing, cut: &CancellationToken) -> bool {
        let mut frames = vec![first];
        while frames.len() < FLUSH_AFTER
            && let Ok(more) = self.outgoing.try_recv()
        {
            frames.push(more);
        }
        let socket = &mut self.socket;
        let writing = async {
            for frame in &frames {
                socket.feed(Message::Text(frame.text.clone())).await?;
            }
            socket.flush().await
        };
        let written = tokio::select! {
            // A full queue says more about the reader than a pending write.
            biased;
            () = cut.cancelled() => false,
            written = timeout(WRITE_LIMIT, writing) => matches!(written, Ok(Ok(()))),
        };
        if written {
            self.feed.venue().sent(self.connection, &frames);
        }
        written
    }
}
