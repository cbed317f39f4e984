//! How much the venues send: subscribes everything, reads it, and prints the rates.
//!
//! Arguments: SYMBOLS SECONDS RATE all|l3. `all` listens to every feed of the three venues but
//! level 3, `l3` to level 3 of every symbol at depth 10. The venue runs in the same process, so the
//! processor time printed contains this reader's.

use anyhow::{Context, bail};
use futures_util::{SinkExt, StreamExt};
use penstock_sim::binance::Limits;
use penstock_sim::server::{Handle, MarketSource, Options, start};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |name: &str| arguments.next().with_context(|| format!("{name} is missing"));
    let symbols: usize = next("SYMBOLS")?.parse()?;
    let seconds: u64 = next("SECONDS")?.parse()?;
    let rate: f64 = next("RATE")?.parse()?;
    let mode = next("all|l3")?;
    let options = Options {
        market: MarketSource::Calm,
        symbols,
        rate,
        l3_points_per_s: u32::MAX / 2,
        binance: Limits::default(),
        ..Options::default()
    };
    let handle = start(options).await?;
    let read = Arc::new(AtomicU64::new(0));
    let requests = match mode.as_str() {
        "all" => everything(&handle),
        "l3" => level3(&handle),
        other => bail!("{other} is neither all nor l3"),
    };
    for (url, texts) in requests {
        let (mut socket, _) = connect_async(&url).await.context("connect")?;
        for text in texts {
            socket.send(Message::text(text)).await?;
        }
        let read = Arc::clone(&read);
        tokio::spawn(async move {
            while let Some(Ok(_)) = socket.next().await {
                read.fetch_add(1, Ordering::Relaxed);
            }
            println!("{url} has ended");
        });
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (began, cpu) = (Instant::now(), cpu_s());
    let before = (handle.venue.stats.totals(), read.load(Ordering::Relaxed));
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let after = (handle.venue.stats.totals(), read.load(Ordering::Relaxed));
    let elapsed = began.elapsed().as_secs_f64();
    let per_s = |after: u64, before: u64| (after - before) as f64 / elapsed;
    println!(
        "{symbols} symbols, {mode}, rate {rate}: {:.0} frames/s sent, {:.0} events/s, {:.0} frames/s read, {:.2} cores",
        per_s(after.0.0, before.0.0),
        per_s(after.0.1, before.0.1),
        per_s(after.1, before.1),
        (cpu_s() - cpu) / elapsed
    );
    handle.stop().await;
    Ok(())
}

fn names(handle: &Handle) -> Vec<String> {
    handle.venue.with(|exchange, _| {
        exchange.markets().iter().map(|market| market.instrument.symbol.clone()).collect()
    })
}

fn everything(handle: &Handle) -> Vec<(String, Vec<String>)> {
    let names = names(handle);
    let base = |name: &String| name.trim_end_matches("/USD").to_owned();
    let addresses = &handle.addresses;
    let spot = |channel: &str, more: Value| {
        let mut params = json!({"channel": channel, "symbol": names});
        if let (Some(params), Some(more)) = (params.as_object_mut(), more.as_object()) {
            params.extend(more.clone());
        }
        json!({"method": "subscribe", "params": params}).to_string()
    };
    let futures = |feed: &str| {
        let product = |name: &String| match base(name).as_str() {
            "BTC" => "PF_XBTUSD".to_owned(),
            base => format!("PF_{base}USD"),
        };
        let products: Vec<String> = names.iter().map(product).collect();
        json!({"event": "subscribe", "feed": feed, "product_ids": products}).to_string()
    };
    let binance = |kinds: &[&str]| {
        let name = |name: &String| format!("{}usdt", base(name).to_lowercase());
        let streams = |kind: &&str| -> Vec<String> {
            names.iter().map(|one| format!("{}@{kind}", name(one))).collect()
        };
        let streams: Vec<String> = kinds.iter().flat_map(streams).collect();
        json!({"method": "SUBSCRIBE", "params": streams, "id": 1}).to_string()
    };
    let bbo = json!({"event_trigger": "bbo"});
    vec![
        (
            addresses.ws_public.clone(),
            vec![spot("book", json!({"depth": 25})), spot("trade", json!({})), spot("ticker", bbo)],
        ),
        (addresses.futures_ws.clone(), vec![futures("book"), futures("trade"), futures("ticker")]),
        (
            format!("{}/stream", addresses.binance_ws_public),
            vec![binance(&["bookTicker", "depth@100ms"])],
        ),
        (
            format!("{}/stream", addresses.binance_ws_market),
            vec![binance(&["aggTrade", "markPrice@1s", "forceOrder"])],
        ),
    ]
}

fn level3(handle: &Handle) -> Vec<(String, Vec<String>)> {
    let token = handle.venue.issue_token();
    let names = names(handle);
    let request = |names: &[String]| {
        let params = json!({"channel": "level3", "symbol": names, "depth": 10, "token": token});
        let text = json!({"method": "subscribe", "params": params}).to_string();
        (handle.addresses.l3.clone(), vec![text])
    };
    names.chunks(penstock_sim::level3::SYMBOLS_LIMIT).map(request).collect()
}

/// Processor time of this process, seconds; clock ticks are hundredths on Linux.
fn cpu_s() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = text.rsplit(')').next().unwrap_or_default();
    let ticks = |place: usize| -> f64 {
        after.split_whitespace().nth(place).and_then(|text| text.parse().ok()).unwrap_or(0.0)
    };
    (ticks(11) + ticks(12)) / 100.0
}
