//! The leaves of a frame of any venue: borrowed text, number text, timestamps, closed vocabularies,
//! and the error of a frame that does not decode.
//!
//! Input: `serde_json` over the frame's own text. Output: values that borrow from it. Invariants:
//! a number is never converted to binary floating point here; an unknown field or an unknown word of
//! a vocabulary never fails a frame, it is kept and reported by [`Unknowns`]. It does not know any
//! channel, and it does not count: who reads frames counts.

use core::fmt;
use core::marker::PhantomData;
use core::ops::Deref;
use std::borrow::Cow;

use penstock_types::UtcMicros;
use rust_decimal::Decimal;
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::number::{self, NumberError};

/// A frame that is not what its envelope says.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{what} does not decode: {reason} (byte {byte})")]
pub struct DecodeError {
    /// What was being read (`book frame`, `order result`).
    pub what: &'static str,
    /// What is wrong, in the parser's words.
    pub reason: String,
    /// Offset of the byte at which reading stopped.
    pub byte: usize,
}

/// Error texts keep at most this much of a parser's message, which quotes the input.
const REASON_CHARS_MAX: usize = 200;

impl DecodeError {
    pub(crate) fn new(what: &'static str, source: &serde_json::Error) -> Self {
        let reason: String = source.to_string().chars().take(REASON_CHARS_MAX).collect();
        // Frames have no line breaks, so the column is the byte; with breaks it is within its line.
        Self { what, reason, byte: source.column() }
    }
}

/// A string of the wire: borrowed from the frame unless it contained an escape.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<'a>(Cow<'a, str>);

impl<'a> Text<'a> {
    /// Wraps borrowed text.
    pub const fn borrowed(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

struct TextVisitor<'a>(PhantomData<&'a ()>);

impl<'de: 'a, 'a> Visitor<'de> for TextVisitor<'a> {
    type Value = Text<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, v: &'de str) -> Result<Text<'a>, E> {
        Ok(Text(Cow::Borrowed(v)))
    }

    fn visit_str<E: Error>(self, v: &str) -> Result<Text<'a>, E> {
        Ok(Text(Cow::Owned(v.to_owned())))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor(PhantomData))
    }
}

/// A number of the wire as its exact text (`0.00100000`, `5e-05`); strings that contain a number
/// are accepted too, because some fields come in either form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Num<'a>(&'a str);

impl<'a> Num<'a> {
    /// Wraps number text without checking it; a bad one fails at the first conversion.
    pub const fn from_text(text: &'a str) -> Self {
        Self(text)
    }

    /// The exact text of the wire.
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// The value as an integer of 10^-`scale`.
    ///
    /// # Errors
    /// The value has more digits than the scale holds, or does not fit into `i64`.
    #[inline]
    pub fn scaled(self, scale: u8) -> Result<i64, NumberError> {
        number::scaled(self.0, scale)
    }

    /// The value as a decimal, digits kept (`0.10` stays `0.10`).
    ///
    /// # Errors
    /// The text is not a number or needs more than 28 digits.
    pub fn decimal(self) -> Result<Decimal, NumberError> {
        number::decimal(self.0)
    }

    /// Number of digits after the point, exponent included (`5e-05` has 5).
    pub fn fraction_digits(self) -> u8 {
        number::fraction_digits(self.0)
    }
}

impl fmt::Display for Num<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Num<'a> {
    #[inline]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&'a RawValue>::deserialize(deserializer)?.get();
        match text.as_bytes().first() {
            // The raw text is valid JSON already, so these first bytes can only begin a number.
            Some(b'0'..=b'9' | b'-') => Ok(Self(text)),
            Some(b'"') => {
                let inner = text.trim_matches('"');
                if number::is_number(inner) {
                    Ok(Self(inner))
                } else {
                    Err(D::Error::custom(format_args!("expected a number, found {text}")))
                }
            }
            _ => {
                let shown: String = text.chars().take(40).collect();
                Err(D::Error::custom(format_args!("expected a number, found {shown}")))
            }
        }
    }
}

/// A timestamp of the wire (RFC 3339, UTC), in nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WireTime(i64);

