//! Sessions as tables, and the overlap of two links.

use super::topics::Phase;
use super::*;
use crate::protocol::Protocol;
use crate::session::{Action, DisconnectReason, FeedEvent};
use penstock_types::UtcMicros;
use penstock_venue_net::Stamp;
use penstock_venues::binance::stream::Route;
use proptest::prelude::*;

const STEP_MS: i64 = 50;

fn at(ms: i64) -> Stamp {
    Stamp { wall: UtcMicros(1_700_000_000_000_000 + ms * 1_000), mono_ns: ms * 1_000_000 }
}

fn names(symbols: &[&str]) -> Vec<String> {
    symbols.iter().map(|s| (*s).to_owned()).collect()
}

fn topic(feed: DerivFeed, symbol: &str) -> DerivTopic {
    DerivTopic { feed, symbol: symbol.to_owned() }
}

/// A session with its clock; collects what it wants.
struct Rig<P> {
    session: P,
    now_ms: i64,
    sent: Vec<(i64, String)>,
    notices: Vec<DerivNotice>,
    pings: Vec<i64>,
    closed: Option<(i64, DisconnectReason)>,
}

impl<P: Protocol<Notice = DerivNotice>> Rig<P> {
    fn new(mut session: P) -> Self {
        session.opened(at(0));
        let (sent, notices, pings) = (Vec::new(), Vec::new(), Vec::new());
        Self { session, now_ms: 0, sent, notices, pings, closed: None }
    }

    fn to(&mut self, ms: i64) {
        self.run(ms, &[]);
    }

    /// Runs to a time; the frames come every second meanwhile.
    fn run(&mut self, ms: i64, every_second: &[&str]) {
        while self.now_ms < ms {
            self.now_ms += STEP_MS;
            if self.now_ms % 1_000 == 0 {
                every_second.iter().for_each(|text| {
                    self.session.frame(text, at(self.now_ms));
                });
            }
            for action in self.session.poll(at(self.now_ms)) {
                match action {
                    Action::Send(text) => self.sent.push((self.now_ms, text)),
                    Action::Ping => self.pings.push(self.now_ms),
                    Action::Notify(notice) => self.notices.push(notice),
                    Action::Close(reason) => self.closed = Some((self.now_ms, reason)),
                    Action::FetchToken => panic!("derivative sockets need no token"),
                }
            }
        }
    }

    fn hear(&mut self, text: &str) -> bool {
        self.session.frame(text, at(self.now_ms))
    }

    fn texts(&self) -> Vec<&str> {
        self.sent.iter().map(|(_, text)| text.as_str()).collect()
    }
}

const BEAT: &str = r#"{"feed":"heartbeat","time":1}"#;
const TICKER: &str = r#"{"feed":"ticker","product_id":"PF_XBTUSD","time":1,"markPrice":1.0}"#;
const SNAPSHOT: &str = r#"{"feed":"trade_snapshot","product_id":"PF_XBTUSD","trades":[]}"#;

