//! What requests weigh, and what happens to those who ask for too much.
//!
//! Inputs: the weight of a request, the time. Output: whether it is answered. Invariants: the count
//! begins anew with every minute; who goes on after being told to stop is banned, for longer each
//! time. All clients of the venue count as one address.

/// Refusals within a minute that are forgiven before a ban.
const FORGIVEN: u32 = 10;
/// First ban, seconds; each one is twice as long as the one before, up to three days.
const BAN_S: i64 = 120;
const BAN_S_MAX: i64 = 3 * 24 * 3_600;
const MINUTE_US: i64 = 60_000_000;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Answered; the weight used in this minute.
    Answered(u32),
    /// 429: stop for so many seconds.
    TooMany(i64),
    /// 418: banned for so many seconds.
    Banned(i64),
}

/// The count.
#[derive(Debug)]
pub(super) struct Weights {
    limit: u32,
    minute: i64,
    used: u32,
    refused: u32,
    banned_until_us: i64,
    ban_s: i64,
}

impl Weights {
    pub(super) fn new(limit: u32) -> Weights {
        Weights { limit, minute: 0, used: 0, refused: 0, banned_until_us: 0, ban_s: BAN_S }
    }

    /// A request of a weight.
    pub(super) fn ask(&mut self, weight: u32, now_us: i64) -> Verdict {
        let seconds = |us: i64| us.max(0) / 1_000_000 + 1;
        if now_us < self.banned_until_us {
            return Verdict::Banned(seconds(self.banned_until_us - now_us));
        }
        let minute = now_us.div_euclid(MINUTE_US);
        if minute != self.minute {
            (self.minute, self.used, self.refused) = (minute, 0, 0);
        }
        self.used = self.used.saturating_add(weight);
        if self.used <= self.limit {
            return Verdict::Answered(self.used);
        }
        self.refused += 1;
        if self.refused > FORGIVEN {
            self.banned_until_us = now_us + self.ban_s * 1_000_000;
            let told = self.ban_s;
            self.ban_s = (self.ban_s * 2).min(BAN_S_MAX);
            return Verdict::Banned(told);
        }
        Verdict::TooMany(seconds((minute + 1) * MINUTE_US - now_us))
    }

    /// Weight used in the minute of the newest request.
    pub(super) fn used(&self) -> u32 {
        self.used
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_much_is_refused_and_going_on_is_punished() {
        let mut weights = Weights::new(100);
        assert_eq!(weights.ask(90, 30_000_000), Verdict::Answered(90));
        assert_eq!(weights.ask(20, 30_000_000), Verdict::TooMany(31));
        assert_eq!(weights.ask(20, 60_000_000), Verdict::Answered(20), "a new minute");
        for _ in 0..FORGIVEN {
            assert!(matches!(weights.ask(100, 61_000_000), Verdict::TooMany(_)));
        }
        assert_eq!(weights.ask(1, 61_000_000), Verdict::Banned(120));
        assert_eq!(weights.ask(1, 62_000_000), Verdict::Banned(120));
        assert_eq!(weights.ask(1, 182_000_000), Verdict::Answered(1));
    }
}
