//! venue-feeds: see the package description.
