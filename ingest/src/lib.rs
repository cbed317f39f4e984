//! ingest: see the package description.
