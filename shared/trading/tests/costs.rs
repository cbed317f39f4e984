//! The cost model: golden vectors, monotonicity, agreement with the exit plans.
#![expect(clippy::unwrap_used, reason = "helpers of tests stop at the first surprise")]

use penstock_trading::costs::{CostInput, FillModel, StopTerms, costs, stop_terms};
use penstock_trading::decide::config::TpAction;
use penstock_trading::exit::policy::{PolicyInput, plan_terms};
use penstock_trading::fixtures::{calm, dec, hot, instrument};
use penstock_trading::routes::{self, Features, Path};
use penstock_types::rows::FeeTierRow;
use penstock_types::vocab::{EntryMode, ExitPolicy, Horizon, RouteType};
use penstock_types::{Decimal, UtcMicros};
use proptest::prelude::*;

fn fees(maker: &str, taker: &str) -> FeeTierRow {
    FeeTierRow { maker_bps: dec(maker), taker_bps: dec(taker), source: "live".to_owned() }
}

struct Case {
    features: Features,
    path: Path,
    fees: FeeTierRow,
    stop: StopTerms,
    mode: EntryMode,
    policy: ExitPolicy,
    size: f64,
}

impl Case {
    fn input(&self) -> CostInput<'_> {
        CostInput {
            features: &self.features,
            path: &self.path,
            mode: self.mode,
            policy: self.policy,
            fees: &self.fees,
            stop: self.stop,
            size_quote: self.size,
            latency_s: 0.25,
            ttl_s: 40.0,
            tick_bps: 1.0,
            tp_action: TpAction::RaiseStop,
            maker_close: true,
        }
    }
}

fn breakout() -> Case {
    let mut row = calm(0);
    hot(&mut row);
    let features = Features::of(&row).unwrap();
    let route = RouteType::BreakoutContinuation;
    let path = routes::path(&features, route, Horizon::Long, 4.0).unwrap();
    let policy = ExitPolicy::TrailingStop;
    let stop = stop_terms(policy, path.move_bps, features.s, features.atr);
    let (mode, size) = (EntryMode::Taker, 600.0);
    Case { features, path, fees: fees("10", "20"), stop, mode, policy, size }
}

fn passive() -> Case {
    let mut row = calm(0);
    row.spread_avg_bps = Some(dec("8"));
    let features = Features::of(&row).unwrap();
    let route = RouteType::PassiveSpreadCapture;
    let path = routes::path(&features, route, Horizon::Long, 4.0).unwrap();
    let policy = ExitPolicy::MakerLadder;
    let stop = stop_terms(policy, path.move_bps, features.s, features.atr);
    let (mode, size) = (EntryMode::Maker, 600.0);
    Case { features, path, fees: fees("10", "20"), stop, mode, policy, size }
}

#[test]
fn a_breakout_taker_costs_what_was_computed_by_hand() {
    let case = breakout();
    // v 32, √30 = 5.477226, scale 32/4 cut to 2.5, expansion 1 > 0.5, µ 0.1: 438.1780 + 0.1.
    assert_eq!(case.path.move_bps, dec("438.2780"));
    assert_eq!(case.path.spent_bps, dec("42.5"));
    // 0.4 + 0.3·1 + 0.2·1 + 0.1·0.9 = 0.99; × 0.6.
    assert_eq!(case.path.confidence, dec("0.594"));
    // sl = 0.5·438.278 = 219.139; trail = min(sl, 70).
    assert_eq!(case.stop.sl_bps, dec("219.139"));
    assert_eq!(case.stop.trail_bps, Some(dec("70")));
    let t = costs(&case.input()).unwrap();
    assert_eq!(t.capturable_bps, dec("198.5529"), "438.278·0.55 − 42.5");
    assert_eq!((t.fee_entry_bps, t.fee_exit_bps), (dec("20"), dec("20")));
    assert_eq!(t.slip_entry_bps, dec("4.1697"), "3.5 + 0.3·32·√(0.25/60) + 5·600/60000");
    assert_eq!(t.slip_exit_bps, dec("2.05"));
    assert_eq!((t.spread_net_bps, t.exit_drag_bps), (dec("0.75"), dec("0.75")));
    assert_eq!(t.tsl_drag_bps, dec("21"));
    assert_eq!((t.wait_risk_bps, t.p_fill), (dec("0"), dec("1")));
    assert_eq!(t.fill_model, FillModel::Taker);
    assert_eq!(t.edge_bps, dec("129.8332"), "198.5529 − 68.7197");
}

