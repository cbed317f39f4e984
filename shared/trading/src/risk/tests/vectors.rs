//! The raised least edge against a table that was worked out by hand.

use penstock_contracts::units::{Bps, X10000};

use super::super::judge;
use super::world::World;
use crate::fixtures::dec;

const TABLE: &str = include_str!("../../../tests/golden/adaptive_edge.tsv");

pub(super) fn check() {
    let rows: Vec<Vec<&str>> = TABLE
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split('\t').collect())
        .collect();
    assert_eq!(rows.len(), 15);
    for row in rows {
        let [now, median, atr, imbalance, floor, multiplier, least] = row[..] else {
            panic!("seven columns: {row:?}");
        };
        let mut world = World::new();
        let windows = &mut world.snapshot.microstructure_60s;
        windows.spread_current_bps = Bps(now.parse().unwrap());
        windows.spread_bps_p50_60s = Bps(median.parse().unwrap());
        windows.bid_ask_imbalance_p50_10s_x10000 = X10000(imbalance.parse().unwrap());
        let atr = (atr != "-").then(|| penstock_contracts::DecStr::parse(atr).unwrap());
        world.snapshot.volatility.atr_15m_bps = atr;
        world.config.surplus_floor_bps.momentum = dec(floor);
        world.rehash();
        let verdict = |world: &World| judge(&world.case()).0;

        let said = verdict(&world);
        assert_eq!(said.multiplier_x10000, X10000(multiplier.parse().unwrap()), "{row:?}");
        let shown = penstock_types::decimal::round_to(dec(least), 4);
        assert_eq!(said.adjusted_min_edge_bps.value(), shown, "{row:?}");
        // The comparison is with the exact product, not with what is shown.
        world.edge.plan_bps = dec(least);
        assert_eq!(verdict(&world).reasons, [], "{row:?}");
        world.edge.plan_bps = dec(least) - dec("0.000001");
        let below = [penstock_types::vocab::ReasonCode::StratEdgeBelowMin];
        assert_eq!(verdict(&world).reasons, below, "{row:?}");
    }
}
