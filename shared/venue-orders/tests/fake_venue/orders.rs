//! The private socket against a fake venue.

use std::sync::{Arc, Mutex};

use crate::fake::{Connection, DEADLINE, FakeRest, FakeSocket, config, rest_client, warm_state};
use penstock_types::UtcMicros;
use penstock_venue_orders::{
    DisconnectReason, EngineUse, NotSent, OrderAnswer, OrderOutcome, OrderSocket, PrivateEvent,
    PrivateRest, RunningSocket, SharedVenueState, SocketConfig, UnknownReason, spawn_order_socket,
};
use penstock_venues::kraken::ChannelKind;
use penstock_venues::kraken::request::{AddOrder, OrderRef};
use penstock_venues::kraken::vocabulary::{OrderType, Side, TimeInForce};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub(crate) struct Rig {
    pub(crate) rest: FakeRest,
    pub(crate) socket: FakeSocket,
    pub(crate) calls: PrivateRest,
    events: mpsc::Receiver<PrivateEvent>,
    running: RunningSocket,
    cancel: CancellationToken,
    _directory: tempfile::TempDir,
}

impl Rig {
    async fn start(queue: usize, change: impl FnOnce(&mut SocketConfig)) -> Self {
        Self::made(queue, change, rest_client, warm_state).await
    }

    /// The same with a client and a state of the test.
    pub(crate) async fn made(
        queue: usize,
        change: impl FnOnce(&mut SocketConfig),
        client: impl FnOnce(&FakeRest, SharedVenueState) -> PrivateRest,
        state: impl FnOnce(&tempfile::TempDir) -> SharedVenueState,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let rest = FakeRest::start().await;
        let socket = FakeSocket::start().await;
        let client = client(&rest, state(&directory));
        let calls = client.clone();
        let mut config = config(&socket.url);
        change(&mut config);
        let (sender, events) = mpsc::channel(queue);
        let cancel = CancellationToken::new();
        let running = spawn_order_socket(config, client, sender, cancel.clone()).unwrap();
        Self { rest, socket, calls, events, running, cancel, _directory: directory }
    }

    /// A venue whose client is subscribed and whole.
    pub(crate) async fn whole(
        queue: usize,
        change: impl FnOnce(&mut SocketConfig),
    ) -> (Self, Connection) {
        let rig = Self::start(queue, change).await;
        let connection = rig.socket.subscribed().await;
        rig.wait_whole().await;
        (rig, connection)
    }

    pub(crate) async fn wait_whole(&self) {
        let mut health = self.running.orders.health();
        let whole = health.wait_for(|h| h.executions_whole && h.balances_whole);
        tokio::time::timeout(DEADLINE, whole).await.unwrap().unwrap();
    }

    pub(crate) async fn event(&mut self, wanted: impl Fn(&PrivateEvent) -> bool) -> PrivateEvent {
        loop {
            let next = tokio::time::timeout(DEADLINE, self.events.recv()).await;
            let event = next.expect("an event in time").expect("a running task");
            if wanted(&event) {
                return event;
            }
        }
    }

    pub(crate) fn orders(&self) -> OrderSocket {
        self.running.orders.clone()
    }
}

pub(crate) fn order(deadline: Option<UtcMicros>) -> AddOrder<'static> {
    AddOrder {
        order_type: OrderType::Limit,
        side: Side::Buy,
        symbol: "BTC/USD",
        order_qty: "0.001".parse().unwrap(),
        limit_price: Some("37500".parse().unwrap()),
        trigger: None,
        time_in_force: Some(TimeInForce::Gtc),
        expire_time: None,
        deadline,
        post_only: true,
        stp_type: None,
        cl_ord_id: Some("019c6652-5e0c-8005-8000-0000002a944f"),
        validate: false,
    }
}

fn add(orders: OrderSocket) -> tokio::task::JoinHandle<OrderAnswer> {
    tokio::spawn(async move { orders.add_order(&order(None), EngineUse::Entry).await })
}