#[test]
fn a_resting_entry_earns_the_spread_and_pays_the_raised_stop() {
    let case = passive();
    // (0.8·8 + 0.4·4 + 0.6·0.1)·2.2.
    assert_eq!(case.path.move_bps, dec("17.732"));
    let t = costs(&case.input()).unwrap();
    assert_eq!(t.capturable_bps, dec("12.4124"), "17.732·0.7");
    assert_eq!((t.fee_entry_bps, t.fee_exit_bps), (dec("10"), dec("20")));
    assert_eq!(t.slip_entry_bps, dec("0.9"), "0.05·8 + 0.5");
    assert_eq!(t.spread_net_bps, dec("-4"));
    assert_eq!(t.exit_drag_bps, dec("9"), "half the spread and max(2 ticks, 5 bps)");
    assert_eq!(t.wait_risk_bps, dec("0.8165"), "0.25·4·√(40/60)");
    // One trade a second: 1/(1 + 0.25)·0.9.
    assert_eq!(t.p_fill, dec("0.72"));
    assert_eq!(t.fill_model, FillModel::FallbackBased);
    assert_eq!(t.edge_bps, dec("-18.975"), "0.72·(12.4124 − 38.7665)");
}

#[test]
fn a_calm_market_pays_no_route_at_the_second_fee_tier() {
    let features = Features::of(&calm(0)).unwrap();
    for route in [RouteType::PassiveSpreadCapture, RouteType::MakerUnwindMeanReversion] {
        for horizon in Horizon::ALL {
            let Some(path) = routes::path(&features, route, *horizon, 4.0) else { continue };
            let mut case = passive();
            case.features = features.clone();
            case.path = path;
            let t = costs(&case.input()).unwrap();
            assert!(t.edge_bps < Decimal::ZERO, "{route} {horizon}: {}", t.edge_bps);
        }
    }
}

#[test]
fn without_a_trade_or_with_an_order_book_the_fill_model_says_so() {
    let mut case = passive();
    case.features.trades_per_s = 0.0;
    let t = costs(&case.input()).unwrap();
    assert_eq!((t.p_fill, t.fill_model), (dec("0.05"), FillModel::MissingInsufficient));
    case.features.est_fill_bid_ms = Some(100_000);
    let t = costs(&case.input()).unwrap();
    assert_eq!((t.p_fill, t.fill_model), (dec("0.75"), FillModel::L3Based));
}

#[test]
fn the_stop_that_costs_assume_is_the_stop_that_the_exit_plan_sets() {
    for policy in [ExitPolicy::MakerLadder, ExitPolicy::TrailingStop, ExitPolicy::TimeDecay] {
        for (mx, atr) in [("40", None), ("438.278", None), ("438.278", Some("90"))] {
            let atr = atr.map(dec);
            let spread = dec("12");
            let ours = stop_terms(policy, dec(mx), 12.0, atr.map(|a| a.try_into().unwrap()));
            let plan = plan_terms(&PolicyInput {
                policy,
                entry_price: dec("100"),
                mid: None,
                expected_move_bps: dec(mx),
                atr_bps: atr,
                spread_avg_bps: spread,
                round_trip_fees_bps: dec("40"),
                horizon: Horizon::Long,
                tick: instrument(0).price_increment,
                opened_at: UtcMicros(0),
            });
            assert_eq!(plan.sl_bps, ours.sl_bps, "{policy} {mx} {atr:?}");
            if policy == ExitPolicy::TrailingStop {
                assert_eq!(plan.trail_bps, ours.trail_bps, "{policy} {mx} {atr:?}");
            }
        }
    }
}

proptest! {
    #[test]
    fn the_edge_never_rises_with_a_cost_or_with_the_size(
        maker in 0_i64..100,
        taker in 0_i64..100,
        size in 1_i64..50_000,
        more in 1_i64..50_000,
        rests in any::<bool>(),
    ) {
        let edge = |maker: i64, taker: i64, size: i64| {
            let mut case = if rests { passive() } else { breakout() };
            case.fees.maker_bps = maker.into();
            case.fees.taker_bps = taker.into();
            case.size = f64::from(i32::try_from(size).unwrap());
            costs(&case.input()).unwrap().edge_bps
        };
        let base = edge(maker, taker, size);
        prop_assert!(edge(maker, taker, size + more) <= base);
        prop_assert!(edge(maker + more, taker, size) <= base);
        prop_assert!(edge(maker, taker + more, size) <= base);
    }

    #[test]
    fn the_edge_never_rises_when_latency_ttl_or_a_tick_grows(
        latency in 1_u32..5_000,
        more in 1_u32..5_000,
        rests in any::<bool>(),
    ) {
        let case = if rests { passive() } else { breakout() };
        let edge = |latency: u32, ttl: u32, tick: u32| {
            let mut input = case.input();
            input.latency_s = f64::from(latency) / 1_000.0;
            input.ttl_s = f64::from(ttl) / 10.0;
            input.tick_bps = f64::from(tick) / 100.0;
            costs(&input).unwrap().edge_bps
        };
        let base = edge(latency, latency, latency);
        prop_assert!(edge(latency + more, latency, latency) <= base);
        prop_assert!(edge(latency, latency + more, latency) <= base);
        prop_assert!(edge(latency, latency, latency + more) <= base);
    }
}
