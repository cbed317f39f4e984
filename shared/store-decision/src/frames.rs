//! Delivering sealed frames: one short transaction per tick, batches after an outage.
//!
//! Frames go out in tick order on a connection of their own, beside generations: both take the fence
//! row in share mode, so neither queues behind the other. After taking the fence and after a commit
//! of unknown outcome, [`newest_frame_settled`] waits for every unfinished transaction and says what
//! really stands; only frames above that tick, with a token not below it, may follow.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate};
use penstock_store::again;
use penstock_store::fence::{FenceError, FencedService, check_fence, check_fence_for_update};
use penstock_store::partitions::{DailyTable, create_daily_partition};
use penstock_store::twins::{LineageRow, RunRow, RunSymbolRow, TwinMismatch};
use penstock_store::{CopyGuard, StoreError};
use penstock_types::time::TICKS_PER_DAY;
use penstock_types::{EpochId, FencingToken, RunId, TickId};
use sqlx::{PgConnection, PgPool};

use crate::publication::{BEGIN_LIMITED, PublishError, notify};
use crate::twin_runs::{upsert_lineage, upsert_run};
use crate::{CLUSTER, TwinError};

/// Most frames of one transaction.
pub const FRAMES_PER_TX_MAX: usize = 256;

/// A sealed frame, its chain link already set for the delivery.
#[derive(Debug, Clone)]
pub struct FrameRow {
    /// Tick.
    pub tick_id: TickId,
    /// Number of the frame, without a hole.
    pub frame_seq: i64,
    /// Run that sealed it.
    pub run_id: RunId,
    /// Token under which it was sealed; of an inherited frame that of its maker.
    pub fencing_token: FencingToken,
    /// Newest judged epoch when it was sealed.
    pub epoch_id: Option<EpochId>,
    /// Flags of the header.
    pub flags: i32,
    /// Events.
    pub n_events: i32,
    /// Header and payload.
    pub frame: Vec<u8>,
    /// SHA-256 of `frame`.
    pub frame_sha256: [u8; 32],
    /// Quote block.
    pub quotes: Vec<u8>,
    /// From the end of the tick to now.
    pub seal_lag_ms: i32,
}

/// The newest frame that stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewestFrame {
    /// Tick.
    pub tick_id: TickId,
    /// Number.
    pub frame_seq: i64,
    /// Run.
    pub run_id: RunId,
    /// Token.
    pub fencing_token: FencingToken,
    /// Its hash, for the next link.
    pub frame_sha256: [u8; 32],
}

/// Rows that must stand before the frames of a delivery.
#[derive(Debug, Clone, Copy, Default)]
pub struct FramePrerequisites<'a> {
    /// Run and lineage, in the first transactions of a run.
    pub run: Option<(&'a RunRow, &'a LineageRow)>,
    /// New symbols.
    pub run_symbols: &'a [RunSymbolRow],
}

/// Delivers frames of one domain over one kept connection.
#[derive(Debug)]
pub struct FramePublisher {
    pool: PgPool,
    domain: String,
    guard: Option<CopyGuard>,
    days: BTreeSet<i64>,
}

impl FramePublisher {
    /// A publisher on a pool of `publisher_rw`.
    #[must_use]
    pub const fn new(pool: PgPool, domain: String) -> Self {
        Self { pool, domain, guard: None, days: BTreeSet::new() }
    }

