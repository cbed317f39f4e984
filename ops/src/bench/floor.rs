//! Purpose: what the disk and the cluster give at best: one durable commit of one row, one synced write of
//! a file. Inputs: a connection, a path. Outputs: their times. Invariants: measured in the rounds of the bench
//! that they stand beside, on the same cluster and disk; table and file are the bench's own.

use std::fs::File;
use std::io::Write;
use std::path::Path;
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

/// A file for synced writes.
#[derive(Debug)]
pub(super) struct DiskFloor {
    file: File,
}

impl DiskFloor {
    /// Makes the file.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn new(path: &Path) -> std::io::Result<Self> {
        Ok(Self { file: File::create_new(path)? })
    }

    /// Appends bytes and puts them on disk.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn sync(&mut self, bytes: &[u8]) -> std::io::Result<Duration> {
        let started = Instant::now();
        self.file.write_all(bytes)?;
        self.file.sync_data()?;
        Ok(started.elapsed())
    }
}
