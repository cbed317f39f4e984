//! The panel on a thread of its own, with less claim to the processor than what it shows.
//!
//! Input: settings, the process's figures, a way to open the pool. Output: a handle that ends it. Invariants: whatever
//! readers do costs the trading loops no turn of their runtime; an address that is taken is tried again until it is
//! free, and whether it is bound can be seen.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::builder::{Board, Builder};
use crate::live::Look;
use crate::orders::Orders;
use crate::server::{self, Site};
use crate::settings::{Identity, Settings};

/// Pause before an address that was taken is tried again.
const BIND_AGAIN: Duration = Duration::from_secs(5);

/// Opens the pool on the panel's own runtime.
pub type OpenPool = Box<dyn FnOnce() -> Result<PgPool, penstock_store::StoreError> + Send>;

/// Whether the panel has its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Not yet.
    Opening,
    /// It listens.
    Listens,
    /// Another process holds it, or it is none of this machine; it is tried again.
    Taken,
}

/// The same, to be looked at from outside.
#[derive(Debug, Clone, Default)]
pub struct Listening(Arc<AtomicU8>);

impl Listening {
    /// Now.
    #[must_use]
    pub fn place(&self) -> Place {
        match self.0.load(Ordering::Acquire) {
            0 => Place::Opening,
            1 => Place::Listens,
            _ => Place::Taken,
        }
    }

    fn is(&self, place: Place) {
        let code = match place {
            Place::Opening => 0,
            Place::Listens => 1,
            Place::Taken => 2,
        };
        self.0.store(code, Ordering::Release);
    }
}

/// A running panel.
#[derive(Debug)]
pub struct Panel {
    end: CancellationToken,
    listening: Listening,
    stale: watch::Receiver<bool>,
    thread: JoinHandle<()>,
}

/// Starts the panel.
///
/// # Errors
/// When there is no thread or no runtime to be had.
pub fn start(
    settings: Settings,
    identity: Identity,
    look: Arc<dyn Look>,
    open_pool: OpenPool,
) -> std::io::Result<Panel> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (end, board) = (CancellationToken::new(), Board::default());
    let (stale, listening) = (board.stale(), Listening::default());
    let task = run(settings, identity, look, open_pool, board, (listening.clone(), end.clone()));
    let thread = std::thread::Builder::new().name("panel".to_owned()).spawn(move || {
        be_nice();
        runtime.block_on(task);
    })?;
    Ok(Panel { end, listening, stale, thread })
}

impl Panel {
    /// Whether it has its address.
    #[must_use]
    pub fn listening(&self) -> Listening {
        self.listening.clone()
    }

    /// Whether the database's half of what it shows is old.
    #[must_use]
    pub fn stale(&self) -> watch::Receiver<bool> {
        self.stale.clone()
    }

    /// Ends it and gives back its thread.
    #[must_use]
    pub fn stop(self) -> JoinHandle<()> {
        self.end.cancel();
        self.thread
    }
}

/// Takes the processor only when what trades does not want it.
fn be_nice() {
    // 0 is this thread, on a system where threads have priorities of their own.
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!("the panel keeps the priority of the process: {error}");
    }
}

/// Steps below an ordinary thread.
const NICE: i32 = 10;

async fn run(
    settings: Settings,
    identity: Identity,
    look: Arc<dyn Look>,
    open_pool: OpenPool,
    board: Board,
    (listening, end): (Listening, CancellationToken),
) {
    let pool = match open_pool() {
        Ok(pool) => pool,
        Err(error) => return tracing::error!("no panel: {error}"),
    };
    let lengths = settings.lengths;
    let builder = Builder {
        look,
        pool: pool.clone(),
        identity: Arc::new(identity),
        lengths,
        board: board.clone(),
    };
    let site = Arc::new(Site::new(board, Orders::new(pool.clone()), settings.streams_max));
    let build = builder.run(settings.every, end.clone());
    let listen = async {
        let Some(listener) = listener(&settings, &listening, &end).await else { return };
        listening.is(Place::Listens);
        server::serve(listener, site, settings.connections_max, end.clone()).await;
    };
    tokio::join!(build, listen);
    pool.close().await;
}

/// The listener, as soon as its address is free; none when the end comes before.
async fn listener(
    settings: &Settings,
    listening: &Listening,
    end: &CancellationToken,
) -> Option<tokio::net::TcpListener> {
    loop {
        match server::bind(settings.address) {
            Ok(listener) => return Some(listener),
            Err(error) if listening.place() != Place::Taken => {
                listening.is(Place::Taken);
                tracing::error!(
                    "the panel cannot listen on {}: {error}; next: free the port, or set webui_port",
                    settings.address
                );
            }
            Err(_) => {}
        }
        // The end first: nobody waits for a port then.
        tokio::select! {
            biased;
            () = end.cancelled() => return None,
            () = tokio::time::sleep(BIND_AGAIN) => {}
        }
    }
}
