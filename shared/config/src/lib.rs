//! config: see the package description.
