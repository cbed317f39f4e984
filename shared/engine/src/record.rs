//! The record: what the engine says about one token in one tick, in 64 bytes.
//!
//! Input: values; or 64 bytes. Output: bytes; or values. Invariants: little-endian, reserved bits zero, the
//! last four bytes are the CRC-32C of the 60 before; decoding is total and accepts exactly what encoding can
//! make. Fields that are narrower than the value they carry saturate before they come here.
//!
//! ```text
//!  0 tick_id u64 · 8 token_id u16 · 10 liq_imbalance i16 · 12 fsm_state u8 · 13 tier u8
//! 14 cluster_state u8 · 15 event_phase u8 · 16 flags u16 · 18 alert_mask u8 · 19 direction u8
//! 20 pressure i32 · 24 fragile i32 · 28 trigger i32 · 32 unwind i32 · 36 trigger_cost i32
//! 40 trade_delta i64 · 48 oi_velocity i32 · 52 spread_pct i32 · 56 mark_vs_mid i32 · 60 crc32c u32
//! ```

use crate::num::SCORE_MAX;
use penstock_types::engine_view::{
    ClusterState, Direction, EventPhase, FsmState, Scores, Tier, TokenFlags,
};
use penstock_types::frame::crc32c;

/// Bytes of a record.
pub const RECORD_LEN: usize = 64;
/// Kinds of alerts that a mask can carry: bits 1 to 6.
const MASK: u8 = 0b0111_1110;

/// A record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// Tick.
    pub tick_id: u64,
    /// Token.
    pub token_id: u16,
    /// Forced buys less forced sells over both, 1e-4.
    pub liq_imbalance: i16,
    /// State.
    pub fsm_state: FsmState,
    /// Tier.
    pub tier: Tier,
    /// State of the cluster, held between cluster ticks.
    pub cluster_state: ClusterState,
    /// Phase of the cluster's event.
    pub event_phase: EventPhase,
    /// Flags.
    pub flags: TokenFlags,
    /// Bit k: an alert of kind k was raised in this tick.
    pub alert_mask: u8,
    /// Side.
    pub direction: Direction,
    /// Scores, 0..=1,000,000.
    pub scores: Scores,
    /// Trigger cost, Score.
    pub trigger_cost: i32,
    /// Bought less sold notional of the tick, 1e-4 quote.
    pub trade_delta: i64,
    /// Change of open interest per second, 1e-8.
    pub oi_velocity: i32,
    /// Spread over the middle, 1e-8.
    pub spread_pct: i32,
    /// Mark price against the middle, 1e-8.
    pub mark_vs_mid: i32,
}

/// Bytes that are no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The CRC does not match.
    #[error("record has CRC-32C {got:08x}, its bytes give {want:08x}")]
    Crc {
        /// CRC in the bytes.
        got: u32,
        /// CRC of the bytes.
        want: u32,
    },
    /// A code without a meaning, a reserved bit or a score outside its range.
    #[error("record has a value outside its range in {field}")]
    Range {
        /// Name of the field.
        field: &'static str,
    },
}

fn put<const N: usize>(out: &mut [u8; RECORD_LEN], at: usize, bytes: [u8; N]) {
    for (place, byte) in out.iter_mut().skip(at).zip(bytes) {
        *place = byte;
    }
}

fn take<const N: usize>(bytes: &[u8; RECORD_LEN], at: usize) -> [u8; N] {
    let mut out = [0; N];
    for (place, byte) in out.iter_mut().zip(bytes.iter().skip(at)) {
        *place = *byte;
    }
    out
}

impl Record {
    /// Nothing is known.
    pub(crate) const BLANK: Self = Self {
        tick_id: 0,
        token_id: 0,
        liq_imbalance: 0,
        fsm_state: FsmState::Build,
        tier: Tier::Neutral,
        cluster_state: ClusterState::Calm,
        event_phase: EventPhase::Mid,
        flags: TokenFlags(0),
        alert_mask: 0,
        direction: Direction::Neutral,
        scores: Scores { pressure: 0, fragile: 0, trigger: 0, unwind: 0 },
        trigger_cost: 0,
        trade_delta: 0,
        oi_velocity: 0,
        spread_pct: 0,
        mark_vs_mid: 0,
    };

