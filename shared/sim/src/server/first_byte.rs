//! The time at which the first byte of each HTTP request arrived.
//!
//! Inputs: accepted connections. Outputs: the same bytes, and per connection the wall-clock time
//! of the read that brought the first byte since the last answer was written. Invariant: requests
//! on one connection follow each other (HTTP/1.1 without pipelining), so one stamp is enough.

use super::venue::wall_us;
use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// No byte since the last answer.
const NONE: i64 = 0;

/// Reads the stamp of one connection.
#[derive(Clone, Debug)]
pub struct FirstByte {
    at_us: Arc<AtomicI64>,
    connection: u64,
}

impl FirstByte {
    /// When the first byte of the request in hand arrived, µs since the Unix epoch.
    #[must_use]
    pub fn take(&self) -> i64 {
        match self.at_us.load(Ordering::Acquire) {
            NONE => wall_us(),
            at_us => at_us,
        }
    }

    /// Number of the connection, from 1.
    #[must_use]
    pub fn connection(&self) -> u64 {
        self.connection
    }
}

/// A listener whose connections stamp their requests.
#[derive(Debug)]
pub struct StampingListener {
    inner: TcpListener,
    connections: AtomicU64,
}

impl StampingListener {
    /// Wraps a listener.
    #[must_use]
    pub fn new(inner: TcpListener) -> StampingListener {
        StampingListener { inner, connections: AtomicU64::new(0) }
    }
}

impl axum::serve::Listener for StampingListener {
    type Io = StampingStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (StampingStream, SocketAddr) {
        let (inner, address) = axum::serve::Listener::accept(&mut self.inner).await;
        let _unsupported = inner.set_nodelay(true);
        let connection = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
        let stamp = FirstByte { at_us: Arc::new(AtomicI64::new(NONE)), connection };
        (StampingStream { inner, stamp }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}

impl Connected<IncomingStream<'_, StampingListener>> for FirstByte {
    fn connect_info(stream: IncomingStream<'_, StampingListener>) -> FirstByte {
        stream.io().stamp.clone()
    }
}

/// One connection.
#[derive(Debug)]
pub struct StampingStream {
    inner: TcpStream,
    stamp: FirstByte,
}

impl AsyncRead for StampingStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(context, buffer);
        if buffer.filled().len() > before && self.stamp.at_us.load(Ordering::Acquire) == NONE {
            self.stamp.at_us.store(wall_us(), Ordering::Release);
        }
        result
    }
}

impl AsyncWrite for StampingStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // An answer is on its way: the next byte that arrives begins another request.
        self.stamp.at_us.store(NONE, Ordering::Release);
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