fn subscribed(feed: &str, product: &str) -> String {
    format!(r#"{{"event":"subscribed","feed":"{feed}","product_ids":["{product}"]}}"#)
}

/// A Futures session that is whole at about 1 s.
fn whole_futures() -> Rig<FuturesSession> {
    let mut rig = Rig::new(FuturesSession::new(&names(&["PF_XBTUSD"])));
    rig.to(50);
    rig.hear(r#"{"event":"subscribed","feed":"heartbeat"}"#);
    rig.to(150);
    rig.hear(&subscribed("ticker", "PF_XBTUSD"));
    rig.to(250);
    rig.hear(&subscribed("trade", "PF_XBTUSD"));
    for text in [BEAT, TICKER, SNAPSHOT] {
        rig.hear(text);
    }
    rig.to(1_000);
    rig
}

#[test]
fn futures_subscribes_one_feed_after_the_other_and_is_whole_with_the_first_frames() {
    let rig = whole_futures();
    assert_eq!(
        rig.texts(),
        [
            r#"{"event":"subscribe","feed":"heartbeat"}"#,
            r#"{"event":"subscribe","feed":"ticker","product_ids":["PF_XBTUSD"]}"#,
            r#"{"event":"subscribe","feed":"trade","product_ids":["PF_XBTUSD"]}"#,
        ]
    );
    let whole = rig.notices.iter().filter(|n| **n == DerivNotice::Whole).count();
    assert_eq!((whole, rig.closed), (1, None), "{:?}", rig.notices);
}

#[test]
fn futures_pings_every_twenty_seconds_and_dies_after_ten_without_a_frame() {
    let mut rig = whole_futures();
    rig.run(60_000, &[BEAT, TICKER]);
    assert_eq!(rig.pings, [20_000, 40_000, 60_000]);
    rig.to(69_900);
    assert_eq!(rig.closed, None);
    assert!(rig.notices.iter().any(|n| matches!(n, DerivNotice::SocketLate { .. })));
    rig.to(70_100);
    assert!(matches!(rig.closed, Some((70_000, DisconnectReason::Dead { silent_ms: 10_000 }))));
}

#[test]
fn the_heartbeat_proves_no_product() {
    let mut rig = whole_futures();
    rig.run(60_000, &[BEAT, TICKER]);
    rig.notices.clear();
    rig.sent.clear();
    rig.run(75_000, &[BEAT]);
    rig.hear(&subscribed("ticker", "PF_XBTUSD"));
    rig.run(100_000, &[BEAT]);
    let silent = rig.notices.iter().find_map(|n| match n {
        DerivNotice::Silent { topic, silent_ms } => Some((topic.clone(), *silent_ms)),
        _ => None,
    });
    let (silent, silent_ms) = silent.expect("the ticker is silent");
    assert_eq!(silent, topic(DerivFeed::Ticker, "PF_XBTUSD"));
    assert!((10_000..11_000).contains(&silent_ms), "{silent_ms}");
    assert_eq!(rig.texts().len(), 1, "it is asked for anew once: {:?}", rig.sent);
    assert_eq!(rig.closed, None);
    rig.hear(TICKER);
    rig.to(rig.now_ms + 100);
    assert!(rig.notices.contains(&DerivNotice::Heard(silent)));
}

#[test]
fn an_error_is_about_the_request_under_way_and_found_one_by_one() {
    let mut rig = Rig::new(FuturesSession::new(&names(&["PF_GOOD", "PF_NONE"])));
    rig.to(50);
    rig.hear(r#"{"event":"subscribed","feed":"heartbeat"}"#);
    rig.to(150);
    assert!(rig.texts()[1].contains(r#"["PF_GOOD","PF_NONE"]"#), "{:?}", rig.sent);
    rig.hear(&subscribed("ticker", "PF_GOOD"));
    rig.hear(r#"{"event":"error","message":"Invalid product id"}"#);
    rig.to(300);
    assert_eq!(
        rig.texts()[2..],
        [r#"{"event":"subscribe","feed":"trade","product_ids":["PF_GOOD","PF_NONE"]}"#],
        "the one that is left alone is the last of its feed: {:?}",
        rig.session.topics.phase(DerivFeed::Ticker, "PF_NONE"),
    );
}

#[test]
fn binance_asks_at_most_five_times_a_second_for_the_streams_of_its_route() {
    let symbols: Vec<String> = (0..SYMBOLS_PER_SOCKET_MAX).map(|n| format!("C{n}USDT")).collect();
    for (route, per_symbol) in [(Route::Public, 1), (Route::Market, 3)] {
        let mut rig = Rig::new(BinanceSession::new(route, &symbols));
        rig.to(3_000);
        let mut streams = Vec::new();
        for (_, text) in &rig.sent {
            let request: serde_json::Value = serde_json::from_str(text).unwrap();
            assert_eq!(request["method"], "SUBSCRIBE");
            let params = request["params"].as_array().unwrap();
            streams.extend(params.iter().map(|p| p.as_str().unwrap().to_owned()));
        }
        for pair in rig.sent.windows(2) {
            assert!(pair[1].0 - pair[0].0 >= 200, "{:?}", rig.sent);
        }
        streams.sort();
        streams.dedup();
        assert_eq!(streams.len(), per_symbol * symbols.len());
        assert!(streams.len() <= 200);
        for name in &streams {
            let kind = penstock_venues::binance::stream::StreamKind::of(name).expect("a stream");
            assert_eq!(kind.route(), route, "{name}");
            let (symbol, _) = name.split_once('@').expect("a symbol");
            assert_eq!(symbol, symbol.to_lowercase());
        }
    }
}

const MARK: &str = r#"{"stream":"btcusdt@markPrice@1s","data":{"e":"markPriceUpdate","E":1,"s":"BTCUSDT","p":"1","i":"1","r":"0.0001","T":2}}"#;
const AGG: &str = r#"{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1,"s":"BTCUSDT","a":1,"p":"1","q":"1","f":1,"l":1,"T":1,"m":true}}"#;
const ACK: &str = r#"{"result":null,"id":1}"#;

#[test]
fn an_acknowledgement_proves_nothing_on_binance() {
    let mut rig = Rig::new(BinanceSession::new(Route::Market, &names(&["BTCUSDT"])));
    rig.to(100);
    assert!(!rig.hear(ACK));
    rig.to(9_000);
    assert!(rig.notices.contains(&DerivNotice::Acked(topic(DerivFeed::MarkPrice, "BTCUSDT"))));
    assert!(!rig.notices.contains(&DerivNotice::Whole), "{:?}", rig.notices);
    rig.to(10_100);
    assert!(
        matches!(rig.closed, Some((10_000, DisconnectReason::Dead { .. }))),
        "{:?}",
        rig.closed
    );
}

#[test]
fn marks_prove_the_market_socket_and_trades_do_not() {
    let mut rig = Rig::new(BinanceSession::new(Route::Market, &names(&["BTCUSDT"])));
    rig.to(100);
    rig.hear(ACK);
    assert!(rig.hear(MARK));
    rig.to(1_000);
    assert!(rig.notices.contains(&DerivNotice::Whole), "{:?}", rig.notices);
    rig.run(130_000, &[MARK]);
    let late = rig.notices.iter().find_map(|n| match n {
        DerivNotice::FirstFrameLate { topic, waited_ms } => Some((topic.clone(), *waited_ms)),
        _ => None,
    });
    let (late, waited_ms) = late.expect("no trade for two minutes");
    assert_eq!((late.feed, waited_ms / 1_000), (DerivFeed::AggTrade, 120));
    rig.run(139_900, &[AGG]);
    assert_eq!(rig.closed, None);
    rig.run(141_000, &[AGG]);
    assert!(matches!(rig.closed, Some((_, DisconnectReason::Dead { .. }))));
}

#[test]
fn a_refused_request_is_split_until_one_stream_is_to_blame() {
    let mut rig = Rig::new(BinanceSession::new(Route::Public, &names(&["AUSDT", "BUSDT"])));
    rig.to(100);
    rig.hear(r#"{"error":{"code":2,"msg":"Invalid request"},"id":1}"#);
    rig.to(700);
    let singles: Vec<&str> = rig.texts()[1..].to_vec();
    assert_eq!(singles.len(), 2, "{singles:?}");
    rig.hear(r#"{"result":null,"id":2}"#);
    rig.hear(r#"{"error":{"code":2,"msg":"Invalid request"},"id":3}"#);
    rig.to(800);
    let phase = |symbol| rig.session.topics.phase(DerivFeed::BookTicker, symbol);
    assert!(matches!(phase("AUSDT"), Some(Phase::Live { .. })));
    assert_eq!(phase("BUSDT"), Some(Phase::Refused));
}

#[test]
fn a_request_without_an_answer_is_repeated() {
    let mut rig = Rig::new(BinanceSession::new(Route::Market, &names(&["BTCUSDT"])));
    rig.run(12_000, &[MARK]);
    assert_eq!(rig.sent.len(), 2, "{:?}", rig.sent);
    assert!(rig.notices.contains(&DerivNotice::AckLate(topic(DerivFeed::AggTrade, "BTCUSDT"))));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a venue says and however long it pauses, a session neither panics nor asks too often.
    #[test]
    fn sessions_survive_any_venue(steps in proptest::collection::vec((0usize..12, 0i64..4_000), 1..80)) {
        let spoken = [BEAT, TICKER, SNAPSHOT, MARK, AGG, ACK, "", "{}", "[1]",
            r#"{"event":"error","message":"Invalid feed"}"#,
            r#"{"event":"alert","message":"Already subscribed"}"#,
            r#"{"error":{"code":1},"id":1}"#];
        let mut futures = Rig::new(FuturesSession::new(&names(&["PF_XBTUSD", "PF_ETHUSD"])));
        let mut binance = Rig::new(BinanceSession::new(Route::Market, &names(&["BTCUSDT"])));
        for (word, pause_ms) in steps {
            futures.hear(spoken[word]);
            binance.hear(spoken[word]);
            futures.to(futures.now_ms + pause_ms);
            binance.to(binance.now_ms + pause_ms);
        }
        for pair in binance.sent.windows(2) {
            prop_assert!(pair[1].0 - pair[0].0 >= 200);
        }
        for pair in futures.sent.windows(2) {
            prop_assert!(pair[1].0 - pair[0].0 >= 50);
        }
    }

    /// Every frame that the old link or, behind its end, the new one brought comes out, in order.
    #[test]
    fn nothing_is_lost_in_a_rotation(before in 0usize..20, during in 0usize..20, after in 0usize..20) {
        let mut overlap = Overlap::new(Some(1_000));
        let mut out = Vec::new();
        let take = |held: Held, out: &mut Vec<LinkEvent>| {
            out.extend(held.out);
            held.is_close_due
        };
        take(overlap.current(connected(0)), &mut out);
        (0..before).for_each(|n| { take(overlap.current(frame(&format!("old{n}"))), &mut out); });
        prop_assert!(!overlap.is_open_due(999));
        prop_assert!(overlap.is_open_due(1_000));
        prop_assert!(!overlap.is_open_due(1_001), "once");
        take(overlap.next(connected(1_000)), &mut out);
        for n in 0..during {
            take(overlap.next(frame(&format!("new{n}"))), &mut out);
            take(overlap.current(frame(&format!("both{n}"))), &mut out);
        }
        prop_assert!(take(overlap.next(whole()), &mut out), "the old one is closed");
        for n in 0..after {
            take(overlap.next(frame(&format!("late{n}"))), &mut out);
        }
        take(overlap.current(disconnected(DisconnectReason::Stopped)), &mut out);
        let gone = out.last().cloned();
        out.extend(overlap.current_ended().expect("the new one takes over"));
        let rotated = matches!(gone.map(|g| g.event),
            Some(FeedEvent::Disconnected { reason: DisconnectReason::Rotated, .. }));
        prop_assert!(rotated);
        let texts: Vec<String> = out.iter().filter_map(|e| match &e.event {
            FeedEvent::Frame { text, .. } => Some(text.to_string()),
            _ => None,
        }).collect();
        let mut want: Vec<String> = (0..before).map(|n| format!("old{n}")).collect();
        want.extend((0..during).map(|n| format!("both{n}")));
        want.extend((0..during).map(|n| format!("new{n}")));
        want.extend((0..after).map(|n| format!("late{n}")));
        prop_assert_eq!(texts, want);
        prop_assert!(overlap.is_open_due(2_000), "its age counts from its own connection");
    }
}

fn connected(ms: i64) -> FeedEvent<DerivNotice> {
    FeedEvent::Connected { epoch: 1, at: at(ms) }
}

fn frame(text: &str) -> FeedEvent<DerivNotice> {
    FeedEvent::Frame { epoch: 1, at: at(0), text: text.into() }
}

fn whole() -> FeedEvent<DerivNotice> {
    FeedEvent::Notice { epoch: 1, at: at(0), notice: DerivNotice::Whole }
}

fn disconnected(reason: DisconnectReason) -> FeedEvent<DerivNotice> {
    FeedEvent::Disconnected { epoch: 1, at: at(0), reason }
}

#[test]
fn a_new_link_that_is_lost_before_it_is_whole_leaves_nothing() {
    let mut overlap = Overlap::new(Some(1_000));
    overlap.current(connected(0));
    assert!(overlap.is_open_due(1_000));
    overlap.next(connected(1_000));
    overlap.next(frame("x"));
    assert_eq!(overlap.next(disconnected(DisconnectReason::Closed)), Held::default());
    overlap.next(connected(2_000));
    let Held { out, is_close_due } = overlap.next(whole());
    assert!(out.is_empty() && is_close_due);
}

#[test]
fn an_old_link_that_is_lost_hands_over_at_once_and_its_loss_is_told() {
    let mut overlap = Overlap::new(Some(1_000));
    overlap.current(connected(0));
    assert!(overlap.is_open_due(1_000));
    overlap.next(connected(1_000));
    overlap.next(frame("x"));
    let held = overlap.current(disconnected(DisconnectReason::Closed));
    assert!(held.is_close_due);
    let lost = FeedEvent::Disconnected { epoch: 1, at: at(0), reason: DisconnectReason::Closed };
    assert_eq!(held.out, [LinkEvent { link: 1, event: lost }]);
    let links: Vec<u64> = overlap.current_ended().unwrap().iter().map(|e| e.link).collect();
    assert_eq!(links, [2, 2]);
    assert_eq!(overlap.current_ended(), None);
}
