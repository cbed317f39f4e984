//! The conditions of a token's edges in one tick.
//!
//! Input: state, thresholds, what the record of the tick carries. Output: for each way out whether its
//! condition holds, for how many ticks it has to, and one bit per part that holds. Invariant: thresholds are
//! scaled by the tier on both sides of an edge. It counts nothing.

use crate::config::{FsmNumbers, Profile};
use crate::num::{ArithError, weigh};
use penstock_types::engine_view::{FsmState, Scores};

/// Open interest that stands still, 1e-8 per second.
const STILL: i64 = 1_000;

/// What a token's state depends on in a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FsmInput {
    /// Tick.
    pub tick_id: u64,
    /// Profile.
    pub profile: Profile,
    /// Scores after this tick.
    pub scores: Scores,
    /// Trigger cost of this tick.
    pub cost: i32,
    /// Threshold multiplier of this tick's tier, 1e-4.
    pub threshold_multiplier: i64,
    /// Change of open interest per second; 0 when it is missing.
    pub oi_velocity: i64,
    /// Open interest is stale.
    pub is_oi_stale: bool,
}

/// One way out of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Way {
    /// Its condition holds.
    pub holds: bool,
    /// Consecutive ticks that it has to hold.
    pub persist: i64,
    /// One bit per part that holds, in the order of the formula.
    pub bits: u32,
}

/// Every way out of a state; one that the state does not have never holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Judgement {
    /// On, or normalised out of COOLDOWN.
    pub forward: Way,
    /// Back to COOLDOWN.
    pub release: Way,
    /// Out of COOLDOWN with renewed stacking.
    pub rebuild: Way,
}

/// Bits of the parts, first part lowest.
fn bits(parts: &[bool]) -> u32 {
    parts.iter().rev().fold(0, |bits, part| (bits << 1) | u32::from(*part))
}

fn all(persist: i64, parts: &[bool]) -> Way {
    Way { holds: parts.iter().all(|part| *part), persist, bits: bits(parts) }
}

/// The first part and one of the other two.
fn one_and_either(persist: i64, parts: [bool; 3]) -> Way {
    let [first, second, third] = parts;
    Way { holds: first && (second || third), persist, bits: bits(&parts) }
}

/// Judges a tick.
///
/// # Errors
/// [`ArithError`] when a scaled threshold leaves its range.
#[inline]
pub fn judge(
    state: FsmState,
    n: &FsmNumbers,
    dwell: u64,
    input: &FsmInput,
) -> Result<Judgement, ArithError> {
    let scaled = |threshold: i64| weigh(threshold, input.threshold_multiplier);
    // Only what the state reads is worked out.
    let p1 = || {
        scaled(match input.profile {
            Profile::Deriv => n.p1,
            Profile::SpotOnly => n.spot_p1,
        })
    };
    let (f1, t1, u1) = (|| scaled(n.f1), || scaled(n.t1), || scaled(n.u1));
    let part = |x: i64, tenths: i64| x.checked_mul(tenths).map(|x| x / 10).ok_or(ArithError);
    let (pressure, fragile) = (i64::from(input.scores.pressure), i64::from(input.scores.fragile));
    let (trigger, unwind) = (i64::from(input.scores.trigger), i64::from(input.scores.unwind));
    let cost = i64::from(input.cost);
    let mut ways = Judgement::default();
    match state {
        FsmState::Build => ways.forward = all(n.h1, &[pressure >= p1()]),
        FsmState::Pressure => {
            ways.forward = all(n.h2, &[fragile >= f1(), cost <= n.cost_fragile]);
            ways.release = all(n.release_pressure, &[pressure <= p1() / 2, fragile <= f1() / 2]);
        }
        FsmState::Fragile => {
            ways.forward = all(n.h3, &[trigger >= t1(), cost <= n.cost_ready]);
            ways.release = all(n.release_fragile, &[fragile <= f1() / 2]);
        }
        FsmState::TriggerReady => {
            let parts = [unwind >= u1(), cost <= n.cost_unwind, unwind >= n.u_hard];
            ways.forward = one_and_either(n.hu, parts);
            ways.release = all(n.release_ready, &[trigger <= t1() / 2, unwind <= u1() / 2]);
        }
        FsmState::Unwind => {
            let is_calm = unwind <= part(u1(), 4)?;
            let is_still = input.oi_velocity.checked_abs().is_some_and(|speed| speed <= STILL);
            ways.forward = match input.profile {
                Profile::Deriv => one_and_either(n.h4, [is_calm, is_still, input.is_oi_stale]),
                Profile::SpotOnly => all(n.h4, &[is_calm]),
            };
        }
        FsmState::Cooldown => {
            let parts = [pressure <= p1(), fragile <= part(f1(), 6)?, unwind <= part(u1(), 4)?];
            ways.forward = all(n.h5, &parts);
            let has_dwelt = i64::try_from(dwell).is_ok_and(|dwell| dwell >= n.rebuild_dwell);
            let parts = [has_dwelt, pressure >= p1(), input.oi_velocity > 0];
            ways.rebuild = all(n.rebuild_persist, &parts);
        }
    }
    Ok(ways)
}
