//! The read transaction of an evaluation, market side: pointer, fences, state, epoch, universe, safety.
//!
//! Purpose: one REPEATABLE READ READ ONLY transaction from which a cycle's whole input comes, so that
//! pointer and rows are of one instant. Inputs: a pool, a domain. Outputs: rows. Invariants: nothing is
//! written; every statement of a cycle runs on the same transaction. It judges nothing.

use penstock_store::StoreError;
use penstock_store::again;
use penstock_store::numeric::Numeric;
use penstock_types::rows::{EpochRow, FenceRow, InstrumentRow, PublicationRow, SnapshotRow};
use penstock_types::state_row::{COLUMNS, ColumnReader, StateRow};
use penstock_types::vocab::{EpochStatus, L3Mode, SafetyMode};
use penstock_types::{
    Decimal, EpochId, FencingToken, GenerationId, LineageId, RunId, SnapshotId, Symbol, UtcMicros,
};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, Row, Transaction};
use std::sync::LazyLock;

use crate::CLUSTER;
use crate::read_error::ReadError;

/// Select list of `run_symbol_state` in column order; a test of the store compares it with the catalogue.
static STATE_SELECT: LazyLock<String> = LazyLock::new(|| {
    let names: Vec<&str> = COLUMNS.iter().map(|c| c.name).collect();
    format!(
        "select {} from run_symbol_state where run_id = $1 order by symbol collate \"C\"",
        names.join(", ")
    )
});

/// Pointer, fences and the decision clock of one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer {
    /// Decision clock.
    pub now: UtcMicros,
    /// Publication.
    pub publication: Option<PublicationRow>,
    /// Fence of ingest.
    pub ingest_fence: Option<FenceRow>,
    /// Fence of execution.
    pub execution_fence: Option<FenceRow>,
}

/// The pointer from a row of either statement that reads it: each has a type of its own.
macro_rules! publication_row {
    ($row:expr, $domain:expr) => {
        (|| {
            Some(PublicationRow {
                domain: $domain.to_owned(),
                run_id: RunId($row.run_id?),
                lineage_id: LineageId($row.lineage_id?),
                generation_id: GenerationId($row.generation_id?),
                fencing_token: FencingToken($row.fencing_token?),
                as_of: $row.as_of?.into(),
                as_of_lag_ms: $row.as_of_lag_ms?,
                last_msg_age_ms: $row.last_msg_age_ms?,
                published_at: $row.published_at?.into(),
                row_count: $row.row_count?,
                content_hash: $row.content_hash.clone()?,
                gap_open: $row.gap_open?,
            })
        })()
    };
}
pub(crate) use publication_row;

/// Begins the transaction of a cycle.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn begin(pool: &PgPool) -> Result<Transaction<'static, Postgres>, StoreError> {
    again::begin(pool, "begin isolation level repeatable read read only")
        .await
        .map_err(|e| StoreError::sql("begin the read transaction", CLUSTER, e))
}

/// Reads the pointer.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn pointer(conn: &mut PgConnection, domain: &str) -> Result<Pointer, StoreError> {
    pointer_and_safety(conn, domain, None).await.map(|read| read.0)
}

/// Pointer, fences and, when a symbol is named, its effective safety mode, in one statement.
async fn pointer_and_safety<'c>(
    conn: impl sqlx::PgExecutor<'c>,
    domain: &str,
    symbol: Option<&str>,
) -> Result<(Pointer, Option<String>), StoreError> {
    let row = sqlx::query!(
        r#"select clock_timestamp() as "now!", p.run_id as "run_id?", p.lineage_id as "lineage_id?",
             p.generation_id as "generation_id?", p.fencing_token as "fencing_token?",
             p.as_of as "as_of?", p.as_of_lag_ms as "as_of_lag_ms?",
             p.last_msg_age_ms as "last_msg_age_ms?", p.published_at as "published_at?",
             p.row_count as "row_count?", encode(p.content_hash, 'hex') as "content_hash?",
             p.gap_open as "gap_open?", i.fencing_token as "ingest_token?",
             i.lease_expires_at as "ingest_lease?", x.fencing_token as "execution_token?",
             x.lease_expires_at as "execution_lease?",
             (select s.mode from symbol_safety_effective s where s.symbol = $2) as "safety?"
         from (select $1::text as domain) d
         left join state_publication p using (domain)
         left join service_fences i on i.service = 'ingest' and i.domain = d.domain
         left join service_fences x on x.service = 'execution' and x.domain = d.domain"#,
        domain,
        symbol,
    )
    .fetch_one(conn)
    .await
    .map_err(|e| StoreError::sql("read the publication pointer", CLUSTER, e))?;
    let publication = publication_row!(row, domain);
    let pointer = Pointer {
        now: row.now.into(),
        publication,
        ingest_fence: fence(row.ingest_token, row.ingest_lease),
        execution_fence: fence(row.execution_token, row.execution_lease),
    };
    Ok((pointer, row.safety))
}

