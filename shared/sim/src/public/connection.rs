//! One client of the public socket: the handshake, the requests, the frames, the heartbeat.
//!
//! Inputs: a listener, the hub's queue, faults. Outputs: WebSocket frames; a counter per frame that
//! was handed to the socket. Invariants: a heartbeat goes out every second once a subscription
//! exists, also between other frames; a client that does not read is cut; a socket without
//! subscription and without a word from the client for a minute is closed. It reads no requests.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_util::sync::CancellationToken;

use super::PublicSide;
use super::ack::Times;
use super::frames::HEARTBEAT;
use crate::admin::Endpoint;
use crate::socket::{CONNECTION_QUEUE_LEN_LIMIT, Line, Outgoing};

/// Clients at one time; more are refused by closing their connection.
const CONNECTIONS_LIMIT: usize = 256;
/// Longest request, bytes: a subscription to every pair fits many times.
const REQUEST_BYTES_LIMIT: usize = 256 * 1_024;
/// Frames written before the socket is flushed.
const FLUSH_AFTER: usize = 128;
/// Time that one flush may take.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// Time for the handshake.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// Silence of a client without subscriptions.
const IDLE_LIMIT: Duration = Duration::from_secs(60);

/// Serves public connections until `stop`.
pub async fn serve(listener: TcpListener, side: Arc<PublicSide>, stop: CancellationToken) {
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            // Stopping first; then finished clients, so that their places are free for new ones.
            biased;
            () = stop.cancelled() => break,
            Some(_) = clients.join_next() => {}
            accepted = listener.accept() => match accepted {
                // Nobody gets in while a fault wants it so.
                Ok(_) if side.venue.faults.closed(Endpoint::Public, side.venue.steady_us()) => {}
                Ok((stream, _)) if clients.len() < CONNECTIONS_LIMIT => {
                    clients.spawn(client(stream, Arc::clone(&side), stop.clone()));
                }
                Ok(_) => tracing::warn!(limit = CONNECTIONS_LIMIT, "public connection refused"),
                Err(error) => tracing::warn!(%error, "public connection not accepted"),
            },
        }
    }
    clients.shutdown().await;
}

async fn client(stream: TcpStream, side: Arc<PublicSide>, stop: CancellationToken) {
    // Without it small frames wait for acknowledgements; failing to set it costs only that.
    let _slower = stream.set_nodelay(true);
    let config = WebSocketConfig::default()
        .max_message_size(Some(REQUEST_BYTES_LIMIT))
        .max_frame_size(Some(REQUEST_BYTES_LIMIT));
    let handshake =
        tokio_tungstenite::accept_hdr_async_with_config(stream, check_path, Some(config));
    match timeout(HANDSHAKE_LIMIT, handshake).await {
        Ok(Ok(socket)) => talk(socket, &side, &stop).await,
        Ok(Err(error)) => tracing::debug!(%error, "public handshake failed"),
        Err(_) => tracing::debug!("public handshake took too long"),
    }
}

#[expect(clippy::result_large_err, reason = "the signature is that of the library's callback")]
fn check_path(request: &Request, response: Response) -> Result<Response, ErrorResponse> {
    if request.uri().path() == "/v2" {
        return Ok(response);
    }
    let mut refusal = ErrorResponse::new(Some("the path is /v2".to_owned()));
    *refusal.status_mut() = StatusCode::NOT_FOUND;
    Err(refusal)
}

async fn talk(socket: WebSocketStream<TcpStream>, side: &PublicSide, stop: &CancellationToken) {
    let connection = side.venue.stats.connected("public");
    let (queue, outgoing) = mpsc::channel(CONNECTION_QUEUE_LEN_LIMIT);
    let cut = CancellationToken::new();
    side.hub().connect(connection, Line::new(queue, cut.clone()));
    let mut talk = Talk { socket, side, connection, outgoing, live: 0 };
    let reason = talk.run(stop, &cut).await;
    side.hub().disconnect(connection);
    side.venue.stats.disconnected(connection);
    tracing::debug!(connection, ?reason, "public connection ended");
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
    /// It said nothing and listened to nothing.
    Idle,
}

struct Talk<'a> {
    socket: WebSocketStream<TcpStream>,
    side: &'a PublicSide,
    connection: u64,
    outgoing: mpsc::Receiver<Outgoing>,
    live: usize,
}

impl Talk<'_> {
    async fn run(&mut self, stop: &CancellationToken, cut: &CancellationToken) -> End {
        let mut cuts = self.side.venue.faults.cuts(Endpoint::Public);
        let mut stalls = self.side.venue.faults.stalls();
        let mut beat = interval(Duration::from_secs(1));
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard_at = Instant::now();
        loop {
            let faults = &self.side.venue.faults;
            if let Some(still) = faults.stall(Endpoint::Public, self.side.venue.steady_us()) {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return End::Stopped,
                    () = cut.cancelled() => return End::Slow,
                    Ok(()) = cuts.changed() => return End::Cut,
                    () = tokio::time::sleep(still) => {}
                }
            }
            tokio::select! {
                // Ends first; requests and heartbeats before the queue, which is rarely empty.
                biased;
                () = stop.cancelled() => {
                    // The venue goes away whether or not the client hears of it.
                    let _gone = timeout(Duration::from_secs(1), self.socket.close(None)).await;
                    return End::Stopped;
                }
                () = cut.cancelled() => return End::Slow,
                Ok(()) = cuts.changed() => return End::Cut,
                Ok(()) = stalls.changed() => {}
                message = self.socket.next() => match message {
                    Some(Ok(Message::Text(text))) => {
                        heard_at = Instant::now();
                        self.request(&text);
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_))) => {
                        heard_at = Instant::now();
                    }
                    Some(Ok(Message::Close(_) | Message::Frame(_)) | Err(_)) | None => {
                        return End::Left;
                    }
                },
                _ = beat.tick() => {
                    if self.live == 0 && heard_at.elapsed() > IDLE_LIMIT {
                        return End::Idle;
                    }
                    let silent = self.side.venue.faults.silent(
                        "heartbeat", None, self.side.venue.steady_us());
                    if self.live > 0 && !silent {
                        let text = Utf8Bytes::from_static(HEARTBEAT);
                        let frame = Outgoing::plain("heartbeat", text);
                        if !self.write(frame, cut).await {
                            return End::Slow;
                        }
                    }
                }
                Some(frame) = self.outgoing.recv() => {
                    if !self.write(frame, cut).await {
                        return End::Slow;
                    }
                }
            }
        }
    }

    fn request(&mut self, text: &str) {
        let venue = &self.side.venue;
        let in_us = venue.now_us();
        let mut hub = self.side.hub();
        let times = Times { in_us, out_us: venue.now_us() };
        self.live = hub.request(self.connection, text, times, venue);
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
            self.side.venue.sent(self.connection, &frames);
        }
        written
    }
}
