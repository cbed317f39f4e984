//! The tokens' instruments as the market core needs them, from the configuration or a run row.

use penstock_config::bindings::Bindings;
use penstock_market::canonical::{InstrumentBinding, InstrumentKey, Roles};
use penstock_types::Symbol;
use penstock_types::vocab::Venue;

use crate::core::deriv_input::BoundInstrument;
use crate::exit::Exit;
use std::collections::BTreeMap;

/// One binding per instrument.
///
/// # Errors
/// [`Exit::Refused`] naming the token when a symbol is none; ranges and words were checked when the
/// configuration was read.
pub fn instruments(bindings: &Bindings) -> Result<Vec<InstrumentBinding>, Exit> {
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

/// The instruments of derivative venues, each once.
///
/// # Errors
/// As [`instruments`].
pub(crate) fn derivatives(bindings: &Bindings) -> Result<Vec<BoundInstrument>, Exit> {
    let mut found: BTreeMap<(Venue, Symbol), BoundInstrument> = BTreeMap::new();
    for binding in instruments(bindings)? {
        let key = (binding.venue, binding.symbol.clone());
        if binding.venue == Venue::KrakenSpot {
            continue;
        }
        let own = bindings.tokens().iter().find(|t| t.id == i64::from(binding.key.token_id));
        let own = own.and_then(|t| t.instruments.get(usize::from(binding.key.instrument_id)));
        let hours = own.map_or(8, |instrument| instrument.funding_interval_h);
        let entry = found.entry(key).or_insert_with(|| BoundInstrument {
            venue: binding.venue,
            symbol: binding.symbol.clone(),
            funding_secs: i32::try_from(hours * 3_600).unwrap_or(28_800),
            is_oi: false,
        });
        entry.is_oi |= binding.roles.oi_set;
    }
    Ok(found.into_values().collect())
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
