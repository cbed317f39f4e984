//! Symbols: regime, spread, edge, what stopped them.
//!
//! Input: published states, candidates of the last evaluation, `symbol_gates`, windows over quotes. Output: the section.
//! Invariants: what is held or ordered first, ascending, then finalists, then the pre-selection by rank; at most the
//! length that is asked for.

use std::collections::BTreeMap;

use penstock_contracts::dashboard::{CostsBps, MarketSnapshot, MarketSymbolRow};
use penstock_contracts::units::{Bps, X10000};
use penstock_contracts::vocab::RegimeLabel;
use penstock_types::vocab::Regime;
use penstock_types::{Decimal, Symbol};
use sqlx::PgConnection;

use super::candidates::Candidate;
use super::error::ReadError;
use super::form::{bps, x10000};
use super::sight::{READ_MAX, Sight, State};
use crate::live::Window;

/// Regime, strength of the trend, what is missing to a full one.
type Label = (RegimeLabel, X10000, X10000);

pub(super) async fn read(
    conn: &mut PgConnection,
    sight: &Sight<'_>,
    domain: &str,
    candidates: &BTreeMap<Symbol, Candidate>,
    limit: usize,
) -> Result<MarketSnapshot, ReadError> {
    let mut symbols = sight.symbols();
    symbols.truncate(limit);
    let blocked = blocked(conn, domain, &symbols).await?;
    let (no_candidate, no_window) = (Candidate::default(), Window::default());
    let row = |symbol: Symbol| {
        let candidate = candidates.get(&symbol).unwrap_or(&no_candidate);
        let window = sight.live.windows.get(&symbol).unwrap_or(&no_window);
        let (regime, trend, range) = label(sight.states.get(&symbol))?;
        Ok(MarketSymbolRow {
            regime,
            trend_score_x10000: trend,
            range_score_x10000: range,
            spread_current_bps: Bps(window.spread_now_bps),
            spread_p50_bps: Bps(window.spread_p50_bps),
            spread_p90_bps: Bps(window.spread_p90_bps),
            delta_spread_bps_p90_10s: Bps(window.spread_p90_delta_bps),
            imbalance_x10000: X10000(window.imbalance_x10000),
            edge_bps_expected: bps(candidate.edge_bps),
            costs_bps: CostsBps {
                fees_bps: bps(Some(candidate.fees_bps)),
                slippage_bps: bps(Some(candidate.slippage_bps)),
                spread_bps: bps(Some(candidate.spread_bps)),
            },
            blocked_reason_code: blocked.get(symbol.as_str()).cloned().unwrap_or_default(),
            signal_flags: window.flags.iter().copied().collect(),
            symbol,
        })
    };
    Ok(MarketSnapshot { symbols: symbols.into_iter().map(row).collect::<Result<_, _>>()? })
}

fn label(state: Option<&State>) -> Result<Label, ReadError> {
    let unknown = (RegimeLabel::Range, X10000(0), X10000(0));
    let Some(state) = state else { return Ok(unknown) };
    let regime = Regime::parse(&state.regime).map_err(ReadError::row("the regime of a symbol"))?;
    let regime = match regime {
        Regime::Trend | Regime::HighVolatility => RegimeLabel::Trend,
        Regime::Range | Regime::LowLiquidity | Regime::Chaos => RegimeLabel::Range,
    };
    let Some(strength) = state.trend_strength else { return Ok((regime, X10000(0), X10000(0))) };
    let trend = x10000(Some(strength.clamp(Decimal::ZERO, Decimal::ONE)));
    Ok((regime, trend, X10000(10_000 - trend.0)))
}

/// The reason of each closed symbol.
async fn blocked(
    conn: &mut PgConnection,
    domain: &str,
    symbols: &[Symbol],
) -> Result<BTreeMap<String, String>, ReadError> {
    let wanted: Vec<String> = symbols.iter().map(|s| s.as_str().to_owned()).collect();
    let rows = sqlx::query!(
        r#"select symbol as "symbol!", reason as "reason!" from symbol_gates
           where domain = $1 and symbol = any($2) and reason is not null
           order by symbol limit $3"#,
        domain,
        &wanted,
        READ_MAX
    )
    .fetch_all(conn)
    .await
    .map_err(ReadError::sql("what closed the symbols"))?;
    Ok(rows.into_iter().map(|r| (r.symbol, r.reason)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_regime_has_one_of_two_words() {
        let words: Vec<&str> = Regime::ALL
            .iter()
            .map(|regime| {
                let state = State { regime: regime.to_string(), ..State::default() };
                label(Some(&state)).unwrap().0.as_str()
            })
            .collect();
        assert_eq!(words, ["RANGE", "TREND", "TREND", "RANGE", "RANGE"]);
        let state = |trend: Decimal| State {
            regime: "TREND".to_owned(),
            trend_strength: Some(trend),
            ..State::default()
        };
        let scores = |trend: Decimal| {
            let (_, trend, range) = label(Some(&state(trend))).unwrap();
            (trend.0, range.0)
        };
        assert_eq!(scores(Decimal::new(123_450, 6)), (1_234, 8_766), "half goes to even");
        assert_eq!(scores(Decimal::from(2)), (10_000, 0));
        assert!(label(Some(&State::default())).is_err(), "an unknown word is no regime");
    }
}
