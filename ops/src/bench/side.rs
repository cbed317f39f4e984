//! Purpose: one database pair that is published to, and what is published. Inputs: an open run, a market.
//! Outputs: times of record and publication. Invariants: cut, encoding and both transactions are the
//! service's own code; one connection publishes, one records. It says nothing about what else goes on.

use std::time::{Duration, Instant};

use penstock_ingest::cut_rows::{generation_row, watermarks};
use penstock_store::raw_rows::GenerationRow;
use penstock_store::state_copy::encode_state;
use penstock_store::{ClusterRole, RightOfWay};
use penstock_store_decision::publication::{GenerationInput, GenerationPublisher};
use penstock_store_ingest::generations::{GenerationRecorder, Watermark};
use penstock_types::{GenerationId, UtcMicros};

use super::figures::Samples;
use super::floor::Floor;
use super::market::Market;
use super::rig::{Databases, Run};

/// Domain of the bench.
const DOMAIN: &str = "bench";
/// Seconds of market that stand behind the first cut: the longest window of the state.
const HISTORY_SECONDS: i64 = 1_800;
/// The service gives up after a quarter of a second; here the whole time is wanted.
const RECORD_DEADLINE: Duration = Duration::from_secs(10);
/// Generations of a fencing token begin at its number times this.
const GENERATIONS_PER_TOKEN: i64 = 1_000_000_000;

/// A database with its publisher and its times.
pub(super) struct Side {
    /// Its run.
    pub(super) run: Run,
    /// Its loader gives way to its publications, as in the service.
    pub(super) way: RightOfWay,
    recorder: GenerationRecorder,
    publisher: GenerationPublisher,
    /// One-row commits on its decision cluster.
    pub(super) floor: Floor,
}

/// Times of publications.
#[derive(Debug, Default)]
pub(super) struct Times {
    /// Record on the ingest cluster.
    pub(super) record: Samples,
    /// Publication on the decision cluster.
    pub(super) publish: Samples,
    /// One after the other.
    pub(super) both: Samples,
}

/// What a round publishes.
pub(super) struct Cut {
    row: GenerationRow,
    watermarks: Vec<Watermark>,
    encoded: Vec<u8>,
    last_msg_age_ms: i32,
    gap_open: bool,
    cut_at: Instant,
}

/// When a bench's market begins: candles older than two days would be removed at a full hour.
#[must_use]
pub(super) fn market_start() -> UtcMicros {
    UtcMicros::from(chrono::Utc::now()).plus_millis(-HISTORY_SECONDS * 1_000)
}

/// A market with half an hour behind it, recorded under the run of a side.
///
/// # Errors
/// A symbol that is none.
pub(super) fn market(side: &Side, start: UtcMicros, symbols: u32) -> anyhow::Result<Market> {
    let (run, lineage) = (&side.run.run, &side.run.lineage);
    let mut market = Market::new(run.run_id, lineage.lineage_id, start, usize::try_from(symbols)?)?;
    for _ in 0..HISTORY_SECONDS {
        market.second();
    }
    Ok(market)
}

/// Cuts and encodes; the times of both go where they are wanted.
pub(super) fn make_cut(
    market: &mut Market,
    round: u32,
    times: Option<(&mut Samples, &mut Samples)>,
) -> Cut {
    let cut_at = Instant::now();
    let cut = market.cut(GenerationId(GENERATIONS_PER_TOKEN + i64::from(round) + 1));
    let took = cut_at.elapsed();
    let encoding = Instant::now();
    let encoded = encode_state(&cut.rows);
    if let Some((cuts, encodings)) = times {
        cuts.push(took);
        encodings.push(encoding.elapsed());
    }
    Cut {
        row: generation_row(&cut, i32::try_from(took.as_millis()).unwrap_or(i32::MAX), true),
        watermarks: watermarks(&cut),
        encoded,
        last_msg_age_ms: i32::try_from(cut.last_msg_age_ms).unwrap_or(i32::MAX),
        gap_open: cut.gap_open,
        cut_at,
    }
}

impl Side {
    /// Opens a run on a pair of databases.
    ///
    /// # Errors
    /// What a cluster said.
    pub(super) async fn open(databases: &Databases, start: UtcMicros) -> anyhow::Result<Self> {
        let run = databases.open_run(DOMAIN, start).await?;
        Ok(Self {
            recorder: GenerationRecorder::new(run.ingest.clone()).with_deadline(RECORD_DEADLINE),
            publisher: GenerationPublisher::new(run.publisher.clone()),
            floor: Floor::new(databases.superuser(ClusterRole::Decision).await?).await?,
            way: RightOfWay::default(),
            run,
        })
    }

    /// Records and publishes a cut; the times of a round that counts go into `times`.
    ///
    /// # Errors
    /// What a cluster said.
    pub(super) async fn publish(
        &mut self,
        cut: &Cut,
        times: Option<&mut Times>,
    ) -> anyhow::Result<()> {
        // Both databases have the same run, but each its own lineage.
        let lineage_id = self.run.lineage.lineage_id;
        let row = GenerationRow { lineage_id, ..cut.row.clone() };
        let started = Instant::now();
        let passing = self.way.take();
        let record = self.recorder.record(&row, &cut.watermarks, &cut.encoded).await?;
        drop(passing);
        let passing = self.way.take();
        let published = self
            .publisher
            .publish(&GenerationInput {
                run: &self.run.run,
                lineage: &self.run.lineage,
                run_symbols: &[],
                token: self.run.fence.token(),
                generation_id: row.generation_id,
                as_of: row.as_of,
                cut_at: cut.cut_at,
                last_msg_age_ms: cut.last_msg_age_ms,
                encoded: &cut.encoded,
                row_count: row.row_count,
                content_hash: row.content_hash,
                refresh_duration_ms: row.refresh_duration_ms,
                gap_open: cut.gap_open,
                candles: &[],
                trim_candles: false,
            })
            .await?;
        drop(passing);
        if let Some(times) = times {
            times.record.push(record);
            times.publish.push(published.duration);
            times.both.push(started.elapsed());
        }
        Ok(())
    }
}
