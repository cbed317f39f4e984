//! Purpose: keys of the deterministic engine. Invariants: a key that can change an output byte has the path,
//! default and range of the engine's own field (tested). It holds no logic.

use crate::key::{FieldType, Key, any, int};
use crate::table::engine_key;

/// Places, gates, persistence, alerts.
pub(crate) const GENERAL: &[Key] = &[
    engine_key(
        "engine.gates",
        "enforce",
        FieldType::Choice(&["enforce", "shadow", "off"]),
        any(),
        "What the engine's gates do to entries.",
    ),
    engine_key("engine.schema", "1.0", FieldType::Text, any(), "Version of these keys."),
    engine_key(
        "engine.disk_free_min_bytes",
        "10737418240",
        FieldType::Int,
        int(0, i64::MAX),
        "Free bytes that a start demands.",
    ),
    engine_key(
        "engine.log_dir",
        "${PENSTOCK_DATA}/engine/log",
        FieldType::Path,
        any(),
        "Directory: log.",
    ),
    engine_key(
        "engine.journal_dir",
        "${PENSTOCK_DATA}/engine/journal",
        FieldType::Path,
        any(),
        "Directory: journal.",
    ),
    engine_key(
        "engine.snapshot_dir",
        "${PENSTOCK_DATA}/engine/snapshots",
        FieldType::Path,
        any(),
        "Directory: snapshots.",
    ),
    engine_key(
        "engine.alerts_dir",
        "${PENSTOCK_DATA}/engine/alerts",
        FieldType::Path,
        any(),
        "Directory: alerts.",
    ),
    engine_key(
        "engine.manifest_dir",
        "${PENSTOCK_DATA}/engine/manifests",
        FieldType::Path,
        any(),
        "Directory: manifests.",
    ),
    engine_key(
        "engine.signing_key_file",
        "${PENSTOCK_DATA}/engine/keys/signing.pem",
        FieldType::Path,
        any(),
        "Key that signs manifests.",
    ),
    engine_key("engine.compress", "true", FieldType::Bool, any(), "Closed files are compressed."),
    engine_key("engine.keep_days", "30", FieldType::Int, int(1, 3_650), "Days that logs are kept."),
    engine_key(
        "engine.keep_days_traded",
        "90",
        FieldType::Int,
        int(1, 3_650),
        "Days that logs of days with an order are kept.",
    ),
    engine_key(
        "engine.snapshot_keep_days",
        "7",
        FieldType::Int,
        int(1, 3_650),
        "Days that snapshots are kept.",
    ),
    engine_key(
        "engine.journal.group_ms",
        "1000",
        FieldType::Int,
        int(1, 60_000),
        "Longest time from a frame's write to its sync, milliseconds.",
    ),
    engine_key(
        "engine.gap_fill_max_ticks",
        "345600",
        FieldType::Int,
        int(1, 100_000_000),
        "Most ticks that are filled after a gap.",
    ),
    engine_key(
        "engine.snapshot_every_ticks",
        "1200",
        FieldType::Int,
        int(1, 3_600),
        "Ticks between two snapshots; divides 3600.",
    ),
    engine_key(
        "engine.warmup_minutes",
        "3",
        FieldType::Int,
        int(1, 15),
        "Minutes before a token leaves warm-up.",
    ),
    engine_key(
        "engine.stale.book",
        "40",
        FieldType::Int,
        int(1, 1_000_000),
        "Ticks without a book.",
    ),
    engine_key(
        "engine.stale.mark",
        "40",
        FieldType::Int,
        int(1, 1_000_000),
        "Ticks without a mark price.",
    ),
    engine_key(
        "engine.stale.oi",
        "240",
        FieldType::Int,
        int(1, 1_000_000),
        "Ticks without open interest.",
    ),
    engine_key(
        "engine.stale.funding",
        "28800",
        FieldType::Int,
        int(1, 1_000_000),
        "Ticks without funding.",
    ),
    engine_key(
        "engine.base.vol_min",
        "1000000",
        FieldType::Int,
        int(1, 1_000_000_000_000),
        "Least baseline of volume.",
    ),
    engine_key(
        "engine.base.range_min",
        "10000",
        FieldType::Int,
        int(1, 1_000_000_000_000),
        "Least baseline of the range.",
    ),
    engine_key(
        "engine.base.spread_min",
        "100",
        FieldType::Int,
        int(1, 1_000_000_000_000),
        "Least baseline of the spread.",
    ),
    engine_key(
        "engine.cost.decay",
        "9000",
        FieldType::Int,
        int(1, 10_000),
        "Memory of the cost, times 10,000.",
    ),
    engine_key(
        "engine.cost.cascade",
        "9000",
        FieldType::Int,
        int(1, 10_000),
        "Weight of elasticity in a cascade, times 10,000.",
    ),
    engine_key(
        "engine.phase.e1",
        "10",
        FieldType::Int,
        int(1, 300),
        "Seconds of an early collapse.",
    ),
    engine_key("engine.phase.e2", "20", FieldType::Int, int(1, 300), "Seconds after a collapse."),
    engine_key(
        "engine.phase.collapse_ratio",
        "6000",
        FieldType::Int,
        int(1, 10_000),
        "Share of members, times 10,000.",
    ),
    engine_key(
        "engine.phase.post_ratio",
        "7000",
        FieldType::Int,
        int(1, 10_000),
        "Share of members, times 10,000.",
    ),
    engine_key(
        "engine.alerts.s1",
        "60",
        FieldType::Int,
        int(1, 100),
        "Share of dominant ticks that makes a quarter of an hour stable, per cent.",
    ),
    engine_key(
        "engine.alerts.c1",
        "400000",
        FieldType::Int,
        int(0, 1_000_000),
        "Greatest mean cost of a stable quarter of an hour, 1e-4 point.",
    ),
    engine_key(
        "engine.alerts.min_ticks",
        "3240",
        FieldType::Int,
        int(1, 3_600),
        "Least executed ticks of a stable quarter of an hour.",
    ),
    engine_key(
        "engine.poll.oi_s",
        "5",
        FieldType::Int,
        int(1, 60),
        "Seconds between two polls of open interest.",
    ),
    engine_key(
        "engine.poll.oi_rps",
        "10",
        FieldType::Int,
        int(1, 20),
        "Polls of open interest per second.",
    ),
    engine_key(
        "engine.poll.funding_s",
        "60",
        FieldType::Int,
        int(1, 3_600),
        "Seconds between two polls of funding.",
    ),
    engine_key(
        "engine.alerts.publish_build",
        "false",
        FieldType::Bool,
        any(),
        "Alerts of kind STRUCTURAL_BUILD reach the table of alerts.",
    ),
    engine_key(
        "engine.cost.weights",
        "35,30,20,15",
        FieldType::List,
        any(),
        "Weights of density, divergence, elasticity, compression.",
    ),
    engine_key(
        "engine.alerts.weights",
        "40,40,20",
        FieldType::List,
        any(),
        "Weights of an alert's confidence.",
    ),
    engine_key(
        "engine.fsm.release.enabled",
        "true",
        FieldType::Bool,
        any(),
        "Token states are released.",
    ),
    engine_key(
        "engine.tier.compressed.enabled",
        "false",
        FieldType::Bool,
        any(),
        "The fifth tier exists.",
    ),
];

