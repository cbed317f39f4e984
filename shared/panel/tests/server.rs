//! The panel alone, with figures of a test and a database that answers or does not: limits of connections, streams and
//! heads, readers who do not read, what is shown when the rows are old.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use penstock_contracts::alert::{Alert, AlertSource, Metrics, Summary, SymbolText, V1};
use penstock_contracts::dashboard::{AuditPressure, DashboardSnapshot, Limits};
use penstock_contracts::units::{TsMs, X10000};
use penstock_panel::live::{Live, Look, Writer};
use penstock_panel::run::{Panel, Place, start};
use penstock_panel::settings::{Identity, Lengths, Settings};
use penstock_store::ClusterRole;
use penstock_store::pools::{self, PoolSettings};
use penstock_store::testing::TestPair;
use penstock_types::vocab::{ReasonCode, Severity, StageName, SysMode};
use penstock_types::{EvaluationId, RunId, SessionId, Uuid};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longest wait for anything.
const LIMIT: Duration = Duration::from_secs(60);

/// Figures that the test changes.
#[derive(Debug)]
struct Figures(Mutex<Live>);

impl Look for Figures {
    fn look(&self) -> Live {
        let mut live = self.0.lock().unwrap().clone();
        live.now_ms = chrono::Utc::now().timestamp_millis();
        live
    }
}

fn live() -> Live {
    Live {
        now_ms: 0,
        sys_mode: SysMode::Normal,
        sys_mode_since_ms: 1,
        reasons: Vec::new(),
        uptime_s: 5,
        run_id: Some(RunId(7)),
        cycle_id: Some(EvaluationId(9)),
        last_cycle_ms: 1,
        decision_id: String::new(),
        stage: StageName::UniverseScan,
        stage_since_ms: 1,
        alerts: Vec::new(),
        disk_free_bytes: 1,
        rss_bytes: 1,
        cpu_pct_x10000: 1,
        writer: Writer {
            queue_pct_x10000: 0,
            queue_len: 0,
            lag_ms: 0,
            pressure: AuditPressure::Ok,
            events_per_min: 0,
            drops_per_min: 0,
            last_commit_ms: 0,
        },
        quotes: Default::default(),
        windows: Default::default(),
        symbols: Vec::new(),
        cluster_fsm: Vec::new(),
        event_phase: String::new(),
        limits: Limits { rest_counter_x10000: X10000(0), engine_counter_x10000: X10000(0) },
        checklist: Vec::new(),
        confirm_pending: Vec::new(),
        foreign_holds_quote: 0.into(),
    }
}

fn alert(severity: Severity) -> Alert {
    Alert {
        v: V1,
        source: AlertSource::Execution,
        sender: AlertSource::Execution,
        severity,
        reason_code: ReasonCode::DbUnavailable,
        reasons: vec![ReasonCode::DbUnavailable],
        symbol: SymbolText::default(),
        stage: StageName::UniverseScan,
        sys_mode: SysMode::Normal,
        summary: Summary::of("for a test"),
        count: 1,
        first_ts_ms: TsMs(5),
        last_ts_ms: TsMs(6),
        run_id: RunId(0),
        cycle_id: EvaluationId(0),
        decision_id: String::new(),
        order_intent_id: String::new(),
        active: true,
        metrics: Metrics::default(),
    }
}

fn identity() -> Identity {
    Identity {
        domain: "test".to_owned(),
        session_id: SessionId(Uuid::nil()),
        git_commit: String::new(),
        version: "0".to_owned(),
        config_hash: String::new(),
        venue: "sim".to_owned(),
        quote_asset: "USD".to_owned(),
        ai_dec: 0,
        execution_enable: true,
        engine_mode: "off".to_owned(),
        alert_sound: false,
        daily_loss_limit_quote: 50.into(),
        daily_loss_limit_bps: 200.into(),
        cooldown_s: 300,
        drift_degrade_x10000: 20_000,
    }
}

struct Rig {
    panel: Option<Panel>,
    at: SocketAddr,
    figures: Arc<Figures>,
    _pair: TestPair,
}

impl Rig {
    async fn new() -> Self {
        let pair = TestPair::new().await.unwrap();
        let url = pair.url(ClusterRole::Decision, "exec_rw");
        Self::at(pair, url, 16).await
    }

