//! Sections of plain numbers: staleness, baselines, cost, token states, clusters, phases, alerts, classes.
//!
//! Input: nothing. Output: defaults and ranges. The thresholds were fitted together on recorded walks of a
//! market through calm, pump, stacking, cascade and recovery; a change of one changes the hash of all.

use super::fields::{Field, section};

section!(
    /// Ticks after which a held value is stale.
    Stale {
        book: "book" = 40 in (1, 1_000_000) "Top of book.";
        mark: "mark" = 40 in (1, 1_000_000) "Mark price.";
        oi: "oi" = 240 in (1, 1_000_000) "Open interest.";
        funding: "funding" = 28_800 in (1, 1_000_000) "Funding rate.";
    }
);

section!(
    /// Least baselines: below them a market is too thin to be compared with itself.
    Base {
        vol_min: "vol_min" = 1_000_000 in (1, 1_000_000_000_000) "Volume per minute, 1e-4 quote.";
        range_min: "range_min" = 10_000 in (1, 1_000_000_000_000) "Range of a minute, Ratio.";
        spread_min: "spread_min" = 100 in (1, 1_000_000_000_000) "Spread, Ratio.";
    }
);

section!(
    /// Memory and cascade term of the trigger cost.
    CostNumbers {
        decay: "decay" = 9_000 in (1, 10_000) "Memory of a component, 1e-4.";
        cascade: "cascade" = 9_000 in (1, 10_000) "Weight of elasticity alone, 1e-4.";
    }
);

section!(
    /// Thresholds and persistence of the token states.
    FsmNumbers {
        p1: "p1" = 400_000 in (0, 1_000_000) "Pressure that makes PRESSURE, Score.";
        f1: "f1" = 450_000 in (0, 1_000_000) "Fragility that makes FRAGILE, Score.";
        t1: "t1" = 500_000 in (0, 1_000_000) "Trigger that makes TRIGGER_READY, Score.";
        u1: "u1" = 500_000 in (0, 1_000_000) "Unwind that makes UNWIND, Score.";
        u_hard: "u_hard" = 750_000 in (0, 1_000_000) "Unwind that needs no cheap cost, Score.";
        spot_p1: "spot_p1" = 550_000 in (0, 1_000_000) "`p1` of tokens without derivative, Score.";
        cost_fragile: "cost_gate.fragile" = 600_000 in (0, 1_000_000) "Greatest cost for FRAGILE, Score.";
        cost_ready: "cost_gate.ready" = 400_000 in (0, 1_000_000) "Greatest cost for TRIGGER_READY, Score.";
        cost_unwind: "cost_gate.unwind" = 200_000 in (0, 1_000_000) "Greatest cost for UNWIND, Score.";
        h1: "h1" = 20 in (1, 1_200) "Ticks for BUILD to PRESSURE.";
        h2: "h2" = 40 in (1, 1_200) "Ticks for PRESSURE to FRAGILE.";
        h3: "h3" = 12 in (1, 1_200) "Ticks for FRAGILE to TRIGGER_READY.";
        hu: "hu" = 2 in (1, 1_200) "Ticks for TRIGGER_READY to UNWIND.";
        h4: "h4" = 80 in (1, 1_200) "Ticks for UNWIND to COOLDOWN.";
        h5: "h5" = 1_200 in (1, 1_200) "Ticks for COOLDOWN to BUILD.";
        decay_pressure: "decay.pressure" = 8_000 in (1, 10_000) "Memory of pressure, 1e-4.";
        decay_fragile: "decay.fragile" = 9_000 in (1, 10_000) "Memory of fragility, 1e-4.";
        decay_trigger: "decay.trigger" = 7_000 in (1, 10_000) "Memory of the trigger, 1e-4.";
        decay_unwind: "decay.unwind" = 6_000 in (1, 10_000) "Memory of the unwind, 1e-4.";
        release_pressure: "release.pressure" = 240 in (1, 1_200) "Ticks for the release of PRESSURE.";
        release_fragile: "release.fragile" = 480 in (1, 1_200) "Ticks for the release of FRAGILE.";
        release_ready: "release.ready" = 240 in (1, 1_200) "Ticks for the release of TRIGGER_READY.";
        rebuild_dwell: "rebuild.dwell" = 1_200 in (1, 1_200) "Ticks in COOLDOWN before a rebuild counts.";
        rebuild_persist: "rebuild.persist" = 240 in (1, 1_200) "Ticks for a rebuild.";
    }
);

impl FsmNumbers {
    /// Sets one number by its path below `fsm`; false when there is no such key.
    pub fn set(&mut self, path: &str, new: i64) -> bool {
        let mut found = false;
        self.visit("fsm", &mut |key, field| {
            if let Field::Int { value, .. } = field
                && key.strip_prefix("fsm.") == Some(path)
            {
                *value = new;
                found = true;
            }
        });
        found
    }
}

section!(
    /// Persistence of the cluster states in cluster ticks (seconds).
    ClusterConfig {
        c1: "c1" = 5 in (1, 300) "CALM to HEATING.";
        c2: "c2" = 5 in (1, 300) "HEATING to FRAGILE.";
        c_unwind: "c_unwind" = 1 in (1, 300) "FRAGILE to UNWIND.";
        c3: "c3" = 15 in (1, 300) "UNWIND to COOLDOWN.";
        c4: "c4" = 60 in (1, 300) "COOLDOWN to CALM.";
        release: "release" = 60 in (1, 300) "HEATING or FRAGILE to COOLDOWN by release.";
        min_members: "min_members" = 2 in (1, 255) "Fewest active members that make a cluster.";
    }
);

section!(
    /// Overrides of the schedule of an event.
    PhaseConfig {
        e1: "e1" = 10 in (1, 300) "Cluster ticks of an early collapse.";
        e2: "e2" = 20 in (1, 300) "Cluster ticks of the calm after a collapse.";
        collapse_ratio: "collapse_ratio" = 6_000 in (1, 10_000) "Share of members in UNWIND, 1e-4.";
        post_ratio: "post_ratio" = 7_000 in (1, 10_000) "Share of members in BUILD, 1e-4.";
    }
);

section!(
    /// The stable quarter of an hour.
    AlertNumbers {
        s1: "s1" = 60 in (1, 100) "Least share of dominant ticks, per cent.";
        c1: "c1" = 400_000 in (0, 1_000_000) "Greatest mean cost, Score.";
        min_ticks: "min_ticks" = 3_240 in (1, 3_600) "Least executed ticks of the bucket.";
    }
);

section!(
    /// What a class of tokens weighs.
    ClassConfig {
        cluster: "cluster" = 1 in (1, 255) "Cluster of the class.";
        w_oi: "w_oi" = 10_000 in (0, 10_000) "Weight of open interest, 1e-4.";
        w_funding: "w_funding" = 10_000 in (0, 10_000) "Weight of funding, 1e-4.";
    }
);
