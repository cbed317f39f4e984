//! The read of a cycle: one transaction, and what the process holds in memory.
//!
//! Purpose: fill a `CycleInput`. Inputs: pool, quotes, the account's status. Outputs: the input, still with
//! the mode of before. Invariants: every row comes from one REPEATABLE READ transaction.

use penstock_store_decision::{ReadError, account as account_rows, closes, cycle_input};
use penstock_trading::cycle::{CYCLE_INPUT_VERSION, CycleInput, LineageMemory};
use penstock_trading::decide;
use penstock_trading::select::SelectionMemory;
use penstock_trading::select::returns::{Boundary, Closes};
use penstock_types::UtcMicros;
use penstock_types::rows::FenceRow;
use penstock_types::state_row::content_hash;
use penstock_types::vocab::Trigger;
use sqlx::PgConnection;

use crate::account::Account;
use crate::context::Context;

/// What the caller knows about the cycle.
#[derive(Debug, Clone, Copy)]
pub(super) struct Occasion {
    pub(super) evaluation_index: i64,
    pub(super) trigger: Trigger,
    pub(super) lineage: LineageMemory,
    pub(super) check_hash: bool,
}

/// An input with what is read beside it.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) input: CycleInput,
    pub(super) execution_fence: Option<FenceRow>,
}

/// What the session remembers for its next cycle.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Closes that were read.
    pub(super) closes: Closes,
    /// Finalists of earlier cycles.
    pub(super) selection: SelectionMemory,
}

impl Memory {
    /// Reads the closes that have come since the last cycle.
    async fn read_closes(&mut self, tx: &mut PgConnection, points: i64) -> Result<(), ReadError> {
        let now = UtcMicros::from(chrono::Utc::now());
        let Some((first, last)) = self.closes.due(now, points) else { return Ok(()) };
        let rows = closes::closes(tx, first.back(1).at(), last.at()).await?;
        let read = rows.into_iter().map(|row| {
            // The bar's last microsecond is inside it, its boundary is not.
            (row.symbol, Boundary::after(UtcMicros(row.boundary.0 - 1)), row.close)
        });
        self.closes.take(last, points, read);
        Ok(())
    }
}

/// Reads everything.
pub(super) async fn load(
    context: &Context,
    account: &impl Account,
    occasion: Occasion,
    memory: &mut Memory,
) -> Result<Loaded, ReadError> {
    let mut tx = cycle_input::begin(&context.pool).await?;
    let pointer = cycle_input::pointer(&mut tx, context.domain()).await?;
    let (mut states, mut instruments, mut epochs, mut snapshots) = Default::default();
    if let Some(publication) = &pointer.publication {
        states = cycle_input::states(&mut tx, publication.run_id).await?;
        instruments = cycle_input::instruments(&mut tx, publication.run_id).await?;
        (epochs, snapshots) = cycle_input::epochs(&mut tx, publication.lineage_id).await?;
    }
    let (decide, spans) = (&context.settings.decide, &context.settings.counter_spans);
    let rows = account_rows::account(&mut tx, spans, &decide.quote_asset).await?;
    let points = decide.selection.corr_window_points;
    memory.read_closes(&mut tx, points).await?;
    drop(tx);
    let content_hash_ok = occasion.check_hash.then(|| {
        let ours = hex::encode(content_hash(&states));
        pointer.publication.as_ref().is_some_and(|p| p.content_hash == ours)
    });
    // Read last, so that their ages are those of the moment of the decision.
    let table = context.quotes.table();
    let counted: Vec<_> = states.iter().map(|row| &row.symbol).collect();
    let mut input = CycleInput {
        version: CYCLE_INPUT_VERSION,
        domain: context.domain().to_owned(),
        session_id: context.session_id,
        evaluation_index: occasion.evaluation_index,
        trigger: occasion.trigger,
        now: pointer.now,
        t0: UtcMicros::from(chrono::Utc::now()),
        sys_mode: context.mode.current(),
        publication: pointer.publication,
        ingest_fence: pointer.ingest_fence,
        venue_counters: account.venue_counters(&counted),
        states,
        content_hash_ok,
        epochs,
        snapshots,
        lineage: occasion.lineage,
        safety: rows.safety,
        instruments,
        positions: rows.positions,
        live_orders: rows.live_orders,
        reservations: rows.reservations,
        balances: rows.balances,
        fees: rows.fees,
        scores: rows.scores,
        locks: rows.locks,
        equity: rows.equity,
        counters: rows.counters,
        stream: account.stream_status(),
        latency_us: account.latency_us(),
        foreign_holds_quote: account.foreign_holds_quote(),
        frame: table.status(),
        quotes: table.quotes.values().cloned().collect(),
        engine: context.engine.cycle(),
        windows: context.quotes.windows(),
        returns: Vec::new(),
        selection: memory.selection.clone(),
        ai_answers: Vec::new(),
        refused: Vec::new(),
    };
    let compared = decide::compared(&input, &context.settings.decide);
    input.returns = memory.closes.series(&compared, points);
    Ok(Loaded { input, execution_fence: pointer.execution_fence })
}