pub(crate) fn fence(
    token: Option<i64>,
    lease: Option<chrono::DateTime<chrono::Utc>>,
) -> Option<FenceRow> {
    Some(FenceRow { fencing_token: FencingToken(token?), lease_expires_at: lease?.into() })
}

/// Reads all state rows of a run, ascending by symbol.
///
/// # Errors
/// [`ReadError`].
pub async fn states(conn: &mut PgConnection, run_id: RunId) -> Result<Vec<StateRow>, ReadError> {
    let rows = sqlx::query(AssertSqlSafe(STATE_SELECT.as_str()))
        .bind(run_id.0)
        .fetch_all(conn)
        .await
        .map_err(|e| StoreError::sql("read the state", CLUSTER, e))?;
    rows.iter().map(|row| StateRow::read(&mut Columns { row, at: 0 })).collect()
}

struct Columns<'r> {
    row: &'r PgRow,
    at: usize,
}

impl Columns<'_> {
    fn take<'r, T>(&'r mut self) -> Result<T, ReadError>
    where
        T: sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres>,
    {
        let at = self.at;
        self.at += 1;
        self.row.try_get(at).map_err(|e| StoreError::sql("read a state column", CLUSTER, e).into())
    }
}

impl ColumnReader for Columns<'_> {
    type Error = ReadError;

    fn bigint(&mut self) -> Result<Option<i64>, ReadError> {
        self.take()
    }

    fn integer(&mut self) -> Result<Option<i32>, ReadError> {
        self.take()
    }

    fn numeric(&mut self) -> Result<Option<Decimal>, ReadError> {
        let value: Option<Numeric> = self.take()?;
        Ok(value.map(|v| v.0))
    }

    fn timestamp(&mut self) -> Result<Option<UtcMicros>, ReadError> {
        let at: Option<chrono::DateTime<chrono::Utc>> = self.take()?;
        Ok(at.map(UtcMicros::from))
    }

    fn text(&mut self) -> Result<Option<String>, ReadError> {
        self.take()
    }

    fn boolean(&mut self) -> Result<Option<bool>, ReadError> {
        self.take()
    }

    fn text_array(&mut self) -> Result<Option<Vec<String>>, ReadError> {
        self.take()
    }
}

fn symbols(texts: Vec<String>) -> Result<Vec<Symbol>, ReadError> {
    texts.iter().map(|t| Symbol::new(t).map_err(ReadError::from)).collect()
}

