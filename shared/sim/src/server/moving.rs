//! What moves with time: the market in small steps, and the report of the send rate.
//!
//! Inputs: the venue's clock. Outputs: operations on the exchange, frames of the derivatives, log
//! lines. Invariant: market time is the venue's time since the start times the speed.

use super::venue::Venue;
use crate::binance::Binance;
use crate::derivatives;
use crate::futures::Futures;
use crate::generator::{Clock, Generator};
use crate::public::PublicSide;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often the market is moved on.
const MARKET_STEP: Duration = Duration::from_millis(5);

/// Longest stretch of market seconds (at speed 1) that one step moves on.
const MARKET_PIECE: Duration = Duration::from_millis(100);
/// How often the send rate is said.
const RATE_EVERY: Duration = Duration::from_secs(10);

/// Says every [`RATE_EVERY`] how much was sent, and empties the buffer of the send log.
pub(super) async fn report_rate(venue: Arc<Venue>, cancel: CancellationToken) {
    let mut beat = tokio::time::interval(RATE_EVERY);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut last = (venue.steady_us(), venue.stats.totals());
    loop {
        tokio::select! {
            biased;
            () = cancel.cancelled() => {
                // Nobody asks for the number of lines any more.
                let _lines = venue.sends.flush();
                return;
            }
            _ = beat.tick() => {}
        }
        let now = (venue.steady_us(), venue.stats.totals());
        let seconds = (now.0 - last.0) as f64 / 1e6;
        let (frames, events) = (now.1.0 - last.1.0, now.1.1 - last.1.1);
        if seconds > 1.0 && frames > 0 {
            let per_s = |count: u64| (count as f64 / seconds).round();
            tracing::info!(
                frames_per_s = per_s(frames),
                events_per_s = per_s(events),
                "sent in the last {seconds:.0} s"
            );
        }
        // The number of lines is for those who ask.
        let _lines = venue.sends.flush();
        last = now;
    }
}

/// Moves the market and the exchange's own clock on, in small steps, so that expiries and the
/// dead man's switch happen on time also when nothing trades.
pub(super) async fn run_market(mut moved: Moved, cancel: CancellationToken) {
    let complete = moved.side.complete();
    let mut step = tokio::time::interval(MARKET_STEP);
    step.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = cancel.cancelled() => return,
            _ = step.tick() => {}
        }
        moved.step(*complete.borrow());
        moved.futures.flush();
        moved.binance.flush();
    }
}

/// What moves with the market's time.
pub(super) struct Moved {
    pub(super) side: Arc<PublicSide>,
    pub(super) generator: Option<Generator>,
    pub(super) futures: Arc<Futures>,
    pub(super) binance: Arc<Binance>,
    pub(super) clock: Clock,
    /// By how much the clock was wrong at the last step, µs.
    pub(super) skew_us: i64,
    /// Market time of the last step, µs.
    pub(super) market_us: i64,
}

impl Moved {
    fn step(&mut self, complete: bool) {
        let clock = self.clock;
        let market_us = self.side.venue.steady_us() - clock.start_us;
        let market_us = (market_us as f64 * clock.speed) as i64;
        // What a slow machine is behind with is caught up in pieces, between which others get at
        // the exchange.
        let piece_us = (MARKET_PIECE.as_micros() as f64 * clock.speed) as i64;
        let market_us = market_us.min(self.market_us.saturating_add(piece_us));
        self.market_us = market_us;
        let (mut futures, mut binance) = (self.futures.hub(), self.binance.hub());
        let skew_us = self.side.venue.skew_us();
        let shift_us = skew_us - std::mem::replace(&mut self.skew_us, skew_us);
        if shift_us != 0 {
            // The stamps of what is generated follow the venue's clock.
            futures.market.shift_clock(shift_us);
            binance.market.shift_clock(shift_us);
            if let Some(generator) = self.generator.as_mut() {
                generator.shift_clock(shift_us);
            }
        }
        for asked in self.side.venue.take_moves() {
            if let Some(generator) = self.generator.as_mut() {
                generator.move_price(asked.symbol, asked.bps, asked.over_us, market_us);
            }
        }
        let generator = &mut self.generator;
        self.side.venue.with(|exchange, now_us| {
            if let Some(generator) = generator.as_mut() {
                if complete {
                    generator.start_scenario(market_us);
                }
                futures.market.wake(market_us);
                binance.market.wake(market_us);
                let markets = &mut [&mut futures.market, &mut binance.market];
                derivatives::run_until(market_us, exchange, generator, markets);
            }
            exchange.tick(now_us);
        });
    }
}
