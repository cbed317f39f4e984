//! The gates of the deterministic engine: what its view of a token does to an entry.
//!
//! Purpose: one pure function from what the engine says to a block with its code or a size factor. Inputs:
//! the view of a cycle, the symbol's token, the strategy. Outputs: a [`Verdict`]. Invariants: gates are
//! judged in one order and the first that closes gives the code; they can only block or reduce; a symbol
//! without a token is neutral; exits, cancels and protection never come here. Tables are total over states
//! and strategies.

use penstock_types::closed_vocabulary;
use penstock_types::engine_view::{
    ClusterState, Direction, EventPhase, FsmState, Tier, TokenFlags, TokenView,
};
use penstock_types::vocab::{ReasonCode, Strategy};
use penstock_types::{Symbol, TickId};
use serde::{Deserialize, Serialize};

/// Lag beyond which the engine knows too little.
pub const LAG_TICKS_MAX: i64 = 8;
/// Ticks for which a filled gap still closes the gate: a minute.
pub const GAP_TICKS: i64 = 240;
/// Cost at or below which a market is cheap to break, Score.
pub const COST_BLOCK: i32 = 200_000;
/// Cost at or below which sizes are halved, Score.
pub const COST_HALF: i32 = 400_000;
/// The whole size, 1e-4.
pub const WHOLE: i64 = 10_000;
/// Steps of a size factor, 1e-4.
pub const FACTOR_STEP: i64 = 500;
/// Least size factor; below it there is no entry.
pub const FACTOR_MIN: i64 = 2_500;

closed_vocabulary! {
    /// What the gates do.
    pub EngineGates {
        /// They block and reduce.
        Enforce = "enforce",
        /// They say what they would have done.
        Shadow = "shadow",
        /// They are not asked.
        Off = "off",
    }
}

closed_vocabulary! {
    /// Why a gate is closed.
    pub EngineCode {
        /// The view is too old.
        Stale = "ENGINE_STALE",
        /// The core has stopped.
        Failed = "ENGINE_FAILED",
        /// Baselines of the token are not there yet.
        Warmup = "ENGINE_WARMUP",
        /// Its data are not whole.
        Degraded = "ENGINE_DEGRADED",
        /// Its cluster unwinds.
        ClusterBlock = "ENGINE_CLUSTER_BLOCK",
        /// Its state does not allow the strategy, or leaves too little of the size.
        FsmBlock = "ENGINE_FSM_BLOCK",
        /// It leans to the side that spot cannot take.
        DirectionBlock = "ENGINE_DIRECTION_BLOCK",
        /// Its market is too cheap to break.
        CostBlock = "ENGINE_COST_BLOCK",
    }
}

impl EngineCode {
    /// The reason that it is.
    #[must_use]
    pub const fn reason(self) -> ReasonCode {
        match self {
            Self::Stale => ReasonCode::EngineStale,
            Self::Failed => ReasonCode::EngineFailed,
            Self::Warmup => ReasonCode::EngineWarmup,
            Self::Degraded => ReasonCode::EngineDegraded,
            Self::ClusterBlock => ReasonCode::EngineClusterBlock,
            Self::FsmBlock => ReasonCode::EngineFsmBlock,
            Self::DirectionBlock => ReasonCode::EngineDirectionBlock,
            Self::CostBlock => ReasonCode::EngineCostBlock,
        }
    }

    /// The code that a reason is; `None` for a reason of something else.
    #[must_use]
    pub fn of_reason(reason: ReasonCode) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.reason() == reason)
    }

    /// It speaks of missing knowledge, not of a danger: for the verdict of a cycle it counts as data.
    #[must_use]
    pub const fn is_data(self) -> bool {
        match self {
            Self::Stale | Self::Failed | Self::Warmup | Self::Degraded => true,
            Self::ClusterBlock | Self::FsmBlock | Self::DirectionBlock | Self::CostBlock => false,
        }
    }
}

closed_vocabulary! {
    /// How the core is.
    pub CoreState {
        /// It starts, waits for its first frame, or has not caught up yet.
        Behind = "behind",
        /// It follows the frames.
        Running = "running",
        /// A fault stopped it for the life of the process.
        Failed = "failed",
    }
}

