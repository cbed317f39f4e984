//! Counters of the venue, said when their level changes.
//!
//! Input: a look at every counter that is not empty. Output: RATE_LIMIT_STATE. Invariants: a counter that moves within
//! its level is no news; an empty one is at the lowest level and said once when it comes back to it.

use std::collections::BTreeMap;

use penstock_audit::Draft;
use penstock_types::vocab::{AuditEventType, ReasonCode, StageName};
use penstock_venue_orders::CounterLook;

/// Levels, from a share of the ceiling on, times 10,000: where steady reads end, where only protection goes on.
const LEVELS_X10000: [i64; 2] = [6_000, 8_000];
/// Level of a counter whose scope is held back.
const HELD_BACK: usize = LEVELS_X10000.len() + 1;

/// The level of each counter, as far as it was said.
#[derive(Debug, Default)]
pub(crate) struct Rates(BTreeMap<String, usize>);

impl Rates {
    /// What changed since the last look.
    pub(crate) fn look(&mut self, looks: &[CounterLook], ms: i64) -> Vec<Draft> {
        let mut drafts = Vec::new();
        for look in looks {
            let level = level(look);
            let before = self.0.get(&look.scope).copied().unwrap_or_default();
            if level != before {
                self.0.insert(look.scope.clone(), level);
                drafts.push(said(look, ms));
            }
        }
        let is_there = |scope: &String| looks.iter().any(|look| look.scope == *scope);
        let gone: Vec<String> = self.0.keys().filter(|scope| !is_there(scope)).cloned().collect();
        for scope in gone {
            if self.0.remove(&scope).is_some_and(|level| level > 0) {
                let max_x100 = 0;
                let look = CounterLook {
                    scope,
                    counter_x100: 0,
                    max_x100,
                    share_x10000: 0,
                    backoff_ms: 0,
                };
                drafts.push(said(&look, ms));
            }
        }
        drafts
    }
}

fn level(look: &CounterLook) -> usize {
    if look.backoff_ms > 0 {
        return HELD_BACK;
    }
    LEVELS_X10000.iter().filter(|from| look.share_x10000 >= **from).count()
}

fn said(look: &CounterLook, ms: i64) -> Draft {
    let draft = Draft::new(StageName::PositionManage, AuditEventType::RateLimitState, ms);
    let reasons = if look.backoff_ms > 0 { vec![ReasonCode::RateLimit429] } else { Vec::new() };
    let points = |x100: i64| format!("{}.{:02}", x100 / 100, x100 % 100);
    Draft { reasons, ..draft }
        .with("scope", look.scope.as_str())
        .with("counter", points(look.counter_x100))
        .with("max", points(look.max_x100))
        .with("backoff_ms", look.backoff_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(scope: &str, share_x10000: i64, backoff_ms: i64) -> CounterLook {
        let (counter_x100, max_x100) = (share_x10000, 10_000);
        CounterLook { scope: scope.to_owned(), counter_x100, max_x100, share_x10000, backoff_ms }
    }

    #[test]
    fn a_counter_is_news_at_each_limit_and_when_it_is_held_back_and_not_between() {
        let mut rates = Rates::default();
        let mut said = |share, backoff| rates.look(&[look("rest", share, backoff)], 1).len();
        for (share, backoff, news) in [
            (5_999, 0, 0),
            (6_000, 0, 1),
            (7_999, 0, 0),
            (8_000, 0, 1),
            (9_000, 10_000, 1),
            (9_000, 9_000, 0),
            (9_000, 0, 1),
            (5_000, 0, 1),
            (0, 0, 0),
        ] {
            assert_eq!(said(share, backoff), news, "{share} {backoff}");
        }
    }

    #[test]
    fn a_counter_that_is_empty_again_is_said_once() {
        let mut rates = Rates::default();
        assert_eq!(rates.look(&[look("BTC/USD", 7_000, 0)], 1).len(), 1);
        let gone = rates.look(&[], 2);
        assert_eq!((gone.len(), gone[0].data["counter"].as_str()), (1, Some("0.00")));
        assert!(rates.look(&[], 3).is_empty());
    }
}
