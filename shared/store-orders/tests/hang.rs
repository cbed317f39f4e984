//! A decision cluster that keeps its connections and answers nothing: what is waited for ends in time,
//! says whether its commit was on the way, and is settled before the cluster counts as back.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod fenced;

use std::time::{Duration, Instant};

use fenced::{NOW, SESSION, TOKEN, fenced};
use penstock_store::ClusterRole;
use penstock_store::pools::{PoolSettings, open};
use penstock_store::testing::{SUPERUSER_LOGIN, TestPair};
use penstock_store_orders::orders::{NewOrder, PersistedOrder};
use penstock_store_orders::{ExecStore, WriteError};
use penstock_types::cl_ord_id::{ClOrdIdGenerator, OrderIdSalt};
use penstock_types::vocab::{ExecutionIntent, OrderRole, OrderType, Side, TimeInForce};
use penstock_types::{Decimal, PositionId, Symbol};
use sqlx::{PgConnection, PgPool};

/// What a verb may take here.
const LIMIT: Duration = Duration::from_millis(500);
/// Longest wait for what takes a moment on an idle machine.
const LONGEST: Duration = Duration::from_secs(60);

/// A session's store whose statements the server itself never ends, and somebody who can hold them up.
struct World {
    store: ExecStore,
    pool: PgPool,
    holder: PgConnection,
    _pair: TestPair,
}

impl World {
    async fn new() -> Self {
        let (pair, _, _) = fenced().await;
        let patient = PoolSettings {
            lock_timeout_ms: 0,
            statement_timeout_ms: 0,
            ..PoolSettings::service("penstock-test", 4)
        };
        let url = pair.url(ClusterRole::Decision, "exec_rw");
        let pool = open(&url, ClusterRole::Decision, &patient, LONGEST).await.unwrap();
        let owner = pair.pool(ClusterRole::Decision, SUPERUSER_LOGIN).await.unwrap();
        let holder = owner.acquire().await.unwrap().detach();
        let store = ExecStore::new(pool.clone(), "test", TOKEN, SESSION);
        sqlx::query(
            "insert into positions (position_id, symbol, status, origin, opened_at, base_qty,
                cost_basis_quote, updated_at)
             overriding system value
             values (1, 'BTC/USD', 'open', 'external', now(), 1, 100, now())",
        )
        .execute(&pool)
        .await
        .unwrap();
        Self { store, pool, holder, _pair: pair }
    }

    async fn say(&mut self, text: &'static str) {
        sqlx::raw_sql(text).execute(&mut self.holder).await.unwrap();
    }

    /// A stop of the position, within the limit.
    async fn persist(&self) -> Result<PersistedOrder, WriteError> {
        let order = stop();
        let verb = self.store.persist_reduce(&order, NOW, NOW);
        self.store.within(LIMIT, "persist a reduce order", verb).await
    }

    async fn orders(&self) -> i64 {
        let counted = sqlx::query_scalar("select count(*) from execution_orders");
        counted.fetch_one(&self.pool).await.unwrap()
    }

    async fn until_back(&self) {
        let end = Instant::now() + LONGEST;
        while let Err(error) = self.store.probe().await {
            assert!(error.is_outage(), "{error}");
            assert!(Instant::now() < end, "{error}");
        }
    }
}

fn stop() -> NewOrder {
    let mut ids = ClOrdIdGenerator::new(&OrderIdSalt([3; 32]), TOKEN).unwrap();
    NewOrder {
        cl_ord_id: ids.next(NOW.millis()).unwrap(),
        symbol: Symbol::new("BTC/USD").unwrap(),
        side: Side::Sell,
        role: OrderRole::Protection,
        parent_order_id: None,
        position_id: Some(PositionId(1)),
        intent: ExecutionIntent::Protection,
        order_type: OrderType::StopLoss,
        tif: TimeInForce::Gtc,
        post_only: false,
        limit_price: None,
        trigger_price: Some(Decimal::from(99)),
        qty: Decimal::ONE,
        deadline_at: None,
        expire_at: None,
        exit_policy: None,
        exit_reason: None,
        entry: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_without_an_answer_is_unknown_and_settled_before_the_cluster_is_back() {
    // given commits that stand still on the server
    let mut world = World::new().await;
    world
        .say(
            "create function hold() returns trigger language plpgsql as
                'begin perform pg_advisory_xact_lock_shared(42); return null; end';
             create constraint trigger hold after insert on penstock.execution_orders
                deferrable initially deferred for each row execute function hold();
             select pg_advisory_lock(42)",
        )
        .await;
    // when a stop is persisted
    let error = world.persist().await.unwrap_err();
    // then its outcome is unknown, and the cluster is not back while it still may come about
    assert!(error.commit_unknown(), "{error}");
    assert!(error.is_outage());
    let still = world.store.probe().await.unwrap_err();
    assert!(still.is_outage(), "{still}");
    assert_eq!(world.orders().await, 0);
    // and when the server goes on, what is read after the probe is all that there will be
    world.say("select pg_advisory_unlock(42)").await;
    world.until_back().await;
    assert_eq!(world.orders().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_without_an_answer_leaves_nothing_behind() {
    // given statements that stand still on the server
    let mut world = World::new().await;
    world.say("begin; lock table penstock.execution_orders in exclusive mode").await;
    // when a stop is persisted
    let error = world.persist().await.unwrap_err();
    // then the cluster is away, and nothing was committed
    assert!(!error.commit_unknown(), "{error}");
    assert!(error.is_outage());
    assert!(world.store.probe().await.unwrap_err().is_outage());
    // and nothing ever will be
    world.say("commit").await;
    world.until_back().await;
    assert_eq!(world.orders().await, 0);
    // while the same stop is persisted once rows can be written
    world.persist().await.unwrap();
    assert_eq!(world.orders().await, 1);
}
