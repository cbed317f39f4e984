//! The machine over all pairs, its windows, and the table of signals at each threshold.

use penstock_types::vocab::{ReasonCode, SysMode};
use rstest::rstest;

use super::*;

fn timing() -> ModeTiming {
    ModeTiming { stable_window_ms: 1_000, pause_auto_recover_feed: true }
}

fn cause(code: CauseCode, level: Level) -> Cause {
    Cause { code, level, value: None }
}

#[test]
fn every_pair_has_a_mode_and_the_end_is_final() {
    for mode in SysMode::ALL {
        for event in ModeEvent::ALL {
            let after = next(*mode, *event);
            if *mode == SysMode::Exit || *event == ModeEvent::Stop {
                assert_eq!(after, SysMode::Exit, "{mode} {event:?}");
            }
            if matches!(event, ModeEvent::DegradeCause | ModeEvent::PauseCause) {
                assert!(after >= *mode, "a cause never improves: {mode} {event:?}");
            }
            if *mode == SysMode::Pause {
                assert_ne!(after, SysMode::Normal, "PAUSE leads through DEGRADE");
            }
        }
    }
}

#[test]
fn a_session_reaches_normal_after_one_whole_window_without_a_cause() {
    let (mut m, first) = ModeMachine::boot(timing(), 0);
    assert_eq!((first.from, first.to), (None, SysMode::Degrade));
    let epoch = [cause(CauseCode::EpochNotValid, Level::Degrade)];
    assert_eq!(m.observe(100, &epoch), None);
    assert_eq!(m.observe(200, &[]), None);
    assert_eq!(m.observe(900, &epoch), None, "the window is broken");
    assert_eq!(m.observe(1_000, &[]), None);
    assert_eq!(m.observe(1_999, &[]), None);
    let change = m.observe(2_000, &[]).unwrap();
    assert_eq!((change.from, change.to), (Some(SysMode::Degrade), SysMode::Normal));
    assert!(change.reasons.is_empty());
}

#[rstest]
#[case(CauseCode::WsStalePause, true)]
#[case(CauseCode::LedgerMismatch, false)]
fn a_pause_ends_by_itself_only_for_feeds(#[case] code: CauseCode, #[case] by_itself: bool) {
    let (mut m, _) = ModeMachine::boot(timing(), 0);
    let change = m.observe(10, &[cause(code, Level::Pause)]).unwrap();
    assert_eq!((change.to, change.primary), (SysMode::Pause, Some(code)));
    m.observe(20, &[]);
    let change = m.observe(1_020, &[]);
    assert_eq!(change.is_some(), by_itself);
    if by_itself {
        assert_eq!(m.mode(), SysMode::Degrade);
        assert_eq!(m.observe(2_019, &[]), None, "a second window follows");
        assert_eq!(m.observe(2_020, &[]).unwrap().to, SysMode::Normal);
    } else {
        let change = m.request(1_030, ModeEvent::OperatorNormal, &[]).unwrap();
        assert_eq!(change.to, SysMode::Degrade);
        assert_eq!(m.observe(2_030, &[]).unwrap().to, SysMode::Normal);
    }
}

#[test]
fn every_cause_is_the_reason_of_its_name_in_the_catalog() {
    for cause in CauseCode::ALL {
        assert_eq!(ReasonCode::parse(cause.as_str()), Ok(cause.reason()));
    }
}

#[test]
fn the_highest_cause_is_the_primary_reason_and_all_are_listed() {
    let (mut m, _) = ModeMachine::boot(timing(), 0);
    let causes = [
        cause(CauseCode::EpochNotValid, Level::Degrade),
        cause(CauseCode::LedgerMismatch, Level::Pause),
        cause(CauseCode::DbUnavailable, Level::Pause),
    ];
    let change = m.observe(5, &causes).unwrap();
    assert_eq!(
        change.reasons,
        vec![CauseCode::DbUnavailable, CauseCode::LedgerMismatch, CauseCode::EpochNotValid]
    );
    assert_eq!(change.primary, Some(CauseCode::DbUnavailable));
}

