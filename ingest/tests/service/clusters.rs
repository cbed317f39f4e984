//! Two clusters of a test's own, migrated, that it may stop, start and kill.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use penstock_clusters::{ClusterKind, ClusterSpec, DataRoot, Durability, Host, ManagedCluster};
use penstock_store::ClusterRole;
use penstock_store::pools::{PoolSettings, connect_single};
use penstock_store::testing::SUPERUSER_LOGIN;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

struct OwnCluster {
    spec: ClusterSpec,
    running: Option<ManagedCluster>,
}

pub(crate) struct OwnPair {
    ingest: OwnCluster,
    decision: OwnCluster,
    /// Last, so that the servers are gone before their directory.
    _root: TempDir,
}

impl OwnPair {
    pub(crate) async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        // The server's user must be able to pass.
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let root = DataRoot::at(directory.path());
        let ingest = OwnCluster::new(&root, ClusterRole::Ingest).await;
        let decision = OwnCluster::new(&root, ClusterRole::Decision).await;
        Self { ingest, decision, _root: directory }
    }

    pub(crate) fn url(&self, role: ClusterRole, login: &str) -> String {
        match role {
            ClusterRole::Ingest => self.ingest.spec.url(login),
            ClusterRole::Decision => self.decision.spec.url(login),
        }
    }

    const fn of(&mut self, role: ClusterRole) -> &mut OwnCluster {
        match role {
            ClusterRole::Ingest => &mut self.ingest,
            ClusterRole::Decision => &mut self.decision,
        }
    }

    /// Ends a server and leaves it down.
    pub(crate) async fn stop(&mut self, role: ClusterRole) {
        self.of(role).running.take().unwrap().stop().await.unwrap();
    }

    /// Kills a server's first process and leaves the cluster down.
    pub(crate) async fn kill(&mut self, role: ClusterRole) {
        let running = self.of(role).running.take().unwrap();
        let pid = running.status().borrow().pid.expect("a running server has a process");
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        running.stop().await.unwrap();
    }

    /// Starts a server that is down.
    pub(crate) async fn start(&mut self, role: ClusterRole) {
        let cluster = self.of(role);
        assert!(cluster.running.is_none(), "it runs");
        cluster.running = Some(ManagedCluster::start(cluster.spec.clone()).await.unwrap());
    }
}

impl OwnCluster {
    async fn new(root: &DataRoot, role: ClusterRole) -> Self {
        let kind = match role {
            ClusterRole::Ingest => ClusterKind::Ingest,
            ClusterRole::Decision => ClusterKind::Decision,
        };
        let host = Host::from_env();
        let spec = ClusterSpec::in_root(&host, root, kind, false, Durability::Scratch).unwrap();
        let running = ManagedCluster::start(spec.clone()).await.unwrap();
        let settings = PoolSettings::service("penstock-test", 1);
        let url = spec.url(SUPERUSER_LOGIN);
        let mut conn = connect_single(&url, role, &settings).await.unwrap();
        penstock_store::migrate::migrate(&mut conn, role).await.unwrap();
        Self { spec, running: Some(running) }
    }
}

impl Drop for OwnPair {
    fn drop(&mut self) {
        // A drop cannot await, and the test's runtime may be on this very thread.
        let running: Vec<ManagedCluster> = [&mut self.ingest, &mut self.decision]
            .iter_mut()
            .filter_map(|c| c.running.take())
            .collect();
        let stopping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Ok(runtime) = runtime {
                runtime.block_on(async {
                    for cluster in running {
                        // A server that does not stop is named by the next test run.
                        let _ = cluster.stop().await;
                    }
                });
            }
        });
        // As above.
        let _ = stopping.join();
    }
}
