//! Starting the desk and its loop.
//!
//! Input: [`DeskParts`]. Output: a handle and the task's result. Order of the loop: the stop, what
//! happened at the venue, answers and looks, commands, the tick; so that a decision is never made on
//! less than what has already arrived.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use penstock_alerts::Alerts;
use penstock_store::spool::exec::OpenedExec;
use penstock_store_orders::ExecStore;
use penstock_trading::dms::DeadMansSwitch;
use penstock_trading::exit::market::Market;
use penstock_types::cl_ord_id::{ClOrdIdGenerator, OrderIdSalt};
use penstock_types::rows::InstrumentRow;
use penstock_types::vocab::StageName;
use penstock_types::{Decimal, Symbol};
use penstock_venue_orders::{Clock, OrderSocket, PrivateEvent, PrivateRest};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::store::DeskStore;
use super::{Command, Desk, DeskConfig, DeskError, DeskHandle, DeskStatus, Input, Message};
use crate::audit::{AuditHandle, Said};
use crate::engine::EngineBoard;
use crate::lease::Lease;
use crate::mode::ModeHandle;
use crate::operator::{DryRuns, RequestFile};
use crate::outage;
use crate::progress::LoopName;
use crate::quotes::QuoteBoard;
use crate::reconcile::ReconcileState;
use crate::tracker::Tracker;

/// Commands that may wait.
const COMMANDS_LEN_LIMIT: usize = 256;
/// Answers and looks that may wait: one per order request and look under way.
const MESSAGES_LEN_LIMIT: usize = 1_024;
/// Fees of entry and exit before the account's are known: the venue's first tier.
const ROUND_TRIP_BPS_BOOTSTRAP: i64 = 80;

/// What the desk needs.
pub struct DeskParts {
    /// Limits.
    pub config: DeskConfig,
    /// Writes of the session.
    pub store: ExecStore,
    /// Salt of order ids.
    pub salt: OrderIdSalt,
    /// The way to the socket.
    pub orders: OrderSocket,
    /// Signed REST.
    pub rest: PrivateRest,
    /// Events of the private stream; 4,096 places.
    pub events: mpsc::Receiver<PrivateEvent>,
    /// Quotes.
    pub quotes: QuoteBoard,
    /// The engine's newest view.
    pub engine: EngineBoard,
    /// The mode.
    pub mode: ModeHandle,
    /// What is wrong now.
    pub alerts: Alerts,
    /// Rules of the venue, kept fresh by whoever starts the desk.
    pub instruments: Arc<ArcSwap<BTreeMap<Symbol, InstrumentRow>>>,
    /// The audit trail; none for tools that hold no session.
    pub audit: Option<AuditHandle>,
    /// Renewals of the fence, told by whoever renews it.
    pub lease: Arc<Lease>,
    /// The state directory, where the operator's request file appears.
    pub request_dir: PathBuf,
    /// The spool of the session, with what an earlier process kept.
    pub spool: OpenedExec,
    /// Clocks; the same that the socket has.
    pub clock: Arc<dyn Clock>,
    /// Ends it.
    pub cancel: CancellationToken,
}

/// Starts the desk; its first act is the reconcile of the session.
///
/// # Errors
/// [`DeskError::Invariant`] when the fence token does not fit into an order id, or the spool gets no thread.
pub fn spawn(
    parts: DeskParts,
) -> Result<(DeskHandle, JoinHandle<Result<(), DeskError>>), DeskError> {
    let (desk, inputs, handle) = assemble(parts)?;
    Ok((handle, tokio::spawn(run(desk, inputs))))
}

