//! What stands between the service and the others in these tests: a cluster whose answer gets lost, and a
//! network that delivers late.

use penstock_store::ClusterRole;
use penstock_store::pools::connect_options;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};

/// Bytes that are passed on at a time.
const CHUNK_LEN: usize = 64 * 1_024;
/// Chunks on their way through a slow network.
const CHUNKS_MAX: usize = 100_000;

/// What becomes of the next `commit` of any connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// It takes place, and nobody hears of it.
    Answer = 1,
    /// It does not reach the server.
    Commit = 2,
}

/// A cluster's socket with connections that can break at a commit.
pub(crate) struct BreakingCluster {
    url: String,
    /// The next loss; 0 without one.
    armed: Arc<AtomicU8>,
    _dir: TempDir,
}

impl BreakingCluster {
    /// Before the cluster of a URL that names a socket's directory.
    pub(crate) fn before(url: &str, role: ClusterRole) -> Self {
        let options = connect_options(url, role).unwrap();
        let dir = TempDir::new().unwrap();
        let name = format!(".s.PGSQL.{}", options.get_port());
        let server = options.get_socket().unwrap().join(&name);
        let listener = UnixListener::bind(dir.path().join(&name)).unwrap();
        let armed = Arc::new(AtomicU8::new(0));
        let encoded = |path: &Path| path.to_str().unwrap().replace('/', "%2F");
        let url = url.replace(&encoded(options.get_socket().unwrap()), &encoded(dir.path()));
        tokio::spawn(accept(listener, server, Arc::clone(&armed)));
        Self { url, armed, _dir: dir }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The next commit is lost.
    pub(crate) fn lose_next(&self, loss: Loss) {
        self.armed.store(loss as u8, Ordering::Relaxed);
    }

    /// Whether the loss has taken place.
    pub(crate) fn has_lost(&self) -> bool {
        self.armed.load(Ordering::Relaxed) == 0
    }
}

async fn accept(listener: UnixListener, server: PathBuf, armed: Arc<AtomicU8>) {
    while let Ok((client, _)) = listener.accept().await {
        if let Ok(server) = UnixStream::connect(&server).await {
            tokio::spawn(pass(client, server, Arc::clone(&armed)));
        }
    }
}

/// Passes both directions on until one ends, or a commit is to be lost.
async fn pass(mut client: UnixStream, mut server: UnixStream, armed: Arc<AtomicU8>) {
    let (mut asked, mut answered) = (vec![0; CHUNK_LEN], vec![0; CHUNK_LEN]);
    let mut is_answer_lost = false;
    loop {
        tokio::select! {
            // Either may be first; nothing depends on it.
            biased;
            read = client.read(&mut asked) => {
                let Ok(len @ 1..) = read else { return };
                if asked[..len].windows(7).any(|text| text == b"commit\0") {
                    match armed.swap(0, Ordering::Relaxed) {
                        0 => {}
                        loss if loss == Loss::Commit as u8 => return,
                        _ => is_answer_lost = true,
                    }
                }
                if server.write_all(&asked[..len]).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut answered) => {
                let Ok(len @ 1..) = read else { return };
                if is_answer_lost || client.write_all(&answered[..len]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// A network before a venue's socket that delivers what the venue says later, in order.
pub(crate) struct SlowNetwork {
    /// Where it listens.
    pub(crate) url: String,
    delay: watch::Sender<Duration>,
}

impl SlowNetwork {
    /// Before a socket's URL.
    pub(crate) async fn before(url: &str) -> Self {
        let parsed = url::Url::parse(url).unwrap();
        let port = parsed.port().unwrap();
        let venue = format!("{}:{port}", parsed.host_str().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let (delay, delays) = watch::channel(Duration::ZERO);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if let Ok(venue) = TcpStream::connect(&venue).await {
                    let (from_client, to_client) = client.into_split();
                    let (from_venue, to_venue) = venue.into_split();
                    let (_, at_once) = watch::channel(Duration::ZERO);
                    tokio::spawn(carry(from_client, to_venue, at_once));
                    tokio::spawn(carry(from_venue, to_client, delays.clone()));
                }
            }
        });
        Self { url: url.replace(&port.to_string(), &own.to_string()), delay }
    }

    /// From now on everything is under way for so long.
    pub(crate) fn delay_by(&self, delay: Duration) {
        self.delay.send_replace(delay);
    }
}

/// Carries one direction; its end goes through like everything else.
async fn carry(
    mut from: impl AsyncRead + Unpin + Send + 'static,
    mut to: impl AsyncWrite + Unpin + Send + 'static,
    mut delay: watch::Receiver<Duration>,
) {
    let (put, mut take) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS_MAX);
    tokio::spawn(async move {
        let mut chunk = vec![0; CHUNK_LEN];
        while let Ok(len @ 1..) = from.read(&mut chunk).await {
            if put.send((Instant::now(), chunk[..len].to_vec())).await.is_err() {
                return;
            }
        }
    });
    while let Some((at, chunk)) = take.recv().await {
        loop {
            let due = at + *delay.borrow_and_update();
            // Until it is due, or the delay changes; without its network nothing waits.
            match timeout_at(due, delay.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => break,
            }
        }
        if to.write_all(&chunk).await.is_err() {
            return;
        }
    }
}
