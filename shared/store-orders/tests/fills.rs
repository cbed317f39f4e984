//! Orders and fills on a real decision cluster: committed before sent, booked exactly once, whatever
//! order the reports come in.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod fenced;

use fenced::{NOW, SESSION, TOKEN, fenced};
use penstock_store::testing::TestPair;
use penstock_store_decision::evaluations;
use penstock_store_orders::exit_plans::{PlanChange, PlanOutcome};
use penstock_store_orders::fills::{BookedFill, FillContext, FillOutcome, FillReport};
use penstock_store_orders::orders::persist::{NextStandby, Release};
use penstock_store_orders::orders::transition::Knowledge;
use penstock_store_orders::orders::{
    Applied, EntryContext, EventNote, EventSource, NewOrder, OrderRecord, Standby,
};
use penstock_store_orders::{ExecStore, WriteError};
use penstock_trading::capital::caps::Caps;
use penstock_trading::exit::limits::ExitLimits;
use penstock_trading::exit::plan::PlanEvent;
use penstock_trading::order::OrderEvent;
use penstock_types::cl_ord_id::{ClOrdId, ClOrdIdGenerator, OrderIdSalt};
use penstock_types::vocab::{
    ExecutionIntent, ExitPolicy, ExitReason, Horizon, OrderRole, OrderState, OrderType, PlanState,
    PositionStatus, Regime, RouteType, Side, Strategy, SysMode, TimeInForce, Trigger,
};
use penstock_types::{
    Decimal, EpochId, EvaluationId, GenerationId, LineageId, OrderId, PositionId, RunId,
    SnapshotId, Symbol, Uuid,
};
use proptest::prelude::*;
use proptest::strategy::{Strategy as _, ValueTree};
use proptest::test_runner::{Config, TestRunner};

fn d(text: &str) -> Decimal {
    Decimal::from_str_exact(text).unwrap()
}

fn reserve(quote: &str) -> Caps {
    Caps::unlimited(Strategy::Liquidity, d(quote))
}

struct World {
    store: ExecStore,
    ids: ClOrdIdGenerator,
    evaluation: EvaluationId,
    exit_limits: ExitLimits,
    _pair: TestPair,
}

