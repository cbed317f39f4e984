//! What the decision cluster says, read in one read-only transaction.
//!
//! Input: a pool of the observer, the session's identity, the figures of the process. Output: [`Stored`]. Invariants:
//! one repeatable-read transaction; each query has an order and a limit; nothing is written; the ingest cluster is not
//! read.

mod aigate;
mod candidates;
mod empty;
mod error;
mod ext;
mod form;
mod intents;
mod market;
mod reconcile;
mod risk;
mod sight;
mod stages;
mod topk;

use std::collections::BTreeMap;

use penstock_contracts::dashboard::{
    AiGateSnapshot, Ext, IntentsSnapshot, List, MarketSnapshot, ORDERS_MAX, OrderRow,
    ReconcileSnapshot, RiskSnapshot, STAGES_MAX, StageHistoryRow, TopKSnapshot,
};
use penstock_types::Symbol;
use sqlx::{PgConnection, PgPool};

pub use error::ReadError;
pub use intents::state_of;

use crate::live::Live;
use crate::settings::{Identity, Lengths};
use candidates::Candidate;
use sight::Sight;

/// For how long figures of 24 hours are shown again by [`read_after`], milliseconds.
pub const DAY_EVERY_MS: i64 = 10_000;

/// One moment of the rows, for all queries.
const BEGIN: &str = "begin isolation level repeatable read, read only";

/// Sections that rest on rows, filled up with what the process knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Changes of the stage.
    pub stage_history: List<StageHistoryRow, STAGES_MAX>,
    /// Size of the decision database, bytes.
    pub db_bytes: i64,
    /// Size of its cluster's write-ahead log; 0 when it may not be looked at.
    pub wal_bytes: i64,
    /// Intents.
    pub intents: IntentsSnapshot,
    /// Comparison with the venue.
    pub reconcile: ReconcileSnapshot,
    /// Symbols.
    pub market: MarketSnapshot,
    /// Exposure, results, limits.
    pub risk: RiskSnapshot,
    /// The AI gate.
    pub aigate: AiGateSnapshot,
    /// Finalists.
    pub topk: TopKSnapshot,
    /// The rest.
    pub ext: Ext,
    /// When the figures of the last 24 hours in it were read, or 0.
    pub day_ms: i64,
}

/// Reads everything, as of one moment. Ages and spans are counted from the moment of `live`.
///
/// # Errors
/// [`ReadError`] naming what could not be read; nothing of what could is kept.
pub async fn read(
    pool: &PgPool,
    identity: &Identity,
    lengths: &Lengths,
    live: &Live,
) -> Result<Stored, ReadError> {
    read_all(pool, identity, lengths, live, None).await
}

/// The same, but what was counted over 24 hours is taken from `before` for [`DAY_EVERY_MS`]: it hardly changes in that
/// time, and costs more than everything else.
///
/// # Errors
/// As [`read`].
pub async fn read_after(
    pool: &PgPool,
    identity: &Identity,
    lengths: &Lengths,
    live: &Live,
    before: &Stored,
) -> Result<Stored, ReadError> {
    let age_ms = live.now_ms.saturating_sub(before.day_ms);
    let before = (0..DAY_EVERY_MS).contains(&age_ms).then_some(before);
    read_all(pool, identity, lengths, live, before).await
}

async fn read_all(
    pool: &PgPool,
    identity: &Identity,
    lengths: &Lengths,
    live: &Live,
    before: Option<&Stored>,
) -> Result<Stored, ReadError> {
    let mut tx = pool.begin_with(BEGIN).await.map_err(ReadError::sql("one moment of the rows"))?;
    let conn = &mut *tx;
    let sight = Sight::read(conn, identity, live).await?;
    let (judged, finalists) = best(conn, &sight).await?;
    let size = size(conn).await?;
    let intents = intents::read(conn, sight.now, lengths.intents).await?;
    let degrade = identity.drift_degrade_x10000;
    let reconcile = reconcile::read(conn, degrade, lengths.diffs).await?;
    let market = market::read(conn, &sight, &identity.domain, &judged, lengths.symbols).await?;
    let risk = risk::read(conn, &sight, identity).await?;
    let aigate = aigate::read(conn, identity.ai_dec).await?;
    let topk = topk::section(&sight, finalists.as_ref().unwrap_or(&judged))?;
    let stage_history = stages::read(conn, sight.now).await?;
    let day = match before {
        Some(before) => ext::Day::of(&before.ext),
        None => ext::Day::read(conn, &sight).await?,
    };
    let ext = ext::read(conn, &sight, identity, day).await?;
    tx.commit().await.map_err(ReadError::sql("one moment of the rows"))?;
    Ok(Stored {
        stage_history,
        db_bytes: size.db_bytes,
        wal_bytes: size.wal_bytes,
        intents,
        reconcile,
        market,
        risk,
        aigate,
        topk,
        ext,
        day_ms: before.map_or(live.now_ms, |before| before.day_ms),
    })
}

/// The newest rows of orders without standby rows, the newest first.
///
/// # Errors
/// [`ReadError`].
pub async fn orders(pool: &PgPool) -> Result<List<OrderRow, ORDERS_MAX>, ReadError> {
    let mut tx = pool.begin_with(BEGIN).await.map_err(ReadError::sql("the newest orders"))?;
    let orders = intents::orders(&mut tx).await?;
    tx.commit().await.map_err(ReadError::sql("the newest orders"))?;
    Ok(orders)
}

type Best = BTreeMap<Symbol, Candidate>;

/// The best candidates of the last evaluation, and those of the last selection when that is another one.
async fn best(
    conn: &mut PgConnection,
    sight: &Sight<'_>,
) -> Result<(Best, Option<Best>), ReadError> {
    let judged = match &sight.evaluation {
        Some(last) => candidates::read(conn, last.id, last.started_at).await?,
        None => BTreeMap::new(),
    };
    let other = sight
        .selection
        .as_ref()
        .filter(|s| sight.evaluation.as_ref().is_none_or(|last| last.id != s.id));
    let finalists = match other {
        Some(selection) => Some(candidates::read(conn, selection.id, selection.ts).await?),
        None => None,
    };
    Ok((judged, finalists))
}

struct Size {
    db_bytes: i64,
    wal_bytes: i64,
}

async fn size(conn: &mut PgConnection) -> Result<Size, ReadError> {
    let row = sqlx::query!(
        r#"select pg_database_size(current_database()) as "db_bytes!",
               has_function_privilege('pg_ls_waldir()', 'execute') as "may_look!""#
    )
    .fetch_one(&mut *conn)
    .await
    .map_err(ReadError::sql("the size of the database"))?;
    let wal_bytes = if row.may_look {
        sqlx::query_scalar!(
            r#"select coalesce(sum(size), 0)::bigint as "bytes!" from pg_ls_waldir()"#
        )
        .fetch_one(conn)
        .await
        .map_err(ReadError::sql("the size of the write-ahead log"))?
    } else {
        0
    };
    Ok(Size { db_bytes: row.db_bytes, wal_bytes })
}
