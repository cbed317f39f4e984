//! Closes of five minutes from the published candles.
//!
//! Inputs: a connection inside the cycle's read transaction, a span of time. Outputs: the newest close of each symbol
//! before each boundary. A bar without a candle has no row.

use penstock_store::StoreError;
use penstock_types::{Decimal, Symbol, UtcMicros};
use sqlx::PgConnection;

use crate::{CLUSTER, ReadError};

/// A close with the boundary that its bar ends at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// Symbol.
    pub symbol: Symbol,
    /// End of the five minutes.
    pub boundary: UtcMicros,
    /// Close of the newest candle in them.
    pub close: Decimal,
}

/// Closes of the bars that end after `from` and not after `to`, both boundaries.
///
/// # Errors
/// [`ReadError`].
pub async fn closes(
    conn: &mut PgConnection,
    from: UtcMicros,
    to: UtcMicros,
) -> Result<Vec<Close>, ReadError> {
    let rows = sqlx::query!(
        r#"select distinct on (symbol, bar) symbol,
             date_bin('5 minutes', minute, 'epoch'::timestamptz) as "bar!", c
         from candles_1m, lateral (
           select date_bin('5 minutes', minute, 'epoch'::timestamptz) as bar
         ) b
         where minute >= $1 and minute < $2
         order by symbol, bar, minute desc"#,
        from.to_chrono(),
        to.to_chrono(),
    )
    .fetch_all(conn)
    .await
    .map_err(|e| StoreError::sql("read the closes of five minutes", CLUSTER, e))?;
    rows.into_iter()
        .map(|row| {
            let boundary = UtcMicros::from(row.bar).plus_millis(300_000);
            Ok(Close { symbol: Symbol::new(&row.symbol)?, boundary, close: row.c })
        })
        .collect()
}