#[test]
fn simultaneous_causes_are_named_in_the_order_of_the_list() {
    use CauseCode as C;
    let first: Vec<C> = C::ALL.iter().copied().take(7).collect();
    assert_eq!(
        first,
        [
            C::DiskLowPause,
            C::DbWriterQueueFull,
            C::DbUnavailable,
            C::LoopStuckPause,
            C::WsStalePause,
            C::RestStalePause,
            C::DriftLimitExceeded,
        ]
    );
    // Any other PAUSE goes before what only degrades, be its code high on the list.
    let (mut m, _) = ModeMachine::boot(timing(), 0);
    let causes = [
        cause(C::DbUnavailable, Level::Degrade),
        cause(C::DriftLimitExceeded, Level::Degrade),
        cause(C::LedgerMismatch, Level::Pause),
    ];
    let change = m.observe(5, &causes).unwrap();
    assert_eq!(change.reasons, [C::LedgerMismatch, C::DbUnavailable, C::DriftLimitExceeded]);
}

#[test]
fn a_change_is_announced_by_its_causes_and_then_by_the_mode() {
    let (mut m, first) = ModeMachine::boot(timing(), 0);
    assert_eq!(first.announced(), [ReasonCode::EnterDegrade]);
    let causes = [
        cause(CauseCode::EpochNotValid, Level::Degrade),
        cause(CauseCode::DiskLowPause, Level::Pause),
    ];
    let change = m.observe(1, &causes).unwrap();
    let expected = [ReasonCode::DiskLowPause, ReasonCode::EpochNotValid, ReasonCode::EnterPause];
    assert_eq!(change.announced(), expected);
    m.request(2, ModeEvent::OperatorNormal, &[]).unwrap();
    let normal = (3..).step_by(500).find_map(|at| m.observe(at, &[])).unwrap();
    assert_eq!(normal.announced(), [ReasonCode::EnterNormal]);
}

/// The value at which a threshold counts, and the last one at which it does not.
fn edges(side: Side, limit: i64) -> (i64, i64) {
    match side {
        Side::AtLeast => (limit, limit - 1),
        Side::Above => (limit + 1, limit),
        Side::AtMost => (limit, limit + 1),
    }
}

#[test]
fn every_signal_counts_at_its_threshold_and_not_one_before_it() {
    let thresholds = Thresholds::default();
    let mut rows = 0;
    for signal in Signal::ALL {
        let row = signal.trigger(&thresholds);
        if let Some((limit, code)) = row.degrade {
            let (at, before) = edges(row.side, limit);
            assert_eq!(row.judge(at), Some((code, Level::Degrade)), "{signal}");
            assert_eq!(row.judge(before), None, "{signal}");
            rows += 1;
        }
        if let Some((limit, code)) = row.pause {
            let (at, before) = edges(row.side, limit);
            assert_eq!(row.judge(at), Some((code, Level::Pause)), "{signal}");
            let degraded = row.degrade.map(|(_, code)| (code, Level::Degrade));
            assert_eq!(row.judge(before), degraded, "{signal}");
            rows += 1;
        }
        let raised: Vec<CauseCode> = signal.codes(&thresholds).collect();
        let may_be_silent = *signal == Signal::ForeignOrders;
        assert_eq!(raised.is_empty(), may_be_silent, "{signal}");
    }
    assert_eq!(rows, 51, "a row was added or lost");
}

#[test]
fn every_cause_of_the_table_ends_somehow_and_only_silence_of_feeds_by_itself() {
    let feeds: Vec<&CauseCode> = CauseCode::ALL.iter().filter(|c| c.is_feed()).collect();
    assert_eq!(
        feeds,
        [&CauseCode::WsStalePause, &CauseCode::RestStalePause, &CauseCode::PrivateStreamSilent]
    );
    for code in CauseCode::ALL {
        assert!(!code.is_feed() || code.ending() == Ending::Condition, "{code}");
    }
    let by_name: Vec<&CauseCode> =
        CauseCode::ALL.iter().filter(|c| c.ending() == Ending::Acknowledged).collect();
    assert_eq!(by_name, [&CauseCode::RiskDrawdownLimit]);
}