impl World {
    async fn new() -> Self {
        let (pair, pool, store) = fenced().await;
        let cycle = evaluations::CycleStart {
            session_id: SESSION,
            evaluation_index: 1,
            trigger: Trigger::Manual,
            started_at: NOW,
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
        let ids = ClOrdIdGenerator::new(&OrderIdSalt([3; 32]), TOKEN).unwrap();
        Self { store, ids, evaluation, exit_limits: ExitLimits::default(), _pair: pair }
    }

    fn id(&mut self) -> ClOrdId {
        self.ids.next(NOW.millis()).unwrap()
    }

    fn entry(&mut self, symbol: &str, qty: &str) -> (NewOrder, Standby) {
        let order = NewOrder {
            cl_ord_id: self.id(),
            symbol: Symbol::new(symbol).unwrap(),
            side: Side::Buy,
            role: OrderRole::Entry,
            parent_order_id: None,
            position_id: None,
            intent: ExecutionIntent::MakerEntry,
            order_type: OrderType::Limit,
            tif: TimeInForce::Gtd,
            post_only: true,
            limit_price: Some(d("100.000000000001")),
            trigger_price: None,
            qty: d(qty),
            deadline_at: Some(NOW.plus_millis(2_000)),
            expire_at: Some(NOW.plus_millis(45_000)),
            exit_policy: Some(ExitPolicy::MakerLadder),
            exit_reason: None,
            entry: Some(EntryContext {
                engine_tick_id: None,
                engine_chain: None,
                run_id: RunId(1),
                lineage_id: LineageId(Uuid::from_u128(1)),
                epoch_id: EpochId(1),
                snapshot_id: SnapshotId(1),
                generation_id: GenerationId(1),
                evaluation_id: self.evaluation,
                strategy: Strategy::Liquidity,
                route_type: RouteType::PassiveSpreadCapture,
                horizon: Horizon::Short,
                regime: Regime::Range,
                regime_sub: None,
                queue_decision: None,
                decision_mid: Some(d("100.5")),
                expected_move_bps: Some(d("80")),
                expected_edge_bps: Some(d("12.5")),
                expected_surplus_bps: None,
                expected_slippage_bps: None,
                quote_tick_id: 5,
                quote_seq: 6,
                p_fill: None,
                est_fill_time_ms: None,
                queue_ahead_quote: None,
                exit_limits: self.exit_limits,
                size_quote_requested: None,
                size_quote_approved: Some(d("300")),
            }),
        };
        let standby = Standby { cl_ord_id: self.id(), trigger_price: d("99.8") };
        (order, standby)
    }

    async fn persist(&mut self, symbol: &str, qty: &str) -> OrderRecord {
        let (order, standby) = self.entry(symbol, qty);
        let persisted =
            self.store.persist_entry(&order, &standby, &reserve("300"), NOW, NOW).await.unwrap();
        persisted.record().clone()
    }

    async fn apply(&self, id: OrderId, event: OrderEvent) -> Applied {
        let knows = Knowledge { adoptable: false };
        self.store.apply(id, event, &EventNote::local(NOW), knows).await.unwrap()
    }

    async fn fill(&mut self, id: OrderId, exec: &str, price: &str, qty: &str) -> FillOutcome {
        let report = report(exec, price, qty);
        let context = FillContext {
            mid: Some(d("100.5")),
            atr_bps: None,
            spread_avg_bps: d("2"),
            round_trip_fees_bps: d("30"),
            tick: d("0.01"),
            exit_standby: self.id(),
        };
        self.store.process_fill(id, &report, &context).await.unwrap()
    }

    async fn booked(&mut self, id: OrderId, exec: &str, price: &str, qty: &str) -> BookedFill {
        match self.fill(id, exec, price, qty).await {
            FillOutcome::Booked(booked) => *booked,
            other => panic!("{exec}: {other:?}"),
        }
    }

    async fn standby(&self, role: OrderRole, symbol: &str) -> Vec<OrderRecord> {
        let open = self.store.open_orders().await.unwrap();
        open.into_iter()
            .filter(|o| o.state == OrderState::Created && o.role == role)
            .filter(|o| o.symbol.as_str() == symbol)
            .collect()
    }

    async fn arm(&mut self, symbol: &str, position: PositionId, qty: Decimal) -> OrderId {
        let row = self.standby(OrderRole::Protection, symbol).await.remove(0);
        let next =
            NextStandby { cl_ord_id: self.id(), qty: row.qty, trigger_price: row.trigger_price };
        let release = Release {
            position_id: position,
            qty,
            trigger_price: Some(d("99.8")),
            limit_price: None,
            deadline_at: NOW.plus_millis(5_000),
            exit_reason: None,
            next: Some(next),
        };
        let sent = self.store.authorise(row.order_id, &release, NOW, NOW).await.unwrap();
        self.apply(sent.record().order_id, OrderEvent::Acked).await;
        sent.record().order_id
    }

    async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(self.store.pool()).await.unwrap()
    }
}

fn report(exec: &str, price: &str, qty: &str) -> FillReport {
    FillReport {
        exec_id: exec.to_owned(),
        trade_id: None,
        price: d(price),
        qty: d(qty),
        fees: vec![("USD".to_owned(), d("0.1234567891"))],
        fee_quote_equiv: None,
        liquidity: Some('m'),
        order_qty: None,
        venue_cum_qty: None,
        venue_id: None,
        ts_exchange: NOW,
        ts_local: NOW,
        source: EventSource::WsExecutions,
    }
}

#[tokio::test]
async fn an_entry_stands_with_its_standby_row_before_it_may_be_sent() {
    let mut world = World::new().await;
    let entry = world.persist("BTC/USD", "3").await;
    assert_eq!(entry.state, OrderState::PendingSubmit);
    assert_eq!(entry.limit_price.unwrap().to_string(), "100.000000000001");
    let standby = world.standby(OrderRole::Protection, "BTC/USD").await;
    assert_eq!(standby.len(), 1);
    assert_eq!(standby[0].parent_order_id, Some(entry.order_id));
    // a second entry of the symbol is refused by the database itself
    let (order, stop) = world.entry("BTC/USD", "1");
    let refused = world.store.persist_entry(&order, &stop, &reserve("1"), NOW, NOW).await;
    assert!(matches!(refused, Err(WriteError::Conflict { .. })), "{refused:?}");
    // an entry that ends without a fill takes its standby row and its reservation with it
    let Applied::Done { after, .. } = world.apply(entry.order_id, OrderEvent::Refused).await else {
        panic!("refused")
    };
    assert_eq!(after.state, OrderState::Rejected);
    assert!(world.standby(OrderRole::Protection, "BTC/USD").await.is_empty());
    let open = "select count(*) from capital_reservations where released_at is null";
    assert_eq!(world.count(open).await, 0);
    assert_eq!(world.count("select count(*) from symbol_exec_locks").await, 0);
}

