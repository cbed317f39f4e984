//! Sizes: for any account, market and settings no size passes a cap, and what reduces never raises.

use penstock_trading::capital::{self, CapitalState};
use penstock_trading::costs::{CostTerms, FillModel, StopTerms};
use penstock_trading::cycle::CycleInput;
use penstock_trading::decide::DecideConfig;
use penstock_trading::engine_gate::Verdict;
use penstock_trading::fixtures::{calm, config, dec, input, instrument, symbol};
use penstock_trading::groups::CorrelationGroup;
use penstock_trading::size::{self, Limiter, SizeInput, Sized};
use penstock_types::rows::{InstrumentRow, ReservationRow};
use penstock_types::state_row::StateRow;
use penstock_types::vocab::Strategy;
use penstock_types::{Decimal, OrderId};
use proptest::prelude::*;

/// Cases of the property: `PENSTOCK_SIZING_CASES` asks for others.
const CASES: u32 = 4_000;

/// Numbers of one case, each a whole number of something small.
type Dice = [u32; 18];

/// One account with one entry to size.
#[derive(Debug)]
struct Case {
    config: DecideConfig,
    capital: CapitalState,
    state: StateRow,
    instrument: InstrumentRow,
    terms: CostTerms,
    stop: StopTerms,
    strategy: Strategy,
    edge: Decimal,
    confidence: Decimal,
    price: Decimal,
    limit: Decimal,
    engine: Verdict,
    taker_bps: Decimal,
    held_quote: Decimal,
}

/// A value from `least` to `greatest`, spread evenly over the powers of ten between them.
fn wide(dice: u32, least_exponent: i32, greatest_exponent: i32) -> Decimal {
    let span = u32::try_from(greatest_exponent - least_exponent).unwrap_or(1);
    let exponent = least_exponent + i32::try_from((dice / 1_000) % span).unwrap_or(0);
    let digits = Decimal::from(1_000 + 9 * (dice % 1_000));
    let scaled = exponent - 3;
    let power = Decimal::from(10_u64.pow(scaled.unsigned_abs()));
    if scaled < 0 { digits / power } else { digits * power }
}

fn reservation(n: usize, quote: Decimal) -> ReservationRow {
    ReservationRow {
        order_id: OrderId(i64::try_from(n).unwrap_or(0)),
        symbol: symbol(n),
        strategy: Strategy::ALL[n % Strategy::ALL.len()],
        reserved_quote: quote.round_dp(5),
    }
}

fn account(dice: &Dice) -> CycleInput {
    let mut account = input(3);
    let cash = wide(dice[0], 2, 7);
    account.balances[0].balance = cash;
    account.equity.hwm_quote = Some(cash * Decimal::new(i64::from(1_000 + dice[1] % 70), 3));
    let used = [dice[2], dice[3], dice[4]];
    account.reservations = used
        .into_iter()
        .enumerate()
        .filter(|(_, dice)| dice % 2 == 0)
        .map(|(n, dice)| reservation(n, cash * Decimal::new(i64::from(dice % 90), 3)))
        .collect();
    account.foreign_holds_quote = cash * Decimal::new(i64::from(dice[5] % 800), 3);
    account
}

fn settings(dice: &Dice) -> DecideConfig {
    let mut config = config();
    config.risk_max_exposure_symbol_quote = wide(dice[6], 1, 6);
    config.risk_max_exposure_total_quote =
        config.risk_max_exposure_symbol_quote * Decimal::from(1 + dice[6] % 5);
    config.risk_per_trade_quote = wide(dice[7], -1, 4);
    config.max_open_notional_pct_of_equity = Decimal::new(i64::from(5 + dice[8] % 95), 2);
    config.max_symbol_notional_pct_of_equity = Decimal::new(i64::from(1 + dice[9] % 60), 2);
    if dice[9].is_multiple_of(3) {
        let symbols = (0..2).map(symbol).collect();
        config.risk.groups = vec![CorrelationGroup { name: "pair".to_owned(), symbols }];
    }
    config
}

impl Case {
    fn of(dice: &Dice) -> Self {
        let (account, config) = (account(dice), settings(dice));
        let mut state = calm(0);
        state.depth_bid_10bps_quote = Some(wide(dice[10], 2, 7));
        state.depth_ask_10bps_quote = Some(wide(dice[11], 2, 7));
        let states = account.states.iter().map(|row| (&row.symbol, row)).collect();
        let capital = capital::capital(&account, &config, &states, &[]);
        let price = wide(dice[12], -4, 4);
        let mut instrument = instrument(0);
        instrument.qty_increment = dec("1") / Decimal::from(10_u64.pow(2 + dice[13] % 7));
        instrument.qty_min = instrument.qty_increment * Decimal::from(1 + dice[13] % 50);
        let taker_bps = Decimal::from(dice[14] % 100);
        let small = |n: u32| Decimal::new(i64::from(n % 5_000), 2);
        let terms = CostTerms {
            capturable_bps: dec("80"),
            fee_entry_bps: taker_bps,
            fee_exit_bps: taker_bps,
            slip_entry_bps: small(dice[14]),
            slip_exit_bps: small(dice[15]),
            spread_net_bps: dec("-1"),
            exit_drag_bps: small(dice[16]),
            tsl_drag_bps: dec("0"),
            wait_risk_bps: dec("0"),
            p_fill: dec("0.5"),
            fill_model: FillModel::FallbackBased,
            edge_bps: dec("10"),
        };
        let held_quote = capital.exposure_of(&state.symbol);
        Self {
            config,
            capital,
            state,
            instrument,
            terms,
            stop: StopTerms { sl_bps: Decimal::from(20 + dice[15] % 480), trail_bps: None },
            strategy: Strategy::ALL[usize::try_from(dice[16]).unwrap_or(0) % Strategy::ALL.len()],
            edge: small(dice[17]),
            confidence: Decimal::new(i64::from(dice[17] % 1_001), 3),
            price,
            limit: price * Decimal::new(i64::from(10_000 + dice[12] % 6), 4),
            engine: Verdict { code: None, size_factor: i64::from(5 + dice[13] % 16) * 500 },
            taker_bps,
            held_quote,
        }
    }

