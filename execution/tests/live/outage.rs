//! The decision cluster fails under an open position: its postmaster is killed and its supervisor brings it
//! back, or all its processes stand still for a while. Execution goes on without a human.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use penstock_clusters::{
    ClusterKind, ClusterSpec, ClusterState, DataRoot, Durability, Host, ManagedCluster, SUPERUSER,
};
use penstock_store::ClusterRole;
use penstock_store::migrate::migrate;
use penstock_store::pools::{PoolSettings, connect_single};

use super::world::{Access, LIMIT, World};

const POSITION: &str = "select status from positions order by position_id desc limit 1";
const EXECUTED: &str = "select count(*)::text from positions where status = 'closed'";

/// A durable cluster of its own: this test kills it, and a scratch cluster may lose its last commits.
async fn cluster(directory: &std::path::Path) -> ManagedCluster {
    let root = DataRoot::at(directory);
    let kind = ClusterKind::Decision;
    let spec =
        ClusterSpec::in_root(&Host::from_env(), &root, kind, false, Durability::Durable).unwrap();
    let cluster = ManagedCluster::start(spec).await.unwrap();
    let settings = PoolSettings::service("penstock-test", 1);
    let url = cluster.spec().url(SUPERUSER);
    let mut own = connect_single(&url, ClusterRole::Decision, &settings).await.unwrap();
    migrate(&mut own, ClusterRole::Decision).await.unwrap();
    sqlx::Connection::close(own).await.unwrap();
    cluster
}

/// A server whose processes stand still until this is dropped.
struct Stopped(i32);

impl Stopped {
    fn stop(postmaster: i32) -> Self {
        signal_all(postmaster, Signal::SIGSTOP);
        Self(postmaster)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        signal_all(self.0, Signal::SIGCONT);
    }
}

/// A signal to the server and to every process that it started.
fn signal_all(postmaster: i32, signal: Signal) {
    let parent = |pid: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in brackets may hold anything; after it come the state and the parent.
        stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse::<i32>().ok()
    };
    let names = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let pids: Vec<i32> =
        names.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    // The postmaster first: it starts no session meanwhile.
    let _ = kill(Pid::from_raw(postmaster), signal);
    for pid in pids.into_iter().filter(|pid| parent(*pid) == Some(postmaster)) {
        // A session may have ended meanwhile.
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_server_that_stands_still_under_a_position_is_an_outage_and_doubles_nothing() {
    // given a protected position
    let open = std::fs::Permissions::from_mode(0o755);
    let directory = tempfile::Builder::new().permissions(open).tempdir_in("/tmp").unwrap();
    let cluster = cluster(directory.path()).await;
    let world = World::at(Access::new(|login| cluster.spec().url(login)), None, |_| ()).await;
    let mut life = world.execution("first", None);
    life.until_marker("EXECUTION_ATTACHED").await;
    world.heat(true);
    world.until_protected(&life).await;
    world.heat(false);

    // when every process of the server is stopped, then that is noticed without its help
    let postmaster = cluster.status().borrow().pid.unwrap();
    let stopped = Stopped::stop(postmaster);
    life.until_marker("DECISION_DB_UNAVAILABLE").await;
    assert!(life.runs(), "{}", life.last_words());

    // and when they go on, so does execution: one entry, one stop, and closed on request
    drop(stopped);
    life.until_marker("DECISION_DB_RECOVERED").await;
    world.until_protected(&life).await;
    world.agrees("after the outage").await;
    let orders = world.venue.venue.with(|e, _| e.account().orders().count());
    assert_eq!(orders, 2, "the entry and its stop, nothing was sent again");
    world.ask("flatten").await;
    world.until_word(&life, POSITION, &["closed"]).await;
    world.agrees("closed").await;
    assert!(life.runs());
    life.kill().await;
    drop(world);
    tokio::time::timeout(Duration::from_secs(60), cluster.stop()).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_decision_postmaster_killed_under_a_position_comes_back_and_nothing_is_lost() {
    // given a protected position
    let open = std::fs::Permissions::from_mode(0o755);
    let directory = tempfile::Builder::new().permissions(open).tempdir_in("/tmp").unwrap();
    let cluster = cluster(directory.path()).await;
    let world = World::at(Access::new(|login| cluster.spec().url(login)), None, |_| ()).await;
    let mut life = world.execution("first", None);
    life.until_marker("EXECUTION_ATTACHED").await;
    world.heat(true);
    world.until_protected(&life).await;
    world.heat(false);

    // when the server dies
    let postmaster = cluster.status().borrow().pid.unwrap();
    kill(Pid::from_raw(postmaster), Signal::SIGKILL).unwrap();
    let mut status = cluster.status();
    let back = status.wait_for(|now| now.state == ClusterState::Ready && now.restarts >= 1);
    let back = tokio::time::timeout(LIMIT, back).await;
    assert!(back.is_ok_and(|seen| seen.is_ok()), "{:?}", cluster.status().borrow());

    // then the stop never left the venue, execution writes again, and the position is closed on request
    world.until_protected(&life).await;
    assert!(life.runs(), "{}", life.last_words());
    world.agrees("after the outage").await;
    let orders = world.venue.venue.with(|e, _| e.account().orders().count());
    assert_eq!(orders, 2, "the entry and its stop, nothing was sent again");
    world.ask("flatten").await;
    world.until_word(&life, POSITION, &["closed"]).await;
    world.agrees("closed").await;

    // and entries go out again by themselves
    world.configure("");
    world.heat(true);
    world.until_word(&life, POSITION, &["open"]).await;
    world.until_word(&life, EXECUTED, &["1"]).await;
    assert!(life.runs());
    life.kill().await;
    drop(world);
    // The pools of the world go with it; what they leave is closed by the server's own stop.
    tokio::time::timeout(Duration::from_secs(60), cluster.stop()).await.unwrap().unwrap();
}
