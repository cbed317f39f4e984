//! What the deterministic engine makes of a held position: its stop comes nearer once, and a loser closes.
//!
//! Input: what the engine sees of the symbol's token and cluster, profit. Output: tighten, close, or nothing,
//! and the memory that keeps "once". Invariants: a stop is never loosened and no exit is held back; a spell
//! tightens once, however often its view is read; an old view says nothing.

use crate::engine_gate::{EngineSeen, LAG_TICKS_MAX};
use penstock_types::Decimal;
use penstock_types::engine_view::{ClusterState, Direction, FsmState};

/// Part of the stop's distance that is left, percent.
pub const DISTANCE_PCT: u8 = 50;
/// Ticks that a spell lasts before a loser closes: two seconds.
pub const CLOSE_AFTER_TICKS: i64 = 8;

/// What is seen of a held symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sight {
    /// Tick of the view.
    pub tick: i64,
    /// Ticks that the view is behind.
    pub lag_ticks: i64,
    /// Token and cluster.
    pub seen: EngineSeen,
}

/// What a position remembers of its reviews.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Review {
    /// Tick at which the spell was seen first; none outside a spell.
    since: Option<i64>,
    /// Tick at which the unwinding state began that was acted on last.
    token_acted: Option<i64>,
    /// The present unwinding of the cluster was acted on.
    cluster_acted: bool,
    /// The present spell has asked for a close.
    close_asked: bool,
}

impl Review {
    /// True once the present spell has asked for a close; it goes on asking at every tick.
    #[must_use]
    pub const fn has_asked_to_close(&self) -> bool {
        self.close_asked
    }
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReviewAction {
    /// Nothing.
    Keep,
    /// Halve the distance of the stop.
    Tighten,
    /// Close.
    Close,
}

/// Judges one tick of a held position.
#[must_use]
pub fn review(
    before: Review,
    sight: Option<&Sight>,
    g_bps: Option<Decimal>,
) -> (Review, ReviewAction) {
    let Some(sight) = sight.filter(|s| s.lag_ticks <= LAG_TICKS_MAX) else {
        return (before, ReviewAction::Keep);
    };
    let seen = &sight.seen;
    let token = seen.fsm_state == FsmState::Unwind && seen.direction == Direction::Short;
    let cluster = seen.cluster_state == ClusterState::Unwind;
    if !token && !cluster {
        let after = Review { since: None, cluster_acted: false, close_asked: false, ..before };
        return (after, ReviewAction::Keep);
    }
    let since = before.since.unwrap_or(sight.tick);
    let mut after = Review { since: Some(since), cluster_acted: cluster, ..before };
    let age = i64::try_from(seen.state_age_ticks).unwrap_or(i64::MAX);
    let lasted = (token && age >= CLOSE_AFTER_TICKS)
        || (cluster && sight.tick.saturating_sub(since) >= CLOSE_AFTER_TICKS);
    let loses = g_bps.is_some_and(|g| g < Decimal::ZERO);
    if lasted && loses {
        after.close_asked = true;
        return (after, ReviewAction::Close);
    }
    let entered = sight.tick.saturating_sub(age);
    let is_new_token = token && before.token_acted != Some(entered);
    if is_new_token {
        after.token_acted = Some(entered);
    }
    // One spell, one step: a cluster that joins an unwinding token asks for what is done already.
    let is_new_cluster = cluster && !before.cluster_acted && before.since.is_none();
    let action = if (is_new_token && before.since.is_none()) || is_new_cluster {
        ReviewAction::Tighten
    } else {
        ReviewAction::Keep
    };
    (after, action)
}

#[cfg(test)]
mod tests {
    use super::*;
    use penstock_types::engine_view::{EventPhase, Tier};

    fn sight(tick: i64, state: FsmState, direction: Direction, cluster: ClusterState) -> Sight {
        let seen = EngineSeen {
            fsm_state: state,
            state_age_ticks: u64::try_from(tick - 100).unwrap_or(0),
            tier: Tier::Neutral,
            direction,
            cluster_id: 1,
            cluster_state: cluster,
            event_phase: EventPhase::Mid,
            effective_cost: 900_000,
            flags: 0,
        };
        Sight { tick, lag_ticks: 0, seen }
    }

