//! Recorded tables of a run out of the cluster, row by row: `copy (select …) to stdout` in text format.
//!
//! Inputs: a table of a closed list, a run. Outputs: columns as the catalogue has them, and lines whose
//! fields are taken apart here. Times leave as microseconds since 1970, everything that is no number,
//! time or truth value as text. Invariants: rows come in the table's own order; nothing is buffered beyond
//! a line; any bytes give fields or an error, never a panic.

use penstock_types::RunId;
use sqlx::postgres::PgPoolCopyExt;
use sqlx::{AssertSqlSafe, PgPool, Row};

use crate::error::StoreError;
use crate::role::ClusterRole;

/// A stream of chunks, lines cut anywhere.
pub type Chunks = futures_util::stream::BoxStream<'static, Result<bytes::Bytes, sqlx::Error>>;

/// Tables of a run with the order of their rows.
pub const RUN_TABLES: [(&str, &str); 9] = [
    ("ticker_samples", "seq"),
    ("trade_samples", "seq"),
    ("l2_snap_metrics", "seq"),
    ("l3_queue_metrics", "seq"),
    ("deriv_ticker_samples", "seq"),
    ("liquidation_samples", "seq"),
    ("ingest_stream_events", "seq"),
    ("candles_1m", "symbol, minute"),
    ("state_generations", "generation_id"),
];

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// A whole number of any width.
    Integer,
    /// A truth value.
    Boolean,
    /// A time.
    Timestamp,
    /// A number with this many digits, of which so many after the point.
    Numeric {
        /// All digits.
        precision: u8,
        /// Digits after the point.
        scale: i8,
    },
    /// Text, and everything else as text.
    Text,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableColumn {
    /// Name.
    pub name: String,
    /// What it holds.
    pub kind: ColumnKind,
    expression: String,
}

/// Columns of a table, in their order.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn columns(pool: &PgPool, table: &str) -> Result<Vec<TableColumn>, StoreError> {
    let rows = sqlx::query(
        "select column_name::text, data_type::text, numeric_precision::int, numeric_scale::int
         from information_schema.columns
         where table_schema = 'penstock' and table_name = $1 order by ordinal_position",
    )
    .bind(table)
    .fetch_all(pool)
    .await
    .map_err(|e| StoreError::sql("read the columns of a table", ClusterRole::Ingest, e))?;
    let found = rows.iter().map(|row| {
        let name: String = row.try_get(0)?;
        let (data_type, precision, scale): (String, Option<i32>, Option<i32>) =
            (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
        Ok(column(name, &data_type, precision, scale))
    });
    let found: Result<Vec<_>, sqlx::Error> = found.collect();
    found.map_err(|e| StoreError::sql("read the columns of a table", ClusterRole::Ingest, e))
}

fn column(
    name: String,
    data_type: &str,
    precision: Option<i32>,
    scale: Option<i32>,
) -> TableColumn {
    let digits =
        (precision.and_then(|p| u8::try_from(p).ok()), scale.and_then(|s| i8::try_from(s).ok()));
    let (kind, expression) = match (data_type, digits) {
        ("smallint" | "integer" | "bigint", _) => (ColumnKind::Integer, name.clone()),
        ("boolean", _) => (ColumnKind::Boolean, name.clone()),
        ("numeric", (Some(precision), Some(scale))) => {
            (ColumnKind::Numeric { precision, scale }, name.clone())
        }
        ("timestamp with time zone", _) => {
            (ColumnKind::Timestamp, format!("(extract(epoch from {name}) * 1000000)::bigint"))
        }
        ("bytea", _) => (ColumnKind::Text, format!("encode({name}, 'hex')")),
        (_, _) => (ColumnKind::Text, format!("{name}::text")),
    };
    TableColumn { name, kind, expression }
}

/// The rows of a run.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn rows(
    pool: &PgPool,
    (table, order): (&'static str, &'static str),
    columns: &[TableColumn],
    run_id: RunId,
) -> Result<Chunks, StoreError> {
    let list: Vec<&str> = columns.iter().map(|c| c.expression.as_str()).collect();
    let statement = format!(
        "copy (select {} from penstock.{table} where run_id = {} order by {order}) to stdout",
        list.join(", "),
        run_id.0,
    );
    pool.copy_out_raw(&statement)
        .await
        .map_err(|e| StoreError::sql("copy a table out", ClusterRole::Ingest, e))
}

