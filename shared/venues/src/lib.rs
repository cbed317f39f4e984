//! venues: see the package description.
