//! Cover of positions: by the venue's own timeline, and by two witnesses for each stop.

use super::facts::Facts;
use super::report::Verdict;

/// Longest time without cover while holding, ms: the grace of a new fill.
pub(super) const UNPROTECTED_OPEN_MS_MAX: i64 = 1_500;
/// Longest time without cover while closing, ms.
pub(super) const UNPROTECTED_CLOSE_MS_MAX: i64 = 5_000;

/// J5: never longer without a stop of the position's size than the grace allows; each stop was seen by
/// the stream and by a look.
pub(super) fn covered_but_for_the_grace(facts: &Facts) -> Verdict {
    let mut verdict = Verdict::default();
    if facts.exposures > 0 {
        verdict.judged += facts.exposures - 1;
        verdict.check(facts.unprotected_open_ms_max <= UNPROTECTED_OPEN_MS_MAX, || {
            format!(
                "held without cover for {} ms, at most {UNPROTECTED_OPEN_MS_MAX}",
                facts.unprotected_open_ms_max
            )
        });
        if facts.unprotected_close_ms_max > UNPROTECTED_CLOSE_MS_MAX {
            verdict.fail(format!(
                "closing without cover for {} ms, at most {UNPROTECTED_CLOSE_MS_MAX}",
                facts.unprotected_close_ms_max
            ));
        }
    }
    for stop in &facts.protections {
        let seen = stop.stream_witnesses > 0 && (stop.look_witnesses > 0 || stop.look_excused);
        verdict.check(seen, || {
            format!(
                "stop {}: {} reports of the stream, {} confirming looks",
                stop.order_id, stop.stream_witnesses, stop.look_witnesses
            )
        });
    }
    verdict
}
