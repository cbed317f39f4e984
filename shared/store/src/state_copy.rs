//! State rows into `run_symbol_state`, by copy into a temporary table and one upsert.
//!
//! The list of columns is the one that the row type and its hash come from. The temporary table is
//! made once per connection and has no constraints, so a column that a newer schema adds disturbs
//! neither it nor the list. A test compares the list with the catalogue of both clusters.

use std::sync::LazyLock;

use penstock_types::state_row::{COLUMNS, ColumnValue, StateRow};

use crate::error::StoreError;
use crate::guard::CopyGuard;
use crate::role::ClusterRole;
use crate::tuple::TupleWriter;

/// All columns, comma separated, in the order of the tuple.
pub static STATE_COLUMN_LIST: LazyLock<String> =
    LazyLock::new(|| COLUMNS.iter().map(|c| c.name).collect::<Vec<_>>().join(", "));

static CREATE_STAGE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "create temp table if not exists state_stage on commit delete rows as \
         select {} from run_symbol_state with no data",
        *STATE_COLUMN_LIST
    )
});

static COPY_STAGE: LazyLock<String> = LazyLock::new(|| {
    format!("copy state_stage ({}) from stdin (format binary)", *STATE_COLUMN_LIST)
});

static UPSERT: LazyLock<String> = LazyLock::new(|| {
    let set = COLUMNS
        .iter()
        .map(|c| c.name)
        .filter(|name| !matches!(*name, "run_id" | "symbol"))
        .map(|name| format!("{name} = excluded.{name}"))
        .collect::<Vec<_>>()
        .join(", ");
    format!(
        "insert into run_symbol_state ({0}) select {0} from state_stage \
         on conflict (run_id, symbol) do update set {set}",
        *STATE_COLUMN_LIST
    )
});

/// Encodes rows as tuples. The generation has one encoding, used in both transactions.
#[must_use]
pub fn encode_state(rows: &[StateRow]) -> Vec<u8> {
    // About 970 bytes per row were measured.
    let mut out = Vec::with_capacity(rows.len() * 1_024);
    let columns = i16::try_from(COLUMNS.len()).expect("the table has fewer than 32768 columns");
    for row in rows {
        let mut t = TupleWriter::start(&mut out, columns);
        row.for_each_value(|_, value| match value {
            ColumnValue::Bigint(v) => t.int8(v),
            ColumnValue::Integer(v) => t.opt(v, TupleWriter::int4),
            ColumnValue::Text(v) => t.opt(v, TupleWriter::text),
            ColumnValue::Timestamp(v) => t.opt(v, TupleWriter::timestamp),
            ColumnValue::Numeric(v) => t.opt(v, TupleWriter::numeric),
            ColumnValue::Boolean(v) => t.bool(v),
            ColumnValue::TextArray(v) => t.text_array(v),
        });
        t.end();
    }
    out
}

/// Makes the temporary table of this connection, outside any transaction.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn create_stage(guard: &mut CopyGuard, cluster: ClusterRole) -> Result<(), StoreError> {
    guard
        .run(CREATE_STAGE.clone())
        .await
        .map(|_| ())
        .map_err(|e| StoreError::sql("create the state stage", cluster, e))
}

/// Copies encoded rows into the stage and upserts all of them, inside the caller's transaction.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn upsert_state(
    guard: &mut CopyGuard,
    cluster: ClusterRole,
    encoded: &[u8],
) -> Result<u64, StoreError> {
    guard
        .copy_in(&COPY_STAGE, &[encoded])
        .await
        .map_err(|e| StoreError::sql("copy state rows", cluster, e))?;
    let done = sqlx::query(sqlx::AssertSqlSafe(UPSERT.as_str()))
        .execute(guard.conn())
        .await
        .map_err(|e| StoreError::sql("upsert state rows", cluster, e))?;
    Ok(done.rows_affected())
}
