//! The ledger beside the simulated venue: books that its trades made are equal to its own word, read page by page; one
//! edited row is named with both numbers and ends with status 15.

use penstock_sim::account::{AddOrder, FeePreference, OrderKind};
use penstock_sim::exchange::{Price, Qty, Side as SimSide, SymbolNo};
use penstock_sim::server::{Handle, MarketSource, Options, start};
use penstock_store::ClusterRole;
use penstock_store::testing::{SUPERUSER_LOGIN, TestPair};
use penstock_store_decision::sessions::{self, SessionStart};
use penstock_store_decision::{evaluations, ledger_read};
use penstock_store_orders::ExecStore;
use penstock_store_orders::balances::BalanceChange;
use penstock_store_orders::fills::{FillContext, FillOutcome, FillReport};
use penstock_store_orders::orders::transition::Knowledge;
use penstock_store_orders::orders::{EntryContext, EventNote, EventSource, NewOrder, Standby};
use penstock_trading::capital::caps::Caps;
use penstock_trading::exit::limits::ExitLimits;
use penstock_trading::order::OrderEvent;
use penstock_types::cl_ord_id::{ClOrdId, ClOrdIdGenerator, OrderIdSalt};
use penstock_types::vocab::{
    ExecutionIntent, ExitPolicy, Horizon, OrderRole, OrderType, Regime, RouteType, Side, Strategy,
    SysMode, TimeInForce, Trigger,
};
use penstock_types::{
    Decimal, EpochId, EvaluationId, FencingToken, GenerationId, LineageId, OrderId, RunId,
    SessionId, SnapshotId, Symbol, UtcMicros, Uuid,
};
use serde_json::json;
use sqlx::PgPool;

use super::super::venue::{Reader, Word};
use super::super::{asked, judge, print};
use crate::arguments::Output;
use crate::exit;

const TOKEN: FencingToken = FencingToken(7);
const SESSION: SessionId = SessionId(Uuid::from_u128(7));
const BTC: SymbolNo = SymbolNo(0);
/// Price of the entry, in ticks of a tenth.
const BID: i64 = 999_990;

fn d(text: &str) -> Decimal {
    Decimal::from_str_exact(text).unwrap()
}

fn now() -> UtcMicros {
    UtcMicros::from(chrono::Utc::now())
}

struct World {
    venue: Handle,
    store: ExecStore,
    admin: PgPool,
    ids: ClOrdIdGenerator,
    evaluation: EvaluationId,
    _pair: TestPair,
}

