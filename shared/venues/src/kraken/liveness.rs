//! How long silence is normal: of a socket, and of one symbol of one channel.
//!
//! Input: times of frames and updates. Output: a judgement. Sockets of this venue send a heartbeat
//! every second once anything is subscribed, so ten seconds of silence are death. A symbol's own
//! silence limit comes from its own history, because heartbeats prove the socket and not the book.
//! Times are milliseconds of one monotonic clock. It neither reconnects nor subscribes.

/// Silence after which a socket is suspect, milliseconds.
pub const SOCKET_WARN_MS: i64 = 5_000;
/// Silence after which a socket is dead, milliseconds.
pub const SOCKET_DEAD_MS: i64 = 10_000;

/// Judgement over a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketState {
    /// Frames arrive.
    Alive,
    /// Longer silent than a heartbeat explains.
    Late,
    /// To be closed.
    Dead,
}

/// Judges a socket by the age of its last frame, heartbeats included.
pub const fn socket_state(silent_ms: i64) -> SocketState {
    if silent_ms >= SOCKET_DEAD_MS {
        SocketState::Dead
    } else if silent_ms >= SOCKET_WARN_MS {
        SocketState::Late
    } else {
        SocketState::Alive
    }
}

/// Intervals that the limit is computed from.
const INTERVALS_MAX: usize = 256;
/// Largest intervals that are kept sorted: the 99th percentile of 256 is the third largest.
const LARGEST: usize = INTERVALS_MAX - (INTERVALS_MAX * 99).div_ceil(100) + 1;
/// The limit is this multiple of the 99th percentile.
const P99_FACTOR: i64 = 5;
/// Lower bound for symbols with at least one update per second, milliseconds.
const FLOOR_LIQUID_MS: i64 = 15_000;
/// Lower bound for the others, milliseconds.
const FLOOR_QUIET_MS: i64 = 120_000;
/// Upper bound, milliseconds.
const LIMIT_MAX_MS: i64 = 600_000;
/// Window of the liquidity measure: 30 slots of 10 s.
const SLOT_MS: i64 = 10_000;
const SLOTS: usize = 30;

/// Update history of one symbol of one channel. Whole from the beginning: a quiet symbol would otherwise
/// take its memory piece by piece for an hour.
#[derive(Clone, Debug)]
pub struct SilenceLimit {
    /// The last intervals, a ring once it is full.
    intervals_ms: Box<[u32]>,
    known: usize,
    next: usize,
    /// The largest of them, descending; none after one of them has left the ring, until somebody asks.
    largest: Option<[u32; LARGEST]>,
    last_ms: i64,
    started_ms: i64,
    slots: [u32; SLOTS],
    /// Sum of the slots.
    updates: u32,
    slot: i64,
}

impl SilenceLimit {
    /// Begins at the subscription.
    pub fn new(now_ms: i64) -> Self {
        Self {
            // Written, not zeroed: zeroed memory is there only when it is used.
            intervals_ms: vec![u32::MAX; INTERVALS_MAX].into(),
            known: 0,
            next: 0,
            largest: Some([0; LARGEST]),
            last_ms: now_ms,
            started_ms: now_ms,
            slots: [0; SLOTS],
            updates: 0,
            slot: now_ms.div_euclid(SLOT_MS),
        }
    }

    /// Notes an update.
    pub fn update(&mut self, now_ms: i64) {
        let interval = u32::try_from((now_ms - self.last_ms).max(0)).unwrap_or(u32::MAX);
        let left = core::mem::replace(&mut self.intervals_ms[self.next], interval);
        self.next = (self.next + 1) % INTERVALS_MAX;
        if self.known == INTERVALS_MAX {
            // One that is as large as the least of them may be it.
            self.largest.take_if(|largest| left >= largest[LARGEST - 1]);
        } else {
            self.known += 1;
        }
        if let Some(largest) = &mut self.largest {
            insert(largest, interval);
        }
        self.last_ms = self.last_ms.max(now_ms);
        self.roll(now_ms);
        self.slots[slot_index(self.slot)] += 1;
        self.updates += 1;
    }

    /// Begins anew after a new subscription; the history stays, the pause does not count.
    pub fn resume(&mut self, now_ms: i64) {
        self.last_ms = self.last_ms.max(now_ms);
    }

    /// Milliseconds since the last update.
    pub fn silent_ms(&self, now_ms: i64) -> i64 {
        (now_ms - self.last_ms).max(0)
    }

    /// Whether the silence is longer than its limit.
    pub fn is_silent(&mut self, now_ms: i64) -> bool {
        let silent_ms = self.silent_ms(now_ms);
        // Below the lowest possible limit no percentile is needed.
        silent_ms > FLOOR_LIQUID_MS && silent_ms > self.limit_ms(now_ms)
    }

