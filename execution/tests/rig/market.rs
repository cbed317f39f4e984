//! A published market for tests: what ingest would write, written by the stores' own publishers.
//!
//! Inputs: a pool of `publisher_rw` on a migrated decision cluster, the listed symbols, what the market
//! looks like. Outputs: instruments, generations, epochs, frames with quotes, under a real fence.
//! Invariants: every symbol passes the data gates; at most the last one is worth an entry. Nothing is
//! received and nothing is aggregated: the rows are made up, only their way to the cluster is real.

use std::time::{Duration, Instant};

use penstock_store::fence::{Fence, FenceRequest, FencedService};
use penstock_store::samples::{sample_lineage, sample_run};
use penstock_store::state_copy::encode_state;
use penstock_store::testing::TestError;
use penstock_store::twins::{
    EpochCriteria, InstrumentTwin, JudgedEpochRow, LineageRow, RunRow, RunSymbolRow,
    UniverseSnapshotRow,
};
use penstock_store_decision::epochs::{EpochInput, publish_epoch};
use penstock_store_decision::frames::{
    FRAMES_PER_TX_MAX, FramePrerequisites, FramePublisher, FrameRow,
};
use penstock_store_decision::publication::{GenerationInput, GenerationPublisher, decision_clock};
use penstock_store_decision::upsert_instruments;
use penstock_trading::fixtures::{calm, hot};
use penstock_types::frame::{
    FrameFlags, FrameHeader, Link, QuoteBlock, QuoteEntry, decode_header, deliver, encode_frame,
    encode_quotes,
};
use penstock_types::state_row::{StateRow, content_hash};
use penstock_types::vocab::EpochStatus;
use penstock_types::{
    Decimal, EpochId, FencingToken, GenerationId, RunId, Seq, SnapshotId, Symbol, TickId,
    UtcMicros, Uuid,
};
use sqlx::PgPool;

const RUN: RunId = RunId(1);
/// Ticks before the first frame that a session may read back.
const READ_BACK_TICKS: i64 = 280;
/// Ids of a fence's rows begin at its token times this.
const NUMBERS_PER_TOKEN: i64 = 1_000_000_000;

/// A symbol with the venue's rules; prices move in steps of one unit of their last digit.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) symbol: Symbol,
    pub(crate) price_decimals: u32,
    pub(crate) qty_decimals: u32,
    pub(crate) qty_min: Decimal,
    pub(crate) cost_min: Decimal,
}

/// What the market looks like: all mids in ticks, and whether the last symbol breaks out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Picture {
    pub(crate) mid_ticks: i64,
    pub(crate) hot: bool,
}

/// Changes a row.
pub(crate) type Spoil = fn(&mut StateRow);

/// What ingest would publish.
pub(crate) struct Market {
    pub(crate) pool: PgPool,
    pub(crate) token: FencingToken,
    /// Its bindings may be exchanged before the first generation.
    pub(crate) run: RunRow,
    /// What generations say of gaps.
    pub(crate) gap_open: bool,
    /// Its frames come from elsewhere.
    pub(crate) is_without_frames: bool,
    /// Symbols that the universe tracks and leaves out, with the reason.
    pub(crate) left_out: Vec<(Symbol, &'static str)>,
    /// What generations say of one symbol instead.
    pub(crate) spoiled: Option<(Symbol, Spoil)>,
    listed: Vec<Listed>,
    lineage: LineageRow,
    publisher: GenerationPublisher,
    frames: FramePublisher,
    last: Option<Link>,
    fence: Fence,
    _state_dir: tempfile::TempDir,
}

impl Market {
    /// Takes the fence of ingest and writes the instruments; `listed` ascends by symbol.
    pub(crate) async fn new(pool: PgPool, listed: Vec<Listed>) -> Result<Self, TestError> {
        let state_dir = tempfile::tempdir()?;
        let request = FenceRequest {
            service: FencedService::Ingest,
            domain: "test".to_owned(),
            holder_id: Uuid::from_u128(7),
            host: "host".to_owned(),
            pid: 42,
            ttl_ms: 15_000,
            state_dir: state_dir.path().to_owned(),
            timeout: Duration::from_secs(10),
        };
        let fence = Fence::acquire(&pool, request, |_| {}).await?;
        let token = fence.token();
        let run = sample_run(RUN, token);
        let lineage = sample_lineage(&run);
        let mut conn = pool.acquire().await?;
        upsert_instruments(&mut conn, token, &listed.iter().map(twin).collect::<Vec<_>>()).await?;
        drop(conn);
        Ok(Self {
            token,
            run,
            gap_open: false,
            is_without_frames: false,
            left_out: Vec::new(),
            spoiled: None,
            listed,
            lineage,
            publisher: GenerationPublisher::new(pool.clone()),
            frames: FramePublisher::new(pool.clone(), "test".to_owned()),
            pool,
            last: None,
            fence,
            _state_dir: state_dir,
        })
    }

