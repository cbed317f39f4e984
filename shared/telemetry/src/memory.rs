//! Memory of peaks that are over goes back to the system.
//!
//! Input: the end of the service. Output: a process as large as what it holds, not as what it once held.
//! It takes nothing away that is in use, and says nothing: the resident memory of the next look shows it.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// Between two times: a peak of a minute costs nobody anything, and what is wanted again within it (half a megabyte in
/// `run-ingest`, three and a half in `run-execution-live`, seen with 200 symbols) is under a thousand pages.
pub const GIVE_BACK_EVERY: Duration = Duration::from_secs(60);

/// Gives back until the service ends.
pub async fn give_back_peaks(end: impl Future<Output = ()>) {
    let mut times = interval_at(Instant::now() + GIVE_BACK_EVERY, GIVE_BACK_EVERY);
    times.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tokio::pin!(end);
    loop {
        tokio::select! {
            // Biased: the end first.
            biased;
            () = &mut end => return,
            _ = times.tick() => {}
        }
        // It takes the locks of the allocator one after the other, so not on a thread that drives tasks.
        if let Err(error) = tokio::task::spawn_blocking(penstock_heap::give_back).await {
            tracing::warn!("memory is not given back any more: {error}");
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_ends_with_the_service() {
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let task = tokio::spawn(give_back_peaks(async move {
            let _ = ended.await;
        }));
        drop(end);
        task.await.unwrap();
    }
}
