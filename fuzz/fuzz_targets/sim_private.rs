//! Any bytes as a request of the simulated venue's private socket and as the body of a private REST
//! call: an answer or a refusal, never a panic, and the same one twice.
#![no_main]

use libfuzzer_sys::fuzz_target;
use penstock_sim::exchange::{Exchange, ExchangeConfig};
use penstock_sim::instruments::Catalog;
use penstock_sim::private::read_order_request;
use penstock_sim::rest_private::Credentials;
use rust_decimal::Decimal;
use std::sync::LazyLock;

static EXCHANGE: LazyLock<Exchange> = LazyLock::new(|| {
    let catalog = Catalog::generated(5).expect("five pairs exist");
    Exchange::new(ExchangeConfig {
        instruments: catalog.instruments(),
        seed: 1,
        cash_usd: Decimal::from(10_000),
        volume_30d_usd: Decimal::ZERO,
        recorded: false,
        start_us: 0,
    })
    .expect("BTC/USD is listed")
});

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let first = read_order_request(&EXCHANGE, text);
        assert_eq!(read_order_request(&EXCHANGE, text), first);
    }
    let credentials = Credentials::new("key".to_owned(), "c2VjcmV0".to_owned());
    let path = "/0/private/AddOrder";
    assert!(credentials.check(path, Some("key"), Some("AAAA"), bytes).is_err());
});
