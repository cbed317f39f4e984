//! The universe: which pairs are pooled, ranked, tracked, executed.
//!
//! Input: instruments, 24 h volumes, figures of the state, pinned and hard-blocked symbols. Output: whole
//! sets with the reason for every exclusion. Members leave only for a clearly better candidate and after
//! two epochs; pinned symbols are in every set whatever their rank.

use penstock_types::vocab::ReasonCode;
use penstock_types::{Decimal, Symbol, decimal};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// A candidate must be this much better to replace a member.
const REPLACE_FACTOR: f64 = 1.15;
/// Epochs for which a member stays at least.
const MEMBER_EPOCHS_MIN: u32 = 2;
/// Reason of an exclusion: a block stands.
pub const HARD_BLOCKED: &str = ReasonCode::SymbolHardBlocked.as_str();
/// Reason of an exclusion: not of a quote asset that is traded, a pair of two moneys, or denied by a file.
const NOT_TRADED: &str = ReasonCode::UniverseQuoteMismatch.as_str();
/// Reason of an exclusion: the venue's status word is none that is admitted.
const STATUS: &str = ReasonCode::UniverseStatus.as_str();
/// Reason of an exclusion: beyond the best that the pool or the execution set has room for.
const BEYOND: &str = ReasonCode::UniverseVolumeLow.as_str();
/// Reason of an exclusion: too few ticker rows in a window.
const FEW_TICKERS: &str = ReasonCode::UniverseTradesLow.as_str();
/// Reason of an exclusion: in the pool, and without a book.
const NO_BOOK: &str = ReasonCode::UniverseWsDown.as_str();

/// Rules of the universe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UniverseRules {
    /// Quote assets that are traded.
    pub quotes: BTreeSet<String>,
    /// Stablecoins.
    pub stablecoins: BTreeSet<String>,
    /// Currencies of states.
    pub fx: BTreeSet<String>,
    /// Symbols that are never tracked.
    pub deny: BTreeSet<String>,
    /// Size of the pool; 0 is unbounded.
    pub pool_limit: usize,
    /// Cap of the L2 layer.
    pub l2_limit: Option<usize>,
    /// Cap of the execution set.
    pub execution_limit: Option<usize>,
    /// Cap of the level 3 layer; none when level 3 is off, 0 when it is on and nothing may be subscribed.
    pub l3_limit: Option<usize>,
}

impl UniverseRules {
    /// SHA-256 of the rules in hex; another value breaks the lineage.
    #[must_use]
    pub fn config_hash(&self) -> String {
        let text = serde_json::json!({
            "quotes": self.quotes, "stablecoins": self.stablecoins, "fx": self.fx, "deny": self.deny,
            "pool_limit": self.pool_limit, "l2_limit": self.l2_limit,
            "execution_limit": self.execution_limit, "l3_limit": self.l3_limit,
        });
        hex_sha256(text.to_string().as_bytes())
    }
}

/// A pair of the venue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Symbol.
    pub symbol: Symbol,
    /// Base asset.
    pub base: String,
    /// Quote asset.
    pub quote: String,
    /// Status word of the venue; none excludes.
    pub status: Option<String>,
}

/// Figures of a candidate; what is unknown ranks last.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Figures {
    /// 24 h volume in quote.
    pub volume_24h_quote: Option<Decimal>,
    /// Time-weighted spread.
    pub spread_avg_bps: Option<Decimal>,
    /// Trades of five minutes.
    pub trades_5m: Option<i32>,
    /// Checksum failures, resyncs and gap minutes of the window.
    pub faults: i64,
    /// Enough ticker rows for the execution set.
    pub has_tickers: bool,
}

/// The sets, built and valid as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Universe {
    /// Every symbol with ticker and trade, best first.
    pub tracked: Vec<Symbol>,
    /// Symbols with a book, best first.
    pub l2: Vec<Symbol>,
    /// Symbols with an order-by-order book, best first; a subset of those with a book.
    pub l3: Vec<Symbol>,
    /// Symbols that entries may use, ascending.
    pub execution: Vec<Symbol>,
    /// Pinned symbols, ascending.
    pub pinned: Vec<Symbol>,
    /// Reason → symbols that were left out for it.
    pub excluded: BTreeMap<&'static str, Vec<Symbol>>,
    /// Epochs of membership per tracked symbol.
    pub membership: BTreeMap<Symbol, u32>,
    /// The same for the level 3 layer.
    pub l3_membership: BTreeMap<Symbol, u32>,
}

