//! Measures a generated market in virtual time: volatility, spread, depth, trades, flow.
//!
//! Input: a seed, a scenario, a number of seconds. Output: per symbol one sample a second, and the
//! figures that a trading system derives from them (definitions below). Invariant: nothing here
//! changes the market. It judges nothing; the tests and the example do.
//!
//! Definitions: `rv` = root mean square of non-overlapping 10-second log returns of the mid,
//! counted back from the sample, times √6, in basis points per root minute, over the trailing
//! window or what exists of it; `drift` = log return over the window; `ofi` = (buys − sells) /
//! (buys + sells) in quote over the trailing 60 s; withdrawn = what left the best bid and was not
//! traded.

use rust_decimal::prelude::ToPrimitive;

use super::{Clock, Generator, Phase, Scenario};
use crate::exchange::{
    Exchange, ExchangeConfig, Instrument, LevelChange, MarketUpdate, Price, PublicEvent, Qty,
    SetupError, Side, SymbolNo,
};
use crate::instruments::Catalog;

/// Samples of one symbol, one per second.
#[derive(Debug, Default, Clone)]
pub struct Series {
    /// Mid price.
    pub mid: Vec<f64>,
    /// Spread, basis points of the mid.
    pub spread_bps: Vec<f64>,
    /// Smaller of the two sides' value within ten basis points of the mid, quote units.
    pub depth_quote: Vec<f64>,
    /// The same, counting only the best 25 levels of each side.
    pub depth_25_quote: Vec<f64>,
    /// Value bought by takers in the second, quote units.
    pub bought: Vec<f64>,
    /// Value sold by takers in the second, quote units.
    pub sold: Vec<f64>,
    /// Value that was cancelled at the best bid in the second, quote units.
    pub withdrawn: Vec<f64>,
    /// Value waiting at the best bid, quote units.
    pub queue: Vec<f64>,
    /// Prints in the second.
    pub prints: Vec<u32>,
    /// Book changes in the second (operations that changed a level).
    pub changes: Vec<u32>,
    /// Phase of the script.
    pub phase: Vec<Option<Phase>>,
}

impl Series {
    /// Realised volatility at sample `at` over the trailing `window_s`, from 30 s on.
    pub fn rv(&self, at: usize, window_s: usize) -> Option<f64> {
        let window = window_s.min(at);
        if window < 30 {
            return None;
        }
        let returns: Vec<f64> = (0..window / 10)
            .map(|back| (self.mid[at - back * 10] / self.mid[at - (back + 1) * 10]).ln() * 1e4)
            .collect();
        let mean = returns.iter().map(|r| r * r).sum::<f64>() / returns.len() as f64;
        Some(mean.sqrt() * 6f64.sqrt())
    }

    /// Log return over the trailing `window_s` or what exists, basis points.
    pub fn drift(&self, at: usize, window_s: usize) -> f64 {
        let from = at - window_s.min(at);
        (self.mid[at] / self.mid[from]).ln() * 1e4
    }

    /// Order flow imbalance over the trailing 60 s.
    pub fn ofi(&self, at: usize) -> f64 {
        let from = at.saturating_sub(59);
        let bought: f64 = self.bought[from..=at].iter().sum();
        let sold: f64 = self.sold[from..=at].iter().sum();
        if bought + sold > 0.0 { (bought - sold) / (bought + sold) } else { 0.0 }
    }

    /// How many times a second the queue at the best bid is cancelled, over the samples up to `at`
    /// of the trailing `window_s`; 0 while nothing waits.
    pub fn turnover(&self, at: usize, window_s: usize) -> f64 {
        let from = (at + 1).saturating_sub(window_s);
        let waiting: f64 = self.queue[from..=at].iter().sum();
        let gone: f64 = self.withdrawn[from..=at].iter().sum();
        if waiting > 0.0 { gone / waiting } else { 0.0 }
    }

    /// Seconds until a buyer who joins the best bid now is filled, as a trading system estimates it:
    /// what waits, over what was sold and half of what was cancelled there per second of the
    /// trailing minute; infinite while nothing went.
    pub fn est_fill_s(&self, at: usize) -> f64 {
        let from = at.saturating_sub(59);
        let sold: f64 = self.sold[from..=at].iter().sum();
        let gone: f64 = self.withdrawn[from..=at].iter().sum();
        let per_s = (sold + 0.5 * gone) / 60.0;
        if per_s > 0.0 { self.queue[at] / per_s } else { f64::INFINITY }
    }

    /// First and last sample of every rise.
    pub fn rises(&self) -> Vec<(usize, usize)> {
        let rising = |at: usize| self.phase.get(at) == Some(&Some(Phase::Rise));
        let mut found = Vec::new();
        let mut from = None;
        for at in 0..=self.phase.len() {
            match (from, rising(at)) {
                (None, true) => from = Some(at),
                (Some(start), false) => {
                    found.push((start, at - 1));
                    from = None;
                }
                (None, false) | (Some(_), true) => {}
            }
        }
        found
    }
}

/// The value below which `share` of the values lie (nearest rank); 0 without values.
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or_default()
}

