//! Connections to a cluster: options from a URL, the three time-outs, `set role`, and the wait for a
//! cluster that is still starting.
//!
//! Options are built field by field, so that neither `PG*` variables nor a password file can change
//! where a service writes. The pool's own retry covers only refused connections; a missing socket
//! file fails at once, hence the loop here.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

use crate::error::{StoreError, describe};
use crate::role::ClusterRole;

/// A database role that a connection can switch to. A closed list, because the name goes into
/// runtime text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActAs {
    /// Owner of schema and objects: migrations, partitions, retention.
    Owner,
    /// Reads everything but the salt, writes nothing.
    Observer,
}

impl ActAs {
    const fn statement(self) -> &'static str {
        match self {
            Self::Owner => "set role penstock_owner",
            Self::Observer => "set role observer_ro",
        }
    }
}

/// How a pool behaves. The time-outs are those of the server; client time-outs must lie above them,
/// because a dropped query future does not cancel the server.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    /// Name shown in `pg_stat_activity`.
    pub application_name: &'static str,
    /// Upper limit of connections.
    pub connections_max: u32,
    /// Longest wait for a lock.
    pub lock_timeout_ms: u32,
    /// Longest statement.
    pub statement_timeout_ms: u32,
    /// Longest pause inside a transaction.
    pub idle_in_transaction_timeout_ms: u32,
    /// Longest wait for a connection of the pool.
    pub acquire_timeout: Duration,
    /// Role that each connection switches to right after connecting.
    pub act_as: Option<ActAs>,
    /// Every transaction is read only.
    pub read_only: bool,
    /// Statements are planned once per connection and not per call: those of a service run many times,
    /// by key.
    pub generic_plans: bool,
}

/// A connection that was idle for longer is asked whether it lives before it is used. One that has just
/// served is not: the question costs a round trip in every transaction, and a cluster that has gone away
/// meanwhile says so at the next statement.
const IDLE_UNASKED: Duration = Duration::from_secs(2);

impl PoolSettings {
    /// Settings of a service: 2 s for locks, 5 s for statements and for a pause in a transaction,
    /// the limits that every publishing transaction works under.
    #[must_use]
    pub const fn service(application_name: &'static str, connections_max: u32) -> Self {
        Self {
            application_name,
            connections_max,
            lock_timeout_ms: 2_000,
            statement_timeout_ms: 5_000,
            idle_in_transaction_timeout_ms: 5_000,
            acquire_timeout: Duration::from_secs(6),
            act_as: None,
            read_only: false,
            generic_plans: true,
        }
    }

    /// Settings for looking: read only, 2 s per statement, as the observer.
    #[must_use]
    pub const fn observer(application_name: &'static str, connections_max: u32) -> Self {
        Self {
            application_name,
            connections_max,
            lock_timeout_ms: 1_000,
            statement_timeout_ms: 2_000,
            idle_in_transaction_timeout_ms: 5_000,
            acquire_timeout: Duration::from_secs(3),
            act_as: Some(ActAs::Observer),
            read_only: true,
            generic_plans: false,
        }
    }
}

/// Parses a cluster URL.
///
/// # Errors
/// [`StoreError::Url`] for another scheme, a missing database or user, or a parameter that is not
/// one of `host`, `port`, `user`, `dbname`, `sslmode`, `sslrootcert`, `sslcert`, `sslkey`: the
/// driver would ignore it silently.
pub fn connect_options(url: &str, role: ClusterRole) -> Result<PgConnectOptions, StoreError> {
    let bad = |problem: String| StoreError::Url { key: role.url_key(), problem };
    let parsed = url::Url::parse(url).map_err(|e| bad(format!("not a URL ({e})")))?;
    if !matches!(parsed.scheme(), "postgres" | "postgresql") {
        return Err(bad(format!("scheme {:?} is not postgres", parsed.scheme())));
    }
    let mut target = Target::from_url(&parsed, &bad)?;
    for (key, value) in parsed.query_pairs() {
        target.parameter(&key, &value, &bad)?;
    }
    target.into_options(&bad)
}

/// The parts of a URL before they become options.
#[derive(Default)]
struct Target {
    host: Option<String>,
    port: Option<u16>,
    user: Option<String>,
    password: Option<String>,
    database: Option<String>,
    ssl_mode: Option<PgSslMode>,
    ssl_root_cert: Option<String>,
    ssl_cert: Option<String>,
    ssl_key: Option<String>,
}

impl Target {
    fn from_url(url: &url::Url, bad: &dyn Fn(String) -> StoreError) -> Result<Self, StoreError> {
        let decode = |text: &str, what: &str| {
            percent_decode(text).ok_or_else(|| bad(format!("{what} is not UTF-8")))
        };
        let mut target = Self { port: url.port(), ..Self::default() };
        if let Some(host) = url.host_str().filter(|h| !h.is_empty()) {
            target.host = Some(decode(host, "the host")?);
        }
        if !url.username().is_empty() {
            target.user = Some(decode(url.username(), "the user")?);
        }
        if let Some(password) = url.password() {
            target.password = Some(decode(password, "the password")?);
        }
        let path = url.path().trim_start_matches('/');
        if !path.is_empty() {
            target.database = Some(decode(path, "the database")?);
        }
        Ok(target)
    }

