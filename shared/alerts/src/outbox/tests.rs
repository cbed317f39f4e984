//! What is sent when, and what is not.

use super::*;
use crate::board::tests::open;
use penstock_types::vocab::ReasonCode;
use proptest::prelude::*;
use rstest::rstest;

const RULES: Rules = Rules { least: Severity::Info, cooldown_ms: 900_000, capacity: 256 };
const INFO: ReasonCode = ReasonCode::EnterNormal;
const WARN: ReasonCode = ReasonCode::SpoolBacklog;
const CRIT: ReasonCode = ReasonCode::LedgerMismatch;

/// Sends what is due at a time; how many messages that were.
fn send(outbox: &mut Outbox, now_ms: i64, is_ok: bool) -> Vec<Item> {
    let mut sent = Vec::new();
    while let Next::Send(item) = outbox.next(now_ms) {
        outbox.went(&item, is_ok, now_ms);
        sent.push(item);
    }
    sent
}

#[test]
fn one_message_per_key_and_cooldown_unless_the_severity_rises() {
    let mut outbox = Outbox::new(RULES);
    let alert = open(WARN, "", 1);
    outbox.offer(alert.clone(), 0);
    assert_eq!(send(&mut outbox, 0, true).len(), 1);
    outbox.offer(alert.clone(), 60_000);
    assert_eq!(outbox.next(60_000), Next::Wait(None), "the same alert again");
    let mut worse = alert.clone();
    worse.severity = Severity::Crit;
    outbox.offer(worse, 70_000);
    assert_eq!(send(&mut outbox, 70_000, true).len(), 1, "worse than what was sent");
    outbox.offer(alert.clone(), 80_000);
    assert_eq!(outbox.next(80_000), Next::Wait(None));
    outbox.offer(alert, 970_000);
    assert_eq!(send(&mut outbox, 970_000, true).len(), 1, "the cooldown is over");
}

#[test]
fn another_alert_of_the_same_key_waits_for_the_end_of_the_cooldown() {
    let mut outbox = Outbox::new(RULES);
    let first = open(CRIT, "", 1);
    outbox.offer(first.clone(), 0);
    send(&mut outbox, 0, true);
    let mut second = first;
    second.id.first_ms += 10_000;
    outbox.offer(second.clone(), 10_000);
    outbox.ended(&second.id, 20_000);
    assert_eq!(
        outbox.next(20_000),
        Next::Wait(Some(900_000)),
        "a critical one is sent though it ended"
    );
    assert_eq!(send(&mut outbox, 900_000, true), [Item::Alert(Box::new(second), false)]);
    let mut warn = open(WARN, "", 1);
    outbox.offer(warn.clone(), 900_000);
    send(&mut outbox, 900_000, true);
    warn.id.first_ms += 1;
    outbox.offer(warn.clone(), 900_001);
    outbox.ended(&warn.id, 900_002);
    assert_eq!(outbox.next(900_002), Next::Wait(None), "another that ended unsent is no news");
}

#[rstest]
#[case(INFO, vec![0, 1_000, 3_000, 7_000])]
#[case(WARN, vec![0, 1_000, 3_000, 7_000])]
fn what_is_not_critical_is_repeated_three_times(
    #[case] reason: ReasonCode,
    #[case] want: Vec<i64>,
) {
    let mut outbox = Outbox::new(RULES);
    outbox.offer(open(reason, "", 1), 0);
    let (mut tried, mut now) = (Vec::new(), 0);
    loop {
        match outbox.next(now) {
            Next::Send(item) => {
                tried.push(now);
                outbox.went(&item, false, now);
            }
            Next::Wait(Some(at)) => now = at,
            Next::Wait(None) => break,
        }
    }
    assert_eq!(tried, want);
}

