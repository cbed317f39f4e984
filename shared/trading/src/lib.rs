//! trading: see the package description.
