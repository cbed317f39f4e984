//! Two entries that want the same money: the transaction that reserves it decides, not the cycles that planned them.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod fenced;

use fenced::{NOW, SESSION, TOKEN, fenced};
use penstock_store::ClusterRole;
use penstock_store::testing::{SUPERUSER_LOGIN, TestPair};
use penstock_store_decision::evaluations;
use penstock_store_orders::orders::caps::CAPITAL_TAKEN;
use penstock_store_orders::orders::{EntryContext, NewOrder, PersistedOrder, Standby};
use penstock_store_orders::{ExecStore, WriteError};
use penstock_trading::capital::caps::Caps;
use penstock_trading::exit::limits::ExitLimits;
use penstock_types::cl_ord_id::{ClOrdIdGenerator, OrderIdSalt};
use penstock_types::vocab::{
    ExecutionIntent, ExitPolicy, Horizon, OrderRole, OrderType, Regime, RouteType, Side, Strategy,
    SysMode, TimeInForce, Trigger,
};
use penstock_types::{
    Decimal, EpochId, EvaluationId, GenerationId, LineageId, RunId, SnapshotId, Symbol, Uuid,
};
use sqlx::PgPool;

/// Key of the lock, as the source has it.
const LOCK_KEY: i64 = 0x0063_6170_6974_616c;

fn d(text: &str) -> Decimal {
    Decimal::from_str_exact(text).unwrap()
}

struct World {
    store: ExecStore,
    ids: ClOrdIdGenerator,
    evaluation: EvaluationId,
    admin: PgPool,
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
        let admin = pair.pool(ClusterRole::Decision, SUPERUSER_LOGIN).await.unwrap();
        Self { store, ids, evaluation, admin, _pair: pair }
    }

    fn entry(&mut self, symbol: &str, strategy: Strategy) -> (NewOrder, Standby) {
        let context = EntryContext {
            evaluation_id: self.evaluation,
            run_id: RunId(1),
            lineage_id: LineageId(Uuid::from_u128(1)),
            epoch_id: EpochId(1),
            snapshot_id: SnapshotId(1),
            generation_id: GenerationId(1),
            engine_tick_id: None,
            engine_chain: None,
            strategy,
            route_type: RouteType::PassiveSpreadCapture,
            horizon: Horizon::Short,
            regime: Regime::Range,
            regime_sub: None,
            queue_decision: None,
            decision_mid: Some(d("100")),
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
        };
        let order = NewOrder {
            cl_ord_id: self.ids.next(NOW.millis()).unwrap(),
            symbol: Symbol::new(symbol).unwrap(),
            side: Side::Buy,
            role: OrderRole::Entry,
            parent_order_id: None,
            position_id: None,
            intent: ExecutionIntent::MakerEntry,
            order_type: OrderType::Limit,
            tif: TimeInForce::Gtc,
            post_only: true,
            limit_price: Some(d("100")),
            trigger_price: None,
            qty: d("1"),
            deadline_at: None,
            expire_at: None,
            exit_policy: Some(ExitPolicy::TrailingStop),
            exit_reason: None,
            entry: Some(context),
        };
        let cl_ord_id = self.ids.next(NOW.millis()).unwrap();
        (order, Standby { cl_ord_id, trigger_price: d("99") })
    }

    async fn count(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&self.admin).await.unwrap()
    }

    /// Both at once: neither has committed before the other has begun to wait for the lock.
    async fn both(
        &mut self,
        first: (&str, &Caps),
        second: (&str, &Caps),
    ) -> [Result<PersistedOrder, WriteError>; 2] {
        let mut gate = self.admin.begin().await.unwrap();
        sqlx::query("select pg_advisory_xact_lock($1)")
            .bind(LOCK_KEY)
            .execute(&mut *gate)
            .await
            .unwrap();
        let (one, one_stop) = self.entry(first.0, first.1.strategy);
        let (other, other_stop) = self.entry(second.0, second.1.strategy);
        let release = async {
            let waiting =
                "select count(*) from pg_locks where locktype = 'advisory' and not granted";
            while self.count(waiting).await < 2 {
                tokio::task::yield_now().await;
            }
            gate.commit().await.unwrap();
        };
        let (one, other, ()) = tokio::join!(
            self.store.persist_entry(&one, &one_stop, first.1, NOW, NOW),
            self.store.persist_entry(&other, &other_stop, second.1, NOW, NOW),
            release
        );
        [one, other]
    }
}

