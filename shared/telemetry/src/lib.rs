//! telemetry: see the package description.
