//! Strategy cells: results folded into their row.
//!
//! Input: a cell's key, results in their order. Output: the row after them, and a suspension that began. Invariant: the
//! row is locked from the read to the commit of the transaction that holds the results, also when it is its first, so
//! that the two writers, sales and shadow trades, never lose each other's.

use penstock_trading::cell::{Cell, CellResult, fold};
use penstock_types::vocab::{Regime, RouteType, Strategy};
use penstock_types::{Decimal, UtcMicros};
use sqlx::{Postgres, Transaction};

use crate::writer::{WriteError, timestamp};

/// Key of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CellKey {
    /// Strategy.
    pub strategy: Strategy,
    /// Regime at the entry.
    pub regime: Regime,
    /// Route.
    pub route_type: RouteType,
}

/// A cell that a result has suspended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellSuspended {
    /// Which.
    pub key: CellKey,
    /// Its recent mean, bps.
    pub ewma_net_bps: Decimal,
    /// End of the suspension.
    pub until: UtcMicros,
}

/// Folds results into a cell; the suspension that one of them began.
pub(crate) async fn fold_into(
    tx: &mut Transaction<'static, Postgres>,
    key: CellKey,
    results: &[CellResult],
) -> Result<Option<CellSuspended>, WriteError> {
    let Some(first) = results.first() else { return Ok(None) };
    let mut cell = lock(tx, key, first.at).await?;
    let mut suspended = None;
    for result in results {
        let folded = fold(cell.as_ref(), result);
        if let Some(until) = folded.suspended_until {
            suspended = Some(CellSuspended { key, ewma_net_bps: folded.cell.ewma_net_bps, until });
        }
        cell = Some(folded.cell);
    }
    if let Some(cell) = &cell {
        write(tx, key, cell).await?;
    }
    Ok(suspended)
}

/// The locked row; none when there was none, which leaves an empty one for [`write`].
async fn lock(
    tx: &mut Transaction<'static, Postgres>,
    key: CellKey,
    at: UtcMicros,
) -> Result<Option<Cell>, WriteError> {
    let row = sqlx::query!(
        "insert into strategy_scores (strategy, regime, route_type, n, mean_net_bps, m2,
            ewma_net_bps, mean_expected_bps, hit_rate, updated_at)
         values ($1, $2, $3, 0, 0, 0, 0, 0, 0, $4)
         on conflict (strategy, regime, route_type) do update set n = strategy_scores.n
         returning n, mean_net_bps, m2, ewma_net_bps, mean_expected_bps, hit_rate, updated_at",
        key.strategy.as_str(),
        key.regime.as_str(),
        key.route_type.as_str(),
        timestamp(at)
    )
    .fetch_one(&mut **tx)
    .await
    .map_err(WriteError::sql("lock a strategy cell"))?;
    let cell = Cell {
        n: row.n,
        mean_net_bps: row.mean_net_bps,
        m2: row.m2,
        ewma_net_bps: row.ewma_net_bps,
        mean_expected_bps: row.mean_expected_bps,
        hit_rate: row.hit_rate,
        updated_at: row.updated_at.into(),
    };
    Ok((cell.n > Decimal::ZERO).then_some(cell))
}

async fn write(
    tx: &mut Transaction<'static, Postgres>,
    key: CellKey,
    cell: &Cell,
) -> Result<(), WriteError> {
    sqlx::query!(
        "update strategy_scores set n = $4, mean_net_bps = $5, m2 = $6, ewma_net_bps = $7,
            mean_expected_bps = $8, hit_rate = $9, updated_at = $10
         where strategy = $1 and regime = $2 and route_type = $3",
        key.strategy.as_str(),
        key.regime.as_str(),
        key.route_type.as_str(),
        cell.n,
        cell.mean_net_bps,
        cell.m2,
        cell.ewma_net_bps,
        cell.mean_expected_bps,
        cell.hit_rate,
        timestamp(cell.updated_at)
    )
    .execute(&mut **tx)
    .await
    .map(|_| ())
    .map_err(WriteError::sql("score a strategy cell"))
}
