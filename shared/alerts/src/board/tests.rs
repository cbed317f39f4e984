//! What opens, repeats, escalates and ends.

use super::*;
use proptest::prelude::*;

const TIMES: Times = Times { repeat_ms: 60_000, window_ms: 900_000 };
const PLACE: Place = Place { stage: StageName::PositionManage, sys_mode: SysMode::Normal };
const OWN: AlertSource = AlertSource::Execution;

fn at(ms: i64) -> Now {
    Now { wall_ms: 1_700_000_000_000 + ms, mono_ms: ms }
}

/// An open alert for tests of what passes it on.
pub(crate) fn open(reason: ReasonCode, symbol: &str, count: i64) -> Open {
    let mut board = Board::new(TIMES);
    let occurrence = Occurrence::new(OWN, reason, "something").of_symbol(symbol);
    let raised = board.occur(occurrence, PLACE, at(0)).0.unwrap();
    Open { count, ..raised.alert }
}

fn occur(board: &mut Board, reason: ReasonCode, ms: i64) -> Raised {
    board.occur(Occurrence::new(OWN, reason, "something"), PLACE, at(ms)).0.unwrap()
}

fn codes(board: &Board) -> Vec<ReasonCode> {
    board.active().iter().map(|a| a.id.key.reason).collect()
}

#[test]
fn a_repetition_counts_and_is_told_again_after_the_repeat_time_only() {
    let mut board = Board::new(TIMES);
    let told: Vec<(i64, bool)> = [0, 1, 59_999, 60_000, 60_001, 119_999, 120_000]
        .into_iter()
        .map(|ms| {
            let raised = occur(&mut board, ReasonCode::SpoolBacklog, ms);
            (raised.alert.count, raised.told)
        })
        .collect();
    let want = [(1, true), (2, false), (3, false), (4, true), (5, false), (6, false), (7, true)];
    assert_eq!(told, want);
    assert_eq!(board.active().len(), 1);
}

#[test]
fn a_severity_that_rises_is_told_at_once_and_never_falls() {
    let mut board = Board::new(TIMES);
    let warn = Occurrence::new(OWN, ReasonCode::EpochNotValid, "none");
    assert_eq!(board.occur(warn.clone(), PLACE, at(0)).0.unwrap().rise, Rise::Opened);
    let crit = warn.clone().with_reasons([ReasonCode::EnterPause]);
    let raised = board.occur(crit, PLACE, at(1)).0.unwrap();
    assert_eq!((raised.rise, raised.told), (Rise::Escalated, true));
    assert_eq!(raised.alert.severity, Severity::Crit);
    assert_eq!(raised.alert.reasons, [ReasonCode::EpochNotValid, ReasonCode::EnterPause]);
    let raised = board.occur(warn, PLACE, at(2)).0.unwrap();
    assert_eq!((raised.alert.severity, raised.told), (Severity::Crit, false));
}

#[test]
fn the_highest_severity_comes_first_then_the_newest() {
    let mut board = Board::new(TIMES);
    occur(&mut board, ReasonCode::EnterNormal, 4);
    occur(&mut board, ReasonCode::LedgerMismatch, 1);
    occur(&mut board, ReasonCode::SpoolBacklog, 2);
    occur(&mut board, ReasonCode::IngestFeedGap, 3);
    let want = [
        ReasonCode::LedgerMismatch,
        ReasonCode::IngestFeedGap,
        ReasonCode::SpoolBacklog,
        ReasonCode::EnterNormal,
    ];
    assert_eq!(codes(&board), want);
}

#[test]
fn an_alert_stays_while_a_condition_holds_and_for_the_window_after_it() {
    let mut board = Board::new(TIMES);
    occur(&mut board, ReasonCode::SpoolBacklog, 0);
    let key = Key::of(OWN, ReasonCode::SpoolBacklog);
    board.hold(&key, "fill");
    board.hold(&key, "load");
    assert_eq!(board.expire(at(5_000_000)), []);
    board.release(&key, "fill", at(5_000_000));
    board.release(&key, "load", at(5_100_000));
    assert_eq!(board.expire(at(5_999_999)), []);
    let ended = board.expire(at(6_000_000));
    assert_eq!(ended.len(), 1);
    let again = occur(&mut board, ReasonCode::SpoolBacklog, 6_000_001);
    assert_eq!((again.rise, again.alert.count), (Rise::Opened, 1));
    assert_ne!(again.alert.id, ended[0].id, "another alert of the same key");
}

fn entry(reason: ReasonCode, first_ms: i64, count: i64) -> HeartbeatAlert {
    let alert = open(reason, "", count);
    HeartbeatAlert {
        first_ts_ms: TsMs(first_ms),
        last_ts_ms: TsMs(first_ms + count),
        ..alert.entry()
    }
}

