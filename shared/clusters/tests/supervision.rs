//! The supervisor against a real server: made, killed, adopted, stopped.

use std::time::Duration;

use penstock_clusters::{
    ClusterKind, ClusterSpec, ClusterState, DataRoot, Durability, Host, ManagedCluster,
    stop_left_behind,
};
use sqlx::Connection;

const LIMIT: Duration = Duration::from_secs(30);

/// A directory that the server's user can reach, removed at the end.
fn open_directory() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    tempfile::Builder::new()
        .permissions(std::fs::Permissions::from_mode(0o755))
        .tempdir_in("/tmp")
        .expect("temp dir")
}

/// With all safeties on: a scratch cluster may lose its last commits when it is killed.
fn spec(directory: &std::path::Path, kind: ClusterKind) -> ClusterSpec {
    let root = DataRoot::at(directory);
    ClusterSpec::in_root(&Host::from_env(), &root, kind, false, Durability::Durable)
        .expect("a PostgreSQL server is installed")
}

async fn answer(url: &str) -> Result<i64, sqlx::Error> {
    let mut connection = sqlx::PgConnection::connect(url).await?;
    let value = sqlx::query_scalar("select 41::bigint + 1").fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(value)
}

async fn wait_for(cluster: &ManagedCluster, what: &str, is: impl Fn(ClusterState, u32) -> bool) {
    let mut status = cluster.status();
    let waited =
        tokio::time::timeout(LIMIT, status.wait_for(|now| is(now.state, now.restarts))).await;
    assert!(waited.is_ok_and(|now| now.is_ok()), "{what}: {:?}", cluster.status().borrow());
}

fn pid(cluster: &ManagedCluster) -> i32 {
    cluster.status().borrow().pid.expect("it runs")
}

fn kill_nine(pid: i32) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL)
        .expect("killed");
}

#[tokio::test]
async fn a_killed_server_comes_back_by_itself_and_stops_when_told() {
    let directory = open_directory();
    let cluster = ManagedCluster::start(spec(directory.path(), ClusterKind::Decision))
        .await
        .expect("started");
    let url = cluster.spec().url("exec_rw");
    assert_eq!(answer(&url).await.expect("answers"), 42);
    let first = pid(&cluster);

    kill_nine(first);

    wait_for(&cluster, "back after kill -9", |state, restarts| {
        state == ClusterState::Ready && restarts >= 1
    })
    .await;
    assert_ne!(pid(&cluster), first);
    assert_eq!(answer(&url).await.expect("answers again"), 42);
    let data = cluster.spec().data.clone();
    cluster.stop().await.expect("stopped");
    assert!(!data.join("postmaster.pid").exists(), "the server has left");
    assert!(answer(&url).await.is_err());
}

#[tokio::test]
async fn a_server_left_behind_is_adopted_restarted_and_stopped() {
    let directory = open_directory();
    let spec = spec(directory.path(), ClusterKind::Ingest);
    let first = ManagedCluster::start(spec.clone()).await.expect("started");
    let server = pid(&first);
    // The supervisor goes, its server stays.
    drop(first);

    let second = ManagedCluster::start(spec.clone()).await.expect("adopted");
    assert_eq!(second.status().borrow().state, ClusterState::Adopted);
    assert_eq!(pid(&second), server);
    assert_eq!(answer(&spec.url("ingest_rw")).await.expect("answers"), 42);
    kill_nine(server);
    wait_for(&second, "restarted after adoption", |state, restarts| {
        state == ClusterState::Ready && restarts >= 1
    })
    .await;
    drop(second);

    let third = ManagedCluster::start(spec.clone()).await.expect("adopted again");
    assert_eq!(third.status().borrow().state, ClusterState::Adopted);
    third.stop().await.expect("stopped");
    assert!(answer(&spec.url("ingest_rw")).await.is_err());
    assert!(!stop_left_behind(&spec).await.expect("looked"), "nothing is left");
}

#[tokio::test]
async fn a_broken_server_says_why_and_is_not_tried_for_ever() {
    let directory = open_directory();
    let spec = spec(directory.path(), ClusterKind::Decision);
    ManagedCluster::start(spec.clone()).await.expect("started").stop().await.expect("stopped");
    std::fs::write(spec.data.join("postgresql.auto.conf"), "no_such_setting = 1\n")
        .expect("written");

    let error = ManagedCluster::start(spec).await.expect_err("refused").to_string();

    assert!(error.contains("no_such_setting"), "{error}");
}

#[tokio::test]
async fn an_interrupted_initdb_leaves_nothing_that_looks_like_a_cluster() {
    let directory = open_directory();
    let spec = spec(directory.path(), ClusterKind::Ingest);
    let partial = directory.path().join("pg-ingest.tmp");
    std::fs::create_dir(&partial).expect("made");
    std::fs::write(partial.join("PG_VERSION"), "15\n").expect("written");
    assert!(!spec.exists());

    let cluster = ManagedCluster::start(spec).await.expect("started over");

    assert!(!partial.exists());
    assert_eq!(answer(&cluster.spec().url("observer_ro")).await.expect("answers"), 42);
    assert!(answer(&cluster.spec().url("exec_rw")).await.is_err(), "no such login on ingest");
    cluster.stop().await.expect("stopped");
}

/// Everything above ran as whoever started the tests. When that is root, the same tests run once more
/// as an ordinary user, because then nothing is switched and nothing changes owner.
#[test]
fn the_same_holds_for_an_ordinary_user() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let user = Host::from_env().run_as().expect("a user for the server");
    let here = std::env::current_exe().expect("this test");
    if user.first_closed(&here).is_some() {
        // The build directory is not open to that user: a copy of the test is.
        let open = open_directory();
        let copy = open.path().join("supervision");
        std::fs::copy(&here, &copy).expect("copied");
        assert_passes(&mut user.command(&copy));
        return;
    }
    assert_passes(&mut user.command(&here));
}

fn assert_passes(command: &mut std::process::Command) {
    let output = command
        .args(["--test-threads", "2", "--skip", "the_same_holds_for_an_ordinary_user"])
        .output()
        .expect("runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("4 passed"), "{text}");
}