/// Runs a generated market for `seconds` of virtual time and samples it once a second. The
/// scenario starts at the first second.
///
/// # Errors
/// The catalog is not one that the exchange accepts.
pub fn run(
    catalog: &Catalog,
    seed: u64,
    scenario: Scenario,
    seconds: usize,
) -> Result<Vec<Series>, SetupError> {
    let mut exchange = Exchange::new(ExchangeConfig {
        instruments: catalog.instruments(),
        seed,
        cash_usd: rust_decimal::Decimal::ZERO,
        volume_30d_usd: rust_decimal::Decimal::ZERO,
        recorded: false,
        start_us: 0,
    })?;
    let clock = Clock { start_us: 0, speed: 1.0 };
    let mut generator = Generator::new(catalog, seed, scenario, clock);
    let count = catalog.listings().len();
    let mut series = vec![Series::default(); count];
    generator.run_until(1_000_000, &mut exchange);
    generator.start_scenario(1_000_000);
    exchange.take_events();
    let mut bids: Vec<_> =
        (0..count).map(|index| exchange.market(SymbolNo(index)).top().bid).collect();
    for second in 0..seconds {
        let now_us = 1_000_000 * (second as i64 + 1);
        generator.run_until(now_us, &mut exchange);
        let mut flow = vec![Flow::default(); count];
        for event in exchange.take_events().0 {
            if let PublicEvent::Market(update) = event {
                let one = &exchange.market(update.symbol).instrument;
                flow[update.symbol.0].add(&update, one, &mut bids[update.symbol.0]);
            }
        }
        for (index, flow) in flow.into_iter().enumerate() {
            let symbol = SymbolNo(index);
            let phase = generator.phase(symbol, now_us).0;
            sample(&mut series[index], &exchange, symbol, flow, phase);
        }
    }
    Ok(series)
}

/// What happened to one symbol in one second.
#[derive(Debug, Default, Clone, Copy)]
struct Flow {
    bought: f64,
    sold: f64,
    withdrawn: f64,
    prints: u32,
    changes: u32,
}

impl Flow {
    /// Adds one event; `bid` is the best bid before it, and after it the one after it.
    fn add(&mut self, update: &MarketUpdate, one: &Instrument, bid: &mut Option<(Price, Qty)>) {
        let value = |price, qty| one.cost(price, qty).to_f64().unwrap_or_default();
        self.changes += u32::from(!update.levels.is_empty());
        self.prints += update.prints.len() as u32;
        let mut taken = Qty(0);
        for print in &update.prints {
            match print.taker {
                Side::Buy => self.bought += value(print.price, print.qty),
                Side::Sell => self.sold += value(print.price, print.qty),
            }
            if print.taker == Side::Sell && bid.is_some_and(|(price, _)| price == print.price) {
                taken = Qty(taken.0 + print.qty.0);
            }
        }
        let at_bid = |level: &&LevelChange| {
            level.side == Side::Buy && bid.is_some_and(|(price, _)| price == level.price)
        };
        if let (Some(level), Some((price, qty))) = (update.levels.iter().find(at_bid), *bid) {
            let gone = qty.0 - level.qty.0 - taken.0;
            self.withdrawn += value(price, Qty(gone.max(0)));
        }
        *bid = update.top.bid;
    }
}

fn sample(series: &mut Series, exchange: &Exchange, symbol: SymbolNo, flow: Flow, phase: Phase) {
    let market = exchange.market(symbol);
    let unit = 10f64.powi(market.instrument.price_decimals as i32);
    let lot = 10f64.powi(market.instrument.qty_decimals as i32);
    let top = market.top();
    let (bid, ask) = match (top.bid, top.ask) {
        (Some(bid), Some(ask)) => (bid.0.0 as f64 / unit, ask.0.0 as f64 / unit),
        (None, _) | (_, None) => {
            let last = series.mid.last().copied().unwrap_or(1.0);
            (last, last)
        }
    };
    let mid = (bid + ask) / 2.0;
    let within = |side: Side, levels: usize| -> f64 {
        let rows = market.book.levels(side).take(levels);
        rows.map(|(price, qty)| (price.0 as f64 / unit, qty.0 as f64 / lot))
            .filter(|(price, _)| (price / mid - 1.0).abs() <= 0.001)
            .map(|(price, qty)| price * qty)
            .sum()
    };
    series.mid.push(mid);
    series.spread_bps.push((ask - bid) / mid * 1e4);
    series.depth_quote.push(within(Side::Buy, 1_000).min(within(Side::Sell, 1_000)));
    series.depth_25_quote.push(within(Side::Buy, 25).min(within(Side::Sell, 25)));
    series.queue.push(top.bid.map_or(0.0, |bid| bid.0.0 as f64 / unit * (bid.1.0 as f64 / lot)));
    series.bought.push(flow.bought);
    series.sold.push(flow.sold);
    series.withdrawn.push(flow.withdrawn);
    series.prints.push(flow.prints);
    series.changes.push(flow.changes);
    series.phase.push(Some(phase));
}
