//! When the execution fence was last renewed, on a clock that a suspended machine does not stop.
//!
//! Purpose: bound what may be sent without the decision cluster. Inputs: renewals. Outputs: the age of
//! the last one. Invariants: the age only grows between renewals, also while the machine sleeps.

use std::sync::atomic::{AtomicI64, Ordering};

use nix::time::{ClockId, clock_gettime};

/// The last renewal.
#[derive(Debug)]
pub struct Lease {
    renewed_ms: AtomicI64,
}

impl Default for Lease {
    /// Renewed now.
    fn default() -> Self {
        Self { renewed_ms: AtomicI64::new(boottime_ms()) }
    }
}

impl Lease {
    /// The fence was renewed now.
    pub fn renewed(&self) {
        self.renewed_ms.store(boottime_ms(), Ordering::Release);
    }

    /// Age of the last renewal, milliseconds; the largest value when the clock cannot be read, so that
    /// nothing is allowed by an unknown age.
    #[must_use]
    pub fn age_ms(&self) -> i64 {
        boottime_ms().saturating_sub(self.renewed_ms.load(Ordering::Acquire)).max(0)
    }
}

fn boottime_ms() -> i64 {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(i64::MAX, |at| {
        at.tv_sec().saturating_mul(1_000).saturating_add(at.tv_nsec() / 1_000_000)
    })
}

#[cfg(test)]
mod tests {
    use super::Lease;

    #[test]
    fn an_old_renewal_has_its_age_and_a_new_one_has_none() {
        let lease = Lease::default();
        lease.renewed_ms.fetch_sub(400_000, std::sync::atomic::Ordering::AcqRel);
        assert!(lease.age_ms() >= 400_000);
        lease.renewed();
        assert!(lease.age_ms() < 400_000);
    }
}
