//! A published market and an account that remembers what it was asked, for tests of the cycle.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use penstock_config::{Process, Sources, resolve};
use penstock_execution::account::{Account, EntryOutcome, EntryRequest};
use penstock_execution::attach::{Session, start};
use penstock_execution::settings::{RunMode, Settings};
use penstock_store::ClusterRole;
use penstock_store::fence::{FENCE_TTL_MS, Fence, FenceRequest, FencedService};
use penstock_store::samples::{sample_lineage, sample_run};
use penstock_store::state_copy::encode_state;
use penstock_store::testing::TestPair;
use penstock_store::twins::{
    EpochCriteria, InstrumentTwin, JudgedEpochRow, LineageRow, RunRow, RunSymbolRow,
    UniverseSnapshotRow,
};
use penstock_store_decision::epochs::{EpochInput, publish_epoch};
use penstock_store_decision::frames::{FramePrerequisites, FramePublisher, FrameRow};
use penstock_store_decision::publication::{GenerationInput, GenerationPublisher, decision_clock};
use penstock_store_decision::upsert_instruments;
use penstock_trading::cycle::StreamStatus;
use penstock_trading::fixtures::{calm, dec, hot, symbol};
use penstock_types::frame::{
    FrameFlags, FrameHeader, QuoteBlock, QuoteEntry, encode_frame, encode_quotes, sha256,
};
use penstock_types::state_row::{StateRow, content_hash};
use penstock_types::vocab::EpochStatus;
use penstock_types::{
    EpochId, FencingToken, GenerationId, OrderId, RunId, Seq, SnapshotId, Symbol, TickId, Uuid,
};
use sqlx::PgPool;

pub(crate) const N: usize = 8;
const RUN: RunId = RunId(1);

/// Remembers requests; answers them as sent.
#[derive(Debug, Default)]
pub(crate) struct Ledgerless {
    pub(crate) requests: Mutex<Vec<EntryRequest>>,
}

impl Account for Ledgerless {
    fn stream_status(&self) -> StreamStatus {
        StreamStatus { connected: true, snapshots_ok: true, silent_ms: 10 }
    }

    fn latency_us(&self) -> i64 {
        250_000
    }

    fn is_busy(&self, _: &Symbol) -> bool {
        false
    }

    async fn submit_entry(&self, request: EntryRequest) -> EntryOutcome {
        self.requests.lock().unwrap().push(request);
        EntryOutcome::Sent { order_id: OrderId(1) }
    }
}

/// What ingest would publish.
pub(crate) struct Market {
    pub(crate) pool: PgPool,
    pub(crate) token: FencingToken,
    run: RunRow,
    lineage: LineageRow,
    publisher: GenerationPublisher,
    frames: FramePublisher,
    previous: [u8; 32],
    frame_seq: i64,
    _fence: Fence,
    _state_dir: tempfile::TempDir,
}

impl Market {
    pub(crate) async fn new(pair: &TestPair) -> Self {
        let pool = pair.pool(ClusterRole::Decision, "publisher_rw").await.unwrap();
        let state_dir = tempfile::tempdir().unwrap();
        let request = FenceRequest {
            service: FencedService::Ingest,
            domain: "test".to_owned(),
            holder_id: Uuid::from_u128(7),
            host: "host".to_owned(),
            pid: 42,
            ttl_ms: FENCE_TTL_MS,
            state_dir: state_dir.path().to_owned(),
            timeout: Duration::from_secs(10),
        };
        let fence = Fence::acquire(&pool, request, |_| {}).await.unwrap();
        let token = fence.token();
        let run = sample_run(RUN, token);
        let lineage = sample_lineage(&run);
        let publisher = GenerationPublisher::new(pool.clone());
        let frames = FramePublisher::new(pool.clone(), "test".to_owned());
        let mut conn = pool.acquire().await.unwrap();
        upsert_instruments(&mut conn, token, &(0..N).map(instrument).collect::<Vec<_>>())
            .await
            .unwrap();
        Self {
            pool,
            token,
            run,
            lineage,
            publisher,
            frames,
            previous: [0; 32],
            frame_seq: 0,
            _fence: fence,
            _state_dir: state_dir,
        }
    }

    /// Publishes generation `n`; the last symbol breaks out.
    pub(crate) async fn generation(&mut self, n: i64) -> GenerationId {
        let generation_id = GenerationId(self.token.0 * 1_000_000_000 + n);
        let mut rows: Vec<StateRow> = (0..N).map(calm).collect();
        hot(&mut rows[N - 1]);
        for row in &mut rows {
            (row.run_id, row.generation_id) = (RUN, generation_id);
        }
        let now = decision_clock(&self.pool).await.unwrap();
        self.publisher
            .publish(&GenerationInput {
                run: &self.run,
                lineage: &self.lineage,
                run_symbols: &[],
                token: self.token,
                generation_id,
                as_of: now,
                cut_at: Instant::now(),
                last_msg_age_ms: 5,
                encoded: &encode_state(&rows),
                row_count: i32::try_from(N).unwrap(),
                content_hash: content_hash(&rows),
                refresh_duration_ms: 1,
                gap_open: false,
                candles: &[],
                trim_candles: false,
            })
            .await
            .unwrap();
        generation_id
    }

