//! What a decision is: binding, integrity, every symbol's gates, candidates, finalists, plans.
//!
//! Purpose: the whole result of `decide` as one value that is hashed, stored and replayed. Inputs: the
//! steps of the decision. Outputs: plain fields. Invariants: no floating point number; lists have a
//! fixed order (symbols ascending, candidates by symbol and ordinal, finalists by rank), so that the
//! hash does not depend on the order of input rows.

mod assessment;

use penstock_contracts::ai::AiGateResult;
use penstock_contracts::risk::RiskLimitsSnapshot;
use penstock_contracts::units::DecisionId;
use penstock_contracts::{Decision, RiskVerdict, Snapshot};
use penstock_types::canonical::{self, CanonicalError};
use penstock_types::vocab::{
    Blocker, EntryMode, ExitPolicy, Horizon, OrderType, QueueDecision, ReasonCode, Regime,
    RegimeSub, RouteType, StageName, Strategy, SysMode, TimeInForce, Verdict,
};
use penstock_types::{
    Decimal, EpochId, GenerationId, LineageId, RunId, SnapshotId, Symbol, TickId, UtcMicros,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::propose::Dropped;
use crate::capital::CapitalState;
use crate::costs::{CostTerms, StopTerms};
use crate::engine_gate::{EngineCode, EngineSeen};
use crate::exit::limits::ExitLimits;
use crate::select::Selection;
use crate::size::Limiter;

pub use assessment::{Assessment, Binding, LineageBreak, Matrix, SyncProblem};

/// First closed gate of a symbol and all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SymbolGate {
    /// Symbol.
    pub symbol: Symbol,
    /// First closed gate; none when a plan exists or when only its rank closed it.
    pub blocker: Option<Blocker>,
    /// Reason of the first closed gate, or of the rank that closed it.
    pub reason: Option<ReasonCode>,
    /// Stage in which it closed.
    pub stage: StageName,
    /// Measured value, where there is one.
    pub value: Option<Decimal>,
    /// Its limit.
    pub limit: Option<Decimal>,
    /// Unit of both.
    pub unit: Option<String>,
    /// All closed gates.
    pub closed: Vec<Blocker>,
}

/// Judgement of a pair of symbol and strategy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairOutcome {
    /// Symbol.
    pub symbol: Symbol,
    /// Strategy.
    pub strategy: Strategy,
    /// A candidate of the pair may compete.
    pub tradable: bool,
    /// Dominating blocker.
    pub blocker: Option<Blocker>,
    /// All blockers, strongest first.
    pub blockers: Vec<Blocker>,
}

/// A pair that the gates of the engine closed, or would have closed in shadow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineBlock {
    /// Symbol.
    pub symbol: Symbol,
    /// Strategy.
    pub strategy: Strategy,
    /// The first closed gate.
    pub code: EngineCode,
    /// What the engine saw.
    pub seen: Option<EngineSeen>,
}

penstock_types::closed_vocabulary! {
    /// What is to be known of a candidate beside what blocks it.
    pub CandidateFlag {
        /// Its cell lost too much lately: recorded, not traded.
        CellSuspended = "STRATEGY_CELL_SUSPENDED",
        /// The state is too old for its route, but the symbol is held: kept for the exit.
        FreshnessContext = "ROUTE_FRESHNESS_CONTEXT",
        /// Without the microprice; confidence and move are reduced.
        FeatureFallback = "ROUTE_FEATURE_FALLBACK_USED",
    }
}

/// A way of entering a symbol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Symbol.
    pub symbol: Symbol,
    /// Number within the symbol, from 0.
    pub ordinal: i64,
    /// Strategy.
    pub strategy: Strategy,
    /// Route.
    pub route_type: RouteType,
    /// Horizon.
    pub horizon: Horizon,
    /// Entry mode that won.
    pub entry_mode: Option<EntryMode>,
    /// Exit policy.
    pub exit_policy: ExitPolicy,
    /// Published regime.
    pub regime: Regime,
    /// Blockers, strongest first.
    pub blockers: Vec<Blocker>,
    /// Reasons that are narrower than a blocker: of a filter, of the engine.
    pub reasons: Vec<ReasonCode>,
    /// What else is to be known of it.
    pub flags: Vec<CandidateFlag>,
    /// Expected gross move, bps.
    pub move_bps: Option<Decimal>,
    /// Part of a continuation that has already happened, bps.
    pub spent_bps: Option<Decimal>,
    /// Confidence.
    pub confidence: Option<Decimal>,
    /// Costs and edge.
    pub terms: Option<CostTerms>,
    /// Stop of the policy.
    pub stop: Option<StopTerms>,
    /// Edge after the cell's realised results.
    pub edge_adj_bps: Option<Decimal>,
    /// Adjusted edge less the floor.
    pub surplus_bps: Option<Decimal>,
    /// Ranking score.
    pub score: Option<Decimal>,
    /// Size that the costs were computed with, quote.
    pub size_quote_assumed: Option<Decimal>,
    /// What it lacks against the winner of its symbol or the order.
    pub why_lost: Option<WhyLost>,
    /// Rank among the finalists, from 1.
    pub rank: Option<i64>,
}

