//! Purpose: an account whose entries end with their commit. Inputs: planned entries of the evaluation.
//! Outputs: orders committed by the service's own transaction, and when. Invariants: the rows are those
//! that the desk would write; no byte is sent, so nothing but the way to the commit is measured.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use penstock_execution::account::{Account, EntryOutcome, EntryRequest};
use penstock_execution::submit::entry_rows;
use penstock_store_orders::ExecStore;
use penstock_trading::cycle::{StreamStatus, VenueCounter};
use penstock_types::cl_ord_id::{ClOrdId, ClOrdIdGenerator, OrderIdSalt};
use penstock_types::{Decimal, OrderId, Symbol, UtcMicros};

/// When an intent was committed and how long its transaction took.
#[derive(Debug, Clone)]
pub(super) struct Committed {
    /// Right after the commit.
    pub(super) at: Instant,
    /// The whole transaction.
    pub(super) took: Duration,
    /// The order.
    pub(super) order_id: OrderId,
}

/// The account of the bench.
#[derive(Debug)]
pub(super) struct Intents {
    store: ExecStore,
    tick: Decimal,
    ids: Mutex<ClOrdIdGenerator>,
    committed: Mutex<Option<Committed>>,
}

impl Intents {
    /// An account that writes under the session of `store`.
    ///
    /// # Errors
    /// A token beyond 32 bits.
    pub(super) fn new(store: ExecStore, tick: Decimal) -> anyhow::Result<Self> {
        let ids = ClOrdIdGenerator::new(&OrderIdSalt([7; 32]), store.token())?;
        Ok(Self { store, tick, ids: Mutex::new(ids), committed: Mutex::new(None) })
    }

    /// Takes what the last entry left.
    pub(super) fn take(&self) -> Option<Committed> {
        self.committed.lock().ok()?.take()
    }

    fn id(&self) -> Result<ClOrdId, String> {
        let mut ids = self.ids.lock().map_err(|_| "the ids are poisoned".to_owned())?;
        ids.next(now().millis()).map_err(|error| error.to_string())
    }

    async fn commit(&self, request: &EntryRequest) -> Result<OrderId, String> {
        let (id, stop_id) = (self.id()?, self.id()?);
        let (order, standby) = entry_rows(request, id, stop_id, self.tick);
        let started = Instant::now();
        let t0 = now();
        let stored = self.store.persist_entry(&order, &standby, &request.caps, t0, t0).await;
        let at = Instant::now();
        let persisted = stored.map_err(|error| error.to_string())?;
        let order_id = persisted.record().order_id;
        let committed = Committed { at, took: at - started, order_id };
        *self.committed.lock().map_err(|_| "the result is poisoned".to_owned())? = Some(committed);
        Ok(order_id)
    }

    /// The COMMIT alone of a transaction that holds the fence, has changed the order and has written one
    /// more event of it.
    ///
    /// # Errors
    /// What the cluster said.
    pub(super) async fn commit_alone(&self, order_id: OrderId) -> anyhow::Result<Duration> {
        const ACTION: &str = "measure a commit";
        let mut tx = self.store.begin(ACTION).await?;
        sqlx::query(
            "insert into execution_order_events (order_id, event_seq, source, event_type,
                 from_state, to_state, ts_local, dedupe_key)
             select order_id, event_seq + 1, source, 'bench', to_state, to_state, clock_timestamp(),
                 sha256(dedupe_key)
             from execution_order_events where order_id = $1 order by event_seq desc limit 1",
        )
        .bind(order_id.0)
        .execute(&mut *tx)
        .await?;
        let text = "update execution_orders
             set event_seq = event_seq + 1, version = version + 1, updated_at = clock_timestamp()
             where order_id = $1";
        sqlx::query(text).bind(order_id.0).execute(&mut *tx).await?;
        let started = Instant::now();
        self.store.commit(ACTION, tx).await?;
        Ok(started.elapsed())
    }
}

impl Account for Intents {
    fn stream_status(&self) -> StreamStatus {
        StreamStatus { connected: true, snapshots_ok: true, silent_ms: 0 }
    }

    fn latency_us(&self) -> i64 {
        // What the service assumes before it has seen twenty orders.
        250_000
    }

    fn foreign_holds_quote(&self) -> Decimal {
        Decimal::ZERO
    }

    fn venue_counters(&self, _: &[&Symbol]) -> Vec<VenueCounter> {
        Vec::new()
    }

    fn is_busy(&self, _: &Symbol) -> bool {
        false
    }

    async fn submit_entry(&self, request: EntryRequest) -> EntryOutcome {
        match self.commit(&request).await {
            Ok(order_id) => EntryOutcome::Sent { order_id },
            Err(reason) => EntryOutcome::Failed { reason },
        }
    }
}

fn now() -> UtcMicros {
    UtcMicros::from(chrono::Utc::now())
}
