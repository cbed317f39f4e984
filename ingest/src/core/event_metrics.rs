//! What the engine's events were made of, as metrics: taken by venue and source, refused by reason.
//!
//! Input: the counts of the market core. Output: counters. Invariants: the counts are totals since the process
//! started and are set as such, so that a look that is missed loses nothing.

use metrics::{counter, gauge};
use penstock_market::canonical::{EventCounts, Reject, Source};
use penstock_types::vocab::Venue;

/// Says the totals.
pub(super) fn say(counts: &EventCounts) {
    for (venue, taken) in Venue::ALL.iter().zip(&counts.accepted) {
        for (source, taken) in Source::ALL.into_iter().zip(taken) {
            let labels = [("venue", venue.as_str()), ("source", source.as_str())];
            counter!("engine_events_total", &labels).absolute(*taken);
        }
    }
    for (reason, refused) in &counts.rejected {
        if *reason == Reject::Duplicate {
            counter!("engine_duplicates_total").absolute(*refused);
        } else {
            counter!("engine_rejects_total", "reason" => reason.to_string()).absolute(*refused);
        }
    }
}

/// Says how far apart two polls of one symbol's open interest are.
pub(super) fn say_interval(interval_s: i64) {
    gauge!("engine_oi_poll_interval_seconds").set(interval_s as f64);
}
