//! Tests of the snapshot: each rule at its limit and one step beyond, the hash, reading.

use super::*;
use crate::fixtures::{amount, context, snapshot};
use penstock_types::vocab::ReasonCode::{StratInputInvalid, StratMissingField};
use proptest::prelude::*;
use rstest::rstest;
use serde_json::Value;

/// Breaches of the fixture after a change, its hash taken anew.
fn breaches(change: impl FnOnce(&mut Snapshot)) -> Vec<(&'static str, ReasonCode)> {
    let mut spoiled = snapshot();
    change(&mut spoiled);
    let spoiled = spoiled.with_hash().unwrap();
    spoiled.breaches(&context()).iter().map(|b| (b.field, b.reason)).collect()
}

type Change = fn(&mut Snapshot);

#[test]
fn the_fixture_is_valid() {
    assert_eq!(snapshot().breaches(&context()), []);
    assert_eq!(snapshot().validate(&context()), Ok(()));
}

#[rstest]
#[case(|s: &mut Snapshot| s.microstructure_60s.spread_bps_p50_60s = Bps(1))]
#[case(|s: &mut Snapshot| s.microstructure_60s.spread_bps_p90_60s = Bps(1))]
#[case(|s: &mut Snapshot| s.microstructure_60s.spread_current_bps = Bps(1))]
#[case(|s: &mut Snapshot| s.microstructure_60s.delta_spread_bps_p90_10s = Bps(-9))]
#[case(|s: &mut Snapshot| s.microstructure_60s.bid_ask_imbalance_p50_10s_x10000 = X10000(0))]
#[case(|s: &mut Snapshot| s.microstructure_60s.bid_ask_imbalance_p50_10s_x10000 = X10000(10_000))]
#[case(|s: &mut Snapshot| s.microstructure_60s.microvol_60s_bps = Bps(0))]
#[case(|s: &mut Snapshot| s.regime.trend_score_x10000 = X10000(10_000))]
#[case(|s: &mut Snapshot| s.regime.confidence_x10000 = X10000(0))]
#[case(|s: &mut Snapshot| s.volatility.atr_15m_bps = None)]
#[case(|s: &mut Snapshot| s.volatility.rv_5m_bps = amount("0.0000"))]
#[case(|s: &mut Snapshot| s.depth.l3_quality = amount("1.000000"))]
#[case(|s: &mut Snapshot| s.depth.bid_10bps_quote = amount("0"))]
#[case(|s: &mut Snapshot| s.flow.trades_1m = 0)]
#[case(|s: &mut Snapshot| s.flow.ofi_1m = None)]
#[case(|s: &mut Snapshot| s.costs.spread_net = amount("-1.0004"))]
#[case(|s: &mut Snapshot| s.returns_series.missing_count = 0)]
#[case(|s: &mut Snapshot| { s.lineage.engine_tick_id = None; s.lineage.engine_chain = None; })]
#[case(|s: &mut Snapshot| s.lineage.run_id = RunId(0))]
#[case(|s: &mut Snapshot| s.metadata.state_age_ms = 0)]
#[case(|s: &mut Snapshot| s.health_flags.quiet_until_ms = TsMs(1))]
fn a_value_at_its_limit_is_valid(#[case] change: Change) {
    assert_eq!(breaches(change), []);
}

