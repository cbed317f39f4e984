//! One connection by its frames alone: images, numbers, answers, silence, the clock.

use super::*;

fn at(ms: i64) -> Stamp {
    Stamp { wall: UtcMicros(ms * 1_000), mono_ns: ms * 1_000_000 }
}

fn open() -> Session {
    let mut session = Session::open(1, "T".to_owned(), 15_000, 3_000, at(0));
    let sends = session.poll(at(0));
    assert_eq!(sends.len(), 2);
    session
}

fn ack(channel: &str) -> String {
    format!(
        r#"{{"method":"subscribe","result":{{"channel":"{channel}","maxratecount":125}},"success":true}}"#
    )
}

fn balances(kind: &str, sequence: u64) -> String {
    format!(
        r#"{{"channel":"balances","type":"{kind}","data":[{{"asset":"USD","balance":1.0}}],"sequence":{sequence}}}"#
    )
}

fn whole() -> Session {
    let mut session = open();
    for channel in ["executions", "balances"] {
        session.frame(&ack(channel), at(10));
        let text = format!(r#"{{"channel":"{channel}","type":"snapshot","data":[],"sequence":1}}"#);
        session.frame(&text, at(20));
    }
    let health = session.health();
    assert!(health.executions_whole && health.balances_whole);
    session.poll(at(20));
    session
}

#[test]
fn an_image_and_rising_numbers_are_whole() {
    let mut session = whole();
    for sequence in 2..10 {
        session.frame(&balances("update", sequence), at(30));
    }
    assert!(session.health().balances_whole);
    assert!(session.poll(at(30)).iter().all(|a| matches!(a, Action::Tell(_))));
}

#[test]
fn a_skipped_number_is_told_first_and_subscribes_anew() {
    let mut session = whole();
    session.frame(&balances("update", 3), at(30));
    assert!(!session.health().balances_whole);
    assert!(session.health().executions_whole);
    let actions = session.poll(at(30));
    let gap = PrivateEvent::Gap {
        epoch: 1,
        at: at(30),
        channel: ChannelKind::Balances,
        expected: 2,
        got: 3,
    };
    assert_eq!(actions[0], Action::Tell(gap));
    assert!(matches!(&actions[1], Action::Send(text) if text.contains("unsubscribe")));
    assert!(matches!(&actions[2], Action::Send(text) if text.contains("\"subscribe\"")));
    assert!(matches!(&actions[3], Action::Tell(PrivateEvent::Frame { .. })));
    // Numbers start anew with the image.
    session.frame(&balances("update", 4), at(40));
    session.frame(&balances("snapshot", 1), at(50));
    session.frame(&ack("balances"), at(60));
    session.frame(&balances("update", 2), at(70));
    assert!(session.health().balances_whole);
}

/// When the images among these actions were asked for.
fn images(actions: &[Action]) -> Vec<Option<Stamp>> {
    let image = |action: &Action| match action {
        Action::Tell(PrivateEvent::Frame { is_snapshot: true, asked, .. }) => Some(*asked),
        _ => None,
    };
    actions.iter().filter_map(image).collect()
}

#[test]
fn an_image_that_is_wanted_is_asked_for_once_and_says_when() {
    let mut session = whole();
    session.ask_images(at(5_000));
    session.ask_images(at(5_001));
    let actions = session.poll(at(5_001));
    let sent = |word: &str| {
        let hit = |a: &&Action| matches!(a, Action::Send(text) if text.contains(word));
        actions.iter().filter(hit).count()
    };
    assert_eq!((sent("\"unsubscribe\""), sent("\"subscribe\"")), (2, 2));
    assert!(!session.health().executions_whole && !session.health().balances_whole);
    // A change of the old subscription is passed on, and is no image.
    session.frame(&balances("update", 2), at(5_010));
    session.frame(&balances("snapshot", 1), at(5_020));
    session.frame(&ack("balances"), at(5_021));
    assert_eq!(images(&session.poll(at(5_030))), [Some(at(5_000))]);
    assert!(session.health().balances_whole);
    // The other one does not come: the connection goes.
    let end = session.poll(at(15_000));
    assert!(
        matches!(end.last(), Some(Action::Close(DisconnectReason::NotSubscribed { .. }))),
        "{end:?}"
    );
}

#[test]
fn the_answer_to_a_ping_says_how_far_the_venues_clock_is() {
    let mut session = whole();
    assert_eq!(session.health().clock_offset_us, None);
    let sends = session.poll(at(1_000));
    assert!(matches!(&sends[0], Action::Send(text) if text.contains("ping")), "{sends:?}");
    let pong = |req_id: u64| {
        format!(
            r#"{{"method":"pong","req_id":{req_id},"time_in":"1970-01-01T00:00:01.710000Z","time_out":"1970-01-01T00:00:01.710000Z"}}"#
        )
    };
    session.frame(&pong(1), at(1_020));
    assert_eq!(session.health().clock_offset_us, None, "the answer to another ping");
    // Asked at 1.000 and answered at 1.020 by a venue that calls the middle of it 1.710.
    session.frame(&pong(OWN_REQ_ID_MIN + 3), at(1_020));
    assert_eq!(session.health().clock_offset_us, Some(690_000), "half of the way is no offset");
}

#[test]
fn a_slow_answer_says_nothing_about_the_clock() {
    let mut session = whole();
    session.poll(at(1_000));
    let pong = format!(
        r#"{{"method":"pong","req_id":{},"time_in":"1970-01-01T00:00:01.100000Z","time_out":"1970-01-01T00:00:01.100000Z"}}"#,
        OWN_REQ_ID_MIN + 3
    );
    // It was read 2.9 s late: the middle of the way is 1.4 s from the venue's time, and proves nothing.
    session.frame(&pong, at(4_000));
    assert_eq!(session.health().clock_offset_us, Some(0));
}

#[test]
fn an_answer_belongs_to_its_request_and_only_once() {
    let mut session = whole();
    assert!(session.sent(7, at(100)));
    let text = r#"{"method":"add_order","req_id":7,"success":true,"result":{"order_id":"O"}}"#;
    assert_eq!(session.frame(text, at(200)).map(|(id, _)| id), Some(7));
    assert!(session.frame(text, at(300)).is_none());
    let late = session.poll(at(300));
    assert!(matches!(&late[0], Action::Tell(PrivateEvent::LateAnswer { .. })), "{late:?}");
}

#[test]
fn an_answer_that_does_not_come_is_given_up_after_its_time() {
    let mut session = whole();
    session.sent(7, at(100));
    assert!(session.timed_out(at(3_099)).is_empty());
    assert_eq!(session.timed_out(at(3_100)), [7]);
    assert!(session.timed_out(at(9_000)).is_empty());
}

#[test]
fn silence_and_missing_images_end_the_connection() {
    let mut session = whole();
    let heartbeat = r#"{"channel":"heartbeat"}"#;
    session.frame(heartbeat, at(10_000));
    assert!(session.poll(at(24_999)).iter().all(|a| !matches!(a, Action::Close(_))));
    let want = Action::Close(DisconnectReason::Silent { silent_ms: 15_000 });
    assert_eq!(session.poll(at(25_000)), [want]);
    let mut session = open();
    session.frame(&ack("executions"), at(10));
    session.frame(heartbeat, at(9_000));
    let actions = session.poll(at(10_000));
    assert!(
        actions.iter().any(|a| matches!(a, Action::Close(DisconnectReason::NotSubscribed { .. }))),
        "{actions:?}"
    );
}

#[test]
fn a_refused_subscription_ends_the_connection() {
    let mut session = open();
    let text = r#"{"method":"subscribe","error":"ESession:Invalid session","success":false}"#;
    session.frame(text, at(10));
    let actions = session.poll(at(10));
    assert!(matches!(
        &actions[0],
        Action::Close(DisconnectReason::NotSubscribed { text, .. }) if text.contains("ESession")
    ));
}

#[test]
fn the_tier_is_read_from_the_answer() {
    let mut session = open();
    session.frame(&ack("executions"), at(10));
    assert!(session.poll(at(10)).contains(&Action::MaxRateCount(125.0)));
}

#[test]
fn foreign_frames_are_told_without_tokens() {
    let mut session = whole();
    session.frame(r#"{"channel":"news","token":"secret"}"#, at(30));
    session.frame("not json", at(30));
    let actions = session.poll(at(30));
    assert_eq!(actions.len(), 2);
    assert!(!format!("{actions:?}").contains("secret"));
}