impl WireTime {
    /// From nanoseconds since the Unix epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Parses `2026-07-07T23:00:03.977459Z` (0 to 9 fractional digits; more are cut).
    pub fn parse(text: &str) -> Option<Self> {
        number::rfc3339_nanos(text).map(Self)
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Microseconds since the Unix epoch, rounded down.
    pub const fn micros(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// The product's time, microseconds; nanoseconds are cut.
    pub const fn utc(self) -> UtcMicros {
        UtcMicros(self.micros())
    }

    /// Milliseconds since the Unix epoch, rounded down.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }
}

struct TimeVisitor;

impl Visitor<'_> for TimeVisitor {
    type Value = WireTime;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an RFC 3339 timestamp in UTC")
    }

    fn visit_str<E: Error>(self, v: &str) -> Result<WireTime, E> {
        WireTime::parse(v)
            .ok_or_else(|| E::custom(format_args!("{v:?} is not an RFC 3339 timestamp in UTC")))
    }
}

impl<'de> Deserialize<'de> for WireTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TimeVisitor)
    }
}

/// A closed set of words; anything else is kept as [`Tag::Unknown`].
pub trait Vocabulary: Sized + Copy {
    /// Name of the vocabulary in messages and counters.
    const NAME: &'static str;
    /// The value of a wire word, if it is one of ours.
    fn from_wire(word: &str) -> Option<Self>;
    /// The wire word of a value.
    fn wire(self) -> &'static str;
}

/// A word of a vocabulary, or the word that the vocabulary does not contain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tag<'a, T> {
    /// A listed word.
    Known(T),
    /// A word that this version does not list; tolerated and counted.
    Unknown(Text<'a>),
}

impl<T: Copy> Tag<'_, T> {
    /// The listed value, if it is one.
    pub fn known(&self) -> Option<T> {
        match self {
            Self::Known(value) => Some(*value),
            Self::Unknown(_) => None,
        }
    }
}

struct TagVisitor<'a, T>(PhantomData<(&'a (), T)>);

impl<'de: 'a, 'a, T: Vocabulary> Visitor<'de> for TagVisitor<'a, T> {
    type Value = Tag<'a, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a word")
    }

    fn visit_borrowed_str<E: Error>(self, v: &'de str) -> Result<Self::Value, E> {
        Ok(match T::from_wire(v) {
            Some(value) => Tag::Known(value),
            None => Tag::Unknown(Text::borrowed(v)),
        })
    }

    fn visit_str<E: Error>(self, v: &str) -> Result<Self::Value, E> {
        Ok(match T::from_wire(v) {
            Some(value) => Tag::Known(value),
            None => Tag::Unknown(Text(Cow::Owned(v.to_owned()))),
        })
    }
}

impl<'de: 'a, 'a, T: Vocabulary> Deserialize<'de> for Tag<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TagVisitor(PhantomData))
    }
}

/// Something in a frame that this version does not know and therefore ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown<'f> {
    /// A field of a known object.
    Field {
        /// The object that carried it.
        object: &'static str,
        /// The field's name.
        name: &'f str,
    },
    /// A word outside of a vocabulary.
    Value {
        /// The vocabulary's name.
        vocabulary: &'static str,
        /// The word.
        value: &'f str,
    },
    /// A channel without a decoder.
    Channel(&'f str),
    /// A frame that is neither a channel message nor a response.
    Shape,
}

