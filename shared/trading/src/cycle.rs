//! Everything that a decision reads, as one immutable value.
//!
//! Purpose: the input of `decide`, filled by one read transaction and by what the process holds in
//! memory with its age. Inputs: rows, quotes, stream status. Outputs: a value with one canonical JSON
//! form, so that a stored input replays to an equal decision. Invariants: no floating point number, no
//! clock; the order of rows carries no meaning. It does not judge anything.

use penstock_types::rows::{
    BalanceRow, EpochRow, EquityRow, ExecLockRow, FeeTierRow, FenceRow, InstrumentRow,
    LiveOrderRow, PositionRow, PublicationRow, ReservationRow, RiskCounters, SafetyRow,
    SnapshotRow, StrategyScoreRow,
};
use penstock_types::state_row::StateRow;
use penstock_types::vocab::{SafetyMode, SysMode, Trigger};
use penstock_types::{Decimal, LineageId, RunId, SessionId, Symbol, TickId, UtcMicros};
use serde::{Deserialize, Serialize};

use penstock_contracts::ai::recorded::RecordedAnswer;
use penstock_contracts::units::DecisionId;

use crate::engine_gate::EngineCycle;
use crate::select::{ReturnSeries, SelectionMemory};
use crate::windows::QuoteWindow;

/// Version of the stored form. 2: decisions read windows over quotes, returns and the memory of the selection. 3: the same
/// input; the gates of symbols name the way that came furthest, with its numbers.
/// 4: money from outside, which the mark follows; dust is worth nothing.
pub const CYCLE_INPUT_VERSION: u16 = 4;

/// Input of one evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CycleInput {
    /// Version of the stored form, [`CYCLE_INPUT_VERSION`].
    pub version: u16,
    /// Domain.
    pub domain: String,
    /// Session that evaluates.
    pub session_id: SessionId,
    /// Number of the evaluation in its session, from 1.
    pub evaluation_index: i64,
    /// What made it start.
    pub trigger: Trigger,
    /// Decision clock at the read transaction; all ages count from here.
    pub now: UtcMicros,
    /// Wall clock of the session right after the read: order deadlines count from here.
    pub t0: UtcMicros,
    /// Mode of the process after this cycle's integrity was judged.
    pub sys_mode: SysMode,
    /// Pointer to the current generation.
    pub publication: Option<PublicationRow>,
    /// Fence of ingest.
    pub ingest_fence: Option<FenceRow>,
    /// Rows of the publication's run.
    pub states: Vec<StateRow>,
    /// Outcome of comparing the recomputed content hash; none in cycles without that check.
    pub content_hash_ok: Option<bool>,
    /// Newest valid and newest degraded epoch of the domain.
    pub epochs: Vec<EpochRow>,
    /// Snapshots of those epochs.
    pub snapshots: Vec<SnapshotRow>,
    /// What earlier cycles of the session bound to.
    pub lineage: LineageMemory,
    /// Effective safety of symbols; a symbol without a row is normal.
    pub safety: Vec<SafetyRow>,
    /// Rules of the venue.
    pub instruments: Vec<InstrumentRow>,
    /// Positions that are not closed.
    pub positions: Vec<PositionRow>,
    /// Orders that are neither terminal nor standby.
    pub live_orders: Vec<LiveOrderRow>,
    /// Open reservations.
    pub reservations: Vec<ReservationRow>,
    /// Balances.
    pub balances: Vec<BalanceRow>,
    /// Fee tier; none means that no fee is known.
    pub fees: Option<FeeTierRow>,
    /// Realised results of strategy cells.
    pub scores: Vec<StrategyScoreRow>,
    /// Locks of symbols.
    pub locks: Vec<ExecLockRow>,
    /// High-water mark and the day's opening.
    pub equity: EquityRow,
    /// Recent past that the risk rules read.
    pub counters: RiskCounters,
    /// The venue's counters of pairs as they are modelled, ascending; a pair without one is at zero.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub venue_counters: Vec<VenueCounter>,
    /// Private stream.
    pub stream: StreamStatus,
    /// 90th percentile of submit to acknowledgement in microseconds; 250 000 before 20 orders.
    pub latency_us: i64,
    /// Quote that open buy orders hold which are not ours; inputs that were stored without it had none.
    #[serde(default)]
    pub foreign_holds_quote: Decimal,
    /// Newest applied frame.
    pub frame: Option<FrameStatus>,
    /// Quotes that stand in it.
    pub quotes: Vec<Quote>,
    /// One view of the deterministic engine for all symbols; none without one, as in inputs of before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineCycle>,
    /// Windows over quotes at the newest applied frame.
    #[serde(default)]
    pub windows: Vec<QuoteWindow>,
    /// Returns of the symbols that may be compared: those of the pre-selection, those held and those with an entry.
    #[serde(default)]
    pub returns: Vec<ReturnSeries>,
    /// Finalists of earlier evaluations.
    #[serde(default)]
    pub selection: SelectionMemory,
    /// What came of asking the AI gate, one for each decision that was asked about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ai_answers: Vec<RecordedAnswer>,
    /// Decisions in force whose entry was refused by the last look before its submit: who comes next takes their place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<DecisionId>,
}

/// What earlier cycles of the session bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LineageMemory {
    /// Lineage of the last binding; none before the first.
    pub previous: Option<LineageId>,
    /// Evaluations of grace that a break still demands.
    pub grace_left: i64,
}

/// The venue's counter of one pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VenueCounter {
    /// Symbol.
    pub symbol: Symbol,
    /// Share of its ceiling that is used, times 10,000, rounded up.
    pub share_x10000: i64,
}

/// State of the private stream at the read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StreamStatus {
    /// Socket up and authenticated.
    pub connected: bool,
    /// Snapshots of executions and balances received on this connection, sequence unbroken.
    pub snapshots_ok: bool,
    /// Time since its last frame, heartbeats included.
    pub silent_ms: i64,
}

/// The newest applied frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameStatus {
    /// Its tick.
    pub tick_id: TickId,
    /// Run that sealed it.
    pub run_id: RunId,
    /// Its age at `now`: the age of every quote that stands.
    pub age_ms: i64,
    /// 90th percentile over 60 s of the frame age at use.
    pub latency_p90_ms: i64,
}

/// Best bid and ask of a symbol with their quantities.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// Symbol.
    pub symbol: Symbol,
    /// Best bid.
    pub bid: Decimal,
    /// Best ask.
    pub ask: Decimal,
    /// Quantity at the bid.
    pub bid_qty: Decimal,
    /// Quantity at the ask.
    pub ask_qty: Decimal,
    /// Tick of the block that carried it last.
    pub tick_id: TickId,
    /// The market core's number of the update.
    pub seq: i64,
}

impl Quote {
    /// Both sides present and not crossed: only such a quote prices anything.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.bid > Decimal::ZERO && self.ask > self.bid
    }

    /// Mid price.
    #[must_use]
    pub fn mid(&self) -> Decimal {
        (self.bid + self.ask) / Decimal::TWO
    }
}

/// What is read again right before a submit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReRead {
    /// Decision clock of the second read.
    pub now: UtcMicros,
    /// Pointer.
    pub publication: Option<PublicationRow>,
    /// Fence of ingest.
    pub ingest_fence: Option<FenceRow>,
    /// Fence of execution.
    pub execution_fence: Option<FenceRow>,
    /// Effective safety mode of the symbol.
    pub safety: SafetyMode,
}
