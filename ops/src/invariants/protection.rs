//! Cover of positions: by the venue's own timeline, and by two witnesses for each stop.
//!
//! Inputs: the facts of a run; for a run with faults also every uncovered interval, the faults, the alerts and the
//! looks of the product. Outputs: verdicts, and each interval with its cause and the time that it was allowed.
//! Invariants: an interval is never explained away: the one that began beside every fault has the grace and no
//! more, the one that a fault caused has a time that begins with what the venue or the product's own look shows,
//! and needs an alert of the highest severity for what goes beyond the grace.

use super::facts::Facts;
use super::report::Verdict;
use penstock_types::UtcMicros;

/// Longest time without cover while holding, ms: the grace of a new fill.
pub(super) const UNPROTECTED_OPEN_MS_MAX: i64 = 1_500;
/// Longest time without cover while closing, ms.
pub(super) const UNPROTECTED_CLOSE_MS_MAX: i64 = 5_000;
/// The same while a limit order that rests closes, ms.
const UNPROTECTED_MAKER_CLOSE_MS_MAX: i64 = 10_000;
/// What may pass from the end of a look at the venue until everything is covered, ms.
const AFTER_LOOK_MS: i64 = 2_000;
/// What may pass from the first answer of a venue that did not answer, ms.
const AFTER_ANSWER_MS: i64 = 5_000;

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
    witnessed(facts, &mut verdict);
    verdict
}

fn witnessed(facts: &Facts, verdict: &mut Verdict) {
    for stop in &facts.protections {
        let seen = stop.stream_witnesses > 0 && (stop.look_witnesses > 0 || stop.look_excused);
        verdict.check(seen, || {
            format!(
                "stop {}: {} reports of the stream, {} confirming looks",
                stop.order_id, stop.stream_witnesses, stop.look_witnesses
            )
        });
    }
}

/// In which part of a position's life it was uncovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoverPhase {
    /// Held.
    Holding,
    /// Being closed.
    Closing,
    /// Being closed by a limit order that rested.
    MakerClosing,
}

impl CoverPhase {
    /// How long it may be, ms.
    const fn grace_ms(self) -> i64 {
        match self {
            Self::Holding => UNPROTECTED_OPEN_MS_MAX,
            Self::Closing => UNPROTECTED_CLOSE_MS_MAX,
            Self::MakerClosing => UNPROTECTED_MAKER_CLOSE_MS_MAX,
        }
    }

    /// Its word.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Holding => "holding",
            Self::Closing => "closing",
            Self::MakerClosing => "maker close",
        }
    }
}

/// An uncovered interval, as the venue saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UncoveredFact {
    /// Pair.
    pub symbol: String,
    /// Phase.
    pub phase: CoverPhase,
    /// When it began.
    pub from: UtcMicros,
    /// When it ended; the end of the run for one that lasts.
    pub to: UtcMicros,
}

/// A fault that may cost cover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoverFault {
    /// What it was.
    pub what: String,
    /// When it began.
    pub from: UtcMicros,
    /// When it was over: when the venue answers again, when the process that was killed has reconciled.
    pub to: UtcMicros,
    /// The venue answered all the time.
    pub venue_answers: bool,
}

/// An alert of the highest severity: pair (empty for all), first and last time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CriticalFact {
    /// Pair, or empty.
    pub symbol: String,
    /// Its reason.
    pub reason: String,
    /// First time.
    pub first: UtcMicros,
    /// Newest time.
    pub last: UtcMicros,
}

/// Everything that the cover of a run with faults is judged by.
#[derive(Clone, Debug, Default)]
pub struct CoverFacts {
    /// Every uncovered interval.
    pub intervals: Vec<UncoveredFact>,
    /// Faults in order of their beginning.
    pub faults: Vec<CoverFault>,
    /// Alerts.
    pub critical: Vec<CriticalFact>,
    /// Ends of the product's looks at everything that the venue has of ours, in order.
    pub looks: Vec<UtcMicros>,
}

/// An interval with what it is explained by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uncovered {
    /// The interval.
    pub fact: UncoveredFact,
    /// The fault, when one was on.
    pub cause: Option<String>,
    /// Latest end that is allowed.
    pub allowed: UtcMicros,
    /// Reason of the alert that was raised about it.
    pub alert: Option<String>,
    /// Why it is wrong.
    pub wrong: Option<String>,
}

