//! market: see the package description.