#[test]
fn a_critical_alert_is_tried_until_it_arrives_or_ended_a_day_ago() {
    let mut outbox = Outbox::new(RULES);
    let alert = open(CRIT, "", 1);
    outbox.offer(alert.clone(), 0);
    let (mut pauses, mut now, mut last) = (Vec::new(), 0, 0);
    for _ in 0..30 {
        match outbox.next(now) {
            Next::Send(item) => {
                pauses.push((now - last) / 1_000);
                last = now;
                outbox.went(&item, false, now);
            }
            Next::Wait(at) => now = at.unwrap(),
        }
    }
    assert_eq!(pauses[..11], [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
    outbox.ended(&alert.id, now);
    let Next::Send(item) = outbox.next(now + ENDED_MS_MAX - 1) else { panic!("it is still sent") };
    outbox.went(&item, false, now + ENDED_MS_MAX - 1);
    assert_eq!(outbox.next(now + ENDED_MS_MAX), Next::Wait(None));
}

#[test]
fn three_failures_in_a_row_are_told_once_and_so_is_the_end_of_them() {
    let mut outbox = Outbox::new(RULES);
    let item = Item::Alert(Box::new(open(CRIT, "", 1)), true);
    let told: Vec<(bool, bool)> = [false, false, false, false, true, true, false]
        .into_iter()
        .map(|is_ok| outbox.went(&item, is_ok, 0))
        .map(|went| (went.is_failing, went.is_back))
        .collect();
    let no = (false, false);
    assert_eq!(told, [no, no, (true, false), no, (false, true), no, no]);
}

#[test]
fn more_than_a_minute_takes_is_one_digest_and_critical_alerts_keep_their_own_message() {
    let mut outbox = Outbox::new(RULES);
    for n in 0..50 {
        outbox.offer(open(if n % 2 == 0 { WARN } else { INFO }, &n.to_string(), 1), 0);
    }
    assert_eq!(send(&mut outbox, 0, true).len(), MESSAGES_A_MINUTE);
    outbox.offer(open(CRIT, "", 1), 10_000);
    assert_eq!(outbox.next(10_000), Next::Wait(Some(60_000)));
    let sent = send(&mut outbox, 60_000, true);
    assert!(matches!(&sent[0], Item::Alert(a, _) if a.severity == Severity::Crit), "{sent:?}");
    let Item::Digest(digest) = &sent[1] else { panic!("a digest: {sent:?}") };
    assert_eq!((digest.count(), digest.names.len(), sent.len()), (30, 8, 2));
    assert_eq!(outbox.next(60_000), Next::Wait(None));
}

#[test]
fn what_is_below_the_least_severity_is_not_sent() {
    let mut outbox = Outbox::new(Rules { least: Severity::Warn, ..RULES });
    outbox.offer(open(INFO, "", 1), 0);
    assert_eq!(outbox.next(0), Next::Wait(None));
    outbox.offer(open(WARN, "", 1), 0);
    assert_eq!(send(&mut outbox, 0, true).len(), 1);
}

proptest! {
    #[test]
    fn every_critical_alert_arrives_and_no_minute_has_more_than_twenty_messages(
        offers in proptest::collection::vec((0..3_usize, 0..60_u8, 0..5_000_i64), 1..200),
        fails in proptest::collection::vec(any::<bool>(), 1..40),
        capacity in 1..30_usize,
    ) {
        let mut outbox = Outbox::new(Rules { capacity, ..RULES });
        let (mut now, mut attempts, mut arrived) = (0, Vec::new(), std::collections::BTreeSet::new());
        let (mut crits, mut fails) = (std::collections::BTreeSet::new(), fails.into_iter().cycle());
        let mut step = |outbox: &mut Outbox, now: i64, healthy: bool| {
            while let Next::Send(item) = outbox.next(now) {
                attempts.push(now);
                let is_ok = healthy || !fails.next().unwrap_or(false);
                let went = outbox.went(&item, is_ok, now);
                arrived.extend(went.arrived.map(|id| id.key));
            }
        };
        for (severity, symbol, wait) in offers {
            now += wait;
            let alert = open([INFO, WARN, CRIT][severity], &symbol.to_string(), 1);
            if alert.severity == Severity::Crit {
                crits.insert(alert.id.key.clone());
            }
            let gone = outbox.offer(alert, now);
            prop_assert!(gone.iter().all(|a| a.severity < Severity::Crit));
            step(&mut outbox, now, false);
        }
        for _ in 0..400 {
            step(&mut outbox, now, true);
            now += 30_000;
        }
        prop_assert!(crits.is_subset(&arrived), "{crits:?} {arrived:?}");
        prop_assert!(outbox.is_empty());
        for (i, at) in attempts.iter().enumerate() {
            let within = attempts[i..].iter().take_while(|later| **later - at < 60_000).count();
            prop_assert!(within <= MESSAGES_A_MINUTE);
        }
    }
}
