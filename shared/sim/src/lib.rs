//! sim: see the package description.
