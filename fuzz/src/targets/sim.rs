//! What the simulated venue reads from anybody.

use penstock_sim::exchange::{Exchange, ExchangeConfig};
use penstock_sim::instruments::Catalog;
use penstock_sim::private::read_order_request;
use penstock_sim::public::{Channel, Request, parse};
use penstock_sim::recording::Recording;
use penstock_sim::rest_private::Credentials;
use penstock_sim::server::SendLine;
use penstock_sim::{binance, level3};
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

/// A request of the simulated venue's private socket and the body of a private call: an answer or a refusal,
/// and the same one twice.
pub(super) fn sim_private(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let first = read_order_request(&EXCHANGE, text);
        assert_eq!(read_order_request(&EXCHANGE, text), first);
    }
    let credentials = Credentials::new("key".to_owned(), "c2VjcmV0".to_owned());
    let path = "/0/private/AddOrder";
    assert!(credentials.check(path, Some("key"), Some("AAAA"), bytes).is_err());
}

/// A request of the simulated venue's public socket: what is understood names symbols.
pub(super) fn sim_public(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Request::Subscribe(asked) | Request::Unsubscribe(asked) = parse(text).request {
        assert_eq!(asked.symbols.is_empty(), asked.channel == Channel::Instrument);
    }
}

/// A recording for the simulated venue: a replay never goes back in time.
pub(super) fn sim_recording(bytes: &[u8]) {
    if let Ok(recording) = Recording::parse(bytes) {
        assert!(recording.frames.windows(2).all(|pair| pair[0].due_us <= pair[1].due_us));
    }
}

/// Requests of the level 3 socket and names of Binance streams: what is understood says so.
pub(super) fn sim_feeds(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(symbols) = level3::symbols_asked(text) {
        assert!(symbols > 0);
    }
    if let Some(name) = binance::stream_name(text) {
        // The symbol before it may fold its case in more than one way.
        assert_eq!(name.split('@').nth(1), text.split('@').nth(1));
    }
    let _streams = binance::streams_of_path(text);
}

/// A line of the send log: what is read is written as a line that is read as the same.
pub(super) fn sim_sends(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Some(line) = SendLine::parse(text) else { return };
    let mut written = Vec::new();
    line.write(&mut written).expect("memory takes everything");
    let again = String::from_utf8(written).expect("text");
    assert_eq!(SendLine::parse(again.trim_end_matches('\n')), Some(line));
}
