//! Purpose: real clusters for the tests of all crates. Inputs: a test that asks. Outputs:
//! [`TestClusters`] (one scratch pair, shared by every process of a test run) and [`TestDatabase`] (a
//! database of its own per test, copied from a migrated template). Invariants: no test sees another
//! one's rows; whatever a crashed run left is removed by the next; the pair ends half a minute after
//! its last user. Migrations are the caller's: this crate knows no schema.

use std::error::Error;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};

use crate::cluster::socket_url;
use crate::pidfile::{self, Liveness};
use crate::root::short_hash;
use crate::{
    ClusterError, ClusterKind, ClusterSpec, DataRoot, Durability, Host, ManagedCluster,
    stop_left_behind,
};

/// Longest wait for sessions of a database that were told to end.
const SETTLE_LIMIT: Duration = Duration::from_secs(60);
/// Longest wait for a keeper that is ending the pair: it gives the servers ten seconds, then removes their
/// files. One that was killed in the middle never finishes.
const KEEPER_LIMIT: Duration = Duration::from_secs(30);
/// Longest wait for another process that makes the pair: it may wait for a keeper itself, ends what a
/// crashed run left, and starts two servers on a machine that compiles.
const MAKE_LIMIT: Duration = Duration::from_secs(240);
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Seconds between two looks of the keeper; 15 looks without a user end the pair.
const KEEPER_INTERVAL_SECS: &str = "2";

/// Ends the pair when nobody uses it any more.
const KEEPER: &str = include_str!("keeper.sh");

static SHARED: OnceCell<TestClusters> = OnceCell::const_new();
static NEXT_DATABASE: AtomicU32 = AtomicU32::new(0);
static NEXT_PLACE: AtomicU32 = AtomicU32::new(0);

/// First port of a process's own places.
const FIRST_PORT: u16 = 18_000;

/// A loopback address and a port that no other process of a test run is given, and this one only once: for services that
/// need a number before they listen. It is in the part of the loopback network that nothing else uses.
#[must_use]
pub fn own_place() -> (std::net::Ipv4Addr, u16) {
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    let nth = NEXT_PLACE.fetch_add(1, Ordering::Relaxed) % 10_000;
    let port = FIRST_PORT + u16::try_from(nth).unwrap_or_default();
    (std::net::Ipv4Addr::new(127, 64 + high % 64, middle, low), port)
}

/// The scratch pair of this test run.
#[derive(Debug, Clone)]
pub struct TestClusters {
    ingest: ClusterSpec,
    decision: ClusterSpec,
}

/// A database that exists as long as this value.
#[derive(Debug)]
pub struct TestDatabase {
    spec: ClusterSpec,
    name: String,
}

/// Where a template that is being prepared can be reached.
#[derive(Debug, Clone)]
pub struct TemplateUrls {
    kind: ClusterKind,
    socket_directory: PathBuf,
    database: String,
}

impl TemplateUrls {
    /// Which cluster it is on.
    #[must_use]
    pub const fn kind(&self) -> ClusterKind {
        self.kind
    }

    /// The URL for a login role, or [`crate::SUPERUSER`].
    #[must_use]
    pub fn url(&self, role: &str) -> String {
        socket_url(&self.socket_directory, self.kind.port(), role, &self.database)
    }
}

impl TestClusters {
    /// The pair of this test run: that of another process if there is one, else a new one.
    ///
    /// # Errors
    /// [`ClusterError`] when PostgreSQL is missing or does not start.
    pub async fn get() -> Result<&'static Self, ClusterError> {
        SHARED.get_or_try_init(acquire).await
    }

    /// The cluster of a kind.
    #[must_use]
    pub const fn cluster(&self, kind: ClusterKind) -> &ClusterSpec {
        match kind {
            ClusterKind::Ingest => &self.ingest,
            ClusterKind::Decision => &self.decision,
        }
    }

    /// A new database, copied from the template that `key` names (put the hash of the migrations into
    /// it). The first to ask for a key makes the template: schema and roles, then `prepare`.
    ///
    /// # Errors
    /// [`ClusterError::Sql`], or [`ClusterError::Test`] with what `prepare` said.
    pub async fn database<F, Done>(
        &self,
        kind: ClusterKind,
        key: &str,
        prepare: F,
    ) -> Result<TestDatabase, ClusterError>
    where
        F: FnOnce(TemplateUrls) -> Done,
        Done: Future<Output = Result<(), Box<dyn Error + Send + Sync>>>,
    {
        let spec = self.cluster(kind).clone();
        let sql = || ClusterError::sql(kind);
        let mut admin = spec.superuser("postgres").connect().await.map_err(sql())?;
        let template = format!("tpl_{}", &blake3::hash(key.as_bytes()).to_hex()[..16]);
        ensure_template(&spec, &mut admin, &template, prepare).await?;
        let name = next_name();
        let text = format!("drop database if exists {name} with (force)");
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut admin).await.map_err(sql())?;
        let text = format!("create database {name} template {template}");
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut admin).await.map_err(sql())?;
        admin.close().await.map_err(sql())?;
        Ok(TestDatabase { spec, name })
    }
}

