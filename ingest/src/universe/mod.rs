//! The universe in operation: what the venue offers, which pairs are tracked, on which socket.

pub(crate) mod backfill;
pub(crate) mod derivatives;
pub(crate) mod directory;
pub(crate) mod feeds;
pub(crate) mod instruments;
pub(crate) mod layers;
pub(crate) mod level3;
pub(crate) mod reference;