impl Candidate {
    /// Blockers other than the process's mode: with one of them it cannot compete.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.terms.is_some() && self.blockers.iter().all(|b| *b == Blocker::ModeBlocked)
    }

    /// The strongest blocker.
    #[must_use]
    pub fn dominant(&self) -> Option<Blocker> {
        self.blockers.first().copied()
    }
}

/// Differences to the winner: positive means the winner has more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyLost {
    /// Of the adjusted edge, bps.
    pub edge_bps: Decimal,
    /// Of the confidence.
    pub confidence: Decimal,
    /// Of the score.
    pub score: Decimal,
}

/// A finalist after sizing and risk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finalist {
    /// Rank, from 1.
    pub rank: i64,
    /// Symbol.
    pub symbol: Symbol,
    /// Its candidate's number within the symbol.
    pub ordinal: i64,
    /// Size asked for, quote.
    pub size_quote_requested: Decimal,
    /// Size granted, quote.
    pub size_quote_approved: Decimal,
    /// What limited the size.
    pub limiter: Limiter,
    /// What was left of the size and the least size, quote; only when the one is below the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub too_small: Option<(Decimal, Decimal)>,
    /// Rules that it hit, in their order.
    pub risk_hits: Vec<crate::risk::RiskHit>,
    /// Blocker of steps 16 to 18.
    pub blocker: Option<Blocker>,
    /// Its plan, when nothing blocked.
    pub plan: Option<PlannedEntry>,
    /// The plan was forced by a proof run over these blockers.
    pub waived: Vec<Blocker>,
    /// What it was decided from.
    pub snapshot: Option<Snapshot>,
    /// What was proposed.
    pub decision: Option<Decision>,
    /// Why there is no proposal.
    pub dropped: Option<Dropped>,
    /// What the AI gate said; none when it was not asked.
    pub gate: Option<AiGateResult>,
    /// What the gate's answer demands of the mode: PAUSE with this reason.
    pub gate_pause: Option<ReasonCode>,
    /// The gate has to be asked before it can be judged: what bears on the question.
    pub question: Option<RiskLimitsSnapshot>,
    /// What risk said.
    pub verdict: Option<RiskVerdict>,
}

impl Finalist {
    /// The decision in force: the changed one after a change of the AI gate.
    #[must_use]
    pub fn in_force(&self) -> Option<&Decision> {
        let changed = self.gate.as_ref().and_then(|gate| gate.modified_decision.as_deref());
        changed.or(self.decision.as_ref())
    }
}

impl Finalist {
    /// The stage in which it ended, or the last one when nothing blocked it.
    #[must_use]
    pub const fn stage(&self) -> StageName {
        match (&self.plan, &self.dropped, &self.verdict, &self.decision) {
            (Some(_), _, _, _) => StageName::ExecuteIntent,
            (None, Some(_), _, _) => StageName::StateUpdate,
            (None, None, None, Some(_)) => StageName::AigateCall,
            (None, None, Some(_) | None, Some(_) | None) => StageName::RiskVerdict,
        }
    }
}