impl World {
    /// An account with 10,000 USD, a session that has opened it, a book around 100,000.
    async fn new() -> Self {
        let options = Options { market: MarketSource::Still, symbols: 5, ..Options::default() };
        let venue = start(options).await.unwrap();
        let pair = TestPair::new().await.unwrap();
        let pool = pair.pool(ClusterRole::Decision, "exec_rw").await.unwrap();
        let admin = pair.pool(ClusterRole::Decision, SUPERUSER_LOGIN).await.unwrap();
        sqlx::query(
            "insert into service_fences (service, domain, fencing_token, holder_id, holder_host,
                holder_pid, acquired_at, renewed_at, lease_expires_at)
             values ('execution', 'test', 7, gen_random_uuid(), 'host', 1, now(), now(),
                now() + interval '1 hour')",
        )
        .execute(&admin)
        .await
        .unwrap();
        let session = SessionStart {
            session_id: SESSION,
            domain: "test",
            mode: "attach",
            fencing_token: TOKEN,
            host: "host",
            pid: 1,
            git_commit: "none",
            git_dirty: false,
            config_hash: "none",
            started_at: now(),
        };
        sessions::start(&pool, &session).await.unwrap();
        let cycle = evaluations::CycleStart {
            session_id: SESSION,
            evaluation_index: 1,
            trigger: Trigger::Manual,
            started_at: now(),
            run_id: None,
            lineage_id: None,
            epoch_id: None,
            snapshot_id: None,
            generation_id: None,
            state_age_ms: None,
            engine: evaluations::EngineRef::default(),
            sys_mode: SysMode::Normal,
        };
        let evaluation = evaluations::begin(&pool, &cycle).await.unwrap();
        let store = ExecStore::new(pool, "test", TOKEN, SESSION);
        let ids = ClOrdIdGenerator::new(&OrderIdSalt([3; 32]), TOKEN).unwrap();
        let world = Self { venue, store, admin, ids, evaluation, _pair: pair };
        world.change("10000", "opening").await;
        world.store.put_balance("USD", d("10000"), now(), "test").await.unwrap();
        world.book();
        world
    }

    /// Nothing but offers above, and a deep bid far below: an order at [`BID`] is the best one.
    fn book(&self) {
        self.venue.venue.with(|e, now| {
            let one = 10_i64.pow(e.market(BTC).instrument.qty_decimals);
            assert_eq!(e.market(BTC).instrument.price_decimals, 1);
            for side in [SimSide::Buy, SimSide::Sell] {
                e.flow_market(BTC, side, Qty(one * 1_000), now);
            }
            e.flow_limit(BTC, SimSide::Sell, Price(BID + 20), Qty(one * 5), now);
            e.flow_limit(BTC, SimSide::Buy, Price(BID - 1_000), Qty(one * 5), now);
        });
    }

    async fn change(&self, amount: &str, cause: &'static str) {
        let change = BalanceChange {
            asset: "USD",
            at: now(),
            amount: d(amount),
            cause,
            ledger_id: None,
            evidence: json!({}),
        };
        assert!(self.store.add_balance_change(&change).await.unwrap());
    }

    fn id(&mut self) -> ClOrdId {
        self.ids.next(now().millis()).unwrap()
    }

    /// The entry and the exit of the books, without their terms of decision.
    fn order(&mut self, side: Side, qty: &str) -> NewOrder {
        let buys = side == Side::Buy;
        NewOrder {
            cl_ord_id: self.id(),
            symbol: Symbol::new("BTC/USD").unwrap(),
            side,
            role: if buys { OrderRole::Entry } else { OrderRole::Exit },
            parent_order_id: None,
            position_id: None,
            intent: if buys { ExecutionIntent::MakerEntry } else { ExecutionIntent::TakerExit },
            order_type: if buys { OrderType::Limit } else { OrderType::Market },
            tif: TimeInForce::Gtc,
            post_only: buys,
            limit_price: buys.then(|| d("99999.0")),
            trigger_price: None,
            qty: d(qty),
            deadline_at: None,
            expire_at: None,
            exit_policy: Some(ExitPolicy::TrailingStop),
            exit_reason: None,
            entry: buys.then(|| self.context()),
        }
    }

    /// Terms of a decision that nobody made.
    fn context(&self) -> EntryContext {
        EntryContext {
            evaluation_id: self.evaluation,
            run_id: RunId(1),
            lineage_id: LineageId(Uuid::from_u128(1)),
            epoch_id: EpochId(1),
            snapshot_id: SnapshotId(1),
            generation_id: GenerationId(1),
            engine_tick_id: None,
            engine_chain: None,
            strategy: Strategy::Momentum,
            route_type: RouteType::PassiveSpreadCapture,
            horizon: Horizon::Short,
            regime: Regime::Range,
            regime_sub: None,
            queue_decision: None,
            decision_mid: Some(d("100000")),
            expected_move_bps: None,
            expected_edge_bps: None,
            expected_surplus_bps: None,
            expected_slippage_bps: None,
            quote_tick_id: 5,
            quote_seq: 6,
            p_fill: None,
            est_fill_time_ms: None,
            queue_ahead_quote: None,
            exit_limits: ExitLimits::default(),
            size_quote_requested: None,
            size_quote_approved: None,
        }
    }

    fn at_venue(&self, order: &NewOrder) -> String {
        let buys = order.side == Side::Buy;
        let (side, kind) = if buys {
            (SimSide::Buy, OrderKind::Limit)
        } else {
            (SimSide::Sell, OrderKind::Market)
        };
        let mut request = AddOrder::new(BTC, side, kind);
        request.qty = Some(order.qty);
        request.limit = order.limit_price;
        request.fee_preference = Some(FeePreference::Quote);
        request.cl_ord_id = Some(order.cl_ord_id.text());
        self.venue.venue.with(|e, now| e.add_order(&request, now)).unwrap().txid
    }

    async fn acknowledged(&self, id: OrderId, venue_id: String) {
        let note = EventNote { venue_id: Some(venue_id), ..EventNote::local(now()) };
        let knows = Knowledge { adoptable: false };
        self.store.apply(id, OrderEvent::Acked, &note, knows).await.unwrap();
    }

    /// Books what the venue has traded for an order, as its stream would tell it.
    async fn told(&mut self, id: OrderId, venue_id: &str) -> usize {
        let trades: Vec<(String, Decimal, Decimal, Decimal)> = self.venue.venue.with(|e, _| {
            let own = e.account().trades().iter().filter(|t| t.order_txid == venue_id);
            own.map(|t| {
                let i = &e.market(t.symbol).instrument;
                let price = Decimal::new(t.price.0, i.price_decimals);
                (t.txid.clone(), price, Decimal::new(t.qty.0, i.qty_decimals), t.fee)
            })
            .collect()
        });
        for (exec_id, price, qty, fee) in &trades {
            let report = FillReport {
                exec_id: exec_id.clone(),
                trade_id: None,
                price: *price,
                qty: *qty,
                fees: vec![("USD".to_owned(), *fee)],
                fee_quote_equiv: None,
                liquidity: Some('m'),
                order_qty: None,
                venue_cum_qty: None,
                venue_id: Some(venue_id.to_owned()),
                ts_exchange: now(),
                ts_local: now(),
                source: EventSource::WsExecutions,
            };
            let context = FillContext {
                mid: Some(*price),
                atr_bps: None,
                spread_avg_bps: d("2"),
                round_trip_fees_bps: d("30"),
                tick: d("0.1"),
                exit_standby: self.id(),
            };
            let booked = self.store.process_fill(id, &report, &context).await.unwrap();
            assert!(matches!(booked, FillOutcome::Booked(_)), "{booked:?}");
        }
        trades.len()
    }

    /// Sixty fills of an entry, a sale of a third of it, a deposit, and a trade of nobody's order.
    async fn live(&mut self) {
        let entry = self.order(Side::Buy, "0.06");
        let stop = Standby { cl_ord_id: self.id(), trigger_price: d("99000") };
        let caps = Caps::unlimited(Strategy::Momentum, d("6010"));
        let row = self.store.persist_entry(&entry, &stop, &caps, now(), now()).await.unwrap();
        let (id, venue_id) = (row.record().order_id, self.at_venue(&entry));
        self.acknowledged(id, venue_id.clone()).await;
        self.venue.venue.with(|e, now| {
            let milli = 10_i64.pow(e.market(BTC).instrument.qty_decimals) / 1_000;
            for _ in 0..60 {
                e.flow_market(BTC, SimSide::Sell, Qty(milli), now);
            }
        });
        assert_eq!(self.told(id, &venue_id).await, 60);
        let position = self.store.positions().await.unwrap().remove(0).0.position_id;
        let mut sale = self.order(Side::Sell, "0.02");
        sale.position_id = Some(position);
        let row = self.store.persist_reduce(&sale, now(), now()).await.unwrap();
        let (id, venue_id) = (row.record().order_id, self.at_venue(&sale));
        self.acknowledged(id, venue_id.clone()).await;
        assert!(self.told(id, &venue_id).await > 0);
        self.venue.venue.with(|e, now| e.transfer("USD", d("500"), now)).unwrap();
        self.change("500", "deposit").await;
        let mut other = AddOrder::new(BTC, SimSide::Buy, OrderKind::Market);
        other.qty = Some(d("0.003"));
        other.fee_preference = Some(FeePreference::Quote);
        self.venue.venue.with(|e, now| e.add_order(&other, now)).unwrap();
    }

    fn reader(&self) -> Reader {
        let at = &self.venue.addresses;
        Reader::new(&at.rest, &at.api_key, &at.api_secret).unwrap()
    }

    async fn sql(&self, text: &str) {
        let mut tx = self.admin.begin().await.unwrap();
        sqlx::raw_sql("set local session_replication_role = replica")
            .execute(&mut *tx)
            .await
            .unwrap();
        sqlx::query(sqlx::AssertSqlSafe(text.to_owned())).execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// One edit: the row and both numbers that are said, and the status.
    async fn edited(&self, word: &Word, edit: &str, back: &str) -> (Vec<String>, i32) {
        self.sql(edit).await;
        let verified = judge(&ledger_read::books(&self.admin).await.unwrap(), Some(word));
        self.sql(back).await;
        let said = verified.differences.iter();
        let said = said.map(|d| format!("{} {} {} {}", d.at, d.field, d.stored, d.derived));
        (said.collect(), print(&verified, Output::Human))
    }
}

