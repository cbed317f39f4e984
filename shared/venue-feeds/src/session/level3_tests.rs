//! Sessions of order-by-order books under scripted frames and times: token, budget, repairs.

use super::*;
use crate::token::SessionToken;
use penstock_types::UtcMicros;
use penstock_venues::kraken::level3_plan::{POINTS_PER_SECOND_STANDARD, SubscribeBudget};
use std::sync::{Arc, Mutex};

fn at(ms: i64) -> Stamp {
    Stamp { wall: UtcMicros(1_771_243_200_000_000 + ms * 1_000), mono_ns: ms * 1_000_000 }
}

fn account() -> SharedSubscribeBudget {
    Arc::new(Mutex::new(SubscribeBudget::new(POINTS_PER_SECOND_STANDARD)))
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("S{n:03}/USD")).collect()
}

/// The venue on the other side: it answers each request after a time, or not at all.
struct Venue {
    symbols: usize,
    session: Session,
    now: i64,
    /// Time of an answer; none gives none.
    answers_after: Option<i64>,
    /// What a subscription is refused with.
    refusal: Option<&'static str>,
    pending: Vec<(i64, String)>,
    /// Subscribe requests: time, symbols, token.
    subscribed: Vec<(i64, usize, String)>,
    unsubscribed: Vec<(i64, usize)>,
    tokens_asked: Vec<i64>,
    notices: Vec<Notice>,
    closed: Option<DisconnectReason>,
}

impl Venue {
    fn new(symbols: usize, connection: usize, budget: SharedSubscribeBudget) -> Self {
        let session = Session::level3(names(symbols), 10, connection, budget);
        Self {
            symbols,
            session,
            now: 0,
            answers_after: Some(100),
            refusal: None,
            pending: Vec::new(),
            subscribed: Vec::new(),
            unsubscribed: Vec::new(),
            tokens_asked: Vec::new(),
            notices: Vec::new(),
            closed: None,
        }
    }

    /// Opened with a token that came just now.
    fn open(symbols: usize, connection: usize, budget: SharedSubscribeBudget) -> Self {
        let mut venue = Self::new(symbols, connection, budget);
        assert_eq!(venue.session.opening(0), Opening::AfterToken);
        venue.token("first");
        assert_eq!(venue.session.opening(0), Opening::Now);
        venue.session.opened(at(0));
        venue
    }

    fn token(&mut self, text: &str) {
        self.session.command(FeedCommand::Token(SessionToken::new(text)), self.now);
    }

    fn asked(&mut self, text: &str) {
        let value: serde_json::Value = serde_json::from_str(text).unwrap();
        if value["method"] == "ping" {
            self.pending.push((self.now, HEARTBEAT.to_owned()));
            return;
        }
        let symbols = value["params"]["symbol"].as_array().unwrap();
        let token = value["params"]["token"].as_str().unwrap().to_owned();
        let method = value["method"].as_str().unwrap();
        if method == "subscribe" {
            self.subscribed.push((self.now, symbols.len(), token));
        } else {
            self.unsubscribed.push((self.now, symbols.len()));
        }
        let Some(after) = self.answers_after else { return };
        for symbol in symbols {
            let answer = match self.refusal.filter(|_| method == "subscribe") {
                Some(error) => format!(
                    r#"{{"method":"subscribe","req_id":{},"error":"{error}","success":false,"symbol":{symbol}}}"#,
                    value["req_id"]
                ),
                None => format!(
                    r#"{{"method":"{method}","result":{{"channel":"level3","symbol":{symbol}}},"success":true}}"#
                ),
            };
            self.pending.push((self.now + after, answer));
            if method == "subscribe" && self.refusal.is_none() {
                self.pending.push((self.now + after, image(symbol.as_str().unwrap())));
            }
        }
    }

    /// Polls every 50 ms, with a heartbeat each second while something is subscribed and a change of
    /// every book each ten seconds.
    fn run(&mut self, to: i64) {
        while self.now < to && self.closed.is_none() {
            let (due, later) = self.pending.drain(..).partition(|(at, _)| *at <= self.now);
            self.pending = later;
            let due: Vec<(i64, String)> = due;
            for (_, text) in due {
                self.session.frame(&text, at(self.now));
            }
            if self.now % 10_000 == 0 {
                for name in names(self.symbols) {
                    self.session.frame(&update(&name), at(self.now));
                }
            }
            if self.now % 1_000 == 0 && self.session.topics.accepted().0 > 0 {
                self.session.frame(HEARTBEAT, at(self.now));
            }
            let actions: Vec<Action> = self.session.poll(at(self.now)).collect();
            for action in actions {
                match action {
                    Action::Send(text) => self.asked(&text),
                    Action::Notify(notice) => self.notices.push(notice),
                    Action::Close(reason) => self.closed = Some(reason),
                    Action::FetchToken => self.tokens_asked.push(self.now),
                    Action::Ping => panic!("this venue is pinged by requests"),
                }
            }
            self.now += 50;
        }
    }

