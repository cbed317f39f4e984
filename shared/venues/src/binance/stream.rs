//! Names of streams, and which address carries them.
//!
//! Input: a stream's name (`btcusdt@depth@100ms`). Output: what it carries, its route, and how long
//! its first frame may take. The venue rejects no mismatch: a stream on the wrong route, or one that
//! does not exist, is acknowledged and never sends a frame; so the table is ours.

/// Address that carries a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Route {
    /// What the engine pushes: single trades, books, best prices.
    Public,
    /// What is aggregated: everything else.
    Market,
}

impl Route {
    /// Last part of the address.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Public => "/public",
            Self::Market => "/market",
        }
    }
}

/// What a stream carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamKind {
    /// Prints of one price and side put together.
    AggTrade,
    /// Single prints.
    Trade,
    /// Best prices.
    BookTicker,
    /// Changes of the book.
    Depth,
    /// Images of the best 5, 10 or 20 levels.
    PartialDepth,
    /// Mark price, index and funding.
    MarkPrice,
    /// Liquidations, at most one per symbol and second.
    ForceOrder,
    /// Candles.
    Kline,
    /// Listings and changes of status.
    ContractInfo,
}

impl StreamKind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::AggTrade,
        Self::Trade,
        Self::BookTicker,
        Self::Depth,
        Self::PartialDepth,
        Self::MarkPrice,
        Self::ForceOrder,
        Self::Kline,
        Self::ContractInfo,
    ];

    /// What a stream of this name carries; `None` for one without a decoder.
    pub fn of(name: &str) -> Option<Self> {
        if let Some(all) = name.strip_prefix('!') {
            return match all {
                "bookTicker" => Some(Self::BookTicker),
                "contractInfo" => Some(Self::ContractInfo),
                "forceOrder@arr" => Some(Self::ForceOrder),
                "markPrice@arr" | "markPrice@arr@1s" => Some(Self::MarkPrice),
                _ => None,
            };
        }
        let (symbol, suffix) = name.split_once('@')?;
        if symbol.is_empty() {
            return None;
        }
        let (kind, speed) = suffix.split_once('@').unwrap_or((suffix, ""));
        match (kind, speed) {
            ("aggTrade", "") => Some(Self::AggTrade),
            ("trade", "") => Some(Self::Trade),
            ("bookTicker", "") => Some(Self::BookTicker),
            ("forceOrder", "") => Some(Self::ForceOrder),
            ("markPrice", "" | "1s") => Some(Self::MarkPrice),
            ("depth", "" | "100ms" | "250ms" | "500ms") => Some(Self::Depth),
            ("depth5" | "depth10" | "depth20", "" | "100ms" | "250ms" | "500ms") => {
                Some(Self::PartialDepth)
            }
            (kline, "") if kline.strip_prefix("kline_").is_some_and(|i| !i.is_empty()) => {
                Some(Self::Kline)
            }
            _ => None,
        }
    }

    /// Address that carries it.
    pub const fn route(self) -> Route {
        match self {
            Self::Trade | Self::BookTicker | Self::Depth | Self::PartialDepth => Route::Public,
            Self::AggTrade
            | Self::MarkPrice
            | Self::ForceOrder
            | Self::Kline
            | Self::ContractInfo => Route::Market,
        }
    }

    /// How long the first frame of a liquid symbol may take after the acknowledgement, milliseconds;
    /// `None` for streams whose silence means nothing.
    pub const fn first_frame_ms_max(self) -> Option<i64> {
        match self {
            Self::BookTicker | Self::Depth | Self::PartialDepth | Self::MarkPrice => Some(10_000),
            Self::AggTrade | Self::Trade | Self::Kline => Some(120_000),
            Self::ForceOrder | Self::ContractInfo => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_stream_has_its_kind_and_route() {
        for (name, want) in [
            ("btcusdt@aggTrade", Some((StreamKind::AggTrade, Route::Market))),
            ("btcusdt@trade", Some((StreamKind::Trade, Route::Public))),
            ("btcusdt@bookTicker", Some((StreamKind::BookTicker, Route::Public))),
            ("!bookTicker", Some((StreamKind::BookTicker, Route::Public))),
            ("btcusdt@depth", Some((StreamKind::Depth, Route::Public))),
            ("ethusdt_210625@depth@100ms", Some((StreamKind::Depth, Route::Public))),
            ("btcusdt@depth20@500ms", Some((StreamKind::PartialDepth, Route::Public))),
            ("btcusdt@markPrice@1s", Some((StreamKind::MarkPrice, Route::Market))),
            ("!markPrice@arr@1s", Some((StreamKind::MarkPrice, Route::Market))),
            ("btcusdt@forceOrder", Some((StreamKind::ForceOrder, Route::Market))),
            ("!forceOrder@arr", Some((StreamKind::ForceOrder, Route::Market))),
            ("btcusdt@kline_1m", Some((StreamKind::Kline, Route::Market))),
            ("!contractInfo", Some((StreamKind::ContractInfo, Route::Market))),
            ("btcusdt@kline_", None),
            ("btcusdt@depth7", None),
            ("btcusdt@ticker", None),
            ("@depth", None),
            ("btcusdt", None),
            ("", None),
        ] {
            assert_eq!(StreamKind::of(name).map(|kind| (kind, kind.route())), want, "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_name_is_answered(name in "\\PC*") {
            let _ = StreamKind::of(&name);
        }
    }
}
