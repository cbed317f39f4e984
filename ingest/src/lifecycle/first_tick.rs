//! Which tick a process seals first, when others have sealed before it. Pure.
//!
//! Inputs: the tick of this host's clock, the newest one that was published, the newest one that an earlier
//! process left. Output: the tick, or that the clock is too far behind. Invariants: no tick is sealed twice and
//! none goes back, whatever the clocks of the hosts say; a clock that is behind waits, and is refused when it
//! would have to wait for more than a minute.

use penstock_types::TickId;

/// A clock further behind the newest tick than this is refused: a minute.
pub(super) const BEHIND_TICKS_MAX: i64 = 240;

/// The clock is too far behind: its tick, and the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClockBehind {
    pub own: TickId,
    pub newest: TickId,
}

/// The first tick of a process.
///
/// # Errors
/// [`ClockBehind`].
pub(crate) fn first_tick(
    own: TickId,
    published: Option<TickId>,
    left: Option<TickId>,
) -> Result<TickId, ClockBehind> {
    let Some(newest) = published.max(left) else { return Ok(own) };
    if newest.0.saturating_sub(own.0) > BEHIND_TICKS_MAX {
        return Err(ClockBehind { own, newest });
    }
    Ok(own.max(newest.next()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// F10: processes follow each other on hosts whose clocks differ by up to two minutes either way, each
    /// seals a second or nothing and publishes all of it or leaves the rest: ticks ascend over all of them,
    /// and a process is refused exactly when it would have to wait for more than a minute.
    #[test]
    fn f10_successor_with_its_clock_behind() {
        let offsets = [-480, -241, -240, -239, -100, -1, 0, 1, 100, 240, 480];
        let (mut started, mut refused) = (0, 0);
        for course in 0..offsets.len().pow(3) * 8 {
            let mut newest_sealed: Option<TickId> = None;
            let (mut published, mut left) = (None, None);
            for process in 0..3 {
                let time = 10_000 + 40 * i64::from(process);
                let offset = offsets[course / offsets.len().pow(process) % offsets.len()];
                let leaves_all = ((course / offsets.len().pow(3)) >> process) & 1 == 1;
                let own = TickId(time + offset);
                let behind = newest_sealed.map_or(0, |newest| newest.0 - own.0);
                match first_tick(own, published, left) {
                    Ok(first) => {
                        started += 1;
                        assert!(behind <= BEHIND_TICKS_MAX);
                        assert!(newest_sealed.is_none_or(|newest| first > newest), "sealed twice");
                        assert!(first >= own, "a tick that is over");
                        assert!(
                            first.0 - own.0 <= BEHIND_TICKS_MAX + 1,
                            "it waits a minute at most"
                        );
                        let last = TickId(first.0 + 3);
                        newest_sealed = Some(last);
                        // What it leaves undelivered is inherited, the newest published stays.
                        if leaves_all { left = Some(last) } else { published = Some(last) }
                    }
                    Err(ClockBehind { newest, .. }) => {
                        refused += 1;
                        assert_eq!(Some(newest), newest_sealed);
                        assert!(behind > BEHIND_TICKS_MAX);
                    }
                }
            }
        }
        assert!(started > 1_000 && refused > 1_000, "{started} started, {refused} refused");
    }
}
