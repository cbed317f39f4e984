//! What to do about a closed gate: one step for each.
//!
//! Input: the gate, its reason, the facts around it. Output: a sentence. Invariants: every blocker has a step;
//! a step names a command that there is, a configuration key that there is, or that nothing is to be done.

use penstock_store_decision::why::Facts;
use penstock_trading::decide::unit::GateUnit;
use penstock_types::vocab::{Blocker, ReasonCode};

/// The next step.
pub(super) fn step(symbol: &str, gate: &str, reason: Option<&str>, facts: &Facts) -> String {
    let code = reason.and_then(|code| ReasonCode::parse(code).ok());
    match (Blocker::parse(gate), code) {
        (Ok(blocker), code) => of_blocker(symbol, blocker, code, facts),
        (Err(_), Some(code)) => of_reason(code),
        (Err(_), None) => "`penstock status`".to_owned(),
    }
}

fn of_blocker(symbol: &str, blocker: Blocker, code: Option<ReasonCode>, facts: &Facts) -> String {
    let text = match blocker {
        Blocker::ModeBlocked => return of_mode(facts),
        Blocker::HardBlocked | Blocker::ExitOnly | Blocker::QuietMode => {
            return of_safety(symbol, facts);
        }
        Blocker::InstrumentNotOnline => {
            "wait for the venue: the pair is traded again when its status is online"
        }
        Blocker::DataStale | Blocker::RouteStale => {
            "`penstock status --service ingest`: state, frames and lease have to be young"
        }
        Blocker::BookUnreliable => {
            "wait for the book's next snapshot; ingest asks for it by itself"
        }
        Blocker::FeatureIncomplete => {
            "wait: features and quote windows fill within minutes of a feed that runs"
        }
        Blocker::RegimeChaos => "wait for a calmer market: no strategy trades this regime",
        Blocker::StrategyMismatch => {
            "wait for another regime or filter; a switch is one of the keys `strategy_*` and `route_*`"
        }
        Blocker::LowLiquidity => "wait for a deeper book",
        Blocker::SpreadTooWide | Blocker::SpreadTooNarrow => {
            "wait for another spread: the limits belong to the strategy"
        }
        Blocker::NoDirection => "wait for a move that a route answers",
        Blocker::ConfidenceLow => "wait, or look at `min_confidence`",
        Blocker::FillTimeTooLong | Blocker::FillProbabilityLow => "wait for more trades",
        Blocker::PositionOpen => return position(symbol, facts),
        Blocker::SymbolLocked => return position(symbol, facts),
        Blocker::MoveBelowFees | Blocker::EdgeNegative => {
            "wait for a greater move or a lower fee tier; a negative edge is never traded"
        }
        Blocker::SurplusBelowFloor => "wait, or look at the strategy's `surplus_floor_*_bps`",
        Blocker::ExitInfeasible => {
            "wait: the loss at the stop is too great for what the move leaves"
        }
        Blocker::EngineBlocked => return of_engine(code),
        Blocker::AiGateBlocked => {
            "`penstock psql decision -- -c 'select * from v_ai_gate_events order by ts desc limit 5'` has question and answer"
        }
        Blocker::SizeBelowMinimum => {
            "free or add capital: the least order of the venue with its margin is greater than what caps and equity leave; look at `min_order_notional_quote` and the `risk_max_exposure_*` keys"
        }
        Blocker::CapitalExhausted => {
            "free or add capital, or look at `capital_share_*` and `risk_max_exposure_total_quote`"
        }
        Blocker::SlotLimit => "wait for a position to close, or look at `max_open_positions`",
        Blocker::ExposureLimit => {
            "wait for a position to close, or look at `risk_max_exposure_symbol_quote` and `risk_max_exposure_total_quote`"
        }
        Blocker::RateLimited => "wait: the counters fall by themselves",
        Blocker::RiskBlocked => return of_risk(code),
    };
    text.to_owned()
}