    async fn at(pair: TestPair, url: String, connections_max: usize) -> Self {
        let (address, port) = penstock_clusters::testing::own_place();
        let at = SocketAddr::from((address, port));
        let settings = Settings {
            address: at,
            every: Duration::from_millis(250),
            connections_max,
            streams_max: 2,
            lengths: Lengths { intents: 50, diffs: 50, symbols: 50 },
        };
        let figures = Arc::new(Figures(Mutex::new(live())));
        let open = Box::new(move || {
            let options = PoolSettings::observer("penstock-test panel", 2);
            pools::open_lazy(&url, ClusterRole::Decision, &options)
        });
        let look: Arc<dyn Look> = Arc::<Figures>::clone(&figures);
        let panel = start(settings, identity(), look, open).unwrap();
        let rig = Self { panel: Some(panel), at, figures, _pair: pair };
        rig.until(|| rig.panel.as_ref().unwrap().listening().place() == Place::Listens).await;
        // The first document is built beside the listener.
        while rig.get("/api/dashboard").await.0 == 500 {
            tokio::task::yield_now().await;
        }
        rig
    }

    async fn until(&self, mut holds: impl FnMut() -> bool) {
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        timeout(LIMIT, async {
            while !holds() {
                looks.tick().await;
            }
        })
        .await
        .unwrap();
    }

    async fn connect(&self, request: &str) -> TcpStream {
        let mut socket = TcpStream::connect(self.at).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        socket
    }

