//! The rows of the desk, each verb within a time.
//!
//! Purpose: the desk is one loop that books fills and keeps stops alive, and every verb of the store is
//! awaited in it; so none may wait for a server that does not answer. Input: the session's store. Output:
//! the same verbs, each bounded by [`ExecStore::within`]. Invariant: the desk has no other way to its
//! rows, so a verb that is not in the table below cannot be awaited without a limit.

use std::time::Duration;

use penstock_store_orders::balances::BalanceChange;
use penstock_store_orders::exit_plans::{PlanChange, PlanOutcome};
use penstock_store_orders::fills::{FillContext, FillOutcome, FillReport};
use penstock_store_orders::orders::persist::{NextStandby, Release, StandbySpec};
use penstock_store_orders::orders::transition::Knowledge;
use penstock_store_orders::orders::{
    Applied, EventNote, NewOrder, OrderRecord, PersistedOrder, Standby,
};
use penstock_store_orders::positions::{PlanRecord, PositionRecord};
use penstock_store_orders::private_log::PrivateMessage;
use penstock_store_orders::reconcile::{ReconcileRun, SymbolMarket};
use penstock_store_orders::trades::StrayTrade;
use penstock_store_orders::{ExecStore, WriteError};
use penstock_trading::capital::caps::Caps;
use penstock_trading::exit::policy::PlanTerms;
use penstock_trading::order::OrderEvent;
use penstock_types::vocab::SafetyMode;
use penstock_types::{Decimal, FencingToken, OrderId, PositionId, Symbol, UtcMicros, Uuid};
use serde_json::Value;
use sqlx::PgPool;

/// Limit before the loop runs, when no stop waits for it, and of reads that grow with the history: above
/// the server's own limit of a statement, which then speaks first.
const PATIENCE: Duration = Duration::from_millis(6_000);

/// The store as the desk has it.
pub(crate) struct DeskStore {
    inner: ExecStore,
    limit: Duration,
    loop_limit: Duration,
}

/// Verbs of the store under their own names.
macro_rules! bounded {
    ($($verb:ident($($arg:ident: $type:ty),*) -> $out:ty;)*) => {
        impl DeskStore {
            $(
                pub(crate) async fn $verb(&self, $($arg: $type),*) -> Result<$out, WriteError> {
                    // On the heap: the desk's own future holds every verb that it may wait for.
                    let verb = Box::pin(self.inner.$verb($($arg),*));
                    self.inner.within(self.limit, stringify!($verb), verb).await
                }
            )*
        }
    };
}

