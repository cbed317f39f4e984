//! Purpose: write rows of whole numbers of the engine in one line each. It holds no rows.

/// Whole numbers of the engine, one line each.
macro_rules! numbers {
    ($(#[$doc:meta])* $name:ident: $($key:literal = $default:literal in ($min:expr, $max:expr) $meaning:literal;)+) => {
        $(#[$doc])*
        pub(crate) const $name: &[Key] = &[$(
            engine_key($key, $default, FieldType::Int, int($min, $max), $meaning),
        )+];
    };
}