    /// The limit now, milliseconds.
    pub fn limit_ms(&mut self, now_ms: i64) -> i64 {
        self.roll(now_ms);
        let window_ms = (SLOT_MS * SLOTS as i64).min((now_ms - self.started_ms).max(1_000));
        let liquid = i64::from(self.updates) * 1_000 >= window_ms;
        let floor = if liquid { FLOOR_LIQUID_MS } else { FLOOR_QUIET_MS };
        (P99_FACTOR * i64::from(self.p99_ms())).max(floor).min(LIMIT_MAX_MS)
    }

    /// Nearest rank; 0 without an interval. Whoever asks pays for a look at all of them only when one of the
    /// largest has left.
    fn p99_ms(&mut self) -> u32 {
        let all = &self.intervals_ms[..self.known];
        let largest = self.largest.get_or_insert_with(|| {
            let mut largest = [0; LARGEST];
            all.iter().for_each(|interval| insert(&mut largest, *interval));
            largest
        });
        largest[self.known - (self.known * 99).div_ceil(100)]
    }

    fn roll(&mut self, now_ms: i64) {
        let slot = now_ms.div_euclid(SLOT_MS);
        let steps = (slot - self.slot).clamp(0, SLOTS as i64);
        for step in 1..=steps {
            self.updates -= core::mem::take(&mut self.slots[slot_index(slot - steps + step)]);
        }
        self.slot = self.slot.max(slot);
    }
}

/// Puts an interval among the largest.
fn insert(largest: &mut [u32; LARGEST], interval: u32) {
    let at = largest.partition_point(|held| *held >= interval);
    if at < LARGEST {
        largest[at..].rotate_right(1);
        largest[at] = interval;
    }
}

fn slot_index(slot: i64) -> usize {
    slot.rem_euclid(SLOTS as i64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_socket_warns_at_five_and_dies_at_ten_seconds() {
        assert_eq!(socket_state(4_999), SocketState::Alive);
        assert_eq!(socket_state(5_000), SocketState::Late);
        assert_eq!(socket_state(10_000), SocketState::Dead);
    }

    #[test]
    fn a_liquid_symbol_may_be_silent_for_fifteen_seconds() {
        let mut limit = SilenceLimit::new(0);
        let mut now = 0;
        for _ in 0..2_000 {
            now += 200;
            limit.update(now);
        }
        assert_eq!(limit.limit_ms(now), FLOOR_LIQUID_MS);
        assert!(!limit.is_silent(now + 15_000));
        // After a long silence it no longer is a liquid symbol, and the wider floor holds.
        assert_eq!(limit.limit_ms(now + 300_000), FLOOR_QUIET_MS);
    }

    #[test]
    fn a_liquid_symbol_is_silent_beyond_its_limit() {
        let mut limit = SilenceLimit::new(0);
        let mut now = 0;
        for _ in 0..6_000 {
            now += 50;
            limit.update(now);
        }
        assert!(limit.is_silent(now + 15_001));
    }

    #[test]
    fn a_quiet_symbol_has_a_limit_of_its_own_history() {
        let mut limit = SilenceLimit::new(0);
        let mut now = 0;
        for _ in 0..100 {
            now += 40_000;
            limit.update(now);
        }
        assert_eq!(limit.limit_ms(now), 200_000);
        assert!(!limit.is_silent(now + 200_000));
        assert!(limit.is_silent(now + 200_001));
        for _ in 0..INTERVALS_MAX {
            now += 400_000;
            limit.update(now);
        }
        assert_eq!(limit.limit_ms(now), LIMIT_MAX_MS);
    }

    #[test]
    fn a_symbol_without_history_gets_the_quiet_floor() {
        let mut limit = SilenceLimit::new(0);
        assert!(!limit.is_silent(120_000));
        assert!(limit.is_silent(120_001));
        limit.resume(120_001);
        assert!(!limit.is_silent(130_000));
    }

    proptest! {
        #[test]
        fn the_percentile_is_that_of_all_intervals_whatever_came_and_left(
            steps in proptest::collection::vec((0_i64..4_000, 0_u8..60), 1..900),
        ) {
            let (mut limit, mut seen, mut now) = (SilenceLimit::new(0), Vec::new(), 0_i64);
            for (step, kind) in steps {
                // Most are short, some stand out, and now and then somebody asks.
                let interval = if kind == 0 { step * 200 } else { step };
                now += interval;
                limit.update(now);
                seen.push(interval);
                let mut last = seen[seen.len().saturating_sub(INTERVALS_MAX)..].to_vec();
                last.sort_unstable();
                let p99 = last[(last.len() * 99).div_ceil(100) - 1];
                if kind % 3 == 0 {
                    prop_assert_eq!(i64::from(limit.p99_ms()), p99);
                    let updates: u32 = limit.slots.iter().sum();
                    prop_assert_eq!(limit.updates, updates);
                }
            }
        }
    }
}
