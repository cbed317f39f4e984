//! ops: see the package description.
