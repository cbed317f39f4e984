//! The tokens' instruments as the market core needs them, from the configuration.

use penstock_config::bindings::Bindings;
use penstock_market::canonical::{InstrumentBinding, InstrumentKey, Roles};
use penstock_types::Symbol;
use penstock_types::vocab::Venue;

use crate::exit::Exit;

/// One binding per instrument.
///
/// # Errors
/// [`Exit::Refused`] naming the token when a symbol is none; ranges and words were checked when the
/// configuration was read.
pub(crate) fn instruments(bindings: &Bindings) -> Result<Vec<InstrumentBinding>, Exit> {
    let mut out = Vec::new();
    for token in bindings.tokens() {
        let refused = |what: String| {
            Exit::Refused(format!("engine.token {}: {what}; next: correct the table", token.id))
        };
        let token_id = u16::try_from(token.id).map_err(|e| refused(e.to_string()))?;
        for (instrument_id, instrument) in (0_u16..).zip(&token.instruments) {
            let has = |role: &str| instrument.roles.iter().any(|own| own == role);
            out.push(InstrumentBinding {
                key: InstrumentKey { token_id, instrument_id },
                venue: venue(&instrument.venue).ok_or_else(|| refused("venue".to_owned()))?,
                symbol: Symbol::new(&instrument.symbol).map_err(|e| refused(e.to_string()))?,
                qty_exp: u32::try_from(instrument.qty_exp).map_err(|e| refused(e.to_string()))?,
                multiplier: u32::try_from(instrument.multiplier)
                    .map_err(|e| refused(e.to_string()))?,
                roles: Roles {
                    price_ref: has("price_ref"),
                    deriv_primary: has("deriv_primary"),
                    flow: has("flow"),
                    oi_set: has("oi_set"),
                    spot_primary: has("spot_primary"),
                },
            });
        }
    }
    Ok(out)
}

/// Venue of the configuration's word.
fn venue(word: &str) -> Option<Venue> {
    match word {
        "kraken" => Some(Venue::KrakenSpot),
        "kraken_futures" => Some(Venue::KrakenFutures),
        "binance_um" => Some(Venue::BinanceUm),
        _ => None,
    }
}
