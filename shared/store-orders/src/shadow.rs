//! Shadow trades that are pending, and their end.
//!
//! Input: keys, ends that published states have shown. Output: pending trades with the costs of their candidates; the
//! suspension that a result began. Invariant: a trade ends exactly once, and its result is folded into its cell in that
//! transaction, under the fence; a trade whose candidate's row is gone has no known costs and can only become void.

use std::collections::{BTreeMap, BTreeSet};

use penstock_trading::cell::{CellResult, Source};
use penstock_trading::exit::policy::policy_of;
use penstock_trading::shadow::{self, Direction, Resolution, ShadowTrade, WayKey};
use penstock_types::vocab::{Blocker, Horizon, Regime, RouteType, Strategy};
use penstock_types::{Decimal, Symbol};

use crate::cells::{self, CellKey, CellSuspended};
use crate::writer::{ExecStore, WriteError};

const TABLE: &str = "shadow_trades";

/// A pending shadow trade.
#[derive(Debug, Clone, PartialEq)]
pub struct PendingShadow {
    /// Row.
    pub shadow_id: i64,
    /// Its way.
    pub way: WayKey,
    /// Its terms.
    pub trade: ShadowTrade,
    /// Cell that its result belongs to; none when its candidate's row is gone.
    pub cell: Option<CellKey>,
    /// Edge that was expected, bps.
    pub expected_bps: Decimal,
    /// Whose result it will be.
    pub source: Source,
}

/// A shadow trade that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndedShadow {
    /// Row.
    pub shadow_id: i64,
    /// Edge that was expected, bps.
    pub expected_bps: Decimal,
    /// Whose result it is.
    pub source: Source,
    /// What it came to.
    pub end: Resolution,
}

impl ExecStore {
    /// Ways of which a shadow trade is pending.
    ///
    /// # Errors
    /// [`WriteError`]; [`WriteError::Row`] when a row holds a word that the product does not know.
    pub async fn pending_ways(&self) -> Result<BTreeSet<WayKey>, WriteError> {
        let mut conn = self.conn().await?;
        let rows = sqlx::query!(
            "select shadow_id, symbol, direction, strategy, route_type, horizon from shadow_trades
             where outcome = 'pending'"
        )
        .fetch_all(&mut *conn)
        .await
        .map_err(WriteError::sql("read the pending ways"))?;
        rows.into_iter()
            .map(|r| {
                let words = [&r.symbol, &r.direction, &r.strategy, &r.route_type, &r.horizon];
                way(r.shadow_id, words.map(String::as_str))
            })
            .collect()
    }

    /// At most `limit` pending shadow trades with a number above `after`, ascending.
    ///
    /// # Errors
    /// [`WriteError`]; [`WriteError::Row`] when a row holds a word that the product does not know.
    pub async fn pending_shadows(
        &self,
        after: i64,
        limit: i64,
    ) -> Result<Vec<PendingShadow>, WriteError> {
        let mut conn = self.conn().await?;
        let rows = sqlx::query!(
            r#"select s.shadow_id, s.symbol, s.direction, s.strategy, s.route_type, s.horizon,
                 s.blocker, s.opened_at, s.ref_price, s.tp_price, s.sl_price, s.expires_at,
                 c.regime as "regime?", c.surplus_bps as "surplus_bps?", c.reasons as "reasons?",
                 (c.inputs ->> 'edge_adj_bps')::numeric as expected_bps,
                 c.fee_entry_bps + c.fee_exit_bps as fees_bps,
                 c.fee_entry_bps + c.fee_exit_bps + c.slip_entry_bps + c.slip_exit_bps
                   + c.spread_net_bps + c.exit_drag_bps + c.tsl_drag_bps + c.wait_risk_bps
                   as cost_bps
             from shadow_trades s
             left join evaluation_candidates c
               on c.day = (s.opened_at at time zone 'UTC')::date
               and c.evaluation_id = s.evaluation_id and c.symbol = s.symbol
               and c.strategy = s.strategy and c.route_type = s.route_type
               and c.horizon = s.horizon and c.inputs ->> 'direction' = s.direction
             where s.outcome = 'pending' and s.shadow_id > $1
             order by s.shadow_id limit $2"#,
            after,
            limit
        )
        .fetch_all(&mut *conn)
        .await
        .map_err(WriteError::sql("read the pending shadow trades"))?;
        let mut pending = Vec::with_capacity(rows.len());
        for r in rows {
            let bad = |problem| WriteError::row(TABLE, r.shadow_id, problem);
            let words = [&r.symbol, &r.direction, &r.strategy, &r.route_type, &r.horizon];
            let way = way(r.shadow_id, words.map(String::as_str))?;
            let first = Blocker::parse(&r.blocker).map_err(|e| bad(e.to_string()))?;
            // Beside its blockers stand narrower codes, which are no blockers.
            let reasons = r.reasons.unwrap_or_default();
            let others = reasons.iter().filter_map(|reason| Blocker::parse(reason).ok());
            let blockers: Vec<Blocker> = std::iter::once(first).chain(others).collect();
            let regime = r.regime.as_deref().map(Regime::parse).transpose();
            let regime = regime.map_err(|e| bad(e.to_string()))?;
            let (strategy, route_type) = (way.strategy, way.route_type);
            pending.push(PendingShadow {
                shadow_id: r.shadow_id,
                trade: ShadowTrade {
                    direction: way.direction,
                    policy: policy_of(strategy),
                    ref_price: r.ref_price,
                    tp_price: r.tp_price,
                    sl_price: r.sl_price,
                    opened_at: r.opened_at.into(),
                    expires_at: r.expires_at.into(),
                    fees_bps: r.fees_bps.unwrap_or_default(),
                    cost_bps: r.cost_bps,
                },
                cell: regime.map(|regime| CellKey { strategy, regime, route_type }),
                expected_bps: r.expected_bps.unwrap_or_default(),
                source: shadow::source(way.direction, &blockers, r.surplus_bps),
                way,
            });
        }
        Ok(pending)
    }

