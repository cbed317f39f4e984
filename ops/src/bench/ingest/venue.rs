//! Purpose: the venue of the bench: a loopback server with prepared frames. Inputs: a number of pairs,
//! orders. Outputs: addresses, counts of what was sent. Invariants: threads of its own, none of the
//! runtime's, and hardly any work per frame, so that what is measured is the product; loopback only. It
//! is no venue to trade on: it knows no order and its prices stay where they are.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::frames::Mix;
use super::link::{Link, Order, Orders};
use super::pair::Pair;
use super::requests::rest;

/// How often a thread without a caller looks whether it has to end.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Longest wait for a socket that finishes its round, or for a REST request.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest head of a REST request.
const HEAD_BYTES_MAX: usize = 16_384;

/// What all sockets have sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sent {
    /// Frames.
    pub(super) frames: u64,
    /// Trades in them.
    pub(super) trades: u64,
    /// Bytes.
    pub(super) bytes: u64,
}

impl Sent {
    /// What came after `before`.
    #[must_use]
    pub(super) const fn since(self, before: Self) -> Self {
        Self {
            frames: self.frames - before.frames,
            trades: self.trades - before.trades,
            bytes: self.bytes - before.bytes,
        }
    }
}

/// The server.
#[derive(Debug)]
pub(super) struct Venue {
    /// Address of the public socket.
    pub(super) ws_url: String,
    /// Address of REST.
    pub(super) rest_url: String,
    orders: Arc<Orders>,
    links: Arc<Mutex<Vec<Arc<Link>>>>,
}

impl Venue {
    /// Starts it with so many pairs.
    ///
    /// # Errors
    /// A loopback port that cannot be had.
    pub(super) fn start(pairs: usize) -> std::io::Result<Self> {
        let orders = Arc::new(Orders::new((0..pairs).map(Pair::of).collect()));
        let links: Arc<Mutex<Vec<Arc<Link>>>> = Arc::default();
        let sockets = TcpListener::bind("127.0.0.1:0")?;
        let requests = TcpListener::bind("127.0.0.1:0")?;
        let ws_url = format!("ws://{}/v2", sockets.local_addr()?);
        let rest_url = format!("http://{}", requests.local_addr()?);
        listen(sockets, Arc::clone(&orders), {
            let (links, orders) = (Arc::clone(&links), Arc::clone(&orders));
            move |stream| {
                let link = Arc::new(Link::default());
                links.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&link));
                let orders = Arc::clone(&orders);
                std::thread::spawn(move || link.serve(stream, &orders));
            }
        })?;
        listen(requests, Arc::clone(&orders), {
            let orders = Arc::clone(&orders);
            // A caller that goes away needs no answer.
            move |stream| drop(serve_rest(stream, &orders.pairs))
        })?;
        Ok(Self { ws_url, rest_url, orders, links })
    }

    fn links(&self) -> Vec<Arc<Link>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Begins to send as much as is taken.
    pub(super) fn flood(&self, mix: Mix) {
        self.orders.give(Order::Flood(mix));
    }

    /// Ends that, and waits until every socket has written its last round.
    ///
    /// # Errors
    /// A socket whose other side takes nothing any more.
    pub(super) async fn calm(&self) -> anyhow::Result<()> {
        let number = self.orders.give(Order::Calm);
        let deadline = Instant::now() + PATIENCE;
        let follows = |link: &Arc<Link>| {
            link.is_over.load(Ordering::Relaxed) || link.following.load(Ordering::Acquire) >= number
        };
        while !self.links().iter().all(follows) {
            anyhow::ensure!(
                Instant::now() < deadline,
                "a socket did not take its frames within {PATIENCE:?}; next: look at the service's log"
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// What was sent until now, without rounds that are being written.
    #[must_use]
    pub(super) fn sent(&self) -> Sent {
        self.links().iter().fold(Sent::default(), |sum, link| Sent {
            frames: sum.frames + link.frames.load(Ordering::Relaxed),
            trades: sum.trades + link.trades.load(Ordering::Relaxed),
            bytes: sum.bytes + link.bytes.load(Ordering::Relaxed),
        })
    }

    /// Symbol and number of the last trade of every pair.
    #[must_use]
    pub(super) fn last_trades(&self) -> Vec<(String, i64)> {
        self.links().iter().flat_map(|link| link.last_trades()).collect()
    }

    /// Sockets that ended, which none should before the bench does.
    #[must_use]
    pub(super) fn lost_sockets(&self) -> usize {
        self.links().iter().filter(|link| link.is_over.load(Ordering::Relaxed)).count()
    }
}

impl Drop for Venue {
    fn drop(&mut self) {
        self.orders.stop();
    }
}

/// Accepts on a thread of its own until everything ends.
fn listen(
    listener: TcpListener,
    orders: Arc<Orders>,
    serve: impl Fn(TcpStream) + Send + 'static,
) -> std::io::Result<()> {
    listener.set_nonblocking(true)?;
    std::thread::spawn(move || {
        while !orders.is_stopped() {
            match listener.accept() {
                Ok((stream, _)) => {
                    let ready = stream.set_nonblocking(false).and(stream.set_nodelay(true));
                    if ready.is_ok() {
                        serve(stream);
                    }
                }
                Err(_) => std::thread::sleep(LOOK_EVERY),
            }
        }
    });
    Ok(())
}

/// One request, one answer.
fn serve_rest(mut stream: TcpStream, pairs: &[Pair]) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let (mut head, mut chunk) = (Vec::new(), [0; 1_024]);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < HEAD_BYTES_MAX {
        match stream.read(&mut chunk)? {
            0 => return Ok(()),
            n => head.extend_from_slice(&chunk[..n]),
        }
    }
    let text = String::from_utf8_lossy(&head);
    let body = rest(text.lines().next().unwrap_or_default(), pairs);
    let len = body.len();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len}\r\nconnection: close\r\n\r\n{body}"
    );
    stream.write_all(answer.as_bytes())
}