#[tokio::test]
async fn an_older_session_writes_nothing() {
    let mut world = World::new().await;
    sqlx::query("update service_fences set fencing_token = 8")
        .execute(world.store.pool())
        .await
        .unwrap();
    let (order, stop) = world.entry("BTC/USD", "1");
    let refused =
        world.store.persist_entry(&order, &stop, &reserve("1"), NOW, NOW).await.unwrap_err();
    assert!(refused.is_fenced_out(), "{refused}");
    assert_eq!(world.count("select count(*) from execution_orders").await, 0);
    assert!(world.store.check().await.unwrap_err().is_fenced_out());
}

#[tokio::test]
async fn the_stop_row_is_released_once_and_replaced() {
    let mut world = World::new().await;
    let entry = world.persist("BTC/USD", "3").await;
    world.apply(entry.order_id, OrderEvent::Acked).await;
    let first = world.booked(entry.order_id, "T1", "100", "1").await;
    assert_eq!(first.order.state, OrderState::PartiallyFilled);
    let plan = first.plan.clone().unwrap();
    assert_eq!((plan.state, plan.sl_price), (PlanState::Created, d("99.8")));
    assert_eq!(world.standby(OrderRole::Exit, "BTC/USD").await.len(), 1);
    let position = first.position.position_id;
    let stop = world.arm("BTC/USD", position, d("1")).await;
    assert_eq!(world.standby(OrderRole::Protection, "BTC/USD").await.len(), 1);
    // a second release meets the index of one live protection
    let row = world.standby(OrderRole::Protection, "BTC/USD").await.remove(0);
    let release = Release {
        position_id: position,
        qty: d("1"),
        trigger_price: None,
        limit_price: None,
        deadline_at: NOW,
        exit_reason: None,
        next: None,
    };
    let twice = world.store.authorise(row.order_id, &release, NOW, NOW).await;
    assert!(matches!(twice, Err(WriteError::Conflict { .. })), "{twice:?}");
    let again = world.store.authorise(stop, &release, NOW, NOW).await;
    assert!(matches!(again, Err(WriteError::Row { .. })), "{again:?}");
}

#[tokio::test]
async fn an_exit_that_the_gate_made_nearer_is_the_plan_of_the_fill() {
    let mut world = World::new().await;
    let plain = world.persist("ADA/USD", "3").await;
    let policy = world.booked(plain.order_id, "A", "100", "3").await.plan.unwrap();
    let (sl_bps, tp_bps, trail_bps) = (Some(policy.sl_bps / d("2")), Some(d("31")), Some(d("5")));
    world.exit_limits = ExitLimits { sl_bps, tp_bps, trail_bps, time_stop_secs: Some(90) };
    let entry = world.persist("DOT/USD", "3").await;
    let plan = world.booked(entry.order_id, "B", "100", "3").await.plan.unwrap();
    assert_eq!((plan.sl_bps, plan.tp_bps, plan.trail_bps), (policy.sl_bps / d("2"), tp_bps, None));
    assert!(plan.sl_price > policy.sl_price && plan.time_stop_at < policy.time_stop_at);
}

#[tokio::test]
async fn a_stop_never_loosens_even_when_asked() {
    let mut world = World::new().await;
    let entry = world.persist("BTC/USD", "1").await;
    world.apply(entry.order_id, OrderEvent::Acked).await;
    let fill = world.booked(entry.order_id, "T1", "100", "1").await;
    let position = fill.position.position_id;
    for (asked, stands) in [("100.2", "100.2"), ("99", "100.2")] {
        let change = PlanChange { sl_price: Some(d(asked)), ..PlanChange::default() };
        let PlanOutcome::Done(plan) =
            world.store.change_plan(position, &change, NOW).await.unwrap()
        else {
            panic!("refused")
        };
        assert_eq!(plan.sl_price, d(stands));
    }
    let wrong = PlanChange { event: Some(PlanEvent::ClosingStarted), ..PlanChange::default() };
    let refused = world.store.change_plan(position, &wrong, NOW).await.unwrap();
    assert!(matches!(refused, PlanOutcome::Refused(_)));
}

