//! The two gates right before a submit: is the decision's generation still good, may this entry go.
//!
//! Purpose: pure functions over what was really read again, so that no gate compares a value with
//! itself. Inputs: the cycle's pointer and a second read. Outputs: verdicts with their reason.
//! Invariants: a gate can only block; exits have their own choke without entry conditions.

use penstock_types::GenerationId;
use penstock_types::ids::token_of;
use penstock_types::rows::PublicationRow;
use penstock_types::vocab::{ReasonCode, SafetyMode, SysMode};
use serde::{Deserialize, Serialize};

use crate::cycle::ReRead;

/// Why a generation may no longer be traded on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GenerationBlock {
    /// No pointer, another lineage, or a run before the cycle's.
    Lineage,
    /// The pointer went back.
    Regressed,
    /// Another ingest holds the fence.
    FenceChanged,
    /// Too many generations have passed.
    Lag,
    /// The cycle's state is too old for its route.
    StaleData,
    /// The lease of ingest has ended.
    IngestLeaseExpired,
}

impl GenerationBlock {
    /// Text of markers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lineage => "lineage",
            Self::Regressed => "regressed",
            Self::FenceChanged => "fence_changed",
            Self::Lag => "lag",
            Self::StaleData => "stale_data",
            Self::IngestLeaseExpired => "ingest_lease_expired",
        }
    }
}

/// What the second read is compared with.
#[derive(Debug, Clone, Copy)]
pub struct GateLimits {
    /// Generations that may have passed.
    pub generation_max_lag: i64,
    /// State age limit of the route, milliseconds.
    pub state_age_limit_ms: i64,
}

/// Generation gate.
///
/// # Errors
/// The first reason in the order of the checks.
pub fn generation_gate(
    cycle: &PublicationRow,
    again: &ReRead,
    limits: &GateLimits,
) -> Result<(), GenerationBlock> {
    let Some(visible) = &again.publication else { return Err(GenerationBlock::Lineage) };
    if visible.lineage_id != cycle.lineage_id || visible.run_id < cycle.run_id {
        return Err(GenerationBlock::Lineage);
    }
    let (then, now): (GenerationId, GenerationId) = (cycle.generation_id, visible.generation_id);
    if now < then {
        return Err(GenerationBlock::Regressed);
    }
    let fence = again.ingest_fence.as_ref();
    let token = cycle.fencing_token;
    let one_token = token_of(then.get()) == token
        && token_of(now.get()) == token
        && visible.fencing_token == token
        && fence.is_some_and(|f| f.fencing_token == token);
    if !one_token {
        return Err(GenerationBlock::FenceChanged);
    }
    if now.get() - then.get() > limits.generation_max_lag {
        return Err(GenerationBlock::Lag);
    }
    if fence.is_none_or(|f| f.lease_expires_at <= again.now) {
        return Err(GenerationBlock::IngestLeaseExpired);
    }
    // Last: who hears of it knows that everything else holds.
    if cycle.state_age_ms(again.now) > limits.state_age_limit_ms {
        return Err(GenerationBlock::StaleData);
    }
    Ok(())
}

/// What the choke looks at, read or known right before the submit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChokeInput {
    /// Our token is the execution fence's.
    pub fence_held: bool,
    /// Outcome of the generation gate.
    pub generation: Result<(), GenerationBlock>,
    /// Mode of the process.
    pub mode: SysMode,
    /// Orders may be sent.
    pub execution_enable: bool,
    /// The symbol's lock can be taken.
    pub lock_free: bool,
    /// A position is open or an order live on the symbol.
    pub symbol_busy: bool,
    /// Effective safety mode of the symbol.
    pub safety: SafetyMode,
    /// Private stream connected, whole and not silent.
    pub private_stream_ok: bool,
    /// Age of the quote that stands; none when withdrawn or one-sided.
    pub quote_age_ms: Option<i64>,
    /// Its limit.
    pub quote_age_ms_max: i64,
    /// The venue takes entries for the pair.
    pub instrument_online: bool,
    /// The reservation fits into what is free.
    pub reservation_possible: bool,
}

/// Outcome of the choke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choke {
    /// Submit.
    Allow,
    /// Not this one.
    Skip(ReasonCode),
    /// Nothing any more: another instance writes.
    Halt(ReasonCode),
}

/// The one function before every entry.
#[must_use]
pub fn choke(input: &ChokeInput) -> Choke {
    if !input.fence_held {
        return Choke::Halt(ReasonCode::SingleWriterLost);
    }
    if let Err(block) = input.generation {
        return Choke::Skip(match block {
            GenerationBlock::StaleData => ReasonCode::RouteStaleData,
            GenerationBlock::Lineage
            | GenerationBlock::Regressed
            | GenerationBlock::FenceChanged
            | GenerationBlock::Lag
            | GenerationBlock::IngestLeaseExpired => ReasonCode::StateGenerationMismatch,
        });
    }
    if input.mode != SysMode::Normal || !input.execution_enable {
        return Choke::Skip(ReasonCode::RiskModeBlock);
    }
    if !input.lock_free {
        return Choke::Skip(ReasonCode::RiskEntryAlreadyPending);
    }
    if input.symbol_busy {
        return Choke::Skip(ReasonCode::RiskPositionAlreadyOpen);
    }
    match input.safety {
        SafetyMode::Normal => {}
        SafetyMode::Quiet => return Choke::Skip(ReasonCode::SymbolQuiet),
        SafetyMode::ExitOnly => return Choke::Skip(ReasonCode::SymbolExitOnly),
        SafetyMode::HardBlocked => return Choke::Skip(ReasonCode::SymbolHardBlocked),
    }
    if !input.private_stream_ok {
        return Choke::Skip(ReasonCode::PrivateStreamSilent);
    }
    if input.quote_age_ms.is_none_or(|age| age > input.quote_age_ms_max) {
        return Choke::Skip(ReasonCode::QuoteStale);
    }
    if !input.instrument_online {
        return Choke::Skip(ReasonCode::ExchangePairRestricted);
    }
    if !input.reservation_possible {
        return Choke::Skip(ReasonCode::RiskCapitalExhausted);
    }
    Choke::Allow
}