fn caps(strategy: Strategy) -> Caps {
    Caps { notional_quote: d("100"), ..Caps::unlimited(strategy, d("100.2")) }
}

/// The refused one's constraint; exactly one of both was refused, and nothing of it stands.
async fn one_refused(world: &World, both: [Result<PersistedOrder, WriteError>; 2]) -> String {
    let refused: Vec<WriteError> = both.into_iter().filter_map(Result::err).collect();
    assert_eq!(refused.len(), 1, "{refused:?}");
    let WriteError::Conflict { constraint, meaning, .. } = &refused[0] else {
        panic!("{refused:?}")
    };
    assert_eq!(*meaning, CAPITAL_TAKEN);
    assert_eq!(world.count("select count(*) from capital_reservations").await, 1);
    assert_eq!(world.count("select count(*) from execution_orders where role = 'entry'").await, 1);
    assert_eq!(world.count("select count(*) from symbol_exec_locks").await, 1);
    constraint.clone()
}

#[tokio::test]
async fn t24_of_two_commits_at_once_the_second_does_not_get_the_same_money() {
    let mut world = World::new().await;
    sqlx::query("update exchange_balances set balance = 150").execute(&world.admin).await.unwrap();
    let (of_one, of_other) = (caps(Strategy::Momentum), caps(Strategy::Volume));
    let both = world.both(("BTC/USD", &of_one), ("ETH/USD", &of_other)).await;
    let said = one_refused(&world, both).await;
    assert_eq!(said, "the free quote (100.2 above 49.8)");
}

#[tokio::test]
async fn the_open_cap_and_the_budget_of_a_strategy_hold_for_two_at_once() {
    let mut world = World::new().await;
    let total = |s| Caps { total_quote: d("200"), ..caps(s) };
    let (one, other) = (total(Strategy::Momentum), total(Strategy::Volume));
    let both = world.both(("BTC/USD", &one), ("ETH/USD", &other)).await;
    let said = one_refused(&world, both).await;
    assert_eq!(said, "the cap of all open notional (200.2 above 200)");

    let mut world = World::new().await;
    let budget = Caps { strategy_quote: d("200"), ..caps(Strategy::Momentum) };
    let both = world.both(("BTC/USD", &budget), ("ETH/USD", &budget)).await;
    let said = one_refused(&world, both).await;
    assert_eq!(said, "the budget of the strategy (200.2 above 200)");
}

#[tokio::test]
async fn a_group_of_symbols_is_judged_as_one_and_two_that_fit_both_stand() {
    let mut world = World::new().await;
    let groups = penstock_trading::groups::parse("majors: BTC/USD ETH/USD").unwrap();
    let grouped = Caps { groups, group_quote: d("200"), ..caps(Strategy::Momentum) };
    let both = world.both(("BTC/USD", &grouped), ("ETH/USD", &grouped)).await;
    let said = one_refused(&world, both).await;
    assert_eq!(said, "the budget of the correlation group (200.2 above 200)");

    let mut world = World::new().await;
    let apart = Caps { group_quote: d("200"), ..caps(Strategy::Momentum) };
    let [one, other] = world.both(("BTC/USD", &apart), ("ETH/USD", &apart)).await;
    assert!(one.is_ok() && other.is_ok(), "{one:?} {other:?}");
}

#[tokio::test]
async fn positions_use_the_caps_and_dust_does_not() {
    let mut world = World::new().await;
    let rows = "insert into positions (symbol, status, origin, strategy, opened_at, base_qty,
            cost_basis_quote, updated_at) values
        ('SOL/USD', 'open', 'strategy', 'Momentum', now(), 2, 300, now()),
        ('XRP/USD', 'dust', 'strategy', 'Momentum', now(), 1, 5000, now())";
    sqlx::query(rows).execute(&world.admin).await.unwrap();
    let sol = Symbol::new("SOL/USD").unwrap();
    let mut limited = Caps { strategy_quote: d("350"), ..caps(Strategy::Momentum) };
    limited.mids.insert(sol, d("125"));
    let (order, stop) = world.entry("BTC/USD", Strategy::Momentum);
    world.store.persist_entry(&order, &stop, &limited, NOW, NOW).await.unwrap();
    let (order, stop) = world.entry("ETH/USD", Strategy::Momentum);
    let refused = world.store.persist_entry(&order, &stop, &limited, NOW, NOW).await.unwrap_err();
    assert!(refused.to_string().contains("(450.2 above 350)"), "{refused}");
}