#[tokio::test]
async fn zero_prices_are_refused_and_late_fills_correct_a_terminal_order() {
    let mut world = World::new().await;
    let entry = world.persist("BTC/USD", "1").await;
    let refused = world.fill(entry.order_id, "T0", "0", "1").await;
    assert_eq!(refused, FillOutcome::Refused);
    world.apply(entry.order_id, OrderEvent::VenueCanceled).await;
    let late = world.booked(entry.order_id, "T1", "100", "1").await;
    assert_eq!(late.step.marker, Some("ORDER_LATE_FILL"));
    assert_eq!(late.order.state, OrderState::Filled);
    assert_eq!(late.position.status, PositionStatus::Open);
}

#[tokio::test]
async fn a_stop_that_is_found_before_its_fill_belongs_to_the_position_of_that_fill() {
    // given a closed position of the symbol, and a new entry whose fill is not booked yet
    let mut world = World::new().await;
    let earlier = world.persist("BTC/USD", "1").await;
    world.apply(earlier.order_id, OrderEvent::Acked).await;
    let first = world.booked(earlier.order_id, "T1", "100", "1").await;
    let stop = world.arm("BTC/USD", first.position.position_id, d("1")).await;
    world.booked(stop, "T2", "99.8", "1").await;
    let entry = world.persist("BTC/USD", "1").await;
    world.apply(entry.order_id, OrderEvent::Acked).await;
    // when its standby stop is found at the venue first, it has no position to protect
    let row = world.standby(OrderRole::Protection, "BTC/USD").await.remove(0);
    let (id, note, event) = (row.order_id, EventNote::local(NOW), OrderEvent::PreauthSent);
    let early = world.store.apply(id, event, &note, Knowledge { adoptable: false }).await;
    assert!(early.is_err(), "not the closed one: {early:?}");
    // then the fill gives it its position
    let booked = world.booked(entry.order_id, "T3", "100", "1").await;
    world.apply(id, event).await;
    world.apply(id, OrderEvent::LiveReport).await;
    let rows = world.store.orders(&[id]).await.unwrap();
    assert_eq!(rows[0].state, OrderState::AckedOpen);
    assert_eq!(rows[0].position_id, Some(booked.position.position_id));
}

#[tokio::test]
async fn what_an_entry_opens_after_its_close_ends_for_the_reason_of_that_close() {
    // given a position that a time stop has closed while its entry was still resting
    let mut world = World::new().await;
    let entry = world.persist("BTC/USD", "3").await;
    world.apply(entry.order_id, OrderEvent::Acked).await;
    let first = world.booked(entry.order_id, "T1", "100", "1").await;
    assert_eq!(first.reopened, None);
    let row = world.standby(OrderRole::Exit, "BTC/USD").await.remove(0);
    let release = Release {
        position_id: first.position.position_id,
        qty: d("1"),
        trigger_price: None,
        limit_price: None,
        deadline_at: NOW.plus_millis(5_000),
        exit_reason: Some(ExitReason::TimeStop),
        next: None,
    };
    let close = world.store.authorise(row.order_id, &release, NOW, NOW).await.unwrap();
    let closed = world.booked(close.record().order_id, "T2", "99", "1").await;
    assert_eq!(closed.position.status, PositionStatus::Closed);
    // when the entry fills again
    let again = world.booked(entry.order_id, "T3", "100", "1").await;
    // then a new position stands, to be closed for the same reason
    assert_ne!(again.position.position_id, first.position.position_id);
    assert_eq!(again.reopened, Some(ExitReason::TimeStop));
    // and a further fill of it is no second reopening
    assert_eq!(world.booked(entry.order_id, "T4", "100", "1").await.reopened, None);
}

