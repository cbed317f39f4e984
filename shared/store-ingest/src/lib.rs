//! store-ingest: see the package description.