#[tokio::test]
async fn an_order_is_sent_after_its_hook_and_answered_by_its_number() {
    let log: Arc<Mutex<Vec<String>>> = Arc::default();
    let hooked = log.clone();
    let (mut rig, mut venue) = Rig::whole(64, |config| {
        config.before_write = Some(Arc::new(move |method, id, _| {
            hooked.lock().unwrap().push(format!("{method} {}", id.unwrap_or_default()));
        }));
    })
    .await;
    let answer = add(rig.orders());
    let request = venue.request().await;
    assert_eq!(*log.lock().unwrap(), ["add_order 019c6652-5e0c-8005-8000-0000002a944f"]);
    assert_eq!(request["params"]["token"], "token-1");
    assert_eq!(request["params"]["fee_preference"], "quote");
    let req_id = &request["req_id"];
    // An answer of somebody else does not count.
    venue
        .say(r#"{"method":"add_order","req_id":999,"success":true,"result":{"order_id":"X"}}"#)
        .await;
    venue
        .say(&format!(
            r#"{{"method":"add_order","req_id":{req_id},"success":true,"result":{{"order_id":"OABC"}}}}"#
        ))
        .await;
    let answer = answer.await.unwrap();
    assert!(matches!(
        &answer.outcome,
        OrderOutcome::Acked { order_id: Some(id), .. } if id == "OABC"
    ));
    assert!(answer.answered_at.unwrap().mono_ns >= answer.sent_at.unwrap().mono_ns);
    rig.event(|e| matches!(e, PrivateEvent::LateAnswer { .. })).await;
}

#[tokio::test]
async fn no_answer_in_time_is_unknown_and_a_late_one_is_evidence() {
    let (mut rig, mut venue) = Rig::whole(64, |config| config.ack_timeout_ms = 100).await;
    let answer = add(rig.orders());
    let request = venue.request().await;
    let answer = answer.await.unwrap();
    let OrderOutcome::Unknown { reason, .. } = &answer.outcome else { panic!("{answer:?}") };
    assert_eq!(*reason, UnknownReason::Timeout { waited_ms: 100 });
    assert!(answer.sent_at.is_some());
    let req_id = &request["req_id"];
    venue
        .say(&format!(
            r#"{{"method":"add_order","req_id":{req_id},"success":true,"result":{{"order_id":"OABC"}}}}"#
        ))
        .await;
    let late = rig.event(|e| matches!(e, PrivateEvent::LateAnswer { .. })).await;
    assert!(format!("{late:?}").contains("OABC"));
}

#[tokio::test]
async fn a_connection_lost_before_the_answer_is_unknown_and_the_next_has_a_new_token() {
    let (mut rig, mut venue) = Rig::whole(64, |_| {}).await;
    let answer = add(rig.orders());
    venue.request().await;
    drop(venue);
    let answer = answer.await.unwrap();
    assert!(matches!(
        &answer.outcome,
        OrderOutcome::Unknown { reason: UnknownReason::Connection(_), .. }
    ));
    assert!(answer.sent_at.is_some());
    rig.event(|e| matches!(e, PrivateEvent::Disconnected { epoch: 1, .. })).await;
    let mut venue = rig.socket.subscribed().await;
    rig.wait_whole().await;
    let answer = add(rig.orders());
    let request = venue.request().await;
    assert_eq!(request["params"]["token"], "token-2");
    assert_eq!(rig.rest.nonces().len(), 2);
    drop(venue);
    answer.await.unwrap();
}

#[tokio::test]
async fn refusals_are_rejections_and_odd_texts_are_unknown() {
    let (rig, mut venue) = Rig::whole(64, |_| {}).await;
    for (text, rejected) in [("EOrder:Insufficient funds", true), ("EOrder:Never heard of", false)]
    {
        let answer = add(rig.orders());
        let req_id = venue.request().await["req_id"].clone();
        venue
            .say(&format!(
                r#"{{"method":"add_order","req_id":{req_id},"success":false,"error":"{text}"}}"#
            ))
            .await;
        match answer.await.unwrap().outcome {
            OrderOutcome::Rejected { text: got, .. } => assert!(rejected && got == text),
            OrderOutcome::Unknown { .. } => assert!(!rejected, "{text}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn an_order_whose_deadline_is_too_close_is_not_sent() {
    let (rig, mut venue) = Rig::whole(64, |_| {}).await;
    let soon = UtcMicros(chrono::Utc::now().timestamp_micros() + 500_000);
    let answer = rig.orders().add_order(&order(Some(soon)), EngineUse::Entry).await;
    assert!(matches!(
        answer.outcome,
        OrderOutcome::NotSent(NotSent::DeadlineTooClose { needed_ms: 700, .. })
    ));
    assert!(answer.sent_at.is_none());
    // The venue sees the next request only.
    let orders = rig.orders();
    let cancel = tokio::spawn(async move {
        orders.cancel_order(OrderRef::OrderId("OABC"), "BTC/USD", 1_000).await
    });
    assert_eq!(venue.request().await["method"], "cancel_order");
    drop(venue);
    assert!(matches!(cancel.await.unwrap().outcome, OrderOutcome::Unknown { .. }));
}

#[tokio::test]
async fn without_a_connection_nothing_is_sent() {
    let rig = Rig::start(64, |_| {}).await;
    let answer = rig.orders().add_order(&order(None), EngineUse::Entry).await;
    assert_eq!(answer.outcome, OrderOutcome::NotSent(NotSent::NotConnected));
}

#[tokio::test]
async fn frames_come_in_order_with_their_text_and_a_gap_asks_for_an_image() {
    let (mut rig, mut venue) = Rig::whole(64, |_| {}).await;
    let frame = |sequence: u64| {
        format!(
            r#"{{"channel":"executions","type":"update","data":[{{"exec_type":"canceled","order_status":"canceled","order_id":"O","timestamp":"2026-07-07T23:00:03Z"}}],"sequence":{sequence}}}"#
        )
    };
    venue.say(&frame(2)).await;
    venue.say(&frame(4)).await;
    let is_executions = |e: &PrivateEvent| {
        matches!(
            e,
            PrivateEvent::Frame { channel: ChannelKind::Executions, is_snapshot: false, .. }
                | PrivateEvent::Gap { .. }
        )
    };
    let first = rig.event(is_executions).await;
    assert!(matches!(first, PrivateEvent::Frame { text, .. } if text == frame(2)));
    let second = rig.event(is_executions).await;
    assert!(matches!(second, PrivateEvent::Gap { expected: 3, got: 4, .. }));
    let third = rig.event(is_executions).await;
    assert!(matches!(third, PrivateEvent::Frame { sequence: Some(4), .. }));
    assert_eq!(venue.request().await["method"], "unsubscribe");
    assert_eq!(venue.request().await["method"], "subscribe");
    assert!(!rig.running.orders.health().borrow().executions_whole);
}

#[tokio::test]
async fn a_reader_that_does_not_keep_up_loses_the_connection_and_no_message() {
    let (mut rig, mut venue) = Rig::whole(8, |_| {}).await;
    for sequence in 2..40 {
        venue
            .say(&format!(
                r#"{{"channel":"balances","type":"update","data":[{{"asset":"USD","balance":1.0}}],"sequence":{sequence}}}"#
            ))
            .await;
    }
    let mut last = 1;
    let reason = loop {
        match rig.event(|_| true).await {
            PrivateEvent::Frame {
                channel: ChannelKind::Balances,
                sequence: Some(n),
                is_snapshot: false,
                ..
            } => {
                assert_eq!(n, last + 1);
                last = n;
            }
            PrivateEvent::Disconnected { reason, .. } => break reason,
            _ => {}
        }
    };
    assert_eq!(reason, DisconnectReason::ReaderSlow);
}

#[tokio::test]
async fn silence_ends_the_connection() {
    let (mut rig, _venue) = Rig::whole(64, |config| config.silent_ms = 200).await;
    let gone = rig.event(|e| matches!(e, PrivateEvent::Disconnected { .. })).await;
    assert!(matches!(
        gone,
        PrivateEvent::Disconnected { reason: DisconnectReason::Silent { .. }, .. }
    ));
}

#[tokio::test]
async fn a_stop_ends_the_task() {
    let (mut rig, _venue) = Rig::whole(64, |_| {}).await;
    rig.cancel.cancel();
    let gone = rig.event(|e| matches!(e, PrivateEvent::Disconnected { .. })).await;
    assert!(matches!(gone, PrivateEvent::Disconnected { reason: DisconnectReason::Stopped, .. }));
    tokio::time::timeout(DEADLINE, rig.running.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn plain_text_leaves_this_host_under_no_name() {
    let directory = tempfile::tempdir().unwrap();
    let rest = FakeRest::start().await;
    let client = rest_client(&rest, warm_state(&directory));
    let (sender, _events) = mpsc::channel(4);
    let config = config("ws://ws-auth.example.com/v2");
    let error = spawn_order_socket(config, client, sender, CancellationToken::new()).unwrap_err();
    assert!(error.to_string().contains("plain text"), "{error}");
}
