//! Publications go first: whoever writes in bulk stops while one is under way.
//!
//! Input: publications that begin and end, and how long a bulk writer may be made to wait. Output: pauses.
//! Invariants: a publication waits for nobody here; a bulk writer waits no longer than its patience, however
//! long a publication takes, so that a cluster that hangs never stops what is recorded. It orders nothing
//! and locks nothing: without it everything is as correct, only slower where it matters.

use std::time::{Duration, Instant};

use tokio::sync::watch;

/// Tells bulk writers of a process that a publication is under way.
#[derive(Debug, Clone)]
pub struct RightOfWay {
    under_way: watch::Sender<u32>,
}

impl Default for RightOfWay {
    fn default() -> Self {
        Self { under_way: watch::Sender::new(0) }
    }
}

impl RightOfWay {
    /// Begins a publication, which lasts until the result is dropped.
    pub fn take(&self) -> Passing {
        self.under_way.send_modify(|n| *n = n.saturating_add(1));
        Passing { under_way: self.under_way.clone() }
    }

    /// For one piece of bulk work.
    #[must_use]
    pub fn patience(&self, limit: Duration) -> Patience {
        Patience { under_way: Some(self.under_way.subscribe()), left: limit }
    }
}

/// A publication that is under way.
#[derive(Debug)]
#[must_use = "the publication is over when this is dropped"]
pub struct Passing {
    under_way: watch::Sender<u32>,
}

impl Drop for Passing {
    fn drop(&mut self) {
        self.under_way.send_modify(|n| *n = n.saturating_sub(1));
    }
}

/// How long a piece of bulk work still waits for publications.
#[derive(Debug)]
pub struct Patience {
    under_way: Option<watch::Receiver<u32>>,
    left: Duration,
}

impl Patience {
    /// Work that waits for nobody.
    #[must_use]
    pub const fn none() -> Self {
        Self { under_way: None, left: Duration::ZERO }
    }

    /// Waits until no publication is under way, or the patience is over.
    pub async fn give_way(&mut self) {
        let Some(under_way) = &mut self.under_way else { return };
        if *under_way.borrow() == 0 || self.left.is_zero() {
            return;
        }
        let since = Instant::now();
        // Over in either case: nobody publishes any more, or the time is up.
        let _over = tokio::time::timeout(self.left, under_way.wait_for(|n| *n == 0)).await.is_ok();
        self.left = self.left.saturating_sub(since.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);

    /// Whether a wait is over at once.
    async fn is_over(wait: impl Future<Output = ()>) -> bool {
        tokio::select! {
            // Biased: the wait is looked at first.
            biased;
            () = wait => true,
            () = std::future::ready(()) => false,
        }
    }

    #[tokio::test]
    async fn bulk_work_waits_until_the_last_publication_is_over() {
        let way = RightOfWay::default();
        let (first, second) = (way.take(), way.take());
        let mut patience = way.patience(LONG);
        assert!(!is_over(patience.give_way()).await, "two are under way");
        drop(first);
        assert!(!is_over(patience.give_way()).await, "one is under way");
        drop(second);
        assert!(is_over(patience.give_way()).await);
    }

    #[tokio::test]
    async fn patience_that_is_over_waits_no_more() {
        let way = RightOfWay::default();
        let _passing = way.take();
        let mut patience = way.patience(Duration::from_millis(5));
        patience.give_way().await;
        assert_eq!(patience.left, Duration::ZERO, "the limit is that of all waits together");
        assert!(is_over(patience.give_way()).await);
    }

    #[tokio::test]
    async fn nobody_waits_without_a_publication() {
        let way = RightOfWay::default();
        drop(way.take());
        let mut patience = way.patience(LONG);
        patience.give_way().await;
        assert_eq!(patience.left, LONG);
        Patience::none().give_way().await;
    }
}