impl Universe {
    /// How many symbols are excluded for a reason.
    #[must_use]
    pub fn left_out(&self, reason: &str) -> usize {
        self.excluded.get(reason).map_or(0, Vec::len)
    }

    /// SHA-256 of the execution, pinned and tracked sets, in hex.
    #[must_use]
    pub fn hash(&self) -> String {
        let mut tracked = self.tracked.clone();
        tracked.sort();
        let text = serde_json::json!([self.execution, self.pinned, tracked]);
        hex_sha256(text.to_string().as_bytes())
    }
}

/// Builds the sets anew. `before` is the standing universe, empty at the first build.
#[must_use]
pub fn build(
    rules: &UniverseRules,
    pairs: &[Pair],
    figures: &BTreeMap<Symbol, Figures>,
    pinned: &BTreeSet<Symbol>,
    hard_blocked: &BTreeSet<Symbol>,
    before: &Universe,
) -> Universe {
    let mut excluded: BTreeMap<&'static str, Vec<Symbol>> = BTreeMap::new();
    let mut candidates = Vec::new();
    for pair in pairs {
        match exclusion(rules, pair) {
            Some(reason) => excluded.entry(reason).or_default().push(pair.symbol.clone()),
            None => candidates.push(pair.symbol.clone()),
        }
    }
    let scores = scores(&candidates, figures);
    let limit = if rules.pool_limit == 0 { usize::MAX } else { rules.pool_limit };
    let pool = choose(&scores, limit, &before.membership);
    // A pinned pair is traded whatever its volume.
    let beyond = candidates.iter().filter(|s| !pool.contains(s) && !pinned.contains(*s));
    excluded.entry(BEYOND).or_default().extend(beyond.cloned());
    let mut tracked = pool;
    let missing: Vec<_> = pinned.iter().filter(|s| !tracked.contains(s)).cloned().collect();
    tracked.extend(missing);
    let mut l2: Vec<Symbol> =
        tracked.iter().take(rules.l2_limit.unwrap_or(usize::MAX)).cloned().collect();
    let without_book: Vec<_> = pinned.iter().filter(|s| !l2.contains(s)).cloned().collect();
    l2.extend(without_book);
    let bookless = tracked.iter().filter(|s| !l2.contains(s));
    excluded.entry(NO_BOOK).or_default().extend(bookless.cloned());
    let l3 = level3(rules, &scores, &l2, pinned, before);
    let mut execution = Vec::new();
    for symbol in &l2 {
        let has_tickers = figures.get(symbol).is_some_and(|f| f.has_tickers);
        let is_full = execution.len() >= rules.execution_limit.unwrap_or(usize::MAX);
        let reason = match (hard_blocked.contains(symbol), has_tickers, is_full) {
            (true, _, _) => Some(HARD_BLOCKED),
            (false, false, _) => Some(FEW_TICKERS),
            (false, true, true) => Some(BEYOND),
            (false, true, false) => None,
        };
        match reason {
            Some(reason) if !pinned.contains(symbol) => {
                excluded.entry(reason).or_default().push(symbol.clone());
            }
            Some(_) | None => execution.push(symbol.clone()),
        }
    }
    execution.sort();
    excluded.retain(|_, symbols| !symbols.is_empty());
    let membership = aged(&tracked, &before.membership);
    let l3_membership = aged(&l3, &before.l3_membership);
    Universe {
        tracked,
        l2,
        l3,
        execution,
        pinned: pinned.iter().cloned().collect(),
        excluded,
        membership,
        l3_membership,
    }
}

/// Epochs of membership of each of the symbols, one more than before.
fn aged(symbols: &[Symbol], before: &BTreeMap<Symbol, u32>) -> BTreeMap<Symbol, u32> {
    let epochs = |s: &Symbol| before.get(s).map_or(0, |n| n.saturating_add(1));
    symbols.iter().map(|s| (s.clone(), epochs(s))).collect()
}

/// The best of the symbols with a book, and every pinned one, unless nothing may be subscribed at all.
fn level3(
    rules: &UniverseRules,
    scores: &[(Symbol, f64)],
    l2: &[Symbol],
    pinned: &BTreeSet<Symbol>,
    before: &Universe,
) -> Vec<Symbol> {
    let Some(limit) = rules.l3_limit.filter(|limit| *limit > 0) else { return Vec::new() };
    let with_book: BTreeSet<&Symbol> = l2.iter().collect();
    let scored = scores.iter().filter(|(s, _)| with_book.contains(s));
    let scored: Vec<(Symbol, f64)> = scored.cloned().collect();
    let mut l3 = choose(&scored, limit, &before.l3_membership);
    let missing: Vec<_> = pinned.iter().filter(|s| !l3.contains(s)).cloned().collect();
    l3.extend(missing);
    l3
}