numbers! {
    /// Token and cluster states.
    STATES:
    "engine.fsm.p1" = "400000" in (0, 1_000_000) "Threshold of a token state.";
    "engine.fsm.f1" = "450000" in (0, 1_000_000) "Threshold of a token state.";
    "engine.fsm.t1" = "500000" in (0, 1_000_000) "Threshold of a token state.";
    "engine.fsm.u1" = "500000" in (0, 1_000_000) "Threshold of a token state.";
    "engine.fsm.u_hard" = "750000" in (0, 1_000_000) "Threshold of a token state.";
    "engine.fsm.spot_p1" = "550000" in (0, 1_000_000) "Threshold of a token state.";
    "engine.fsm.cost_gate.fragile" = "600000" in (0, 1_000_000) "Greatest cost for a token state.";
    "engine.fsm.cost_gate.ready" = "400000" in (0, 1_000_000) "Greatest cost for a token state.";
    "engine.fsm.cost_gate.unwind" = "200000" in (0, 1_000_000) "Greatest cost for a token state.";
    "engine.fsm.h1" = "20" in (1, 1_200) "Ticks that a condition must hold.";
    "engine.fsm.h2" = "40" in (1, 1_200) "Ticks that a condition must hold.";
    "engine.fsm.h3" = "12" in (1, 1_200) "Ticks that a condition must hold.";
    "engine.fsm.hu" = "2" in (1, 1_200) "Ticks that a condition must hold.";
    "engine.fsm.h4" = "80" in (1, 1_200) "Ticks that a condition must hold.";
    "engine.fsm.h5" = "1200" in (1, 1_200) "Ticks that a condition must hold.";
    "engine.fsm.decay.pressure" = "8000" in (1, 10_000) "Memory of a score, times 10,000.";
    "engine.fsm.decay.fragile" = "9000" in (1, 10_000) "Memory of a score, times 10,000.";
    "engine.fsm.decay.trigger" = "7000" in (1, 10_000) "Memory of a score, times 10,000.";
    "engine.fsm.decay.unwind" = "6000" in (1, 10_000) "Memory of a score, times 10,000.";
    "engine.fsm.release.pressure" = "240" in (1, 1_200) "Ticks before a release.";
    "engine.fsm.release.fragile" = "480" in (1, 1_200) "Ticks before a release.";
    "engine.fsm.release.ready" = "240" in (1, 1_200) "Ticks before a release.";
    "engine.fsm.rebuild.dwell" = "1200" in (1, 1_200) "Ticks before a rebuild.";
    "engine.fsm.rebuild.persist" = "240" in (1, 1_200) "Ticks before a rebuild.";
    "engine.cluster.c1" = "5" in (1, 300) "Seconds that a cluster condition must hold.";
    "engine.cluster.c2" = "5" in (1, 300) "Seconds that a cluster condition must hold.";
    "engine.cluster.c_unwind" = "1" in (1, 300) "Seconds that a cluster condition must hold.";
    "engine.cluster.c3" = "15" in (1, 300) "Seconds that a cluster condition must hold.";
    "engine.cluster.c4" = "60" in (1, 300) "Seconds that a cluster condition must hold.";
    "engine.cluster.release" = "60" in (1, 300) "Seconds that a cluster condition must hold.";
    "engine.cluster.min_members" = "2" in (1, 255) "Fewest active members of a cluster.";
}

