//! Shadow trades and cells on a real decision cluster: ended once, folded once, under the fence.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod fenced;

use fenced::fenced;
use penstock_store::partitions::{DailyTable, create_daily_partition};
use penstock_store::testing::TestPair;
use penstock_store_orders::ExecStore;
use penstock_store_orders::cells::CellKey;
use penstock_store_orders::shadow::{EndedShadow, PendingShadow};
use penstock_trading::cell::Source;
use penstock_trading::shadow::{Direction, Excursion, ShadowOutcome, Step, step};
use penstock_types::Decimal;
use penstock_types::vocab::{Regime, RouteType, Strategy};
use sqlx::PgPool;

const CELL: CellKey = CellKey {
    strategy: Strategy::Momentum,
    regime: Regime::Trend,
    route_type: RouteType::BreakoutContinuation,
};

fn d(text: &str) -> Decimal {
    Decimal::from_str_exact(text).unwrap()
}

struct World {
    store: ExecStore,
    pool: PgPool,
    _pair: TestPair,
}

impl World {
    async fn new() -> Self {
        let (pair, pool, store) = fenced().await;
        let day = chrono::NaiveDate::from_ymd_opt(2026, 2, 16).unwrap();
        let mut conn = pool.acquire().await.unwrap();
        let table = DailyTable::EvaluationCandidates;
        create_daily_partition(&mut conn, table, day).await.unwrap();
        drop(conn);
        Self { store, pool, _pair: pair }
    }

    /// A candidate that a lock refused, and its shadow trade, as a cycle leaves them.
    async fn open(&self, evaluation: i64, with_candidate: bool) {
        if with_candidate {
            sqlx::query(
                "insert into evaluation_candidates (day, evaluation_id, symbol, ordinal, strategy,
                     route_type, horizon, decision, stage, blocker, regime, fee_entry_bps,
                     fee_exit_bps, slip_entry_bps, slip_exit_bps, spread_net_bps, exit_drag_bps,
                     tsl_drag_bps, wait_risk_bps, surplus_bps, inputs)
                 values ('2026-02-16', $1, 'AAA/USD', 0, 'Momentum', 'BreakoutContinuation',
                     'Short', 'skip', 'DEEP_SCAN', 'SlotLimit', 'TREND', 20, 20, 4, 2, 1, 1, 1, 1,
                     7, '{\"direction\": \"LONG\", \"edge_adj_bps\": \"12\"}')",
            )
            .bind(evaluation)
            .execute(&self.pool)
            .await
            .unwrap();
        }
        sqlx::query(
            "insert into shadow_trades (evaluation_id, symbol, direction, strategy, route_type,
                 horizon, stage, blocker, opened_at, ref_price, tp_price, sl_price, expires_at)
             values ($1, 'AAA/USD', 'LONG', 'Momentum', 'BreakoutContinuation', 'Short',
                 'DEEP_SCAN', 'SlotLimit', '2026-02-16T12:00:00Z', 100, 110, 99,
                 '2026-02-16T12:15:00Z')",
        )
        .bind(evaluation)
        .execute(&self.pool)
        .await
        .unwrap();
    }

    async fn cell(&self) -> Option<(Decimal, Decimal, Decimal, Decimal)> {
        sqlx::query_as(
            "select n, mean_net_bps, ewma_net_bps, mean_expected_bps from strategy_scores",
        )
        .fetch_optional(&self.pool)
        .await
        .unwrap()
    }

    async fn outcomes(&self) -> Vec<(i64, String, Option<Decimal>, Option<Decimal>)> {
        sqlx::query_as(
            "select evaluation_id, outcome, exit_price, result_bps from shadow_trades order by 1",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }
}

/// What a mid of 98 one second after the opening makes of a pending trade.
fn stopped(row: &PendingShadow) -> EndedShadow {
    let at = row.trade.opened_at.plus_millis(1_000);
    let Step::Ended(end) = step(&row.trade, Excursion::default(), Some(d("98")), at) else {
        panic!("{row:?} goes on");
    };
    EndedShadow {
        shadow_id: row.shadow_id,
        expected_bps: row.expected_bps,
        source: row.source,
        end,
    }
}