impl TestDatabase {
    /// The URL for a login role, or [`crate::SUPERUSER`].
    #[must_use]
    pub fn url(&self, role: &str) -> String {
        self.spec.url_of(role, &self.name)
    }

    /// A copy as it stands now, commit times included. Sessions on this database are ended: nothing may
    /// write while it is copied.
    ///
    /// # Errors
    /// [`ClusterError::Sql`] when the server refuses.
    pub async fn copy(&self) -> Result<Self, ClusterError> {
        let sql = || ClusterError::sql(self.spec.kind);
        let mut admin = self.spec.superuser("postgres").connect().await.map_err(sql())?;
        let deadline = Instant::now() + SETTLE_LIMIT;
        let name = next_name();
        let text = format!("drop database if exists {name} with (force)");
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut admin).await.map_err(sql())?;
        let text = format!("create database {name} template {}", self.name);
        loop {
            sqlx::query(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1",
            )
            .bind(&self.name)
            .execute(&mut admin)
            .await
            .map_err(sql())?;
            match sqlx::raw_sql(AssertSqlSafe(text.clone())).execute(&mut admin).await {
                Ok(_) => break,
                Err(error) if Instant::now() >= deadline => return Err(sql()(error)),
                // A session that was told to end has not ended yet.
                Err(_) => sleep(LOOK_INTERVAL).await,
            }
        }
        admin.close().await.map_err(sql())?;
        Ok(Self { spec: self.spec.clone(), name })
    }

    /// The database's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Longest wait for the end of a database.
const DROP_LIMIT: std::time::Duration = std::time::Duration::from_secs(10);

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let options = self.spec.superuser("postgres");
        let name = self.name.clone();
        // A drop cannot await, and the test's runtime may be on this very thread.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            // A server process that waits for a client that is stopped holds every drop back, also of another database.
            let dropping = async {
                let mut admin = options.connect().await.map_err(std::io::Error::other)?;
                let text = format!("drop database if exists {name} with (force)");
                sqlx::raw_sql(AssertSqlSafe(text))
                    .execute(&mut admin)
                    .await
                    .map_err(std::io::Error::other)?;
                admin.close().await.map_err(std::io::Error::other)
            };
            runtime.block_on(async { tokio::time::timeout(DROP_LIMIT, dropping).await? })
        });
        // What could not be dropped goes with the pair.
        if let Ok(Err(error)) = dropped.join() {
            tracing::warn!("drop the test database {}: {error}", self.name);
        }
    }
}

/// A name that no other database of this pair has.
fn next_name() -> String {
    let count = NEXT_DATABASE.fetch_add(1, Ordering::Relaxed);
    format!("t_{}_{count}", std::process::id())
}

async fn ensure_template<F, Done>(
    spec: &ClusterSpec,
    admin: &mut PgConnection,
    template: &str,
    prepare: F,
) -> Result<(), ClusterError>
where
    F: FnOnce(TemplateUrls) -> Done,
    Done: Future<Output = Result<(), Box<dyn Error + Send + Sync>>>,
{
    let sql = || ClusterError::sql(spec.kind);
    // One maker at a time; the lock ends with this connection if the maker crashes.
    sqlx::query("select pg_advisory_lock(hashtextextended($1, 0))")
        .bind(template)
        .execute(&mut *admin)
        .await
        .map_err(sql())?;
    let exists: bool =
        sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
            .bind(template)
            .fetch_one(&mut *admin)
            .await
            .map_err(sql())?;
    if !exists {
        let building = format!("{template}_building");
        for text in [
            format!("drop database if exists {building} with (force)"),
            format!("create database {building}"),
        ] {
            sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut *admin).await.map_err(sql())?;
        }
        let mut own = spec.superuser(&building).connect().await.map_err(sql())?;
        crate::roles::install(&mut own, spec.kind).await.map_err(sql())?;
        own.close().await.map_err(sql())?;
        let urls = TemplateUrls {
            kind: spec.kind,
            socket_directory: spec.socket_directory.clone(),
            database: building.clone(),
        };
        prepare(urls).await.map_err(|error| ClusterError::Test(error.to_string()))?;
        // A pool that `prepare` closed a moment ago may still be saying goodbye; nobody else belongs here.
        sqlx::query("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1")
            .bind(&building)
            .execute(&mut *admin)
            .await
            .map_err(sql())?;
        rename(admin, &building, template).await.map_err(sql())?;
    }
    sqlx::query("select pg_advisory_unlock(hashtextextended($1, 0))")
        .bind(template)
        .execute(&mut *admin)
        .await
        .map_err(sql())?;
    Ok(())
}

