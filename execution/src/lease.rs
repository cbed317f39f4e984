//! What this process knows of its lease, and with it whether it may send: on a clock that neither a stopped
//! process nor a suspended machine holds up.
//!
//! Purpose: nothing of a process that was taken over reaches the venue. Inputs: renewals of the fence, each with the
//! time of its question; their failures; the loss. Outputs: the age of the last renewal, and the gate of everything
//! private. Invariants: a lease counts from the moment when its renewal was asked for, never from the answer's, so it
//! ends here before it ends in the row; a lost fence is never found again; who was stopped for longer than the lease
//! sends nothing until the fence was asked again; who is cut off from the cluster (it was asked within the last lease
//! and did not answer) protects, cancels and looks for as long as that is allowed ahead, and enters nothing.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use nix::time::{ClockId, clock_gettime};
use penstock_venue_orders::{SendGate, Sending, Shut};

/// Part of the lease that is not used, as its divisor: clocks of two machines drift, and bytes are on their way.
const MARGIN_DIV: i64 = 10;
/// `FENCE_TTL_MS` and `PREAUTH_MAX_SECS` unless they are configured, milliseconds.
const TTL_MS: i64 = 15_000;
const PREAUTH_MS: i64 = 300_000;
/// A time before every other.
const NEVER: i64 = i64::MIN / 2;

/// The moment at which the fence was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked(i64);

/// The last renewal.
#[derive(Debug)]
pub struct Lease {
    ttl_ms: i64,
    preauth_ms: i64,
    /// When the last renewal that succeeded was asked for.
    renewed_ms: AtomicI64,
    /// When the last one that the cluster did not answer was asked for.
    unanswered_ms: AtomicI64,
    lost: AtomicBool,
}

impl Default for Lease {
    /// Renewed now, with the ordinary times.
    fn default() -> Self {
        let lease = Self::new(TTL_MS, PREAUTH_MS);
        lease.renewed(lease.ask());
        lease
    }
}

impl Lease {
    /// A lease that was never renewed; both times in milliseconds.
    #[must_use]
    pub const fn new(ttl_ms: i64, preauth_ms: i64) -> Self {
        Self {
            ttl_ms,
            preauth_ms,
            renewed_ms: AtomicI64::new(NEVER),
            unanswered_ms: AtomicI64::new(NEVER),
            lost: AtomicBool::new(false),
        }
    }

    /// To be called directly before the fence is asked; the answer is told with it.
    #[must_use]
    pub fn ask(&self) -> Asked {
        Asked(boottime_ms().unwrap_or(NEVER))
    }

    /// The fence was renewed.
    pub fn renewed(&self, asked: Asked) {
        self.renewed_ms.fetch_max(asked.0, Ordering::AcqRel);
    }

    /// The cluster did not answer.
    pub fn unanswered(&self, asked: Asked) {
        self.unanswered_ms.fetch_max(asked.0, Ordering::AcqRel);
    }

    /// A newer instance has the fence: nothing leaves any more.
    pub fn lose(&self) {
        self.lost.store(true, Ordering::Release);
    }

    /// Age of the last renewal, milliseconds; the largest value when the clock cannot be read, so that
    /// nothing is allowed by an unknown age.
    #[must_use]
    pub fn age_ms(&self) -> i64 {
        age(boottime_ms(), self.renewed_ms.load(Ordering::Acquire))
    }
}

impl SendGate for Lease {
    fn judge(&self, what: Sending) -> Result<(), Shut> {
        if self.lost.load(Ordering::Acquire) {
            return Err(Shut("a newer instance has the fence".to_owned()));
        }
        let now = boottime_ms();
        let age_ms = age(now, self.renewed_ms.load(Ordering::Acquire));
        let unanswered_ms = age(now, self.unanswered_ms.load(Ordering::Acquire));
        may(self.ttl_ms, self.preauth_ms, age_ms, unanswered_ms, what)
    }
}

