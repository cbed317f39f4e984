//! Where the rows of a test's world live: on the shared pair, or on a cluster of its own that the test
//! may kill.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use penstock_clusters::{ClusterKind, ClusterSpec, DataRoot, Durability, Host, ManagedCluster};
use penstock_store::ClusterRole;
use penstock_store::migrate::migrate;
use penstock_store::pools::{PoolSettings, connect_single, open};
use penstock_store::testing::{SUPERUSER_LOGIN, TestPair};
use sqlx::PgPool;

/// A home.
pub(super) enum Home {
    /// A database of the shared pair.
    Shared(TestPair),
    /// A cluster of its own.
    Own(OwnCluster),
}

impl Home {
    pub(super) fn url(&self, login: &str) -> String {
        match self {
            Self::Shared(pair) => pair.url(ClusterRole::Decision, login),
            Self::Own(own) => own.spec.url(login),
        }
    }

    pub(super) async fn pool(&self, login: &str) -> PgPool {
        let settings = PoolSettings::service("penstock-test", 4);
        let wait = Duration::from_secs(30);
        open(&self.url(login), ClusterRole::Decision, &settings, wait).await.unwrap()
    }
}

/// A decision cluster that can be killed and started again. It writes as safely as a real one.
pub(super) struct OwnCluster {
    spec: ClusterSpec,
    running: Option<ManagedCluster>,
    _directory: tempfile::TempDir,
}

impl OwnCluster {
    pub(super) async fn new() -> Self {
        let directory = tempfile::Builder::new()
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir_in("/tmp")
            .unwrap();
        let spec = spec(directory.path());
        let running = ManagedCluster::start(spec.clone()).await.unwrap();
        let settings = PoolSettings::service("penstock-test", 1);
        let url = spec.url(SUPERUSER_LOGIN);
        let mut conn = connect_single(&url, ClusterRole::Decision, &settings).await.unwrap();
        migrate(&mut conn, ClusterRole::Decision).await.unwrap();
        sqlx::Connection::close(conn).await.unwrap();
        Self { spec, running: Some(running), _directory: directory }
    }

    /// The postmaster dies by SIGKILL and stays away.
    pub(super) async fn kill(&mut self) {
        let running = self.running.take().unwrap();
        let pid = running.status().borrow().pid.unwrap();
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        // Its supervisor would start it again at once; the one that it may have started ends with it.
        running.stop().await.unwrap();
    }

    /// The server and all its sessions stand still; their connections stay open and answer nothing.
    pub(super) fn hang(&self) {
        // The postmaster first: it starts no session meanwhile.
        self.signal_all(Signal::SIGSTOP);
    }

    /// They go on where they stood.
    pub(super) fn go_on(&self) {
        self.signal_all(Signal::SIGCONT);
    }

    fn signal_all(&self, signal: Signal) {
        let running = self.running.as_ref().unwrap();
        let Some(postmaster) = running.status().borrow().pid else { return };
        for pid in [vec![postmaster], children(postmaster)].concat() {
            // A session may have ended meanwhile.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    /// It is there again.
    pub(super) async fn revive(&mut self) {
        self.running = Some(ManagedCluster::start(self.spec.clone()).await.unwrap());
    }

    pub(super) async fn end(mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await.unwrap();
        }
    }
}

/// A test that fails leaves no server that can never end.
impl Drop for OwnCluster {
    fn drop(&mut self) {
        if self.running.is_some() {
            self.go_on();
        }
    }
}

/// Processes that a process started, by the kernel's own list.
fn children(parent: i32) -> Vec<i32> {
    let of = |pid: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in brackets may hold anything; after it come the state and the parent.
        let (_, rest) = stat.rsplit_once(") ")?;
        rest.split(' ').nth(1)?.parse::<i32>().ok()
    };
    let names = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok());
    let pids = names.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| of(*pid) == Some(parent)).collect()
}

fn spec(directory: &Path) -> ClusterSpec {
    let root = DataRoot::at(directory);
    let (host, kind) = (Host::from_env(), ClusterKind::Decision);
    ClusterSpec::in_root(&host, &root, kind, false, Durability::Durable).unwrap()
}
