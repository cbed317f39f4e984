//! The read of a cycle: one transaction, and what the process holds in memory.
//!
//! Purpose: fill a `CycleInput`. Inputs: pool, quotes, the account's status. Outputs: the input, still with
//! the mode of before. Invariants: every row comes from one REPEATABLE READ transaction.

use penstock_store_decision::{ReadError, account as account_rows, cycle_input};
use penstock_trading::cycle::{CYCLE_INPUT_VERSION, CycleInput, LineageMemory};
use penstock_types::UtcMicros;
use penstock_types::rows::FenceRow;
use penstock_types::state_row::content_hash;
use penstock_types::vocab::Trigger;

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

/// Reads everything.
pub(super) async fn load(
    context: &Context,
    account: &impl Account,
    occasion: Occasion,
) -> Result<Loaded, ReadError> {
    let mut tx = cycle_input::begin(&context.pool).await?;
    let pointer = cycle_input::pointer(&mut tx, context.domain()).await?;
    let (mut states, mut instruments) = (Vec::new(), Vec::new());
    let (mut epochs, mut snapshots) = (Vec::new(), Vec::new());
    if let Some(publication) = &pointer.publication {
        states = cycle_input::states(&mut tx, publication.run_id).await?;
        instruments = cycle_input::instruments(&mut tx, publication.run_id).await?;
        (epochs, snapshots) = cycle_input::epochs(&mut tx, publication.lineage_id).await?;
    }
    let rows = account_rows::account(&mut tx, &context.settings.counter_spans).await?;
    drop(tx);
    let content_hash_ok = occasion.check_hash.then(|| {
        let ours = hex::encode(content_hash(&states));
        pointer.publication.as_ref().is_some_and(|p| p.content_hash == ours)
    });
    // Read last, so that their ages are those of the moment of the decision.
    let table = context.quotes.table();
    let symbols: Vec<_> = states.iter().map(|row| &row.symbol).collect();
    let venue_counters = account.venue_counters(&symbols);
    let input = CycleInput {
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
        venue_counters,
        stream: account.stream_status(),
        latency_us: account.latency_us(),
        foreign_holds_quote: account.foreign_holds_quote(),
        frame: table.status(),
        quotes: table.quotes.values().cloned().collect(),
        engine: context.engine.cycle(),
    };
    Ok(Loaded { input, execution_fence: pointer.execution_fence })
}
