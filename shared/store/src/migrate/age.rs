//! Judges how old a cluster's schema is. Pure but for the two reading functions.
//!
//! Input: what the binary embeds, what the history says, what `schema_compat` says. Output: older,
//! current, newer, or a refusal. A set is half applied when its history has a hole or when history
//! and `schema_compat` name different versions: each migration writes both in one transaction, so
//! only a migration outside a transaction, or a hand, can have left them apart.

use sqlx::{AssertSqlSafe, PgConnection, Row};

use super::embedded::KnownVersion;
use super::{MigrationSet, SchemaError};

/// A row of the migration history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedVersion {
    /// Its number.
    pub version: i32,
    /// Its name.
    pub name: String,
    /// Checksum as text, the way the history keeps it.
    pub checksum: String,
}

/// A row of `schema_compat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompatRow {
    /// Version of the set.
    pub version: i32,
    /// Lowest version that a binary must embed to use that schema.
    pub min_binary_schema: i32,
}

/// Age of a schema as seen by this binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaAge {
    /// Below the binary's; `found` 0 means that nothing was applied.
    Older {
        /// Version of the cluster.
        found: i32,
    },
    /// The binary's own.
    Current,
    /// Above the binary's, and the binary may use it.
    Newer {
        /// Version of the cluster.
        found: i32,
    },
}

/// Judges one set. `known` and `applied` ascend by version.
///
/// # Errors
/// [`SchemaError::Changed`], [`SchemaError::HalfApplied`], [`SchemaError::TooNew`].
pub fn judge(
    set: MigrationSet,
    known: &[KnownVersion],
    applied: &[AppliedVersion],
    compat: &[CompatRow],
) -> Result<SchemaAge, SchemaError> {
    let half = |version, problem| SchemaError::HalfApplied { set, version, problem };
    for (expected, row) in (1..).zip(applied) {
        if row.version != expected {
            return Err(half(expected, "the history has no row of this version"));
        }
        if let Some(ours) = known.iter().find(|k| k.version == row.version)
            && (ours.name != row.name || ours.checksum.to_string() != row.checksum)
        {
            let name = row.name.clone();
            return Err(SchemaError::Changed { set, version: row.version, name });
        }
        if !compat.iter().any(|c| c.version == row.version) {
            return Err(half(row.version, "schema_compat has no row of this version"));
        }
    }
    let found = applied.last().map_or(0, |row| row.version);
    if let Some(extra) = compat.iter().find(|c| c.version > found) {
        return Err(half(extra.version, "schema_compat is ahead of the history"));
    }
    let highest = known.last().map_or(0, |k| k.version);
    if found < highest {
        return Ok(SchemaAge::Older { found });
    }
    if found == highest {
        return Ok(SchemaAge::Current);
    }
    let min_binary_schema =
        compat.iter().find(|c| c.version == found).map_or(found, |c| c.min_binary_schema);
    if highest < min_binary_schema {
        return Err(SchemaError::TooNew { set, found, min_binary_schema, known: highest });
    }
    Ok(SchemaAge::Newer { found })
}

pub(super) async fn relation_exists(
    conn: &mut PgConnection,
    name: &'static str,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select to_regclass('penstock.' || $1) is not null")
        .bind(name)
        .fetch_one(conn)
        .await
}

pub(super) async fn applied_versions(
    conn: &mut PgConnection,
    set: MigrationSet,
) -> Result<Vec<AppliedVersion>, sqlx::Error> {
    let text = format!(
        "select version, name, checksum from penstock.{} order by version",
        set.history_table()
    );
    let rows = sqlx::query(AssertSqlSafe(text)).fetch_all(conn).await?;
    rows.iter()
        .map(|row| {
            Ok(AppliedVersion {
                version: row.try_get(0)?,
                name: row.try_get(1)?,
                checksum: row.try_get(2)?,
            })
        })
        .collect()
}

