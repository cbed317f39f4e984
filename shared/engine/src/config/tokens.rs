//! Tokens, their instruments and roles, classes, and the schedule of events.
//!
//! Input: what a loader resolved. Output: values that the engine indexes by position. Invariants are judged
//! by [`super::EngineConfig::check`]; this module only names things.

use super::sections::FsmNumbers;
use alloc::string::String;
use alloc::vec::Vec;
use penstock_types::vocab::Venue;

/// Most instruments of a token.
pub const INSTRUMENTS_MAX: usize = 4;

/// What a token's data allow to be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// It has a derivative.
    Deriv,
    /// It has none: open interest, funding, mark price and liquidations weigh nothing.
    SpotOnly,
}

impl Profile {
    /// Name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deriv => "DERIV",
            Self::SpotOnly => "SPOT_ONLY",
        }
    }

    /// The profile of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Deriv, Self::SpotOnly].into_iter().find(|one| one.name() == name)
    }
}

/// Class of a token; funding and open interest are never compared across classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Global macro anchor.
    Gma,
    /// Hybrid macro anchor.
    Hma,
    /// High-beta ecosystem.
    Hec,
    /// Major ecosystem anchor.
    Mea,
    /// Infrastructure, second layer, application chain.
    Iat,
    /// Legacy large cap.
    Lcla,
    /// Casino of middle and small caps.
    Mspc,
    /// Token of a scheduled event.
    Fct,
}

impl Class {
    /// Every class, as the configuration lists them.
    pub const ALL: [Self; 8] =
        [Self::Gma, Self::Hma, Self::Hec, Self::Mea, Self::Iat, Self::Lcla, Self::Mspc, Self::Fct];

    /// Name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gma => "GMA",
            Self::Hma => "HMA",
            Self::Hec => "HEC",
            Self::Mea => "MEA",
            Self::Iat => "IAT",
            Self::Lcla => "LCLA",
            Self::Mspc => "MSPC",
            Self::Fct => "FCT",
        }
    }

    /// The class of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// Name in the paths of keys.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Gma => "gma",
            Self::Hma => "hma",
            Self::Hec => "hec",
            Self::Mea => "mea",
            Self::Iat => "iat",
            Self::Lcla => "lcla",
            Self::Mspc => "mspc",
            Self::Fct => "fct",
        }
    }
}

/// What an instrument supplies to its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Roles {
    /// Top of book, ranges and candles.
    pub price_ref: bool,
    /// Mark price and funding; the `price_ref` too.
    pub deriv_primary: bool,
    /// Volume, sides and liquidations.
    pub flow: bool,
    /// Open interest.
    pub oi_set: bool,
    /// Spot price for the basis, spot volume.
    pub spot_primary: bool,
}

impl Roles {
    /// Adds a role by its name; false when there is no such role.
    #[must_use]
    pub fn add(&mut self, name: &str) -> bool {
        let role = match name {
            "price_ref" => &mut self.price_ref,
            "deriv_primary" => &mut self.deriv_primary,
            "flow" => &mut self.flow,
            "oi_set" => &mut self.oi_set,
            "spot_primary" => &mut self.spot_primary,
            _ => return false,
        };
        *role = true;
        true
    }

    /// Names and values in the order of the configuration.
    #[must_use]
    pub const fn list(self) -> [(&'static str, bool); 5] {
        [
            ("price_ref", self.price_ref),
            ("deriv_primary", self.deriv_primary),
            ("flow", self.flow),
            ("oi_set", self.oi_set),
            ("spot_primary", self.spot_primary),
        ]
    }
}

/// An instrument; its position in the token's list is its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstrumentConfig {
    /// Venue.
    pub venue: Venue,
    /// Symbol at the venue.
    pub symbol: String,
    /// What it supplies.
    pub roles: Roles,
    /// Digits of its quantities after the point, 0..=8.
    pub qty_exp: u32,
    /// Units of the base asset in one unit of the contract; applied before a frame is sealed.
    pub multiplier: i64,
    /// Hours between two fundings; applied before a frame is sealed.
    pub funding_interval_h: i64,
}

/// A token, resolved: no look-up of a class or override happens at run time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenConfig {
    /// 1..=65,535, ascending in the list.
    pub id: u16,
    /// Name of the asset.
    pub symbol: String,
    /// Class.
    pub class: Class,
    /// Cluster, 1..=255.
    pub cluster: u8,
    /// Profile.
    pub profile: Profile,
    /// Weight of open interest, 1e-4.
    pub w_oi: i64,
    /// Weight of funding, 1e-4.
    pub w_funding: i64,
    /// Thresholds and persistence.
    pub fsm: FsmNumbers,
    /// Instruments, 1..=4.
    pub instruments: Vec<InstrumentConfig>,
}

/// A scheduled event of a cluster; times are tick ids (`⌈unix_ms / 250⌉`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventConfig {
    /// Name.
    pub id: String,
    /// Cluster.
    pub cluster: u8,
    /// First tick of its preparation.
    pub prep: u64,
    /// First tick of START.
    pub start: u64,
    /// First tick of MID.
    pub mid: u64,
    /// First tick of END.
    pub end: u64,
    /// First tick of POST.
    pub post: u64,
}
