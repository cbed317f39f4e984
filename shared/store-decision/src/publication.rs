//! Publishing a generation: one transaction whose order of statements is part of the contract.
//!
//! Input: a cut as encoded rows, its run and lineage, closed candles. Output: the moment of the
//! publication, or why nothing became visible. The guarded pointer precedes the rows: the other way
//! round, a late publisher would overwrite rows and then leave the pointer untouched. Readers in one
//! repeatable-read transaction see a whole generation or the previous whole one.
//!
//! A crash at any statement leaves the previous generation; after the commit the new one is live.

use std::time::{Duration, Instant};

use penstock_store::fence::{FenceError, FencedService, check_fence};
use penstock_store::state_copy::{create_stage, upsert_state};
use penstock_store::twins::{LineageRow, RunRow, RunSymbolRow, db_time};
use penstock_store::{CopyGuard, StoreError};
use penstock_types::raw::CandleRow;
use penstock_types::{FencingToken, GenerationId, LineageId, RunId, UtcMicros};
use sqlx::PgPool;

use crate::frames::insert_run_symbols;
use crate::twin_runs::{upsert_lineage, upsert_run};
use crate::{CLUSTER, TwinError};

/// A publishing transaction with its three time-outs, in one message. What is acknowledged is forgotten by its
/// sender, so it waits for the log whatever the cluster's setting is.
pub(crate) const BEGIN_LIMITED: &str = "begin; set local synchronous_commit = on; \
     set local lock_timeout = '2s'; set local statement_timeout = '5s'; \
     set local idle_in_transaction_session_timeout = '5s'";

/// One generation, ready to be published.
#[derive(Debug)]
pub struct GenerationInput<'a> {
    /// Run that sealed it.
    pub run: &'a RunRow,
    /// Lineage that the run belongs to now.
    pub lineage: &'a LineageRow,
    /// `run_symbols` rows that the cluster may not have yet.
    pub run_symbols: &'a [RunSymbolRow],
    /// Token of the publisher.
    pub token: FencingToken,
    /// Generation.
    pub generation_id: GenerationId,
    /// Time of the cut, a label.
    pub as_of: UtcMicros,
    /// Monotonic time of the cut; the lag is measured from here.
    pub cut_at: Instant,
    /// Age of the newest message of the domain at the cut.
    pub last_msg_age_ms: i32,
    /// The rows as `encode_state` gives them.
    pub encoded: &'a [u8],
    /// Their number.
    pub row_count: i32,
    /// Their hash.
    pub content_hash: [u8; 32],
    /// Duration of the cut.
    pub refresh_duration_ms: i32,
    /// A gap of the record was open at the cut.
    pub gap_open: bool,
    /// Closed candles that are not yet confirmed as committed; empty when no minute closed.
    pub candles: &'a [CandleRow],
    /// At each full hour: remove candles older than 48 h.
    pub trim_candles: bool,
}

/// A generation that is visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Decision clock at the pointer update.
    pub published_at: UtcMicros,
    /// Monotonic time from the cut to the pointer update.
    pub as_of_lag_ms: i32,
    /// Duration of the transaction.
    pub duration: Duration,
}

/// Why a generation did not become visible.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// Fenced out, or the cluster did not answer at the fence check.
    #[error(transparent)]
    Fence(#[from] FenceError),
    /// The pointer already names this generation or a newer one.
    #[error(
        "STATE_PUBLISH_REJECTED: generation {generation_id} of domain {domain} is not newer than the published one; next: nothing, a newer publisher works"
    )]
    StaleGeneration {
        /// Domain.
        domain: String,
        /// Generation.
        generation_id: GenerationId,
    },
    /// The table does not hold what was sent.
    #[error(
        "generation {generation_id}: {found} rows stand, {expected} were sent; nothing was published"
    )]
    RowCount {
        /// Generation.
        generation_id: GenerationId,
        /// Rows counted.
        found: i64,
        /// Rows announced.
        expected: i32,
    },
    /// Run or lineage stand with other values: fatal.
    #[error(transparent)]
    Twin(#[from] TwinError),
    /// A statement failed, or the outcome of the commit is unknown.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PublishError {
    /// The outcome of the commit is unknown: the generation may be visible.
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        matches!(
            self,
            Self::Store(StoreError::CommitUnknown { .. })
                | Self::Twin(TwinError::Store(StoreError::CommitUnknown { .. }))
        )
    }
}

/// Publishes the generations of one domain over one kept connection, on which the staging table
/// exists. After any failure the connection is closed and the next publication opens another.
#[derive(Debug)]
pub struct GenerationPublisher {
    pool: PgPool,
    guard: Option<CopyGuard>,
    /// Run whose rows are known to be committed.
    confirmed_run: Option<(RunId, LineageId)>,
}

