//! The private side against the simulated venue, which shares no code with it: one order's life, the
//! errors of the venue, and what is unknown.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use std::sync::Arc;
use std::time::Duration;

use penstock_sim::server::{Handle, MarketSource, Options, start};
use penstock_types::UtcMicros;
use penstock_venue_orders::{
    Clock, Credentials, EngineUse, NotSent, OrderAnswer, OrderOutcome, PrivateEvent, PrivateRest,
    RestOutcome, RunningSocket, SharedVenueState, SocketConfig, SoleUser, SystemClock,
    spawn_order_socket,
};
use penstock_venues::kraken::rates::{RestUse, Tier};
use penstock_venues::kraken::request::{AddOrder, AmendOrder, OrderRef};
use penstock_venues::kraken::rest::private::{
    BalanceExResult, ClosedOrdersResult, LedgersResult, OpenOrdersResult, QueryOrdersResult,
    TradeVolumeResult, TradesHistoryResult,
};
use penstock_venues::kraken::rest::public::{AssetPairResult, Entries, pair_names};
use penstock_venues::kraken::rest::{ClosedOrdersPage, PrivateRequest, PublicRequest, Reply};
use penstock_venues::kraken::signing::PrivateKey;
use penstock_venues::kraken::vocabulary::{ExecType, OrderType, Side, TimeInForce};
use penstock_venues::kraken::{ChannelKind, Frame, Unknowns, decode};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Longest wait for something that should happen.
const DEADLINE: Duration = Duration::from_secs(60);

struct Rig {
    venue: Handle,
    rest: PrivateRest,
    running: RunningSocket,
    events: mpsc::Receiver<PrivateEvent>,
    clock: Arc<SystemClock>,
    _directory: tempfile::TempDir,
}

impl Rig {
    async fn start() -> Self {
        let options = Options { market: MarketSource::Calm, symbols: 2, ..Options::default() };
        let venue = start(options).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(SystemClock::new());
        let rest = client(&venue, &venue.addresses.api_secret, &directory, clock.clone());
        let (sender, events) = mpsc::channel(4_096);
        let config = SocketConfig::new(&venue.addresses.ws_private);
        let running =
            spawn_order_socket(config, rest.clone(), sender, CancellationToken::new()).unwrap();
        let mut health = running.orders.health();
        let whole = health.wait_for(|h| h.executions_whole && h.balances_whole);
        tokio::time::timeout(DEADLINE, whole).await.unwrap().unwrap();
        Self { venue, rest, running, events, clock, _directory: directory }
    }

    fn deadline(&self) -> Option<UtcMicros> {
        Some(self.clock.now().wall.plus_millis(4_000))
    }

    /// The next report of this kind; everything on the way has to be known.
    async fn report(&mut self, wanted: ExecType) -> String {
        loop {
            let next = tokio::time::timeout(DEADLINE, self.events.recv()).await;
            let event = next.expect("an event in time").expect("a running task");
            let PrivateEvent::Frame { channel, text, .. } = event else { continue };
            let frame = decode(&text).unwrap();
            frame.visit_unknowns(&mut |unknown| panic!("{unknown:?} in {text}"));
            if channel != ChannelKind::Executions {
                continue;
            }
            let Frame::Executions(message) = frame else { panic!("{text}") };
            if message.rows.iter().any(|row| row.exec_type.known() == Some(wanted)) {
                return text;
            }
        }
    }
}

fn client(
    venue: &Handle,
    secret: &str,
    directory: &tempfile::TempDir,
    clock: Arc<SystemClock>,
) -> PrivateRest {
    let path = directory.path().join("venue.json");
    let warm = r#"{"version":1,"host":"test","wall_ms":0,"nonce":1,"rest":0.0,"pairs":{},"not_before":[]}"#;
    std::fs::write(&path, warm).unwrap();
    let state = SharedVenueState::open(path, "test".to_owned(), Tier::Pro, clock);
    let credentials = Credentials {
        key: venue.addresses.api_key.clone(),
        secret: PrivateKey::from_base64(secret).unwrap(),
    };
    PrivateRest::new(&venue.addresses.rest, credentials, state, Arc::new(SoleUser)).unwrap()
}

