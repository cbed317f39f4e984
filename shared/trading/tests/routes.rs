//! Which routes are active, how far they go, and which of them is ever an entry.

use penstock_trading::decide;
use penstock_trading::decide::outcome::Candidate;
use penstock_trading::fixtures::{calm, config, dec, hot, input, symbol, window};
use penstock_trading::routes::{self, Features};
use penstock_types::Decimal;
use penstock_types::state_row::StateRow;
use penstock_types::vocab::{Blocker, EntryMode, Horizon, ReasonCode, Regime, RouteType, Strategy};

/// A symbol that has fallen: 2·v·√5 is 143.1 bps at v = 32.
fn fallen(drift_5m: &str, ofi_1m: &str) -> StateRow {
    let mut row = calm(0);
    hot(&mut row);
    row.drift_5m_bps = Some(dec(drift_5m));
    row.ofi_1m = Some(dec(ofi_1m));
    row
}

fn move_of(row: &StateRow, route: RouteType, horizon: Horizon) -> Option<Decimal> {
    let features = Features::of(row).expect("volatility, spread and depth are there");
    routes::path(&features, route, horizon, 32.0).map(|path| path.move_bps)
}

#[test]
fn a_fall_reverses_from_its_limit_on_and_not_while_it_is_sold() {
    let reversal = |drift: &str, ofi: &str, horizon| {
        move_of(&fallen(drift, ofi), RouteType::DumpReversal, horizon)
    };
    assert_eq!(reversal("-143.1", "0", Horizon::Short), None, "2·32·√5 is 143.108");
    assert_eq!(reversal("-143.2", "-0.2", Horizon::Short), None);
    assert_eq!(reversal("150", "0.5", Horizon::Short), None, "a rise");
    // v·√3·0.7: the cap of three minutes; half of the fall for half an hour, whose cap is 122.69.
    assert_eq!(reversal("-143.2", "-0.19", Horizon::Short), Some(dec("38.7979")));
    assert_eq!(reversal("-143.2", "-0.19", Horizon::Long), Some(dec("71.6")));
}

#[test]
fn a_fade_of_a_rise_is_offered_to_no_entry() {
    for regime in Regime::ALL {
        assert!(!routes::routes(*regime).contains(&RouteType::PumpFadeExhaustion), "{regime}");
        let both = routes::short_routes(*regime).contains(&RouteType::DumpReversal);
        assert!(!both, "{regime}: a reversal of a fall buys");
    }
    assert!(!routes::LONG_ROUTES.contains(&RouteType::PumpFadeExhaustion));
    assert!(routes::short_routes(Regime::HighVolatility).contains(&RouteType::PumpFadeExhaustion));
}

/// Candidates of a rising symbol that pulls back.
fn pullback(taker_bps: &str, spoil: impl FnOnce(&mut StateRow)) -> Vec<Candidate> {
    let mut cycle = input(5);
    let row = &mut cycle.states[4];
    row.regime = Regime::Trend;
    row.trend_strength = Some(dec("1.2"));
    (row.drift_15m_bps, row.drift_1m_bps) = (Some(dec("60")), Some(dec("-5")));
    (row.trades_1m, row.trades_5m) = (200, 500);
    row.vwap_dev_bps = Some(dec("-30"));
    spoil(row);
    let quotes = &mut cycle.windows[4];
    *quotes = window(4);
    (quotes.spread_now_bps, quotes.spread_p90_delta_bps) = (2, 0);
    quotes.imbalance_p50_x10000 = 6_000;
    let fees = cycle.fees.as_mut().expect("fees");
    (fees.maker_bps, fees.taker_bps) = (dec("0"), dec(taker_bps));
    let all = decide(&cycle, &config()).candidates;
    let own = |c: &Candidate| {
        c.symbol == symbol(4)
            && c.strategy == Strategy::Momentum
            && c.route_type == RouteType::PullbackContinuation
    };
    all.into_iter().filter(own).collect()
}

#[test]
fn the_maker_form_of_the_pullback_is_a_candidate_with_its_own_filters() {
    // Taking costs more than the move.
    let passing = pullback("400", |_| {});
    assert_eq!(passing.len(), Horizon::ALL.len());
    for candidate in &passing {
        assert_eq!(candidate.entry_mode, Some(EntryMode::Maker), "{:?}", candidate.horizon);
        assert!(!candidate.blockers.contains(&Blocker::StrategyMismatch));
    }
    for candidate in &pullback("400", |row| row.trades_1m = 100) {
        assert_eq!(candidate.entry_mode, Some(EntryMode::Maker), "{:?}", candidate.horizon);
        assert!(candidate.blockers.contains(&Blocker::StrategyMismatch));
        assert!(candidate.reasons.contains(&ReasonCode::StratVolumeLow));
    }
    // Where taking pays, the form that its filters refuse is not in its way.
    let slow = pullback("1", |row| row.trades_1m = 100);
    let takers: Vec<_> = slow.iter().filter(|c| c.entry_mode == Some(EntryMode::Taker)).collect();
    assert!(!takers.is_empty());
    assert!(takers.iter().all(|c| !c.blockers.contains(&Blocker::StrategyMismatch)));
}
