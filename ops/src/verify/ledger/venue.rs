//! The venue's own word, by a key that may only look: all trades since the opening, and the balances.
//!
//! Inputs: the address of the REST side, a key and its secret. Output: a [`Word`], or why there is none. Invariants:
//! nothing but queries leaves; the secret stays in the signature; pages are read up to one end, so that a trade that
//! comes in between shifts none; a page that was not answered ends the reading, because half a history proves nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use penstock_store_decision::ledger_read::AssetAmount;
use penstock_types::{Decimal, UtcMicros};
use penstock_venue_net::{NetError, http_client};
use penstock_venues::endpoint::{Endpoint, EndpointError, Transport};
use penstock_venues::kraken::error_table::ErrorClass;
use penstock_venues::kraken::nonce::Nonce;
use penstock_venues::kraken::rest::private::{
    AnyResult, BalanceExResult, TradeRow, TradesHistoryResult,
};
use penstock_venues::kraken::rest::public::{
    AssetPairResult, AssetResult, Entries, asset_names, pair_names, seconds_to_micros,
};
use penstock_venues::kraken::rest::{PrivateRequest, PublicRequest, Reply, RestAnswer};
use penstock_venues::kraken::signing::{BadPrivateKey, PrivateKey};
use penstock_venues::kraken::symbols::{AssetNames, BalanceUse, PairNames};
use penstock_venues::kraken::vocabulary::Side;

/// Time of one call.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// Largest answer, bytes: the table of all pairs has two millions.
const BODY_BYTES_MAX: usize = 16 << 20;
/// Rows of a page of the history.
const PAGE_ROWS: u32 = 50;
/// Most pages: a hundred thousand trades, more than an hour of reading at the venue's pace.
const PAGES_MAX: u32 = 2_000;
/// Wait after a refusal for its rate: a page costs four points, the slowest tier gives one in three seconds.
const RATE_WAIT: Duration = Duration::from_secs(12);
/// Refusals for the rate in a row before it is given up.
const RATE_WAITS_MAX: u32 = 10;

/// Why the venue's word is not there.
#[derive(Debug, thiserror::Error)]
pub enum VenueError {
    /// The address.
    #[error("KRAKEN_REST_URL: {0}")]
    Endpoint(#[from] EndpointError),
    /// The client.
    #[error(transparent)]
    Net(#[from] NetError),
    /// A secret that is none.
    #[error("KRAKEN_VERIFY_API_SECRET: {0}")]
    Secret(#[from] BadPrivateKey),
    /// An answer that is none, or a refusal.
    #[error(
        "{method}: {reason}; next: look at KRAKEN_VERIFY_API_KEY, which needs the rights to query funds, closed orders and trades"
    )]
    Answer {
        /// The request.
        method: &'static str,
        /// What came.
        reason: String,
    },
    /// A row that cannot be read.
    #[error(
        "{method}: {row} cannot be read; next: report it, with a version of `penstock --version`"
    )]
    Row {
        /// The request.
        method: &'static str,
        /// Its key.
        row: String,
    },
    /// The history is too long.
    #[error(
        "TradesHistory: more than {PAGES_MAX} pages; next: compare without KRAKEN_VERIFY_API_KEY"
    )]
    Pages,
}

/// A trade of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VenueTrade {
    /// The venue's id.
    pub exec_id: String,
    /// The venue's id of its order.
    pub order_id: String,
    /// Pair, or the venue's name of it when its table has none.
    pub symbol: String,
    /// `buy` or `sell`.
    pub side: &'static str,
    /// Price.
    pub price: Decimal,
    /// Base.
    pub qty: Decimal,
    /// Fee, quote.
    pub fee: Decimal,
    /// When.
    pub at: UtcMicros,
}

/// What the venue says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Word {
    /// Trades after this second are not in it.
    pub until: UtcMicros,
    /// Trades, by their ids.
    pub trades: Vec<VenueTrade>,
    /// Balances that orders can use, by plain asset.
    pub balances: Vec<AssetAmount>,
    /// Balances that are locked, and so no part of the comparison.
    pub locked: usize,
}

