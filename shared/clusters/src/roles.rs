//! Purpose: roles and the schema of a cluster. Inputs: an open connection of a superuser. Outputs: the
//! roles, once per cluster; the schema with its default grants, once per database. Invariants: the
//! owner cannot log in; the other roles hold grants and are its members without inheriting; running it
//! twice changes nothing. Grants on tables come with the migrations, not from here.

use sqlx::{Connection, PgConnection};

use crate::kind::ClusterKind;

/// The whole script that an administrator runs on an external cluster.
#[must_use]
pub const fn script(kind: ClusterKind) -> &'static str {
    match kind {
        ClusterKind::Ingest => include_str!("../../../migrations/roles/ingest.sql"),
        ClusterKind::Decision => include_str!("../../../migrations/roles/decision.sql"),
    }
}

/// The script in two parts: what belongs to the cluster, and what belongs to one database of it.
fn parts(kind: ClusterKind) -> (String, String) {
    let (mut roles, mut schema) = (String::new(), String::new());
    for statement in script(kind).lines().filter(|line| !line.starts_with("--")) {
        let of_database = ["create schema ", "grant usage on schema ", "alter default privileges "]
            .iter()
            .any(|start| statement.starts_with(start));
        let part = if of_database { &mut schema } else { &mut roles };
        part.push_str(statement);
        part.push('\n');
    }
    (roles, schema)
}

/// Makes roles and schema where they are missing.
///
/// # Errors
/// Whatever the server says; the transaction is then undone.
pub async fn install(connection: &mut PgConnection, kind: ClusterKind) -> Result<(), sqlx::Error> {
    let (roles, schema) = parts(kind);
    let mut transaction = connection.begin().await?;
    // Two databases of one cluster may be prepared at the same moment; roles belong to the cluster.
    sqlx::raw_sql("select pg_advisory_xact_lock(7421907365412803)")
        .execute(&mut *transaction)
        .await?;
    let has_roles: bool =
        sqlx::query_scalar("select exists (select from pg_roles where rolname = 'penstock_owner')")
            .fetch_one(&mut *transaction)
            .await?;
    if !has_roles {
        sqlx::raw_sql(sqlx::AssertSqlSafe(roles)).execute(&mut *transaction).await?;
    }
    let has_schema: bool =
        sqlx::query_scalar("select exists (select from pg_namespace where nspname = 'penstock')")
            .fetch_one(&mut *transaction)
            .await?;
    if !has_schema {
        sqlx::raw_sql(sqlx::AssertSqlSafe(schema)).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}

#[cfg(test)]
mod tests {
    use super::{parts, script};
    use crate::ClusterKind;

    #[test]
    fn every_statement_is_one_line_in_exactly_one_part() {
        for kind in ClusterKind::ALL {
            let (roles, schema) = parts(kind);
            let statements = |text: &str| text.lines().filter(|line| !line.is_empty()).count();
            assert_eq!(statements(&schema), 3, "{schema}");
            for line in roles.lines().chain(schema.lines()).filter(|line| !line.is_empty()) {
                assert!(line.ends_with(';'), "a statement of one line: {line}");
            }
            let all = script(kind).lines().filter(|line| line.ends_with(';')).count();
            assert_eq!(statements(&roles) + statements(&schema), all);
            for role in kind.login_roles() {
                assert!(roles.contains(&format!("create role {role} login")), "{role}");
            }
        }
    }
}
