//! Causes of a symbol's safety mode on a real decision cluster: a live one is never weakened.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use penstock_store::ClusterRole;
use penstock_store::testing::TestPair;
use penstock_store_orders::ExecStore;
use penstock_types::vocab::SafetyMode;
use penstock_types::{FencingToken, SessionId, Symbol, UtcMicros, Uuid};
use sqlx::PgPool;

const CAUSE: &str = "order_reject";
const IN_A_CENTURY: UtcMicros = UtcMicros(4_927_000_000_000_000);

fn later(hours: i64) -> UtcMicros {
    IN_A_CENTURY.plus_millis(hours * 3_600_000)
}

/// A cause: mode, end in hours, and whether it is a quarantine.
type Put = (SafetyMode, Option<i64>, bool);

async fn put(store: &ExecStore, symbol: &Symbol, cause: &str, (mode, hours, is_quarantine): Put) {
    let until = hours.map(later);
    let stored = if is_quarantine {
        store.quarantine_symbol(symbol, cause, mode, "r", until).await
    } else {
        store.set_symbol_cause(symbol, cause, mode, "r", until).await
    };
    stored.unwrap();
}

async fn stands(pool: &PgPool, symbol: &Symbol) -> (String, Option<i64>, bool) {
    let row: (String, Option<chrono::DateTime<chrono::Utc>>, bool) = sqlx::query_as(
        "select mode, expires_at, coalesce(detail ->> 'quarantine', 'false') = 'true'
         from symbol_safety_state where symbol = $1",
    )
    .bind(symbol.as_str())
    .fetch_one(pool)
    .await
    .unwrap();
    let hours = row.1.map(|at| UtcMicros::from(at).millis_since(IN_A_CENTURY) / 3_600_000);
    (row.0, hours, row.2)
}

#[tokio::test]
async fn the_stricter_mode_the_later_end_and_the_quarantine_stand() {
    use SafetyMode::{ExitOnly, Quiet};
    let pair = TestPair::new().await.unwrap();
    let pool = pair.pool(ClusterRole::Decision, "exec_rw").await.unwrap();
    let session = SessionId(Uuid::from_u128(7));
    let store = ExecStore::new(pool.clone(), "test", FencingToken(7), session);
    type Wanted = (&'static str, Option<i64>, bool);
    let cases: [(Put, Put, Wanted); 8] = [
        ((Quiet, Some(1), false), (Quiet, Some(2), false), ("quiet", Some(2), false)),
        ((Quiet, Some(2), true), (Quiet, Some(1), false), ("quiet", Some(2), true)),
        ((Quiet, Some(1), false), (Quiet, Some(2), true), ("quiet", Some(2), true)),
        ((ExitOnly, Some(1), false), (Quiet, Some(2), true), ("exit_only", Some(2), true)),
        ((Quiet, Some(2), true), (ExitOnly, Some(1), false), ("exit_only", Some(2), true)),
        ((ExitOnly, None, false), (Quiet, Some(1), false), ("exit_only", None, false)),
        ((Quiet, Some(1), false), (ExitOnly, None, true), ("exit_only", None, true)),
        // A cause that has ended long ago counts for nothing.
        ((ExitOnly, Some(-1_000_000), true), (Quiet, Some(1), false), ("quiet", Some(1), false)),
    ];
    for (n, (first, second, wanted)) in cases.into_iter().enumerate() {
        let symbol = Symbol::new(&format!("S{n}/USD")).unwrap();
        put(&store, &symbol, CAUSE, first).await;
        put(&store, &symbol, CAUSE, second).await;
        let wanted = (wanted.0.to_owned(), wanted.1, wanted.2);
        assert_eq!(stands(&pool, &symbol).await, wanted, "{first:?}, then {second:?}");
    }
    // What a person says replaces what they said before.
    let symbol = Symbol::new("P/USD").unwrap();
    put(&store, &symbol, "operator", (SafetyMode::HardBlocked, None, false)).await;
    put(&store, &symbol, "operator", (Quiet, Some(1), false)).await;
    assert_eq!(stands(&pool, &symbol).await, ("quiet".to_owned(), Some(1), false));
}
