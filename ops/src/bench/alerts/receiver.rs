//! Purpose: a receiver of alerts for the bench. Inputs: how it behaves. Outputs: a port, how many requests it took.
//! Invariants: a thread and a runtime of its own, so that what it does costs the measured runtime nothing but its
//! sockets; it ends with its handle.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// How long a slow receiver takes to answer.
const SLOW: Duration = Duration::from_secs(30);
/// Most bytes of a request that are read.
const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// How a receiver behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// Answers at once.
    Well,
    /// Nothing listens.
    Down,
    /// Answers after half a minute.
    Slow,
}

/// A receiver; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Receiver {
    port: u16,
    taken: Arc<AtomicU64>,
    stop: CancellationToken,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Receiver {
    pub(super) fn start(behaviour: Behaviour) -> anyhow::Result<Self> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let (taken, stop) = (Arc::<AtomicU64>::default(), CancellationToken::new());
        let receiver = Self { port, taken: Arc::clone(&taken), stop: stop.clone() };
        if behaviour == Behaviour::Down {
            // The port was free a moment ago and is again.
            drop(listener);
            return Ok(receiver);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("alert-receiver".to_owned()).spawn(move || {
            runtime.block_on(stop.run_until_cancelled(serve(listener, behaviour, taken)));
        })?;
        Ok(receiver)
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }
}

async fn serve(listener: std::net::TcpListener, behaviour: Behaviour, taken: Arc<AtomicU64>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    while let Ok((stream, _)) = listener.accept().await {
        let taken = Arc::clone(&taken);
        tokio::spawn(async move {
            // A caller that gives up has not been answered.
            if answer(stream, behaviour).await.is_ok() {
                taken.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
}

async fn answer(mut stream: TcpStream, behaviour: Behaviour) -> std::io::Result<()> {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4_096]);
    while !is_whole(&bytes) {
        let n = stream.read(&mut chunk).await?;
        if n == 0 || bytes.len() > REQUEST_BYTES_MAX {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&chunk[..n]);
    }
    if behaviour == Behaviour::Slow {
        tokio::time::sleep(SLOW).await;
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await
}

fn is_whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| {
        line.to_ascii_lowercase().strip_prefix("content-length:").map(|n| n.trim().to_owned())
    });
    body.len() >= length.and_then(|n| n.parse().ok()).unwrap_or(0)
}
