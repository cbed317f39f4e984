//! What the deterministic engine says about a token after a tick, as plain data with closed vocabularies.
//!
//! Purpose: the engine writes it, the gates of a decision read it, and neither needs the other's crate.
//! Inputs and outputs: values. Invariants: codes are constants of the record format, they are appended to
//! and never renumbered. This module holds no rule: what a state means for an entry stands with the gates.

use crate::TickId;
use alloc::vec::Vec;

/// A closed vocabulary with the codes of the record format.
macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal => $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $name {
            $($(#[$vdoc])* $variant = $code,)+
        }

        impl $name {
            /// Every value in the order of its code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Code in records.
            #[inline]
            #[must_use]
            pub const fn code(self) -> u8 {
                match self {
                    $(Self::$variant => $code,)+
                }
            }

            /// The value of a code; `None` for a code without a meaning.
            #[inline]
            #[must_use]
            pub const fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// Name in alerts, tables and documents.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// The value of a name; `None` for any other text.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.name() == name)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Names;
                impl serde::de::Visitor<'_> for Names {
                    type Value = $name;
                    fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                        f.write_str(concat!("a name of ", stringify!($name)))
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        $name::from_name(text)
                            .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
                    }
                }
                deserializer.deserialize_str(Names)
            }
        }
    };
}

codes!(
    /// State of a token: how near its market structure is to breaking.
    FsmState {
        /// Neutral, leverage not dense.
        Build = 0 => "BUILD",
        /// Leverage and one-sidedness accumulate.
        Pressure = 1 => "PRESSURE",
        /// Dense leverage, extreme funding, tight book: cheap to trigger.
        Fragile = 2 => "FRAGILE",
        /// Only a catalyst is missing.
        TriggerReady = 3 => "TRIGGER_READY",
        /// A cascade runs.
        Unwind = 4 => "UNWIND",
        /// Stabilisation after an event or a release.
        Cooldown = 5 => "COOLDOWN",
    }
);

codes!(
    /// Regime of a token, which scales its thresholds and decays.
    Tier {
        /// Nothing stands out.
        Neutral = 0 => "NEUTRAL",
        /// Range and volume expand at an ordinary spread.
        Expansion = 1 => "EXPANSION",
        /// Range, volume and spread shrink; entered only when it is switched on.
        Compressed = 2 => "COMPRESSED",
        /// Open interest and funding stack.
        Overleveraged = 3 => "OVERLEVERAGED",
        /// Open interest was wiped out by liquidations.
        Exhausted = 4 => "EXHAUSTED",
    }
);

codes!(
    /// State of a cluster of tokens.
    ClusterState {
        /// No breadth.
        Calm = 0 => "CLUSTER_CALM",
        /// Fragile tokens gather.
        Heating = 1 => "CLUSTER_HEATING",
        /// Breadth of tokens that only miss a catalyst.
        Fragile = 2 => "CLUSTER_FRAGILE",
        /// Breadth of cascades.
        Unwind = 3 => "CLUSTER_UNWIND",
        /// Stabilisation.
        Cooldown = 4 => "CLUSTER_COOLDOWN",
    }
);

codes!(
    /// Phase of a scheduled event; ordinary markets stand in the middle.
    EventPhase {
        /// Before the start.
        Prep = 0 => "EVENT_PREP",
        /// Prone to pumps.
        Start = 1 => "EVENT_START",
        /// Base thresholds.
        Mid = 2 => "EVENT_MID",
        /// Prone to dumps.
        End = 3 => "EVENT_END",
        /// After the event.
        Post = 4 => "EVENT_POST",
    }
);

codes!(
    /// Side on which the structure leans.
    Direction {
        /// Neither.
        Neutral = 0 => "NEUTRAL",
        /// Long.
        Long = 1 => "LONG",
        /// Short.
        Short = 2 => "SHORT",
    }
);

codes!(
    /// Spot and derivative disagree; observed only.
    DivergenceLabel {
        /// They do not.
        None = 0 => "NONE",
        /// Longs stack on the derivative without spot demand.
        PrepLongTrap = 1 => "PREP_LONG_TRAP",
        /// Shorts stack on the derivative without spot supply.
        PrepShortTrap = 2 => "PREP_SHORT_TRAP",
    }
);

/// Flags of a token in a tick: the 16 bits of its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct TokenFlags(pub u16);

impl TokenFlags {
    /// First tick of an ingest process.
    pub const SESSION_START: Self = Self(1);
    /// An empty tick that stands for one that nobody sealed.
    pub const GAP_FILL: Self = Self(1 << 1);
    /// First tick after a cold start.
    pub const COLD_START: Self = Self(1 << 2);
    /// Fewer closed minutes than the baselines need.
    pub const WARMUP: Self = Self(1 << 3);
    /// No top of book, or an old one.
    pub const BOOK_STALE: Self = Self(1 << 4);
    /// No mark price, or an old one.
    pub const MARK_STALE: Self = Self(1 << 5);
    /// No open interest, or an old one.
    pub const OI_STALE: Self = Self(1 << 6);
    /// No funding rate, or an old one.
    pub const FUNDING_STALE: Self = Self(1 << 7);
    /// No volume for a minute.
    pub const FLOW_QUIET: Self = Self(1 << 8);
    /// A venue that the token needs is not whole.
    pub const DEGRADED: Self = Self(1 << 9);
    /// Token alerts are held back.
    pub const SUPPRESS_ALERTS: Self = Self(1 << 10);
    /// A release or rebuild transition happened in this tick.
    pub const ALT_EDGE: Self = Self(1 << 11);
    /// The event phase is ahead of its schedule.
    pub const PHASE_OVERRIDE: Self = Self(1 << 12);
    /// A late or future event, or a burst of more than 1,000 events.
    pub const ANOMALY: Self = Self(1 << 13);
    /// The tick is one on which clusters move.
    pub const CLUSTER_TICK: Self = Self(1 << 14);
    /// No event for 1,200 ticks.
    pub const INACTIVE: Self = Self(1 << 15);

