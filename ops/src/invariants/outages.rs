//! Faults and what the product made of them: the mode while a guarantee is lost, the way back, and that
//! nothing grew beyond its declared limit.
//!
//! Inputs: faults with their times, changes of the mode, entries, figures beside their limits. Output:
//! verdicts. A fault that another one follows too soon is not judged for its way back.

use super::report::{Invariant, Report, Verdict};
use penstock_types::UtcMicros;
use penstock_types::vocab::SysMode;

/// What a fault takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Nothing that concerns the whole: one symbol, one frame, another venue.
    Nothing,
    /// The prices of the venue that is traded on.
    Feed,
    /// The reports about own orders.
    Private,
    /// The recording service, for as long as it takes to come back.
    Ingest,
    /// The trading service: its next life boots without entries.
    Execution,
}

/// A fault that was staged.
#[derive(Clone, Debug)]
pub struct FaultFact {
    /// What it was, for the finding.
    pub what: String,
    /// When it began.
    pub from: UtcMicros,
    /// When it was over.
    pub to: UtcMicros,
    /// What it takes away.
    pub lost: Lost,
}

/// A change of the mode.
#[derive(Clone, Debug)]
pub struct ModeFact {
    /// When.
    pub at: UtcMicros,
    /// Mode after it.
    pub to: SysMode,
}

/// A figure that has a declared limit.
#[derive(Clone, Debug)]
pub struct LimitFact {
    /// What it counts.
    pub what: String,
    /// Greatest value seen.
    pub value: f64,
    /// Greatest value allowed.
    pub limit: f64,
}

/// Times that the verdicts rest on, milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct OutageLimits {
    /// From the loss of prices to a mode without entries.
    pub noticed_ms: i64,
    /// From the loss of reports to a mode without entries.
    pub private_noticed_ms: i64,
    /// From the end of a fault to NORMAL.
    pub live_ms: i64,
    /// The same after a PAUSE by a feed or a restart of the recording service.
    pub restarted_ms: i64,
}

/// Everything that the three verdicts look at.
#[derive(Clone, Debug)]
pub struct OutageFacts {
    /// Faults in order of their beginning.
    pub faults: Vec<FaultFact>,
    /// Changes of the mode in order.
    pub modes: Vec<ModeFact>,
    /// When each entry was committed, in order.
    pub entries: Vec<UtcMicros>,
    /// Figures with limits.
    pub limits: Vec<LimitFact>,
    /// When the run ended.
    pub ended: UtcMicros,
    /// Times.
    pub times: OutageLimits,
}

impl OutageFacts {
    fn mode_at(&self, at: UtcMicros) -> Option<SysMode> {
        self.modes.iter().take_while(|change| change.at <= at).last().map(|change| change.to)
    }

    /// Faults with the time at which they must have been noticed, if they are that long: what is shorter may
    /// pass unseen.
    fn losses(&self) -> impl Iterator<Item = (&FaultFact, UtcMicros)> {
        self.faults.iter().filter_map(|fault| {
            let noticed_ms = match fault.lost {
                Lost::Nothing | Lost::Execution => return None,
                Lost::Private => self.times.private_noticed_ms,
                Lost::Feed | Lost::Ingest => self.times.noticed_ms,
            };
            let due = fault.from.plus_millis(noticed_ms);
            (due < fault.to).then_some((fault, due))
        })
    }

    /// When the next fault begins, or the run ends.
    fn next_after(&self, fault: &FaultFact) -> UtcMicros {
        let later = self.faults.iter().map(|other| other.from).filter(|from| *from > fault.from);
        later.min().unwrap_or(self.ended)
    }
}

/// Judges J13 to J15.
#[must_use]
pub fn judge_outages(facts: &OutageFacts) -> Report {
    let mut report = Report::default();
    report.put(Invariant::J13, noticed_in_time(facts));
    report.put(Invariant::J14, back_without_a_human(facts));
    report.put(Invariant::J15, within_limits(facts));
    report
}

/// J13: a lost guarantee ends entries within its time, with one change per level, until it is back.
fn noticed_in_time(facts: &OutageFacts) -> Verdict {
    let mut verdict = Verdict::default();
    for (fault, due) in facts.losses() {
        let what = &fault.what;
        let mode = facts.mode_at(due);
        let is_safe = matches!(mode, Some(SysMode::Degrade | SysMode::Pause | SysMode::Exit));
        verdict.check(is_safe, || format!("{what} at {}: mode {mode:?} at {due}", fault.from));
        let normal = facts
            .modes
            .iter()
            .find(|change| change.to == SysMode::Normal && change.at > due && change.at < fault.to);
        if let Some(change) = normal {
            verdict.fail(format!("{what} at {}: NORMAL at {} within it", fault.from, change.at));
        }
        for level in [SysMode::Degrade, SysMode::Pause] {
            let within = |change: &&ModeFact| {
                change.to == level && change.at >= fault.from && change.at < fault.to
            };
            let count = facts.modes.iter().filter(within).count();
            if count > 1 {
                let at = fault.from;
                verdict.fail(format!("{what} at {at}: {count} alerts of {}", level.as_str()));
            }
        }
        if let Some(entry) = facts.entries.iter().find(|at| **at > due && **at < fault.to) {
            verdict.fail(format!("{what} at {}: an entry at {entry}", fault.from));
        }
    }
    verdict
}