    /// Publishes a valid epoch over all symbols.
    pub(crate) async fn epoch(&self, n: i64) {
        let now = decision_clock(&self.pool).await.unwrap();
        let number = self.token.0 * 1_000_000_000 + n;
        let names: Vec<String> = (0..N).map(|i| symbol(i).as_str().to_owned()).collect();
        let snapshot = UniverseSnapshotRow {
            snapshot_id: SnapshotId(number),
            run_id: RUN,
            lineage_id: self.run.lineage_id,
            as_of: now,
            published_at: now,
            execution_symbols: names.clone(),
            pinned_symbols: Vec::new(),
            l3_symbols: Vec::new(),
            tracked_symbols: names,
            excluded: serde_json::json!({}),
            universe_hash: "0".repeat(64),
            fencing_token: self.token,
        };
        let epoch = JudgedEpochRow {
            epoch_id: EpochId(number),
            lineage_id: self.run.lineage_id,
            epoch_seq: i32::try_from(n).unwrap(),
            run_id: RUN,
            snapshot_id: Some(snapshot.snapshot_id),
            generation_id: None,
            status: EpochStatus::Valid,
            window_start: now.plus_millis(-20_000),
            window_end: now,
            created_at: now,
            completed_at: now,
            symbol_count: 8,
            entry_set_count: 8,
            pinned_excluded_count: 0,
            hard_blocked_excluded_count: 0,
            frac_ticker: None,
            frac_trade: None,
            frac_l2: None,
            frac_l3: None,
            l3_mode: None,
            criteria: EpochCriteria::default(),
            reasons: Vec::new(),
            fencing_token: self.token,
        };
        let (run, lineage) = (&self.run, &self.lineage);
        let input = EpochInput {
            token: self.token,
            run,
            lineage,
            snapshot: Some(&snapshot),
            epoch: &epoch,
        };
        publish_epoch(&self.pool, input).await.unwrap();
    }

    /// Publishes a frame of now with a full quote block.
    pub(crate) async fn frame(&mut self) -> TickId {
        let now = decision_clock(&self.pool).await.unwrap();
        let tick_id = TickId(now.tick().0 - 1);
        self.frame_seq += 1;
        let header = FrameHeader {
            flags: FrameFlags::EMPTY,
            tick_id,
            frame_seq: self.frame_seq,
            run_id: RUN,
            fencing_token: self.token,
            n_events: 0,
            gap_ticks: 0,
            previous: self.previous,
            sealed_at: now,
        };
        let frame = encode_frame(&header, &[]).unwrap();
        self.previous = sha256(&frame);
        let entries = (1..=N)
            .map(|no| QuoteEntry {
                symbol_no: u16::try_from(no).unwrap(),
                bid: 9_999,
                ask: 10_001,
                bid_qty: 50_000,
                ask_qty: 50_000,
                exchange_ts: 0,
                seq: Seq(4_711),
            })
            .collect();
        let quotes = encode_quotes(&QuoteBlock { tick_id, full: true, entries }).unwrap();
        let row = FrameRow {
            tick_id,
            frame_seq: self.frame_seq,
            run_id: RUN,
            fencing_token: self.token,
            epoch_id: None,
            flags: i32::from(FrameFlags::EMPTY.0),
            n_events: 0,
            frame_sha256: self.previous,
            frame,
            quotes,
            seal_lag_ms: 3,
        };
        let symbols: Vec<RunSymbolRow> = (0..N).map(run_symbol).collect();
        let before = FramePrerequisites { run: None, run_symbols: &symbols };
        self.frames.publish(self.token, before, &[row]).await.unwrap();
        tick_id
    }
}

fn run_symbol(i: usize) -> RunSymbolRow {
    RunSymbolRow {
        run_id: RUN,
        symbol_no: u16::try_from(i + 1).unwrap(),
        symbol: symbol(i),
        price_decimals: 2,
        qty_decimals: 3,
    }
}

fn instrument(i: usize) -> InstrumentTwin {
    InstrumentTwin {
        symbol: symbol(i).as_str().to_owned(),
        base: format!("S{i:03}"),
        quote: "USD".to_owned(),
        status: "online".to_owned(),
        price_increment: dec("0.01"),
        qty_increment: dec("0.0001"),
        qty_min: dec("0.001"),
        cost_min: dec("0.5"),
        price_precision: 2,
        qty_precision: 4,
        marginable: false,
        content_hash: "0".repeat(64),
    }
}

/// Settings of the demo's kind against a test pair.
pub(crate) fn settings(pair: &TestPair, state_dir: &std::path::Path, enable: bool) -> Settings {
    let mut environment = BTreeMap::new();
    let url = pair.url(ClusterRole::Decision, "exec_rw");
    environment.insert("DECISION_DATABASE_URL".to_owned(), url);
    let state_dir = state_dir.display();
    let file = format!(
        "domain = \"test\"\nexecution_enable = {enable}\nstate_directory = \"{state_dir}\"\n\
         degrade_exit_stable_window_ms = 1000\nrisk_max_exposure_symbol_quote = \"100\"\n"
    );
    let sources = Sources {
        process: Process::Execution,
        file: Some(("test.toml".to_owned(), file)),
        environment,
        secret_files: BTreeMap::new(),
    };
    Settings::new(resolve(&sources).unwrap(), RunMode::Attach).unwrap()
}

/// A session on a test pair, its account funded.
pub(crate) async fn session(pair: &TestPair, settings: Settings) -> Session {
    let pool = pair.pool(ClusterRole::Decision, "exec_rw").await.unwrap();
    sqlx::query(
        "insert into exchange_balances (asset, balance, as_of, source, updated_at)
         values ('USD', 10000, clock_timestamp(), 'test', clock_timestamp())",
    )
    .execute(&pool)
    .await
    .unwrap();
    sqlx::query(
        "insert into fee_tiers (as_of, maker_bps, taker_bps, source)
         values (clock_timestamp(), 10, 20, 'live')",
    )
    .execute(&pool)
    .await
    .unwrap();
    start(settings, pool).await.unwrap()
}

/// Waits until a condition holds, at most ten seconds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    let mut beat = tokio::time::interval(Duration::from_millis(10));
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(10), "{what} did not come");
        beat.tick().await;
    }
}
