//! kill -9 of the decision cluster's postmaster under an open position: the cluster's supervisor brings it
//! back, and execution goes on without a human.

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
