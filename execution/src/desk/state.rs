//! What the desk knows, and the small verbs that all its parts use.
//!
//! Input and output as in [`super`]. The parts add their verbs in their own modules.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use arc_swap::ArcSwap;
use penstock_alerts::Alerts;
use penstock_store_orders::WriteError;
use penstock_store_orders::orders::{EventNote, EventSource};
use penstock_telemetry::{Fields, Marker, marker};
use penstock_trading::dms::{Ask, DeadMansSwitch};
use penstock_trading::exit::market::Market;
use penstock_trading::mode::{CauseCode, Level};
use penstock_types::cl_ord_id::{ClOrdId, ClOrdIdError, ClOrdIdGenerator, OrderIdSalt};
use penstock_types::rows::InstrumentRow;
use penstock_types::vocab::SysMode;
use penstock_types::{Decimal, OrderId, PositionId, Symbol, UtcMicros};
use penstock_venue_orders::{Clock, OrderAnswer, OrderSocket, PrivateEvent, PrivateRest};
use tokio::sync::{mpsc, watch};

use super::store::DeskStore;
use super::{Command, DeskConfig, DeskError, DeskStatus};
use crate::engine::EngineBoard;
use crate::lease::Lease;
use crate::mode::ModeHandle;
use crate::operator::{DryRuns, RequestFile};
use crate::outage::{Kept, Outage, Spool};
use crate::quotes::QuoteBoard;
use crate::reconcile::{LookResult, ReconcileState};
use crate::stream::Report;
use crate::tracker::{MutationKind, Tracker};

/// Acknowledgement times kept for the percentile.
const LATENCIES_LEN_LIMIT: usize = 50;
/// Fewest of them that give one.
const LATENCIES_LEN_MIN: usize = 20;

/// Results of tasks that the desk started.
#[derive(Debug)]
pub(crate) enum Message {
    /// The answer to a request of an order.
    Answer { order_id: OrderId, kind: MutationKind, answer: OrderAnswer },
    /// A look by REST.
    Look(Box<LookResult>),
    /// Whether the decision cluster is back.
    Probe(Result<(), WriteError>),
    /// The answer to a request of the dead man's switch, and when that was sent.
    Switch { what: Ask, sent_ms: i64, answer: OrderAnswer },
}

/// What wakes the desk.
#[derive(Debug)]
pub(crate) enum Input {
    /// Something happened at the venue.
    Event(PrivateEvent),
    /// A task of the desk has ended.
    Message(Message),
    /// A wish.
    Command(Command),
    /// The mode changed.
    Mode(SysMode),
    /// A frame, or time.
    Tick,
}

/// A report that no order matches yet.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) buffer_id: i64,
    pub(crate) report: Report,
    pub(crate) since_mono_ms: i64,
}

/// A balance as the venue last said it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Balance {
    pub(crate) amount: Decimal,
    pub(crate) seen_mono_ms: i64,
    pub(crate) dirty: bool,
    pub(crate) at: UtcMicros,
}