/// Enumerates what was ignored, so that the reader can count it and log each value once.
pub trait Unknowns {
    /// Calls `sink` for everything ignored in this value.
    fn visit_unknowns(&self, sink: &mut dyn FnMut(Unknown<'_>));
}

macro_rules! leaf_without_unknowns {
    ($($ty:ty),*) => { $(impl Unknowns for $ty {
        fn visit_unknowns(&self, _sink: &mut dyn FnMut(Unknown<'_>)) {}
    })* };
}
leaf_without_unknowns!(Text<'_>, Num<'_>, WireTime, bool, u8, u32, u64, i64, &RawValue);

impl<T: Vocabulary> Unknowns for Tag<'_, T> {
    fn visit_unknowns(&self, sink: &mut dyn FnMut(Unknown<'_>)) {
        if let Self::Unknown(word) = self {
            sink(Unknown::Value { vocabulary: T::NAME, value: word });
        }
    }
}

impl<T: Unknowns> Unknowns for Option<T> {
    fn visit_unknowns(&self, sink: &mut dyn FnMut(Unknown<'_>)) {
        if let Some(value) = self {
            value.visit_unknowns(sink);
        }
    }
}

impl<T: Unknowns> Unknowns for Vec<T> {
    fn visit_unknowns(&self, sink: &mut dyn FnMut(Unknown<'_>)) {
        for value in self {
            value.visit_unknowns(sink);
        }
    }
}

/// Declares an object of the wire: `req` fields must be there, `opt` ones may be absent or null, any
/// other field is skipped and its name kept. A field may have further names (`"a" | "b"`). One that
/// occurs twice is an error, because the two values could differ and the choice would be ours.
macro_rules! wire_object {
    (@type req $ty:ty) => { $ty };
    (@type opt $ty:ty) => { Option<$ty> };
    (@take req $slot:expr, $key:literal) => {
        $slot.ok_or_else(|| serde::de::Error::missing_field($key))?
    };
    (@take opt $slot:expr, $key:literal) => { $slot.flatten() };
    (@read req $map:ident) => { $map.next_value()? };
    (@read opt $map:ident) => { $map.next_value()? };
    (
        $(#[$meta:meta])*
        $name:ident {
            $( $(#[$fmeta:meta])* $kind:ident $field:ident : $ty:ty = $key:literal
               $( | $alias:literal )* ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        pub struct $name<'a> {
            $( $(#[$fmeta])* pub $field: wire_object!(@type $kind $ty), )*
            /// Names of fields that this version does not know.
            pub unknown_fields: Vec<$crate::wire::Text<'a>>,
        }

        impl<'de: 'a, 'a> serde::Deserialize<'de> for $name<'a> {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                struct ObjectVisitor<'a>(core::marker::PhantomData<&'a ()>);
                impl<'de: 'a, 'a> serde::de::Visitor<'de> for ObjectVisitor<'a> {
                    type Value = $name<'a>;
                    fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                        f.write_str(concat!("an object (", stringify!($name), ")"))
                    }
                    fn visit_map<A: serde::de::MapAccess<'de>>(
                        self,
                        mut map: A,
                    ) -> Result<$name<'a>, A::Error> {
                        $( let mut $field: Option<wire_object!(@type $kind $ty)> = None; )*
                        let mut unknown_fields = Vec::new();
                        while let Some(key) = map.next_key::<$crate::wire::Text<'a>>()? {
                            match key.as_str() {
                                $( $key $( | $alias )* => {
                                    if $field.is_some() {
                                        return Err(serde::de::Error::duplicate_field($key));
                                    }
                                    $field = Some(wire_object!(@read $kind map));
                                } )*
                                _ => {
                                    map.next_value::<serde::de::IgnoredAny>()?;
                                    unknown_fields.push(key);
                                }
                            }
                        }
                        Ok($name {
                            $( $field: wire_object!(@take $kind $field, $key), )*
                            unknown_fields,
                        })
                    }
                }
                d.deserialize_map(ObjectVisitor(core::marker::PhantomData))
            }
        }

        impl $crate::wire::Unknowns for $name<'_> {
            fn visit_unknowns(&self, sink: &mut dyn FnMut($crate::wire::Unknown<'_>)) {
                $( $crate::wire::Unknowns::visit_unknowns(&self.$field, sink); )*
                for name in &self.unknown_fields {
                    sink($crate::wire::Unknown::Field { object: stringify!($name), name });
                }
            }
        }
    };
}
pub(crate) use wire_object;

/// Declares a vocabulary: an enum with its wire words.
macro_rules! vocabulary {
    (
        $(#[$meta:meta])*
        $name:ident { $( $(#[$vmeta:meta])* $variant:ident = $word:literal ),* $(,)? }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $( $(#[$vmeta])* $variant ),* }

        impl $name {
            /// Every value, in declaration order.
            pub const ALL: &'static [Self] = &[ $( Self::$variant ),* ];
        }

        impl $crate::wire::Vocabulary for $name {
            const NAME: &'static str = stringify!($name);
            fn from_wire(word: &str) -> Option<Self> {
                match word { $( $word => Some(Self::$variant), )* _ => None }
            }
            fn wire(self) -> &'static str {
                match self { $( Self::$variant => $word ),* }
            }
        }
    };
}
pub(crate) use vocabulary;