fn buy(price: &str, id: &'static str, deadline: Option<UtcMicros>) -> AddOrder<'static> {
    AddOrder {
        order_type: OrderType::Limit,
        side: Side::Buy,
        symbol: "BTC/USD",
        order_qty: "0.01000000".parse().unwrap(),
        limit_price: Some(price.parse().unwrap()),
        trigger: None,
        time_in_force: Some(TimeInForce::Gtc),
        expire_time: None,
        deadline,
        post_only: true,
        stp_type: None,
        cl_ord_id: Some(id),
        validate: false,
    }
}

fn order_id(answer: &OrderAnswer) -> String {
    match &answer.outcome {
        OrderOutcome::Acked { order_id: Some(id), .. } => id.clone(),
        other => panic!("{other:?}"),
    }
}

const ID: &str = "019c6652-5e0c-8005-8000-0000002a944f";

#[tokio::test]
async fn an_order_is_placed_amended_seen_and_cancelled() {
    let mut rig = Rig::start().await;
    let orders = rig.running.orders.clone();
    let answer = orders.add_order(&buy("100.0", ID, rig.deadline()), EngineUse::Entry).await;
    let id = order_id(&answer);
    let text = rig.report(ExecType::New).await;
    assert!(text.contains(&id), "{text}");

    // The same id again, while the first is open: nothing is proven by that answer.
    let again = orders.add_order(&buy("101.0", ID, rig.deadline()), EngineUse::Entry).await;
    assert!(matches!(again.outcome, OrderOutcome::Unknown { .. }), "{again:?}");

    let amend = AmendOrder {
        order: OrderRef::ClOrdId(ID),
        order_qty: Some("0.02000000".parse().unwrap()),
        limit_price: None,
        trigger_price: None,
        post_only: false,
        deadline: rig.deadline(),
    };
    let amended = orders.amend_order(&amend, "BTC/USD", 1_000, EngineUse::Repeg).await;
    assert!(matches!(amended.outcome, OrderOutcome::Acked { .. }), "{amended:?}");
    rig.report(ExecType::Amended).await;

    let look = PrivateRequest::QueryOrders { txids: &[&id] };
    let RestOutcome::Sent(body) = rig.rest.call(&look, RestUse::Reserved).await else {
        panic!("not sent")
    };
    let Reply::Done { result, .. } = body.reply::<QueryOrdersResult<'_>>() else {
        panic!("{body:?}")
    };
    assert_eq!(result.0[0].1.cl_ord_id.as_deref(), Some(ID));
    assert_eq!(result.0[0].1.vol.as_str(), "0.02000000");

    let cancelled = orders.cancel_order(OrderRef::OrderId(&id), "BTC/USD", 2_000).await;
    assert!(matches!(cancelled.outcome, OrderOutcome::Acked { .. }), "{cancelled:?}");
    rig.report(ExecType::Canceled).await;
    let gone = orders.cancel_order(OrderRef::OrderId(&id), "BTC/USD", 2_000).await;
    assert!(matches!(gone.outcome, OrderOutcome::Unknown { .. }), "{gone:?}");
}

#[tokio::test]
async fn the_venue_s_refusals_are_rejections() {
    let rig = Rig::start().await;
    let orders = rig.running.orders.clone();
    let refused = |order: AddOrder<'static>| {
        let orders = orders.clone();
        async move { orders.add_order(&order, EngineUse::Entry).await }
    };
    let deadline = rig.deadline();
    let mut cases = vec![buy("100.05", ID, deadline), buy("100.0", ID, deadline)];
    cases[1].order_qty = "0.00000001".parse().unwrap();
    let mut rich = buy("50000.0", ID, deadline);
    rich.order_qty = "100.00000000".parse().unwrap();
    rich.post_only = false;
    cases.push(rich);
    for order in cases {
        let answer = refused(order).await;
        assert!(matches!(answer.outcome, OrderOutcome::Rejected { .. }), "{answer:?}");
    }
}