/// The rule, over ages: of the last renewal, and of the last question without an answer.
fn may(
    ttl_ms: i64,
    preauth_ms: i64,
    age_ms: i64,
    unanswered_ms: i64,
    what: Sending,
) -> Result<(), Shut> {
    if age_ms <= ttl_ms - ttl_ms / MARGIN_DIV {
        return Ok(());
    }
    let cut_off = unanswered_ms < age_ms && unanswered_ms <= ttl_ms;
    if !cut_off {
        return Err(Shut(format!(
            "its lease of {ttl_ms} ms is {age_ms} ms old, the fence is asked first"
        )));
    }
    if age_ms > preauth_ms {
        return Err(Shut(format!(
            "cut off from the fence for {age_ms} ms, {preauth_ms} ms are allowed"
        )));
    }
    match what {
        Sending::Protective | Sending::Upkeep => Ok(()),
        Sending::Entry => Err(Shut(format!("cut off from the fence for {age_ms} ms"))),
    }
}

fn age(now: Option<i64>, since: i64) -> i64 {
    now.map_or(i64::MAX, |now| now.saturating_sub(since).max(0))
}

fn boottime_ms() -> Option<i64> {
    let at = clock_gettime(ClockId::CLOCK_BOOTTIME).ok()?;
    Some(at.tv_sec().saturating_mul(1_000).saturating_add(at.tv_nsec() / 1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Sending; 3] = [Sending::Entry, Sending::Protective, Sending::Upkeep];
    const NO: i64 = i64::MAX / 2;

    /// What may leave: entries, protection, upkeep.
    fn open(age_ms: i64, unanswered_ms: i64) -> [bool; 3] {
        ALL.map(|what| may(TTL_MS, PREAUTH_MS, age_ms, unanswered_ms, what).is_ok())
    }

    fn gate(lease: &Lease) -> [bool; 3] {
        ALL.map(|what| lease.judge(what).is_ok())
    }

    #[test]
    fn an_old_renewal_has_its_age_and_a_new_one_has_none() {
        let lease = Lease::default();
        lease.renewed_ms.fetch_sub(400_000, Ordering::AcqRel);
        assert!(lease.age_ms() >= 400_000);
        lease.renewed(lease.ask());
        assert!(lease.age_ms() < 400_000);
    }

    #[test]
    fn within_the_lease_everything_leaves_and_behind_it_the_fence_is_asked_first() {
        // given no question that went unanswered: the process was stopped
        assert_eq!(open(0, NO), [true; 3]);
        assert_eq!(open(13_500, NO), [true; 3]);
        assert_eq!(open(13_501, NO), [false; 3]);
        assert_eq!(open(60_000, NO), [false; 3]);
    }

    #[test]
    fn cut_off_it_protects_and_enters_nothing_for_as_long_as_was_allowed_ahead() {
        assert_eq!(open(13_501, 5_000), [false, true, true]);
        assert_eq!(open(300_000, 15_000), [false, true, true]);
        assert_eq!(open(300_001, 15_000), [false; 3]);
    }

    #[test]
    fn a_question_from_before_a_sleep_or_from_before_the_renewal_proves_no_outage() {
        // the process slept while it was cut off
        assert_eq!(open(70_000, 15_001), [false; 3]);
        // the cluster answered later than it had failed to
        assert_eq!(open(14_000, 14_000), [false; 3]);
        assert_eq!(open(14_000, 14_001), [false; 3]);
    }

    #[test]
    fn a_lease_counts_from_its_question_and_a_lost_fence_is_never_found_again() {
        let lease = Lease::new(TTL_MS, PREAUTH_MS);
        assert_eq!(gate(&lease), [false; 3], "never renewed");
        // an answer that was read a minute after its question
        lease.renewed(Asked(lease.ask().0 - 60_000));
        assert_eq!(gate(&lease), [false; 3]);
        lease.renewed(lease.ask());
        assert_eq!(gate(&lease), [true; 3]);
        // an older answer changes nothing
        lease.renewed(Asked(lease.ask().0 - 60_000));
        assert_eq!(gate(&lease), [true; 3]);
        lease.lose();
        lease.renewed(lease.ask());
        assert_eq!(gate(&lease), [false; 3]);
    }
}