/// The desk.
pub(crate) struct Desk {
    pub(crate) config: DeskConfig,
    pub(crate) store: DeskStore,
    pub(crate) salt: OrderIdSalt,
    pub(crate) ids: ClOrdIdGenerator,
    pub(crate) orders: OrderSocket,
    pub(crate) rest: PrivateRest,
    pub(crate) quotes: QuoteBoard,
    pub(crate) engine: EngineBoard,
    pub(crate) mode: ModeHandle,
    pub(crate) alerts: Alerts,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) instruments: Arc<ArcSwap<BTreeMap<Symbol, InstrumentRow>>>,
    pub(crate) messages: mpsc::Sender<Message>,
    pub(crate) tracker: Tracker,
    pub(crate) waiting: VecDeque<Waiting>,
    /// Reports that came after a newer one of their order.
    pub(crate) late_reports: u64,
    pub(crate) balances: BTreeMap<String, Balance>,
    pub(crate) reconcile: ReconcileState,
    /// What the venue as a whole takes.
    pub(crate) system: Market,
    pub(crate) entries_stopped: bool,
    /// The decision cluster is away.
    pub(crate) outage: Option<Outage>,
    /// The venue's dead man's switch.
    pub(crate) dms: DeadMansSwitch,
    /// The operator's file.
    pub(crate) request_file: RequestFile,
    pub(crate) dry_runs: DryRuns,
    /// What an outage must not lose with the process.
    pub(crate) spool: Spool,
    /// What an earlier process kept, until the attach has applied it.
    pub(crate) kept: Vec<Kept>,
    pub(crate) lease: Arc<Lease>,
    pub(crate) fence_mono_ms: i64,
    pub(crate) fees_round_trip_bps: Decimal,
    pub(crate) latencies_us: VecDeque<i64>,
    /// Orders that were acknowledged.
    pub(crate) acks: usize,
    pub(crate) status: Arc<ArcSwap<DeskStatus>>,
    pub(crate) changed: watch::Sender<u64>,
}

impl Desk {
    /// Wall clock.
    pub(crate) fn now(&self) -> UtcMicros {
        self.clock.now().wall
    }

    /// Monotonic milliseconds.
    pub(crate) fn mono_ms(&self) -> i64 {
        self.clock.now().mono_ms()
    }

    /// Monotonic microseconds.
    pub(crate) fn mono_us(&self) -> i64 {
        self.clock.now().mono_ns / 1_000
    }