pub(super) async fn compat_rows(
    conn: &mut PgConnection,
    set: MigrationSet,
) -> Result<Vec<CompatRow>, sqlx::Error> {
    let rows = sqlx::query(
        "select version, min_binary_schema from penstock.schema_compat
         where set_name = $1 order by version",
    )
    .bind(set.as_str())
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| Ok(CompatRow { version: row.try_get(0)?, min_binary_schema: row.try_get(1)? }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(versions: &[i32]) -> Vec<KnownVersion> {
        versions
            .iter()
            .map(|&version| KnownVersion { version, name: format!("m{version}"), checksum: 7 })
            .collect()
    }

    fn applied(versions: &[i32]) -> Vec<AppliedVersion> {
        versions
            .iter()
            .map(|&version| AppliedVersion {
                version,
                name: format!("m{version}"),
                checksum: "7".to_owned(),
            })
            .collect()
    }

    fn compat(rows: &[(i32, i32)]) -> Vec<CompatRow> {
        rows.iter()
            .map(|&(version, min_binary_schema)| CompatRow { version, min_binary_schema })
            .collect()
    }

    const SET: MigrationSet = MigrationSet::Both;

    #[test]
    fn empty_older_current_and_admitted_newer_schemas_are_told_apart() {
        let ours = known(&[1, 2]);

        let empty = judge(SET, &ours, &[], &[]).unwrap();
        let older = judge(SET, &ours, &applied(&[1]), &compat(&[(1, 1)])).unwrap();
        let current = judge(SET, &ours, &applied(&[1, 2]), &compat(&[(1, 1), (2, 2)])).unwrap();
        let newer = judge(SET, &ours, &applied(&[1, 2, 3]), &compat(&[(1, 1), (2, 2), (3, 2)]));

        assert_eq!(empty, SchemaAge::Older { found: 0 });
        assert_eq!(older, SchemaAge::Older { found: 1 });
        assert_eq!(current, SchemaAge::Current);
        assert_eq!(newer.unwrap(), SchemaAge::Newer { found: 3 });
    }

    #[test]
    fn newer_schema_that_excludes_this_binary_is_refused() {
        let outcome =
            judge(SET, &known(&[1]), &applied(&[1, 2]), &compat(&[(1, 1), (2, 2)])).unwrap_err();

        assert!(matches!(
            outcome,
            SchemaError::TooNew { found: 2, min_binary_schema: 2, known: 1, .. }
        ));
    }

    #[test]
    fn changed_checksum_or_name_is_refused() {
        let mut rows = applied(&[1, 2]);
        rows[0].checksum = "8".to_owned();
        let checksum = judge(SET, &known(&[1, 2]), &rows, &compat(&[(1, 1), (2, 2)])).unwrap_err();
        let mut rows = applied(&[1, 2]);
        rows[1].name = "other".to_owned();
        let name = judge(SET, &known(&[1, 2]), &rows, &compat(&[(1, 1), (2, 2)])).unwrap_err();

        assert!(matches!(checksum, SchemaError::Changed { version: 1, .. }));
        assert!(matches!(name, SchemaError::Changed { version: 2, .. }));
    }

    #[test]
    fn hole_or_disagreement_is_half_applied() {
        let ours = known(&[1, 2, 3]);
        let hole = judge(SET, &ours, &applied(&[1, 3]), &compat(&[(1, 1), (3, 3)])).unwrap_err();
        let no_compat = judge(SET, &ours, &applied(&[1, 2]), &compat(&[(1, 1)])).unwrap_err();
        let no_history = judge(SET, &ours, &applied(&[1]), &compat(&[(1, 1), (2, 2)])).unwrap_err();

        assert!(matches!(hole, SchemaError::HalfApplied { version: 2, .. }));
        assert!(matches!(no_compat, SchemaError::HalfApplied { version: 2, .. }));
        assert!(matches!(no_history, SchemaError::HalfApplied { version: 2, .. }));
    }
}
