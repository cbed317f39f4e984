//! The panel of the real service: it answers its routes and nothing else, has no way to change anything, and a flood of
//! readers leaves mode, tables and trail as they were.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use penstock_contracts::dashboard::{DashboardSnapshot, ORDERS_MAX};
use penstock_store::ClusterRole;
use penstock_store::pools::{self, PoolSettings};
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgPool};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::process::Execution;
use super::world::{LIMIT, World};

/// Longest wait for an answer.
const ANSWER: Duration = Duration::from_secs(20);

/// Status line, heads and body of an answer; empty when the connection was closed without one.
async fn exchange(at: SocketAddr, request: &str) -> (u16, String, String) {
    let mut socket = TcpStream::connect(at).await.unwrap();
    // A connection that is closed while it is written to has been refused: what was read says so.
    let _ = socket.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = timeout(ANSWER, socket.read_to_end(&mut answer)).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (heads, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = heads.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    (status, heads.to_lowercase(), body.to_owned())
}

async fn ask(at: SocketAddr, method: &str, target: &str, host: &str) -> (u16, String, String) {
    let heads = format!("host: {host}\r\nconnection: close\r\n\r\n");
    exchange(at, &format!("{method} {target} HTTP/1.1\r\n{heads}")).await
}

async fn get(at: SocketAddr, target: &str) -> (u16, String, String) {
    ask(at, "GET", target, "127.0.0.1").await
}

/// The body of an answer in chunks, put together.
fn plain(heads: &str, body: &str) -> String {
    if !heads.contains("transfer-encoding: chunked") {
        return body.to_owned();
    }
    let (mut rest, mut whole) = (body, String::new());
    while let Some((length, more)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 {
            break;
        }
        whole.push_str(&more[..length]);
        rest = &more[length + 2..];
    }
    whole
}

/// A service in NORMAL whose panel listens.
async fn attached(world: &World) -> (Execution, SocketAddr) {
    let mut life = world.execution("panel", None);
    life.until_marker("EXECUTION_ATTACHED").await;
    let mode = "select mode_to from sys_mode_log order by id desc limit 1";
    world.until_word(&life, mode, &["NORMAL"]).await;
    // The last row of a start: the change to NORMAL as an alert.
    let told = "select 'told' from alerts where primary_reason = 'ENTER_NORMAL'";
    world.until_word(&life, told, &["told"]).await;
    (life, world.panel())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn allowlist_matrix() {
    let world = World::new().await;
    let (mut life, at) = attached(&world).await;

    // Exactly four requests are answered.
    let routes = ["/dashboard", "/api/dashboard", "/api/orders", "/api/orders?limit=500"];
    for target in routes {
        let (status, heads, body) = get(at, target).await;
        assert_eq!(status, 200, "{target}: {heads}");
        assert!(!body.is_empty(), "{target}");
        for head in [
            "cache-control: no-store",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "x-frame-options: deny",
            "content-security-policy: default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-",
        ] {
            assert!(heads.contains(head), "{target} has no {head}: {heads}");
        }
    }
    // Any other method is refused first, whatever the path; any other path does not exist.
    let methods = ["HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "get"];
    let paths = [
        "/dashboard",
        "/api/dashboard",
        "/api/orders",
        "/api/stream",
        "/",
        "/nothing",
        "/dashboard/",
        "/favicon.ico",
        "/metrics",
        "/api",
        "/api/orders/1",
        "/..%2fdashboard",
        "//dashboard",
        "/api/../dashboard",
    ];
    for path in paths {
        for method in methods {
            assert_eq!(ask(at, method, path, "127.0.0.1").await.0, 403, "{method} {path}");
        }
    }
    for path in &paths[4..] {
        assert_eq!(get(at, path).await.0, 404, "GET {path}");
    }
    // A name that is not this machine's is refused on every path, and so is none or two.
    for host in ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", "localhost.evil", ""] {
        for path in &paths[..5] {
            assert_eq!(ask(at, "GET", path, host).await.0, 403, "{host:?} {path}");
        }
    }
    for host in ["localhost", "127.0.0.1:8787", "[::1]:8787", "LOCALHOST"] {
        assert_eq!(ask(at, "GET", "/dashboard", host).await.0, 200, "{host}");
    }
    let two = "GET /dashboard HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    assert!(matches!(exchange(at, two).await.0, 400 | 403));
    let none = "GET /dashboard HTTP/1.0\r\n\r\n";
    assert_eq!(exchange(at, none).await.0, 403);
    let elsewhere = "GET http://evil.example/dashboard HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    assert_eq!(exchange(at, elsewhere).await.0, 403);
    for limit in ["0", "501", "-1", "x", "", "1e2", "%31", "99999999999999999999"] {
        assert_eq!(get(at, &format!("/api/orders?limit={limit}")).await.0, 400, "limit={limit}");
    }
    // What is answered keeps to its contract.
    let (_, heads, body) = get(at, "/api/dashboard").await;
    let document: DashboardSnapshot = serde_json::from_str(&plain(&heads, &body)).unwrap();
    assert_eq!(document.sys_mode.as_str(), "NORMAL");
    assert!(!document.cycle_id.is_empty(), "an evaluation has run");
    let (_, heads, body) = get(at, "/api/orders?limit=500").await;
    let orders: Vec<Value> = serde_json::from_str(&plain(&heads, &body)).unwrap();
    assert!(orders.len() <= ORDERS_MAX);
    assert_eq!(life.stop().await, Some(0));
}

/// Packages that the panel's crate is built from.
fn built_from() -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "-p", "penstock-panel", "-e", "normal"])
        .args(["--prefix", "none", "--format", "{p}"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[tokio::test]
async fn no_write_handle() {
    // The crate of the handlers is built without anything that could send, write or configure.
    let packages = built_from();
    assert!(packages.contains("penstock-contracts"), "{packages:?}");
    let ours: Vec<&String> = packages.iter().filter(|name| name.starts_with("penstock-")).collect();
    let may = ["contracts", "heap", "panel", "store", "telemetry", "types"];
    for name in ours {
        let short = name.strip_prefix("penstock-").unwrap();
        assert!(may.contains(&short), "the panel is built from {name}");
    }
    for name in ["reqwest", "tokio-tungstenite"] {
        assert!(!packages.contains(name), "the panel is built from {name}");
    }
    // The pool that it is given lets nothing be written: each table refuses all four changes.
    let pair = penstock_store::testing::TestPair::new().await.unwrap();
    let url = pair.url(ClusterRole::Decision, "exec_rw");
    let settings = PoolSettings::observer("penstock-test panel", 2);
    let pool = pools::open(&url, ClusterRole::Decision, &settings, LIMIT).await.unwrap();
    // A table and a column of it that an update may name.
    let tables: Vec<(String, String)> = sqlx::query_as(
        "select t.table_name::text, min(c.column_name)::text
         from information_schema.tables t
         join information_schema.columns c using (table_schema, table_name)
         where t.table_schema = 'penstock' and t.table_type = 'BASE TABLE' and c.is_identity = 'NO'
             and c.is_generated = 'NEVER'
         group by t.table_name order by t.table_name",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert!(tables.len() > 40, "{tables:?}");
    for (table, column) in &tables {
        for change in [
            format!("update {table} set {column} = {column}"),
            format!("insert into {table} default values"),
            format!("delete from {table}"),
            format!("truncate {table}"),
        ] {
            let refused = sqlx::raw_sql(AssertSqlSafe(change.clone())).execute(&pool).await;
            let code = refused.err().and_then(|e| {
                e.as_database_error().and_then(|e| e.code().map(|code| code.into_owned()))
            });
            // Read only, or no privilege.
            assert!(matches!(code.as_deref(), Some("25006" | "42501")), "{change}: {code:?}");
        }
    }
    pool.close().await;
}

/// Rows of every table that a quiet service does not write by itself, and the types of its events.
async fn picture(pool: &PgPool) -> (BTreeMap<String, i64>, BTreeSet<String>) {
    let mut counts = BTreeMap::new();
    for table in [
        "control_requests",
        "execution_orders",
        "execution_order_events",
        "fills",
        "positions",
        "exit_plans",
        "sys_mode_log",
        "alerts",
        "symbol_safety_state",
        "service_fences",
        "execution_sessions",
        "exec_configs",
        "balance_changes",
        "startup_recoveries",
    ] {
        let count = format!("select count(*) from {table}");
        let count: i64 = sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(pool).await.unwrap();
        counts.insert(table.to_owned(), count);
    }
    let types: Vec<String> =
        sqlx::query_scalar("select distinct event_type from audit_events order by event_type")
            .fetch_all(pool)
            .await
            .unwrap();
    (counts, types.into_iter().collect())
}

/// Readers that do not behave: they send no head, half a head, or never read what they asked for.
async fn bad_readers(at: SocketAddr) -> Vec<TcpStream> {
    let mut held = Vec::new();
    for start in ["", "GET /dash", "GET /api/dashboard HTTP/1.1\r\nhost: localhost\r\nx: "] {
        for _ in 0..4 {
            let mut socket = TcpStream::connect(at).await.unwrap();
            let _ = socket.write_all(start.as_bytes()).await;
            held.push(socket);
        }
    }
    for _ in 0..9 {
        let mut socket = TcpStream::connect(at).await.unwrap();
        let request = "GET /api/stream HTTP/1.1\r\nhost: localhost\r\n\r\n";
        let _ = socket.write_all(request.as_bytes()).await;
        held.push(socket);
    }
    held
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn flood_no_effect() {
    let world = World::new().await;
    let (mut life, at) = attached(&world).await;
    // An evaluation that has run says every type of event that a quiet service has.
    let evaluated =
        "select 'yes' from evaluation_cycles where verdict is not null offset 5 limit 1";
    world.until_word(&life, evaluated, &["yes"]).await;
    let before = picture(&world.pool).await;

    // given readers that hold connections and send nothing, or read nothing
    let held = bad_readers(at).await;
    // when others ask for everything at once, for what there is and for what there is not
    let mut answered = BTreeMap::<u16, usize>::new();
    let big = format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "x".repeat(20_000));
    for _ in 0..25 {
        let ask_one = |method: &'static str, target: &'static str, host: &'static str| async move {
            ask(at, method, target, host).await.0
        };
        let round = futures_util::future::join_all([
            ask_one("GET", "/api/dashboard", "localhost"),
            ask_one("GET", "/dashboard", "localhost"),
            ask_one("GET", "/api/orders?limit=500", "localhost"),
            ask_one("POST", "/api/orders", "localhost"),
            ask_one("DELETE", "/api/dashboard", "localhost"),
            ask_one("GET", "/api/orders?limit=501", "localhost"),
            ask_one("GET", "/../../etc/passwd", "localhost"),
            ask_one("GET", "/dashboard", "evil.example"),
        ]);
        for status in round.await {
            *answered.entry(status).or_default() += 1;
        }
        *answered.entry(exchange(at, &big).await.0).or_default() += 1;
    }
    // then each got the answer of its request, the ninth stream none
    assert!(answered[&200] >= 70 && answered[&400] >= 20 && answered[&403] >= 70, "{answered:?}");
    assert_eq!(answered.get(&500), None, "{answered:?}");
    let mut refused = 0;
    for mut socket in held {
        let mut first = [0_u8; 64];
        let read = timeout(ANSWER, socket.read(&mut first)).await;
        let read = read.expect("who sends nothing is closed, who asks is answered").unwrap_or(0);
        refused += usize::from(first[..read].starts_with(b"HTTP/1.1 503"));
    }
    assert_eq!(refused, 1, "eight streams, and the ninth is refused");
    // and the service is as it was: mode, rows, types of events, and it still evaluates
    let after = picture(&world.pool).await;
    assert_eq!(after, before);
    let cycles = "select count(*)::text from evaluation_cycles";
    let then = world.word(cycles).await;
    super::process::until("it goes on", || life.runs()).await;
    let end = tokio::time::Instant::now() + LIMIT;
    let mut looks = tokio::time::interval(Duration::from_millis(200));
    while world.word(cycles).await == then {
        assert!(tokio::time::Instant::now() < end, "no evaluation since the flood");
        looks.tick().await;
    }
    assert_eq!(life.stop().await, Some(0));
}
