//! The session under scripted frames and times.

use super::*;
use penstock_types::UtcMicros;

fn at(ms: i64) -> Stamp {
    Stamp { wall: UtcMicros(1_771_243_200_000_000 + ms * 1_000), mono_ns: ms * 1_000_000 }
}

fn plan(symbols: &[&str]) -> Plan {
    Plan {
        symbols: symbols.iter().map(|s| (*s).to_owned()).collect(),
        trade: true,
        book_depth: Some(10),
        ..Plan::default()
    }
}

fn ack(channel: &str, symbol: &str) -> String {
    format!(
        r#"{{"method":"subscribe","result":{{"channel":"{channel}","symbol":"{symbol}"}},"success":true}}"#
    )
}

fn book(kind: &str, symbol: &str) -> String {
    format!(
        r#"{{"channel":"book","type":"{kind}","data":[{{"symbol":"{symbol}","bids":[],"asks":[],"checksum":0}}]}}"#
    )
}

const HEARTBEAT: &str = r#"{"channel":"heartbeat"}"#;

/// Polls every 50 ms up to `to`, with a heartbeat each second; returns the actions.
fn advance(session: &mut Session, from: i64, to: i64) -> Vec<Action> {
    let mut actions = Vec::new();
    let mut now = from;
    while now <= to {
        if now % 1_000 == 0 {
            assert!(!session.frame(HEARTBEAT, at(now)));
        }
        actions.extend(session.poll(at(now)));
        now += 50;
    }
    actions
}

fn sends(actions: &[Action]) -> Vec<&str> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Send(text) => Some(text.as_str()),
            _ => None,
        })
        .collect()
}

fn notices(actions: &[Action]) -> Vec<&Notice> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Notify(notice) => Some(notice),
            _ => None,
        })
        .collect()
}

fn topic(channel: ChannelKind, symbol: &str) -> Topic {
    Topic { channel, symbol: symbol.to_owned() }
}

/// A session whose only symbol is live.
fn live() -> Session {
    let mut session = Session::new(plan(&["BTC/USD"]));
    session.opened(at(0));
    advance(&mut session, 0, 400);
    session.frame(&ack("trade", "BTC/USD"), at(400));
    session.frame(&ack("book", "BTC/USD"), at(400));
    assert!(session.frame(&book("snapshot", "BTC/USD"), at(400)));
    session.poll(at(400)).for_each(drop);
    session
}

#[test]
fn requests_are_batched_by_channel_and_paced() {
    let symbols: Vec<String> = (0..250).map(|n| format!("S{n:03}/USD")).collect();
    let names: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let mut session = Session::new(plan(&names));
    session.opened(at(0));
    let mut times = Vec::new();
    let mut count = 0;
    for now in (0..2_000).step_by(50) {
        for action in session.poll(at(now)).collect::<Vec<_>>() {
            if let Action::Send(text) = action {
                times.push(now);
                let asked = text.matches("/USD").count();
                assert!(asked <= 100);
                count += asked;
            }
        }
    }
    assert_eq!(count, 500);
    assert_eq!(times, [0, 200, 400, 600, 800, 1_000]);
}

#[test]
fn an_answer_that_does_not_come_is_asked_for_again() {
    let mut session = Session::new(plan(&["BTC/USD"]));
    session.opened(at(0));
    let first = advance(&mut session, 0, 9_950);
    assert_eq!(sends(&first).len(), 2);
    let then = advance(&mut session, 10_000, 14_000);
    assert!(notices(&then).contains(&&Notice::AckLate(topic(ChannelKind::Book, "BTC/USD"))));
    let texts = sends(&then);
    assert!(texts.iter().any(|t| t.contains("unsubscribe") && t.contains("book")), "{texts:?}");
    assert!(texts.iter().any(|t| t.contains("\"subscribe\"") && t.contains("book")), "{texts:?}");
}