#[rstest]
#[case(|s: &mut Snapshot| s.symbol = Symbol::new("BTCUSD").unwrap(), "symbol")]
#[case(|s: &mut Snapshot| s.symbol = Symbol::new("/USD").unwrap(), "symbol")]
#[case(|s: &mut Snapshot| s.regime.regime_sub = Some(RegimeSub::ChaosNoise), "regime.regime_sub")]
#[case(|s: &mut Snapshot| s.regime.regime_since_ms = TsMs(0), "regime.regime_since_ms")]
#[case(|s: &mut Snapshot| s.regime.label = RegimeLabel::Range, "regime.label")]
#[case(|s: &mut Snapshot| s.regime.trend_score_x10000 = X10000(10_001), "regime.trend_score_x10000")]
#[case(|s: &mut Snapshot| s.regime.range_score_x10000 = X10000(-1), "regime.range_score_x10000")]
#[case(|s: &mut Snapshot| s.regime.confidence_x10000 = X10000(10_001), "regime.confidence_x10000")]
#[case(|s: &mut Snapshot| s.microstructure_60s.spread_bps_p50_60s = Bps(0), "microstructure_60s.spread_bps_p50_60s")]
#[case(|s: &mut Snapshot| s.microstructure_60s.spread_bps_p90_60s = Bps(0), "microstructure_60s.spread_bps_p90_60s")]
#[case(|s: &mut Snapshot| s.microstructure_60s.spread_current_bps = Bps(0), "microstructure_60s.spread_current_bps")]
#[case(
    |s: &mut Snapshot| s.microstructure_60s.bid_ask_imbalance_p50_10s_x10000 = X10000(-1),
    "microstructure_60s.bid_ask_imbalance_p50_10s_x10000"
)]
#[case(
    |s: &mut Snapshot| s.microstructure_60s.bid_ask_imbalance_p50_10s_x10000 = X10000(10_001),
    "microstructure_60s.bid_ask_imbalance_p50_10s_x10000"
)]
#[case(|s: &mut Snapshot| s.microstructure_60s.microvol_60s_bps = Bps(-1), "microstructure_60s.microvol_60s_bps")]
#[case(|s: &mut Snapshot| s.volatility.atr_15m_bps = Some(amount("-0.0001")), "volatility.atr_15m_bps")]
#[case(|s: &mut Snapshot| s.volatility.rv_5m_bps = amount("-0.0001"), "volatility.rv_5m_bps")]
#[case(|s: &mut Snapshot| s.volatility.rv_15m_bps = amount("-0.0001"), "volatility.rv_15m_bps")]
#[case(|s: &mut Snapshot| s.flow.trades_1m = -1, "flow.trades_1m")]
#[case(|s: &mut Snapshot| s.flow.trades_5m = -1, "flow.trades_5m")]
#[case(|s: &mut Snapshot| s.depth.bid_10bps_quote = amount("-1"), "depth.bid_10bps_quote")]
#[case(|s: &mut Snapshot| s.depth.ask_10bps_quote = amount("-1"), "depth.ask_10bps_quote")]
#[case(|s: &mut Snapshot| s.depth.l3_quality = amount("1.000001"), "depth.l3_quality")]
#[case(|s: &mut Snapshot| s.prices.last_price = amount("0"), "prices.last_price")]
#[case(|s: &mut Snapshot| s.prices.state_mid = amount("0"), "prices.state_mid")]
#[case(|s: &mut Snapshot| s.prices.mid_price = amount("64250.1"), "prices.mid_price")]
#[case(|s: &mut Snapshot| s.costs.total = amount("51.8505"), "costs.total")]
#[case(|s: &mut Snapshot| s.returns_series.window_points = 71, "returns_series.window_points")]
#[case(|s: &mut Snapshot| s.returns_series.missing_count = -1, "returns_series.missing_count")]
#[case(|s: &mut Snapshot| s.returns_series.missing_count = 16, "returns_series.missing_count")]
#[case(|s: &mut Snapshot| { s.returns_series.log_return_bps.pop(); }, "returns_series.log_return_bps")]
#[case(|s: &mut Snapshot| s.returns_series.log_return_bps.push(Bps(0)), "returns_series.log_return_bps")]
#[case(|s: &mut Snapshot| s.lineage.run_id = RunId(-1), "lineage.run_id")]
#[case(|s: &mut Snapshot| s.lineage.engine_chain = None, "lineage.engine_chain")]
#[case(|s: &mut Snapshot| s.lineage.engine_tick_id = None, "lineage.engine_chain")]
#[case(|s: &mut Snapshot| s.lineage.generation_id = GenerationId(7_000_000_101), "lineage.generation_id")]
#[case(|s: &mut Snapshot| s.metadata.as_of_ms = TsMs(0), "metadata.as_of_ms")]
#[case(|s: &mut Snapshot| s.metadata.created_ts_ms = TsMs(0), "metadata.created_ts_ms")]
#[case(|s: &mut Snapshot| s.metadata.state_age_ms = -1, "metadata.state_age_ms")]
#[case(|s: &mut Snapshot| s.metadata.quote_tick_id = -1, "metadata.quote_tick_id")]
#[case(|s: &mut Snapshot| s.health_flags.quiet_until_ms = TsMs(-1), "health_flags.quiet_until_ms")]
#[case(|s: &mut Snapshot| s.health_flags.symbol_status = "x".repeat(17_000), "snapshot")]
fn a_value_one_step_beyond_is_refused_by_name(#[case] change: Change, #[case] field: &'static str) {
    assert_eq!(breaches(change), [(field, StratInputInvalid)]);
}

