//! Purpose: the one table of all keys, and the typed configuration made of it. Inputs: the areas.
//! Outputs: [`keys`], [`find`], [`Areas`]. Invariants: names are unique in the file and in the
//! environment (tested); every document about keys is generated from here.

#[macro_use]
mod numbers;

pub mod decision;
mod engine;
mod engine_scores;
pub mod execution;
pub mod ingest;
pub mod risk;
pub mod services;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use crate::Process;
use crate::key::{FieldType, Key, Shape};
use crate::resolve::Values;

/// A key of the engine's table. Both services and the tool know it.
const fn engine_key(
    name: &'static str,
    default: &'static str,
    field: FieldType,
    shape: Shape,
    meaning: &'static str,
) -> Key {
    const OWNERS: &[Process] = &[Process::Ingest, Process::Execution, Process::Tool];
    Key { name, group: "engine", owners: OWNERS, default: Some(default), field, shape, meaning }
}

macro_rules! areas {
    ($($(#[$doc:meta])* $field:ident : $type:ty,)+) => {
        /// The typed configuration, one field per area.
        #[derive(Debug, Clone)]
        pub struct Areas { $($(#[$doc])* pub $field: $type,)+ }

        impl Areas {
            pub(crate) fn build(values: &Values) -> Option<Self> {
                Some(Self { $($field: <$type>::build(values)?,)+ })
            }
        }

        fn area_keys() -> impl Iterator<Item = &'static Key> {
            [$(<$type>::KEYS,)+].into_iter().flatten()
        }
    };
}

areas! {
    /// Clusters and places.
    clusters: services::Clusters,
    /// Log and metrics.
    telemetry: services::Telemetry,
    /// Fences.
    fences: services::Fences,
    /// Venues.
    venues: services::Venues,
    /// Universe.
    universe: ingest::Universe,
    /// Books and samples.
    feeds: ingest::Feeds,
    /// Cuts, warm-up, runs.
    state: ingest::State,
    /// Spool.
    spool: ingest::Spool,
    /// Epochs.
    epochs: ingest::Epochs,
    /// Retention.
    retention: ingest::Retention,
    /// Evaluation.
    evaluation: execution::Evaluation,
    /// Strategies and routes.
    routes: execution::Routes,
    /// Capital.
    capital: execution::Capital,
    /// Orders.
    orders: execution::Orders,
    /// Exits.
    exits: execution::Exits,
    /// Liveness.
    liveness: decision::Liveness,
    /// Disk.
    disk: decision::Disk,
    /// Reconcile.
    reconcile: decision::Reconcile,
    /// Clocks.
    time: decision::Time,
    /// AI gate.
    ai_gate: decision::AiGate,
    /// Selection.
    selection: decision::Selection,
    /// Pullback.
    pullback: decision::Pullback,
    /// Alerts.
    alerts: decision::Alerts,
    /// Risk.
    risk: risk::Risk,
    /// Adaptive least edge.
    adaptive: risk::Adaptive,
    /// Churn and quarantine.
    churn: risk::Churn,
    /// Audit.
    audit: risk::Audit,
    /// Panel.
    panel: risk::Panel,
}

/// All keys in the order of the documents.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    area_keys()
        .chain(engine::GENERAL)
        .chain(engine::STATES)
        .chain(engine::CLASSES)
        .chain(engine_scores::TIERS)
        .chain(engine_scores::SCORES.iter().flatten())
}

/// The key of this name in the file.
#[must_use]
pub fn find(name: &str) -> Option<&'static Key> {
    static INDEX: OnceLock<BTreeMap<&'static str, &'static Key>> = OnceLock::new();
    INDEX.get_or_init(|| keys().map(|key| (key.name, key)).collect()).get(name).copied()
}

/// The key whose name is nearest to a wrong one, for messages.
#[must_use]
pub fn nearest(name: &str) -> Option<&'static Key> {
    let best = keys().min_by_key(|key| distance(key.name, name))?;
    (distance(best.name, name) <= name.len() / 3).then_some(best)
}

/// Edit distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let cost = if from == *to { corner } else { 1 + corner.min(row[j]).min(row[j + 1]) };
            corner = row[j + 1];
            row[j + 1] = cost;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{find, keys, nearest};
    use crate::key::FieldType;

    #[test]
    fn names_are_unique_in_file_and_environment_and_every_key_says_what_it_means() {
        let (mut names, mut variables) = (BTreeSet::new(), BTreeSet::new());
        for key in keys() {
            assert!(names.insert(key.name), "{} stands twice", key.name);
            assert!(variables.insert(key.env()), "{} stands twice", key.env());
            assert!(key.meaning.trim().ends_with('.'), "{}: {}", key.name, key.meaning);
            assert!(!key.range().is_empty(), "{} has no range", key.name);
            let numeric = matches!(key.field, FieldType::Int | FieldType::Decimal);
            let limited = key.shape.int.is_some()
                || key.shape.decimal.is_some()
                || !key.shape.ints.is_empty();
            assert_eq!(numeric, limited, "{} has a limit exactly when it is a number", key.name);
            assert!(
                !key.is_secret() || key.default.is_none(),
                "{} has a compiled secret",
                key.name
            );
        }
        assert!(names.len() > 350, "{}", names.len());
    }

    #[test]
    fn a_wrong_name_is_answered_with_the_nearest_one() {
        assert_eq!(
            nearest("epoch_intervall_secs").map(|key| key.name),
            Some("epoch_interval_secs")
        );
        assert!(nearest("completely_else_entirely_xyz").is_none());
        assert!(find("epoch_interval_secs").is_some());
        assert!(find("EPOCH_INTERVAL_SECS").is_none());
    }
}
