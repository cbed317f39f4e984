//! Purpose: what ingest would publish for an evaluation: instruments, generations, an epoch, frames with
//! quotes. Inputs: an open run and a number of symbols. Outputs: rows on the decision cluster. Invariants:
//! written by the service's own publishers; every symbol passes the data gates and the last one breaks
//! out, so that each generation has exactly one entry worth making.

use std::time::Instant;

use penstock_store::state_copy::encode_state;
use penstock_store::twins::{
    EpochCriteria, InstrumentTwin, JudgedEpochRow, RunSymbolRow, UniverseSnapshotRow,
};
use penstock_store_decision::epochs::{EpochInput, publish_epoch};
use penstock_store_decision::frames::{
    FRAMES_PER_TX_MAX, FramePrerequisites, FramePublisher, FrameRow,
};
use penstock_store_decision::publication::{GenerationInput, GenerationPublisher, decision_clock};
use penstock_store_decision::upsert_instruments;
use penstock_trading::fixtures;
use penstock_types::frame::{
    FrameFlags, FrameHeader, Link, QuoteBlock, QuoteEntry, decode_header, deliver, encode_frame,
    encode_quotes,
};
use penstock_types::state_row::{StateRow, content_hash};
use penstock_types::vocab::EpochStatus;
use penstock_types::{EpochId, GenerationId, Seq, SnapshotId, Symbol, TickId, UtcMicros};

use super::rig::Run;

/// Ticks before the first frame that a session may read back.
const READ_BACK_TICKS: i64 = 280;
/// Numbers of a fencing token begin at its number times this.
const NUMBERS_PER_TOKEN: i64 = 1_000_000_000;
/// Scale of the prices of the fixtures.
const PRICE_DECIMALS: i16 = 2;
/// Scale of their quantities.
const QTY_DECIMALS: i16 = 4;

/// The publisher of a market of `count` symbols.
#[derive(Debug)]
pub(super) struct Published {
    /// The open run.
    pub(super) run: Run,
    count: usize,
    generations: GenerationPublisher,
    frames: FramePublisher,
    number: i64,
    epochs: i64,
    last: Option<Link>,
}

impl Published {
    /// Writes the instruments; nothing else is there yet.
    ///
    /// # Errors
    /// What the cluster said.
    pub(super) async fn new(run: Run, count: usize) -> anyhow::Result<Self> {
        let rows: Vec<InstrumentTwin> = (0..count).map(instrument).collect();
        let mut conn = run.publisher.acquire().await?;
        upsert_instruments(&mut conn, run.fence.token(), &rows).await?;
        drop(conn);
        Ok(Self {
            generations: GenerationPublisher::new(run.publisher.clone()),
            frames: FramePublisher::new(run.publisher.clone(), run.run.domain.clone()),
            run,
            count,
            number: 0,
            epochs: 0,
            last: None,
        })
    }

    /// The symbol that breaks out.
    pub(super) fn hot(&self) -> Symbol {
        fixtures::symbol(self.count.saturating_sub(1))
    }

    fn id(&self, number: i64) -> i64 {
        self.run.fence.token().0 * NUMBERS_PER_TOKEN + number
    }

    /// Publishes the next generation; returns right after its commit.
    ///
    /// # Errors
    /// What the cluster said.
    pub(super) async fn generation(&mut self) -> anyhow::Result<GenerationId> {
        self.number += 1;
        let generation_id = GenerationId(self.id(self.number));
        let now = decision_clock(&self.run.publisher).await?;
        let mut rows: Vec<StateRow> = (0..self.count).map(fixtures::calm).collect();
        if let Some(last) = rows.last_mut() {
            fixtures::hot(last);
        }
        for row in &mut rows {
            (row.run_id, row.generation_id) = (self.run.run.run_id, generation_id);
        }
        let encoded = encode_state(&rows);
        self.generations
            .publish(&GenerationInput {
                run: &self.run.run,
                lineage: &self.run.lineage,
                run_symbols: &[],
                token: self.run.fence.token(),
                generation_id,
                as_of: now,
                cut_at: Instant::now(),
                last_msg_age_ms: 5,
                encoded: &encoded,
                row_count: i32::try_from(rows.len())?,
                content_hash: content_hash(&rows),
                refresh_duration_ms: 1,
                gap_open: false,
                candles: &[],
                trim_candles: false,
            })
            .await?;
        Ok(generation_id)
    }