/// J14: NORMAL again within its time after every fault, by itself.
fn back_without_a_human(facts: &OutageFacts) -> Verdict {
    let mut verdict = Verdict::default();
    for fault in &facts.faults {
        let limit_ms = match fault.lost {
            Lost::Nothing | Lost::Private | Lost::Execution => facts.times.live_ms,
            Lost::Feed | Lost::Ingest => facts.times.restarted_ms,
        };
        let due = fault.to.plus_millis(limit_ms);
        if due >= facts.next_after(fault) {
            continue;
        }
        let mode = facts.mode_at(due);
        verdict.check(mode == Some(SysMode::Normal), || {
            let (what, to) = (&fault.what, fault.to);
            format!("{what}, over at {to}: mode {mode:?} {limit_ms} ms later")
        });
    }
    verdict
}

/// J15: nothing above its declared limit.
fn within_limits(facts: &OutageFacts) -> Verdict {
    let mut verdict = Verdict::default();
    for LimitFact { what, value, limit } in &facts.limits {
        verdict.check(value <= limit, || format!("{what}: {value} is above {limit}"));
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const S: i64 = 1_000_000;

    fn at(second: i64) -> UtcMicros {
        UtcMicros(second * S)
    }

    fn fault(from: i64, to: i64, lost: Lost) -> FaultFact {
        FaultFact { what: format!("{lost:?}"), from: at(from), to: at(to), lost }
    }

    fn mode(second: i64, to: SysMode) -> ModeFact {
        ModeFact { at: at(second), to }
    }

    /// A feed lost for 20 s and a frame dropped later; noticed after 2 s, back after 25 s.
    fn right() -> OutageFacts {
        OutageFacts {
            faults: vec![fault(100, 120, Lost::Feed), fault(250, 250, Lost::Nothing)],
            modes: vec![
                mode(10, SysMode::Degrade),
                mode(40, SysMode::Normal),
                mode(102, SysMode::Degrade),
                mode(110, SysMode::Pause),
                mode(122, SysMode::Degrade),
                mode(145, SysMode::Normal),
            ],
            entries: vec![at(50), at(101), at(160)],
            limits: vec![LimitFact { what: "spool, %".to_owned(), value: 3.0, limit: 100.0 }],
            ended: at(400),
            times: OutageLimits {
                noticed_ms: 12_000,
                private_noticed_ms: 17_000,
                live_ms: 40_000,
                restarted_ms: 60_000,
            },
        }
    }

    fn holds(facts: &OutageFacts) -> [Option<bool>; 3] {
        let report = judge_outages(facts);
        [Invariant::J13, Invariant::J14, Invariant::J15]
            .map(|name| report.verdict(name).and_then(Verdict::holds))
    }

    #[test]
    fn a_loss_that_was_noticed_and_is_over_is_right() {
        assert_eq!(holds(&right()), [Some(true); 3]);
        let report = judge_outages(&right());
        let judged = |name| report.verdict(name).map(|verdict| verdict.judged);
        assert_eq!(judged(Invariant::J13), Some(1), "the dropped frame costs no guarantee");
        assert_eq!(judged(Invariant::J14), Some(2));
    }

    #[rstest]
    #[case::noticed_late(0, |f: &mut OutageFacts| f.modes[2].at = at(113))]
    #[case::normal_too_early(0, |f: &mut OutageFacts| f.modes.insert(4, mode(115, SysMode::Normal)))]
    #[case::two_alerts(0, |f: &mut OutageFacts| f.modes.insert(4, mode(118, SysMode::Pause)))]
    #[case::an_entry_within(0, |f: &mut OutageFacts| f.entries[1] = at(113))]
    #[case::back_too_late(1, |f: &mut OutageFacts| f.modes[5].at = at(181))]
    #[case::above_a_limit(2, |f: &mut OutageFacts| f.limits[0].value = 100.5)]
    fn one_edit_turns_its_verdict_false(
        #[case] which: usize,
        #[case] edit: impl Fn(&mut OutageFacts),
    ) {
        let mut facts = right();
        edit(&mut facts);
        let expected: Vec<Option<bool>> = (0..3).map(|n| Some(n != which)).collect();
        assert_eq!(holds(&facts).to_vec(), expected);
    }

    #[test]
    fn a_fault_that_another_follows_too_soon_is_not_judged_for_its_way_back() {
        let mut facts = right();
        facts.faults[1].from = at(130);
        facts.faults[1].to = at(390);
        assert_eq!(holds(&facts)[1], None);
    }

    #[test]
    fn a_short_loss_may_pass_unseen() {
        let mut facts = right();
        facts.faults[0].to = at(105);
        facts.modes.drain(2..);
        assert_eq!(holds(&facts)[..2], [None, Some(true)]);
        facts.faults[0] = fault(100, 116, Lost::Private);
        assert_eq!(holds(&facts)[..2], [None, Some(true)], "silence of reports counts later");
        facts.faults[0] = fault(100, 118, Lost::Private);
        assert_eq!(holds(&facts)[..2], [Some(false), Some(true)]);
    }
}