/// What the engine says of all symbols in one cycle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineCycle {
    /// The core.
    pub core: CoreState,
    /// Tick that it executed last.
    pub tick_id: Option<TickId>,
    /// First eight bytes of the state chain after it, hex.
    pub chain: Option<String>,
    /// Sealed ticks that are not executed, counted at the read.
    pub lag_ticks: i64,
    /// Newest tick that stood for a missing frame.
    pub gap_tick: Option<TickId>,
    /// Symbols with a token, ascending.
    pub tokens: Vec<EngineToken>,
}

/// A symbol with its token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineToken {
    /// Symbol.
    pub symbol: Symbol,
    /// Token.
    pub token_id: u16,
    /// What the engine sees; none before its first tick.
    pub seen: Option<EngineSeen>,
}

/// What the gates read of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineSeen {
    /// State.
    pub fsm_state: FsmState,
    /// Ticks since it was entered.
    pub state_age_ticks: u64,
    /// Regime of the token; read by nothing here, kept for whoever looks.
    pub tier: Tier,
    /// Side on which it leans.
    pub direction: Direction,
    /// Cluster.
    pub cluster_id: u8,
    /// State of the cluster.
    pub cluster_state: ClusterState,
    /// Phase of the cluster's event.
    pub event_phase: EventPhase,
    /// Trigger cost after the cluster's multiplier, Score.
    pub effective_cost: i32,
    /// Flags of the tick.
    pub flags: u16,
}

impl From<&TokenView> for EngineSeen {
    fn from(view: &TokenView) -> Self {
        Self {
            fsm_state: view.fsm_state,
            state_age_ticks: view.state_age_ticks,
            tier: view.tier,
            direction: view.direction,
            cluster_id: view.cluster_id,
            cluster_state: view.cluster_state,
            event_phase: view.event_phase,
            effective_cost: view.effective_cost,
            flags: view.flags.0,
        }
    }
}

/// What the gates came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// The first gate that is closed.
    pub code: Option<EngineCode>,
    /// Part of the size that is left, 1e-4; 0 when a gate is closed.
    pub size_factor: i64,
}

impl Verdict {
    /// Nothing is blocked and nothing reduced.
    pub const NEUTRAL: Self = Self { code: None, size_factor: WHOLE };

    const fn blocked(code: EngineCode) -> Self {
        Self { code: Some(code), size_factor: 0 }
    }
}

/// Judges a symbol; without an engine or a token it is neutral.
#[must_use]
pub fn verdict(cycle: Option<&EngineCycle>, symbol: &Symbol, strategy: Strategy) -> Verdict {
    let Some(cycle) = cycle else { return Verdict::NEUTRAL };
    match cycle.tokens.iter().find(|token| &token.symbol == symbol) {
        Some(token) => judge(cycle, token.seen.as_ref(), strategy),
        None => Verdict::NEUTRAL,
    }
}

/// The gates in their order: freshness, data, cluster, token state, direction, cost, size.
#[must_use]
pub fn judge(cycle: &EngineCycle, seen: Option<&EngineSeen>, strategy: Strategy) -> Verdict {
    match cycle.core {
        CoreState::Failed => return Verdict::blocked(EngineCode::Failed),
        CoreState::Behind => return Verdict::blocked(EngineCode::Stale),
        CoreState::Running => {}
    }
    let (Some(seen), Some(tick)) = (seen, cycle.tick_id) else {
        return Verdict::blocked(EngineCode::Stale);
    };
    if cycle.lag_ticks > LAG_TICKS_MAX {
        return Verdict::blocked(EngineCode::Stale);
    }
    if let Some(code) = data_gate(cycle, seen, tick) {
        return Verdict::blocked(code);
    }
    let Some(cluster) = cluster_factor(seen.cluster_state) else {
        return Verdict::blocked(EngineCode::ClusterBlock);
    };
    let Some(state) = state_factor(seen.fsm_state, seen.direction, strategy) else {
        return Verdict::blocked(EngineCode::FsmBlock);
    };
    if leans_away(seen.fsm_state, seen.direction) {
        return Verdict::blocked(EngineCode::DirectionBlock);
    }
    let squeezes = strategy == Strategy::Momentum && seen.direction == Direction::Long;
    if seen.effective_cost <= COST_BLOCK && !squeezes {
        return Verdict::blocked(EngineCode::CostBlock);
    }
    let product =
        [state, cluster, phase_factor(seen.event_phase), cost_factor(seen.effective_cost)]
            .into_iter()
            .fold(i128::from(WHOLE), |left, factor| left * i128::from(factor));
    // Four factors of at most 10,000 each over the whole: the quotient is at most 10,000.
    let exact = i64::try_from(product / i128::from(WHOLE).pow(4)).unwrap_or(0);
    let size_factor = exact / FACTOR_STEP * FACTOR_STEP;
    if size_factor < FACTOR_MIN {
        return Verdict::blocked(EngineCode::FsmBlock);
    }
    Verdict { code: None, size_factor }
}