    /// Both sets together.
    #[inline]
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Adds `other` when the condition holds.
    #[inline]
    #[must_use]
    pub const fn with_if(self, other: Self, condition: bool) -> Self {
        if condition { self.with(other) } else { self }
    }

    /// Every bit of `other` is set.
    #[inline]
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// A candle built from the trades of a token's reference instrument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Candle {
    /// Number of its bucket since the Unix epoch; a candle without trades does not exist.
    pub bucket_id: u64,
    /// First price, 1e-10 quote.
    pub open: i64,
    /// Highest price.
    pub high: i64,
    /// Lowest price.
    pub low: i64,
    /// Last price.
    pub close: i64,
    /// Traded notional, 1e-4 quote.
    pub volume: i64,
    /// Trades; 0 says that there is no candle.
    pub count: u32,
}

/// The candle that forms and the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Candles {
    /// Forming.
    pub forming: Candle,
    /// Last closed; closed only by a trade of a later bucket.
    pub closed: Candle,
}

/// Scores of a token, each 0..=1,000,000 (100.0000).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scores {
    /// Leverage and one-sidedness.
    pub pressure: i32,
    /// Density of leverage.
    pub fragile: i32,
    /// Nearness of a trigger.
    pub trigger: i32,
    /// Strength of a cascade.
    pub unwind: i32,
}

/// A token after a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenView {
    /// Tick.
    pub tick_id: TickId,
    /// Token.
    pub token_id: u16,
    /// State.
    pub fsm_state: FsmState,
    /// Ticks since the state was entered.
    pub state_age_ticks: u64,
    /// Cycles that the token has completed.
    pub cycle_id: u32,
    /// Regime.
    pub tier: Tier,
    /// Cost to move this market, Score; lower is cheaper.
    pub trigger_cost: i32,
    /// `trigger_cost` after the cluster's multiplier.
    pub effective_cost: i32,
    /// Component of the cost: leverage that stacks, Score.
    pub cost_density: i32,
    /// Component of the cost: tension, Score.
    pub cost_divergence: i32,
    /// Component of the cost: a book that gives way (liquidity stress), Score.
    pub cost_elasticity: i32,
    /// Component of the cost: range, spread and volume that shrink, Score.
    pub cost_compression: i32,
    /// Side.
    pub direction: Direction,
    /// Cluster.
    pub cluster_id: u8,
    /// State of the cluster.
    pub cluster_state: ClusterState,
    /// Enough active members to judge the cluster; otherwise its state is frozen.
    pub cluster_valid: bool,
    /// Heat of the cluster, Score.
    pub heat: i32,
    /// Phase of the cluster's event.
    pub event_phase: EventPhase,
    /// 0..=100, not a probability.
    pub confidence: u8,
    /// Spot against derivative; observed only.
    pub divergence_label: DivergenceLabel,
    /// Flags of the record.
    pub flags: TokenFlags,
    /// Scores.
    pub scores: Scores,
    /// One-minute candles.
    pub ohlc_1m: Candles,
    /// Five-minute candles.
    pub ohlc_5m: Candles,
}

/// How the engine's thread is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EngineHealth {
    /// In time.
    Ok,
    /// Slow or a little behind.
    Warning,
    /// Too slow, far behind, or stopped.
    Critical,
}

/// All tokens after one tick, ascending by token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineView {
    /// Tick that was executed last.
    pub last_tick: TickId,
    /// Sealed ticks that are not executed yet.
    pub lag_ticks: u64,
    /// State chain after `last_tick`.
    pub state_chain: [u8; 32],
    /// Health.
    pub health: EngineHealth,
    /// Newest tick that was executed as an empty one in place of a missing frame.
    pub gap_tick: Option<TickId>,
    /// Tokens.
    pub tokens: Vec<TokenView>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_go_round_and_others_have_no_meaning() {
        for (code, state) in (0u8..).zip(FsmState::ALL) {
            assert_eq!((state.code(), FsmState::from_code(code)), (code, Some(*state)));
        }
        assert_eq!(FsmState::from_code(6), None);
        assert_eq!(Tier::from_code(5), None);
        assert_eq!(ClusterState::from_code(5), None);
        assert_eq!(EventPhase::from_code(5), None);
        assert_eq!(Direction::from_code(3), None);
        assert_eq!(ClusterState::Fragile.name(), "CLUSTER_FRAGILE");
        for phase in EventPhase::ALL {
            assert_eq!(EventPhase::from_name(phase.name()), Some(*phase));
        }
        assert_eq!(EventPhase::from_name("EVENT"), None);
    }
}
