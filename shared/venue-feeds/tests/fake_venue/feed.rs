//! The connector: order of events, repair, reconnect, stop.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use penstock_venue_feeds::{
    DisconnectReason, FeedCommand, FeedConfig, FeedEvent, FeedHandle, Notice, Plan, SystemClock,
    spawn_feed,
};
use penstock_venues::kraken::ChannelKind;
use penstock_venues::kraken::reconnect::ConnectBudget;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

/// Longest wait for something that should happen.
const DEADLINE: Duration = Duration::from_secs(20);

struct Rig {
    listener: TcpListener,
    events: mpsc::Receiver<FeedEvent>,
    feed: FeedHandle,
    cancel: CancellationToken,
}

impl Rig {
    async fn start(queue: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/v2", listener.local_addr().unwrap());
        let plan = Plan {
            symbols: vec!["BTC/USD".to_owned()],
            trade: true,
            book_depth: Some(10),
            ..Plan::default()
        };
        let (sender, events) = mpsc::channel(queue);
        let cancel = CancellationToken::new();
        let budget = Arc::new(Mutex::new(ConnectBudget::default()));
        let config = FeedConfig { url, plan };
        let clock = Arc::new(SystemClock::new());
        let feed = spawn_feed(config, clock, budget, sender, cancel.clone()).unwrap();
        Self { listener, events, feed, cancel }
    }

    async fn accept(&self) -> Venue {
        let (stream, _) =
            tokio::time::timeout(DEADLINE, self.listener.accept()).await.unwrap().unwrap();
        Venue(tokio_tungstenite::accept_async(stream).await.unwrap())
    }

    async fn event(&mut self, wanted: impl Fn(&FeedEvent) -> bool) -> FeedEvent {
        loop {
            let next = tokio::time::timeout(DEADLINE, self.events.recv()).await;
            let event = next.expect("an event in time").expect("a running task");
            if wanted(&event) {
                return event;
            }
        }
    }
}

struct Venue(WebSocketStream<TcpStream>);

