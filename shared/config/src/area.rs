//! Purpose: declare an area of the configuration once: its keys with defaults and limits, and the typed
//! struct that services read. Inputs: one block per area. Outputs: `KEYS` and a struct whose fields are
//! the keys. Invariants: a field without a row, or a row without a field, cannot be written.

/// Words of a choice as an enum.
macro_rules! choice {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$word_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$word_doc])* $variant,)+ }

        impl $name {
            /// The words as they are written.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word of this value.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl crate::value::Field for $name {
            const TYPE: crate::key::FieldType = crate::key::FieldType::Choice(Self::WORDS);
            fn from_value(value: &crate::value::Value) -> Option<Self> {
                let crate::value::Value::Text(text) = value else { return None };
                match text.as_str() { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

/// An area: keys and struct.
macro_rules! area {
    (
        $(#[doc = $about:literal])+
        pub struct $name:ident ($group:literal) {
            $(
                $(#[doc = $meaning:literal])+
                [$($owner:ident)+] $field:ident : $type:ty = $default:expr, $shape:expr;
            )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone)]
        pub struct $name {
            $($(#[doc = $meaning])+ pub $field: $type,)+
        }

        impl $name {
            /// The keys of this area.
            pub const KEYS: &'static [crate::key::Key] = &[$(
                crate::key::Key {
                    name: stringify!($field),
                    group: $group,
                    owners: &[$(crate::area::$owner),+],
                    default: $default,
                    field: <$type as crate::value::Field>::TYPE,
                    shape: $shape,
                    meaning: concat!($($meaning),+),
                },
            )+];

            pub(crate) fn build(values: &crate::resolve::Values) -> Option<Self> {
                Some(Self { $($field: values.field(stringify!($field))?,)+ })
            }
        }
    };
}

pub(crate) use area;
pub(crate) use choice;

/// Short names of the owners in tables.
pub(crate) const I: crate::Process = crate::Process::Ingest;
pub(crate) const E: crate::Process = crate::Process::Execution;
pub(crate) const X: crate::Process = crate::Process::Tool;
