//! What the venue says about its pairs, and how much of each is traded.
//!
//! Input: the `instrument` channel of a socket of its own and one REST request for the volumes of all
//! pairs. Output: pairs with precision, steps and status, refreshed by every change. A pair whose
//! numbers cannot be read is left out and counted; the volume of a pair that REST does not name is
//! unknown and ranks last.

use penstock_market::TradeIn;
use penstock_market::universe::Pair;
use penstock_store::twins::InstrumentTwin;
use penstock_types::raw::CONN_BACKFILL;
use penstock_types::vocab::Side;
use penstock_types::{Decimal, Symbol, UtcMicros};
use penstock_venue_feeds::{FeedEvent, PublicRest};
use penstock_venues::kraken::book::Precision;
use penstock_venues::kraken::instrument::PairRow;
use penstock_venues::kraken::rest::PublicRequest;
use penstock_venues::kraken::rest::public::{
    AssetPairResult, Entries, TickerResult, TradeResult, pair_names,
};
use penstock_venues::kraken::symbols::PairNames;
use penstock_venues::kraken::vocabulary::{PairStatus, Side as WireSide};
use penstock_venues::kraken::wire::Vocabulary;
use penstock_venues::kraken::{Frame, Tag, decode};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// One pair as the venue describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PairInfo {
    pub twin: InstrumentTwin,
    pub precision: Precision,
}

/// All pairs by symbol.
pub(crate) type Pairs = BTreeMap<Symbol, PairInfo>;

/// Follows the `instrument` channel until the queue ends.
pub(crate) async fn follow(mut events: mpsc::Receiver<FeedEvent>, pairs: watch::Sender<Pairs>) {
    while let Some(event) = events.recv().await {
        if let FeedEvent::Frame { text, .. } = event {
            match decode(&text) {
                Ok(Frame::Instrument(message)) => {
                    let rows = message.rows.pairs.unwrap_or_default();
                    let found: Vec<_> = rows.iter().filter_map(pair_info).collect();
                    let unread = rows.len() - found.len();
                    if unread > 0 {
                        tracing::warn!(unread, "pairs of the instrument channel cannot be read");
                    }
                    pairs.send_modify(|all| all.extend(found));
                }
                Ok(_) => {}
                Err(error) => tracing::warn!("instrument frame dropped: {error}"),
            }
        }
    }
}

fn pair_info(row: &PairRow<'_>) -> Option<(Symbol, PairInfo)> {
    let symbol = Symbol::new(&row.symbol).ok()?;
    let status = match &row.status {
        Tag::Known(status) => PairStatus::wire(*status).to_owned(),
        Tag::Unknown(word) => word.as_str().to_owned(),
    };
    let mut twin = InstrumentTwin {
        symbol: symbol.as_str().to_owned(),
        base: row.base.as_str().to_owned(),
        quote: row.quote.as_str().to_owned(),
        status,
        price_increment: row.price_step()?.decimal().ok()?,
        qty_increment: row.qty_increment.decimal().ok()?,
        qty_min: row.qty_min.decimal().ok()?,
        cost_min: row.cost_min.map_or(Some(Decimal::ZERO), |n| n.decimal().ok())?,
        price_precision: i16::from(row.price_precision),
        qty_precision: i16::from(row.qty_precision),
        marginable: row.marginable.unwrap_or(false),
        content_hash: String::new(),
    };
    twin.content_hash = content_hash(&twin);
    let precision = Precision { price: row.price_precision, qty: row.qty_precision };
    Some((symbol, PairInfo { twin, precision }))
}

fn content_hash(twin: &InstrumentTwin) -> String {
    let number = |d: Decimal| d.normalize().to_string();
    let text = serde_json::json!([
        twin.symbol,
        twin.base,
        twin.quote,
        twin.status,
        number(twin.price_increment),
        number(twin.qty_increment),
        number(twin.qty_min),
        number(twin.cost_min),
        twin.price_precision,
        twin.qty_precision,
        twin.marginable,
    ]);
    hex::encode(Sha256::digest(text.to_string().as_bytes()))
}

/// The pairs as candidates of the universe.
pub(crate) fn candidates(pairs: &Pairs) -> Vec<Pair> {
    let pair = |(symbol, info): (&Symbol, &PairInfo)| Pair {
        symbol: symbol.clone(),
        base: info.twin.base.clone(),
        quote: info.twin.quote.clone(),
        status: Some(info.twin.status.clone()),
    };
    pairs.iter().map(pair).collect()
}

/// Asks for the names of all pairs.
///
/// # Errors
/// What the venue or the network said.
pub(crate) async fn fetch_names(rest: &PublicRest) -> Result<PairNames, String> {
    let answer = rest.get(&PublicRequest::AssetPairs).await;
    let reply = answer.reply::<Entries<'_, AssetPairResult<'_>>>();
    let pairs = reply.result().ok_or_else(|| format!("AssetPairs: {answer:.200?}"))?;
    Ok(pair_names(&pairs))
}

/// A print of REST as a trade; `None` when a number cannot be read.
pub(crate) fn trade_of(symbol: &Symbol, row: &TradeResult<'_>) -> Option<TradeIn> {
    let side = match row.side? {
        WireSide::Buy => Side::Buy,
        WireSide::Sell => Side::Sell,
    };
    Some(TradeIn {
        symbol: symbol.clone(),
        conn_id: CONN_BACKFILL,
        trade_id: i64::try_from(row.trade_id).ok()?,
        side,
        ord_type: if row.market { 'm' } else { 'l' },
        price: row.price.decimal().ok()?,
        qty: row.qty.decimal().ok()?,
        ts_exchange: UtcMicros(row.time_micros()?),
    })
}

/// Volumes of 24 h in quote, by the socket's symbol.
#[derive(Debug)]
pub(crate) struct Volumes {
    rest: Arc<PublicRest>,
    names: Option<PairNames>,
}

impl Volumes {
    pub(crate) const fn new(rest: Arc<PublicRest>) -> Self {
        Self { rest, names: None }
    }

    /// One request for all pairs; the first time another one for their names.
    ///
    /// # Errors
    /// What the venue or the network said.
    pub(crate) async fn fetch(&mut self) -> Result<BTreeMap<Symbol, Decimal>, String> {
        if self.names.is_none() {
            self.names = Some(fetch_names(&self.rest).await?);
        }
        let answer = self.rest.get(&PublicRequest::Ticker { pair: None }).await;
        let reply = answer.reply::<Entries<'_, TickerResult<'_>>>();
        let rows = reply.result().ok_or_else(|| format!("Ticker: {answer:.200?}"))?;
        let names = self.names.as_ref();
        let volume = |(id, row): &(penstock_venues::kraken::Text<'_>, TickerResult<'_>)| {
            let symbol = names.and_then(|n| n.symbol(id))?;
            Some((Symbol::new(symbol).ok()?, row.quote_volume_24h()?))
        };
        Ok(rows.0.iter().filter_map(volume).collect())
    }
}