/// Renames a database once its last terminated session is gone.
async fn rename(admin: &mut PgConnection, from: &str, to: &str) -> Result<(), sqlx::Error> {
    let deadline = Instant::now() + SETTLE_LIMIT;
    loop {
        let text = format!("alter database {from} rename to {to}");
        match sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut *admin).await {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => sleep(LOOK_INTERVAL).await,
        }
    }
}

async fn acquire() -> Result<TestClusters, ClusterError> {
    match std::env::var("PENSTOCK_TEST_PG").as_deref() {
        Err(_) | Ok("" | "auto" | "managed") => {}
        Ok(other) => {
            return Err(ClusterError::Test(format!(
                "PENSTOCK_TEST_PG={other} is not in this version; next: unset it, or use auto or managed"
            )));
        }
    }
    let host = Host::from_env();
    let directory = directory(&host)?;
    let users = directory.join("users");
    std::fs::create_dir_all(&users).map_err(ClusterError::io("create", &users))?;
    let lock = lock(&directory).await?;
    let me = users.join(std::process::id().to_string());
    std::fs::write(&me, "").map_err(ClusterError::io("write", &me))?;
    settle(&directory).await?;
    let root = DataRoot::at(&directory);
    let spec = |kind| ClusterSpec::in_root(&host, &root, kind, false, Durability::Scratch);
    let pair =
        TestClusters { ingest: spec(ClusterKind::Ingest)?, decision: spec(ClusterKind::Decision)? };
    if !serves(&directory, &pair) {
        make(&directory, &pair).await?;
    }
    drop(lock);
    Ok(pair)
}

/// The directory of this workspace's pair: in the temporary directory, or in `/tmp` when the server's
/// user cannot reach that.
fn directory(host: &Host) -> Result<PathBuf, ClusterError> {
    let user = host.run_as()?;
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"));
    let name = format!("penstock-test-{}-{}", nix::unistd::geteuid(), short_hash(workspace));
    let near = std::env::temp_dir();
    let parent = if user.first_closed(&near).is_none() { near } else { PathBuf::from("/tmp") };
    Ok(parent.join(name))
}

async fn lock(directory: &Path) -> Result<std::fs::File, ClusterError> {
    let path = directory.join("lock");
    let file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(ClusterError::io("open", &path))?;
    let deadline = Instant::now() + MAKE_LIMIT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::WouldBlock) if Instant::now() < deadline => {
                sleep(LOOK_INTERVAL).await;
            }
            Err(error) => {
                return Err(ClusterError::Test(format!("lock {}: {error}", path.display())));
            }
        }
    }
}

/// Waits until a keeper that is ending the pair has finished, or has seen us and gone back.
async fn settle(directory: &Path) -> Result<(), ClusterError> {
    let stopping = directory.join("stopping");
    let deadline = Instant::now() + KEEPER_LIMIT;
    while stopping.exists() {
        if Instant::now() >= deadline {
            // Its keeper was killed in the middle; `make` clears the rest.
            return std::fs::remove_file(&stopping).map_err(ClusterError::io("remove", &stopping));
        }
        sleep(LOOK_INTERVAL).await;
    }
    Ok(())
}

fn serves(directory: &Path, pair: &TestClusters) -> bool {
    let alive = |spec: &ClusterSpec| matches!(pidfile::look(&spec.data), Liveness::Alive(file) if file.ready);
    directory.join("ready").exists() && alive(&pair.ingest) && alive(&pair.decision)
}

