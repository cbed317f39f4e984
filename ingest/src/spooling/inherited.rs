//! Directories of other processes: of ended ones, loaded beside the own one, and of one that is stopped.
//!
//! A stopped process of this host keeps its directory. Its run is not closed by anybody else here, because
//! what it recorded can still be loaded; that begins when the process has ended.

use super::load::Loading;
use super::open::tell_opened;
use crate::lifecycle::alerts::Alerts;
use crate::lifecycle::clusters::Clusters;
use crate::spooling::load::LoadStatus;
use penstock_store::RightOfWay;
use penstock_store::spool::loader::{Loader, LoaderSettings};
use penstock_store::spool::{BusyDir, Segments};
use penstock_store_decision::publication::PublishedGeneration;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// Between two looks at a directory that another process holds.
const TAKE_OVER_EVERY: Duration = Duration::from_secs(1);

/// What the loading of another process's directory is made of.
#[derive(Clone)]
pub(super) struct InheritedLoad {
    pub(super) load: LoaderSettings,
    pub(super) clusters: Clusters,
    pub(super) stall_max: Duration,
    pub(super) alerts: Alerts,
    pub(super) published: Option<PublishedGeneration>,
    pub(super) way: RightOfWay,
    /// The cluster knows every run that was found at the start.
    pub(super) prepared: watch::Receiver<bool>,
}

impl InheritedLoad {
    /// Loads and closes its runs.
    pub(super) async fn run(mut self, segments: Arc<Segments>) {
        if self.prepared.wait_for(|is_prepared| *is_prepared).await.is_err() {
            return;
        }
        let Some(pool) = self.clusters.ingest() else { return };
        let (status, _) = watch::channel(LoadStatus::default());
        let loader = Loader::new(pool, segments, None, self.load).giving_way(&self.way);
        let of = (self.stall_max, self.published);
        let loading = Loading::new(loader, self.clusters, None, status, of, self.alerts);
        let (keep, never) = oneshot::channel();
        if let Err(error) = loading.run(never).await {
            tracing::error!("load an inherited spool: {error}");
        }
        drop(keep);
    }

    /// Waits until a stopped process has ended, then loads what it left.
    pub(super) async fn take_over(self, busy: BusyDir) {
        let busy = Arc::new(busy);
        let found = loop {
            let dir = Arc::clone(&busy);
            // A directory may hold gigabytes, all of which are read.
            match tokio::task::spawn_blocking(move || dir.try_take()).await {
                Ok(Ok(Some(found))) => break found,
                Ok(Ok(None)) => {}
                Ok(Err(error)) => tracing::error!("take over a spool: {error}"),
                Err(error) => tracing::error!("take over a spool: {error}"),
            }
            tokio::time::sleep(TAKE_OVER_EVERY).await;
        };
        tell_opened(&found, &self.alerts);
        // Its lock is held until the end of this task.
        self.run(Arc::clone(&found.segments)).await;
    }
}