    fn actions(sights: &[Sight], g: i64) -> Vec<ReviewAction> {
        let mut memory = Review::default();
        let each = |sight: &Sight| {
            let (after, action) = review(memory, Some(sight), Some(Decimal::from(g)));
            memory = after;
            action
        };
        sights.iter().map(each).collect()
    }

    #[test]
    fn over_all_states_only_an_unwinding_short_token_or_an_unwinding_cluster_tightens() {
        for state in FsmState::ALL {
            for direction in Direction::ALL {
                for cluster in ClusterState::ALL {
                    let asked = (*state == FsmState::Unwind && *direction == Direction::Short)
                        || *cluster == ClusterState::Unwind;
                    let found = actions(&[sight(100, *state, *direction, *cluster)], 5);
                    let wanted = if asked { ReviewAction::Tighten } else { ReviewAction::Keep };
                    assert_eq!(found, [wanted], "{state:?} {direction:?} {cluster:?}");
                }
            }
        }
    }

    #[test]
    fn a_spell_tightens_once_and_a_loser_closes_after_two_seconds() {
        use ReviewAction::{Close, Keep, Tighten};
        let calm = ClusterState::Calm;
        let spell: Vec<Sight> =
            (100..110).map(|t| sight(t, FsmState::Unwind, Direction::Short, calm)).collect();
        let winner = actions(&spell, 5);
        assert_eq!(winner, [[Tighten].as_slice(), &[Keep; 9]].concat());
        let loser = actions(&spell, -1);
        assert_eq!(loser[..8], [[Tighten].as_slice(), &[Keep; 7]].concat());
        assert_eq!(loser[8..], [Close, Close]);
        // The side flickers: the state is the one that was acted on.
        let flicker = [
            sight(100, FsmState::Unwind, Direction::Short, calm),
            sight(101, FsmState::Unwind, Direction::Neutral, calm),
            sight(102, FsmState::Unwind, Direction::Short, calm),
        ];
        assert_eq!(actions(&flicker, 5), [Tighten, Keep, Keep]);
        // The cluster joins, ends and unwinds again.
        let cluster = [
            sight(100, FsmState::Unwind, Direction::Short, calm),
            sight(101, FsmState::Unwind, Direction::Short, ClusterState::Unwind),
            sight(102, FsmState::Build, Direction::Neutral, ClusterState::Cooldown),
            sight(103, FsmState::Build, Direction::Neutral, ClusterState::Unwind),
        ];
        assert_eq!(actions(&cluster, 5), [Tighten, Keep, Keep, Tighten]);
    }

    #[test]
    fn a_close_is_remembered_until_its_spell_is_over() {
        let mut memory = Review::default();
        let mut asked = |tick, state, g| {
            let seen = sight(tick, state, Direction::Short, ClusterState::Calm);
            memory = review(memory, Some(&seen), Some(Decimal::from(g))).0;
            memory.has_asked_to_close()
        };
        assert!(!asked(107, FsmState::Unwind, -1), "two seconds are not over");
        assert!(asked(108, FsmState::Unwind, -1));
        assert!(asked(109, FsmState::Unwind, 5), "also when the profit is back");
        assert!(!asked(110, FsmState::Cooldown, -1));
        assert!(asked(118, FsmState::Unwind, -1), "a further spell asks anew");
    }

    #[test]
    fn an_old_view_and_none_at_all_say_nothing() {
        let mut old = sight(100, FsmState::Unwind, Direction::Short, ClusterState::Unwind);
        old.lag_ticks = LAG_TICKS_MAX + 1;
        assert_eq!(actions(&[old], -500), [ReviewAction::Keep]);
        let none = review(Review::default(), None, Some(Decimal::NEGATIVE_ONE));
        assert_eq!(none, (Review::default(), ReviewAction::Keep));
    }
}