impl GenerationPublisher {
    /// A publisher on a pool of `publisher_rw`.
    #[must_use]
    pub const fn new(pool: PgPool) -> Self {
        Self { pool, guard: None, confirmed_run: None }
    }

    /// Publishes one generation.
    ///
    /// # Errors
    /// [`PublishError`]. Cancelling the future closes the connection, which rolls back.
    pub async fn publish(
        &mut self,
        input: &GenerationInput<'_>,
    ) -> Result<Published, PublishError> {
        let kept = self.guard.take();
        let (mut guard, is_new) =
            CopyGuard::begun(&self.pool, CLUSTER, kept, BEGIN_LIMITED).await?;
        if is_new {
            create_stage(&mut guard, CLUSTER).await?;
        }
        let key = (input.run.run_id, input.lineage.lineage_id);
        let run_due = self.confirmed_run != Some(key);
        let published = publish_on(&mut guard, input, run_due).await?;
        self.confirmed_run = Some(key);
        self.guard = Some(guard);
        Ok(published)
    }
}

async fn publish_on(
    guard: &mut CopyGuard,
    input: &GenerationInput<'_>,
    run_due: bool,
) -> Result<Published, PublishError> {
    let started = Instant::now();
    let sql = |action| move |e| StoreError::sql(action, CLUSTER, e);
    let domain = input.run.domain.as_str();
    check_fence(guard.conn(), FencedService::Ingest, domain, input.token).await?;
    if run_due {
        upsert_run(guard.conn(), input.run).await?;
        upsert_lineage(guard.conn(), input.lineage).await?;
        insert_run_symbols(guard.conn(), input.run_symbols).await?;
    }
    let (published_at, as_of_lag_ms) = move_pointer(guard, input).await?;
    upsert_state(guard, CLUSTER, input.encoded).await?;
    write_candles(guard, input).await?;
    delete_other_rows(guard, input).await?;
    let found = sqlx::query_scalar!(
        r#"select count(*) as "count!" from run_symbol_state
           where run_id = $1 and generation_id = $2"#,
        input.run.run_id.0,
        input.generation_id.0,
    )
    .fetch_one(guard.conn())
    .await
    .map_err(sql("count state rows"))?;
    if found != i64::from(input.row_count) {
        return Err(PublishError::RowCount {
            generation_id: input.generation_id,
            found,
            expected: input.row_count,
        });
    }
    let hint = serde_json::json!({"domain": domain, "generation_id": input.generation_id.0});
    notify(guard, "state_published", &hint.to_string()).await?;
    guard.commit("publish a generation").await?;
    Ok(Published { published_at, as_of_lag_ms, duration: started.elapsed() })
}

/// Moves the pointer forward; no row means that it is not behind us.
async fn move_pointer(
    guard: &mut CopyGuard,
    input: &GenerationInput<'_>,
) -> Result<(UtcMicros, i32), PublishError> {
    let lag = i32::try_from(input.cut_at.elapsed().as_millis()).unwrap_or(i32::MAX);
    let published_at = sqlx::query_scalar!(
        "insert into state_publication (domain, run_id, lineage_id, generation_id, fencing_token,
             as_of, as_of_lag_ms, last_msg_age_ms, published_at, row_count, content_hash,
             refresh_duration_ms, gap_open)
         values ($1, $2, $3, $4, $5, $6, $7, $8, clock_timestamp(), $9, $10, $11, $12)
         on conflict (domain) do update set
             run_id = excluded.run_id,
             lineage_id = excluded.lineage_id,
             generation_id = excluded.generation_id,
             fencing_token = excluded.fencing_token,
             as_of = excluded.as_of,
             as_of_lag_ms = excluded.as_of_lag_ms,
             last_msg_age_ms = excluded.last_msg_age_ms,
             published_at = excluded.published_at,
             row_count = excluded.row_count,
             content_hash = excluded.content_hash,
             refresh_duration_ms = excluded.refresh_duration_ms,
             gap_open = excluded.gap_open
         where state_publication.generation_id < excluded.generation_id
         returning published_at",
        input.run.domain,
        input.run.run_id.0,
        input.lineage.lineage_id.0,
        input.generation_id.0,
        input.token.0,
        db_time(input.as_of),
        lag,
        input.last_msg_age_ms,
        input.row_count,
        &input.content_hash[..],
        input.refresh_duration_ms,
        input.gap_open,
    )
    .fetch_optional(guard.conn())
    .await
    .map_err(|e| StoreError::sql("move the publication pointer", CLUSTER, e))?;
    match published_at {
        Some(at) => Ok((at.into(), lag)),
        None => Err(PublishError::StaleGeneration {
            domain: input.run.domain.clone(),
            generation_id: input.generation_id,
        }),
    }
}

