//! The mode over all pairs, at every threshold, on its ways out, and what it never stops.

use std::time::Instant;

use penstock_trading::mode::{
    Cause, CauseCode, Ending, Level, ModeEvent, ModeMachine, ModeTiming, STREAM_DOWN_PAUSE_MS,
    Side, Signal, Thresholds, next,
};
use penstock_types::vocab::{StageName, SysMode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::place::until;
use super::{ENTRY, PLAN, POSITION, World};
use crate::account::EntryOutcome;
use crate::mode::{ModeHandle, Told, Watchdog};
use crate::progress::{LoopName, TrailFigures};
use crate::quotes::QuoteBoard;

impl World {
    /// A change of the venue itself, by its admin interface.
    async fn admin(&self, fault: &str) {
        let host = self.venue.addresses.admin.strip_prefix("http://").unwrap();
        let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
        let len = fault.len();
        let request = format!(
            "POST /faults HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n\
             content-length: {len}\r\nconnection: close\r\n\r\n{fault}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

fn handle(window_ms: i64) -> (ModeHandle, crate::mode::Changes) {
    let timing = ModeTiming { stable_window_ms: window_ms, pause_auto_recover_feed: true };
    ModeHandle::new(timing, Thresholds::default())
}

#[test]
fn transition_table() {
    use SysMode::{Degrade as D, Exit as X, Normal as N, Pause as P};
    // Columns in the order of `ModeEvent::ALL`: a cause that degrades, one that pauses, the window, feeds back, the
    // operator's NORMAL, DEGRADE and PAUSE, the end.
    let table = [
        (N, [D, P, N, N, N, D, P, X]),
        (D, [D, P, N, D, D, D, P, X]),
        (P, [P, P, P, D, D, D, P, X]),
        (X, [X, X, X, X, X, X, X, X]),
    ];
    for (mode, row) in table {
        for (event, after) in ModeEvent::ALL.iter().zip(row) {
            assert_eq!(next(mode, *event), after, "{mode} {event:?}");
        }
    }
    assert_eq!(ModeEvent::ALL.len(), 8);
}

#[test]
fn auto_resume_feed_only() {
    let timing = ModeTiming { stable_window_ms: 1_000, pause_auto_recover_feed: true };
    for code in CauseCode::ALL {
        let (mut machine, _) = ModeMachine::boot(timing, 0);
        let cause = Cause { code: *code, level: Level::Pause, value: None };
        assert_eq!(machine.observe(10, &[cause]).unwrap().to, SysMode::Pause, "{code}");
        machine.observe(20, &[]);
        assert_eq!(machine.observe(1_019, &[]), None, "{code}: the window is not over");
        let left = machine.observe(1_020, &[]).map(|change| change.to);
        assert_eq!(left, code.is_feed().then_some(SysMode::Degrade), "{code}");
    }
    // A feed that pauses beside anything else waits for the operator as well.
    let (mut machine, _) = ModeMachine::boot(timing, 0);
    let pause = |code| Cause { code, level: Level::Pause, value: None };
    machine.observe(10, &[pause(CauseCode::WsStalePause), pause(CauseCode::DiskLowPause)]);
    machine.observe(20, &[pause(CauseCode::WsStalePause)]);
    machine.observe(30, &[]);
    assert_eq!(machine.observe(9_000, &[]), None);
    let word = machine.request(9_001, ModeEvent::OperatorNormal, &[]).unwrap();
    assert_eq!(word.to, SysMode::Degrade, "and leads through DEGRADE");
}

#[test]
fn signal_boundaries() {
    let thresholds = Thresholds::default();
    for signal in Signal::ALL {
        let row = signal.trigger(&thresholds);
        let levels = [(row.degrade, SysMode::Degrade), (row.pause, SysMode::Pause)];
        for ((limit, code), mode) in levels.into_iter().filter_map(|(l, m)| Some((l?, m))) {
            let (at, before) = match row.side {
                Side::AtLeast => (limit, limit - 1),
                Side::Above => (limit + 1, limit),
                Side::AtMost => (limit, limit + 1),
            };
            let (handle, _changes) = handle(0);
            handle.judge();
            assert_eq!(handle.current(), SysMode::Normal);
            let mut told = handle.told();
            // One before it: nothing, or only what the milder threshold says.
            handle.signal(*signal, Some(before));
            let milder = mode == SysMode::Pause && row.degrade.is_some();
            let expected = if milder { SysMode::Degrade } else { SysMode::Normal };
            assert_eq!(handle.current(), expected, "{signal} {before}");
            // At it: the mode, and one value that alerts and trail carry, the cause first.
            handle.signal(*signal, Some(at));
            assert_eq!(handle.current(), mode, "{signal} {at}");
            assert!(handle.is_active(code), "{signal}");
            let change = std::iter::from_fn(|| told.try_recv().ok()).find_map(|told| match told {
                Told::Mode { change, .. } if change.to == mode => Some(change),
                _ => None,
            });
            let change = change.expect("the change was told");
            assert_eq!(change.announced().first(), Some(&code.reason()), "{signal}");
            let values = &change.values[code.as_str()];
            assert!(values.contains(&at.to_string()), "{signal}: {values}");
            // Back before it: the cause is over, unless only a word ends it and nobody measures it.
            handle.signal(*signal, None);
            assert!(!handle.is_active(code), "{signal}");
        }
    }
    assert_eq!(STREAM_DOWN_PAUSE_MS, 60_000);
}

#[test]
fn the_operators_word_ends_what_nothing_else_ends_and_a_named_cause_only_by_its_name() {
    let (handle, _changes) = handle(0);
    for code in CauseCode::ALL {
        handle.raise(*code, Level::Pause, None);
    }
    handle.request(ModeEvent::OperatorNormal);
    for code in CauseCode::ALL {
        assert_eq!(handle.is_active(*code), code.ending() != Ending::Word, "{code}");
    }
    assert!(!handle.acknowledge(CauseCode::DiskLowPause), "nobody can talk a full disk away");
    assert!(handle.acknowledge(CauseCode::RiskDrawdownLimit));
    assert!(!handle.acknowledge(CauseCode::RiskDrawdownLimit), "it is over");
}

#[test]
fn a_pause_is_left_through_a_recovery_that_holds_the_mode_until_it_is_judged() {
    let (handle, _changes) = handle(0);
    handle.judge();
    handle.raise(CauseCode::LedgerMismatch, Level::Pause, None);
    assert!(!handle.take_recovery(), "nothing was left yet");
    handle.request(ModeEvent::OperatorNormal);
    handle.judge();
    assert_eq!(handle.current(), SysMode::Degrade);
    assert!(handle.take_recovery());
    assert!(!handle.take_recovery(), "it is taken up once");
    handle.recovered();
    handle.judge();
    handle.judge();
    assert_eq!(handle.current(), SysMode::Normal);
}

#[test]
fn a_runtime_that_is_stuck_is_seen_from_outside_it() {
    // No runtime runs in this test: whatever is seen here, no task has seen it.
    let timing = ModeTiming { stable_window_ms: 0, pause_auto_recover_feed: true };
    let thresholds = Thresholds {
        loop_stuck_ms: (1, 50),
        ws_stale_ms: (i64::MAX - 1, i64::MAX),
        ..Thresholds::default()
    };
    let (handle, _changes) = ModeHandle::new(timing, thresholds);
    handle.progress().idle(LoopName::Evaluation);
    let watchdog = Watchdog::start(handle.clone(), QuoteBoard::new()).unwrap();
    let end = Instant::now() + super::LIMIT;
    while handle.current() != SysMode::Pause {
        assert!(Instant::now() < end, "the silence was not seen");
        std::thread::yield_now();
    }
    assert!(handle.is_active(CauseCode::LoopStuckPause));
    drop(watchdog);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exits_run_in_pause() {
    let mut world = World::new().await;
    let session = world.session().await;
    assert!(matches!(world.enter(&session, true).await, EntryOutcome::Sent { .. }));
    world.until_word("plan", PLAN, "armed").await;
    world.until_word("entry", ENTRY, "filled").await;
    let before = world.word(TRIGGER).await;
    // when the operator pauses, no entry is taken any more
    session.mode.request(ModeEvent::OperatorPause);
    assert_eq!(session.mode.current(), SysMode::Pause);
    let refused = world.enter(&session, true).await;
    assert!(matches!(refused, EntryOutcome::Refused { .. }), "{refused:?}");
    // then the stop is raised all the same, and the position is closed on demand
    world.rise(4_000);
    let raised = super::until_changed(&world, TRIGGER, &before).await;
    assert!(raised.parse::<f64>().unwrap() > before.parse::<f64>().unwrap());
    assert_eq!(session.desk.flatten(None).await, 1);
    world.until_word("position", POSITION, "closed").await;
    assert_eq!(session.mode.current(), SysMode::Pause, "and the pause stands");
    world.agrees().await;
    session.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_account_and_its_clock_are_seen_by_the_mode() {
    let mut world = World::new().await;
    let session = world.session().await;
    // when the venue throttles the account, the mode is DEGRADE until the pause is over
    world.fault(
        r#"{"kind":"error","method":"OpenOrders","text":"EAPI:Rate limit exceeded","count":1}"#,
    );
    let mode = session.mode.clone();
    until("the throttle", || mode.is_active(CauseCode::RateLimit429)).await;
    until("its end", || !mode.is_active(CauseCode::RateLimit429)).await;
    // when it locks the key out, a person is needed
    world.fault(
        r#"{"kind":"error","method":"OpenOrders","text":"EGeneral:Temporary lockout","count":1}"#,
    );
    until("the lockout", || mode.is_active(CauseCode::RateLimit418)).await;
    assert_eq!(mode.current(), SysMode::Pause);
    session.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_off_is_seen_by_the_first_answer_to_a_ping() {
    // given a venue whose clock is 2.5 s ahead of ours
    let mut world = World::new().await;
    world.admin(r#"{"kind":"clock_skew","ms":2500}"#).await;
    let (token, session_id) = world.open_session().await;
    let session = world.place(token, session_id).reconciled().await;
    // then a person is needed: what is sent with our deadlines means something else there
    until("the offset", || session.mode.is_active(CauseCode::ClockDriftWarn)).await;
    assert_eq!(session.mode.current(), SysMode::Pause);
    let offset_us = session.desk.clock_offset_us().unwrap();
    assert!((2_000_001..=2_600_000).contains(&offset_us), "{offset_us}");
    session.kill().await;
}

#[test]
fn one_look_of_the_watchdog_judges_silence_disk_and_trail_together() {
    let (handle, _changes) = handle(0);
    let quotes = QuoteBoard::new();
    let look = || crate::mode::look(&handle, &quotes, Instant::now());
    let progress = handle.progress();
    progress.idle(LoopName::Evaluation);
    progress.enter(LoopName::ExitSupervisor, StageName::PositionManage);
    progress.truth();
    progress.found_disk(1 << 40);
    look();
    assert_eq!(handle.current(), SysMode::Normal, "{:?}", handle.view());
    progress.found_disk((1 << 30) + 1);
    look();
    assert_eq!(handle.current(), SysMode::Normal, "one byte above the limit");
    progress.found_disk(1 << 30);
    progress.found_trail(TrailFigures {
        queue_len: 80,
        queue_capacity: 100,
        ..TrailFigures::default()
    });
    look();
    assert_eq!(
        handle.view().reasons,
        [CauseCode::DiskLowDegrade, CauseCode::DbWriterQueueHigh],
        "one change names both"
    );
    progress.found_disk(512 << 20);
    look();
    assert_eq!(handle.view().reasons[0], CauseCode::DiskLowPause);
    assert_eq!(handle.current(), SysMode::Pause);
}

const TRIGGER: &str = "select trim_scale(stop_price_on_exchange)::text from exit_plans";
