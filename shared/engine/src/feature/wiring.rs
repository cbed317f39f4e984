//! What a token's instruments supply, resolved once: no role is looked up by name in a tick.
//!
//! Input: the token's configuration. Output: per instrument its venue, roles and scales; per token what is
//! bound at all and which venues it cannot do without.

use crate::config::{INSTRUMENTS_MAX, InstrumentConfig, Profile, Roles, TokenConfig};
use crate::num::{ArithError, POWERS};
use penstock_types::frame::FrameFlags;
use penstock_types::vocab::Venue;

/// An instrument as a tick needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bound {
    pub venue: u8,
    pub roles: Roles,
    /// Decimal places of [`Bound::notional_divisor`].
    notional_places: u8,
    /// Decimal places of [`Bound::oi_scale`].
    oi_places: u8,
}

impl Bound {
    /// Price times quantity over this is a notional: `10^(6 + qty_exp)`.
    pub(super) fn notional_divisor(&self) -> i64 {
        power(self.notional_places)
    }

    /// Brings its open interest to the finest scale of the token's `oi_set`.
    pub(super) fn oi_scale(&self) -> i64 {
        power(self.oi_places)
    }
}

/// `10^places` of a place that [`Wiring::new`] accepted.
fn power(places: u8) -> i64 {
    POWERS.get(usize::from(places)).copied().unwrap_or(1)
}

/// A token's instruments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wiring {
    bound: [Option<Bound>; INSTRUMENTS_MAX],
    degrading: FrameFlags,
    pub(super) profile: Profile,
    pub(super) has_derivative: bool,
    pub(super) has_oi: bool,
    pub(super) reference_divisor: i64,
}

/// Decimal places whose power of ten fits.
///
/// # Errors
/// [`ArithError`] above 18.
fn places(places: u32) -> Result<u8, ArithError> {
    u8::try_from(places).ok().filter(|at| usize::from(*at) < POWERS.len()).ok_or(ArithError)
}

const fn code(venue: Venue) -> (u8, FrameFlags) {
    match venue {
        Venue::KrakenSpot => (0, FrameFlags::DEGRADED_KRAKEN_SPOT),
        Venue::KrakenFutures => (1, FrameFlags::DEGRADED_KRAKEN_FUTURES),
        Venue::BinanceUm => (2, FrameFlags::DEGRADED_BINANCE_UM),
    }
}

impl Wiring {
    /// Resolves a token that [`crate::EngineConfig::check`] accepted.
    ///
    /// # Errors
    /// [`ArithError`] for a quantity scale that no checked token has.
    pub fn new(token: &TokenConfig) -> Result<Self, ArithError> {
        let in_oi = |one: &&InstrumentConfig| one.roles.oi_set;
        let finest = token.instruments.iter().filter(in_oi).map(|one| one.qty_exp).max();
        let mut wiring = Self {
            bound: [None; INSTRUMENTS_MAX],
            degrading: FrameFlags(0),
            profile: token.profile,
            has_derivative: false,
            has_oi: finest.is_some(),
            reference_divisor: 1,
        };
        for (place, one) in wiring.bound.iter_mut().zip(&token.instruments) {
            let (venue, degraded) = code(one.venue);
            let spot = token.profile == Profile::SpotOnly && one.roles.spot_primary;
            if one.roles.price_ref || one.roles.deriv_primary || spot {
                wiring.degrading = wiring.degrading.with(degraded);
            }
            let notional_places = places(one.qty_exp.saturating_add(6))?;
            if one.roles.price_ref {
                wiring.reference_divisor = power(notional_places);
            }
            wiring.has_derivative |= one.roles.deriv_primary;
            let coarser = finest.unwrap_or(0).saturating_sub(one.qty_exp);
            let oi_places = if one.roles.oi_set { places(coarser)? } else { 0 };
            *place = Some(Bound { venue, roles: one.roles, notional_places, oi_places });
        }
        Ok(wiring)
    }

    /// The instrument of an event; `None` when its id or venue is not bound.
    pub(super) fn instrument(&self, id: u16, venue: u8) -> Option<(usize, &Bound)> {
        let at = usize::from(id);
        let bound = self.bound.get(at)?.as_ref()?;
        (bound.venue == venue).then_some((at, bound))
    }

    /// Venue number of each instrument, in the order of their ids; `None` for an id that is not bound.
    #[must_use]
    pub fn venues(&self) -> [Option<u8>; INSTRUMENTS_MAX] {
        self.bound.map(|bound| bound.map(|bound| bound.venue))
    }

    /// A venue that the token cannot do without is not whole.
    #[must_use]
    pub const fn is_degraded(&self, flags: FrameFlags) -> bool {
        flags.0 & self.degrading.0 != 0
    }

    /// Every instrument of the `oi_set` has its place set in `seen`.
    pub(super) fn all_reported(&self, seen: &[bool; INSTRUMENTS_MAX]) -> bool {
        let waits = |(bound, seen): (&Option<Bound>, &bool)| {
            bound.is_some_and(|bound| bound.roles.oi_set) && !seen
        };
        !self.bound.iter().zip(seen).any(waits)
    }
}