#[tokio::test]
async fn rest_of_the_venue_reads_as_its_types() {
    let mut rig = Rig::start().await;
    let orders = rig.running.orders.clone();
    let mut market = buy("1.0", ID, rig.deadline());
    market.order_type = OrderType::Market;
    market.limit_price = None;
    market.time_in_force = None;
    market.post_only = false;
    order_id(&orders.add_order(&market, EngineUse::Protective).await);
    rig.report(ExecType::Trade).await;

    macro_rules! known {
        ($request:expr, $result:ty) => {{
            let RestOutcome::Sent(body) = rig.rest.call(&$request, RestUse::Reserved).await else {
                panic!("{} not sent", $request.method())
            };
            let Reply::Done { result, .. } = body.reply::<$result>() else { panic!("{body:?}") };
            result.visit_unknowns(&mut |unknown| panic!("{unknown:?} in {body:?}"));
        }};
    }
    known!(PrivateRequest::OpenOrders { cl_ord_id: None }, OpenOrdersResult<'_>);
    known!(
        PrivateRequest::ClosedOrders(ClosedOrdersPage {
            cl_ord_id: Some(ID),
            ..ClosedOrdersPage::default()
        }),
        ClosedOrdersResult<'_>
    );
    known!(
        PrivateRequest::TradesHistory { start: None, end: None, ofs: None },
        TradesHistoryResult<'_>
    );
    known!(PrivateRequest::Ledgers { start: None, end: None, ofs: None }, LedgersResult<'_>);
    known!(PrivateRequest::BalanceEx, Entries<'_, BalanceExResult<'_>>);
    known!(PrivateRequest::TradeVolume { pair: Some("XBTUSD") }, TradeVolumeResult<'_>);
    let answer = rig.rest.public(&PublicRequest::AssetPairs).await;
    let Reply::Done { result, .. } = answer.reply::<Entries<'_, AssetPairResult<'_>>>() else {
        panic!("{answer:?}")
    };
    assert_eq!(pair_names(&result).altname("BTC/USD"), Some("XBTUSD"));
}

#[tokio::test]
async fn without_memory_the_token_waits_for_the_counter_and_no_entry_leaves() {
    let options = Options { market: MarketSource::Still, symbols: 1, ..Options::default() };
    let venue = start(options).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(SystemClock::new());
    let path = directory.path().join("venue.json");
    let state = SharedVenueState::open(path, "test".to_owned(), Tier::Pro, clock);
    let credentials = Credentials {
        key: venue.addresses.api_key.clone(),
        secret: PrivateKey::from_base64(&venue.addresses.api_secret).unwrap(),
    };
    let rest =
        PrivateRest::new(&venue.addresses.rest, credentials, state, Arc::new(SoleUser)).unwrap();
    let (sender, mut events) = mpsc::channel(64);
    let config = SocketConfig::new(&venue.addresses.ws_private);
    let running = spawn_order_socket(config, rest, sender, CancellationToken::new()).unwrap();
    loop {
        match tokio::time::timeout(DEADLINE, events.recv()).await.unwrap().unwrap() {
            // The counter names the wait for one point; it is not a back-off from a failure.
            PrivateEvent::ConnectFailed { error, retry_in_ms, .. } => {
                assert!(error.contains("no room"), "{error}");
                assert!((1..=1_000).contains(&retry_in_ms), "{retry_in_ms}");
            }
            PrivateEvent::Connected { .. } => break,
            other => panic!("{other:?}"),
        }
    }
    let mut health = running.orders.health();
    let whole = health.wait_for(|h| h.executions_whole && h.balances_whole);
    tokio::time::timeout(DEADLINE, whole).await.unwrap().unwrap();
    let answer = running.orders.add_order(&buy("100.0", ID, None), EngineUse::Entry).await;
    let held_back = matches!(
        answer.outcome,
        OrderOutcome::NotSent(NotSent::ColdStart { .. } | NotSent::Budget { .. })
    );
    assert!(held_back, "{answer:?}");
    let stop = running.orders.add_order(&buy("100.0", ID, None), EngineUse::Protective).await;
    order_id(&stop);
}

#[tokio::test]
async fn a_wrong_key_opens_no_socket() {
    let rig = Rig::start().await;
    let directory = tempfile::tempdir().unwrap();
    let rest = client(&rig.venue, "d3Jvbmc=", &directory, rig.clock.clone());
    let (sender, mut events) = mpsc::channel(16);
    let config = SocketConfig::new(&rig.venue.addresses.ws_private);
    let cancel = CancellationToken::new();
    let _running = spawn_order_socket(config, rest, sender, cancel.clone()).unwrap();
    let event = tokio::time::timeout(DEADLINE, events.recv()).await.unwrap().unwrap();
    let PrivateEvent::ConnectFailed { error, .. } = event else { panic!("{event:?}") };
    assert!(error.contains("EAPI:Invalid signature"), "{error}");
    cancel.cancel();
}

#[tokio::test]
async fn a_cut_connection_comes_back_whole() {
    let mut rig = Rig::start().await;
    let url = format!("{}/faults", rig.venue.addresses.admin);
    // Installed by whichever test comes first; the others find it there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let body = r#"{"kind":"cut","endpoint":"private"}"#;
    let answer = reqwest::Client::new().post(url).body(body).send().await.unwrap();
    assert!(answer.status().is_success());
    loop {
        let event = tokio::time::timeout(DEADLINE, rig.events.recv()).await.unwrap().unwrap();
        if matches!(event, PrivateEvent::Disconnected { epoch: 1, .. }) {
            break;
        }
    }
    let mut health = rig.running.orders.health();
    let whole = health.wait_for(|h| h.epoch == 2 && h.executions_whole && h.balances_whole);
    tokio::time::timeout(DEADLINE, whole).await.unwrap().unwrap();
    let answer =
        rig.running.orders.add_order(&buy("100.0", ID, rig.deadline()), EngineUse::Entry).await;
    order_id(&answer);
}
