//! Names of streams, and the routes that carry them.
//!
//! Input: paths and names. Output: [`Target`] and [`Stream`]. Invariant: symbols in names are lower
//! case; a name that is not understood, or whose route is another, is no error but a stream that
//! never speaks. It knows no subscribers.

use percent::decode;

/// Entry points of the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// What the matching engine pushes.
    Public,
    /// What is aggregated.
    Market,
    /// The account's; nothing speaks here.
    Private,
}

/// How fast a stream of book changes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Speed {
    Ms100,
    Ms250,
    Ms500,
}

impl Speed {
    pub(super) const ALL: [Speed; 3] = [Speed::Ms100, Speed::Ms250, Speed::Ms500];

    pub(super) fn us(self) -> i64 {
        match self {
            Speed::Ms100 => 100_000,
            Speed::Ms250 => 250_000,
            Speed::Ms500 => 500_000,
        }
    }
}

/// One stream; the number is the contract's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stream {
    AggTrade(usize),
    Trade(usize),
    BookTicker(usize),
    AllBookTickers,
    /// With the seconds between two images.
    MarkPrice(usize, i64),
    AllMarkPrices(i64),
    ForceOrder(usize),
    AllForceOrders,
    Depth(usize, Speed),
}

impl Stream {
    /// Reads a name; `find` gives the number of a symbol in upper case.
    pub(super) fn parse(name: &str, find: impl Fn(&str) -> Option<usize>) -> Option<Stream> {
        match name {
            "!bookTicker" => return Some(Stream::AllBookTickers),
            "!markPrice@arr" => return Some(Stream::AllMarkPrices(3)),
            "!markPrice@arr@1s" => return Some(Stream::AllMarkPrices(1)),
            "!forceOrder@arr" => return Some(Stream::AllForceOrders),
            _ => {}
        }
        let (symbol, kind) = name.split_once('@')?;
        if symbol.chars().any(char::is_uppercase) {
            return None;
        }
        let index = find(&symbol.to_uppercase())?;
        match kind {
            "aggTrade" => Some(Stream::AggTrade(index)),
            "trade" => Some(Stream::Trade(index)),
            "bookTicker" => Some(Stream::BookTicker(index)),
            "markPrice" => Some(Stream::MarkPrice(index, 3)),
            "markPrice@1s" => Some(Stream::MarkPrice(index, 1)),
            "forceOrder" => Some(Stream::ForceOrder(index)),
            "depth" => Some(Stream::Depth(index, Speed::Ms250)),
            "depth@100ms" => Some(Stream::Depth(index, Speed::Ms100)),
            "depth@500ms" => Some(Stream::Depth(index, Speed::Ms500)),
            _ => None,
        }
    }

    /// Its name, for the symbol in upper case.
    pub(super) fn name(self, symbol: &str) -> String {
        let of = |kind: &str| format!("{}@{kind}", symbol.to_lowercase());
        match self {
            Stream::AggTrade(_) => of("aggTrade"),
            Stream::Trade(_) => of("trade"),
            Stream::BookTicker(_) => of("bookTicker"),
            Stream::AllBookTickers => "!bookTicker".to_owned(),
            Stream::MarkPrice(_, 1) => of("markPrice@1s"),
            Stream::MarkPrice(_, _) => of("markPrice"),
            Stream::AllMarkPrices(1) => "!markPrice@arr@1s".to_owned(),
            Stream::AllMarkPrices(_) => "!markPrice@arr".to_owned(),
            Stream::ForceOrder(_) => of("forceOrder"),
            Stream::AllForceOrders => "!forceOrder@arr".to_owned(),
            Stream::Depth(_, Speed::Ms100) => of("depth@100ms"),
            Stream::Depth(_, Speed::Ms250) => of("depth"),
            Stream::Depth(_, Speed::Ms500) => of("depth@500ms"),
        }
    }

    /// The route that carries it.
    pub(super) fn route(self) -> Route {
        match self {
            Stream::Trade(_)
            | Stream::BookTicker(_)
            | Stream::AllBookTickers
            | Stream::Depth(_, _) => Route::Public,
            Stream::AggTrade(_)
            | Stream::MarkPrice(_, _)
            | Stream::AllMarkPrices(_)
            | Stream::ForceOrder(_)
            | Stream::AllForceOrders => Route::Market,
        }
    }

    /// The name of its kind in counters and faults.
    pub(super) fn channel(self) -> &'static str {
        match self {
            Stream::AggTrade(_) => "binance/aggTrade",
            Stream::Trade(_) => "binance/trade",
            Stream::BookTicker(_) | Stream::AllBookTickers => "binance/bookTicker",
            Stream::MarkPrice(_, _) | Stream::AllMarkPrices(_) => "binance/markPrice",
            Stream::ForceOrder(_) | Stream::AllForceOrders => "binance/forceOrder",
            Stream::Depth(_, _) => "binance/depth",
        }
    }
}