#[test]
fn an_image_that_does_not_come_is_asked_for_again() {
    let mut session = Session::new(plan(&["BTC/USD"]));
    session.opened(at(0));
    advance(&mut session, 0, 400);
    session.frame(&ack("trade", "BTC/USD"), at(400));
    session.frame(&ack("book", "BTC/USD"), at(400));
    let then = advance(&mut session, 450, 14_000);
    assert!(notices(&then).contains(&&Notice::ImageLate(topic(ChannelKind::Book, "BTC/USD"))));
    assert!(!notices(&then).contains(&&Notice::ImageLate(topic(ChannelKind::Trade, "BTC/USD"))));
}

#[test]
fn data_before_its_ack_counts() {
    let mut session = Session::new(plan(&["BTC/USD"]));
    session.opened(at(0));
    advance(&mut session, 0, 400);
    assert!(session.frame(&book("snapshot", "BTC/USD"), at(400)));
    session.frame(&ack("book", "BTC/USD"), at(450));
    session.frame(&ack("trade", "BTC/USD"), at(450));
    let then = advance(&mut session, 500, 12_000);
    assert!(!notices(&then).iter().any(|n| matches!(n, Notice::ImageLate(_) | Notice::AckLate(_))));
}

#[test]
fn a_pair_that_the_venue_does_not_have_is_not_asked_for_again() {
    let mut session = Session::new(plan(&["BTC/USD", "XBT/USD"]));
    session.opened(at(0));
    let actions = advance(&mut session, 0, 400);
    assert_eq!(sends(&actions).len(), 2);
    let refusal = r#"{"method":"subscribe","error":"Currency pair not supported XBT/USD","success":false,"req_id":1}"#;
    session.frame(refusal, at(450));
    let got: Vec<Action> = session.poll(at(450)).collect();
    let want = Notice::Refused {
        topic: topic(ChannelKind::Trade, "XBT/USD"),
        text: "Currency pair not supported XBT/USD".to_owned(),
        last: true,
    };
    assert!(notices(&got).contains(&&want), "{got:?}");
    session.frame(&ack("trade", "BTC/USD"), at(500));
    let got: Vec<Action> = session.poll(at(500)).collect();
    assert!(notices(&got).contains(&&Notice::Acked(topic(ChannelKind::Trade, "BTC/USD"))));
}

#[test]
fn a_wrong_book_is_unsubscribed_and_subscribed_anew() {
    let mut session = live();
    let command = FeedCommand::Resync { symbol: "BTC/USD".to_owned(), mismatch: true };
    session.command(command.clone(), 500);
    session.command(command, 500);
    let got = advance(&mut session, 500, 1_100);
    let texts = sends(&got);
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert!(texts[0].contains("\"unsubscribe\""));
    let done =
        r#"{"method":"unsubscribe","result":{"channel":"book","symbol":"BTC/USD"},"success":true}"#;
    session.frame(done, at(1_150));
    let got = advance(&mut session, 1_200, 1_500);
    assert!(sends(&got)[0].contains("\"subscribe\""));
    // Without the answer it goes on after two seconds.
    let mut session = live();
    session.command(FeedCommand::Resync { symbol: "BTC/USD".to_owned(), mismatch: false }, 500);
    let got = advance(&mut session, 500, 4_000);
    assert_eq!(sends(&got).len(), 2);
}

#[test]
fn too_many_bad_checksums_quarantine_the_symbol() {
    let mut session = live();
    let mut now = 500;
    let mut quarantined = false;
    for _ in 0..4 {
        let command = FeedCommand::Resync { symbol: "BTC/USD".to_owned(), mismatch: true };
        session.command(command, now);
        let got = advance(&mut session, now, now + 3_500);
        quarantined |= notices(&got).iter().any(|n| matches!(n, Notice::Quarantined { .. }));
        now += 3_500;
        session.frame(&ack("book", "BTC/USD"), at(now));
        session.frame(&book("snapshot", "BTC/USD"), at(now));
        session.poll(at(now)).for_each(drop);
        now += 50;
    }
    assert!(quarantined);
    let got = advance(&mut session, now - now % 50, now + 200_000);
    assert!(!sends(&got).iter().any(|t| t.contains("\"subscribe\"") && t.contains("book")));
    let got = advance(&mut session, now + 200_050, now + 310_000);
    assert!(sends(&got).iter().any(|t| t.contains("\"subscribe\"") && t.contains("book")));
}