    /// Ends shadow trades of one cell and folds their results into it, in the order of their ends; those that have
    /// ended before are left alone. Void ones have no result.
    ///
    /// # Errors
    /// [`WriteError::Fence`] when a newer session has the fence: then nothing is written.
    pub async fn end_shadows(
        &self,
        cell: Option<CellKey>,
        ended: &[EndedShadow],
    ) -> Result<Option<CellSuspended>, WriteError> {
        const ACTION: &str = "end shadow trades";
        let rows: Vec<serde_json::Value> = ended.iter().map(json).collect();
        let mut tx = self.begin(ACTION).await?;
        let changed = sqlx::query_scalar!(
            "update shadow_trades s set outcome = r.outcome, resolved_at = r.resolved_at,
                exit_price = r.exit_price, result_bps = r.result_bps, mfe_bps = r.mfe_bps,
                mae_bps = r.mae_bps
             from jsonb_populate_recordset(null::shadow_trades, $1) r
             where s.shadow_id = r.shadow_id and s.outcome = 'pending'
             returning s.shadow_id",
            serde_json::Value::Array(rows)
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(WriteError::sql(ACTION))?;
        let changed: BTreeSet<i64> = changed.into_iter().collect();
        let in_order: BTreeMap<_, &EndedShadow> = (ended.iter())
            .filter(|one| changed.contains(&one.shadow_id))
            .map(|one| ((one.end.at, one.shadow_id), one))
            .collect();
        let results: Vec<CellResult> = in_order.into_values().filter_map(result).collect();
        let suspended = match cell {
            Some(key) => cells::fold_into(&mut tx, key, &results).await?,
            None => None,
        };
        self.commit(ACTION, tx).await?;
        Ok(suspended)
    }
}

fn result(one: &EndedShadow) -> Option<CellResult> {
    Some(CellResult {
        net_bps: one.end.result_bps?,
        expected_bps: one.expected_bps,
        source: one.source,
        at: one.end.at,
    })
}

fn json(one: &EndedShadow) -> serde_json::Value {
    let text = |number: Option<Decimal>| number.map(|n| n.to_string());
    serde_json::json!({
        "shadow_id": one.shadow_id,
        "outcome": one.end.outcome.as_str(),
        "resolved_at": one.end.at.rfc3339(),
        "exit_price": text(one.end.exit_price),
        "result_bps": text(one.end.result_bps),
        "mfe_bps": text(Some(one.end.seen.mfe_bps)),
        "mae_bps": text(Some(one.end.seen.mae_bps)),
    })
}

fn way(
    id: i64,
    [symbol, direction, strategy, route, horizon]: [&str; 5],
) -> Result<WayKey, WriteError> {
    let bad = |problem: String| WriteError::row(TABLE, id, problem);
    Ok(WayKey {
        symbol: Symbol::new(symbol).map_err(|e| bad(e.to_string()))?,
        direction: Direction::parse(direction).map_err(|e| bad(e.to_string()))?,
        strategy: Strategy::parse(strategy).map_err(|e| bad(e.to_string()))?,
        route_type: RouteType::parse(route).map_err(|e| bad(e.to_string()))?,
        horizon: Horizon::parse(horizon).map_err(|e| bad(e.to_string()))?,
    })
}