impl Uncovered {
    /// Length, ms, rounded up.
    #[must_use]
    pub fn ms(&self) -> i64 {
        self.fact.to.0.saturating_sub(self.fact.from.0).max(0).saturating_add(999) / 1_000
    }

    /// One line: pair, phase, beginning, length, cause, alert.
    #[must_use]
    pub fn line(&self) -> String {
        let Self { fact, cause, alert, wrong, .. } = self;
        let cause = cause.as_deref().unwrap_or("no fault");
        let alert = alert.as_deref().unwrap_or("no alert");
        let wrong = wrong.as_ref().map(|why| format!(": WRONG, {why}")).unwrap_or_default();
        let (symbol, phase, ms) = (&fact.symbol, fact.phase.as_str(), self.ms());
        format!("{symbol} {phase} from {}: {ms} ms; {cause}; {alert}{wrong}", fact.from)
    }
}

/// J5 of a run with faults: each interval with its cause, and whether it is within what that allows.
#[must_use]
pub fn judge_cover(facts: &CoverFacts) -> Vec<Uncovered> {
    facts.intervals.iter().map(|interval| explained(facts, interval)).collect()
}

fn explained(facts: &CoverFacts, interval: &UncoveredFact) -> Uncovered {
    let grace = interval.from.plus_millis(interval.phase.grace_ms());
    // The grace of what began just before a fault ends within it.
    let meets = |fault: &&CoverFault| fault.from <= grace && interval.from <= fault.to;
    let met: Vec<&CoverFault> = facts.faults.iter().filter(meets).collect();
    let allowed = met.iter().map(|fault| allowed_by(facts, fault, interval)).max();
    let allowed = allowed.map_or(grace, |allowed| allowed.max(grace));
    let is_beyond_grace = interval.to > grace;
    let alert = facts.critical.iter().find(|alert| {
        let about = alert.symbol.is_empty() || alert.symbol == interval.symbol;
        about
            && alert.first <= interval.to.plus_millis(AFTER_LOOK_MS)
            && alert.last >= interval.from
    });
    let alert = alert.filter(|_| is_beyond_grace).map(|alert| alert.reason.clone());
    let wrong = if interval.to > allowed {
        let late_ms = (interval.to.0 - allowed.0) / 1_000;
        Some(format!("{late_ms} ms later than allowed"))
    } else if is_beyond_grace && alert.is_none() {
        Some("longer than the grace, and no alert of the highest severity says so".to_owned())
    } else {
        None
    };
    let cause = (!met.is_empty())
        .then(|| met.iter().map(|fault| fault.what.as_str()).collect::<Vec<_>>().join(", "));
    Uncovered { fact: interval.clone(), cause, allowed, alert, wrong }
}

/// Latest end of an interval that meets a fault: after the venue's first answer when it was the venue that did
/// not answer, else after the product's next whole look.
fn allowed_by(facts: &CoverFacts, fault: &CoverFault, interval: &UncoveredFact) -> UtcMicros {
    if !fault.venue_answers {
        return fault.to.plus_millis(AFTER_ANSWER_MS);
    }
    let since = fault.from.max(interval.from);
    let look = facts.looks.iter().find(|look| **look >= since);
    // Without any look the end of the fault is what there is.
    look.copied().unwrap_or(fault.to).plus_millis(AFTER_LOOK_MS)
}

