//! clusters: see the package description.
