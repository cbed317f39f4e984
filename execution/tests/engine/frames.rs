//! The engine's configuration of these tests: thresholds so low that every machine moves within minutes.

use penstock_engine::EngineConfig;

use super::made;
pub(crate) use super::recorded::{DAY, MIDNIGHT, Recorded};

/// Three tokens, two of them in one cluster; every threshold is reached within seconds.
pub(crate) fn config() -> EngineConfig {
    let mut config = made::config(3);
    config.warmup_minutes = 1;
    config.snapshot_every_ticks = 240;
    for token in &mut config.tokens {
        let fsm = &mut token.fsm;
        (fsm.p1, fsm.f1, fsm.t1, fsm.u1) = (150_000, 100_000, 20_000, 100_000);
        (fsm.cost_fragile, fsm.cost_ready, fsm.cost_unwind) = (1_000_000, 1_000_000, 1_000_000);
        (fsm.h1, fsm.h2, fsm.h3, fsm.hu, fsm.h4, fsm.h5) = (2, 2, 2, 1, 4, 8);
        (fsm.release_pressure, fsm.release_fragile, fsm.release_ready) = (4, 4, 4);
        (fsm.rebuild_dwell, fsm.rebuild_persist) = (4, 4);
    }
    config.tokens[2].cluster = 2;
    config.cluster.min_members = 1;
    (config.cluster.c1, config.cluster.c2, config.cluster.c3, config.cluster.c4) = (1, 1, 1, 1);
    config.cluster.release = 4;
    config.check().unwrap();
    config
}