    async fn get(&self, target: &str) -> (u16, String) {
        let heads = "host: localhost\r\nconnection: close\r\n\r\n";
        let mut socket = self.connect(&format!("GET {target} HTTP/1.1\r\n{heads}")).await;
        let mut answer = String::new();
        timeout(LIMIT, socket.read_to_string(&mut answer)).await.unwrap().unwrap();
        let (heads, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = heads.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    async fn document(&self) -> DashboardSnapshot {
        serde_json::from_str(&self.get("/api/dashboard").await.1).unwrap()
    }

    async fn stream(&self) -> TcpStream {
        self.connect("GET /api/stream HTTP/1.1\r\nhost: localhost\r\n\r\n").await
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(panel) = self.panel.take() {
            let ended = panel.stop().join();
            assert!(ended.is_ok() || std::thread::panicking(), "the panel's thread panicked");
        }
    }
}

/// Reads until the text holds so many of a word.
async fn until_text(socket: &mut TcpStream, word: &str, times: usize) -> String {
    let mut text = String::new();
    let mut part = [0_u8; 16_384];
    timeout(LIMIT, async {
        while text.matches(word).count() < times {
            let read = socket.read(&mut part).await.unwrap();
            assert!(read > 0, "the stream ended: {text}");
            text.push_str(&String::from_utf8_lossy(&part[..read]));
        }
    })
    .await
    .unwrap();
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_shows_the_newest_document_at_once_then_each_and_alerts_when_they_rise() {
    let rig = Rig::new().await;
    let mut stream = rig.stream().await;
    let first = until_text(&mut stream, "event: snapshot\ndata: {", 2).await;
    assert!(first.contains("content-type: text/event-stream"), "{first}");
    rig.figures.0.lock().unwrap().alerts = vec![alert(Severity::Warn)];
    let risen = until_text(&mut stream, "event: alert\ndata: {", 1).await;
    assert!(risen.contains("\"severity\":\"WARN\""), "{risen}");
    // The same again is no news; worse is.
    rig.figures.0.lock().unwrap().alerts = vec![Alert { count: 9, ..alert(Severity::Warn) }];
    let same = until_text(&mut stream, "event: snapshot", 3).await;
    assert_eq!(same.matches("event: alert").count(), 0, "{same}");
    rig.figures.0.lock().unwrap().alerts = vec![alert(Severity::Crit)];
    let worse = until_text(&mut stream, "event: alert\ndata: {", 1).await;
    assert!(worse.contains("\"severity\":\"CRIT\""), "{worse}");
    // Each event's data is one line of JSON.
    for line in worse.lines().filter_map(|line| line.strip_prefix("data: ")) {
        if line.ends_with('}') {
            let _: serde_json::Value = serde_json::from_str(line).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_too_many_is_refused_and_its_place_comes_free_again() {
    let rig = Rig::new().await;
    let mut held = [rig.stream().await, rig.stream().await];
    for stream in &mut held {
        until_text(stream, "event: snapshot", 1).await;
    }
    assert_eq!(rig.get("/api/stream").await.0, 503);
    drop(held);
    // The end of a connection is seen when it is next written to.
    let mut looks = tokio::time::interval(Duration::from_millis(100));
    timeout(LIMIT, async {
        loop {
            let mut stream = rig.stream().await;
            let mut status = [0_u8; 12];
            stream.read_exact(&mut status).await.unwrap();
            if status.ends_with(b"200") {
                break;
            }
            looks.tick().await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_too_many_is_closed_and_those_that_send_no_head_are_too() {
    let rig = Rig::new().await;
    let mut held = Vec::new();
    for n in 0..16 {
        held.push(
            rig.connect(if n % 2 == 0 { "" } else { "GET /dashboard HTTP/1.1\r\nx: " }).await,
        );
    }
    // Seen as refused: closed without a byte.
    let mut refused = TcpStream::connect(rig.at).await.unwrap();
    let mut byte = [0_u8; 1];
    let read = timeout(LIMIT, refused.read(&mut byte)).await.unwrap();
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    // Those that send no head are closed in time, without help.
    for mut socket in held {
        let mut rest = Vec::new();
        let ended = timeout(LIMIT, socket.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "a connection without a head is still open");
    }
    assert_eq!(rig.get("/dashboard").await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_beyond_its_limit_is_refused_and_a_body_is_never_waited_for() {
    let rig = Rig::new().await;
    let long = format!("GET /dashboard HTTP/1.1\r\nhost: localhost\r\nx: {}", "y".repeat(64_000));
    let mut socket = TcpStream::connect(rig.at).await.unwrap();
    // Refused while it is still being sent.
    let _ = socket.write_all(long.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = timeout(LIMIT, socket.read_to_end(&mut answer)).await.unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    // A body that is announced and never comes.
    let heads = "host: localhost\r\ncontent-length: 1000000\r\n\r\n";
    let mut socket = rig.connect(&format!("POST /api/orders HTTP/1.1\r\n{heads}")).await;
    let text = until_text(&mut socket, "\r\n\r\n", 1).await;
    assert!(text.starts_with("HTTP/1.1 403"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_who_does_not_read_is_dropped() {
    let rig = Rig::new().await;
    // Documents as large as they get, so that the kernel's buffers fill soon.
    rig.figures.0.lock().unwrap().alerts =
        (0..50).map(|n| Alert { first_ts_ms: TsMs(n), ..alert(Severity::Crit) }).collect();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stream = socket.connect(rig.at).await.unwrap();
    stream.write_all(b"GET /api/stream HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    // Its place comes free although it keeps its end open.
    let other = rig.stream().await;
    let mut looks = tokio::time::interval(Duration::from_millis(500));
    let freed = timeout(LIMIT * 3, async {
        loop {
            let mut third = rig.stream().await;
            let mut status = [0_u8; 12];
            third.read_exact(&mut status).await.unwrap();
            if status.ends_with(b"200") {
                return;
            }
            looks.tick().await;
        }
    });
    let (freed, other) = tokio::join!(freed, read_a_while(other, &rig));
    freed.unwrap();
    drop((stream, other));
}

/// Reads a stream for a few documents while others ask too; it stays open.
async fn read_a_while(mut stream: TcpStream, rig: &Rig) -> TcpStream {
    until_text(&mut stream, "event: snapshot", 4).await;
    assert_eq!(rig.get("/api/dashboard").await.0, 200);
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_do_not_come_leave_the_process_in_sight() {
    let pair = TestPair::new().await.unwrap();
    let rig = Rig::at(pair, "postgres://exec_rw@127.0.0.1:1/decision".to_owned(), 16).await;
    rig.figures.0.lock().unwrap().sys_mode = SysMode::Pause;
    let stale = rig.panel.as_ref().unwrap().stale();
    rig.until(|| *stale.borrow()).await;
    timeout(LIMIT, async {
        loop {
            let document = rig.document().await;
            if document.ext.stale_ms > 0 && document.sys_mode == SysMode::Pause {
                break;
            }
        }
    })
    .await
    .unwrap();
    // The orders have no memory to fall back to.
    assert_eq!(rig.get("/api/orders").await, (500, "Internal Server Error".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_taken_is_said_and_tried_again() {
    let pair = TestPair::new().await.unwrap();
    let (address, port) = penstock_clusters::testing::own_place();
    let holder = std::net::TcpListener::bind((address, port)).unwrap();
    let url = pair.url(ClusterRole::Decision, "exec_rw");
    let settings = Settings {
        address: SocketAddr::from((address, port)),
        every: Duration::from_millis(250),
        connections_max: 16,
        streams_max: 2,
        lengths: Lengths { intents: 50, diffs: 50, symbols: 50 },
    };
    let open = Box::new(move || {
        pools::open_lazy(&url, ClusterRole::Decision, &PoolSettings::observer("penstock-test", 2))
    });
    let figures: Arc<dyn Look> = Arc::new(Figures(Mutex::new(live())));
    let panel = start(settings, identity(), figures, open).unwrap();
    let listening = panel.listening();
    let rig = Rig {
        panel: Some(panel),
        at: SocketAddr::from((address, port)),
        figures: Arc::new(Figures(Mutex::new(live()))),
        _pair: pair,
    };
    rig.until(|| listening.place() == Place::Taken).await;
    drop(holder);
    rig.until(|| listening.place() == Place::Listens).await;
}