    /// A new order id; a used-up millisecond is waited out.
    pub(crate) async fn new_id(&mut self) -> Result<ClOrdId, DeskError> {
        loop {
            match self.ids.next(self.now().millis()) {
                Ok(id) => return Ok(id),
                Err(ClOrdIdError::Wait { .. }) => {
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
                Err(error @ (ClOrdIdError::Clock(_) | ClOrdIdError::Token(_))) => {
                    return Err(DeskError::Invariant(error.to_string()));
                }
            }
        }
    }

    /// A note of this process.
    pub(crate) fn note(&self) -> EventNote {
        EventNote::local(self.now())
    }

    /// A note about something that came from elsewhere.
    pub(crate) fn note_from(&self, source: EventSource) -> EventNote {
        EventNote { source, ..self.note() }
    }

    /// What became of a write: fatal errors end the desk, others are counted, alarmed and retried by the
    /// reconcile that follows. `None` means that the write did not happen or is not known to have.
    pub(crate) fn written<T>(
        &mut self,
        result: Result<T, WriteError>,
    ) -> Result<Option<T>, DeskError> {
        match result {
            Ok(value) => {
                if self.reconcile.db_failed && self.outage.is_none() && !self.reconcile.away {
                    self.reconcile.db_failed = false;
                    self.mode.clear(CauseCode::DbUnavailable);
                }
                Ok(Some(value))
            }
            Err(error @ WriteError::Conflict { .. }) => {
                tracing::warn!("{error}");
                Ok(None)
            }
            Err(error) => match DeskError::from(error) {
                DeskError::Write(error) => {
                    tracing::warn!("{error}");
                    self.reconcile.db_failed = true;
                    self.reconcile.full_due = true;
                    if error.is_outage() {
                        // Nothing more is tried within this input: its rest must not wait as well.
                        self.reconcile.away = true;
                        self.reconcile.away_error = Some(error.to_string());
                        self.store.set_away(true);
                    }
                    let value = Some(error.to_string());
                    self.mode.raise(CauseCode::DbUnavailable, Level::Degrade, value);
                    Ok(None)
                }
                fatal => Err(fatal),
            },
        }
    }

    /// Rules of the venue for a symbol.
    pub(crate) fn instrument(&self, symbol: &Symbol) -> Option<InstrumentRow> {
        self.instruments.load().get(symbol).cloned()
    }

    /// Smallest quantity that can be sold at a price: the venue's minimum, and its cost minimum.
    pub(crate) fn min_qty(instrument: &InstrumentRow, price: Decimal) -> Decimal {
        if price <= Decimal::ZERO {
            return instrument.qty_min;
        }
        let by_cost = instrument.cost_min.checked_div(price).unwrap_or_default();
        let by_cost = penstock_types::decimal::ceil_to_step(by_cost, instrument.qty_increment);
        instrument.qty_min.max(by_cost)
    }

    /// Logs the marker that the order machine names.
    pub(crate) fn marker(name: &str, fields: &Fields) {
        if let Some(marker) = Marker::ALL.iter().find(|m| m.as_str() == name) {
            penstock_telemetry::send(*marker, marker.level(), fields);
        }
    }

    /// One acknowledgement time.
    pub(crate) fn note_latency(&mut self, us: i64) {
        if self.latencies_us.len() == LATENCIES_LEN_LIMIT {
            self.latencies_us.pop_front();
        }
        self.latencies_us.push_back(us);
        self.acks += 1;
        if self.acks.is_multiple_of(LATENCIES_LEN_LIMIT) {
            marker!(
                ROUTE_LATENCY_PROFILE,
                orders = self.acks,
                submit_to_ack_p50_ms = self.latency_us(5).map(|us| us / 1_000),
                submit_to_ack_p90_ms = self.latency_us(9).map(|us| us / 1_000)
            );
        }
    }

    /// So many tenths of the acknowledgement times are not above this.
    fn latency_us(&self, tenths: usize) -> Option<i64> {
        if self.latencies_us.len() < LATENCIES_LEN_MIN {
            return None;
        }
        let mut sorted: Vec<i64> = self.latencies_us.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get((sorted.len() * tenths).div_ceil(10) - 1).copied()
    }

    /// Symbols of changes that wait for a look at the venue.
    fn confirming(&self) -> std::collections::BTreeSet<Symbol> {
        let waiting = self.reconcile.confirms.keys().filter_map(|id| self.tracker.get(*id));
        waiting.map(|tracked| tracked.record.symbol.clone()).collect()
    }

    /// Publishes the state for gates and heartbeat, and what changed of positions for the trail.
    pub(crate) fn publish(&mut self) {
        let ids: Vec<PositionId> = self.tracker.positions.keys().copied().collect();
        for id in ids {
            self.say_position(id);
        }
        use penstock_types::vocab::{OrderState, PlanState};
        let mut busy = std::collections::BTreeSet::new();
        let (mut live, mut unresolved) = (0, 0);
        let entries = self.tracker.live().filter(|t| t.record.enters());
        // During an outage rows lag behind what the venue has said.
        let live_entries = entries
            .filter(|t| self.shadow_of(t.record.order_id).is_none_or(|shadow| shadow.is_live()))
            .count();
        for tracked in self.tracker.live() {
            busy.insert(tracked.record.symbol.clone());
            live += 1;
            unresolved += usize::from(matches!(
                tracked.record.state,
                OrderState::SubmitUnknown | OrderState::Suspect | OrderState::ReconcileRequired
            ));
        }
        let mut unprotected = 0;
        let open = || self.tracker.positions.values().filter(|held| !held.is_dust());
        for held in open() {
            busy.insert(held.position.symbol.clone());
            let state = held.plan.as_ref().map(|p| p.state);
            unprotected += usize::from(state == Some(PlanState::Unprotected));
        }
        let status = DeskStatus {
            reconciled: self.reconcile.complete,
            busy,
            open_positions: open().count(),
            live_orders: live,
            live_entries,
            unresolved_orders: unresolved,
            unprotected,
            latency_us: self.latency_us(9),
            foreign_holds_quote: self.quote_held_by_outsiders(),
            confirming: self.confirming(),
            late_reports: self.late_reports,
            has_rules: !self.instruments.load().is_empty(),
        };
        if **self.status.load() != status {
            self.status.store(Arc::new(status));
            self.changed.send_modify(|n| *n = n.wrapping_add(1));
        }
    }
}