/// An entry as it is to be committed and sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedEntry {
    /// Forced by a proof run: role `proof`.
    pub is_proof: bool,
    /// Run of the generation.
    pub run_id: RunId,
    /// Lineage.
    pub lineage_id: LineageId,
    /// Epoch.
    pub epoch_id: EpochId,
    /// Universe.
    pub snapshot_id: SnapshotId,
    /// Generation.
    pub generation_id: GenerationId,
    /// Tick of the engine's view.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_tick_id: Option<TickId>,
    /// First eight bytes of the engine's state chain after that tick, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_chain: Option<String>,
    /// Symbol.
    pub symbol: Symbol,
    /// Strategy.
    pub strategy: Strategy,
    /// Route.
    pub route_type: RouteType,
    /// Horizon.
    pub horizon: Horizon,
    /// Published regime.
    pub regime: Regime,
    /// Its refinement.
    pub regime_sub: Option<RegimeSub>,
    /// Entry mode.
    pub entry_mode: EntryMode,
    /// Exit policy.
    pub exit_policy: ExitPolicy,
    /// What the gate demands of the exit beyond the policy.
    #[serde(default, skip_serializing_if = "ExitLimits::is_empty")]
    pub exit_limits: ExitLimits,
    /// Stop of the policy for the expected move.
    pub stop: StopTerms,
    /// Average spread of the state, bps.
    pub spread_avg_bps: Decimal,
    /// Mean true range of the state, bps.
    pub atr_bps: Option<Decimal>,
    /// Queue decision of a maker entry.
    pub queue_decision: Option<QueueDecision>,
    /// Order type.
    pub order_type: OrderType,
    /// Time in force.
    pub tif: TimeInForce,
    /// Refused by the venue rather than taking.
    pub post_only: bool,
    /// Limit price; none for a market order.
    pub limit_price: Option<Decimal>,
    /// Quantity.
    pub qty: Decimal,
    /// The venue refuses the request after this time, wall clock.
    pub deadline_at: UtcMicros,
    /// End of a resting entry.
    pub expire_at: Option<UtcMicros>,
    /// When a resting entry is cancelled by us.
    pub ttl_at: Option<UtcMicros>,
    /// Mid of the quote that priced it.
    pub decision_mid: Decimal,
    /// Frame that priced it.
    pub quote_tick_id: TickId,
    /// Update that priced it.
    pub quote_seq: i64,
    /// Age of that frame, milliseconds.
    pub quote_age_ms: i64,
    /// Expected gross move, bps.
    pub expected_move_bps: Decimal,
    /// Adjusted edge, bps.
    pub expected_edge_bps: Decimal,
    /// Surplus, bps.
    pub expected_surplus_bps: Decimal,
    /// Slippage of the entry, bps.
    pub expected_slippage_bps: Decimal,
    /// Entry and exit fee, bps.
    pub fees_bps: Decimal,
    /// Probability of a fill.
    pub p_fill: Decimal,
    /// Estimated time to a fill.
    pub est_fill_time_ms: Option<i64>,
    /// Size asked for, quote.
    pub size_quote_requested: Decimal,
    /// Size granted, quote.
    pub size_quote_approved: Decimal,
    /// To reserve: quantity × limit × (1 + taker fee), rounded up.
    pub reserve_quote: Decimal,
    /// Its decision.
    pub decision_id: DecisionId,
    /// State age limit of the route, milliseconds.
    pub state_age_limit_ms: i64,
    /// Stage score.
    pub score: Decimal,
}

/// The whole result of an evaluation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Binding, freshness, matrix.
    pub assessment: Assessment,
    /// Mode it was made in.
    pub sys_mode: SysMode,
    /// Orders may be sent.
    pub execution_enable: bool,
    /// Symbols that passed the safety filter.
    pub exec_allowed: Vec<Symbol>,
    /// Share of them with complete features, in percent, rounded down.
    pub coverage_pct: Option<i64>,
    /// Symbols looked at in depth, best first, with their score times 10 000.
    pub topn: Vec<(Symbol, i64)>,
    /// Who became a finalist.
    pub selection: Selection,
    /// Gates of every symbol of the universe.
    pub gates: Vec<SymbolGate>,
    /// Pairs.
    pub pairs: Vec<PairOutcome>,
    /// Pairs that the engine's gates closed, or would have closed in shadow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub engine_blocks: Vec<EngineBlock>,
    /// Candidates.
    pub candidates: Vec<Candidate>,
    /// Finalists.
    pub finalists: Vec<Finalist>,
    /// Capital.
    pub capital: CapitalState,
    /// Candidates looked at.
    pub routes_evaluated: i64,
    /// Candidates removed for the age of the state.
    pub routes_stale: i64,
    /// Blockers and how many symbols they closed.
    pub blocker_counts: BTreeMap<String, i64>,
    /// The most frequent one; the stronger of equals.
    pub dominant_blocker: Option<Blocker>,
    /// Verdict if nothing is submitted.
    pub verdict_without_submit: Verdict,
    /// What blocked the cycle as a whole.
    pub block_type: String,
}

impl Outcome {
    /// The finalist that the AI gate has to be asked about next.
    #[must_use]
    pub fn awaits_gate(&self) -> Option<&Finalist> {
        self.finalists.iter().find(|finalist| finalist.question.is_some())
    }

    /// Plans in ranking order.
    pub fn plans(&self) -> impl Iterator<Item = &PlannedEntry> {
        self.finalists.iter().filter_map(|f| f.plan.as_ref())
    }

    /// Verdict after `submits` submits.
    #[must_use]
    pub const fn verdict(&self, submits: u32) -> Verdict {
        if submits > 0 { Verdict::Executed } else { self.verdict_without_submit }
    }

    /// SHA-256 of the canonical form.
    ///
    /// # Errors
    /// [`CanonicalError`] when a number has no canonical form.
    pub fn outcome_hash(&self) -> Result<String, CanonicalError> {
        canonical::hash(self)
    }
}