/// Client of the looks.
pub struct Reader {
    endpoint: Endpoint,
    client: reqwest::Client,
    key: String,
    secret: PrivateKey,
    nonces: Nonce,
}

impl core::fmt::Debug for Reader {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Reader").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Reader {
    /// A client for `base`, without `/0`.
    ///
    /// # Errors
    /// The address or the secret is refused.
    pub fn new(base: &str, key: &str, secret: &str) -> Result<Self, VenueError> {
        Ok(Self {
            endpoint: Endpoint::new(base.trim_end_matches('/'), Transport::Rest)?,
            client: http_client(CALL_TIMEOUT)?,
            key: key.to_owned(),
            secret: PrivateKey::from_base64(secret)?,
            // The key is the tool's own: the clock is above all that it has used.
            nonces: Nonce::start(None, now_ns()),
        })
    }

    /// Trades since then, and the balances after them.
    ///
    /// # Errors
    /// [`VenueError`]: nothing is concluded from a part.
    pub async fn read(&mut self, since: Option<UtcMicros>) -> Result<Word, VenueError> {
        let answer = self.public(&PublicRequest::Assets).await?;
        let assets = asset_names(&done::<Entries<'_, AssetResult<'_>>>("Assets", &answer)?);
        let answer = self.public(&PublicRequest::AssetPairs).await?;
        let pairs = pair_names(&done::<Entries<'_, AssetPairResult<'_>>>("AssetPairs", &answer)?);
        let end = UtcMicros::from(chrono::Utc::now()).secs();
        let mut word = Word { until: UtcMicros(end * 1_000_000), ..Word::default() };
        word.trades = self.trades(since, end, &pairs).await?;
        let answer = self.private(&PrivateRequest::BalanceEx).await?;
        let rows = done::<Entries<'_, BalanceExResult<'_>>>("BalanceEx", &answer)?;
        (word.balances, word.locked) = balances(&rows, &assets)?;
        Ok(word)
    }

    /// All pages up to an end, second of unix time.
    async fn trades(
        &mut self,
        since: Option<UtcMicros>,
        end: i64,
        pairs: &PairNames,
    ) -> Result<Vec<VenueTrade>, VenueError> {
        const METHOD: &str = "TradesHistory";
        let (start, end) = (since.map(|at| at.secs().to_string()), end.to_string());
        let mut trades = BTreeMap::new();
        for page in 0..PAGES_MAX {
            let request = PrivateRequest::TradesHistory {
                start: start.as_deref(),
                end: Some(&end),
                ofs: Some(page * PAGE_ROWS),
            };
            let answer = self.private(&request).await?;
            let rows = done::<TradesHistoryResult<'_>>(METHOD, &answer)?.trades.0;
            let last = rows.len() < usize::try_from(PAGE_ROWS).unwrap_or(usize::MAX);
            for (id, row) in &rows {
                let read = trade(id.as_str(), row, pairs);
                let row =
                    read.ok_or_else(|| VenueError::Row { method: METHOD, row: id.to_string() })?;
                trades.insert(row.exec_id.clone(), row);
            }
            if last {
                return Ok(trades.into_values().collect());
            }
        }
        Err(VenueError::Pages)
    }