async fn write_candles(
    guard: &mut CopyGuard,
    input: &GenerationInput<'_>,
) -> Result<(), StoreError> {
    let sql = |e| StoreError::sql("write candles", CLUSTER, e);
    let rows = input.candles;
    if !rows.is_empty() {
        let number = |f: fn(&CandleRow) -> penstock_types::Decimal| -> Vec<_> {
            rows.iter().map(f).collect()
        };
        let symbols: Vec<String> = rows.iter().map(|r| r.symbol.as_str().to_owned()).collect();
        let minutes: Vec<_> = rows.iter().map(|r| db_time(r.minute)).collect();
        let complete: Vec<bool> = rows.iter().map(|r| r.complete).collect();
        let trades: Vec<i32> = rows.iter().map(|r| r.trades).collect();
        sqlx::query!(
            "insert into candles_1m (symbol, minute, run_id, complete, o, h, l, c, base_vol,
                 quote_vol, buy_base_vol, trades)
             select u.symbol, u.minute, $1, u.complete, u.o, u.h, u.l, u.c, u.base_vol, u.quote_vol,
                 u.buy_base_vol, u.trades
             from unnest($2::text[], $3::timestamptz[], $4::boolean[], $5::numeric[], $6::numeric[],
                 $7::numeric[], $8::numeric[], $9::numeric[], $10::numeric[], $11::numeric[],
                 $12::int[])
                 as u (symbol, minute, complete, o, h, l, c, base_vol, quote_vol, buy_base_vol,
                     trades)
             on conflict (symbol, minute) do nothing",
            input.run.run_id.0,
            &symbols,
            &minutes,
            &complete,
            &number(|r| r.open),
            &number(|r| r.high),
            &number(|r| r.low),
            &number(|r| r.close),
            &number(|r| r.base_vol),
            &number(|r| r.quote_vol),
            &number(|r| r.buy_base_vol),
            &trades,
        )
        .execute(guard.conn())
        .await
        .map_err(sql)?;
    }
    if input.trim_candles {
        sqlx::query!(
            "delete from candles_1m where minute < clock_timestamp() - interval '48 hours'"
        )
        .execute(guard.conn())
        .await
        .map_err(sql)?;
    }
    Ok(())
}

/// Rows of other generations of this run, and of other runs of the domain.
async fn delete_other_rows(
    guard: &mut CopyGuard,
    input: &GenerationInput<'_>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "delete from run_symbol_state
         where (run_id = $1 and generation_id <> $2)
            or run_id in (select run_id from observation_runs where domain = $3 and run_id <> $1)",
        input.run.run_id.0,
        input.generation_id.0,
        input.run.domain,
    )
    .execute(guard.conn())
    .await
    .map(|_| ())
    .map_err(|e| StoreError::sql("delete rows of other generations", CLUSTER, e))
}

/// Sends a hint inside the transaction; it goes out with the commit.
pub(crate) async fn notify(
    guard: &mut CopyGuard,
    channel: &str,
    payload: &str,
) -> Result<(), StoreError> {
    sqlx::query!("select pg_notify($1, $2)", channel, payload)
        .execute(guard.conn())
        .await
        .map(|_| ())
        .map_err(|e| StoreError::sql("notify", CLUSTER, e))
}

/// The generation that the pointer of a domain names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishedGeneration {
    /// Its run.
    pub run_id: RunId,
    /// It.
    pub generation_id: GenerationId,
    /// When it became visible, by the decision clock.
    pub published_at: UtcMicros,
}

/// The published pointer of a domain; for settling an unknown commit and for marking the generation after
/// a crash.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn published_generation(
    pool: &PgPool,
    domain: &str,
) -> Result<Option<PublishedGeneration>, StoreError> {
    let row = sqlx::query!(
        "select run_id, generation_id, published_at from state_publication where domain = $1",
        domain,
    )
    .fetch_optional(pool)
    .await
    .map_err(|e| StoreError::sql("read the publication pointer", CLUSTER, e))?;
    Ok(row.map(|r| PublishedGeneration {
        run_id: RunId(r.run_id),
        generation_id: GenerationId(r.generation_id),
        published_at: r.published_at.into(),
    }))
}

/// Takes the next run id; monotone over every restart and over resets of the ingest cluster.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn next_run_id(pool: &PgPool) -> Result<RunId, StoreError> {
    sqlx::query_scalar!(r#"select nextval('observation_run_id_seq') as "run_id!""#)
        .fetch_one(pool)
        .await
        .map(RunId)
        .map_err(|e| StoreError::sql("take a run id", CLUSTER, e))
}

/// The decision cluster's clock, against which every age is judged.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn decision_clock(pool: &PgPool) -> Result<UtcMicros, StoreError> {
    sqlx::query_scalar!(r#"select clock_timestamp() as "now!""#)
        .fetch_one(pool)
        .await
        .map(Into::into)
        .map_err(|e| StoreError::sql("read the decision clock", CLUSTER, e))
}
