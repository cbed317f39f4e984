//! store-decision: see the package description.
