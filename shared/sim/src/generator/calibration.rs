//! The shapes of the generated flow and where they come from.
//!
//! Input: nothing. Output: constants measured on recorded traffic (`calibration.json` of the
//! recordings) beside the rates that the generated market uses instead, and the text that prints
//! the factor between them. Invariant: a shape (ratio, dispersion, share) is the recorded one; only
//! rates and sizes are scaled, and every scaling is a row of [`factors`].

/// Dispersion of the time between book updates, recorded BTC/USD and ETH/USD of 2026: 2.8 and 3.5.
pub const UPDATE_GAP_CV: f64 = 2.8;
/// Dispersion of the time between sweeps: mean 47 s over a median of 27 s, near 1.3.
pub const SWEEP_GAP_CV: f64 = 1.3;
/// Probability that a sweep goes the way of the one before.
pub const SAME_SIDE: f64 = 0.577;
/// Share of market orders among takers.
pub const MARKET_ORDER_SHARE: f64 = 0.409;
/// Standard deviation of the logarithm of a trade's quantity.
pub const TRADE_LN_SD: f64 = 2.87;
/// Largest over median recorded trade: 1.447 over 0.0054.
pub const TRADE_MAX_OVER_MEDIAN: f64 = 267.0;
/// Recorded prints per second, XBT/USDT: 1,000 in 6.83 h.
pub const RECORDED_PRINTS_PER_S: f64 = 1_000.0 / (6.83 * 3_600.0);
/// Recorded median trade, quote units: 0.0054 BTC at 105,400.
pub const RECORDED_TRADE_MEDIAN_QUOTE: f64 = 570.0;
/// Recorded book updates per second, BTC/USD at depth 10.
pub const RECORDED_UPDATES_PER_S: f64 = 25.98;
/// Recorded standard deviation of one-minute returns, basis points.
pub const RECORDED_MINUTE_SD_BPS: f64 = 5.38;
/// Recorded share of the queue at a best price that is cancelled there per second: the median of
/// eighteen sides (BTC/USD and ETH/USD of 2026, seven pairs of 2021); the sides range from 0 to 1.6.
pub const RECORDED_WITHDRAWN_PER_S: f64 = 0.26;

/// Sweeps per second of a symbol at rest.
pub const SWEEPS_PER_S: f64 = 1.0;
/// Sweeps per second of a symbol in a pulse.
pub const SWEEPS_PER_S_PULSE: f64 = 3.0;
/// Median sweep, quote units.
pub const TRADE_MEDIAN_QUOTE: f64 = 300.0;
/// Largest sweep, quote units: a tail that emptied the book would be an event of its own, and the
/// book promises 50,000 within ten basis points.
pub const TRADE_MAX_QUOTE: f64 = 6_000.0;
/// Mean time between looks of a symbol's quotes at the fair price, seconds.
pub const STEP_MEAN_S: f64 = 0.05;
/// Volatility at rest, basis points per root minute.
pub const VOLATILITY_BPS: f64 = 4.0;
/// How far the fair price goes before the quotes follow it, basis points: quotes that followed every
/// look took the whole queue off the best price several times a second.
pub const QUOTE_STEP_BPS: f64 = 0.75;
/// Share of the queue at the best bid that is cancelled there per second at rest, as it comes out of
/// the step above and of the changes of size; a test measures it.
pub const WITHDRAWN_PER_S: f64 = 0.27;
/// Degrees of freedom of the price increments.
pub const INCREMENT_DOF: f64 = 4.0;
/// Median spread, basis points.
pub const SPREAD_BPS: f64 = 1.5;

/// One line per scaled rate: name, generated, recorded, factor.
pub fn factors() -> Vec<(&'static str, f64, f64, f64)> {
    let row = |name, here: f64, recorded: f64| (name, here, recorded, here / recorded);
    vec![
        row("sweeps per second and symbol", SWEEPS_PER_S, RECORDED_PRINTS_PER_S * 0.524),
        row("quote updates per second and symbol", 1.0 / STEP_MEAN_S, RECORDED_UPDATES_PER_S),
        row("median sweep in quote", TRADE_MEDIAN_QUOTE, RECORDED_TRADE_MEDIAN_QUOTE),
        row("queue cancelled per second", WITHDRAWN_PER_S, RECORDED_WITHDRAWN_PER_S),
        row("one-minute return in bps", VOLATILITY_BPS, RECORDED_MINUTE_SD_BPS),
    ]
}

/// The factors as text for a start-up message.
pub fn factors_text() -> String {
    factors()
        .into_iter()
        .map(|(name, here, recorded, factor)| {
            format!("{name}: {here:.2}, recorded {recorded:.2}, factor {factor:.2}")
        })
        .collect::<Vec<_>>()
        .join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_factor_of_the_trade_rate_is_what_a_reader_expects() {
        let rows = factors();
        assert!(rows[0].3 > 40.0 && rows[0].3 < 50.0, "{}", rows[0].3);
        assert!(factors_text().contains("factor"));
    }
}
