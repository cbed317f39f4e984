//! How a section of the configuration is written down once: names, keys, defaults, ranges, meaning.
//!
//! Purpose: the struct that the engine reads, the walk over all keys (hash, ranges, loaders, tests) and the
//! defaults come from one list and cannot disagree. Input: the list. Output: a struct and its `visit`.
//! It reads no file.

/// One key of the configuration while all are walked over.
#[derive(Debug)]
pub enum Field<'a> {
    /// A whole number and its range.
    Int {
        /// Value.
        value: &'a mut i64,
        /// Least value.
        min: i64,
        /// Greatest value.
        max: i64,
    },
    /// A switch.
    Bool(&'a mut bool),
    /// Positive weights; their number is fixed.
    Weights(&'a mut [i64]),
}

/// What is called for each key with its path and value.
pub type Visitor<'a> = dyn FnMut(&str, Field<'_>) + 'a;

/// A section of whole numbers.
macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $key:literal = $default:literal in ($min:literal, $max:literal) $fdoc:literal;)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name {
            $(#[doc = $fdoc] pub $field: i64,)+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)+ }
            }
        }

        impl $name {
            /// Calls `f` for each key under `prefix`.
            pub(crate) fn visit(&mut self, prefix: &str, f: &mut crate::config::Visitor<'_>) {
                $(f(
                    &alloc::format!(concat!("{}.", $key), prefix),
                    crate::config::Field::Int { value: &mut self.$field, min: $min, max: $max },
                );)+
            }
        }
    };
}
pub(crate) use section;
