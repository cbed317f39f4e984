//! Runs the migration library over this product's own driver: one driver, one TLS stack, and the
//! same history table as the stock one.
//!
//! A migration whose text starts with `-- no-transaction` is executed statement by statement
//! outside a transaction (for `create index concurrently`); it must be idempotent. All others are
//! rolled back wholly when they fail.

use refinery_core::Migration;
use refinery_core::traits::r#async::{AsyncMigrate, AsyncQuery, AsyncTransaction};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const NO_TRANSACTION: &str = "-- no-transaction";

pub(super) struct Adapter<'c>(pub(super) &'c mut PgConnection);

impl AsyncTransaction for Adapter<'_> {
    type Error = sqlx::Error;

    async fn execute<'a, T: Iterator<Item = &'a str> + Send + 'a>(
        &'a mut self,
        queries: T,
    ) -> Result<usize, Self::Error> {
        let texts: Vec<&str> = queries.collect();
        if texts.first().is_some_and(|text| text.starts_with(NO_TRANSACTION)) {
            for statement in texts.iter().flat_map(|text| split_statements(text)) {
                sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *self.0).await?;
            }
            return Ok(texts.len());
        }
        let mut tx = self.0.begin().await?;
        for text in &texts {
            sqlx::raw_sql(AssertSqlSafe((*text).to_owned())).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(texts.len())
    }
}

impl AsyncQuery<Vec<Migration>> for Adapter<'_> {
    async fn query<'a>(&'a mut self, query: &'a str) -> Result<Vec<Migration>, Self::Error> {
        let rows = sqlx::raw_sql(AssertSqlSafe(query.to_owned())).fetch_all(&mut *self.0).await?;
        rows.iter()
            .map(|row| {
                let applied_on: String = row.try_get(2)?;
                let applied_on = OffsetDateTime::parse(&applied_on, &Rfc3339)
                    .map_err(|e| sqlx::Error::Decode(Box::new(e)))?;
                let checksum: String = row.try_get(3)?;
                let checksum = checksum
                    .parse()
                    .map_err(|e: std::num::ParseIntError| sqlx::Error::Decode(Box::new(e)))?;
                Ok(Migration::applied(row.try_get(0)?, row.try_get(1)?, applied_on, checksum))
            })
            .collect()
    }
}

impl AsyncMigrate for Adapter<'_> {}

/// Splits a text at semicolons that end a line. Enough for migrations outside a transaction, which
/// are index builds; function bodies belong into ordinary migrations.
fn split_statements(text: &str) -> Vec<String> {
    let mut statements = Vec::new();
    let mut current = String::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with("--")) {
        current.push_str(line);
        current.push('\n');
        if line.trim_end().ends_with(';') {
            statements.push(core::mem::take(&mut current));
        }
    }
    if !current.trim().is_empty() {
        statements.push(current);
    }
    statements.retain(|s| !s.trim().is_empty());
    statements
}

#[cfg(test)]
mod tests {
    use super::split_statements;

    #[test]
    fn statements_outside_a_transaction_are_split_at_line_ends() {
        let text = "-- no-transaction\ncreate index concurrently a\n    on t (x);\ninsert into h values (1)";

        let statements = split_statements(text);

        assert_eq!(statements.len(), 2);
        assert!(statements[0].contains("on t (x);"));
        assert!(statements[1].starts_with("insert"));
    }
}
