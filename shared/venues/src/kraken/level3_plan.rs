//! What subscriptions of the order-by-order channel cost.
//!
//! Input: what is wanted, what happened, and the time. Output: how much may be asked for now. Invariant:
//! within any second the cost of what the venue handles stays within the budget, which belongs to the
//! account and not to one connection. Times are milliseconds of one monotonic clock. When a symbol that
//! keeps losing its book is given up is the market core's decision.

use std::collections::VecDeque;

/// Symbols that one connection may carry.
pub const SYMBOLS_PER_CONNECTION_MAX: usize = 200;

/// A token that was fetched longer ago than this is fetched anew before a symbol is subscribed again.
pub const TOKEN_AGE_MS_MAX: i64 = 600_000;

/// Points that the venue takes per second from an account of the standard tier.
pub const POINTS_PER_SECOND_STANDARD: u32 = 200;
/// Points that the venue takes per second from an account of the highest tier.
pub const POINTS_PER_SECOND_PRO: u32 = 500;

/// Points that one symbol costs; `None` for a depth that the venue does not offer.
pub const fn subscription_points(depth: u32) -> Option<u32> {
    match depth {
        10 => Some(5),
        100 => Some(25),
        1_000 => Some(100),
        _ => None,
    }
}

/// The budget of subscriptions of one account, which all of its connections share.
///
/// The venue counts a request when it handles it, some time between our sending and its answer. What
/// was asked is therefore charged until it is answered, and for one second from then on: whatever the
/// network does, no second of the venue holds more than the budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscribeBudget {
    points_per_s: u32,
    /// Asked and not answered: connection, time, points.
    asked: VecDeque<(usize, i64, u32)>,
    /// Answered within the last second: time, points.
    spent: VecDeque<(i64, u32)>,
    /// The connection that is asking for more than fitted, and when it last asked.
    turn: Option<(usize, i64)>,
}

/// Length of the venue's window, milliseconds.
const WINDOW_MS: i64 = 1_000;
/// A request that is not answered by then never was handled.
const ANSWER_WAIT_MS: i64 = 10_000;
/// A connection that asks for nothing for this long has given its turn up.
const TURN_IDLE_MS: i64 = 2_000;

impl SubscribeBudget {
    /// A budget that nothing was taken from.
    pub const fn new(points_per_s: u32) -> Self {
        Self { points_per_s, asked: VecDeque::new(), spent: VecDeque::new(), turn: None }
    }

    /// Admits as many of `wanted` symbols of a connection as fit now, and charges them.
    ///
    /// Connections go one after another: one that wants more than fits keeps the others out until it
    /// has everything, so that the first is whole while the last still waits.
    pub fn admit(&mut self, connection: usize, depth: u32, wanted: usize, now_ms: i64) -> usize {
        let is_other =
            |(holder, last): (usize, i64)| holder != connection && now_ms - last < TURN_IDLE_MS;
        let points = subscription_points(depth).filter(|points| *points <= self.points_per_s);
        let Some(points) = points.filter(|_| wanted > 0 && !self.turn.is_some_and(is_other)) else {
            return 0;
        };
        self.expire(now_ms);
        let asked: u32 = self.asked.iter().map(|(_, _, points)| points).sum();
        let spent: u32 = self.spent.iter().map(|(_, points)| points).sum();
        let fit = (self.points_per_s.saturating_sub(asked + spent) / points) as usize;
        let admitted = wanted.min(fit);
        self.turn = (admitted < wanted).then_some((connection, now_ms));
        // One entry per symbol: each is answered by itself.
        self.asked.extend((0..admitted).map(|_| (connection, now_ms, points)));
        admitted
    }

    /// A symbol of a connection was answered, whether granted or refused.
    pub fn answered(&mut self, connection: usize, now_ms: i64) {
        if let Some(at) = self.asked.iter().position(|(of, _, _)| *of == connection)
            && let Some((_, _, points)) = self.asked.remove(at)
        {
            self.spent.push_back((now_ms, points));
        }
    }

    /// A connection was lost: what it had asked for may just have been handled.
    pub fn lost(&mut self, connection: usize, now_ms: i64) {
        while self.asked.iter().any(|(of, _, _)| *of == connection) {
            self.answered(connection, now_ms);
        }
        self.turn = self.turn.filter(|(holder, _)| *holder != connection);
    }

