//! Sends a recording to the subscribers.
//!
//! Inputs: a recording, the public side. Outputs: the frames at their pace, once, in file order;
//! the same levels and trades on the exchange, so that orders meet the recorded market; progress.
//! Invariants: nothing is sent before book and trade of every recorded symbol are subscribed;
//! nothing is sent twice or left out. It answers no requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{Body, RecordedFrame, Recording};
use crate::exchange::{LevelChange, Qty};
use crate::public::{Mirror, PublicSide};

/// How far a replay has come.
#[derive(Debug)]
pub struct Progress {
    frames: u64,
    sent: AtomicU64,
    started_us: AtomicI64,
    ended_us: AtomicI64,
}

impl Progress {
    /// Nothing sent yet of so many frames.
    pub fn new(recording: &Recording) -> Arc<Self> {
        Arc::new(Self {
            frames: recording.frames.len() as u64,
            sent: AtomicU64::new(0),
            started_us: AtomicI64::new(0),
            ended_us: AtomicI64::new(0),
        })
    }

    /// True when the last frame has been sent.
    pub fn ended(&self) -> bool {
        self.ended_us.load(Ordering::Acquire) != 0
    }

    /// `{"frames","sent","started_us","ended_us"}`, times in microseconds since the Unix epoch or
    /// null.
    pub fn json(&self) -> serde_json::Value {
        let time = |cell: &AtomicI64| Some(cell.load(Ordering::Acquire)).filter(|&us| us != 0);
        serde_json::json!({
            "frames": self.frames,
            "sent": self.sent.load(Ordering::Acquire),
            "started_us": time(&self.started_us),
            "ended_us": time(&self.ended_us),
        })
    }
}

/// Waits for the subscriptions and sends the recording, `speed` times as fast as it was.
pub async fn replay(
    side: Arc<PublicSide>,
    recording: Recording,
    speed: f64,
    progress: Arc<Progress>,
    stop: CancellationToken,
) {
    let mut complete = side.complete();
    tokio::select! {
        // Stopping first: the subscriptions may never come.
        biased;
        () = stop.cancelled() => return,
        seen = complete.wait_for(|complete| *complete) => {
            if seen.is_err() {
                return;
            }
        }
    }
    let mut books: Vec<Mirror> = vec![Mirror::default(); recording.catalog.listings().len()];
    let start = Instant::now();
    progress.started_us.store(side.venue.now_us(), Ordering::Release);
    tracing::info!(frames = recording.frames.len(), depth = recording.depth, "replay started");
    for frame in &recording.frames {
        let due_s = frame.due_us as f64 / 1e6 / speed;
        let due = start + Duration::from_secs_f64(due_s.clamp(0.0, 1e9));
        if due > Instant::now() {
            tokio::select! {
                // Stopping first: the rest of the recording is not needed any more.
                biased;
                () = stop.cancelled() => return,
                () = sleep_until(due) => {}
            }
        }
        send(&side, frame, &mut books[frame.symbol.0], recording.depth);
        progress.sent.fetch_add(1, Ordering::AcqRel);
    }
    progress.ended_us.store(side.venue.now_us(), Ordering::Release);
    tracing::info!("replay ended");
}

fn send(side: &PublicSide, frame: &RecordedFrame, book: &mut Mirror, depth: usize) {
    match &frame.body {
        Body::Book { levels, snapshot } => {
            if *snapshot {
                book.clear();
            }
            for level in levels {
                book.set(level);
            }
            let mut changes = levels.clone();
            let fallen = book.truncate(depth).into_iter();
            changes.extend(fallen.map(|(side, price)| LevelChange { side, price, qty: Qty::ZERO }));
            side.venue.with(|exchange, now_us| {
                exchange.set_levels(frame.symbol, &changes, *snapshot, frame.stamp_us, now_us);
            });
        }
        Body::Trades(prints) => side.venue.with(|exchange, now_us| {
            for print in prints {
                exchange.record_trade(frame.symbol, print.price, print.trade_id, now_us);
            }
        }),
    }
    side.hub().recorded(frame, &side.venue);
}