#[test]
fn a_silent_socket_warns_and_then_goes() {
    let mut session = live();
    let mut got = Vec::new();
    for now in (450..11_000).step_by(50) {
        got.extend(session.poll(at(now)));
    }
    let late = notices(&got).iter().filter(|n| matches!(n, Notice::SocketLate { .. })).count();
    assert_eq!(late, 1);
    let closes: Vec<_> = got.iter().filter(|a| matches!(a, Action::Close(_))).collect();
    assert_eq!(closes, [&Action::Close(DisconnectReason::Dead { silent_ms: 10_000 })]);
}

#[test]
fn a_silent_book_is_subscribed_anew_and_heard_again() {
    let mut session = live();
    let got = advance(&mut session, 450, 125_000);
    let silent = |n: &&Notice| matches!(n, Notice::Silent { topic, .. } if topic.channel == ChannelKind::Book);
    assert_eq!(notices(&got).into_iter().filter(silent).count(), 1);
    assert!(sends(&got).iter().any(|t| t.contains("\"unsubscribe\"")));
    session.frame(&book("snapshot", "BTC/USD"), at(125_100));
    let got: Vec<Action> = session.poll(at(125_100)).collect();
    assert!(notices(&got).contains(&&Notice::Heard(topic(ChannelKind::Book, "BTC/USD"))));
}

#[test]
fn a_new_connection_subscribes_everything_again() {
    let mut session = live();
    session.opened(at(1_000));
    let got = advance(&mut session, 1_000, 1_500);
    assert_eq!(sends(&got).len(), 2);
}

#[test]
fn many_symbols_leave_in_batches_and_paced() {
    let symbols: Vec<String> = (0..150).map(|n| format!("S{n:03}/USD")).collect();
    let names: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let mut session = Session::new(plan(&names));
    session.opened(at(0));
    advance(&mut session, 0, 1_000);
    session.command(FeedCommand::SetSymbols(Vec::new()), 1_000);
    let mut times = Vec::new();
    for now in (1_050..2_500).step_by(50) {
        for action in session.poll(at(now)).collect::<Vec<_>>() {
            if let Action::Send(text) = action {
                assert!(text.contains("\"unsubscribe\""), "{text}");
                times.push(now);
            }
        }
    }
    assert_eq!(times.len(), 4);
    assert!(times.windows(2).all(|w| w[1] - w[0] >= 200), "{times:?}");
}

#[test]
fn symbols_come_and_go() {
    let mut session = live();
    session.command(FeedCommand::SetSymbols(vec!["ETH/USD".to_owned()]), 500);
    let got = advance(&mut session, 500, 1_500);
    let texts = sends(&got);
    let left = texts.iter().filter(|t| t.contains("\"unsubscribe\"") && t.contains("BTC/USD"));
    assert_eq!(left.count(), 2);
    let came = texts.iter().filter(|t| t.contains("\"subscribe\"") && t.contains("ETH/USD"));
    assert_eq!(came.count(), 2);
}

#[test]
fn pings_measure_the_network_and_the_venue_s_clock() {
    let mut session = live();
    let got = advance(&mut session, 450, 30_000);
    let text = sends(&got).into_iter().find(|t| t.contains("ping")).unwrap();
    let req_id: u64 = text.rsplit(':').next().unwrap().trim_end_matches('}').parse().unwrap();
    let pong = format!(
        r#"{{"method":"pong","req_id":{req_id},"time_in":"2026-02-16T12:00:30.015000Z","time_out":"2026-02-16T12:00:30.025000Z"}}"#
    );
    assert!(!session.frame(&pong, at(30_040)));
    let got: Vec<Action> = session.poll(at(30_040)).collect();
    assert_eq!(notices(&got), [&Notice::Latency { network_us: 30_000, clock_offset_us: 0 }]);
}

#[test]
fn maintenance_is_remembered() {
    let mut session = live();
    let text = r#"{"channel":"status","type":"update","data":[{"system":"maintenance"}]}"#;
    assert!(session.frame(text, at(500)));
    assert_eq!(session.system(), Some(SystemStatus::Maintenance));
}