    fn expire(&mut self, now_ms: i64) {
        self.asked.retain(|(_, at, _)| now_ms - at < ANSWER_WAIT_MS);
        self.spent.retain(|(at, _)| now_ms - at < WINDOW_MS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Answers `count` symbols of a connection.
    fn answer(budget: &mut SubscribeBudget, connection: usize, count: usize, now_ms: i64) {
        (0..count).for_each(|_| budget.answered(connection, now_ms));
    }

    #[test]
    fn symbols_are_admitted_as_the_second_after_their_answer_allows() {
        let mut budget = SubscribeBudget::new(POINTS_PER_SECOND_STANDARD);
        assert_eq!(budget.admit(0, 10, 30, 0), 30);
        answer(&mut budget, 0, 30, 50);
        assert_eq!(budget.admit(0, 10, 30, 400), 10);
        assert_eq!(budget.admit(0, 10, 20, 1_049), 0);
        assert_eq!(budget.admit(0, 10, 0, 1_049), 0);
        // The first thirty have left the window; the ten still wait for their answer.
        assert_eq!(budget.admit(0, 10, 100, 1_050), 30);
        assert_eq!(budget.admit(0, 10, 70, 10_399), 0);
        assert_eq!(budget.admit(0, 10, 70, 10_400), 10, "an answer that never comes");
        assert_eq!(budget.admit(0, 25, 1, 30_000), 0, "a depth that is not offered");
        assert_eq!(SubscribeBudget::new(50).admit(0, 1_000, 1, 0), 0, "a depth that never fits");
    }

    #[test]
    fn connections_go_one_after_another_and_a_lost_one_gives_way() {
        let mut budget = SubscribeBudget::new(POINTS_PER_SECOND_STANDARD);
        assert_eq!(budget.admit(0, 10, 60, 0), 40);
        answer(&mut budget, 0, 40, 10);
        assert_eq!(budget.admit(1, 10, 60, 1_500), 0, "it is the first one's turn");
        assert_eq!(budget.admit(0, 10, 20, 1_500), 20);
        assert_eq!(budget.admit(1, 10, 60, 1_500), 20);
        assert_eq!(budget.admit(0, 10, 1, 1_550), 0, "and now the second one's");
        budget.lost(1, 1_600);
        assert_eq!(budget.admit(0, 10, 1, 1_600), 0, "what was asked may have been handled");
        answer(&mut budget, 0, 20, 1_600);
        assert_eq!(budget.admit(0, 10, 1, 2_600), 1);
        answer(&mut budget, 0, 1, 2_600);
        assert_eq!(budget.admit(1, 10, 60, 2_700), 39);
        assert_eq!(budget.admit(0, 10, 1, 4_699), 0);
        answer(&mut budget, 1, 39, 2_800);
        assert_eq!(budget.admit(0, 10, 1, 4_700), 1, "it asked for nothing for two seconds");
    }

    proptest! {
        /// Whatever is asked for, whenever, on whatever connection, and whenever it is handled and
        /// answered: no second of the venue holds more than the budget.
        #[test]
        fn no_second_of_the_venue_holds_more_than_its_budget(
            depth in 0usize..3,
            asks in proptest::collection::vec(
                (0i64..700, 0usize..60, 0usize..2, 0i64..900, 0i64..900), 1..40),
        ) {
            let depth = [10, 100, 1_000][depth];
            let points = subscription_points(depth).unwrap();
            let mut budget = SubscribeBudget::new(POINTS_PER_SECOND_STANDARD);
            let mut now_ms = 0;
            let mut answers: Vec<(i64, usize)> = Vec::new();
            let mut handled: Vec<(i64, u32)> = Vec::new();
            for (pause, wanted, connection, until_handled, until_answered) in asks {
                let then = now_ms + pause;
                answers.sort_unstable();
                for (at, connection) in answers.extract_if(.., |(at, _)| *at <= then) {
                    budget.answered(connection, at);
                }
                now_ms = then;
                for _ in 0..budget.admit(connection, depth, wanted, now_ms) {
                    handled.push((now_ms + until_handled, points));
                    answers.push((now_ms + until_handled + until_answered, connection));
                }
            }
            for (at, _) in &handled {
                let within = handled.iter().filter(|(other, _)| (0..1_000).contains(&(other - at)));
                prop_assert!(within.map(|(_, points)| points).sum::<u32>() <= 200);
            }
        }
    }
}