/// A desk that does nothing yet, with what it will listen to.
pub(super) fn assemble(parts: DeskParts) -> Result<(Desk, Inputs, DeskHandle), DeskError> {
    let (commands, inbox) = mpsc::channel(COMMANDS_LEN_LIMIT);
    let (messages, results) = mpsc::channel(MESSAGES_LEN_LIMIT);
    let (changed, changes) = watch::channel(0);
    let status = Arc::new(ArcSwap::from_pointee(DeskStatus::default()));
    let ids = ClOrdIdGenerator::new(&parts.salt, parts.store.token())
        .map_err(|e| DeskError::Invariant(e.to_string()))?;
    let handle = DeskHandle {
        commands,
        status: status.clone(),
        changed: changes,
        health: parts.orders.health(),
        clock: parts.clock.clone(),
        venue: parts.rest.state().clone(),
    };
    let tracker = Tracker::saying(Said::new(parts.audit, parts.store.token()));
    let fence_mono_ms = parts.clock.now().mono_ms();
    let (spool, kept) = outage::take(parts.spool)
        .map_err(|e| DeskError::Invariant(format!("no thread for the spool: {e}")))?;
    let answer_max = Duration::from_millis(parts.config.rows_answer_ms_max);
    let desk = Desk {
        config: parts.config,
        store: DeskStore::new(parts.store, answer_max),
        salt: parts.salt,
        ids,
        orders: parts.orders,
        rest: parts.rest,
        quotes: parts.quotes,
        engine: parts.engine,
        mode: parts.mode,
        alerts: parts.alerts,
        clock: parts.clock,
        instruments: parts.instruments,
        messages,
        tracker,
        waiting: VecDeque::new(),
        late_reports: 0,
        balances: BTreeMap::new(),
        reconcile: ReconcileState::default(),
        system: Market::default(),
        entries_stopped: false,
        outage: None,
        dms: DeadMansSwitch::default(),
        request_file: RequestFile::new(parts.request_dir),
        dry_runs: DryRuns::default(),
        spool,
        kept,
        lease: parts.lease,
        fence_mono_ms,
        fees_round_trip_bps: Decimal::from(ROUND_TRIP_BPS_BOOTSTRAP),
        latencies_us: VecDeque::new(),
        acks: 0,
        status,
        changed,
    };
    let inputs = Inputs { events: parts.events, inbox, results, cancel: parts.cancel };
    Ok((desk, inputs, handle))
}

/// What a desk listens to.
pub(super) struct Inputs {
    events: mpsc::Receiver<PrivateEvent>,
    inbox: mpsc::Receiver<Command>,
    pub(super) results: mpsc::Receiver<Message>,
    cancel: CancellationToken,
}

async fn run(mut desk: Desk, inputs: Inputs) -> Result<(), DeskError> {
    let progress = desk.mode.progress().clone();
    let ended = turns(&mut desk, inputs).await;
    if let Err(DeskError::FencedOut(_) | DeskError::Restored { .. }) = &ended {
        // What waits for the socket must not leave any more.
        desk.lease.lose();
    }
    progress.ended(LoopName::ExitSupervisor);
    ended
}

async fn turns(desk: &mut Desk, mut inputs: Inputs) -> Result<(), DeskError> {
    desk.attach().await?;
    desk.store.hurry();
    let mut frames = desk.quotes.subscribe();
    let mut tick = tokio::time::interval(Duration::from_millis(desk.config.exit_tick_ms));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut modes = desk.mode.subscribe();
    loop {
        let input = tokio::select! {
            biased;
            () = inputs.cancel.cancelled() => return Ok(()),
            event = inputs.events.recv() => match event {
                Some(event) => Input::Event(event),
                None => return Err(DeskError::Ended("the private stream")),
            },
            Some(message) = inputs.results.recv() => Input::Message(message),
            Some(command) = inputs.inbox.recv() => Input::Command(command),
            changed = modes.changed() => {
                if changed.is_err() {
                    return Err(DeskError::Ended("the mode's owner"));
                }
                Input::Mode(modes.borrow_and_update().mode)
            }
            _ = frames.changed() => Input::Tick,
            _ = tick.tick() => Input::Tick,
        };
        if matches!(input, Input::Tick) {
            desk.mode.progress().enter(LoopName::ExitSupervisor, StageName::PositionManage);
            desk.tracker.said.enter(StageName::PositionManage, "");
        }
        desk.reconcile.queued_events = inputs.events.len();
        desk.step(input).await?;
        desk.publish();
    }
}

impl Desk {
    /// One input while rows can be written.
    pub(crate) async fn work(&mut self, input: Input) -> Result<(), DeskError> {
        match input {
            Input::Event(event) => self.on_event(event).await,
            Input::Message(Message::Answer { order_id, kind, answer }) => {
                self.on_answer(order_id, kind, answer).await
            }
            Input::Message(Message::Look(look)) => self.on_look(*look).await,
            Input::Message(Message::Switch { what, sent_ms, answer }) => {
                self.on_switch(what, sent_ms, &answer).await
            }
            // Of an outage that has ended.
            Input::Message(Message::Probe(_)) => Ok(()),
            Input::Command(command) => self.on_command(command).await,
            Input::Mode(mode) => self.on_mode(mode).await,
            Input::Tick => self.tick().await,
        }
    }
}
