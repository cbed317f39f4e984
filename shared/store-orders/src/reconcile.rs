//! Reconcile as rows: its runs and differences, corrections of positions, standby rows of sessions that
//! have ended, the ledger audit.
//!
//! Input: what a pass found. Output: rows, and the facts that a pass compares. A correction is an
//! `adjust` row of the ledger; no fill is ever invented.

use penstock_trading::exit::policy::PlanTerms;
use penstock_trading::ledger::{Head, LedgerKind, LedgerRow, book_adjust, fold};
use penstock_types::vocab::{OrderRole, PositionOrigin, Regime, RegimeSub};
use penstock_types::{Decimal, OrderId, PositionId, Symbol, UtcMicros};
use serde_json::{Value, json};

use crate::exit_plans::insert_plan;
use crate::fills::{RowRef, insert_ledger_of, write_head};
use crate::orders::insert::insert_order;
use crate::orders::persist::{NextStandby, StandbySpec};
use crate::orders::terms::NewOrder;
use crate::orders::transition::{EventNote, close_rows, insert_event};
use crate::positions::{PlanRecord, PositionRecord, Which, read_plan, read_positions};
use crate::writer::{ExecStore, WriteError, timestamp};

/// One pass or look.
#[derive(Debug, Clone, PartialEq)]
pub struct ReconcileRun {
    /// `LIGHT`, `FULL` or `CONFIRM`.
    pub kind: &'static str,
    /// Cause of a look, empty for passes.
    pub cause: &'static str,
    /// `ok`, `diff`, `failed`, `confirmed`, `stale`, `contradicted`.
    pub outcome: &'static str,
    /// Positions it looked at.
    pub positions: Vec<PositionId>,
    /// Orders it looked at.
    pub orders: Vec<OrderId>,
    /// Start.
    pub started_at: UtcMicros,
    /// Duration.
    pub dur_ms: i64,
    /// Score of a pass.
    pub drift_score_x10000: Option<i32>,
    /// Calls to the venue.
    pub calls: i32,
    /// What differed.
    pub diffs: Vec<ReconcileDiff>,
}

/// One difference.
#[derive(Debug, Clone, PartialEq)]
pub struct ReconcileDiff {
    /// Kind.
    pub kind: &'static str,
    /// Symbol, may be empty.
    pub symbol: String,
    /// Order.
    pub order_id: Option<OrderId>,
    /// Our view.
    pub local: String,
    /// The venue's.
    pub remote: String,
    /// Points.
    pub points: i32,
    /// Seen twice, or counted at once.
    pub settled: bool,
}

