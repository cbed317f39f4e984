//! An instrument of a token: what its numbers mean.

use penstock_types::Symbol;
use penstock_types::vocab::Venue;
use serde::{Deserialize, Serialize};

/// What an instrument supplies to its token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Roles {
    /// Prices of the token.
    pub price_ref: bool,
    /// Mark price and funding.
    pub deriv_primary: bool,
    /// Traded volume and liquidations.
    pub flow: bool,
    /// Open interest.
    pub oi_set: bool,
    /// Spot price and spot flow.
    pub spot_primary: bool,
}

/// Who an event belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InstrumentKey {
    /// Token, 1 to 65,535.
    pub token_id: u16,
    /// Position in the token's list, from 0.
    pub instrument_id: u16,
}

/// One instrument as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstrumentBinding {
    /// Token and position.
    pub key: InstrumentKey,
    /// Venue.
    pub venue: Venue,
    /// Symbol at that venue.
    pub symbol: Symbol,
    /// Digits of quantities after the point, 0 to 8.
    pub qty_exp: u32,
    /// Units of the base asset in one unit of the contract; quantities are multiplied by it, prices
    /// divided.
    pub multiplier: u32,
    /// What it supplies.
    pub roles: Roles,
}