impl Venue {
    async fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    async fn request(&mut self) -> serde_json::Value {
        loop {
            let next = tokio::time::timeout(DEADLINE, self.0.next()).await.unwrap();
            if let Message::Text(text) = next.unwrap().unwrap() {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    async fn answer_subscriptions(&mut self) {
        self.say(r#"{"channel":"status","type":"update","data":[{"system":"online"}]}"#).await;
        for _ in 0..2 {
            let request = self.request().await;
            assert_eq!(request["method"], "subscribe");
            let channel = request["params"]["channel"].as_str().unwrap();
            let ack = format!(
                r#"{{"method":"subscribe","result":{{"channel":"{channel}","symbol":"BTC/USD"}},"success":true}}"#
            );
            self.say(&ack).await;
        }
        self.say(IMAGE).await;
    }
}

const IMAGE: &str = r#"{"channel":"book","type":"snapshot","data":[{"symbol":"BTC/USD","bids":[],"asks":[],"checksum":0}]}"#;

#[tokio::test]
async fn events_come_in_order_and_frames_as_they_were_sent() {
    let mut rig = Rig::start(64).await;
    let mut venue = rig.accept().await;
    venue.answer_subscriptions().await;
    venue.say(r#"{"channel":"heartbeat"}"#).await;
    venue.say("not json at all").await;
    let first = rig.event(|_| true).await;
    assert!(matches!(first, FeedEvent::Connected { epoch: 1, .. }));
    let mut texts = Vec::new();
    let (mut acked, mut alive) = (Vec::new(), 0);
    while texts.len() < 3 || acked.len() < 2 || alive < 3 {
        match rig.event(|_| true).await {
            FeedEvent::Frame { text, epoch: 1, .. } => texts.push(text.to_string()),
            FeedEvent::Alive { epoch: 1, .. } => alive += 1,
            FeedEvent::Notice { notice: Notice::Acked(topic), .. } => acked.push(topic.channel),
            other => panic!("{other:?}"),
        }
    }
    assert!(texts[0].contains("status"));
    assert_eq!(texts[1], IMAGE);
    assert_eq!(texts[2], "not json at all");
    acked.sort();
    assert_eq!(acked, [ChannelKind::Trade, ChannelKind::Book]);
}

#[tokio::test]
async fn a_wrong_book_gets_a_new_image() {
    let mut rig = Rig::start(64).await;
    let mut venue = rig.accept().await;
    venue.answer_subscriptions().await;
    rig.event(|e| matches!(e, FeedEvent::Frame { text, .. } if text.as_str() == IMAGE)).await;
    let command = FeedCommand::Resync { symbol: "BTC/USD".to_owned(), mismatch: true };
    rig.feed.commands.send(command).await.unwrap();
    let request = venue.request().await;
    assert_eq!(request["method"], "unsubscribe");
    assert_eq!(request["params"]["channel"], "book");
    assert_eq!(request["params"]["depth"], 10);
    venue
        .say(r#"{"method":"unsubscribe","result":{"channel":"book","symbol":"BTC/USD"},"success":true}"#)
        .await;
    assert_eq!(venue.request().await["method"], "subscribe");
    rig.event(|e| matches!(e, FeedEvent::Notice { notice: Notice::Resync(_), .. })).await;
}

#[tokio::test]
async fn a_lost_connection_is_told_and_the_next_one_has_a_new_number() {
    let mut rig = Rig::start(64).await;
    let mut venue = rig.accept().await;
    venue.answer_subscriptions().await;
    drop(venue);
    let lost = rig.event(|e| matches!(e, FeedEvent::Disconnected { .. })).await;
    assert!(matches!(lost, FeedEvent::Disconnected { epoch: 1, .. }));
    let mut venue = rig.accept().await;
    venue.answer_subscriptions().await;
    rig.event(|e| matches!(e, FeedEvent::Connected { epoch: 2, .. })).await;
    rig.event(|e| matches!(e, FeedEvent::Frame { epoch: 2, .. })).await;
}

#[tokio::test]
async fn a_full_channel_holds_frames_back_and_loses_none() {
    let mut rig = Rig::start(2).await;
    let mut venue = rig.accept().await;
    for n in 0..50 {
        venue.say(&format!("frame {n}")).await;
    }
    for n in 0..50 {
        let want = format!("frame {n}");
        let got = rig
            .event(|e| matches!(e, FeedEvent::Frame { text, .. } if text.starts_with("frame")))
            .await;
        let FeedEvent::Frame { text, .. } = got else { panic!("no frame") };
        assert_eq!(text.as_str(), want);
    }
}

#[tokio::test]
async fn nobody_there_is_told_with_the_delay() {
    let mut rig = Rig::start(64).await;
    let venue = rig.accept().await;
    // The listener goes first, so that the next attempt finds nobody.
    rig.listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    drop(venue);
    let failed = rig.event(|e| matches!(e, FeedEvent::ConnectFailed { .. })).await;
    let FeedEvent::ConnectFailed { retry_in_ms, .. } = failed else { panic!("no failure") };
    assert!((0..1_000).contains(&retry_in_ms));
}

#[tokio::test]
async fn a_stop_ends_the_task() {
    let mut rig = Rig::start(64).await;
    let _venue = rig.accept().await;
    rig.event(|e| matches!(e, FeedEvent::Connected { .. })).await;
    rig.cancel.cancel();
    tokio::time::timeout(DEADLINE, rig.feed.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_reader_that_is_gone_ends_the_task() {
    let rig = Rig::start(64).await;
    let mut venue = rig.accept().await;
    drop(rig.events);
    // Writing may fail already: the task is allowed to be faster.
    let _ = venue.0.send(Message::text("frame")).await;
    tokio::time::timeout(DEADLINE, rig.feed.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn plain_text_leaves_this_host_under_no_name() {
    let (sender, _events) = mpsc::channel(1);
    let config = FeedConfig { url: "ws://ws.example.com/v2".to_owned(), plan: Plan::default() };
    let budget = Arc::new(Mutex::new(ConnectBudget::default()));
    let clock = Arc::new(SystemClock::new());
    let error = spawn_feed(config, clock, budget, sender, CancellationToken::new()).unwrap_err();
    assert!(error.to_string().contains("plain text"), "{error}");
}

#[tokio::test]
async fn the_reader_may_ask_for_a_new_connection() {
    let mut rig = Rig::start(64).await;
    let _venue = rig.accept().await;
    rig.event(|e| matches!(e, FeedEvent::Connected { .. })).await;
    rig.feed.commands.send(FeedCommand::Reconnect).await.unwrap();
    let lost = rig.event(|e| matches!(e, FeedEvent::Disconnected { .. })).await;
    assert!(matches!(lost, FeedEvent::Disconnected { reason: DisconnectReason::Asked, .. }));
    let _next = rig.accept().await;
}

#[tokio::test]
async fn a_region_that_is_not_served_is_not_asked_again_soon() {
    let mut rig = Rig::start(64).await;
    let (mut stream, _) =
        tokio::time::timeout(DEADLINE, rig.listener.accept()).await.unwrap().unwrap();
    let mut request = [0; 4_096];
    assert!(stream.read(&mut request).await.unwrap() > 0);
    let refusal = b"HTTP/1.1 451 Unavailable For Legal Reasons\r\ncontent-length: 0\r\n\r\n";
    stream.write_all(refusal).await.unwrap();
    let failed = rig.event(|event| matches!(event, FeedEvent::ConnectFailed { .. })).await;
    let FeedEvent::ConnectFailed { retry_in_ms, error, .. } = failed else { unreachable!() };
    assert_eq!(retry_in_ms, 3_600_000, "{error}");
    rig.cancel.cancel();
}