impl ExecStore {
    /// Writes a pass with its differences.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn insert_reconcile(&self, run: &ReconcileRun) -> Result<i64, WriteError> {
        const ACTION: &str = "write a reconcile pass";
        let sql = WriteError::sql(ACTION);
        let mut tx = self.begin(ACTION).await?;
        let positions: Vec<i64> = run.positions.iter().map(|p| p.0).collect();
        let orders: Vec<i64> = run.orders.iter().map(|o| o.0).collect();
        let id = sqlx::query_scalar!(
            "insert into reconcile_runs (session_id, kind, cause, outcome, position_ids, order_ids,
                started_at, dur_ms, drift_score_x10000, calls)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
             returning reconcile_id",
            self.session().0,
            run.kind,
            run.cause,
            run.outcome,
            &positions,
            &orders,
            timestamp(run.started_at),
            i32::try_from(run.dur_ms).unwrap_or(i32::MAX),
            run.drift_score_x10000,
            run.calls
        )
        .fetch_one(&mut *tx)
        .await
        .map_err(sql)?;
        for diff in &run.diffs {
            sqlx::query!(
                "insert into reconcile_diffs (reconcile_id, ts, diff_kind, symbol, order_id, local,
                    remote, points, settled, resolved_at)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9,
                    case when $9 then clock_timestamp() end)",
                id,
                timestamp(run.started_at),
                diff.kind,
                diff.symbol,
                diff.order_id.map(|o| o.0),
                diff.local,
                diff.remote,
                diff.points,
                diff.settled
            )
            .execute(&mut *tx)
            .await
            .map_err(sql)?;
        }
        self.commit(ACTION, tx).await?;
        Ok(id)
    }

    /// Venue time of the newest booked fill.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn newest_fill_at(&self) -> Result<Option<UtcMicros>, WriteError> {
        let at = sqlx::query_scalar!("select max(ts_exchange) from fills")
            .fetch_one(&mut *self.conn().await?)
            .await
            .map_err(WriteError::sql("find the newest fill"))?;
        Ok(at.map(UtcMicros::from))
    }

    /// Closes standby rows of earlier sessions, drops what has expired, and gives back reservations of
    /// ended orders. Returns how many rows were closed.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn close_earlier_standbys(&self, now: UtcMicros) -> Result<usize, WriteError> {
        const ACTION: &str = "close standby rows of earlier sessions";
        let sql = WriteError::sql(ACTION);
        let mut tx = self.begin(ACTION).await?;
        let ids = sqlx::query_scalar!(
            "select order_id from execution_orders
             where state = 'created' and fencing_token < $1 for update",
            self.token().0
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(sql)?;
        close_rows(&mut tx, &ids, "superseded", now).await?;
        sqlx::query!(
            "update capital_reservations r
             set reserved_quote = 0, released_at = $1, release_reason = 'reconcile'
             from execution_orders o
             where o.order_id = r.order_id and o.terminal and r.released_at is null",
            timestamp(now)
        )
        .execute(&mut *tx)
        .await
        .map_err(sql)?;
        sqlx::query!(
            "delete from symbol_exec_locks
             where expires_at < clock_timestamp() or fencing_token < $1",
            self.token().0
        )
        .execute(&mut *tx)
        .await
        .map_err(sql)?;
        self.commit(ACTION, tx).await?;
        Ok(ids.len())
    }

    /// A standby row of this session for a position.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn add_position_standby(
        &self,
        spec: &StandbySpec,
        next: &NextStandby,
        now: UtcMicros,
    ) -> Result<OrderId, WriteError> {
        const ACTION: &str = "prepare a standby row";
        let mut tx = self.begin(ACTION).await?;
        let id = self.prepare_standby(&mut tx, spec, next, now).await?;
        self.commit(ACTION, tx).await?;
        Ok(id)
    }

    /// A standby protection row of this session for a live entry that has none.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn add_entry_standby(
        &self,
        row: &NewOrder,
        now: UtcMicros,
    ) -> Result<OrderId, WriteError> {
        const ACTION: &str = "prepare a standby row";
        debug_assert!(row.role == OrderRole::Protection && row.parent_order_id.is_some());
        let mut tx = self.begin(ACTION).await?;
        let state = penstock_types::vocab::OrderState::Created;
        let id = insert_order(self, &mut tx, row, state, now).await?;
        let note = EventNote::local(now).named("prepare");
        insert_event(&mut tx, id, 1, None, state, &note).await?;
        self.commit(ACTION, tx).await?;
        Ok(id)
    }

    /// Corrects the base of a position, or opens an external one with its plan; the ledger's row keeps why, and on what
    /// evidence.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn adjust_position(
        &self,
        symbol: &Symbol,
        delta: Decimal,
        price: Decimal,
        (reason, evidence): (&str, &Value),
        plan: &PlanTerms,
        now: UtcMicros,
    ) -> Result<(PositionRecord, Option<PlanRecord>), WriteError> {
        const ACTION: &str = "adjust a position";
        let mut tx = self.begin(ACTION).await?;
        let held = read_positions(&mut tx, Which::LockOpenOf(symbol)).await?.pop();
        let (position_id, head) = match &held {
            Some(position) => (position.position_id, position.head),
            None => (insert_external(&mut tx, symbol, price, now).await?, Head::default()),
        };
        let booked = book_adjust(&head, delta, price)
            .map_err(|e| WriteError::row("positions", position_id.0, e))?;
        write_head(&mut tx, position_id, &booked.head, now).await?;
        let row =
            RowRef { position_id, fill_id: None, reason: Some(reason), evidence: Some(evidence) };
        insert_ledger_of(&mut tx, &row, symbol.as_str(), &booked.row, now).await?;
        if held.is_none() {
            insert_plan(&mut tx, position_id, plan, &json!({}), now).await?;
        }
        let position = read_positions(&mut tx, Which::LockId(position_id))
            .await?
            .pop()
            .ok_or_else(|| WriteError::row("positions", position_id.0, "no such row"))?;
        let plan = read_plan(&mut tx, position_id).await?;
        self.commit(ACTION, tx).await?;
        Ok((position, plan))
    }

    /// Folds every ledger and compares; the ids of positions that differ.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn audit_ledger(&self) -> Result<Vec<PositionId>, WriteError> {
        const ACTION: &str = "audit the ledger";
        let sql = WriteError::sql(ACTION);
        let mut conn = self.conn().await?;
        let rows = sqlx::query!(
            "select position_id, ledger_seq, kind, delta_base, base_before, base_after, cost_before,
                cost_after, avg_entry_before, avg_entry_after, open_fees_after, realized_quote,
                fee_quote
             from fills_ledger order by position_id, ledger_seq"
        )
        .fetch_all(&mut *conn)
        .await
        .map_err(sql)?;
        let heads = sqlx::query!(
            "select position_id, base_qty, cost_basis_quote, open_entry_fees_quote, realized_quote,
                fees_quote, ledger_seq
             from positions order by position_id"
        )
        .fetch_all(&mut *conn)
        .await
        .map_err(sql)?;
        let mut ledgers: std::collections::BTreeMap<i64, Vec<LedgerRow>> =
            std::collections::BTreeMap::new();
        for r in rows {
            let kind = LedgerKind::parse(&r.kind)
                .map_err(|e| WriteError::row("fills_ledger", r.position_id, e))?;
            ledgers.entry(r.position_id).or_default().push(LedgerRow {
                seq: r.ledger_seq,
                kind,
                delta_base: r.delta_base,
                base_before: r.base_before,
                base_after: r.base_after,
                cost_before: r.cost_before,
                cost_after: r.cost_after,
                avg_entry_before: r.avg_entry_before,
                avg_entry_after: r.avg_entry_after,
                open_fees_after: r.open_fees_after,
                realized_quote: r.realized_quote,
                fee_quote: r.fee_quote,
            });
        }
        let mut broken = Vec::new();
        for p in heads {
            let rows = ledgers.remove(&p.position_id).unwrap_or_default();
            let same = fold(&rows).is_ok_and(|head| {
                head.base == p.base_qty
                    && head.cost == p.cost_basis_quote
                    && head.open_fees == p.open_entry_fees_quote
                    && head.realized == p.realized_quote
                    && head.fees == p.fees_quote
                    && head.seq == p.ledger_seq
            });
            if !same {
                broken.push(PositionId(p.position_id));
            }
        }
        Ok(broken)
    }

    /// What the newest generation says of symbols, for exit plans and exits.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn markets_of(&self, symbols: &[Symbol]) -> Result<Vec<SymbolMarket>, WriteError> {
        let names: Vec<String> = symbols.iter().map(ToString::to_string).collect();
        let rows = sqlx::query!(
            r#"select s.symbol, s.spread_avg_bps, s.atr_15m_bps, s.drift_5m_bps, s.regime,
                s.regime_sub, p.generation_id,
                (extract(epoch from clock_timestamp() - p.published_at) * 1000)::bigint
                    + p.as_of_lag_ms as "age_ms!"
             from run_symbol_state s join state_publication p
                on p.run_id = s.run_id and p.generation_id = s.generation_id
             where p.domain = $1 and s.symbol = any($2)"#,
            self.domain(),
            &names
        )
        .fetch_all(&mut *self.conn().await?)
        .await
        .map_err(WriteError::sql("read the state of symbols"))?;
        rows.into_iter()
            .map(|r| {
                let id = r.generation_id;
                let bad = |e: penstock_types::vocab::UnknownWord| {
                    WriteError::row("run_symbol_state of generation", id, e)
                };
                Ok(SymbolMarket {
                    symbol: Symbol::new(&r.symbol)
                        .map_err(|e| WriteError::row("run_symbol_state of generation", id, e))?,
                    generation_id: id,
                    age_ms: r.age_ms,
                    spread_avg_bps: r.spread_avg_bps,
                    atr_bps: r.atr_15m_bps,
                    drift_5m_bps: r.drift_5m_bps,
                    regime: Regime::parse(&r.regime).map_err(bad)?,
                    regime_sub: r
                        .regime_sub
                        .as_deref()
                        .map(RegimeSub::parse)
                        .transpose()
                        .map_err(bad)?,
                })
            })
            .collect()
    }
}

