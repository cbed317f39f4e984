//! How the core does: markers every minute of ticks, metrics after every tick.
//!
//! Input: durations, lag, the newest view. Output: log lines and numbers. Invariants: it reads copies after
//! the tick and changes nothing; a slow tick is said once a second at most.

use std::time::{Duration, Instant};

use metrics::{counter, describe_gauge, describe_histogram, gauge, histogram};
use penstock_engine_io::Session;
use penstock_telemetry::{Level, marker};

use super::board::EngineBoard;

/// Ticks between two lines.
const STATS_TICKS: usize = 240;
/// Slow ticks in a row from which on it is critical.
const OVERRUNS_CRITICAL: u32 = 40;
/// Distance of two lines about slow ticks.
const OVERRUN_SAID_EVERY: Duration = Duration::from_secs(1);
/// Lag from which on a line is written.
const LAG_TICKS: i64 = 4;

/// What is remembered between two lines.
pub(super) struct Stats {
    tokens: Vec<(u16, String)>,
    durations: Vec<Duration>,
    overruns: u32,
    overrun_said: Option<Instant>,
}

impl Stats {
    pub(super) fn new(session: &Session) -> Self {
        describe_histogram!("engine_tick_us", "Duration of a tick of the engine, microseconds.");
        describe_gauge!("engine_lag_ticks", "Sealed ticks that the engine has not executed.");
        describe_gauge!("engine_queue_depth", "Frames that wait for the engine.");
        describe_gauge!("engine_state", "State of a token, by its code.");
        describe_gauge!("engine_cost", "Trigger cost of a token, Score.");
        describe_gauge!("engine_cluster_state", "State of a cluster, by its code.");
        describe_gauge!("engine_heat", "Heat of a cluster, Score.");
        let tokens = session.config().tokens.iter();
        Self {
            tokens: tokens.map(|token| (token.id, token.symbol.clone())).collect(),
            durations: Vec::with_capacity(STATS_TICKS),
            overruns: 0,
            overrun_said: None,
        }
    }

    /// A tick was executed.
    pub(super) fn note(&mut self, board: &EngineBoard, tick: u64, took: Duration, lag: i64) {
        histogram!("engine_tick_us", "stage" => "whole").record(took.as_secs_f64() * 1e6);
        // Exact up to 2^53; a lag is a small number.
        gauge!("engine_lag_ticks").set(lag as f64);
        self.durations.push(took);
        if self.durations.len() < STATS_TICKS {
            return;
        }
        self.durations.sort_unstable();
        let us = |at: usize| {
            let took = self.durations.get(at).copied().unwrap_or_default();
            u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
        };
        marker!(
            ENGINE_TICK_STATS,
            tick = tick,
            ticks = self.durations.len(),
            p50_us = us(STATS_TICKS / 2),
            p99_us = us(STATS_TICKS * 99 / 100),
            max_us = us(STATS_TICKS - 1),
            lag_ticks = lag
        );
        if lag > LAG_TICKS {
            marker!(ENGINE_LAG, tick = tick, lag_ticks = lag);
        }
        self.durations.clear();
        self.states(board);
    }

    /// States of tokens and clusters, once a minute of ticks.
    fn states(&self, board: &EngineBoard) {
        let Some(view) = board.view() else { return };
        for (token, (id, symbol)) in view.tokens.iter().zip(&self.tokens) {
            debug_assert_eq!(token.token_id, *id);
            gauge!("engine_state", "token" => symbol.clone())
                .set(f64::from(token.fsm_state.code()));
            gauge!("engine_cost", "token" => symbol.clone()).set(f64::from(token.trigger_cost));
            let cluster = token.cluster_id.to_string();
            gauge!("engine_cluster_state", "cluster" => cluster.clone())
                .set(f64::from(token.cluster_state.code()));
            gauge!("engine_heat", "cluster" => cluster).set(f64::from(token.heat));
        }
    }

    /// A tick took longer than a tick.
    pub(super) fn overrun(&mut self, tick: u64, took: Duration) {
        counter!("engine_tick_overruns_total").increment(1);
        self.overruns += 1;
        if self.overrun_said.is_some_and(|at| at.elapsed() < OVERRUN_SAID_EVERY) {
            return;
        }
        self.overrun_said = Some(Instant::now());
        let level = if self.overruns >= OVERRUNS_CRITICAL { Level::Error } else { Level::Warn };
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        marker!(at level, ENGINE_TICK_OVERRUN, tick = tick, took_us = us, overruns = self.overruns);
    }
}