numbers! {
    /// Classes of tokens.
    CLASSES:
    "engine.class.gma.cluster" = "1" in (1, 255) "Cluster of the class.";
    "engine.class.gma.w_oi" = "10000" in (0, 10_000) "Weight of open interest, times 10,000.";
    "engine.class.gma.w_funding" = "10000" in (0, 10_000) "Weight of funding, times 10,000.";
    "engine.class.hma.cluster" = "1" in (1, 255) "Cluster of the class.";
    "engine.class.hma.w_oi" = "10000" in (0, 10_000) "Weight of open interest, times 10,000.";
    "engine.class.hma.w_funding" = "8000" in (0, 10_000) "Weight of funding, times 10,000.";
    "engine.class.hec.cluster" = "1" in (1, 255) "Cluster of the class.";
    "engine.class.hec.w_oi" = "8000" in (0, 10_000) "Weight of open interest, times 10,000.";
    "engine.class.hec.w_funding" = "10000" in (0, 10_000) "Weight of funding, times 10,000.";
    "engine.class.mea.cluster" = "2" in (1, 255) "Cluster of the class.";
    "engine.class.mea.w_oi" = "10000" in (0, 10_000) "Weight of open interest, times 10,000.";
    "engine.class.mea.w_funding" = "10000" in (0, 10_000) "Weight of funding, times 10,000.";
    "engine.class.iat.cluster" = "3" in (1, 255) "Cluster of the class.";
    "engine.class.iat.w_oi" = "10000" in (0, 10_000) "Weight of open interest, times 10,000.";
    "engine.class.iat.w_funding" = "5000" in (0, 10_000) "Weight of funding, times 10,000.";
    "engine.class.lcla.cluster" = "4" in (1, 255) "Cluster of the class.";
    "engine.class.lcla.w_oi" = "8000" in (0, 10_000) "Weight of open interest, times 10,000.";
    "engine.class.lcla.w_funding" = "8000" in (0, 10_000) "Weight of funding, times 10,000.";
    "engine.class.mspc.cluster" = "5" in (1, 255) "Cluster of the class.";
    "engine.class.mspc.w_oi" = "5000" in (0, 10_000) "Weight of open interest, times 10,000.";
    "engine.class.mspc.w_funding" = "3000" in (0, 10_000) "Weight of funding, times 10,000.";
    "engine.class.fct.cluster" = "16" in (1, 255) "Cluster of the class.";
    "engine.class.fct.w_oi" = "10000" in (0, 10_000) "Weight of open interest, times 10,000.";
    "engine.class.fct.w_funding" = "5000" in (0, 10_000) "Weight of funding, times 10,000.";
}
