//! The hash of an intent on a real decision cluster: it costs no reading of whole tables, and no order waits for it.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod fenced;

use fenced::{NOW, TOKEN, fenced};
use penstock_store::testing::TestPair;
use penstock_store_orders::ExecStore;
use penstock_store_orders::orders::transition::Knowledge;
use penstock_store_orders::orders::{EventNote, NewOrder};
use penstock_trading::order::OrderEvent;
use penstock_types::cl_ord_id::{ClOrdIdGenerator, OrderIdSalt};
use penstock_types::vocab::{ExecutionIntent, OrderRole, OrderType, Side, TimeInForce};
use penstock_types::{Decimal, OrderId, PositionId, Symbol};
use sqlx::PgPool;

/// What is read around an order while it is let out.
const AROUND: &str = include_str!("../queries/intent_around.sql");

struct World {
    store: ExecStore,
    pool: PgPool,
    ids: ClOrdIdGenerator,
    _pair: TestPair,
}

impl World {
    async fn new() -> Self {
        let (pair, pool, store) = fenced().await;
        let ids = ClOrdIdGenerator::new(&OrderIdSalt([3; 32]), TOKEN).unwrap();
        Self { store, pool, ids, _pair: pair }
    }

    async fn position(&self, id: i64, symbol: &str) -> PositionId {
        sqlx::query(
            "insert into positions (position_id, symbol, status, origin, opened_at, base_qty,
                cost_basis_quote, updated_at)
             overriding system value
             values ($1, $2, 'open', 'external', now(), 1, 100, now())",
        )
        .bind(id)
        .bind(symbol)
        .execute(&self.pool)
        .await
        .unwrap();
        PositionId(id)
    }

    fn stop(&mut self, symbol: &str, position: PositionId) -> NewOrder {
        NewOrder {
            cl_ord_id: self.ids.next(NOW.millis()).unwrap(),
            symbol: Symbol::new(symbol).unwrap(),
            side: Side::Sell,
            role: OrderRole::Protection,
            parent_order_id: None,
            position_id: Some(position),
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

    async fn earlier(&self, id: OrderId) -> i64 {
        let text = format!("select \"earlier!\" from ({}) q", AROUND.trim_end());
        let asked = sqlx::query_scalar(sqlx::AssertSqlSafe(text)).bind(id.0);
        asked.fetch_one(&self.pool).await.unwrap()
    }
}

#[tokio::test]
async fn a_stop_goes_out_without_a_hash_where_none_can_be_taken_of_it() {
    // given a position whose number is beyond what every reader of JSON keeps
    let mut world = World::new().await;
    let beyond = world.position(9_007_199_254_740_993, "BTC/USD").await;
    let order = world.stop("BTC/USD", beyond);
    // when its stop is persisted, then it may be sent
    let sent = world.store.persist_reduce(&order, NOW, NOW).await.unwrap();
    // and its event says no hash
    assert_eq!(sent.intent_hash(), "");
    assert_eq!(world.store.intent_hash_of(sent.record().order_id).await.unwrap(), None);
    // while a position with another number has one
    let plain = world.position(7, "ETH/USD").await;
    let order = world.stop("ETH/USD", plain);
    let sent = world.store.persist_reduce(&order, NOW, NOW).await.unwrap();
    assert_eq!(sent.intent_hash().len(), 64);
    let stored = world.store.intent_hash_of(sent.record().order_id).await.unwrap();
    assert_eq!(stored.as_deref(), Some(sent.intent_hash()));
}

#[tokio::test]
async fn what_an_order_follows_is_counted_by_its_position_or_by_its_decision() {
    let mut world = World::new().await;
    // given three stops of one position, one after the other, and one of another
    let (one, other) = (world.position(1, "BTC/USD").await, world.position(2, "ETH/USD").await);
    let foreign = world.stop("ETH/USD", other);
    world.store.persist_reduce(&foreign, NOW, NOW).await.unwrap();
    let mut hashes = Vec::new();
    for earlier in 0..3 {
        let order = world.stop("BTC/USD", one);
        let sent = world.store.persist_reduce(&order, NOW, NOW).await.unwrap();
        let id = sent.record().order_id;
        assert_eq!(world.earlier(id).await, earlier);
        hashes.push(sent.intent_hash().to_owned());
        let knows = Knowledge { adoptable: false };
        let note = EventNote::local(NOW);
        world.store.apply(id, OrderEvent::Refused, &note, knows).await.unwrap();
    }
    // then each has a hash of its own, though their terms are equal
    hashes.sort();
    hashes.dedup();
    assert_eq!(hashes.len(), 3);

    // given ended entries: two of a decision, one of another pair, one of another evaluation
    let entries = "with cycles as (
            insert into evaluation_cycles (session_id, evaluation_index, trigger, started_at,
                sys_mode)
            select session_id, n, 'manual', now(), 'NORMAL'
            from execution_sessions, generate_series(1, 2) n
            returning evaluation_id, evaluation_index)
        insert into execution_orders (cl_ord_id, session_id, fencing_token, epoch_id, snapshot_id,
            generation_id, evaluation_id, symbol, side, role, regime, order_type, tif, quote_tick_id,
            qty, state, state_since, created_at, updated_at)
        select ('00000000-0000-8000-8000-00000007f00' || n)::uuid, s.session_id, 7, 1, 1, 1,
            c.evaluation_id, e.symbol, 'buy', 'entry', 'range', 'market', 'ioc', 1, 1, 'rejected',
            now(), now(), now()
        from (values (1, 1, 'ADA/USD'), (2, 1, 'ADA/USD'), (3, 1, 'DOT/USD'), (4, 2, 'ADA/USD'))
                e (n, cycle, symbol)
            join cycles c on c.evaluation_index = e.cycle, execution_sessions s
        order by n
        returning order_id";
    let ids: Vec<i64> = sqlx::query_scalar(entries).fetch_all(&world.pool).await.unwrap();
    // then an order follows those of its own decision
    let mut counts = Vec::new();
    for id in ids {
        counts.push(world.earlier(OrderId(id)).await);
    }
    assert_eq!(counts, [1, 1, 0, 0]);
}

#[tokio::test]
async fn no_order_is_let_out_by_reading_all_orders() {
    let world = World::new().await;
    let mut conn = world.pool.acquire().await.unwrap();
    // Whatever the size of the table: the plan is one that has an index for each of its looks.
    sqlx::query("set enable_seqscan = off").execute(&mut *conn).await.unwrap();
    let text = format!("explain (costs off) {}", AROUND.replace("$1", "1"));
    let plan: Vec<String> =
        sqlx::query_scalar(sqlx::AssertSqlSafe(text)).fetch_all(&mut *conn).await.unwrap();
    let plan = plan.join("\n");
    for index in ["execution_orders_position", "execution_orders_evaluation"] {
        assert!(plan.contains(&format!("{index} on execution_orders")), "{index}:\n{plan}");
    }
    assert!(!plan.contains("Seq Scan on execution_order"), "{plan}");
}
