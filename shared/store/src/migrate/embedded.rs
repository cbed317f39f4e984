//! The three embedded migration sets and which of them a cluster gets.

use core::fmt;

use refinery_core::Runner;

use crate::role::ClusterRole;

mod both {
    refinery::embed_migrations!("../../migrations/both");
}
mod ingest {
    refinery::embed_migrations!("../../migrations/ingest");
}
mod decision {
    refinery::embed_migrations!("../../migrations/decision");
}

/// One set of migrations with a history of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MigrationSet {
    /// Tables that stand on both clusters; applied first.
    Both,
    /// The ingest cluster's own.
    Ingest,
    /// The decision cluster's own.
    Decision,
}

impl MigrationSet {
    /// The sets of a cluster, in the order in which they are applied.
    #[must_use]
    pub const fn of(role: ClusterRole) -> [Self; 2] {
        match role {
            ClusterRole::Ingest => [Self::Both, Self::Ingest],
            ClusterRole::Decision => [Self::Both, Self::Decision],
        }
    }

    /// Name in `schema_compat`, also that of the directory.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Ingest => "ingest",
            Self::Decision => "decision",
        }
    }

    pub(super) const fn history_table(self) -> &'static str {
        match self {
            Self::Both => "both_schema_history",
            Self::Ingest => "ingest_schema_history",
            Self::Decision => "decision_schema_history",
        }
    }

    /// Highest version that this binary embeds.
    #[must_use]
    pub fn highest(self) -> i32 {
        known_versions(self).last().map_or(0, |known| known.version)
    }

    pub(super) fn runner(self) -> Runner {
        let mut runner = match self {
            Self::Both => both::migrations::runner(),
            Self::Ingest => ingest::migrations::runner(),
            Self::Decision => decision::migrations::runner(),
        }
        // The age of the schema has been judged before; the library's own refusal of versions that
        // it does not know would keep an older binary from a newer schema that admits it.
        .set_abort_missing(false);
        runner.set_migration_table_name(self.history_table());
        runner
    }
}

impl fmt::Display for MigrationSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One embedded migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownVersion {
    /// Its number.
    pub version: i32,
    /// Its name.
    pub name: String,
    /// Checksum over name, number and text.
    pub checksum: u64,
}

/// The embedded migrations of a set, ascending.
#[must_use]
pub fn known_versions(set: MigrationSet) -> Vec<KnownVersion> {
    let mut known: Vec<KnownVersion> = set
        .runner()
        .get_migrations()
        .iter()
        .map(|m| KnownVersion {
            version: m.version(),
            name: m.name().to_owned(),
            checksum: m.checksum(),
        })
        .collect();
    known.sort_by_key(|k| k.version);
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case(MigrationSet::Both)]
    #[case(MigrationSet::Ingest)]
    #[case(MigrationSet::Decision)]
    fn directory_listing_equals_embedded_migrations(#[case] set: MigrationSet) {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../migrations")
            .join(set.as_str());
        let mut files: Vec<String> = std::fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort_by_key(|f| f[1..f.find("__").unwrap()].parse::<i32>().unwrap());

        let embedded: Vec<String> =
            known_versions(set).iter().map(|k| format!("V{}__{}.sql", k.version, k.name)).collect();

        assert_eq!(files, embedded);
        let numbers: Vec<i32> = known_versions(set).iter().map(|k| k.version).collect();
        assert_eq!(numbers, (1..=set.highest()).collect::<Vec<_>>());
    }
}