fn data_gate(cycle: &EngineCycle, seen: &EngineSeen, tick: TickId) -> Option<EngineCode> {
    let flags = TokenFlags(seen.flags);
    if flags.contains(TokenFlags::WARMUP) {
        return Some(EngineCode::Warmup);
    }
    let gap = cycle.gap_tick.is_some_and(|gap| tick.0.saturating_sub(gap.0) < GAP_TICKS);
    let broken = flags.contains(TokenFlags::DEGRADED)
        || flags.contains(TokenFlags::BOOK_STALE)
        || flags.contains(TokenFlags::GAP_FILL);
    (broken || gap).then_some(EngineCode::Degraded)
}

/// Part of the size that a state leaves a strategy; none is no entry.
#[must_use]
pub fn state_factor(state: FsmState, direction: Direction, strategy: Strategy) -> Option<i64> {
    use FsmState::{Build, Cooldown, Fragile, Pressure, TriggerReady, Unwind};
    use Strategy::{Liquidity, Momentum, Volume};
    let is_long = match direction {
        Direction::Long => true,
        Direction::Neutral | Direction::Short => false,
    };
    let if_long = |factor: i64| if is_long { Some(factor) } else { None };
    match (state, strategy) {
        (Build, Liquidity | Momentum | Volume) | (Pressure, Volume) => Some(WHOLE),
        (Pressure, Liquidity) => Some(7_500),
        (Pressure, Momentum) => if_long(WHOLE),
        (Fragile | Cooldown, Liquidity | Volume) => Some(5_000),
        (Fragile, Momentum) => if_long(7_500),
        (TriggerReady | Unwind, Liquidity | Volume) | (Cooldown, Momentum) => None,
        (TriggerReady | Unwind, Momentum) => if_long(5_000),
    }
}

/// Spot can only be long: the structure is about to break downwards.
const fn leans_away(state: FsmState, direction: Direction) -> bool {
    match (state, direction) {
        (FsmState::Fragile | FsmState::TriggerReady | FsmState::Unwind, Direction::Short) => true,
        (
            FsmState::Build | FsmState::Pressure | FsmState::Cooldown,
            Direction::Neutral | Direction::Long | Direction::Short,
        )
        | (
            FsmState::Fragile | FsmState::TriggerReady | FsmState::Unwind,
            Direction::Neutral | Direction::Long,
        ) => false,
    }
}

/// Part of the size that a cluster leaves; none is no entry.
#[must_use]
pub const fn cluster_factor(state: ClusterState) -> Option<i64> {
    match state {
        ClusterState::Calm => Some(WHOLE),
        ClusterState::Heating => Some(8_000),
        ClusterState::Fragile | ClusterState::Cooldown => Some(5_000),
        ClusterState::Unwind => None,
    }
}

/// Part of the size that the phase of an event leaves.
#[must_use]
pub const fn phase_factor(phase: EventPhase) -> i64 {
    match phase {
        EventPhase::Prep | EventPhase::Mid => WHOLE,
        EventPhase::Start => 7_500,
        EventPhase::End | EventPhase::Post => 5_000,
    }
}

/// Part of the size that the zone of the cost leaves; below it the gate of the cost decides.
const fn cost_factor(effective_cost: i32) -> i64 {
    if effective_cost > COST_HALF { WHOLE } else { 5_000 }
}