    fn parameter(
        &mut self,
        key: &str,
        value: &str,
        bad: &dyn Fn(String) -> StoreError,
    ) -> Result<(), StoreError> {
        match key {
            "host" => self.host = Some(value.to_owned()),
            "port" => {
                let port = value.parse().map_err(|_| bad(format!("port {value:?}")))?;
                self.port = Some(port);
            }
            "user" => self.user = Some(value.to_owned()),
            "dbname" => self.database = Some(value.to_owned()),
            "sslmode" => {
                let mode = value.parse().map_err(|_| bad(format!("sslmode {value:?}")))?;
                self.ssl_mode = Some(mode);
            }
            "sslrootcert" => self.ssl_root_cert = Some(value.to_owned()),
            "sslcert" => self.ssl_cert = Some(value.to_owned()),
            "sslkey" => self.ssl_key = Some(value.to_owned()),
            other => return Err(bad(format!("parameter {other:?} is not supported"))),
        }
        Ok(())
    }

    fn into_options(
        self,
        bad: &dyn Fn(String) -> StoreError,
    ) -> Result<PgConnectOptions, StoreError> {
        let database = self.database.ok_or_else(|| bad("names no database".to_owned()))?;
        let user = self.user.ok_or_else(|| bad("names no user".to_owned()))?;
        let host = self.host.unwrap_or_else(|| "localhost".to_owned());
        let mut options = PgConnectOptions::new_without_pgpass()
            .port(self.port.unwrap_or(5432))
            .username(&user)
            .password(self.password.as_deref().unwrap_or(""))
            .database(&database)
            .ssl_mode(self.ssl_mode.unwrap_or(PgSslMode::Prefer));
        options = if host.starts_with('/') { options.socket(&host) } else { options.host(&host) };
        if let Some(path) = &self.ssl_root_cert {
            options = options.ssl_root_cert(path);
        }
        if let Some(path) = &self.ssl_cert {
            options = options.ssl_client_cert(path);
        }
        if let Some(path) = &self.ssl_key {
            options = options.ssl_client_key(path);
        }
        Ok(options)
    }
}

fn percent_decode(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        if bytes[i] == b'%' {
            let pair = text.get(i + 1..i + 3)?;
            out.push(u8::from_str_radix(pair, 16).ok()?);
            i += 3;
        } else {
            out.push(bytes[i]);
            i += 1;
        }
    }
    String::from_utf8(out).ok()
}

/// Adds the session settings of a pool to connection options.
#[must_use]
pub fn with_settings(options: PgConnectOptions, settings: &PoolSettings) -> PgConnectOptions {
    options
        .application_name(settings.application_name)
        .options([
            ("search_path", "penstock".to_owned()),
            ("timezone", "UTC".to_owned()),
            // Compiling a plan over all partitions takes seconds, more than any statement here runs.
            ("jit", "off".to_owned()),
            ("lock_timeout", settings.lock_timeout_ms.to_string()),
            ("statement_timeout", settings.statement_timeout_ms.to_string()),
            (
                "idle_in_transaction_session_timeout",
                settings.idle_in_transaction_timeout_ms.to_string(),
            ),
            (
                "default_transaction_read_only",
                if settings.read_only { "on" } else { "off" }.to_owned(),
            ),
            (
                "plan_cache_mode",
                if settings.generic_plans { "force_generic_plan" } else { "auto" }.to_owned(),
            ),
        ])
        // Parameters may carry account data.
        .disable_statement_logging()
}

/// Opens a pool without connecting yet.
///
/// # Errors
/// [`StoreError::Url`].
pub fn open_lazy(
    url: &str,
    role: ClusterRole,
    settings: &PoolSettings,
) -> Result<PgPool, StoreError> {
    let options = with_settings(connect_options(url, role)?, settings);
    let act_as = settings.act_as;
    Ok(PgPoolOptions::new()
        .max_connections(settings.connections_max)
        .acquire_timeout(settings.acquire_timeout)
        .test_before_acquire(false)
        .before_acquire(|conn, meta| {
            Box::pin(async move {
                if meta.idle_for > IDLE_UNASKED {
                    conn.ping().await?;
                }
                Ok(true)
            })
        })
        .after_release(|conn, _meta| {
            Box::pin(async move {
                // Connections take turns: each would keep the largest message that ever came its way.
                conn.shrink_buffers();
                Ok(true)
            })
        })
        .after_connect(move |conn, _meta| {
            Box::pin(async move {
                if let Some(role) = act_as {
                    sqlx::raw_sql(role.statement()).execute(&mut *conn).await?;
                }
                Ok(())
            })
        })
        .connect_lazy_with(options))
}

