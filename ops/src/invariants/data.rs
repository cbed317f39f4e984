//! Data: freshness of entries, order of generations, quotes against the book, holes, replays, chain.

use super::facts::Facts;
use super::report::Verdict;
use penstock_types::{GenerationId, Uuid, ids};
use std::collections::BTreeMap;

/// Generations that a submit may be behind the newest visible one.
const GENERATION_LAG_MAX: i64 = 5;

/// J6: every entry was committed on state younger than its route's limit, of one publication, at most
/// five generations behind.
pub(super) fn entries_on_fresh_whole_data(facts: &Facts) -> Verdict {
    let mut verdict = Verdict::default();
    for entry in &facts.entries {
        let cycle = entry.cycle_generation;
        let lag = entry.visible_generation.map(|visible| visible.0 - cycle.0);
        let one_fence = entry
            .visible_generation
            .is_some_and(|visible| ids::token_of(visible.0) == ids::token_of(cycle.0));
        let fresh = (0..=entry.route_limit_ms).contains(&entry.state_age_ms);
        let near = lag.is_some_and(|lag| (0..=GENERATION_LAG_MAX).contains(&lag));
        verdict.check(fresh && near && one_fence, || format!("entry not on fresh data: {entry:?}"));
    }
    verdict
}

/// J8: within a session generations never go back, and no input mixes two.
pub(super) fn generations_never_go_back(facts: &Facts) -> Verdict {
    let mut verdict = Verdict::default();
    let mut newest: BTreeMap<Uuid, GenerationId> = BTreeMap::new();
    for cycle in &facts.cycles {
        let Some(generation) = cycle.generation else { continue };
        let before = newest.get(&cycle.session_id).copied().unwrap_or_default();
        let ok = generation >= before && cycle.generations_in_input <= 1;
        verdict.check(ok, || format!("evaluation on {generation} after {before}: {cycle:?}"));
        newest.insert(cycle.session_id, generation.max(before));
    }
    let rising = facts.generations.windows(2).all(|w| w[0].generation_id < w[1].generation_id);
    if !rising {
        verdict.fail("generation ids do not rise strictly".to_owned());
    }
    verdict
}

/// J9: each quote that a frame carried is the top of the venue's book at its stamp.
pub(super) fn quotes_are_the_venues_book(facts: &Facts) -> Verdict {
    let mut verdict = Verdict::default();
    for quote in &facts.quotes {
        verdict.check(quote.theirs == Some(quote.ours), || {
            format!(
                "tick {} {}: ours {:?}, the venue's {:?}",
                quote.tick_id, quote.symbol, quote.ours, quote.theirs
            )
        });
    }
    verdict
}

/// J10: no number of a run is missing without a drop row, no trade without a gap row, no time between
/// two runs without one.
pub(super) fn time_is_data_or_gap(facts: &Facts) -> Verdict {
    let mut verdict = Verdict::default();
    for run in facts.runs.iter().filter(|run| run.rows > 0) {
        let ok = run.unexplained_holes == 0 && run.unexplained_trades == 0 && run.joined;
        verdict.check(ok, || format!("run with an unexplained hole: {run:?}"));
    }
    verdict
}

/// J11: stored inputs give their stored decisions, raw rows give their generations.
pub(super) fn derived_again_equal(facts: &Facts) -> Verdict {
    let mut verdict = Verdict::default();
    for replay in &facts.replays {
        verdict.check(replay.equal, || format!("{} derives to something else", replay.what));
    }
    verdict
}

/// J12: from the first frame on, every frame decodes, names its predecessor's hash, and has its own in
/// its row.
pub(super) fn frame_chain_is_whole(facts: &Facts) -> Verdict {
    let mut verdict = Verdict::default();
    let mut previous: Option<[u8; 32]> = None;
    for frame in &facts.frames {
        let linked = previous.is_none_or(|sha| sha == frame.previous_sha256);
        let ok = frame.error.is_none() && linked && frame.sha256 == frame.row_sha256;
        verdict.check(ok, || match &frame.error {
            Some(error) => format!("frame {}: {error}", frame.tick_id),
            None if linked => format!("frame {}: its row has another hash", frame.tick_id),
            None => format!("frame {}: it does not name its predecessor", frame.tick_id),
        });
        previous = Some(frame.sha256);
    }
    verdict
}