    /// Publishes generation `n`.
    pub(crate) async fn generation(
        &mut self,
        n: i64,
        picture: Picture,
    ) -> Result<GenerationId, TestError> {
        let generation_id = GenerationId(self.token.0 * NUMBERS_PER_TOKEN + n);
        let rows = self.rows(generation_id, picture);
        let now = decision_clock(&self.pool).await?;
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
                row_count: i32::try_from(rows.len())?,
                content_hash: content_hash(&rows),
                refresh_duration_ms: 1,
                gap_open: self.gap_open,
                candles: &[],
                trim_candles: false,
            })
            .await?;
        Ok(generation_id)
    }

    fn rows(&self, generation_id: GenerationId, picture: Picture) -> Vec<StateRow> {
        let last = self.listed.len() - 1;
        let row = |(i, one): (usize, &Listed)| {
            let mut row = calm(i);
            if i == last {
                let quiet = row.clone();
                hot(&mut row);
                if !picture.hot {
                    // The regime stays: a change of it would move the stop of a held position.
                    row.drift_1m_bps = quiet.drift_1m_bps;
                    row.drift_15m_bps = quiet.drift_15m_bps;
                    row.trend_strength = quiet.trend_strength;
                    row.ofi_1m = quiet.ofi_1m;
                }
            }
            let price = |ticks| Some(Decimal::new(ticks, one.price_decimals));
            row.symbol = one.symbol.clone();
            (row.run_id, row.generation_id) = (RUN, generation_id);
            (row.bid, row.ask) = (price(picture.mid_ticks - 1), price(picture.mid_ticks + 1));
            let mid = price(picture.mid_ticks);
            (row.mid, row.last, row.vwap_5m) = (mid, mid, mid);
            if let Some((symbol, spoil)) = &self.spoiled
                && *symbol == one.symbol
            {
                spoil(&mut row);
            }
            row
        };
        self.listed.iter().enumerate().map(row).collect()
    }

    /// Extends the lease and publishes a valid epoch over all symbols.
    pub(crate) async fn epoch(&mut self, n: i64) -> Result<(), TestError> {
        self.fence.renew(&self.pool).await?;
        let now = decision_clock(&self.pool).await?;
        let number = self.token.0 * NUMBERS_PER_TOKEN + n;
        let names: Vec<String> =
            self.listed.iter().map(|one| one.symbol.as_str().to_owned()).collect();
        let is_left_out =
            |name: &String| self.left_out.iter().any(|(symbol, _)| symbol.as_str() == name);
        let execution: Vec<String> =
            names.iter().filter(|name| !is_left_out(name)).cloned().collect();
        let mut excluded = serde_json::json!({});
        for (symbol, code) in &self.left_out {
            excluded[*code] = serde_json::json!([symbol]);
        }
        let count = i32::try_from(execution.len())?;
        let snapshot = UniverseSnapshotRow {
            snapshot_id: SnapshotId(number),
            run_id: RUN,
            lineage_id: self.run.lineage_id,
            as_of: now,
            published_at: now,
            execution_symbols: execution,
            pinned_symbols: Vec::new(),
            l3_symbols: Vec::new(),
            tracked_symbols: names,
            excluded,
            universe_hash: "0".repeat(64),
            fencing_token: self.token,
        };
        let epoch = JudgedEpochRow {
            epoch_id: EpochId(number),
            lineage_id: self.run.lineage_id,
            epoch_seq: i32::try_from(n)?,
            run_id: RUN,
            snapshot_id: Some(snapshot.snapshot_id),
            generation_id: None,
            status: EpochStatus::Valid,
            window_start: now.plus_millis(-20_000),
            window_end: now,
            created_at: now,
            completed_at: now,
            symbol_count: count,
            entry_set_count: count,
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
        let token = self.token;
        let input = EpochInput { token, run, lineage, snapshot: Some(&snapshot), epoch: &epoch };
        publish_epoch(&self.pool, input).await?;
        Ok(())
    }

    /// Publishes a frame of now with a full quote block, unless its tick has one or they come from elsewhere.
    pub(crate) async fn frame(&mut self, picture: Picture) -> Result<TickId, TestError> {
        let now = decision_clock(&self.pool).await?;
        let tick_id = TickId(now.tick().0 - 1);
        if self.is_without_frames {
            return Ok(tick_id);
        }
        if let Some(last) = self.last.filter(|last| tick_id <= last.tick_id) {
            return Ok(last.tick_id);
        }
        let mut rows = Vec::new();
        if self.last.is_none() {
            // A market of a minute, so that a session which reads back has whole windows over quotes.
            for back in (1..=READ_BACK_TICKS).rev() {
                rows.push(self.row(TickId(tick_id.0 - back), now, picture)?);
            }
        }
        rows.push(self.row(tick_id, now, picture)?);
        let symbols = (1..).zip(&self.listed).map(numbered).collect::<Result<Vec<_>, _>>()?;
        let before = FramePrerequisites { run: None, run_symbols: &symbols };
        for batch in rows.chunks(FRAMES_PER_TX_MAX) {
            self.frames.publish(self.token, before, batch).await?;
        }
        Ok(tick_id)
    }

    /// The next frame, with all quotes in its block.
    fn row(
        &mut self,
        tick_id: TickId,
        now: UtcMicros,
        picture: Picture,
    ) -> Result<FrameRow, TestError> {
        let header = FrameHeader {
            flags: FrameFlags::EMPTY,
            tick_id,
            frame_seq: 0,
            run_id: RUN,
            fencing_token: self.token,
            n_events: 0,
            gap_ticks: 0,
            previous: [0; 32],
            sealed_at: now,
        };
        let mut frame = encode_frame(&header, &[])?;
        let link = deliver(&mut frame, self.last.as_ref())?;
        let mut entries = Vec::new();
        for (no, one) in (1..).zip(&self.listed) {
            let fifty = 50 * 10_i64.pow(one.qty_decimals);
            entries.push(QuoteEntry {
                symbol_no: no,
                bid: picture.mid_ticks - 1,
                ask: picture.mid_ticks + 1,
                bid_qty: fifty,
                ask_qty: fifty,
                exchange_ts: 0,
                seq: Seq(4_711),
            });
        }
        let quotes = encode_quotes(&QuoteBlock { tick_id, full: true, entries })?;
        self.last = Some(link);
        Ok(FrameRow {
            tick_id,
            frame_seq: link.frame_seq,
            run_id: RUN,
            fencing_token: self.token,
            epoch_id: None,
            flags: i32::from(decode_header(&frame)?.flags.0),
            n_events: 0,
            frame_sha256: link.sha256,
            frame,
            quotes,
            seal_lag_ms: 3,
        })
    }
}

fn numbered((symbol_no, one): (u16, &Listed)) -> Result<RunSymbolRow, TestError> {
    Ok(RunSymbolRow {
        run_id: RUN,
        symbol_no,
        symbol: one.symbol.clone(),
        price_decimals: i16::try_from(one.price_decimals)?,
        qty_decimals: i16::try_from(one.qty_decimals)?,
    })
}

fn twin(one: &Listed) -> InstrumentTwin {
    InstrumentTwin {
        symbol: one.symbol.as_str().to_owned(),
        base: one.symbol.base().to_owned(),
        quote: one.symbol.quote().to_owned(),
        status: "online".to_owned(),
        price_increment: Decimal::new(1, one.price_decimals),
        qty_increment: Decimal::new(1, one.qty_decimals),
        qty_min: one.qty_min,
        cost_min: one.cost_min,
        price_precision: i16::try_from(one.price_decimals).unwrap_or(i16::MAX),
        qty_precision: i16::try_from(one.qty_decimals).unwrap_or(i16::MAX),
        marginable: false,
        content_hash: "0".repeat(64),
    }
}