#[test]
fn alerts_of_the_other_service_open_count_and_end_as_it_says() {
    let mut board = Board::new(TIMES);
    let other = AlertSource::Ingest;
    occur(&mut board, ReasonCode::LedgerMismatch, 0);
    let backlog = |count| vec![entry(ReasonCode::SpoolBacklog, 500, count)];
    let mut seen = Vec::new();
    for (ms, entries) in [
        (0, backlog(3)),
        (5_000, backlog(3)),
        (10_000, backlog(4)),
        (70_000, backlog(9)),
        (75_000, vec![entry(ReasonCode::SpoolBacklog, 900, 1)]),
        (80_000, vec![]),
    ] {
        let (raised, ended) = board.mirror(other, entries, PLACE, at(ms));
        let raised: Vec<_> = raised.iter().map(|r| (r.rise, r.alert.count, r.told)).collect();
        seen.push((raised, ended.len()));
    }
    assert_eq!(
        seen,
        [
            (vec![(Rise::Opened, 3, true)], 0),
            (vec![], 0),
            (vec![(Rise::Repeated, 4, false)], 0),
            (vec![(Rise::Repeated, 9, true)], 0),
            (vec![(Rise::Opened, 1, true)], 1),
            (vec![], 1),
        ]
    );
    assert_eq!(codes(&board), [ReasonCode::LedgerMismatch], "own alerts are not touched");
    assert_eq!(board.expire(at(10_000_000)).len(), 1);
}

#[test]
fn a_mirrored_alert_stays_while_it_is_named() {
    let mut board = Board::new(TIMES);
    board.mirror(AlertSource::Ingest, vec![entry(ReasonCode::SpoolBacklog, 0, 1)], PLACE, at(0));
    assert_eq!(board.expire(at(90_000_000)), []);
}

#[test]
fn a_full_board_lets_the_weakest_go_and_never_a_critical_one() {
    let mut board = Board::new(TIMES);
    for n in 0..ACTIVE_MAX {
        let reason = if n == 7 { ReasonCode::EnterNormal } else { ReasonCode::QuoteStale };
        let occurrence = Occurrence::new(OWN, reason, "").of_symbol(&format!("S{n}/USD"));
        board.occur(occurrence, PLACE, at(i64::try_from(n).unwrap()));
    }
    let crit = Occurrence::new(OWN, ReasonCode::LedgerMismatch, "");
    let (raised, gone) = board.occur(crit, PLACE, at(1_000));
    assert_eq!(raised.unwrap().rise, Rise::Opened);
    assert_eq!(gone.unwrap().id.key.reason, ReasonCode::EnterNormal);
    let info = Occurrence::new(OWN, ReasonCode::EnterNormal, "");
    assert_eq!(board.occur(info, PLACE, at(1_001)), (None, None), "nothing weaker is there");
    assert_eq!(board.active().len(), ACTIVE_MAX);
}

#[test]
fn a_stored_alert_goes_on_with_its_window() {
    let mut board = Board::new(TIMES);
    let alert = open(ReasonCode::SpoolBacklog, "", 3);
    let document = alert.document(OWN, true);
    let later = Now { wall_ms: document.last_ts_ms.0 + 800_000, mono_ms: 0 };
    board.restore(Open::stored(document, later));
    let after = |ms| Now { wall_ms: later.wall_ms + ms, mono_ms: ms };
    assert_eq!(board.expire(after(99_999)), []);
    assert_eq!(board.expire(after(100_000)).len(), 1);
}

proptest! {
    #[test]
    fn counts_add_up_and_documents_keep_to_their_rules(
        steps in proptest::collection::vec((0..4_usize, 0..3_u8, 0..100_000_i64), 1..200),
    ) {
        let reasons = [ReasonCode::EnterNormal, ReasonCode::SpoolBacklog,
            ReasonCode::LedgerMismatch, ReasonCode::QuoteStale];
        let mut board = Board::new(TIMES);
        let (mut ms, mut ended, mut told) = (0, 0, 0);
        for (reason, symbol, wait) in &steps {
            ms += wait;
            ended += board.expire(at(ms)).iter().map(|a| a.count).sum::<i64>();
            let one = Occurrence::new(OWN, reasons[*reason], "x").of_symbol(&symbol.to_string());
            let raised = board.occur(one, PLACE, at(ms)).0.unwrap();
            prop_assert_eq!(raised.alert.document(OWN, true).breaches(), vec![]);
            prop_assert_eq!(raised.alert.entry().breaches(), vec![]);
            told += i64::from(raised.told);
        }
        let open: i64 = board.active().iter().map(|a| a.count).sum();
        prop_assert_eq!(open + ended, i64::try_from(steps.len()).unwrap());
        prop_assert!(told <= open + ended);
    }
}
