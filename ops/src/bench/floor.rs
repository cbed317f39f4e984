//! Purpose: what the disk and the cluster give at best: one durable commit of one row. Inputs: a
//! connection. Outputs: its time. Invariants: measured in the rounds of the bench that it stands beside,
//! on the same cluster; the table is the bench's own.

use std::time::{Duration, Instant};

use sqlx::PgConnection;

/// A connection with a table for one-row commits.
#[derive(Debug)]
pub(super) struct Floor {
    conn: PgConnection,
    n: i64,
}

impl Floor {
    /// Makes the table.
    ///
    /// # Errors
    /// The driver's.
    pub(super) async fn new(mut conn: PgConnection) -> Result<Self, sqlx::Error> {
        sqlx::raw_sql("create table bench_floor (n bigint primary key, at timestamptz not null)")
            .execute(&mut conn)
            .await?;
        Ok(Self { conn, n: 0 })
    }

    /// Inserts and commits one row.
    ///
    /// # Errors
    /// The driver's.
    pub(super) async fn commit(&mut self) -> Result<Duration, sqlx::Error> {
        self.n += 1;
        let started = Instant::now();
        sqlx::query("insert into bench_floor (n, at) values ($1, clock_timestamp())")
            .bind(self.n)
            .execute(&mut self.conn)
            .await?;
        Ok(started.elapsed())
    }
}