/// What a connection asked for with its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) route: Route,
    /// Frames are wrapped with the name of their stream.
    pub(super) combined: bool,
    pub(super) streams: Vec<String>,
}

impl Target {
    /// Reads `/<route>/ws[/<stream>…]` and `/<route>/stream[?streams=<stream>/…]`; without a route
    /// the legacy path, which behaves like `/public`.
    pub(super) fn parse(path: &str, query: Option<&str>) -> Option<Target> {
        let path = path.strip_prefix('/')?;
        let (route, rest) = match path.split_once('/') {
            Some(("public", rest)) => (Route::Public, rest),
            Some(("market", rest)) => (Route::Market, rest),
            Some(("private", rest)) => (Route::Private, rest),
            Some(_) | None => (Route::Public, path),
        };
        let names = |list: &str| -> Vec<String> {
            list.split('/').filter(|name| !name.is_empty()).map(decode).collect()
        };
        match rest.split_once('/').unwrap_or((rest, "")) {
            ("ws", list) => Some(Target { route, combined: false, streams: names(list) }),
            ("stream", "") => {
                let streams = query
                    .unwrap_or_default()
                    .split('&')
                    .find_map(|pair| pair.strip_prefix("streams=").map(names));
                Some(Target { route, combined: true, streams: streams.unwrap_or_default() })
            }
            _ => None,
        }
    }
}

/// Percent signs in names: symbols are not all ASCII.
mod percent {
    /// Decodes `%40` and the like; what is not one stays.
    pub(super) fn decode(text: &str) -> String {
        let with = format!("x={}", text.replace('+', "%2B"));
        let mut pairs = url::form_urlencoded::parse(with.as_bytes());
        pairs.next().map_or_else(|| text.to_owned(), |(_, value)| value.into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn find(symbol: &str) -> Option<usize> {
        (symbol == "BTCUSDT").then_some(7)
    }

    #[test]
    fn every_documented_name_has_its_route() {
        for (name, stream, route) in [
            ("btcusdt@aggTrade", Stream::AggTrade(7), Route::Market),
            ("btcusdt@markPrice@1s", Stream::MarkPrice(7, 1), Route::Market),
            ("btcusdt@markPrice", Stream::MarkPrice(7, 3), Route::Market),
            ("btcusdt@forceOrder", Stream::ForceOrder(7), Route::Market),
            ("!forceOrder@arr", Stream::AllForceOrders, Route::Market),
            ("!markPrice@arr@1s", Stream::AllMarkPrices(1), Route::Market),
            ("btcusdt@bookTicker", Stream::BookTicker(7), Route::Public),
            ("!bookTicker", Stream::AllBookTickers, Route::Public),
            ("btcusdt@trade", Stream::Trade(7), Route::Public),
            ("btcusdt@depth", Stream::Depth(7, Speed::Ms250), Route::Public),
            ("btcusdt@depth@100ms", Stream::Depth(7, Speed::Ms100), Route::Public),
        ] {
            assert_eq!(Stream::parse(name, find), Some(stream), "{name}");
            assert_eq!(stream.route(), route, "{name}");
            assert_eq!(stream.name("BTCUSDT"), name);
        }
        for name in ["BTCUSDT@aggTrade", "ethusdt@aggTrade", "btcusdt@nonsense", "btcusdt", ""] {
            assert_eq!(Stream::parse(name, find), None, "{name}");
        }
    }

    #[test]
    fn paths_name_route_form_and_streams() {
        let target = |path, query| Target::parse(path, query);
        let combined = target("/market/stream", Some("streams=a@aggTrade/b%40markPrice"));
        let combined = combined.expect("a target");
        assert_eq!((combined.route, combined.combined), (Route::Market, true));
        assert_eq!(combined.streams, ["a@aggTrade", "b@markPrice"]);
        let raw = target("/public/ws/a@depth/b@depth", None).expect("a target");
        assert_eq!((raw.combined, raw.streams.len()), (false, 2));
        assert_eq!(target("/ws", None).map(|one| one.route), Some(Route::Public));
        assert_eq!(target("/private/ws", None).map(|one| one.route), Some(Route::Private));
        assert_eq!(target("/market", None), None);
        assert_eq!(target("/other/ws", None), None);
    }

    proptest! {
        #[test]
        fn no_name_or_path_panics(text in "[!@/a-zA-Z0-9%é?=&+]{0,40}") {
            let _stream = Stream::parse(&text, |_| Some(1));
            let _target = Target::parse(&text, Some(&text));
        }
    }
}
