//! store: see the package description.