#[tokio::test]
async fn selling_more_than_held_closes_and_leaves_the_ledger_whole() {
    let mut world = World::new().await;
    let entry = world.persist("BTC/USD", "2").await;
    world.apply(entry.order_id, OrderEvent::Acked).await;
    let fill = world.booked(entry.order_id, "T1", "100", "1").await;
    let stop = world.arm("BTC/USD", fill.position.position_id, d("1")).await;
    let over = world.booked(stop, "T2", "99", "1.5").await;
    assert_eq!(over.excess, d("0.5"));
    assert!(over.overfill);
    assert_eq!(over.position.status, PositionStatus::Closed);
    assert!(world.store.audit_ledger().await.unwrap().is_empty());
}

/// What must not depend on the order of the reports.
async fn outcome(world: &World, symbol: &str, entry: OrderId, stop: OrderId) -> Vec<String> {
    let rows = world.store.orders(&[entry, stop]).await.unwrap();
    let mut facts: Vec<String> = rows
        .iter()
        .map(|o| {
            format!(
                "{} {} {} {:?}",
                o.state,
                o.cum_qty.normalize(),
                o.cum_cost.normalize(),
                o.avg_price
            )
        })
        .collect();
    let sums: Vec<Decimal> = sqlx::query_scalar(
        "select sum(v) from (
            select 1 as n, realized_quote as v from positions where symbol = $1
            union all select 2, fees_quote from positions where symbol = $1
            union all select 3, base_qty from positions where symbol = $1
            union all select 4, net_quote from realized_pnl where symbol = $1
            union all select 5, fees_quote from realized_pnl where symbol = $1
            union all select 6, 1 from fills where symbol = $1) s
         group by n order by n",
    )
    .bind(symbol)
    .fetch_all(world.store.pool())
    .await
    .unwrap();
    facts.extend(sums.iter().map(|v| v.normalize().to_string()));
    facts
}

#[tokio::test]
async fn any_order_and_any_number_of_reports_book_the_same_position() {
    // given buys and sells with awkward digits
    let buys = [("1", "100.01", "0.333"), ("2", "100.02", "0.667"), ("3", "99.97", "2")];
    let sells = [("4", "101.01", "0.7"), ("5", "100.3", "1.1"), ("6", "100.77", "1.2")];
    let mut world = World::new().await;
    let mut runner = TestRunner::new(Config::default());
    let shuffled = |n: usize| {
        prop::collection::vec(0..n, n..3 * n)
            .prop_map(move |extra| (0..n).chain(extra).collect::<Vec<_>>())
            .prop_shuffle()
    };
    let mut expected: Option<Vec<String>> = None;
    for round in 0..8 {
        // when they come shuffled and repeated
        let symbol = format!("S{round}/USD");
        let entry = world.persist(&symbol, "3").await;
        world.apply(entry.order_id, OrderEvent::Acked).await;
        let order = shuffled(3).new_tree(&mut runner).unwrap().current();
        let mut position = None;
        for at in &order {
            let (exec, price, qty) = buys[*at];
            let exec = format!("{round}-{exec}");
            if let FillOutcome::Booked(b) = world.fill(entry.order_id, &exec, price, qty).await {
                position = Some(b.position.position_id);
            }
        }
        let stop = world.arm(&symbol, position.unwrap(), d("3")).await;
        let order = shuffled(3).new_tree(&mut runner).unwrap().current();
        for at in &order {
            let (exec, price, qty) = sells[*at];
            world.fill(stop, &format!("{round}-{exec}"), price, qty).await;
        }
        // then nothing but the way there differs
        let facts = outcome(&world, &symbol, entry.order_id, stop).await;
        let first = expected.get_or_insert_with(|| facts.clone());
        assert_eq!(*first, facts, "round {round}, order {order:?}");
    }
    assert!(world.store.audit_ledger().await.unwrap().is_empty());
    let open = world.store.open_orders().await.unwrap();
    assert!(open.is_empty(), "standby rows end with their position: {open:?}");
    let cash = "select count(*) from positions p where p.realized_quote <>
        (select sum(case f.side when 'sell' then f.cost_quote else -f.cost_quote end - f.fee_quote)
         from fills f where f.symbol = p.symbol)";
    assert_eq!(world.count(cash).await, 0, "the results are the change of cash to the last digit");
}