/// How many rows that will be.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn count(pool: &PgPool, table: &'static str, run_id: RunId) -> Result<i64, StoreError> {
    let text = format!("select count(*) from penstock.{table} where run_id = $1");
    sqlx::query_scalar(AssertSqlSafe(text))
        .bind(run_id.0)
        .fetch_one(pool)
        .await
        .map_err(|e| StoreError::sql("count the rows of a table", ClusterRole::Ingest, e))
}

/// A line that is none of text format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Another number of fields than columns.
    #[error("a row has {got} fields, the table {want} columns")]
    Fields {
        /// Found.
        got: usize,
        /// Expected.
        want: usize,
    },
    /// A backslash at the end, or before a letter without meaning.
    #[error("field {field} ends or goes on with an unknown escape")]
    Escape {
        /// Position from 0.
        field: usize,
    },
    /// Bytes that are no UTF-8.
    #[error("field {field} is no UTF-8")]
    Text {
        /// Position from 0.
        field: usize,
    },
}

/// Takes a line without its end apart; a null is none.
///
/// # Errors
/// [`LineError`].
pub fn fields(line: &[u8], want: usize) -> Result<Vec<Option<String>>, LineError> {
    let parts: Vec<&[u8]> = line.split(|b| *b == b'\t').collect();
    if parts.len() != want {
        return Err(LineError::Fields { got: parts.len(), want });
    }
    parts.into_iter().enumerate().map(|(field, part)| value(field, part)).collect()
}

fn value(field: usize, part: &[u8]) -> Result<Option<String>, LineError> {
    if part == br"\N" {
        return Ok(None);
    }
    let mut out = Vec::with_capacity(part.len());
    let mut bytes = part.iter();
    while let Some(byte) = bytes.next() {
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        out.push(match bytes.next() {
            Some(b'\\') => b'\\',
            Some(b't') => b'\t',
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'v') => 11,
            Some(_) | None => return Err(LineError::Escape { field }),
        });
    }
    String::from_utf8(out).map(Some).map_err(|_| LineError::Text { field })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Text format as the server writes it.
    fn written(values: &[Option<String>]) -> Vec<u8> {
        let escaped = |text: &String| {
            let mut out = text.replace('\\', "\\\\");
            for (byte, name) in [('\t', "\\t"), ('\n', "\\n"), ('\r', "\\r"), ('\u{8}', "\\b")] {
                out = out.replace(byte, name);
            }
            out.replace('\u{c}', "\\f").replace('\u{b}', "\\v")
        };
        let texts: Vec<String> =
            values.iter().map(|v| v.as_ref().map_or("\\N".to_owned(), escaped)).collect();
        texts.join("\t").into_bytes()
    }

    proptest! {
        #[test]
        fn what_the_server_writes_is_read(
            values in prop::collection::vec(prop::option::of("[\\PC\t\n\r\\\\N]{0,12}"), 1..8),
        ) {
            prop_assert_eq!(fields(&written(&values), values.len()), Ok(values));
        }

        #[test]
        fn any_bytes_give_fields_or_an_error(line: Vec<u8>, want in 0..6_usize) {
            if let Ok(found) = fields(&line, want) {
                prop_assert_eq!(found.len(), want);
            }
        }
    }

    #[test]
    fn a_column_leaves_as_what_it_holds() {
        let kind = |data_type: &str, p, s| column("c".to_owned(), data_type, p, s).kind;
        assert_eq!(kind("bigint", Some(64), Some(0)), ColumnKind::Integer);
        let numeric = ColumnKind::Numeric { precision: 24, scale: 12 };
        assert_eq!(kind("numeric", Some(24), Some(12)), numeric);
        assert_eq!(kind("timestamp with time zone", None, None), ColumnKind::Timestamp);
        assert_eq!(kind("\"char\"", None, None), ColumnKind::Text);
        let hash = column("h".to_owned(), "bytea", None, None);
        assert_eq!(hash.expression, "encode(h, 'hex')");
    }
}