    /// Publishes a valid epoch over all symbols.
    ///
    /// # Errors
    /// What the cluster said.
    pub(super) async fn epoch(&mut self) -> anyhow::Result<()> {
        self.epochs += 1;
        let now = decision_clock(&self.run.publisher).await?;
        let number = self.id(self.epochs);
        let token = self.run.fence.token();
        let (run_id, lineage_id) = (self.run.run.run_id, self.run.lineage.lineage_id);
        let names: Vec<String> =
            (0..self.count).map(|i| fixtures::symbol(i).as_str().to_owned()).collect();
        let snapshot = UniverseSnapshotRow {
            snapshot_id: SnapshotId(number),
            run_id,
            lineage_id,
            as_of: now,
            published_at: now,
            execution_symbols: names.clone(),
            pinned_symbols: Vec::new(),
            l3_symbols: Vec::new(),
            tracked_symbols: names,
            excluded: serde_json::json!({}),
            universe_hash: "0".repeat(64),
            fencing_token: token,
        };
        let count = i32::try_from(self.count)?;
        let epoch = JudgedEpochRow {
            epoch_id: EpochId(number),
            lineage_id,
            epoch_seq: i32::try_from(self.epochs)?,
            run_id,
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
            fencing_token: token,
        };
        let (run, lineage) = (&self.run.run, &self.run.lineage);
        let input = EpochInput { token, run, lineage, snapshot: Some(&snapshot), epoch: &epoch };
        publish_epoch(&self.run.publisher, input).await?;
        Ok(())
    }

    /// Publishes a frame of now with the quotes of all symbols. Two of them need a tick between them.
    ///
    /// # Errors
    /// What the cluster said.
    pub(super) async fn frame(&mut self) -> anyhow::Result<TickId> {
        let now = decision_clock(&self.run.publisher).await?;
        let tick_id = TickId(now.tick().0 - 1);
        let (run_id, token) = (self.run.run.run_id, self.run.fence.token());
        let mut symbols = Vec::with_capacity(self.count);
        for i in 0..self.count {
            symbols.push(RunSymbolRow {
                run_id,
                symbol_no: u16::try_from(i + 1)?,
                symbol: fixtures::symbol(i),
                price_decimals: PRICE_DECIMALS,
                qty_decimals: QTY_DECIMALS,
            });
        }
        let mut rows = Vec::new();
        if self.last.is_none() {
            // A market of a minute, so that a session which reads back has whole windows over quotes.
            for back in (1..=READ_BACK_TICKS).rev() {
                rows.push(self.row(TickId(tick_id.0 - back), now)?);
            }
        }
        rows.push(self.row(tick_id, now)?);
        let before = FramePrerequisites { run: None, run_symbols: &symbols };
        for batch in rows.chunks(FRAMES_PER_TX_MAX) {
            self.frames.publish(token, before, batch).await?;
        }
        Ok(tick_id)
    }

    /// The next frame, with the quotes of all symbols in its block.
    fn row(&mut self, tick_id: TickId, now: UtcMicros) -> anyhow::Result<FrameRow> {
        let (run_id, token) = (self.run.run.run_id, self.run.fence.token());
        let header = FrameHeader {
            flags: FrameFlags::EMPTY,
            tick_id,
            // Number, hash and the ticks since the last frame are filled in by the delivery.
            frame_seq: 0,
            run_id,
            fencing_token: token,
            n_events: 0,
            gap_ticks: 0,
            previous: [0; 32],
            sealed_at: now,
        };
        let mut frame = encode_frame(&header, &[])?;
        let link = deliver(&mut frame, self.last.as_ref())?;
        let flags = decode_header(&frame)?.flags;
        let mut entries = Vec::with_capacity(self.count);
        for i in 0..self.count {
            entries.push(QuoteEntry {
                symbol_no: u16::try_from(i + 1)?,
                bid: 9_999,
                ask: 10_001,
                bid_qty: 500_000,
                ask_qty: 500_000,
                exchange_ts: 0,
                seq: Seq(1),
            });
        }
        let quotes = encode_quotes(&QuoteBlock { tick_id, full: true, entries })?;
        self.last = Some(link);
        Ok(FrameRow {
            tick_id,
            frame_seq: link.frame_seq,
            run_id,
            fencing_token: token,
            epoch_id: None,
            flags: i32::from(flags.0),
            n_events: 0,
            frame_sha256: link.sha256,
            frame,
            quotes,
            seal_lag_ms: 3,
        })
    }
}

fn instrument(i: usize) -> InstrumentTwin {
    let rules = fixtures::instrument(i);
    InstrumentTwin {
        symbol: rules.symbol.as_str().to_owned(),
        base: rules.base,
        quote: rules.quote,
        status: rules.status,
        price_increment: rules.price_increment,
        qty_increment: rules.qty_increment,
        qty_min: rules.qty_min,
        cost_min: rules.cost_min,
        price_precision: PRICE_DECIMALS,
        qty_precision: QTY_DECIMALS,
        marginable: false,
        content_hash: "0".repeat(64),
    }
}
