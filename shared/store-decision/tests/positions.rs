//! What the database refuses of positions.

use penstock_store::ClusterRole;
use penstock_store::testing::TestPair;
use sqlx::PgPool;

async fn add(pool: &PgPool, symbol: &str, status: &str) -> Result<(), String> {
    let closed = (status == "closed").then_some("2026-07-07T00:00:00Z");
    let base = if status == "closed" { "0" } else { "1" };
    let row = "insert into positions (symbol, status, origin, opened_at, closed_at, base_qty,
        cost_basis_quote, updated_at)
        values ($1, $2, 'strategy', now(), $3::timestamptz, $4::numeric, 1, now())";
    let done =
        sqlx::query(row).bind(symbol).bind(status).bind(closed).bind(base).execute(pool).await;
    done.map(|_| ()).map_err(|error| {
        let of_database = error.as_database_error().and_then(|e| e.constraint());
        of_database.map_or_else(|| error.to_string(), str::to_owned)
    })
}

#[tokio::test]
async fn unique_open_position() {
    let pair = TestPair::new().await.unwrap();
    let pool = pair.pool(ClusterRole::Decision, "exec_rw").await.unwrap();
    for (n, first, second, refused) in [
        (0, "open", "open", true),
        (1, "open", "closing", true),
        (2, "closing", "open", true),
        (3, "closing", "closing", true),
        (4, "open", "dust", false),
        (5, "dust", "open", false),
        (6, "dust", "dust", false),
        (7, "closed", "open", false),
        (8, "closing", "closed", false),
        (9, "closed", "closed", false),
    ] {
        let symbol = format!("S{n}/USD");
        assert_eq!(add(&pool, &symbol, first).await, Ok(()));
        let wanted = if refused { Err("positions_one_open".to_owned()) } else { Ok(()) };
        assert_eq!(add(&pool, &symbol, second).await, wanted, "{first}, then {second}");
    }
    // One per symbol, not one in all; and the next one after the first has closed.
    assert_eq!(add(&pool, "A/USD", "open").await, Ok(()));
    assert_eq!(add(&pool, "B/USD", "open").await, Ok(()));
    let close = "update positions set status = 'closed', closed_at = now(), base_qty = 0
        where symbol = 'A/USD'";
    sqlx::query(close).execute(&pool).await.unwrap();
    assert_eq!(add(&pool, "A/USD", "open").await, Ok(()));
}
