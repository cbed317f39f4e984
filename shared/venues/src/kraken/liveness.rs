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

/// Update history of one symbol of one channel.
#[derive(Clone, Debug)]
pub struct SilenceLimit {
    intervals_ms: Vec<u32>,
    next: usize,
    last_ms: i64,
    started_ms: i64,
    slots: [u32; SLOTS],
    slot: i64,
}

impl SilenceLimit {
    /// Begins at the subscription.
    pub fn new(now_ms: i64) -> Self {
        Self {
            intervals_ms: Vec::new(),
            next: 0,
            last_ms: now_ms,
            started_ms: now_ms,
            slots: [0; SLOTS],
            slot: now_ms.div_euclid(SLOT_MS),
        }
    }

    /// Notes an update.
    pub fn update(&mut self, now_ms: i64) {
        let interval = u32::try_from((now_ms - self.last_ms).max(0)).unwrap_or(u32::MAX);
        if self.intervals_ms.len() < INTERVALS_MAX {
            self.intervals_ms.push(interval);
        } else {
            self.intervals_ms[self.next] = interval;
            self.next = (self.next + 1) % INTERVALS_MAX;
        }
        self.last_ms = self.last_ms.max(now_ms);
        self.roll(now_ms);
        self.slots[slot_index(self.slot)] += 1;
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
        let updates: u32 = self.slots.iter().sum();
        let window_ms = (SLOT_MS * SLOTS as i64).min((now_ms - self.started_ms).max(1_000));
        let liquid = i64::from(updates) * 1_000 >= window_ms;
        let floor = if liquid { FLOOR_LIQUID_MS } else { FLOOR_QUIET_MS };
        (P99_FACTOR * i64::from(self.p99_ms())).max(floor).min(LIMIT_MAX_MS)
    }

    fn p99_ms(&self) -> u32 {
        if self.intervals_ms.is_empty() {
            return 0;
        }
        let mut sorted = self.intervals_ms.clone();
        let rank = (sorted.len() * 99).div_ceil(100) - 1;
        *sorted.select_nth_unstable(rank).1
    }

    fn roll(&mut self, now_ms: i64) {
        let slot = now_ms.div_euclid(SLOT_MS);
        let steps = (slot - self.slot).clamp(0, SLOTS as i64);
        for step in 1..=steps {
            self.slots[slot_index(slot - steps + step)] = 0;
        }
        self.slot = self.slot.max(slot);
    }
}

fn slot_index(slot: i64) -> usize {
    slot.rem_euclid(SLOTS as i64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
