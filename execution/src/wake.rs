//! Notifications of the decision cluster as wake-ups: hints only, every reader polls besides.
//!
//! Purpose: one listening connection for all readers. Inputs: NOTIFY on three channels. Outputs: wake-ups.
//! Invariants: a lost notification costs at most one poll interval; the payload is never read.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Pause before the listening connection is opened again.
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);

/// Wake-ups of the readers.
#[derive(Debug, Default)]
pub struct Wakes {
    /// A frame was published, for the quotes.
    pub frames: Notify,
    /// A frame was published, for the engine.
    pub engine: Notify,
    /// A generation was published.
    pub state: Notify,
    /// An epoch was published.
    pub epochs: Notify,
}

/// Listens until stopped.
pub async fn run_listener(pool: PgPool, wakes: Arc<Wakes>, stop: CancellationToken) {
    loop {
        // The end first, so that a stopping process does not open another connection.
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            result = listen(&pool, &wakes) => if let Err(error) = result {
                tracing::warn!("notifications interrupted, polling goes on: {error}");
            },
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(RECONNECT_PAUSE) => {}
        }
    }
}

async fn listen(pool: &PgPool, wakes: &Wakes) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen_all(["engine_tick", "state_published", "epoch_published"]).await?;
    loop {
        let notification = listener.recv().await?;
        match notification.channel() {
            "engine_tick" => {
                wakes.frames.notify_one();
                wakes.engine.notify_one();
            }
            "state_published" => wakes.state.notify_one(),
            _ => wakes.epochs.notify_one(),
        }
    }
}
