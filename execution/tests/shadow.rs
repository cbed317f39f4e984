//! A refused candidate on a real decision cluster: it opens a shadow trade, a published price ends it, its cell learns.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod rig;

use std::sync::Arc;
use std::time::{Duration, Instant};

use penstock_execution::context::Context;
use penstock_execution::cycle::stored::repeats;
use penstock_execution::cycle::{Evaluator, LoopEnd, run_loop};
use penstock_execution::quotes::run_reader;
use penstock_execution::wake::Wakes;
use penstock_store::testing::TestPair;
use penstock_trading::fixtures::{dec, symbol};
use penstock_types::Decimal;
use rig::{Ledgerless, Market, N, PICTURE, Picture, market, session, settings, until};
use tokio_util::sync::CancellationToken;

/// Everything a tenth cheaper: below every stop.
const FALLEN: Picture = Picture { mid_ticks: 9_000, hot: true };
/// Steps of publications until something has happened, at most.
const STEPS_MAX: i64 = 80;

struct Rig {
    _pair: TestPair,
    market: Market,
    context: Context,
    account: Arc<Ledgerless>,
    published: i64,
    beat: tokio::time::Interval,
    _session: penstock_execution::attach::Session,
    _state_dir: tempfile::TempDir,
}

impl Rig {
    async fn new(more: &str) -> Self {
        let pair = TestPair::new().await.unwrap();
        let state_dir = tempfile::tempdir().unwrap();
        let mut market = market(&pair).await;
        let session = session(&pair, settings(&pair, state_dir.path(), true, more)).await;
        market.epoch(1).await.unwrap();
        let context = session.context.clone();
        let (pool, quotes) = (context.pool.clone(), context.quotes.clone());
        tokio::spawn(run_reader(pool, quotes, Arc::new(Wakes::default()), context.end.clone()));
        let period = Duration::from_millis(260);
        let mut beat = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        Self {
            _pair: pair,
            market,
            context,
            account: Arc::default(),
            published: 0,
            beat,
            _session: session,
            _state_dir: state_dir,
        }
    }

    /// Evaluations as in the service, until the token that comes back is cancelled.
    fn run(&self) -> (CancellationToken, tokio::task::JoinHandle<LoopEnd>) {
        let stop = CancellationToken::new();
        let context = Context { stop: stop.clone(), ..self.context.clone() };
        (stop, tokio::spawn(run_loop(context, Arc::clone(&self.account), Arc::default())))
    }

    async fn publish(&mut self, picture: Picture) {
        self.beat.tick().await;
        self.published += 1;
        sqlx::query(
            "update service_fences set lease_expires_at = clock_timestamp() + interval '15 s'
             where service = 'ingest' and domain = 'test'",
        )
        .execute(&self.market.pool)
        .await
        .unwrap();
        let tick = self.market.frame(picture).await.unwrap();
        self.market.generation(self.published, picture).await.unwrap();
        let board = self.context.quotes.clone();
        until("the frame", || board.table().tick_id == tick).await;
        self.context.mode.judge();
    }

    /// Publishes until so many shadow trades of the hot symbol that `which` are there.
    async fn until(&mut self, picture: Picture, which: &str, wanted: i64) {
        let text = format!("select count(*) from shadow_trades where symbol = $1 and {which}");
        for _ in 0..STEPS_MAX {
            self.publish(picture).await;
            let found: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(text.clone()))
                .bind(symbol(N - 1).as_str())
                .fetch_one(&self.context.pool)
                .await
                .unwrap();
            if found >= wanted {
                return;
            }
        }
        panic!("{wanted} with {which} did not come: {:?}", self.context.mode.view());
    }
}

/// Number, stop, outcome, result, costs of the candidate, furthest against it.
type Row = (i64, Decimal, String, Option<Decimal>, Decimal, Option<Decimal>);

async fn first_two(context: &Context) -> Vec<Row> {
    sqlx::query_as(
        "select s.shadow_id, s.sl_price, s.outcome, s.result_bps, c.fee_entry_bps + c.fee_exit_bps
             + c.slip_entry_bps + c.slip_exit_bps + c.spread_net_bps + c.exit_drag_bps
             + c.tsl_drag_bps + c.wait_risk_bps, s.mae_bps
         from shadow_trades s join evaluation_candidates c using (evaluation_id, symbol, strategy,
             route_type, horizon)
         where s.direction = 'LONG' and s.strategy = 'Momentum' order by 1 limit 2",
    )
    .fetch_all(&context.pool)
    .await
    .unwrap()
}

