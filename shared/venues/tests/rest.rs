//! REST bodies that others captured decode into their results.

mod common;

use common::{recordings, unzipped};
use penstock_venues::kraken::Unknowns;
use penstock_venues::kraken::rest::private::{
    BalanceResult, ClosedOrdersResult, LedgersResult, OpenOrdersResult, QueryOrdersResult,
    TradeVolumeResult, TradesHistoryResult,
};
use penstock_venues::kraken::rest::public::{
    AssetPairResult, AssetResult, Entries, SystemStatusResult, TickerResult, TimeResult,
    TradesResult, asset_names, pair_names,
};
use penstock_venues::kraken::rest::{Reply, decode};
use serde::Deserialize;

fn done<'a, T: Deserialize<'a>>(what: &str, body: &'a str) -> T {
    match decode::<T>(200, body) {
        Reply::Done { result, .. } => result,
        Reply::Refused { text, .. } => panic!("{what}: refused {text}"),
        Reply::Unknown { reason, .. } => panic!("{what}: {reason}"),
    }
}

fn known<'a, T: Deserialize<'a> + Unknowns>(what: &str, body: &'a str) {
    let result: T = done(what, body);
    let mut unknowns = Vec::new();
    result.visit_unknowns(&mut |unknown| unknowns.push(format!("{unknown:?}")));
    assert!(unknowns.is_empty(), "{what}: {unknowns:?}");
}

#[test]
fn captured_bodies_of_every_kind_decode() {
    let Some(root) = recordings() else { return };
    let mut seen = 0;
    for line in unzipped(&root.join("messages/messages.jsonl.gz")).lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let (kind, raw) = (row["kind"].as_str().unwrap(), row["raw"].as_str().unwrap());
        seen += 1;
        match kind {
            "kraken_spot:rest:GetAssets:rest" => {
                known::<Entries<'_, AssetResult<'_>>>(kind, raw);
                assert!(format!("{:?}", asset_names(&done(kind, raw))).contains("XBT"));
            }
            "kraken_spot:http_asset_pairs" | "kraken_spot:http_asset_pairs_tokenized" => {
                assert_eq!(
                    pair_names(&done::<Entries<'_, AssetPairResult<'_>>>(kind, raw)).len(),
                    1
                );
            }
            "kraken_spot:rest:GetTicker:rest" | "kraken_spot:http_ticker" => {
                let tickers: Entries<'_, TickerResult<'_>> = done(kind, raw);
                assert!(tickers.0.iter().all(|(_, t)| t.quote_volume_24h().is_some()));
            }
            "kraken_spot:http_system_status" | "kraken_spot:rest:GetSystemStatus:rest" => {
                known::<SystemStatusResult<'_>>(kind, raw);
            }
            "kraken_spot:http_server_time" => known::<TimeResult<'_>>(kind, raw),
            "kraken_spot:rest:GetTradeHistory:rest" if raw.contains("\"last\"") => {
                let trades: TradesResult<'_> = done(kind, raw);
                assert!(
                    trades.trades.iter().all(|t| t.side.is_some() && t.time_micros().is_some())
                );
            }
            "kraken_spot:rest:GetClosedOrders:rest" | "kraken_spot:http_closed_orders" => {
                known::<ClosedOrdersResult<'_>>(kind, raw);
            }
            "kraken_spot:rest:GetOpenOrders:rest" => known::<OpenOrdersResult<'_>>(kind, raw),
            "kraken_spot:rest:GetOrders:rest" => known::<QueryOrdersResult<'_>>(kind, raw),
            "kraken_spot:http_trades_history" => known::<TradesHistoryResult<'_>>(kind, raw),
            "kraken_spot:rest:GetBalances:rest" | "kraken_spot:http_spot_balance" => {
                known::<BalanceResult<'_>>(kind, raw);
            }
            "kraken_spot:rest:GetLedgerInfo:rest" => known::<LedgersResult<'_>>(kind, raw),
            "kraken_spot:rest:GetTradeVolume:rest" => known::<TradeVolumeResult<'_>>(kind, raw),
            _ => seen -= 1,
        }
    }
    assert!(seen >= 14, "only {seen} bodies looked at");
}

#[test]
fn pair_tables_of_both_ages_name_every_pair() {
    let Some(root) = recordings() else { return };
    let old = unzipped(&root.join("kraken_spot_rest/rest_AssetPairs_full_20210417.json.gz"));
    let names = pair_names(&done::<Entries<'_, AssetPairResult<'_>>>("2021", &old));
    assert_eq!(names.symbol("XXBTZUSD"), Some("BTC/USD"));
    assert_eq!(names.symbol("XDGUSD"), Some("DOGE/USD"));
    assert!(names.len() > 200);
    let path = root.join("kraken_spot_rest/rest_AssetPairs_5pairs_20260709.json");
    let new = std::fs::read_to_string(path).unwrap();
    let names = pair_names(&done::<Entries<'_, AssetPairResult<'_>>>("2026", &new));
    assert_eq!(names.altname("BTC/USD"), Some("XBTUSD"));
    assert_eq!(names.len(), 5);
}

#[test]
fn a_page_of_prints_is_contiguous() {
    let Some(root) = recordings() else { return };
    let body = unzipped(&root.join("kraken_spot_rest/rest_Trades_XBTUSDT_1000_20251110.json.gz"));
    let page: TradesResult<'_> = done("Trades", &body);
    assert_eq!(page.trades.len(), 1_000);
    assert!(page.trades.windows(2).all(|w| w[1].trade_id == w[0].trade_id + 1));
    assert!(page.trades.iter().all(|t| t.price.decimal().is_ok() && t.qty.decimal().is_ok()));
}
