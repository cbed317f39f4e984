//! Exits by regime: a chaos that tightens while it rises and closes when the rise is taken back.

use penstock_types::Decimal;

use super::{PLAN, POSITION, World};
use crate::account::EntryOutcome;

impl World {
    /// Publishes a generation in which the symbol has this refinement of chaos and this drift.
    async fn publish_chaos(&self, generation: i64, sub: &str, drift_5m_bps: i64) {
        let owner = self.home.pool(penstock_store::testing::SUPERUSER_LOGIN).await;
        let mut tx = owner.begin().await.unwrap();
        let lineage = penstock_types::Uuid::from_u128(1);
        for sql in [
            "insert into observation_runs (run_id, domain, mode, lineage_id, fencing_token, host,
                pid, git_commit, git_dirty, build_profile, config_hash, bindings_hash, bindings,
                schema_version, started_at)
             values (1, 'test', 'ingest', $1, 1, 'h', 1, 'none', false, 'test', 'none',
                decode(repeat('00', 32), 'hex'), '{}', 1, now())
             on conflict do nothing",
            "insert into ingest_lineage (lineage_id, domain, first_run_id, reason, fencing_token,
                config_hash, started_at)
             values ($1, 'test', 1, 'process_start', 1, 'none', now())
             on conflict do nothing",
        ] {
            sqlx::query(sql).bind(lineage).execute(&mut *tx).await.unwrap();
        }
        sqlx::query(
            "insert into run_symbol_state (run_id, symbol, generation_id, updated_at, msg_age_ms,
                ticker_count, trade_count, l2_count, l3_count, ticker_count_w, trade_count_w,
                l2_count_w, l3_count_w, trades_1m, trades_5m, drift_5m_bps, l3_quality, book_ok,
                checksum_fail_w, l3_resync_w, regime, regime_sub, regime_since,
                regime_confidence, feature_complete)
             values (1, $1, $2, now(), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, $3, 0, true, 0, 0, 'CHAOS',
                $4, now(), 1, true)
             on conflict (run_id, symbol) do update set generation_id = $2, drift_5m_bps = $3,
                regime_sub = $4",
        )
        .bind(super::SYMBOL)
        .bind(generation)
        .bind(Decimal::from(drift_5m_bps))
        .bind(sub)
        .execute(&mut *tx)
        .await
        .unwrap();
        sqlx::query(
            "insert into state_publication (domain, run_id, lineage_id, generation_id,
                fencing_token, as_of, as_of_lag_ms, last_msg_age_ms, published_at, row_count,
                content_hash, refresh_duration_ms, gap_open)
             values ('test', 1, $1, $2, 1, now(), 0, 0, now(), 1, '', 1, false)
             on conflict (domain) do update set generation_id = $2, published_at = now()",
        )
        .bind(lineage)
        .bind(generation)
        .execute(&mut *tx)
        .await
        .unwrap();
        tx.commit().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chaos_that_was_met_by_a_tighter_stop_closes_when_its_drift_turns() {
    let mut world = World::new().await;
    let session = world.session().await;
    assert!(matches!(world.enter(&session, true).await, EntryOutcome::Sent { .. }));
    world.until_word("plan", PLAN, "armed").await;
    let before = world.word(STOP).await;
    // when the regime becomes a rising chaos, the stop is tightened, once
    world.publish_chaos(1, "chaos_directional", 30).await;
    world.until_word("plan", PLAN, "trailing").await;
    let tightened = super::until_changed(&world, ON_EXCHANGE, &before).await;
    world.publish_chaos(2, "chaos_directional", 31).await;
    // when the drift turns within the same regime, it closes
    world.publish_chaos(3, "chaos_directional", -1).await;
    world.until_word("position", POSITION, "closed").await;
    world.until_word("reason", REASON, "regime_exit").await;
    assert_eq!(world.word(STOP).await, tightened, "one tightening only");
    world.agrees().await;
    session.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chaos_that_becomes_noise_closes_whatever_its_drift() {
    let mut world = World::new().await;
    let session = world.session().await;
    assert!(matches!(world.enter(&session, true).await, EntryOutcome::Sent { .. }));
    world.until_word("plan", PLAN, "armed").await;
    world.publish_chaos(1, "chaos_directional", 30).await;
    world.until_word("plan", PLAN, "trailing").await;
    world.publish_chaos(2, "chaos_noise", 30).await;
    world.until_word("position", POSITION, "closed").await;
    world.until_word("reason", REASON, "regime_exit").await;
    world.agrees().await;
    session.kill().await;
}

const STOP: &str = "select trim_scale(sl_price)::text from exit_plans";
const ON_EXCHANGE: &str = "select trim_scale(stop_price_on_exchange)::text from exit_plans";
const REASON: &str = "select exit_reason from realized_pnl order by id desc limit 1";