    fn times(&self) -> Vec<(i64, usize)> {
        self.subscribed.iter().map(|(at, count, _)| (*at, *count)).collect()
    }
}

const HEARTBEAT: &str = r#"{"channel":"heartbeat"}"#;

fn image(symbol: &str) -> String {
    format!(
        r#"{{"channel":"level3","type":"snapshot","data":[{{"symbol":"{symbol}","checksum":0,"bids":[],"asks":[]}}]}}"#
    )
}

fn update(symbol: &str) -> String {
    image(symbol).replace("snapshot", "update")
}

#[test]
fn a_socket_opens_only_with_symbols_and_a_token() {
    let mut session = Session::level3(Vec::new(), 10, 0, account());
    assert_eq!(session.opening(0), Opening::AfterCommand);
    session.command(FeedCommand::SetSymbols(names(1)), 10);
    assert_eq!(session.opening(10), Opening::AfterToken);
    assert_eq!(session.opening(20), Opening::AfterCommand, "it is asked for once");
    session.command(FeedCommand::Token(SessionToken::new("t")), 30);
    assert_eq!(session.opening(30), Opening::Now);
    assert_eq!(session.opening(600_031), Opening::AfterToken, "one of ten minutes ago is too old");
    session.command(FeedCommand::Token(SessionToken::new("u")), 600_040);
    session.opened(at(600_040));
    session.closed(600_050);
    assert_eq!(session.opening(600_050), Opening::AfterToken, "each connection has its own");
}

#[test]
fn subscriptions_follow_the_budget_exactly() {
    let mut venue = Venue::open(100, 0, account());
    venue.run(4_000);
    // Forty at once; the venue has counted them by their answers, so the next leave a second later.
    assert_eq!(venue.times(), [(0, 40), (1_100, 40), (2_200, 20)]);
    assert!(venue.subscribed.iter().all(|(_, _, token)| token == "first"));
    assert_eq!(venue.session.topics.accepted(), (100, 0));
    assert!(!venue.notices.iter().any(|n| matches!(n, Notice::Incomplete { .. })));
}

#[test]
fn late_answers_hold_the_next_request_back() {
    let mut venue = Venue::open(60, 0, account());
    venue.answers_after = Some(1_500);
    venue.run(3_000);
    assert_eq!(venue.times(), [(0, 40), (2_500, 20)]);
}

#[test]
fn two_connections_go_one_after_another_and_the_second_stays_open_meanwhile() {
    let budget = account();
    let mut first = Venue::open(600, 0, Arc::clone(&budget));
    let mut second = Venue::open(40, 1, budget);
    for now in (50..=30_000).step_by(50) {
        first.run(now);
        second.run(now);
    }
    assert_eq!(first.subscribed.len(), 15);
    let last_of_first = first.subscribed.last().unwrap().0;
    assert!(last_of_first > 14_000, "longer than a silent socket lives");
    assert_eq!(second.times(), [(last_of_first + 1_100, 40)]);
    assert_eq!(second.closed, None, "what it is asked it answers");
}

#[test]
fn no_answer_is_told_once_and_asked_again() {
    let mut venue = Venue::open(2, 0, account());
    venue.answers_after = None;
    venue.run(9_900);
    assert_eq!(venue.times(), [(0, 2)]);
    venue.answers_after = Some(100);
    venue.run(14_000);
    let incomplete = Notice::Incomplete { acked: 0, pending: 2 };
    assert_eq!(venue.notices.iter().filter(|n| **n == incomplete).count(), 1);
    assert_eq!(venue.notices.iter().filter(|n| matches!(n, Notice::AckLate(_))).count(), 2);
    assert_eq!(venue.unsubscribed.len(), 2, "it may be subscribed all the same");
    assert_eq!(venue.session.topics.accepted(), (2, 0));
}