    /// One query; waits while the key's rate is used up, and gives a nonce that was refused once more.
    async fn private(&mut self, request: &PrivateRequest<'_>) -> Result<RestAnswer, VenueError> {
        for _ in 0..RATE_WAITS_MAX {
            let signed = request.signed(&self.secret, self.nonces.next(now_ns()));
            let url = format!("{}{}", self.endpoint.url(), signed.path);
            let asked = self
                .client
                .post(url)
                .header("API-Key", &self.key)
                .header("API-Sign", signed.signature)
                .header("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
                .body(signed.body);
            let answer = body(request.method(), asked).await?;
            match class(&answer) {
                Some(ErrorClass::Rate) => tokio::time::sleep(RATE_WAIT).await,
                Some(ErrorClass::Nonce) => self.nonces.raise(now_ns()),
                _ => return Ok(answer),
            }
        }
        let reason = format!("refused for its rate {RATE_WAITS_MAX} times in a row");
        Err(VenueError::Answer { method: request.method(), reason })
    }

    async fn public(&self, request: &PublicRequest<'_>) -> Result<RestAnswer, VenueError> {
        let url = format!("{}{}", self.endpoint.url(), request.path_and_query());
        body("a public table", self.client.get(url)).await
    }
}

fn now_ns() -> u64 {
    u64::try_from(chrono::Utc::now().timestamp_micros()).unwrap_or_default().saturating_mul(1_000)
}

async fn body(
    method: &'static str,
    asked: reqwest::RequestBuilder,
) -> Result<RestAnswer, VenueError> {
    let said = |reason: String| VenueError::Answer { method, reason };
    let failed = |error: reqwest::Error| said(error.without_url().to_string());
    let mut response = asked.send().await.map_err(failed)?;
    let status = response.status().as_u16();
    let mut bytes = Vec::new();
    while let Some(part) = response.chunk().await.map_err(failed)? {
        if bytes.len() + part.len() > BODY_BYTES_MAX {
            return Err(said(format!("longer than {BODY_BYTES_MAX} bytes")));
        }
        bytes.extend_from_slice(&part);
    }
    let text = String::from_utf8(bytes).map_err(|_| said("not UTF-8".to_owned()))?;
    Ok(RestAnswer::Body { status, text })
}

fn class(answer: &RestAnswer) -> Option<ErrorClass> {
    answer.reply::<AnyResult>().judgement().map(|judgement| judgement.class)
}

fn done<'a, T: serde::Deserialize<'a>>(
    method: &'static str,
    answer: &'a RestAnswer,
) -> Result<T, VenueError> {
    match answer.reply::<T>() {
        Reply::Done { result, .. } => Ok(result),
        Reply::Refused { text, .. } => Err(VenueError::Answer { method, reason: text }),
        Reply::Unknown { reason, .. } => {
            Err(VenueError::Answer { method, reason: format!("{reason:?}") })
        }
    }
}

fn trade(id: &str, row: &TradeRow<'_>, pairs: &PairNames) -> Option<VenueTrade> {
    let side = match row.side.known()? {
        Side::Buy => "buy",
        Side::Sell => "sell",
    };
    let pair = row.pair.as_str();
    Some(VenueTrade {
        exec_id: id.to_owned(),
        order_id: row.ordertxid.to_string(),
        symbol: pairs.symbol(pair).unwrap_or(pair).to_owned(),
        side,
        price: row.price.decimal().ok()?,
        qty: row.vol.decimal().ok()?,
        fee: row.fee.decimal().ok()?,
        at: UtcMicros(seconds_to_micros(row.time)?),
    })
}

/// Amounts by plain asset, what one asset has under several codes added up; and the number of locked ones.
fn balances(
    rows: &Entries<'_, BalanceExResult<'_>>,
    names: &AssetNames,
) -> Result<(Vec<AssetAmount>, usize), VenueError> {
    let (mut sums, mut locked) = (BTreeMap::new(), 0);
    for (code, row) in &rows.0 {
        let unread = |_| VenueError::Row { method: "BalanceEx", row: code.to_string() };
        let amount = row.balance.decimal().map_err(unread)?;
        match names.balance(code.as_str()) {
            (asset, BalanceUse::Spendable) => *sums.entry(asset).or_insert(Decimal::ZERO) += amount,
            (_, BalanceUse::Locked) => locked += 1,
        }
    }
    let amount = |(asset, amount)| AssetAmount { asset, amount };
    Ok((sums.into_iter().map(amount).collect(), locked))
}
