//! types: see the package description.