/// The witnesses of every stop alone, for runs whose intervals are judged by [`judge_cover`].
#[must_use]
pub fn cover_verdict(facts: &Facts, intervals: &[Uncovered]) -> Verdict {
    let mut verdict = Verdict::default();
    for interval in intervals {
        verdict.check(interval.wrong.is_none(), || interval.line());
    }
    witnessed(facts, &mut verdict);
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn at(ms: i64) -> UtcMicros {
        UtcMicros(ms * 1_000)
    }

    fn facts(from: i64, to: i64, phase: CoverPhase) -> CoverFacts {
        let symbol = "BTC/USD".to_owned();
        let fact = UncoveredFact { symbol, phase, from: at(from), to: at(to) };
        CoverFacts { intervals: vec![fact], ..CoverFacts::default() }
    }

    fn fault(from: i64, to: i64, venue_answers: bool) -> CoverFault {
        CoverFault { what: "P1".to_owned(), from: at(from), to: at(to), venue_answers }
    }

    fn alert(symbol: &str, first: i64, last: i64) -> CriticalFact {
        let (symbol, reason) = (symbol.to_owned(), "PROTECTION_MISSING".to_owned());
        CriticalFact { symbol, reason, first: at(first), last: at(last) }
    }

    fn is_right(facts: &CoverFacts) -> bool {
        judge_cover(facts).iter().all(|one| one.wrong.is_none())
    }

    #[rstest]
    #[case::holding(1_500, CoverPhase::Holding, true)]
    #[case::held_too_long(1_501, CoverPhase::Holding, false)]
    #[case::closing(5_000, CoverPhase::Closing, true)]
    #[case::closed_too_late(5_001, CoverPhase::Closing, false)]
    #[case::maker(10_000, CoverPhase::MakerClosing, true)]
    #[case::maker_too_late(10_001, CoverPhase::MakerClosing, false)]
    fn beside_faults_the_grace_is_all(
        #[case] ms: i64,
        #[case] phase: CoverPhase,
        #[case] right: bool,
    ) {
        let mut facts = facts(100_000, 100_000 + ms, phase);
        facts.critical.push(alert("BTC/USD", 100_000, 200_000));
        facts.faults.push(fault(0, 99_999, true));
        facts.faults.push(fault(120_000, 130_000, true));
        assert_eq!(is_right(&facts), right);
    }

    #[test]
    fn within_a_fault_two_seconds_after_the_look_are_allowed_with_an_alert_only() {
        let mut facts = facts(10_000, 16_000, CoverPhase::Holding);
        facts.faults.push(fault(9_000, 14_000, true));
        facts.looks = vec![at(9_500), at(14_000), at(29_000)];
        assert!(!is_right(&facts), "nobody was told");
        facts.critical.push(alert("ETH/USD", 10_000, 16_000));
        assert!(!is_right(&facts), "about another pair");
        facts.critical.push(alert("", 17_000, 17_000));
        assert!(is_right(&facts), "a process that was dead says it after its look");
        facts.intervals[0].to = at(16_001);
        assert!(!is_right(&facts), "two seconds and one millisecond after the look");
    }

    #[test]
    fn a_venue_that_does_not_answer_gives_five_seconds_from_its_first_answer_on() {
        let mut facts = facts(10_000, 35_000, CoverPhase::Closing);
        facts.faults.push(fault(9_000, 30_000, false));
        facts.critical.push(alert("BTC/USD", 12_000, 12_000));
        assert!(is_right(&facts));
        facts.intervals[0].to = at(35_001);
        assert!(!is_right(&facts));
    }

    #[test]
    fn what_began_just_before_a_fault_is_the_faults_and_what_began_long_before_is_not() {
        let mut facts = facts(8_000, 12_000, CoverPhase::Holding);
        facts.faults.push(fault(9_000, 11_000, false));
        facts.critical.push(alert("", 10_000, 10_000));
        assert!(is_right(&facts));
        facts.intervals[0].from = at(7_000);
        assert!(!is_right(&facts));
    }

    #[test]
    fn a_line_names_pair_length_cause_and_what_is_wrong() {
        let mut facts = facts(10_000, 13_000, CoverPhase::Holding);
        let alone = judge_cover(&facts)[0].line();
        assert!(
            alone.contains("BTC/USD holding") && alone.contains("3000 ms; no fault"),
            "{alone}"
        );
        assert!(alone.contains("1500 ms later than allowed"), "{alone}");
        facts.faults.push(fault(9_000, 12_000, false));
        let caused = judge_cover(&facts)[0].line();
        assert!(caused.contains("P1; no alert: WRONG, longer than the grace"), "{caused}");
        let verdict = cover_verdict(&Facts::default(), &judge_cover(&facts));
        assert_eq!((verdict.judged, verdict.broken), (1, 1));
    }
}
