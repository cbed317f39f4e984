//! The server: connections within their limits, each request answered by the one table of [`crate::policy`].
//!
//! Input: a listener on loopback, the board, the orders. Output: answers. Invariants: no request has an effect beyond a
//! counter and a line of the process's log; no body is read; a connection that sends no head within [`HEAD_MAX`], or
//! whose reader stalls, is closed; one too many is closed when it is accepted.

mod said;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::builder::Board;
use crate::orders::Orders;
use crate::policy::{self, Answer, Asked};
use crate::socket::Socket;
use crate::{page, stream};
use said::Said;

/// Longest time until the head of a request is whole.
const HEAD_MAX: Duration = Duration::from_secs(5);
/// Longest head of a request, bytes.
const HEAD_BYTES_MAX: usize = 8 * 1_024;
/// Connections that the kernel may hold before they are accepted; what is beyond the limit is closed then.
const BACKLOG: u32 = 256;
/// What the kernel holds of an answer that is not taken: about one document, so that a slow reader is not shown what
/// was true a minute ago.
const SEND_BYTES: u32 = 256 * 1_024;
/// Pause after a failed accept: the process has no file descriptor left, and trying at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Opens the listener.
///
/// # Errors
/// When the address is taken or is not of this machine.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    assert!(address.ip().is_loopback(), "the configuration lets only loopback addresses through");
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    // Inherited by the connections that are accepted.
    socket.set_send_buffer_size(SEND_BYTES)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// What every connection shares.
#[derive(Debug)]
pub struct Site {
    board: Board,
    orders: Orders,
    streams: Arc<Semaphore>,
    policy: HeaderValue,
    said: Said,
}

impl Site {
    /// With so many slots for streams.
    #[must_use]
    pub fn new(board: Board, orders: Orders, streams_max: usize) -> Self {
        let policy = HeaderValue::from_str(&page::policy());
        Self {
            board,
            orders,
            streams: Arc::new(Semaphore::new(streams_max)),
            policy: policy.expect("a hash in base64 and words"),
            said: Said::default(),
        }
    }

    /// Answers a request; never reads its body.
    async fn answer(&self, request: &Request<Incoming>) -> Response<Body> {
        let (method, path) = (request.method().as_str(), request.uri().path());
        let answer = policy::judge(&Asked {
            method,
            host: one(request.headers(), &header::HOST),
            authority: request.uri().authority().map(|authority| authority.as_str()),
            path,
            query: request.uri().query(),
        });
        let mut response = self.of(answer).await;
        self.dress(response.headers_mut());
        let status = response.status();
        self.said.request(method, path, status);
        let labels =
            [("path", policy::label(path).to_owned()), ("status", status.as_str().to_owned())];
        metrics::counter!("webui_requests_total", &labels).increment(1);
        response
    }

    async fn of(&self, answer: Answer) -> Response<Body> {
        let json = "application/json";
        match answer {
            Answer::Page => with(StatusCode::OK, "text/html; charset=utf-8", page::TEXT),
            Answer::Snapshot => match self.board.newest() {
                text if text.is_empty() => plain(StatusCode::INTERNAL_SERVER_ERROR),
                text => with(StatusCode::OK, json, text),
            },
            Answer::Orders(number) => match self.orders.newest(number).await {
                Ok(list) => with(StatusCode::OK, json, list),
                Err(crate::orders::NotRead) => plain(StatusCode::INTERNAL_SERVER_ERROR),
            },
            Answer::Stream => match Arc::clone(&self.streams).try_acquire_owned() {
                Ok(slot) => {
                    with(StatusCode::OK, "text/event-stream", stream::body(&self.board, slot))
                }
                Err(_) => plain(StatusCode::SERVICE_UNAVAILABLE),
            },
            Answer::BadLimit => plain(StatusCode::BAD_REQUEST),
            Answer::Forbidden => plain(StatusCode::FORBIDDEN),
            Answer::NotFound => plain(StatusCode::NOT_FOUND),
        }
    }

    /// What every answer carries.
    fn dress(&self, headers: &mut HeaderMap) {
        let fixed = |text: &'static str| HeaderValue::from_static(text);
        headers.insert(header::CACHE_CONTROL, fixed("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
        headers.insert(header::REFERRER_POLICY, fixed("no-referrer"));
        headers.insert(header::X_FRAME_OPTIONS, fixed("DENY"));
        headers.insert(header::CONTENT_SECURITY_POLICY, self.policy.clone());
    }
}

/// The one value of a header, when there is exactly one and it is text.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    if values.next().is_some() { None } else { first.to_str().ok() }
}

fn with(status: StatusCode, content: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content));
    response
}

/// An answer that says its status in words and nothing else.
fn plain(status: StatusCode) -> Response<Body> {
    let words = status.canonical_reason().unwrap_or("refused");
    with(status, "text/plain; charset=utf-8", Bytes::from_static(words.as_bytes()))
}

/// Serves until the end; open connections end with it.
pub async fn serve(
    listener: TcpListener,
    site: Arc<Site>,
    connections_max: usize,
    end: CancellationToken,
) {
    let mut open = JoinSet::new();
    loop {
        // The end first; then connections that have ended, so that their places are free for the next one.
        let accepted = tokio::select! {
            biased;
            () = end.cancelled() => break,
            Some(_) = open.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) if open.len() < connections_max => {
                open.spawn(connection(stream, Arc::clone(&site)));
            }
            Ok((stream, _)) => {
                metrics::counter!("webui_connections_refused_total").increment(1);
                drop(stream);
            }
            Err(error) => {
                tracing::warn!(
                    "the panel cannot accept: {error}; next: look at the limit of open files"
                );
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
        metrics::gauge!("webui_connections").set(open.len() as f64);
    }
    open.shutdown().await;
}

async fn connection(stream: TcpStream, site: Arc<Site>) {
    let service = service_fn(|request: Request<Incoming>| {
        let site = &site;
        async move { Ok::<_, Infallible>(site.answer(&request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(Socket::new(stream)), service)
        .await;
    if let Err(error) = served {
        tracing::trace!("a connection of the panel ended: {error}");
    }
}