/// Published state of a symbol, as far as exits use it.
#[derive(Debug, Clone, PartialEq)]
pub struct SymbolMarket {
    /// Symbol.
    pub symbol: Symbol,
    /// Generation.
    pub generation_id: i64,
    /// Age of the state.
    pub age_ms: i64,
    /// Average spread.
    pub spread_avg_bps: Option<Decimal>,
    /// Average true range of 15 minutes.
    pub atr_bps: Option<Decimal>,
    /// Drift of 5 minutes.
    pub drift_5m_bps: Option<Decimal>,
    /// Regime.
    pub regime: Regime,
    /// Refinement.
    pub regime_sub: Option<RegimeSub>,
}

async fn insert_external(
    tx: &mut sqlx::Transaction<'static, sqlx::Postgres>,
    symbol: &Symbol,
    price: Decimal,
    now: UtcMicros,
) -> Result<PositionId, WriteError> {
    let id = sqlx::query_scalar!(
        "insert into positions (symbol, status, origin, opened_at, base_qty, cost_basis_quote,
            peak_price, trough_price, updated_at)
         values ($1, 'open', $2, $3, 0, 0, $4, $4, $3)
         returning position_id",
        symbol.as_str(),
        PositionOrigin::External.as_str(),
        timestamp(now),
        price
    )
    .fetch_one(&mut **tx)
    .await
    .map_err(WriteError::sql("open an external position"))?;
    Ok(PositionId(id))
}