#[tokio::test]
async fn a_shadow_trade_ends_once_and_is_folded_once_whoever_asks_how_often() {
    let world = World::new().await;
    for evaluation in 1..=4 {
        world.open(evaluation, true).await;
    }
    let pending = world.store.pending_shadows(0, 3).await.unwrap();
    assert_eq!(pending.len(), 3, "at most what was asked for");
    let first = &pending[0];
    assert_eq!((first.cell, first.expected_bps), (Some(CELL), d("12")));
    assert_eq!((first.trade.cost_bps, first.trade.fees_bps), (Some(d("50")), d("40")));
    assert_eq!((first.source, first.way.direction), (Source::ShadowWanted, Direction::Long));
    assert_eq!(first.trade.expires_at, first.trade.opened_at.plus_millis(900_000));
    assert_eq!(world.store.pending_ways().await.unwrap().len(), 1, "four of one way");

    let ends: Vec<EndedShadow> = pending.iter().map(stopped).collect();
    assert_eq!(world.store.end_shadows(Some(CELL), &ends[..2]).await.unwrap(), None);
    // Again, with one that is new: only that one counts.
    world.store.end_shadows(Some(CELL), &ends).await.unwrap();
    world.store.end_shadows(Some(CELL), &ends).await.unwrap();
    let (n, mean, ewma, expected) = world.cell().await.unwrap();
    assert_eq!((n, mean, ewma, expected), (d("0.75"), d("-150"), d("-150"), d("12")));
    let outcomes = world.outcomes().await;
    for (_, outcome, exit, result) in &outcomes[..3] {
        assert_eq!((outcome.as_str(), *exit, *result), ("sl", Some(d("99")), Some(d("-150"))));
    }
    assert_eq!(outcomes[3].1, "pending");
    let left = world.store.pending_shadows(0, 10).await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(world.store.pending_shadows(left[0].shadow_id, 10).await.unwrap(), []);
}

#[tokio::test]
async fn without_its_candidates_row_a_shadow_trade_can_only_become_void() {
    let world = World::new().await;
    world.open(1, false).await;
    let pending = world.store.pending_shadows(0, 10).await.unwrap();
    assert_eq!((pending[0].cell, pending[0].trade.cost_bps), (None, None));
    let end = stopped(&pending[0]);
    assert_eq!(end.end.outcome, ShadowOutcome::Void);
    assert_eq!(world.store.end_shadows(None, &[end]).await.unwrap(), None);
    assert_eq!(world.outcomes().await, [(1, "void".to_owned(), None, None)]);
    assert_eq!(world.cell().await, None);
}

#[tokio::test]
async fn the_result_that_suspends_a_cell_says_so_and_no_other_does() {
    let world = World::new().await;
    world.open(1, true).await;
    world.open(2, true).await;
    sqlx::query(
        "insert into strategy_scores (strategy, regime, route_type, n, mean_net_bps, m2,
             ewma_net_bps, mean_expected_bps, hit_rate, updated_at)
         values ('Momentum', 'TREND', 'BreakoutContinuation', 29.75, -5, 0, -9, 10, 0.4,
             '2026-02-16T11:00:00Z')",
    )
    .execute(&world.pool)
    .await
    .unwrap();
    let pending = world.store.pending_shadows(0, 10).await.unwrap();
    let first = stopped(&pending[0]);
    let suspended = world.store.end_shadows(Some(CELL), &[first]).await.unwrap().unwrap();
    assert_eq!((suspended.key, suspended.ewma_net_bps), (CELL, d("-12.525")));
    assert_eq!(suspended.until, first.end.at.plus_millis(24 * 3_600_000));
    let again = world.store.end_shadows(Some(CELL), &[first, stopped(&pending[1])]).await;
    assert_eq!(again.unwrap(), None);
    assert_eq!(world.cell().await.unwrap().0, d("30.25"));
}

#[tokio::test]
async fn a_session_that_was_fenced_out_ends_nothing() {
    let world = World::new().await;
    world.open(1, true).await;
    let pending = world.store.pending_shadows(0, 10).await.unwrap();
    sqlx::query("update service_fences set fencing_token = 8 where service = 'execution'")
        .execute(&world.pool)
        .await
        .unwrap();
    let error = world.store.end_shadows(Some(CELL), &[stopped(&pending[0])]).await.unwrap_err();
    assert!(error.is_fenced_out(), "{error}");
    assert_eq!(world.outcomes().await[0].1, "pending");
    assert_eq!(world.cell().await, None);
}

/// Sales and shadow trades write the same row from two tasks; its first row comes from both at once.
#[tokio::test]
async fn two_writers_of_a_new_cell_lose_nothing() {
    let world = World::new().await;
    for evaluation in 1..=8 {
        world.open(evaluation, true).await;
    }
    let pending = world.store.pending_shadows(0, 10).await.unwrap();
    let ends: Vec<EndedShadow> = pending.iter().map(stopped).collect();
    let write = |one: EndedShadow| {
        let store = world.store.clone();
        tokio::spawn(async move { store.end_shadows(Some(CELL), &[one]).await.unwrap() })
    };
    let tasks: Vec<_> = ends.iter().copied().map(write).collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(world.cell().await.unwrap().0, d("2"));
}