/// Newest valid and newest degraded epoch of a lineage with their universes.
///
/// # Errors
/// [`ReadError`].
pub async fn epochs(
    conn: &mut PgConnection,
    lineage_id: LineageId,
) -> Result<(Vec<EpochRow>, Vec<SnapshotRow>), ReadError> {
    let rows = sqlx::query!(
        r#"with newest as (
             (select epoch_id from ingest_epochs
              where lineage_id = $1 and status = 'valid'
              order by completed_at desc, epoch_id desc limit 1)
             union all
             (select epoch_id from ingest_epochs
              where lineage_id = $1 and status = 'degraded'
              order by completed_at desc, epoch_id desc limit 1))
         select e.epoch_id, e.lineage_id, e.run_id, e.status, e.completed_at, e.l3_mode,
             s.snapshot_id, s.run_id as snapshot_run_id, s.lineage_id as snapshot_lineage_id,
             s.execution_symbols, s.pinned_symbols, s.l3_symbols
         from newest join ingest_epochs e using (epoch_id)
         join execution_universe_snapshots s on s.snapshot_id = e.snapshot_id"#,
        lineage_id.0,
    )
    .fetch_all(conn)
    .await
    .map_err(|e| StoreError::sql("read the epochs", CLUSTER, e))?;
    let (mut epochs, mut snapshots) = (Vec::new(), Vec::new());
    for r in rows {
        let snapshot_id = SnapshotId(r.snapshot_id);
        epochs.push(EpochRow {
            epoch_id: EpochId(r.epoch_id),
            lineage_id: LineageId(r.lineage_id),
            run_id: RunId(r.run_id),
            snapshot_id: Some(snapshot_id),
            status: EpochStatus::parse(&r.status)?,
            completed_at: r.completed_at.map(UtcMicros::from),
            l3_mode: r.l3_mode.as_deref().map(L3Mode::parse).transpose()?,
        });
        snapshots.push(SnapshotRow {
            snapshot_id,
            run_id: RunId(r.snapshot_run_id),
            lineage_id: LineageId(r.snapshot_lineage_id),
            execution_symbols: symbols(r.execution_symbols)?,
            pinned_symbols: symbols(r.pinned_symbols)?,
            l3_symbols: symbols(r.l3_symbols)?,
        });
    }
    Ok((epochs, snapshots))
}

/// Rules of the venue for all pairs whose state is published.
///
/// # Errors
/// [`ReadError`].
pub async fn instruments(
    conn: &mut PgConnection,
    run_id: RunId,
) -> Result<Vec<InstrumentRow>, ReadError> {
    let rows = sqlx::query!(
        r#"select i.symbol, i.base, i.quote, i.status,
             i.price_increment as "price_increment: Numeric",
             i.qty_increment as "qty_increment: Numeric", i.qty_min as "qty_min: Numeric",
             i.cost_min as "cost_min: Numeric", i.price_precision, i.qty_precision, i.content_hash
         from instruments i join run_symbol_state s on s.symbol = i.symbol
         where s.run_id = $1 order by i.symbol"#,
        run_id.0,
    )
    .fetch_all(conn)
    .await
    .map_err(|e| StoreError::sql("read the instruments", CLUSTER, e))?;
    rows.into_iter()
        .map(|r| {
            Ok(InstrumentRow {
                symbol: Symbol::new(&r.symbol)?,
                base: r.base,
                quote: r.quote,
                status: r.status,
                price_increment: r.price_increment.0,
                qty_increment: r.qty_increment.0,
                qty_min: r.qty_min.0,
                cost_min: r.cost_min.0,
                price_precision: r.price_precision.into(),
                qty_precision: r.qty_precision.into(),
                content_hash: r.content_hash,
            })
        })
        .collect()
}

/// The statement right before a submit: pointer, both fences and the symbol's safety of one instant.
///
/// # Errors
/// [`ReadError`].
pub async fn reread(
    pool: &PgPool,
    domain: &str,
    symbol: &str,
) -> Result<(Pointer, SafetyMode), ReadError> {
    let (pointer, safety) = pointer_and_safety(pool, domain, Some(symbol)).await?;
    let safety = safety.as_deref().map_or(Ok(SafetyMode::Normal), SafetyMode::parse)?;
    Ok((pointer, safety))
}

/// Rules of the venue for all pairs that ingest has written.
///
/// # Errors
/// [`ReadError`].
pub async fn all_instruments(pool: &PgPool) -> Result<Vec<InstrumentRow>, ReadError> {
    let rows = sqlx::query!(
        "select symbol, base, quote, status, price_increment, qty_increment, qty_min, cost_min,
           price_precision, qty_precision, content_hash
         from instruments order by symbol"
    )
    .fetch_all(pool)
    .await
    .map_err(|e| StoreError::sql("read all instruments", CLUSTER, e))?;
    rows.into_iter()
        .map(|r| {
            Ok(InstrumentRow {
                symbol: Symbol::new(&r.symbol)?,
                base: r.base,
                quote: r.quote,
                status: r.status,
                price_increment: r.price_increment,
                qty_increment: r.qty_increment,
                qty_min: r.qty_min,
                cost_min: r.cost_min,
                price_precision: r.price_precision.into(),
                qty_precision: r.qty_precision.into(),
                content_hash: r.content_hash,
            })
        })
        .collect()
}
