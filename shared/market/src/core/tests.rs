//! Order of the core.