/// A gate that is a reason of the catalog: the universe, a rank, the last look before a submit.
fn of_reason(code: ReasonCode) -> String {
    let text = match code {
        ReasonCode::TopnCut => {
            "nothing: it is looked at in depth when it ranks among the best; `topn_size` is the number"
        }
        ReasonCode::TopkCut | ReasonCode::TopkChurnGuard => {
            "nothing: a better symbol goes first; `topk_size` is the number of finalists"
        }
        ReasonCode::TopkReturnsMissing => {
            "wait for six hours of candles, or look at `corr_missing_action`"
        }
        ReasonCode::RiskCorrelationTooHigh => {
            "wait: it moves like a finalist or a position; `corr_max_x10000` is the limit"
        }
        ReasonCode::UniverseTradesLow => {
            "wait for a busier market: ingest counts ticker rows per window against `min_ticker_per_symbol`"
        }
        ReasonCode::UniverseVolumeLow => {
            "nothing, or raise `execution_universe_limit`: the pool takes the best by volume"
        }
        ReasonCode::UniverseQuoteMismatch => {
            "look at `universe_quotes` and the deny file: pairs of other quote assets, of two moneys and denied ones are never tracked"
        }
        ReasonCode::UniverseStatus => "wait for the venue: its status word admits no trading",
        ReasonCode::UniverseFiltersMissing => "wait for the pair's rules from the venue",
        ReasonCode::UniverseWsDown => "`penstock status --service ingest`: it has no book feed",
        ReasonCode::StateGenerationMismatch | ReasonCode::RouteStaleData => {
            "nothing: the next evaluation decides on a newer generation"
        }
        other => return format!("look up {other} in runbooks/"),
    };
    text.to_owned()
}

fn of_mode(facts: &Facts) -> String {
    let Some(mode) = &facts.mode else {
        return "`penstock status` has the mode and its causes".to_owned();
    };
    match mode.mode.as_str() {
        // The switch is the one cause of this gate that is no mode.
        "NORMAL" => {
            let unit = facts.gate.as_ref().and_then(|row| row.unit.as_deref());
            let text = if unit == Some(GateUnit::Flag.as_str()) {
                "set `execution_enable = true` and restart execution: orders are switched off"
            } else {
                "nothing: the mode is NORMAL again, the next evaluation decides"
            };
            text.to_owned()
        }
        "PAUSE" => "see to the causes, then `penstock mode NORMAL --reason TEXT`".to_owned(),
        "EXIT" => "`penstock up`: execution has stopped".to_owned(),
        _ => "see to the causes; DEGRADE ends by itself a stable window after the last one"
            .to_owned(),
    }
}

fn of_safety(symbol: &str, facts: &Facts) -> String {
    let ends = facts.causes.iter().all(|cause| cause.expires_at.is_some());
    if ends && !facts.causes.is_empty() {
        return "wait: the causes end by themselves at the times above".to_owned();
    }
    format!(
        "see to the causes of {symbol}: `penstock psql decision -- -c \"select * from symbol_safety_state where symbol = '{symbol}'\"`"
    )
}

fn position(symbol: &str, facts: &Facts) -> String {
    match &facts.order {
        Some(order) => format!("`penstock explain {}` has its newest order", order.order_id),
        None => format!("`penstock flatten {symbol} --dry-run` has its position and orders"),
    }
}

fn of_engine(code: Option<ReasonCode>) -> String {
    let text = match code {
        Some(ReasonCode::EngineWarmup) => "wait: the token's baselines fill with closed minutes",
        Some(ReasonCode::EngineFailed) => {
            "restart execution: a fault has stopped the engine's core; its log is `penstock verify log`"
        }
        Some(ReasonCode::EngineStale | ReasonCode::EngineDegraded) => {
            "`penstock status`: the engine waits for whole frames"
        }
        Some(_) | None => "wait: the market structure has to change; `engine.gates` is the switch",
    };
    text.to_owned()
}

fn of_risk(code: Option<ReasonCode>) -> String {
    let text = match code {
        Some(ReasonCode::RiskCooldownActive) => {
            "wait: the time after a stop runs out by itself; `risk_cooldown_seconds` is its length"
        }
        Some(ReasonCode::RiskMaxTradesDay | ReasonCode::RiskMaxTradesWindow) => {
            "wait for the next window; `risk_max_trades_per_day` and `risk_max_trades_per_window` are the limits"
        }
        Some(ReasonCode::RiskBalanceStale) => {
            "`penstock status`: the private stream has to bring balances"
        }
        Some(ReasonCode::RiskFeedLatency) => "look at the age of frames in `penstock status`",
        Some(ReasonCode::RiskDailyLossLimit | ReasonCode::RiskDailyLossPct) => {
            "wait for 00:00 UTC: the day's loss limit is reached"
        }
        Some(code) => {
            return format!("look up {code} in runbooks/; the rules are in docs/decisions.md");
        }
        None => "`penstock status`",
    };
    text.to_owned()
}
