//! Terms of the scores and cost components: a weight and the ends of a ramp each.
//!
//! Input: nothing. Output: defaults; the walk over all terms. Where a formula inverts a ramp or weighs it
//! with the flow, the ends are those of the ramp inside.

use super::fields::{Field, Visitor};

/// Where a ramp may begin and end.
pub(crate) const BOUND: i64 = 1_000_000_000_000;

/// A term of a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// Weight, 1..=100.
    pub w: i64,
    /// Start of the ramp, in the unit of its input.
    pub lo: i64,
    /// End of the ramp.
    pub hi: i64,
}

impl Term {
    fn visit(&mut self, component: &str, term: &str, f: &mut Visitor<'_>) {
        let path = |part: &str| alloc::format!("score.{component}.{term}.{part}");
        f(&path("w"), Field::Int { value: &mut self.w, min: 1, max: 100 });
        f(&path("lo"), Field::Int { value: &mut self.lo, min: -BOUND, max: BOUND });
        f(&path("hi"), Field::Int { value: &mut self.hi, min: -BOUND, max: BOUND });
    }
}

macro_rules! components {
    ($($(#[$doc:meta])* $field:ident: $name:ident { $($term:ident = ($w:literal, $lo:literal, $hi:literal) $tdoc:literal;)+ })+) => {
        $($(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name {
            $(#[doc = $tdoc] pub $term: Term,)+
        })+

        /// Every component.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct ScoreConfig {
            $($(#[$doc])* pub $field: $name,)+
        }

        impl Default for ScoreConfig {
            fn default() -> Self {
                Self {
                    $($field: $name { $($term: Term { w: $w, lo: $lo, hi: $hi },)+ },)+
                }
            }
        }

        impl ScoreConfig {
            pub(crate) fn visit(&mut self, f: &mut Visitor<'_>) {
                $($(self.$field.$term.visit(stringify!($field), stringify!($term), f);)+)+
            }

            /// Every term with its path.
            pub(crate) fn terms(&self) -> alloc::vec::Vec<(&'static str, Term)> {
                alloc::vec![
                    $($((
                        concat!("score.", stringify!($field), ".", stringify!($term)),
                        self.$field.$term,
                    ),)+)+
                ]
            }
        }
    };
}

components! {
    /// Leverage that stacks.
    density: Density {
        oi_velocity = (3, 1_000, 10_000) "Open interest per second.";
        oi_chg = (3, 100_000, 1_000_000) "Open interest over a minute.";
        funding = (4, 300_000_000, 1_500_000_000) "Magnitude of funding.";
    }
    /// Range, spread and volume that shrink.
    compression: Compression {
        range = (4, 4_000, 10_000) "Range against its baseline, inverted.";
        spread = (3, 6_000, 10_000) "Spread against its baseline, inverted.";
        vol = (3, 4_000, 10_000) "Volume against its baseline, inverted.";
    }
    /// Tension before a break.
    divergence: Divergence {
        mark = (4, 50_000, 300_000) "Mark price against the middle.";
        flow = (2, 30_000_000, 80_000_000) "One-sided volume, with the flow.";
        liq = (2, 100_000, 2_000_000) "Liquidations in the volume.";
        basis = (2, 100_000, 600_000) "Derivative against spot.";
    }
    /// A book that gives way.
    elasticity: Elasticity {
        spread = (5, 15_000, 40_000) "Spread against its baseline.";
        range = (5, 8_000, 20_000) "Range of the last seconds against the baseline of a minute.";
    }
    /// Leverage and one-sidedness accumulate.
    pressure: Pressure {
        oi_velocity = (3, 200, 5_000) "Open interest per second.";
        flow = (3, 20_000_000, 70_000_000) "One-sided volume, with the flow.";
        spread = (2, 6_000, 10_000) "Spread against its baseline, inverted.";
        funding = (2, 100_000_000, 500_000_000) "Magnitude of funding.";
    }
    /// Density of leverage.
    fragile: Fragile {
        oi_chg = (3, 100_000, 1_000_000) "Open interest over a minute.";
        funding = (3, 300_000_000, 1_500_000_000) "Magnitude of funding.";
        mark = (2, 50_000, 300_000) "Mark price against the middle.";
        spread = (1, 6_000, 10_000) "Spread against its baseline, inverted.";
        liq_imbalance = (1, 5_000, 9_500) "One-sided liquidations.";
    }
    /// Nearness of a trigger.
    trigger: Trigger {
        fragile = (4, 0, 1_000_000) "This tick's fragility.";
        range = (2, 4_000, 10_000) "Range against its baseline, inverted.";
        liq = (2, 100_000, 2_000_000) "Liquidations in the volume.";
        aggression = (2, 40_000_000, 90_000_000) "One-sided counts of trades, with the flow.";
    }
    /// Strength of a cascade.
    unwind: Unwind {
        oi_chg = (3, 300_000, 2_000_000) "Loss of open interest over a minute.";
        liq = (3, 2_000_000, 15_000_000) "Liquidations in the volume.";
        range = (2, 8_000, 20_000) "Range of the last seconds against the baseline of a minute.";
        vol = (1, 20_000, 50_000) "Volume against its baseline.";
        flip = (1, 30_000_000, 80_000_000) "One-sided volume after the sides changed.";
    }
    /// Pressure of a token without derivative.
    spot_pressure: SpotPressure {
        flow = (3, 20_000_000, 70_000_000) "One-sided volume, with the flow.";
        spread = (2, 6_000, 10_000) "Spread against its baseline, inverted.";
        vol = (3, 12_000, 30_000) "Volume against its baseline.";
    }
    /// Fragility of a token without derivative.
    spot_fragile: SpotFragile {
        flow = (3, 20_000_000, 70_000_000) "One-sided volume, with the flow.";
        range = (3, 4_000, 10_000) "Range against its baseline, inverted.";
        spread = (2, 6_000, 10_000) "Spread against its baseline, inverted.";
        vol = (2, 10_000, 25_000) "Volume against its baseline.";
    }
}
