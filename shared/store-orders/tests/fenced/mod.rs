//! A decision cluster on which one session of an execution holds the fence.

use penstock_store::ClusterRole;
use penstock_store::testing::TestPair;
use penstock_store_decision::sessions;
use penstock_store_orders::ExecStore;
use penstock_types::{FencingToken, SessionId, UtcMicros, Uuid};
use sqlx::PgPool;

/// When the session began.
pub(crate) const NOW: UtcMicros = UtcMicros(1_771_243_200_000_000);
/// Its token.
pub(crate) const TOKEN: FencingToken = FencingToken(7);
/// The session.
pub(crate) const SESSION: SessionId = SessionId(Uuid::from_u128(7));

/// The clusters, what the service may do on the decision cluster, and the session's store.
pub(crate) async fn fenced() -> (TestPair, PgPool, ExecStore) {
    let pair = TestPair::new().await.unwrap();
    let pool = pair.pool(ClusterRole::Decision, "exec_rw").await.unwrap();
    sqlx::query(
        "insert into service_fences (service, domain, fencing_token, holder_id, holder_host,
            holder_pid, acquired_at, renewed_at, lease_expires_at)
         values ('execution', 'test', 7, gen_random_uuid(), 'host', 1, now(), now(),
            now() + interval '1 hour')",
    )
    .execute(&pool)
    .await
    .unwrap();
    let cash = "insert into exchange_balances (asset, balance, as_of, source, updated_at)
        values ('USD', 1000000, now(), 'test', now())";
    sqlx::query(cash).execute(&pool).await.unwrap();
    let start = sessions::SessionStart {
        session_id: SESSION,
        domain: "test",
        mode: "attach",
        fencing_token: TOKEN,
        host: "host",
        pid: 1,
        git_commit: "none",
        git_dirty: false,
        config_hash: "none",
        started_at: NOW,
    };
    sessions::start(&pool, &start).await.unwrap();
    let store = ExecStore::new(pool.clone(), "test", TOKEN, SESSION);
    (pair, pool, store)
}