/// Opens a pool and waits until the cluster answers.
///
/// # Errors
/// [`StoreError::Url`]; [`StoreError::NotReady`] after `wait`; [`StoreError::Sql`] at once for an
/// answer that waiting cannot change (wrong password, missing database or role).
pub async fn open(
    url: &str,
    role: ClusterRole,
    settings: &PoolSettings,
    wait: Duration,
) -> Result<PgPool, StoreError> {
    let pool = open_lazy(url, role, settings)?;
    wait_ready(&pool, role, wait).await?;
    Ok(pool)
}

/// Polls `select 1` every 100 ms until it succeeds.
///
/// # Errors
/// As [`open`].
pub async fn wait_ready(
    pool: &PgPool,
    role: ClusterRole,
    wait: Duration,
) -> Result<(), StoreError> {
    let started = tokio::time::Instant::now();
    loop {
        let last = match sqlx::query("select 1").execute(pool).await {
            Ok(_) => return Ok(()),
            Err(error) if crate::error::is_transient(&error) => describe(&error),
            Err(error) => return Err(StoreError::sql("connect", role, error)),
        };
        if started.elapsed() >= wait {
            return Err(StoreError::NotReady {
                cluster: role,
                waited_secs: started.elapsed().as_secs(),
                last,
            });
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// One connection outside any pool, for migrations and partitions.
///
/// # Errors
/// [`StoreError::Url`], [`StoreError::Sql`].
pub async fn connect_single(
    url: &str,
    role: ClusterRole,
    settings: &PoolSettings,
) -> Result<PgConnection, StoreError> {
    let options = with_settings(connect_options(url, role)?, settings);
    let mut conn = PgConnection::connect_with(&options)
        .await
        .map_err(|e| StoreError::sql("connect", role, e))?;
    if let Some(act_as) = settings.act_as {
        set_role(&mut conn, act_as).await.map_err(|e| StoreError::sql("set role", role, e))?;
    }
    Ok(conn)
}

/// Switches a connection to another role for the rest of its life. Only for connections that are
/// closed afterwards; inside a transaction use [`set_local_role`].
///
/// # Errors
/// The driver's error.
pub async fn set_role(conn: &mut PgConnection, act_as: ActAs) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(act_as.statement()).execute(conn).await.map(|_| ())
}

/// Switches to another role until the end of the current transaction.
///
/// # Errors
/// The driver's error.
pub async fn set_local_role(conn: &mut PgConnection, act_as: ActAs) -> Result<(), sqlx::Error> {
    let text = act_as.statement().replace("set role", "set local role");
    sqlx::raw_sql(AssertSqlSafe(text)).execute(conn).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: ClusterRole = ClusterRole::Ingest;

    #[rstest::rstest]
    #[case("postgres:///ingest?host=/abs/socket&port=25432&user=ingest_rw", Some("/abs/socket"))]
    #[case("postgres://ingest_rw@%2Fabs%2Fsocket:25432/ingest", Some("/abs/socket"))]
    #[case("postgresql://ingest_rw:p%40ss@127.0.0.1:25432/ingest?sslmode=disable", None)]
    fn url_forms_are_read_into_the_same_target(#[case] url: &str, #[case] socket: Option<&str>) {
        let options = connect_options(url, ROLE).unwrap();

        assert_eq!(options.get_socket().and_then(|p| p.to_str()), socket);
        assert_eq!(options.get_port(), 25_432);
        assert_eq!(options.get_username(), "ingest_rw");
        assert_eq!(options.get_database(), Some("ingest"));
    }

    #[rstest::rstest]
    #[case("mysql://u@h/d", "scheme")]
    #[case("postgres://u@h", "no database")]
    #[case("postgres://h/d", "no user")]
    #[case("postgres://u@h/d?target_session_attrs=any", "target_session_attrs")]
    #[case("postgres://u@h/d?port=x", "port")]
    #[case("not a url", "not a URL")]
    fn url_that_the_driver_would_misread_is_refused_with_its_key(
        #[case] url: &str,
        #[case] problem: &str,
    ) {
        let error = connect_options(url, ROLE).unwrap_err().to_string();

        assert!(error.contains("INGEST_DATABASE_URL"), "{error}");
        assert!(error.contains(problem), "{error}");
    }

    #[test]
    fn refusal_never_shows_the_password() {
        let error = connect_options("postgres://u:secret@h", ROLE).unwrap_err().to_string();

        assert!(!error.contains("secret"), "{error}");
    }

    #[tokio::test]
    async fn missing_cluster_is_waited_for_and_then_named() {
        let url = "postgres:///d?host=/nonexistent/penstock&user=u";
        let settings = PoolSettings::service("penstock-test", 1);

        let error = open(url, ROLE, &settings, Duration::from_millis(150)).await.unwrap_err();

        assert!(matches!(error, StoreError::NotReady { cluster: ROLE, .. }), "{error}");
    }
}
