//! What the page shows beyond version 1: identity, ages, gates, engine, positions, candles, series.
//!
//! Fields here may be added in any version. A figure that this version does not measure is empty or 0 and says so in
//! its own words.

use super::list::List;
use super::words::NoOrderClass;
use crate::amount::DecStr;
use crate::shape::contract;
use crate::units::{TsMs, X10000};
use crate::vocab::Side;
use penstock_types::Symbol;

/// Most candles of a symbol: two hours.
const CANDLES_MAX: usize = 120;
/// Most symbols with candles.
const CHARTS_MAX: usize = 8;
/// Most points of a series.
const POINTS_MAX: usize = 240;
/// Most symbols of a list about symbols.
const SYMBOLS_MAX: usize = 200;

contract! {
    /// The program
    pub BuildInfo {
        /// Commit, or empty
        git_commit: String,
        /// Version
        version: String,
        /// Hash of the configuration
        config_hash: String,
    }
}

contract! {
    /// What is bound of ingest
    pub IngestInfo {
        /// Run, or 0
        run_id: i64,
        /// Newest judged epoch, or 0
        epoch_id: i64,
        /// Its status, or empty
        epoch_status: String,
        /// Its age
        epoch_age_ms: i64,
        /// Universe snapshot, or 0
        snapshot_id: i64,
        /// Generation of the last evaluation, or 0
        generation_id: i64,
        /// Newest published generation, or 0
        visible_generation_id: i64,
        /// Age of its state
        generation_age_ms: i64,
        /// Lineage, or empty
        lineage_id: String,
    }
}

contract! {
    /// A service's sign of life
    pub Heartbeat {
        /// Service
        service: String,
        /// Age
        age_ms: i64,
    }
}

contract! {
    /// How fresh a route's state is
    pub Route {
        /// Pair
        symbol: Symbol,
        /// Route
        route: String,
        /// Age of the state
        state_age_ms: i64,
        /// What the route allows
        max_ms: i64,
        /// It is within that
        ok: bool,
    }
}

contract! {
    /// What the engine and the modes say of a symbol
    pub SymbolInfo {
        /// Pair
        symbol: Symbol,
        /// Published regime
        market_regime: String,
        /// Its refinement, or empty
        regime_sub: String,
        /// State of its token, or empty without one
        token_fsm: String,
        /// Tier of the token, or empty
        tier: String,
        /// Cost of a trigger, or 0
        trigger_cost: i64,
        /// Where the structure leans, or empty
        direction: String,
        /// Mode of the symbol
        symbol_mode: String,
        /// Score of PRESSURE
        pressure: i64,
        /// Score of FRAGILE
        fragile: i64,
        /// Score of TRIGGER_READY
        trigger: i64,
        /// Score of UNWIND
        unwind: i64,
    }
}

contract! {
    /// The first closed gate of a symbol
    pub Gate {
        /// Pair
        symbol: Symbol,
        /// Gate, or empty when all are open
        first: String,
        /// Reason, or empty
        reason: String,
        /// What was found, or empty
        value: String,
        /// What is allowed, or empty
        limit: String,
        /// Unit of both, or empty
        unit: String,
        /// Since when
        since_ms: TsMs,
        /// Every closed gate
        closed: List<String, 16>,
    }
}

contract! {
    /// Age of a stream of ingest
    pub StreamAge {
        /// Venue
        venue: String,
        /// Stream
        stream: String,
        /// Time since its last message
        age_ms: i64,
    }
}

contract! {
    /// A position with what covers it
    pub PositionCard {
        /// Id
        position_id: i64,
        /// Pair
        symbol: Symbol,
        /// Base held
        qty: DecStr,
        /// Mean entry price
        avg_entry: DecStr,
        /// Bid
        last: DecStr,
        /// Result at the bid, before the fees of the way out
        upnl_quote: DecStr,
        /// Stop
        sl: DecStr,
        /// Target, or 0
        tp: DecStr,
        /// State of its exit plan
        protection_state: String,
        /// Base that a stop at the venue covers
        covered_qty: DecStr,
        /// The rest
        uncovered_qty: DecStr,
        /// For how long there is a rest
        uncovered_ms: i64,
        /// A look at the venue is due
        confirm_pending: bool,
        /// Since its opening
        age_ms: i64,
    }
}

/// Open, high, low, close of a minute; empty for a minute without a candle.
pub type Ohlc = List<DecStr, 4>;

contract! {
    /// A fill on a chart
    pub CandleFill {
        /// When
        ts_ms: TsMs,
        /// Side
        side: Side,
        /// Price
        price: DecStr,
        /// Base
        qty: DecStr,
    }
}

contract! {
    /// A stop on a chart, from then on
    pub CandleStop {
        /// When
        ts_ms: TsMs,
        /// Price
        price: DecStr,
    }
}