#[test]
fn bid_and_ask_are_above_zero_and_apart() {
    let equal = breaches(|s| {
        s.prices.best_ask = s.prices.best_bid;
        s.prices.mid_price = s.prices.best_bid;
    });
    assert_eq!(equal, [("prices.best_ask", StratInputInvalid)]);
    let zero = breaches(|s| {
        s.prices.best_bid = amount("0");
        s.prices.best_ask = amount("0.2");
        s.prices.mid_price = amount("0.1");
    });
    assert_eq!(zero, [("prices.best_bid", StratInputInvalid)]);
}

#[test]
fn the_quote_is_there_and_young() {
    let at = |quote_age_ms| {
        let context = SnapshotContext { quote_age_ms, ..context() };
        snapshot().validate(&context).map_err(|breach| (breach.field, breach.reason))
    };
    assert_eq!(at(Some(2_000)), Ok(()));
    assert_eq!(at(Some(2_001)), Err(("prices.quote", StratInputInvalid)));
    assert_eq!(at(Some(-1)), Err(("prices.quote", StratInputInvalid)));
    assert_eq!(at(None), Err(("prices.quote", StratMissingField)));
}

#[test]
fn a_stored_hash_that_is_not_that_of_the_contents_is_refused() {
    let mut spoiled = snapshot();
    spoiled.prices.last_price = amount("64250.2");
    let breach = spoiled.validate(&context()).unwrap_err();
    assert_eq!((breach.field, breach.reason), ("metadata.snapshot_hash", StratInputInvalid));
}

#[test]
fn the_hash_covers_what_decides_and_nothing_else() {
    let base = snapshot().computed_hash().unwrap();
    let of = |change: Change| {
        let mut other = snapshot();
        change(&mut other);
        other.computed_hash().unwrap()
    };
    let aside: [Change; 9] = [
        |s| s.health_flags.book_ok = false,
        |s| s.health_flags.feature_complete = false,
        |s| s.health_flags.symbol_mode = SafetyMode::Quiet,
        |s| s.health_flags.quiet_until_ms = TsMs(1),
        |s| s.health_flags.symbol_status = "cancel_only".to_owned(),
        |s| s.metadata.as_of_ms = TsMs(1),
        |s| s.metadata.state_age_ms = 1,
        |s| s.metadata.quote_tick_id = 1,
        |s| s.metadata.created_ts_ms = TsMs(1),
    ];
    for change in aside {
        assert_eq!(of(change), base);
    }
    let deciding: [Change; 12] = [
        |s| s.symbol = Symbol::new("ETH/USD").unwrap(),
        |s| s.regime.regime_since_ms = TsMs(1),
        |s| s.microstructure_60s.microvol_60s_bps = Bps(9),
        |s| s.volatility.atr_15m_bps = None,
        |s| s.flow.vol_expansion = Some(amount("1.000000")),
        |s| s.depth.l3_quality = amount("0.800001"),
        |s| s.prices.best_bid = amount("64250.10"),
        |s| s.costs.wait_risk = amount("0.7501"),
        |s| s.returns_series.log_return_bps[71] = Bps(99),
        |s| s.configuration_reference.config_hash = Hex64::of_bytes(b"other"),
        |s| s.lineage.engine_tick_id = None,
        |s| s.lineage.generation_id = GenerationId(1),
    ];
    for change in deciding {
        assert_ne!(of(change), base);
    }
    assert_eq!(base.as_str(), KNOWN);
}