async fn cell(context: &Context) -> Option<(Decimal, Decimal, Decimal, Decimal)> {
    sqlx::query_as(
        "select n, mean_net_bps, ewma_net_bps, hit_rate from strategy_scores
         where strategy = 'Momentum' and regime = 'HIGH_VOLATILITY'
           and route_type = 'BreakoutContinuation'",
    )
    .fetch_optional(&context.pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_refused_breakout_is_stopped_out_by_a_published_price_and_weighs_a_quarter_in_its_cell() {
    // given: a session in which the strategy of the hot symbol is a shadow
    let more = "strategy_momentum = \"shadow\"\nlive_evaluation_interval_secs = 1\n";
    let mut rig = Rig::new(more).await;
    let (stop, evaluations) = rig.run();
    // when: its candidates are refused in NORMAL
    rig.until(PICTURE, "outcome = 'pending'", 2).await;
    // then: one for each horizon that pays its fees is pending, however often it is refused again
    for _ in 0..6 {
        rig.publish(PICTURE).await;
    }
    rig.until(PICTURE, "direction = 'LONG' and strategy = 'Momentum'", 2).await;
    let opened = first_two(&rig.context).await;
    assert!(opened.iter().all(|row| row.2 == "pending"), "{opened:?}");
    assert_eq!(cell(&rig.context).await, None);

    // when: the service is another one, and a publication shows a price below their stops
    stop.cancel();
    assert_eq!(evaluations.await.unwrap(), LoopEnd::Stopped);
    let (stop, evaluations) = rig.run();
    rig.until(FALLEN, "outcome = 'sl'", 2).await;
    rig.publish(FALLEN).await;

    // then: each has lost its stop's distance and its costs
    let ended = first_two(&rig.context).await;
    let mut mean = Decimal::ZERO;
    for (id, stop, outcome, result, cost, against) in &ended {
        assert_eq!(outcome, "sl", "{id}");
        let gross = (stop - dec("100")) * dec("100");
        assert_eq!(result.unwrap().normalize(), (gross - cost).normalize(), "{id}");
        assert_eq!(against.unwrap(), dec("-1000"), "{id}");
        mean += result.unwrap() / dec("2");
    }
    // and: their cell has half a result
    let (n, mean_net, ewma, hits) = cell(&rig.context).await.unwrap();
    assert_eq!((n, hits), (dec("0.5"), dec("0")));
    assert!((mean_net - mean).abs() < dec("0.001"), "{mean_net} {mean}");
    assert!(ewma < dec("-10"), "what the cell would have traded: {ewma}");
    assert!(rig.account.requests.lock().unwrap().is_empty(), "nothing was sent");

    // and: what was stored of each cycle repeats its decision
    stop.cancel();
    assert_eq!(evaluations.await.unwrap(), LoopEnd::Stopped);
    rig.context.end.cancel();
    let stored: Vec<(Vec<u8>, String, String, serde_json::Value, String)> = sqlx::query_as(
        "select i.input, i.input_hash, i.outcome_hash, c.config, config_hash
         from cycle_inputs i join exec_configs c using (config_hash)",
    )
    .fetch_all(&rig.context.pool)
    .await
    .unwrap();
    assert!(!stored.is_empty());
    for (input, input_hash, outcome_hash, config, key) in &stored {
        assert!(repeats(input, input_hash, outcome_hash, (key, config)).unwrap());
    }
}

#[tokio::test]
async fn a_limit_of_zero_opens_none() {
    let more = "strategy_momentum = \"shadow\"\nlive_evaluation_interval_secs = 1\n\
                shadow_max_per_cycle = 0\n";
    let mut rig = Rig::new(more).await;
    let mut evaluator = Evaluator::new(rig.context.clone(), Arc::clone(&rig.account));
    let started = Instant::now();
    let refused = loop {
        rig.publish(PICTURE).await;
        evaluator.evaluate(penstock_types::vocab::Trigger::Generation).await;
        let refused: i64 = sqlx::query_scalar(
            "select count(*) from evaluation_candidates where decision = 'shadow'
               and blocker = 'StrategyMismatch'",
        )
        .fetch_one(&rig.context.pool)
        .await
        .unwrap();
        if refused > 0 || started.elapsed() > Duration::from_secs(20) {
            break refused;
        }
    };
    assert!(refused > 0);
    let shadows: i64 = sqlx::query_scalar("select count(*) from shadow_trades")
        .fetch_one(&rig.context.pool)
        .await
        .unwrap();
    assert_eq!(shadows, 0);
    rig.context.end.cancel();
}