fn exclusion(rules: &UniverseRules, pair: &Pair) -> Option<&'static str> {
    let is_money = |leg: &String| rules.stablecoins.contains(leg) || rules.fx.contains(leg);
    if !rules.quotes.contains(&pair.quote) {
        return Some(NOT_TRADED);
    }
    if !pair.status.as_deref().is_some_and(is_admitted_status) {
        return Some(STATUS);
    }
    if is_money(&pair.base) && is_money(&pair.quote) {
        return Some(NOT_TRADED);
    }
    rules.deny.contains(pair.symbol.as_str()).then_some(NOT_TRADED)
}

/// Best first; ties by symbol.
fn scores(candidates: &[Symbol], figures: &BTreeMap<Symbol, Figures>) -> Vec<(Symbol, f64)> {
    let figure = |s: &Symbol| figures.get(s).copied().unwrap_or_default();
    let liquidity = ranks(candidates, |s| figure(s).volume_24h_quote.map(decimal::to_feature));
    let spread = ranks(candidates, |s| figure(s).spread_avg_bps.map(|d| -decimal::to_feature(d)));
    let activity = ranks(candidates, |s| figure(s).trades_5m.map(f64::from));
    let health = |s: &Symbol| {
        let faults = f64::from(i32::try_from(figure(s).faults).unwrap_or(i32::MAX));
        1.0 - (faults / 5.0).min(1.0)
    };
    let mut scored: Vec<(Symbol, f64)> = candidates
        .iter()
        .map(|s| {
            let at = |ranks: &BTreeMap<&Symbol, f64>| ranks.get(s).copied().unwrap_or(0.0);
            let score =
                0.4 * at(&liquidity) + 0.2 * at(&spread) + 0.2 * at(&activity) + 0.2 * health(s);
            (s.clone(), score)
        })
        .collect();
    scored.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    scored
}

/// Rank of each candidate with a value, 0 to 1, best 1; equal values share the better rank.
fn ranks(candidates: &[Symbol], value: impl Fn(&Symbol) -> Option<f64>) -> BTreeMap<&Symbol, f64> {
    let mut known: Vec<(&Symbol, f64)> =
        candidates.iter().filter_map(|s| value(s).map(|v| (s, v))).collect();
    known.sort_by(|a, b| b.1.total_cmp(&a.1));
    let last = f64::from(u32::try_from(known.len().saturating_sub(1)).unwrap_or(u32::MAX));
    let mut out = BTreeMap::new();
    let mut best = (f64::NAN, 1.0);
    for (i, (symbol, value)) in known.into_iter().enumerate() {
        if value.total_cmp(&best.0).is_ne() {
            let place = f64::from(u32::try_from(i).unwrap_or(u32::MAX));
            best = (value, if last == 0.0 { 1.0 } else { 1.0 - place / last });
        }
        out.insert(symbol, best.1);
    }
    out
}

/// The best, except that a standing member gives way only to a clearly better one after two epochs.
fn choose(scores: &[(Symbol, f64)], limit: usize, members: &BTreeMap<Symbol, u32>) -> Vec<Symbol> {
    let is_member = |s: &Symbol| members.contains_key(s);
    let held = |s: &Symbol| members.get(s).is_some_and(|n| *n < MEMBER_EPOCHS_MIN);
    let bound = |(s, score): &(Symbol, f64)| match (is_member(s), held(s)) {
        (true, true) => f64::INFINITY,
        (true, false) => score * REPLACE_FACTOR,
        (false, _) => *score,
    };
    let mut order: Vec<&(Symbol, f64)> = scores.iter().collect();
    order.sort_by(|a, b| bound(b).total_cmp(&bound(a)).then_with(|| b.1.total_cmp(&a.1)));
    order.truncate(limit);
    order.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    order.into_iter().map(|(s, _)| s.clone()).collect()
}

fn hex_sha256(bytes: &[u8]) -> String {
    use core::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut out, byte| {
        write!(out, "{byte:02x}").expect("a String takes every write");
        out
    })
}

/// Whether a pair of this status belongs into the universe.
#[must_use]
pub fn is_admitted_status(status: &str) -> bool {
    matches!(status, "online" | "limit_only")
}

#[cfg(test)]
mod tests;