/// Hash of the fixture; a change of it is a change of the shape and raises the version of the contracts.
const KNOWN: &str = "215ef7c43849a19ab0265f6cd42e348cb5647a9a2967a4542590ea8e34a0c1ec";

#[test]
fn documents_are_read_whole_or_refused_with_their_reason() {
    let text = serde_json::to_string(&snapshot()).unwrap();
    assert_eq!(Snapshot::read(text.as_bytes()).unwrap(), snapshot());
    let tree: Value = serde_json::from_str(&text).unwrap();
    for group in tree.as_object().unwrap().keys() {
        let mut without = tree.clone();
        without.as_object_mut().unwrap().remove(group);
        let breach = Snapshot::read(without.to_string().as_bytes()).unwrap_err();
        assert_eq!(breach.reason, StratMissingField, "{group}: {breach}");
        let mut empty = tree.clone();
        empty[group.as_str()] = Value::Null;
        let breach = Snapshot::read(empty.to_string().as_bytes()).unwrap_err();
        assert_eq!(breach.reason, StratMissingField, "{group}: {breach}");
        if let Some(fields) = tree[group.as_str()].as_object() {
            for field in fields.keys() {
                let mut without = tree.clone();
                without[group.as_str()].as_object_mut().unwrap().remove(field);
                let breach = Snapshot::read(without.to_string().as_bytes()).unwrap_err();
                assert_eq!(breach.reason, StratMissingField, "{group}.{field}: {breach}");
            }
        }
    }
    let refused = |change: fn(&mut Value)| {
        let mut other = tree.clone();
        change(&mut other);
        Snapshot::read(other.to_string().as_bytes()).unwrap_err().reason
    };
    assert_eq!(refused(|v| v["more"] = Value::from(1)), StratInputInvalid);
    assert_eq!(refused(|v| v["prices"]["more"] = Value::from(1)), StratInputInvalid);
    assert_eq!(refused(|v| v["regime"]["market_regime"] = Value::from("CALM")), StratInputInvalid);
    assert_eq!(refused(|v| v["prices"]["best_bid"] = Value::from(64250.1)), StratInputInvalid);
    assert_eq!(refused(|v| v["flow"]["trades_1m"] = Value::from(1.5)), StratInputInvalid);
    let long = " ".repeat(SNAPSHOT_BYTES_MAX + 1);
    assert_eq!(Snapshot::read(long.as_bytes()).unwrap_err().reason, StratInputInvalid);
}

/// The same members in another order.
fn reversed(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            out.push('{');
            for (at, (key, member)) in members.iter().rev().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                reversed(member, out);
            }
            out.push('}');
        }
        plain => out.push_str(&plain.to_string()),
    }
}

#[test]
fn the_order_of_members_in_a_document_does_not_matter() {
    let tree = serde_json::to_value(snapshot()).unwrap();
    let mut text = String::new();
    reversed(&tree, &mut text);
    assert_ne!(text, tree.to_string());
    let read = Snapshot::read(text.as_bytes()).unwrap();
    assert_eq!(read.computed_hash().unwrap(), snapshot().metadata.snapshot_hash);
}

proptest! {
    #[test]
    fn any_bytes_are_a_snapshot_or_a_breach(
        at in 0_usize..4_000, byte in any::<u8>(), cut in 0_usize..4_000,
    ) {
        let mut bytes = serde_json::to_vec(&snapshot()).unwrap();
        let (at, cut) = (at % bytes.len(), cut % bytes.len());
        bytes[at] = byte;
        if let Ok(read) = Snapshot::read(&bytes) {
            let again = serde_json::to_vec(&read).unwrap();
            prop_assert_eq!(Snapshot::read(&again).unwrap(), read);
        }
        prop_assert!(Snapshot::read(&bytes[..cut]).is_err());
    }
}