    /// Delivers frames, ascending by tick, at most [`FRAMES_PER_TX_MAX`], in one transaction.
    ///
    /// # Errors
    /// [`PublishError`]; [`PublishError::is_unknown`] obliges to [`newest_frame_settled`].
    pub async fn publish(
        &mut self,
        token: FencingToken,
        before: FramePrerequisites<'_>,
        frames: &[FrameRow],
    ) -> Result<(), PublishError> {
        assert!(frames.len() <= FRAMES_PER_TX_MAX, "the caller cuts batches");
        assert!(
            frames.windows(2).all(|w| w[0].tick_id < w[1].tick_id),
            "frames are delivered in tick order"
        );
        let Some(last) = frames.last() else { return Ok(()) };
        for frame in frames {
            self.ensure_day(frame.tick_id).await?;
        }
        let kept = self.guard.take();
        let (mut guard, _) = CopyGuard::begun(&self.pool, CLUSTER, kept, BEGIN_LIMITED).await?;
        check_fence(guard.conn(), FencedService::Ingest, &self.domain, token).await?;
        if let Some((run, lineage)) = before.run {
            upsert_run(guard.conn(), run).await?;
            upsert_lineage(guard.conn(), lineage).await?;
        }
        insert_run_symbols(guard.conn(), before.run_symbols).await?;
        insert_frames(guard.conn(), frames).await?;
        let hint = format!("{{\"tick_id\":{}}}", last.tick_id);
        notify(&mut guard, "engine_tick", &hint).await?;
        guard.commit("publish frames").await?;
        self.guard = Some(guard);
        Ok(())
    }

    /// Makes the partition of a tick's day once; call it ahead of midnight for the next day.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn ensure_day(&mut self, tick: TickId) -> Result<(), StoreError> {
        let number = tick.0.div_euclid(TICKS_PER_DAY);
        if self.days.contains(&number) {
            return Ok(());
        }
        let mut conn = self
            .pool
            .acquire()
            .await
            .map_err(|e| StoreError::sql("take a connection", CLUSTER, e))?;
        create_daily_partition(&mut conn, DailyTable::EngineTickFrames, day_of(number)).await?;
        self.days.insert(number);
        Ok(())
    }
}

fn day_of(number: i64) -> NaiveDate {
    DateTime::from_timestamp(number.saturating_mul(86_400), 0).unwrap_or_default().date_naive()
}

async fn insert_frames(conn: &mut PgConnection, frames: &[FrameRow]) -> Result<(), StoreError> {
    let big = |f: fn(&FrameRow) -> i64| -> Vec<i64> { frames.iter().map(f).collect() };
    let int = |f: fn(&FrameRow) -> i32| -> Vec<i32> { frames.iter().map(f).collect() };
    let epochs: Vec<Option<i64>> = frames.iter().map(|f| f.epoch_id.map(|e| e.0)).collect();
    let bodies: Vec<&[u8]> = frames.iter().map(|f| f.frame.as_slice()).collect();
    let hashes: Vec<&[u8]> = frames.iter().map(|f| &f.frame_sha256[..]).collect();
    let quotes: Vec<&[u8]> = frames.iter().map(|f| f.quotes.as_slice()).collect();
    sqlx::query!(
        "insert into engine_tick_frames (tick_id, frame_seq, run_id, fencing_token, epoch_id, flags,
             n_events, frame, frame_sha256, quotes, published_at, seal_lag_ms)
         select u.tick_id, u.frame_seq, u.run_id, u.fencing_token, u.epoch_id, u.flags, u.n_events,
             u.frame, u.frame_sha256, u.quotes, clock_timestamp(), u.seal_lag_ms
         from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::int[],
             $7::int[], $8::bytea[], $9::bytea[], $10::bytea[], $11::int[])
             as u (tick_id, frame_seq, run_id, fencing_token, epoch_id, flags, n_events, frame,
                 frame_sha256, quotes, seal_lag_ms)",
        &big(|f| f.tick_id.0),
        &big(|f| f.frame_seq),
        &big(|f| f.run_id.0),
        &big(|f| f.fencing_token.0),
        &epochs as &[Option<i64>],
        &int(|f| f.flags),
        &int(|f| f.n_events),
        &bodies as &[&[u8]],
        &hashes as &[&[u8]],
        &quotes as &[&[u8]],
        &int(|f| f.seal_lag_ms),
    )
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(|e| StoreError::sql("write frames", CLUSTER, e))
}

