//! venue-orders: see the package description.
