//! Closed vocabularies: every word that a column, a marker or a contract may carry.
//!
//! Each is an enum with one text form; the texts are those of the database's `CHECK` constraints.
//! Reading an unknown text is an error that names vocabulary and text, never a default.

mod audit;
mod market;
mod orders;
mod reason;
mod stage;
mod trading;

pub use audit::{AuditEventType, Lane};
pub use market::{
    EpochStatus, L3Mode, RawStream, Regime, RegimeSub, SafetyMode, StatusKind, Venue,
};
pub use orders::{
    ExecutionIntent, ExitReason, OrderRole, OrderState, OrderType, PlanState, PositionOrigin,
    PositionStatus, QueueDecision, Side, TimeInForce,
};
pub use reason::{ReasonCode, ReasonFamily, Severity};
pub use stage::StageName;
pub use trading::{
    Blocker, BlockerClass, EntryMode, ExitPolicy, Horizon, RouteType, Strategy, SysMode, Trigger,
    Verdict,
};

use alloc::string::String;

/// A text that a closed vocabulary does not contain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{vocabulary} has no word {text:?}")]
pub struct UnknownWord {
    /// Name of the vocabulary.
    pub vocabulary: &'static str,
    /// The refused text, cut to 64 characters.
    pub text: String,
}

/// Defines a closed vocabulary: the enum, its texts, reading, serde.
#[macro_export]
macro_rules! closed_vocabulary {
    ($(#[$doc:meta])* $vis:vis $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        $vis enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every word, in order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The one text form.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// Reads the text form.
            ///
            /// # Errors
            /// [`UnknownWord`]($crate::vocab::UnknownWord) for any other text.
            pub fn parse(text: &str) -> Result<Self, $crate::vocab::UnknownWord> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    other => Err($crate::vocab::UnknownWord {
                        vocabulary: stringify!($name),
                        text: other.chars().take(64).collect(),
                    }),
                }
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl core::str::FromStr for $name {
            type Err = $crate::vocab::UnknownWord;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Words;
                impl serde::de::Visitor<'_> for Words {
                    type Value = $name;
                    fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                        f.write_str(concat!("a word of ", stringify!($name)))
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        $name::parse(text).map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Words)
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_go_round_and_strangers_are_named() {
        for state in OrderState::ALL {
            assert_eq!(OrderState::parse(state.as_str()), Ok(*state));
        }
        let error = Regime::parse("CALM").unwrap_err();
        assert_eq!(alloc::format!("{error}"), "Regime has no word \"CALM\"");
        let json = serde_json::to_string(&Side::Buy).unwrap();
        assert_eq!(json, "\"buy\"");
        assert_eq!(serde_json::from_str::<Side>(&json).unwrap(), Side::Buy);
        assert!(serde_json::from_str::<Side>("\"hold\"").is_err());
    }
}