/// Inserts `run_symbols` rows, or finds equal ones.
///
/// # Errors
/// [`TwinError`].
pub async fn insert_run_symbols(
    conn: &mut PgConnection,
    rows: &[RunSymbolRow],
) -> Result<(), TwinError> {
    if rows.is_empty() {
        return Ok(());
    }
    let sql = |e| StoreError::sql("write run symbols", CLUSTER, e);
    let runs: Vec<i64> = rows.iter().map(|r| r.run_id.0).collect();
    let numbers: Vec<i32> = rows.iter().map(|r| i32::from(r.symbol_no)).collect();
    let symbols: Vec<String> = rows.iter().map(|r| r.symbol.as_str().to_owned()).collect();
    let prices: Vec<i16> = rows.iter().map(|r| r.price_decimals).collect();
    let quantities: Vec<i16> = rows.iter().map(|r| r.qty_decimals).collect();
    sqlx::query!(
        "insert into run_symbols (run_id, symbol_no, symbol, price_decimals, qty_decimals)
         select * from unnest($1::bigint[], $2::int[], $3::text[], $4::smallint[], $5::smallint[])
         on conflict (run_id, symbol_no) do nothing",
        &runs,
        &numbers,
        &symbols,
        &prices,
        &quantities,
    )
    .execute(&mut *conn)
    .await
    .map_err(sql)?;
    let other = sqlx::query_scalar!(
        "select u.symbol_no
         from unnest($1::bigint[], $2::int[], $3::text[], $4::smallint[], $5::smallint[])
             as u (run_id, symbol_no, symbol, price_decimals, qty_decimals)
         join run_symbols s on s.run_id = u.run_id and s.symbol_no = u.symbol_no
         where (s.symbol, s.price_decimals, s.qty_decimals)
             is distinct from (u.symbol, u.price_decimals, u.qty_decimals)
         limit 1",
        &runs,
        &numbers,
        &symbols,
        &prices,
        &quantities,
    )
    .fetch_optional(conn)
    .await
    .map_err(sql)?;
    match other {
        None => Ok(()),
        Some(number) => Err(TwinMismatch {
            table: "run_symbols",
            id: number.map_or_else(String::new, |n| n.to_string()),
            field: "symbol",
        }
        .into()),
    }
}

/// The newest frame that stands, after every unfinished transaction has ended. `Err` with
/// [`FenceError::Lost`] when the fence is no longer ours.
///
/// # Errors
/// [`FenceError`].
pub async fn newest_frame_settled(
    pool: &PgPool,
    domain: &str,
    token: FencingToken,
) -> Result<Option<NewestFrame>, FenceError> {
    let sql = |e| StoreError::sql("read the newest frame", CLUSTER, e);
    let mut tx = again::begin(pool, BEGIN_LIMITED).await.map_err(sql)?;
    check_fence_for_update(&mut tx, FencedService::Ingest, domain, token).await?;
    let newest = newest_frame(&mut tx).await?;
    tx.commit().await.map_err(sql)?;
    Ok(newest)
}

/// Newest tick of a run that stands, between two ticks.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn newest_tick_of(
    pool: &PgPool,
    run_id: RunId,
    (from, to): (TickId, TickId),
) -> Result<Option<TickId>, StoreError> {
    sqlx::query_scalar!(
        "select max(tick_id) from engine_tick_frames
         where run_id = $1 and tick_id between $2 and $3",
        run_id.0,
        from.0,
        to.0,
    )
    .fetch_one(pool)
    .await
    .map(|newest| newest.map(TickId))
    .map_err(|e| StoreError::sql("read the newest frame of a run", CLUSTER, e))
}

/// The newest frame that stands.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn newest_frame(conn: &mut PgConnection) -> Result<Option<NewestFrame>, StoreError> {
    let row = sqlx::query!(
        "select tick_id, frame_seq, run_id, fencing_token, frame_sha256
         from engine_tick_frames order by tick_id desc limit 1"
    )
    .fetch_optional(conn)
    .await
    .map_err(|e| StoreError::sql("read the newest frame", CLUSTER, e))?;
    let Some(row) = row else { return Ok(None) };
    let frame_sha256 =
        row.frame_sha256.try_into().expect("the table checks that a hash has 32 bytes");
    Ok(Some(NewestFrame {
        tick_id: TickId(row.tick_id),
        frame_seq: row.frame_seq,
        run_id: RunId(row.run_id),
        fencing_token: FencingToken(row.fencing_token),
        frame_sha256,
    }))
}