    /// The 64 bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; RECORD_LEN] {
        let mut out = [0; RECORD_LEN];
        put(&mut out, 0, self.tick_id.to_le_bytes());
        put(&mut out, 8, self.token_id.to_le_bytes());
        put(&mut out, 10, self.liq_imbalance.to_le_bytes());
        put(&mut out, 12, [self.fsm_state.code(), self.tier.code()]);
        put(&mut out, 14, [self.cluster_state.code(), self.event_phase.code()]);
        put(&mut out, 16, self.flags.0.to_le_bytes());
        put(&mut out, 18, [self.alert_mask, self.direction.code()]);
        put(&mut out, 20, self.scores.pressure.to_le_bytes());
        put(&mut out, 24, self.scores.fragile.to_le_bytes());
        put(&mut out, 28, self.scores.trigger.to_le_bytes());
        put(&mut out, 32, self.scores.unwind.to_le_bytes());
        put(&mut out, 36, self.trigger_cost.to_le_bytes());
        put(&mut out, 40, self.trade_delta.to_le_bytes());
        put(&mut out, 48, self.oi_velocity.to_le_bytes());
        put(&mut out, 52, self.spread_pct.to_le_bytes());
        put(&mut out, 56, self.mark_vs_mid.to_le_bytes());
        let crc = crc32c(&out[..60]);
        put(&mut out, 60, crc.to_le_bytes());
        out
    }

    /// Reads and checks a record.
    ///
    /// # Errors
    /// [`RecordError`] naming the first thing that is wrong.
    pub fn decode(bytes: &[u8; RECORD_LEN]) -> Result<Self, RecordError> {
        let (got, want) = (u32::from_le_bytes(take(bytes, 60)), crc32c(&bytes[..60]));
        if got != want {
            return Err(RecordError::Crc { got, want });
        }
        let out = |field: &'static str| RecordError::Range { field };
        let record = Self {
            tick_id: u64::from_le_bytes(take(bytes, 0)),
            token_id: u16::from_le_bytes(take(bytes, 8)),
            liq_imbalance: i16::from_le_bytes(take(bytes, 10)),
            fsm_state: FsmState::from_code(bytes[12]).ok_or(out("fsm_state"))?,
            tier: Tier::from_code(bytes[13]).ok_or(out("tier_state"))?,
            cluster_state: ClusterState::from_code(bytes[14]).ok_or(out("cluster_state"))?,
            event_phase: EventPhase::from_code(bytes[15]).ok_or(out("event_phase"))?,
            flags: TokenFlags(u16::from_le_bytes(take(bytes, 16))),
            alert_mask: bytes[18],
            direction: Direction::from_code(bytes[19]).ok_or(out("direction"))?,
            scores: Scores {
                pressure: score("pressure_score", bytes, 20)?,
                fragile: score("fragile_score", bytes, 24)?,
                trigger: score("trigger_score", bytes, 28)?,
                unwind: score("unwind_score", bytes, 32)?,
            },
            trigger_cost: score("trigger_cost", bytes, 36)?,
            trade_delta: i64::from_le_bytes(take(bytes, 40)),
            oi_velocity: i32::from_le_bytes(take(bytes, 48)),
            spread_pct: i32::from_le_bytes(take(bytes, 52)),
            mark_vs_mid: i32::from_le_bytes(take(bytes, 56)),
        };
        if record.alert_mask & !MASK != 0 {
            return Err(out("alert_mask"));
        }
        Ok(record)
    }
}

fn score(field: &'static str, bytes: &[u8; RECORD_LEN], at: usize) -> Result<i32, RecordError> {
    let value = i32::from_le_bytes(take(bytes, at));
    if (0..=SCORE_MAX).contains(&i64::from(value)) {
        Ok(value)
    } else {
        Err(RecordError::Range { field })
    }
}

#[cfg(test)]
mod tests;
