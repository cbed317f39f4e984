//! Columns of one row, changed and put back.

use penstock_store::ClusterRole;
use penstock_store::testing::{SUPERUSER_LOGIN, TestPair};
use sqlx::{AssertSqlSafe, PgPool};

/// What is changed.
pub(crate) struct Edit {
    pub(crate) cluster: ClusterRole,
    pub(crate) table: &'static str,
    /// Picks the row; the first of those that it fits is taken.
    pub(crate) which: String,
    /// Each column with its new value, an expression over the row.
    pub(crate) sets: Vec<(&'static str, String)>,
}

/// A change that can be taken back.
pub(crate) struct Undo {
    pool: PgPool,
    text: String,
}

impl Edit {
    /// The same row with one more column changed. Two edits of one row could not be put back: each finds it by its
    /// place, and the second moves it.
    pub(crate) fn and(mut self, column: &'static str, to: impl Into<String>) -> Self {
        self.sets.push((column, to.into()));
        self
    }

    /// Changes the row as the superuser, who alone may.
    pub(crate) async fn apply(&self, pair: &TestPair) -> Undo {
        let Self { table, which, sets, .. } = self;
        let pool = pair.pool(self.cluster, SUPERUSER_LOGIN).await.unwrap();
        let listed = |each: &dyn Fn(&(&str, String)) -> String| {
            sets.iter().map(each).collect::<Vec<_>>().join(", ")
        };
        let texts = listed(&|(column, _)| format!("{column}::text"));
        let find = format!(
            "select tableoid::regclass::text, ctid::text, array[{texts}] from {table}
            where {which} order by ctid limit 1"
        );
        let (part, before, old): (String, String, Vec<Option<String>>) =
            sqlx::query_as(AssertSqlSafe(find)).fetch_one(&pool).await.unwrap();
        let new = listed(&|(column, to)| format!("{column} = {to}"));
        let change =
            format!("update {part} set {new} where ctid = '{before}' returning ctid::text");
        let after: String =
            sqlx::query_scalar(AssertSqlSafe(change)).fetch_one(&pool).await.unwrap();
        // The literal takes the type of the column.
        let literal = |old: &Option<String>| {
            old.as_ref().map_or("null".to_owned(), |old| format!("'{}'", old.replace('\'', "''")))
        };
        let back: Vec<String> = sets
            .iter()
            .zip(&old)
            .map(|((column, _), old)| format!("{column} = {}", literal(old)))
            .collect();
        let text = format!("update {part} set {} where ctid = '{after}'", back.join(", "));
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