#[test]
fn a_refused_token_is_replaced_before_the_next_try() {
    let mut venue = Venue::open(3, 0, account());
    venue.refusal = Some("ESession:Invalid session");
    venue.run(300);
    assert_eq!(venue.times(), [(0, 3)]);
    venue.run(2_000);
    assert_eq!(venue.tokens_asked.len(), 1, "asked for once and waited for");
    assert_eq!(venue.times(), [(0, 3)]);
    venue.refusal = None;
    venue.token("second");
    venue.run(3_000);
    let (_, count, token) = venue.subscribed.last().unwrap();
    assert_eq!((*count, token.as_str()), (3, "second"));
    assert_eq!(venue.session.topics.accepted(), (3, 0));
}

#[test]
fn a_resync_leaves_first_and_takes_a_fresh_token_after_ten_minutes() {
    let mut venue = Venue::open(1, 0, account());
    venue.run(700_000);
    assert!(venue.tokens_asked.is_empty(), "a live subscription needs no other token");
    let asked = venue.subscribed.len();
    let command = FeedCommand::Resync { symbol: "S000/USD".to_owned(), mismatch: true };
    venue.session.command(command, venue.now);
    let began = venue.now;
    venue.run(began + 2_000);
    assert_eq!(venue.unsubscribed.last().unwrap(), &(began + 500, 1), "with the old token");
    assert_eq!(venue.tokens_asked.len(), 1);
    assert_eq!(venue.subscribed.len(), asked, "not before the fresh one is there");
    venue.token("fresh");
    venue.run(began + 3_000);
    assert_eq!(venue.subscribed.last().unwrap().2, "fresh");
    assert_eq!(venue.session.topics.accepted(), (1, 0));
}

#[test]
fn too_many_mismatches_leave_a_symbol_alone_and_the_others_live() {
    let mut venue = Venue::open(2, 0, account());
    venue.run(1_000);
    for _ in 0..4 {
        let command = FeedCommand::Resync { symbol: "S001/USD".to_owned(), mismatch: true };
        venue.session.command(command, venue.now);
        venue.run(venue.now + 10_000);
    }
    assert!(venue.notices.iter().any(|n| matches!(n, Notice::Quarantined { .. })));
    assert_eq!(venue.session.topics.accepted(), (1, 1));
    let asked = venue.subscribed.len();
    venue.run(venue.now + 100_000);
    assert_eq!(venue.subscribed.iter().skip(asked).map(|(_, n, _)| n).sum::<usize>(), 0);
    venue.run(venue.now + 250_000);
    assert_eq!(venue.session.topics.accepted(), (2, 0));
}

#[test]
fn a_key_without_the_right_is_asked_again_only_minutes_later() {
    let mut venue = Venue::open(2, 0, account());
    venue.refusal = Some("EAccount:Invalid permissions");
    venue.run(290_000);
    assert_eq!(venue.times(), [(0, 2)]);
    assert_eq!(venue.closed, None);
    venue.refusal = None;
    venue.run(310_000);
    assert_eq!(venue.session.topics.accepted(), (2, 0));
}

#[test]
fn a_pair_without_such_a_book_is_not_pending() {
    let mut venue = Venue::open(2, 0, account());
    venue.refusal = Some("Currency pair not supported");
    venue.run(1_000);
    assert_eq!(venue.session.topics.accepted(), (0, 0));
    let last = |n: &&Notice| matches!(n, Notice::Refused { last: true, .. });
    assert_eq!(venue.notices.iter().filter(last).count(), 2);
}

#[test]
fn a_symbol_that_leaves_is_unsubscribed_with_the_token() {
    let mut venue = Venue::open(3, 0, account());
    venue.run(1_000);
    venue.session.command(FeedCommand::SetSymbols(names(2)), venue.now);
    venue.run(2_000);
    assert_eq!(venue.unsubscribed.len(), 1);
    assert_eq!(venue.session.topics.accepted(), (2, 0));
}

#[test]
fn a_silent_venue_is_left_after_ten_seconds() {
    let mut venue = Venue::open(1, 0, account());
    venue.run(1_000);
    let mut late = false;
    for now in (1_000..12_000).step_by(50) {
        for action in venue.session.poll(at(now)).collect::<Vec<_>>() {
            late |= matches!(action, Action::Notify(Notice::SocketLate { .. }));
            if let Action::Close(reason) = action {
                venue.closed = Some(reason);
            }
        }
    }
    assert!(late);
    assert!(matches!(venue.closed, Some(DisconnectReason::Dead { .. })), "{:?}", venue.closed);
}