async fn make(directory: &Path, pair: &TestClusters) -> Result<(), ClusterError> {
    let ready = directory.join("ready");
    if ready.exists() {
        std::fs::remove_file(&ready).map_err(ClusterError::io("remove", &ready))?;
    }
    for spec in [&pair.ingest, &pair.decision] {
        stop_left_behind(spec).await?;
        if spec.data.exists() {
            std::fs::remove_dir_all(&spec.data).map_err(ClusterError::io("remove", &spec.data))?;
        }
    }
    let (ingest, decision) = tokio::join!(
        ManagedCluster::start(pair.ingest.clone()),
        ManagedCluster::start(pair.decision.clone())
    );
    // The handles go, the servers stay: they belong to the whole test run.
    drop((ingest?, decision?));
    std::fs::write(&ready, "").map_err(ClusterError::io("write", &ready))?;
    start_keeper(directory, KEEPER_INTERVAL_SECS)
}

fn start_keeper(directory: &Path, interval_secs: &str) -> Result<(), ClusterError> {
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};
    let shell = Path::new("/bin/sh");
    // Not waited for: it outlives this process on purpose and ends by itself.
    Command::new(shell)
        .args(["-c", KEEPER, "penstock-test-keeper"])
        .arg(directory)
        .arg(interval_secs)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map(drop)
        .map_err(ClusterError::io("run", shell))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    use sqlx::{ConnectOptions, Connection};
    use tokio::time::{Instant, sleep};

    use super::{TestClusters, make, serves, start_keeper};
    use crate::pidfile::{self, Liveness};
    use crate::{ClusterKind, ClusterSpec, DataRoot, Durability, Host, stop_left_behind};

    fn place() -> (tempfile::TempDir, TestClusters) {
        let open = std::fs::Permissions::from_mode(0o755);
        let directory =
            tempfile::Builder::new().permissions(open).tempdir_in("/tmp").expect("temp dir");
        let root = DataRoot::at(directory.path());
        let spec = |kind| {
            ClusterSpec::in_root(&Host::from_env(), &root, kind, false, Durability::Scratch)
                .expect("a PostgreSQL server is installed")
        };
        let pair = TestClusters {
            ingest: spec(ClusterKind::Ingest),
            decision: spec(ClusterKind::Decision),
        };
        (directory, pair)
    }

    async fn wait_until(what: &str, is: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !is() {
            assert!(Instant::now() < deadline, "{what}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    #[tokio::test]
    async fn what_a_crashed_run_left_is_replaced_by_the_next() {
        let (directory, pair) = place();
        make(directory.path(), &pair).await.expect("made");
        assert!(serves(directory.path(), &pair));
        let Liveness::Alive(file) = pidfile::look(&pair.ingest.data) else {
            panic!("it runs");
        };
        kill(Pid::from_raw(file.pid), Signal::SIGKILL).expect("killed");
        wait_until("it is dead", || pidfile::look(&pair.ingest.data) == Liveness::Dead).await;
        assert!(!serves(directory.path(), &pair), "half a pair does not serve");

        make(directory.path(), &pair).await.expect("made again");

        assert!(serves(directory.path(), &pair));
        for spec in [&pair.ingest, &pair.decision] {
            let own = spec.superuser(spec.kind.as_str()).connect().await.expect("connects");
            own.close().await.expect("closed");
            assert!(stop_left_behind(spec).await.expect("stopped"));
        }
    }

    #[tokio::test]
    async fn the_pair_stays_while_it_is_used_and_ends_without_users() {
        let (directory, pair) = place();
        let users = directory.path().join("users");
        std::fs::create_dir(&users).expect("made");
        make(directory.path(), &pair).await.expect("made");
        let mut user = std::process::Command::new("sleep").arg("600").spawn().expect("runs");
        std::fs::write(users.join(user.id().to_string()), "").expect("written");
        // A user that has ended already: its entry goes, and says that the keeper has looked. The keeper
        // looks in the order of names and stops at the first that lives, so this one has to come first.
        let gone = users.join("0999999999");
        std::fs::write(&gone, "").expect("written");

        start_keeper(directory.path(), "0.05").expect("started");
        wait_until("the keeper has looked at all users", || !gone.exists()).await;
        assert!(serves(directory.path(), &pair), "somebody uses it");
        user.kill().expect("killed");
        user.wait().expect("ended");

        wait_until("the pair is gone", || !pair.decision.data.exists()).await;
        assert!(!pair.ingest.data.exists());
        wait_until("the keeper is done", || !directory.path().join("stopping").exists()).await;
    }
}
