//! The daily summary over real rows, under a clock that is moved.

use penstock_store_decision::daily::{self, DailySummary};
use penstock_trading::mode::{ModeTiming, Thresholds};
use penstock_types::UtcMicros;
use sqlx::types::chrono::NaiveDate;

use super::World;
use crate::mode::{ModeHandle, Told};
use crate::report::Reporter;

fn at(text: &str) -> UtcMicros {
    UtcMicros::from(text.parse::<chrono::DateTime<chrono::Utc>>().unwrap())
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

impl World {
    /// The first session of the domain began then.
    async fn began(&self, time: &str) {
        sqlx::query("update execution_sessions set started_at = $1::timestamptz")
            .bind(time.parse::<chrono::DateTime<chrono::Utc>>().unwrap())
            .execute(&self.pool)
            .await
            .unwrap();
    }

    fn reporter(&self, mode: &ModeHandle, since: &str) -> Reporter {
        Reporter::new(self.pool.clone(), "test".to_owned(), mode.clone(), at(since))
    }

    async fn days(&self) -> Vec<(String, bool)> {
        sqlx::query_as("select day::text, late from daily_summary order by day")
            .fetch_all(&self.pool)
            .await
            .unwrap()
    }

    async fn summary(&self, of: &str) -> DailySummary {
        daily::read(&self.pool, Some(day(of))).await.unwrap().unwrap()
    }
}

fn told(receiver: &mut tokio::sync::broadcast::Receiver<Told>) -> Vec<String> {
    let all = std::iter::from_fn(|| receiver.try_recv().ok());
    all.filter_map(|told| match told {
        Told::Daily(row) => Some(row.day.to_string()),
        Told::Mode { .. } | Told::Recovery(_) | Told::Health(_) => None,
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn daily_once() {
    let mut world = World::new().await;
    world.open_session().await;
    world.began("2026-02-16T09:00:00Z").await;
    let timing = ModeTiming { stable_window_ms: 0, pause_auto_recover_feed: true };
    let (mode, _changes) = ModeHandle::new(timing, Thresholds::default());
    let mut listener = mode.told();
    let mut reporter = world.reporter(&mode, "2026-02-16T09:00:00Z");
    // Nothing is due before the day has ended and five seconds have passed.
    for time in ["2026-02-16T09:00:00Z", "2026-02-16T23:59:59Z", "2026-02-17T00:00:04Z"] {
        assert_eq!(reporter.look(at(time)).await.unwrap(), []);
    }
    // The clock passes midnight, is set back over it, and passes it again: one summary.
    assert_eq!(reporter.look(at("2026-02-17T00:00:05Z")).await.unwrap(), [day("2026-02-16")]);
    for time in ["2026-02-16T23:59:50Z", "2026-02-17T00:00:05Z", "2026-02-17T00:00:06Z"] {
        assert_eq!(reporter.look(at(time)).await.unwrap(), []);
    }
    assert_eq!(world.days().await, [("2026-02-16".to_owned(), false)]);
    // So does a process that is started anew in that minute.
    let mut second = world.reporter(&mode, "2026-02-17T00:00:30Z");
    assert_eq!(second.look(at("2026-02-17T00:00:31Z")).await.unwrap(), []);
    // Three days nobody ran: late, oldest first, each once.
    let mut third = world.reporter(&mode, "2026-02-20T06:00:00Z");
    let written = third.look(at("2026-02-20T06:00:01Z")).await.unwrap();
    assert_eq!(written, ["2026-02-17", "2026-02-18", "2026-02-19"].map(day));
    assert_eq!(third.look(at("2026-02-20T06:00:02Z")).await.unwrap(), []);
    let late: Vec<bool> = world.days().await.into_iter().map(|(_, late)| late).collect();
    assert_eq!(late, [false, true, true, true]);
    // Each was told once, in that order.
    assert_eq!(told(&mut listener), ["2026-02-16", "2026-02-17", "2026-02-18", "2026-02-19"]);
    // The next midnight is on time again.
    assert_eq!(third.look(at("2026-02-21T00:00:05Z")).await.unwrap(), [day("2026-02-20")]);
    assert!(!world.summary("2026-02-20").await.late);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_is_what_its_rows_say() {
    let mut world = World::new().await;
    let session = world.session().await;
    world.enter(&session, true).await;
    world.until_word("plan", super::PLAN, "armed").await;
    assert_eq!(session.desk.flatten(None).await, 1);
    world.until_word("position", super::POSITION, "closed").await;
    let today = chrono::Utc::now().date_naive();
    session.kill().await;
    assert!(daily::write(&world.pool, today, false).await.unwrap());
    assert!(!daily::write(&world.pool, today, true).await.unwrap(), "a day is written once");
    let row = daily::read(&world.pool, None).await.unwrap().unwrap();
    assert_eq!((row.day, row.late), (today, false));
    // What was bought at the ask and sold at the bid lost, fees on top.
    assert_eq!((row.trades, row.wins, row.losses), (1, 0, 1), "{row:?}");
    assert!(row.net_pnl_quote < row.gross_pnl_quote);
    assert_eq!(row.net_pnl_quote, row.gross_pnl_quote - row.fees_quote);
    let money = "select sum(net_quote)::text from realized_pnl";
    assert_eq!(
        world.word(money).await.parse::<penstock_types::Decimal>().unwrap(),
        row.net_pnl_quote
    );
    assert_eq!(row.maker_ratio_x10000, Some(0), "both took");
    let measured = "select max(fill_seen_to_protection_ack_us / 1000)::text
        from execution_order_latency";
    assert_eq!(
        row.fill_to_protection_ms_max.map(|ms| ms.to_string()).unwrap_or_default(),
        world.word(measured).await
    );
    assert!(row.uncovered_seconds > penstock_types::Decimal::ZERO, "from the fill to its stop");
    assert_eq!(row.blocks_by_code, serde_json::json!({}));
}
