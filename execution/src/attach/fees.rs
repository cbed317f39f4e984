//! The account's fees: asked at the start and once a day.
//!
//! Purpose: the fee tier that costs are computed with. Inputs: `TradeVolume`. Outputs: a row of `fee_tiers`.
//! Invariants: rates go from percent to bps exactly; when the venue does not answer at the first start, the
//! first tier is taken and marked as such, never a lower fee.

use penstock_store_orders::ExecStore;
use penstock_telemetry::marker;
use penstock_types::decimal::{parse_wire, round_to, scale};
use penstock_types::{Decimal, UtcMicros};
use penstock_venue_orders::PrivateRest;
use penstock_venues::kraken::rates::RestUse;
use penstock_venues::kraken::rest::PrivateRequest;
use penstock_venues::kraken::rest::private::TradeVolumeResult;

use crate::context::Context;

/// The venue's first tier, 25 and 40 bps.
const BOOTSTRAP_BPS: (i64, i64) = (25, 40);
/// Pair whose rates stand for the account: the rates of all pairs of the quote asset are equal.
const PAIR: &str = "XBTUSD";

/// Fees in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fees {
    /// Maker, bps.
    pub maker_bps: Decimal,
    /// Taker, bps.
    pub taker_bps: Decimal,
    /// Volume of 30 days in quote.
    pub volume_30d: Option<Decimal>,
    /// `live` or `bootstrap`.
    pub source: &'static str,
}

/// Asks the venue and stores the answer.
pub async fn refresh(context: &Context, rest: &PrivateRest, store: &ExecStore) -> Fees {
    marker!(FEE_MODEL_REFRESH_STARTED, pair = PAIR);
    let fees = match ask(rest).await {
        Ok(fees) => {
            marker!(
                FEE_MODEL_REFRESHED,
                maker_bps = fees.maker_bps,
                taker_bps = fees.taker_bps,
                volume_30d = fees.volume_30d,
                source = fees.source
            );
            fees
        }
        Err(error) => {
            marker!(FEE_MODEL_REFRESH_FAILED, error = error);
            let (maker, taker) = BOOTSTRAP_BPS;
            let fees = Fees {
                maker_bps: maker.into(),
                taker_bps: taker.into(),
                volume_30d: None,
                source: "bootstrap",
            };
            marker!(
                FEE_MODEL_FALLBACK_USED,
                maker_bps = fees.maker_bps,
                taker_bps = fees.taker_bps
            );
            fees
        }
    };
    let now = UtcMicros::from(chrono::Utc::now());
    let stored =
        store.put_fee_tier(now, fees.maker_bps, fees.taker_bps, fees.volume_30d, fees.source).await;
    if let Err(error) = stored {
        tracing::warn!("fee tier not stored: {error}");
    }
    marker!(
        FEE_STATE_ACTIVE,
        session_id = context.session_id,
        maker_bps = fees.maker_bps,
        taker_bps = fees.taker_bps,
        volume_30d = fees.volume_30d,
        source = fees.source
    );
    fees
}

async fn ask(rest: &PrivateRest) -> Result<Fees, String> {
    let request = PrivateRequest::TradeVolume { pair: Some(PAIR) };
    let outcome = rest.call(&request, RestUse::Reserved).await;
    let Some(answer) = outcome.answer() else { return Err(format!("{outcome:?}")) };
    let reply = answer.reply::<TradeVolumeResult<'_>>();
    let Some(result) = reply.result() else { return Err("the venue gave no rates".to_owned()) };
    let rate = |text: Option<&str>| -> Option<Decimal> {
        let percent = parse_wire(text?).ok()?;
        Some(round_to(percent * Decimal::ONE_HUNDRED, scale::BPS).normalize())
    };
    let taker = result.fees.as_ref().and_then(|f| f.0.first()).map(|(_, row)| row.fee.as_str());
    let maker =
        result.fees_maker.as_ref().and_then(|f| f.0.first()).map(|(_, row)| row.fee.as_str());
    let taker_bps = rate(taker).ok_or("no taker rate in the answer")?;
    // A pair without maker rates charges the taker's for both.
    let maker_bps = rate(maker).unwrap_or(taker_bps);
    let volume_30d = parse_wire(result.volume.as_str()).ok();
    Ok(Fees { maker_bps, taker_bps, volume_30d, source: "live" })
}
