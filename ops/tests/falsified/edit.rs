//! One column of one row, changed and put back.

use penstock_store::ClusterRole;
use penstock_store::testing::{SUPERUSER_LOGIN, TestPair};
use sqlx::{AssertSqlSafe, PgPool};

/// What is changed.
pub(crate) struct Edit {
    pub(crate) cluster: ClusterRole,
    pub(crate) table: &'static str,
    pub(crate) column: &'static str,
    /// Picks the row; the first of those that it fits is taken.
    pub(crate) which: String,
    /// The new value, as an expression over the row.
    pub(crate) to: String,
}

/// A change that can be taken back.
pub(crate) struct Undo {
    pool: PgPool,
    text: String,
}

impl Edit {
    /// Changes the row as the superuser, who alone may.
    pub(crate) async fn apply(&self, pair: &TestPair) -> Undo {
        let Self { table, column, which, to, .. } = self;
        let pool = pair.pool(self.cluster, SUPERUSER_LOGIN).await.unwrap();
        let find = format!(
            "select tableoid::regclass::text, ctid::text, {column}::text from {table}
            where {which} order by ctid limit 1"
        );
        let (part, before, old): (String, String, Option<String>) =
            sqlx::query_as(AssertSqlSafe(find)).fetch_one(&pool).await.unwrap();
        let change = format!(
            "update {part} set {column} = {to} where ctid = '{before}' returning ctid::text"
        );
        let after: String =
            sqlx::query_scalar(AssertSqlSafe(change)).fetch_one(&pool).await.unwrap();
        // The literal takes the type of the column.
        let old = old.map_or("null".to_owned(), |old| format!("'{}'", old.replace('\'', "''")));
        let text = format!("update {part} set {column} = {old} where ctid = '{after}'");
        Undo { pool, text }
    }
}

impl Undo {
    /// Puts the old value back.
    pub(crate) async fn apply(self) {
        let done = sqlx::raw_sql(AssertSqlSafe(self.text)).execute(&self.pool).await.unwrap();
        assert_eq!(done.rows_affected(), 1);
        self.pool.close().await;
    }
}
