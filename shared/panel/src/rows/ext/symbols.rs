//! Symbols beyond version 1: regime and mode beside the engine's states, gates, the engine's lines.
//!
//! Input: published states, `symbol_safety_effective`, `symbol_gates`, `engine_alerts`, the engine's view of the
//! process. Output: the lists. Invariants: a symbol without a token has empty fields of one; a symbol without a live
//! cause is normal.

use std::collections::BTreeMap;

use penstock_contracts::dashboard::{Gate, List, SymbolInfo};
use penstock_types::vocab::SafetyMode;
use penstock_types::{Decimal, Symbol};
use sqlx::PgConnection;

use super::super::error::ReadError;
use super::super::form::{ms, symbol};
use super::super::sight::{READ_MAX, Sight};

/// Most symbols of a list.
const SYMBOLS_MAX: i64 = 200;

pub(super) async fn merged(
    conn: &mut PgConnection,
    sight: &Sight<'_>,
) -> Result<List<SymbolInfo, 200>, ReadError> {
    let modes = modes(conn, sight).await?;
    let mut known: BTreeMap<Symbol, SymbolInfo> =
        sight.live.symbols.iter().map(|info| (info.symbol.clone(), info.clone())).collect();
    let shown = sight.symbols();
    let rest: Vec<Symbol> = known.keys().filter(|s| !shown.contains(s)).cloned().collect();
    let one = |symbol: Symbol| {
        let mut info = known.remove(&symbol).unwrap_or_else(|| without_token(symbol.clone()));
        if let Some(state) = sight.states.get(&symbol) {
            info.market_regime.clone_from(&state.regime);
            info.regime_sub = state.regime_sub.clone().unwrap_or_default();
        }
        let mode = modes.get(symbol.as_str()).map_or(SafetyMode::Normal.as_str(), String::as_str);
        mode.clone_into(&mut info.symbol_mode);
        info
    };
    Ok(shown.into_iter().chain(rest).map(one).collect())
}

fn without_token(symbol: Symbol) -> SymbolInfo {
    SymbolInfo {
        symbol,
        market_regime: String::new(),
        regime_sub: String::new(),
        token_fsm: String::new(),
        tier: String::new(),
        trigger_cost: 0,
        direction: String::new(),
        symbol_mode: String::new(),
        pressure: 0,
        fragile: 0,
        trigger: 0,
        unwind: 0,
    }
}

/// The strictest live cause of each symbol that has one.
async fn modes(
    conn: &mut PgConnection,
    sight: &Sight<'_>,
) -> Result<BTreeMap<String, String>, ReadError> {
    const WHAT: &str = "modes of symbols";
    let rows = sqlx::query!(
        r#"select symbol as "symbol!", mode as "mode!" from symbol_safety_state
           where expires_at is null or expires_at > $1
           order by symbol limit $2"#,
        sight.now,
        READ_MAX
    )
    .fetch_all(conn)
    .await
    .map_err(ReadError::sql(WHAT))?;
    let mut strictest = BTreeMap::<String, SafetyMode>::new();
    for row in rows {
        let mode = SafetyMode::parse(&row.mode).map_err(ReadError::row(WHAT))?;
        let kept = strictest.entry(row.symbol).or_insert(mode);
        *kept = mode.max(*kept);
    }
    Ok(strictest.into_iter().map(|(symbol, mode)| (symbol, mode.to_string())).collect())
}

pub(super) async fn gates(
    conn: &mut PgConnection,
    domain: &str,
) -> Result<List<Gate, 200>, ReadError> {
    const WHAT: &str = "gates of symbols";
    let rows = sqlx::query!(
        r#"select symbol as "symbol!", gate, reason, value, limit_value, unit, since as "since!",
               all_closed as "closed!"
           from symbol_gates where domain = $1 order by symbol collate "C" limit $2"#,
        domain,
        SYMBOLS_MAX
    )
    .fetch_all(conn)
    .await
    .map_err(ReadError::sql(WHAT))?;
    let text =
        |value: Option<Decimal>| value.map(|v| v.normalize().to_string()).unwrap_or_default();
    rows.into_iter()
        .map(|r| {
            Ok(Gate {
                symbol: symbol(WHAT, &r.symbol)?,
                first: r.gate.unwrap_or_default(),
                reason: r.reason.unwrap_or_default(),
                value: text(r.value),
                limit: text(r.limit_value),
                unit: r.unit.unwrap_or_default(),
                since_ms: ms(r.since),
                closed: r.closed.into_iter().collect(),
            })
        })
        .collect()
}

pub(super) async fn engine_alerts(conn: &mut PgConnection) -> Result<List<String, 20>, ReadError> {
    let rows = sqlx::query_scalar!(
        r#"select payload as "payload!" from engine_alerts order by tick_id desc, alert_id limit 20"#
    )
    .fetch_all(conn)
    .await
    .map_err(ReadError::sql("lines of the engine"))?;
    Ok(rows.into_iter().collect())
}