contract! {
    /// A symbol's chart
    pub Candles {
        /// Pair
        symbol: Symbol,
        /// Begin of the first minute
        t0_ms: TsMs,
        /// Length of a step
        step_ms: i64,
        /// Minutes
        ohlc: List<Ohlc, CANDLES_MAX>,
        /// Fills within them
        fills: List<CandleFill, 200>,
        /// Stops within them
        stops: List<CandleStop, 200>,
    }
}

contract! {
    /// How far candidates came in 24 hours
    pub Funnel {
        /// Symbols that could be traded, over all evaluations
        eligible: i64,
        /// Of the pre-selection
        topn: i64,
        /// Looked at closely
        deep: i64,
        /// Finalists
        topk: i64,
        /// With a decision
        proposed: i64,
        /// That the AI gate let pass
        ai_allow: i64,
        /// That risk let pass
        risk_allow: i64,
        /// Orders sent
        sent: i64,
        /// Orders with a fill
        filled: i64,
    }
}

contract! {
    /// How often a code stopped something
    pub CodeCount {
        /// Code
        code: String,
        /// How often in 24 hours
        n: i64,
    }
}

contract! {
    /// Percentiles
    pub Percentiles {
        /// How many were measured
        n: i64,
        /// Median
        p50_ms: i64,
        /// 95th
        p95_ms: i64,
        /// 99th
        p99_ms: i64,
    }
}

contract! {
    /// How long orders of the last 24 hours took
    pub Latency {
        /// From the decision to the send
        decision_submit: Percentiles,
        /// From the send to the venue's answer
        submit_ack: Percentiles,
        /// From the answer to the first fill
        ack_fill: Percentiles,
        /// From a fill to the stop that rests
        fill_stop: Percentiles,
    }
}

contract! {
    /// How much of the venue's budgets is used, as shares of their ceilings
    pub Limits {
        /// Calls
        rest_counter_x10000: X10000,
        /// Orders of the fullest pair
        engine_counter_x10000: X10000,
    }
}

contract! {
    /// Orders sent
    pub Churn {
        /// In the last ten seconds
        count_10s: i64,
        /// In the last minute
        count_60s: i64,
    }
}

contract! {
    /// A point of a series
    pub Point {
        /// When
        ts_ms: TsMs,
        /// Value, in the unit of its series
        value: DecStr,
    }
}

contract! {
    /// A figure over time
    pub Series {
        /// Name
        name: String,
        /// Unit
        unit: String,
        /// Points, the oldest first
        points: List<Point, POINTS_MAX>,
    }
}

contract! {
    /// An item of the checklist
    pub Check {
        /// Name
        name: String,
        /// It holds
        ok: bool,
    }
}

contract! {
    /// What is not part of version 1
    pub Ext {
        /// The program
        build: BuildInfo,
        /// `sim` or `kraken`
        venue: String,
        /// Session
        session_id: String,
        /// Policy of the AI gate: 0, 1, 2
        ai_dec: i64,
        /// Orders may be sent
        execution_enable: bool,
        /// How the engine is used: off, shadow, enforce
        engine_mode: String,
        /// What is bound of ingest
        ingest: IngestInfo,
        /// Signs of life
        heartbeats: List<Heartbeat, 8>,
        /// A critical alert sounds
        alert_sound: bool,
        /// Standby rows of stops and exits
        standby_orders: i64,
        /// Freshness of routes
        routes: List<Route, SYMBOLS_MAX>,
        /// Engine and modes by symbol
        symbols: List<SymbolInfo, SYMBOLS_MAX>,
        /// First closed gate by symbol
        gates: List<Gate, SYMBOLS_MAX>,
        /// Ages of ingest's streams
        stream_ages: List<StreamAge, 64>,
        /// State of each cluster of tokens
        cluster_fsm: List<String, 16>,
        /// Phase of a scheduled event, or empty
        event_phase: String,
        /// Lines of the engine, the newest first
        engine_alerts: List<String, 20>,
        /// Open positions
        positions: List<PositionCard, SYMBOLS_MAX>,
        /// Charts: positions, then finalists, then the pre-selection
        candles: List<Candles, CHARTS_MAX>,
        /// How far candidates came
        funnel: Funnel,
        /// What stopped them, the most frequent first
        blocks_by_code: List<CodeCount, 20>,
        /// Why the last evaluation sent no order
        no_order_class: NoOrderClass,
        /// How long orders took
        latency: Latency,
        /// Budgets
        limits: Limits,
        /// Orders sent
        churn: Churn,
        /// Figures over time
        series: List<Series, 16>,
        /// The checklist of the start
        checklist: List<Check, 32>,
        /// Age of the newest backup; 0 = none is known
        backup_age_ms: i64,
        /// Age of what of this document comes from the database; 0 = it is of now
        stale_ms: i64,
    }
}
