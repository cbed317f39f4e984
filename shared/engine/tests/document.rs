//! The pictures of the state machines in the document of the engine are drawn from the code's own tables.
//!
//! `UPDATE_DOCS=1 cargo test -p penstock-engine --test document` writes them again.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use penstock_engine::EngineConfig;
use penstock_engine::cluster::{self, ClusterEdge};
use penstock_engine::fsm::{self, Edge};
use penstock_engine::phase;
use penstock_types::engine_view::{ClusterState, EventPhase, FsmState, Tier};
use std::fmt::Write;
use std::path::PathBuf;

fn picture(body: &str) -> String {
    format!("```mermaid\nstateDiagram-v2\n{body}```\n")
}

/// Ticks for which the condition of an edge has to hold.
fn token_ticks(config: &EngineConfig, from: FsmState, edge: Edge) -> i64 {
    let n = &config.fsm;
    match (from, edge) {
        (FsmState::Build, Edge::Forward) => n.h1,
        (FsmState::Pressure, Edge::Forward) => n.h2,
        (FsmState::Fragile, Edge::Forward) => n.h3,
        (FsmState::TriggerReady, Edge::Forward) => n.hu,
        (FsmState::Unwind, Edge::Forward) => n.h4,
        (FsmState::Cooldown, Edge::Normalise) => n.h5,
        (FsmState::Cooldown, Edge::Rebuild) => n.rebuild_persist,
        (FsmState::Pressure, Edge::Release) => n.release_pressure,
        (FsmState::Fragile, Edge::Release) => n.release_fragile,
        (FsmState::TriggerReady, Edge::Release) => n.release_ready,
        (from, edge) => panic!("{} has no edge {}", from.name(), edge.name()),
    }
}

fn token() -> String {
    let config = EngineConfig::default();
    let mut body = String::from("    [*] --> BUILD\n");
    for from in FsmState::ALL {
        for edge in Edge::ALL {
            let Some(to) = fsm::next(*from, edge) else { continue };
            let ticks = token_ticks(&config, *from, edge);
            let (from, to) = (from.name(), to.name());
            writeln!(body, "    {from} --> {to}: {}, {ticks} ticks", edge.name()).unwrap();
        }
    }
    picture(&body)
}

fn cluster_seconds(config: &EngineConfig, from: ClusterState, edge: ClusterEdge) -> i64 {
    let n = &config.cluster;
    match (from, edge) {
        (ClusterState::Calm, ClusterEdge::Forward) => n.c1,
        (ClusterState::Heating, ClusterEdge::Forward) => n.c2,
        (ClusterState::Fragile, ClusterEdge::Forward) => n.c_unwind,
        (ClusterState::Unwind, ClusterEdge::Forward) => n.c3,
        (ClusterState::Cooldown, ClusterEdge::Normalise) => n.c4,
        (ClusterState::Heating | ClusterState::Fragile, ClusterEdge::Release) => n.release,
        (from, edge) => panic!("{} has no edge {}", from.name(), edge.name()),
    }
}

fn clusters() -> String {
    let config = EngineConfig::default();
    let mut body = String::from("    [*] --> CLUSTER_CALM\n");
    for from in ClusterState::ALL {
        for edge in ClusterEdge::ALL {
            let Some(to) = cluster::next(*from, edge) else { continue };
            let seconds = cluster_seconds(&config, *from, edge);
            let (from, to) = (from.name(), to.name());
            writeln!(body, "    {from} --> {to}: {}, {seconds} s", edge.name()).unwrap();
        }
    }
    picture(&body)
}

fn phases() -> String {
    let mut body = String::from("    [*] --> EVENT_MID: no schedule\n    [*] --> EVENT_PREP\n");
    for from in EventPhase::ALL {
        let Some(to) = phase::next(*from) else { continue };
        let early = match to {
            EventPhase::Mid | EventPhase::End => ", or an early collapse",
            EventPhase::Post => ", or the calm after a collapse",
            EventPhase::Prep | EventPhase::Start => "",
        };
        writeln!(body, "    {} --> {}: time{early}", from.name(), to.name()).unwrap();
    }
    body.push_str("    EVENT_POST --> EVENT_PREP: the next event\n");
    picture(&body)
}

fn tiers() -> String {
    let tier = EngineConfig::default().tier;
    let mut text = String::from(
        "| Tier | entered after | left after | thresholds × | loss per tick × |\n|---|---|---|---|---|\n",
    );
    for one in Tier::ALL {
        let (enter, leave) = match one {
            Tier::Neutral => (0, 0),
            Tier::Expansion => (tier.expansion.n, tier.expansion.m),
            Tier::Compressed => (tier.compressed.n, tier.compressed.m),
            Tier::Overleveraged => (tier.overleveraged.n, tier.overleveraged.m),
            Tier::Exhausted => (tier.exhausted.n, tier.exhausted.m),
        };
        let ticks = |n: i64| if n == 0 { "–".to_owned() } else { format!("{n} ticks") };
        let off = if *one == Tier::Compressed { " (off)" } else { "" };
        let context = tier.context(*one);
        let share = |n: i64| format!("{}.{:02}", n / 10_000, n % 10_000 / 100);
        writeln!(
            text,
            "| {}{off} | {} | {} | {} | {} |",
            one.name(),
            ticks(enter),
            ticks(leave),
            share(context.threshold_multiplier),
            share(context.decay_multiplier)
        )
        .unwrap();
    }
    text
}

/// The document with what stands between the markers of a name replaced.
fn with(document: &str, name: &str, drawn: &str) -> String {
    let (start, end) = (format!("<!-- drawn: {name} -->\n"), format!("<!-- end: {name} -->"));
    let (before, rest) =
        document.split_once(&start).unwrap_or_else(|| panic!("{start} is missing"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{end} is missing"));
    format!("{before}{start}{drawn}{end}{after}")
}

#[test]
fn the_document_shows_the_machines_of_the_code() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/engine.md");
    let found = std::fs::read_to_string(&path).unwrap();
    let drawn =
        [("token", token()), ("cluster", clusters()), ("phase", phases()), ("tiers", tiers())];
    let wanted = drawn.iter().fold(found.clone(), |text, (name, drawn)| with(&text, name, drawn));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &wanted).unwrap();
        return;
    }
    assert!(
        found == wanted,
        "docs/engine.md is not what the code says; next: UPDATE_DOCS=1 cargo test -p penstock-engine --test document"
    );
}