bounded! {
    check() -> ();
    persist_entry(
        order: &NewOrder, standby: &Standby, caps: &Caps, t0: UtcMicros, now: UtcMicros
    ) -> PersistedOrder;
    persist_reduce(order: &NewOrder, t0: UtcMicros, now: UtcMicros) -> PersistedOrder;
    authorise(id: OrderId, release: &Release, t0: UtcMicros, now: UtcMicros) -> PersistedOrder;
    lock_for_exit(symbol: &Symbol, owner: &str, until: UtcMicros) -> ();
    apply(id: OrderId, event: OrderEvent, note: &EventNote, knows: Knowledge) -> Applied;
    process_fill(id: OrderId, report: &FillReport, context: &FillContext) -> FillOutcome;
    change_plan(id: PositionId, change: &PlanChange, now: UtcMicros) -> PlanOutcome;
    open_orders() -> Vec<OrderRecord>;
    orders(ids: &[OrderId]) -> Vec<OrderRecord>;
    orders_by_client_id(ids: &[Uuid]) -> Vec<OrderRecord>;
    orders_by_venue_id(ids: &[String]) -> Vec<OrderRecord>;
    intent_hash_of(id: OrderId) -> Option<String>;
    positions() -> Vec<(PositionRecord, Option<PlanRecord>)>;
    markets_of(symbols: &[Symbol]) -> Vec<SymbolMarket>;
    newest_fill_at() -> Option<UtcMicros>;
    insert_reconcile(run: &ReconcileRun) -> i64;
    close_earlier_standbys(now: UtcMicros) -> usize;
    add_position_standby(spec: &StandbySpec, next: &NextStandby, now: UtcMicros) -> OrderId;
    add_entry_standby(row: &NewOrder, now: UtcMicros) -> OrderId;
    adjust_position(
        symbol: &Symbol, delta: Decimal, price: Decimal, why: (&str, &Value), plan: &PlanTerms,
        now: UtcMicros
    ) -> (PositionRecord, Option<PlanRecord>);
    merge_dust(
        dust: PositionId, into: PositionId, now: UtcMicros
    ) -> (PositionRecord, PositionRecord, Option<PlanRecord>);
    write_off_dust(dust: PositionId, now: UtcMicros) -> PositionRecord;
    has_opening() -> bool;
    base_held(symbol: &Symbol) -> Decimal;
    base_outside(asset: &str) -> Decimal;
    lost_since(since: UtcMicros) -> Vec<OrderRecord>;
    trade_cursor() -> Option<UtcMicros>;
    advance_trade_cursor(until: UtcMicros, now: UtcMicros) -> ();
    quarantine_trade(trade: &StrayTrade<'_>, now: UtcMicros) -> bool;
    put_balance(asset: &str, balance: Decimal, as_of: UtcMicros, source: &str) -> ();
    add_balance_change(change: &BalanceChange<'_>) -> bool;
    append_private(batch: &[PrivateMessage]) -> ();
    buffer_report(venue_id: &str, own_id: Option<&str>, payload: &Value, now: UtcMicros) -> i64;
    settle_report(id: i64, status: &str, order: Option<OrderId>, now: UtcMicros) -> ();
    latency_submitted(id: OrderId, at: UtcMicros, since_decision_us: i64) -> ();
    latency_acked(
        id: OrderId, venue: Option<UtcMicros>, seen: UtcMicros, since_submit_us: i64
    ) -> ();
    latency_protected(entry: OrderId, t4: UtcMicros, t5: UtcMicros, since_fill_us: i64) -> ();
    set_symbol_cause(
        symbol: &Symbol, cause: &str, mode: SafetyMode, why: &str, until: Option<UtcMicros>
    ) -> ();
    quarantine_symbol(
        symbol: &Symbol, cause: &str, mode: SafetyMode, why: &str, until: Option<UtcMicros>
    ) -> ();
    refusals_since(symbol: &Symbol, since: UtcMicros) -> Vec<(UtcMicros, String)>;
    newest_sends(symbol: &Symbol, most: i64) -> Vec<String>;
    clear_symbol_cause(symbol: &Symbol, cause: &str) -> ();
    clear_cause_but(cause: &str, symbols: &[String]) -> ();
}

impl DeskStore {
    /// Patient until [`DeskStore::hurry`]; then each verb has `loop_limit`.
    pub(crate) const fn new(inner: ExecStore, loop_limit: Duration) -> Self {
        Self { inner, limit: PATIENCE, loop_limit }
    }

    /// From now on a stop may wait behind every verb.
    pub(crate) const fn hurry(&mut self) {
        self.limit = self.loop_limit;
    }

    /// Folds every ledger. It grows with the history and runs every few minutes, so it has more time; it
    /// is the one verb behind which a server that begins to hang is noticed later.
    pub(crate) async fn audit_ledger(&self) -> Result<Vec<PositionId>, WriteError> {
        let verb = Box::pin(self.inner.audit_ledger());
        self.inner.within(PATIENCE, "audit the ledger", verb).await
    }

    /// What is asked of rows that other crates read, within the same limit.
    pub(crate) async fn aside<T>(
        &self,
        action: &'static str,
        asked: impl Future<Output = T>,
    ) -> Result<T, WriteError> {
        let asked = Box::pin(async { Ok(asked.await) });
        self.inner.within(self.limit, action, asked).await
    }

    /// For [`DeskStore::aside`] alone.
    pub(crate) const fn pool(&self) -> &PgPool {
        self.inner.pool()
    }

    pub(crate) const fn token(&self) -> FencingToken {
        self.inner.token()
    }

    pub(crate) fn set_away(&self, away: bool) {
        self.inner.set_away(away);
    }

    /// As [`ExecStore::release_unwritten`], which asks nobody.
    pub(crate) fn release_unwritten(
        &self,
        row: &OrderRecord,
        qty: Decimal,
        trigger: Option<Decimal>,
        deadline_at: UtcMicros,
    ) -> Result<PersistedOrder, WriteError> {
        self.inner.release_unwritten(row, qty, trigger, deadline_at)
    }

    /// The store for a task of its own, which nothing waits for.
    pub(crate) fn for_a_task(&self) -> ExecStore {
        self.inner.clone()
    }
}