#[tokio::test]
async fn the_venues_own_word_is_equal_and_one_edited_row_is_named_with_both_numbers() {
    let mut world = World::new().await;
    world.live().await;
    let mut reader = world.reader();
    let (verified, word) = asked(&world.admin, &mut reader).await.unwrap();
    assert_eq!(verified.differences, []);
    let asked = verified.asked.unwrap();
    assert!(asked.fills > 60 && asked.fills == verified.compared[2], "more than one page");
    assert_eq!((asked.trades - asked.fills, asked.foreign, asked.locked), (1, 1, 0));
    assert_eq!(print(&verified, Output::Json), exit::CLEAN);

    let cases = [
        (
            "update fills set price = price + 0.1 where fill_id = 3",
            "update fills set price = price - 0.1 where fill_id = 3",
            "fill 3 price 99999.1 99999",
        ),
        (
            "update fills set qty = qty + 0.0005 where fill_id = 4",
            "update fills set qty = qty - 0.0005 where fill_id = 4",
            "fill 4 qty 0.0015 0.001",
        ),
        (
            "update positions set base_qty = base_qty + 0.001",
            "update positions set base_qty = base_qty - 0.001",
            "position 1 base_qty 0.041 0.04",
        ),
    ];
    for (edit, back, wanted) in cases {
        let (said, status) = world.edited(&word, edit, back).await;
        assert!(said.iter().any(|line| line == wanted), "{edit}: {said:?}");
        assert_eq!(status, exit::DIFFERENT);
    }
    let deposit = "update balance_changes set amount = amount + 25 where cause = 'deposit'";
    let back = "update balance_changes set amount = amount - 25 where cause = 'deposit'";
    let (said, status) = world.edited(&word, deposit, back).await;
    let usd = word.balances.iter().find(|b| b.asset == "USD").unwrap().amount;
    let (stored, derived) = (usd.normalize(), (usd + d("25")).normalize());
    assert_eq!(said, [format!("asset USD balance {stored} {derived}")]);
    assert_eq!(status, exit::DIFFERENT);
}

#[tokio::test]
async fn a_key_that_the_venue_does_not_know_is_said_and_nothing_is_compared() {
    let world = World::new().await;
    let at = &world.venue.addresses;
    let mut stranger = Reader::new(&at.rest, "nobody", &at.api_secret).unwrap();
    let error = asked(&world.admin, &mut stranger).await.unwrap_err().to_string();
    assert!(error.contains("KRAKEN_VERIFY_API_KEY") && error.contains("next: "), "{error}");
    assert!(Reader::new("http://venue.example", "k", "c2VjcmV0").is_err(), "plain text");
    assert!(Reader::new(&at.rest, "k", "no base64!").is_err());
}