    fn input(&self, engine: Verdict) -> SizeInput<'_> {
        SizeInput {
            capital: &self.capital,
            config: &self.config,
            state: &self.state,
            instrument: &self.instrument,
            strategy: self.strategy,
            edge_adj_bps: self.edge,
            confidence: self.confidence,
            terms: &self.terms,
            stop: &self.stop,
            price: self.price,
            limit_price: self.limit,
            proof_max_quote: None,
            engine,
        }
    }
}

/// One step of rounding that a division may leave, relative to the value.
fn slack(value: Decimal) -> Decimal {
    value.abs() * Decimal::new(1, 20)
}

/// Every cap by itself, computed here from the account and not by the sizing's own function.
fn caps(case: &Case, sized: &Sized) -> Vec<(&'static str, Decimal, Decimal)> {
    let (capital, config) = (&case.capital, &case.config);
    let e = capital.sizing_equity_quote;
    let worst = sized.qty * case.limit;
    let at_price = sized.qty * case.price;
    let total = capital.allocated_quote() + worst;
    let of_symbol = case.held_quote + worst;
    let depth = case.state.depth_bid_10bps_quote.min(case.state.depth_ask_10bps_quote);
    let loss_bps = case.stop.sl_bps + case.terms.slip_exit_bps + case.terms.exit_drag_bps;
    let required = size::required_quote(sized.qty, case.limit, case.taker_bps);
    let (strategy, bps) = (case.strategy, Decimal::from(10_000));
    let ratio_max = match strategy {
        Strategy::Liquidity => dec("0.20"),
        Strategy::Momentum => dec("0.25"),
        Strategy::Volume => dec("0.40"),
    };
    let open_cap = (config.max_open_notional_pct_of_equity * e)
        .min(config.risk_max_exposure_total_quote)
        .round_dp(10);
    let of_group = capital.group_used_quote(&case.state.symbol, config) + worst;
    let of_strategy = capital.by_strategy.get(strategy) + worst;
    vec![
        ("symbol, quote", of_symbol, config.risk_max_exposure_symbol_quote),
        ("symbol, share", of_symbol, config.max_symbol_notional_pct_of_equity * e),
        ("total, quote", total, config.risk_max_exposure_total_quote),
        ("total, share", total, config.max_open_notional_pct_of_equity * e + dec("0.0000000001")),
        ("group", of_group, open_cap * dec("0.5")),
        ("strategy", of_strategy, capital.budget.get(strategy)),
        ("ratio", at_price, e * ratio_max),
        ("loss at the stop", at_price * loss_bps / bps, config.risk_per_trade_quote),
        ("free", required, capital.free_quote),
        ("depth", at_price, dec("0.10") * depth.unwrap_or_default()),
    ]
}

/// Judges one case; true when it got a size.
fn judge(dice: &Dice) -> Result<bool, TestCaseError> {
    let case = Case::of(dice);
    let whole = size::size(&case.input(Verdict::NEUTRAL));
    let input = case.input(case.engine);
    let sized = size::size(&input);
    let Ok(sized) = sized else { return Ok(false) };
    for (name, value, cap) in caps(&case, &sized) {
        prop_assert!(value <= cap + slack(cap), "{name}: {value} over {cap}: {sized:?} {case:?}");
    }
    let floor = size::floor_quote(&case.instrument, case.price, &case.config);
    let at_price = sized.qty * case.price;
    prop_assert!(at_price + slack(floor) >= floor, "{at_price} is below the floor {floor}");
    let steps = sized.qty / case.instrument.qty_increment;
    prop_assert!(steps.fract().is_zero(), "{} is on no step", sized.qty);
    let whole = whole.map_or(Decimal::ZERO, |whole| whole.qty);
    prop_assert!(sized.qty <= whole, "the engine only reduces: {} of {whole}", sized.qty);

    let asked = sized.qty * Decimal::new(i64::from(dice[17] % 1_000), 3);
    match size::reduced(sized, asked, &input) {
        Ok(less) => {
            prop_assert!(less.qty <= asked && less.limiter == Limiter::Gate);
            prop_assert!(less.qty * case.price >= floor);
        }
        Err(limiter) => prop_assert_eq!(limiter, Limiter::Gate),
    }
    prop_assert_eq!(size::reduced(sized, sized.qty * Decimal::TWO, &input), Ok(sized));
    Ok(true)
}

#[test]
fn bounds() {
    let cases = std::env::var("PENSTOCK_SIZING_CASES")
        .map_or(CASES, |text| text.parse().expect("PENSTOCK_SIZING_CASES is a whole number"));
    let settings = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(settings);
    let counts = std::cell::Cell::new((0_u64, 0_u64));
    let dice = prop::array::uniform18(any::<u32>());
    let outcome = runner.run(&dice, |dice| {
        let sized = judge(&dice)?;
        let (all, with_size) = counts.get();
        counts.set((all + 1, with_size + u64::from(sized)));
        Ok(())
    });
    let (all, with_size) = counts.get();
    println!("sizing: {all} cases, {with_size} with a size, none beyond a cap");
    outcome.unwrap_or_else(|error| panic!("{error}"));
    assert!(with_size * 10 >= all, "{with_size} of {all}: the cases hardly reach the caps");
}
