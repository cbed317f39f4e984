//! execution: see the package description.
