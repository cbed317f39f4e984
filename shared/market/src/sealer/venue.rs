//! Whether a venue is whole: what its DEGRADED and RESYNC flags follow from.

use std::collections::BTreeSet;

use penstock_types::UtcMicros;
use penstock_types::vocab::Venue;
use serde::{Deserialize, Serialize};

use crate::canonical::{InstrumentBinding, InstrumentKey, Source};

/// How long a venue that is connected again waits for an instrument's first values, microseconds. Beyond
/// it the instrument is left out and goes stale by its age.
const FIRST_VALUE_WAIT_US: i64 = 30_000_000;

/// One venue.
#[derive(Debug, Clone)]
pub(super) struct VenueHealth {
    /// Values that bound instruments must show after a reconnect.
    needs: BTreeSet<(InstrumentKey, Source)>,
    blind: BTreeSet<Option<i16>>,
    awaited: BTreeSet<(InstrumentKey, Source)>,
    wait_until: UtcMicros,
    is_resync_due: bool,
}

/// What of it a run begins with; what bound instruments must show follows from the bindings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct VenueState {
    blind: BTreeSet<Option<i16>>,
    awaited: BTreeSet<(InstrumentKey, Source)>,
    wait_until: UtcMicros,
    is_resync_due: bool,
}

impl VenueHealth {
    /// The state.
    pub(super) fn state(&self) -> VenueState {
        VenueState {
            blind: self.blind.clone(),
            awaited: self.awaited.clone(),
            wait_until: self.wait_until,
            is_resync_due: self.is_resync_due,
        }
    }

    /// Goes on from a state.
    pub(super) fn resume(&mut self, state: VenueState) {
        (self.blind, self.awaited) = (state.blind, state.awaited);
        (self.wait_until, self.is_resync_due) = (state.wait_until, state.is_resync_due);
    }

    /// A venue that is whole.
    pub(super) fn new<'a>(
        venue: Venue,
        bindings: impl Iterator<Item = &'a InstrumentBinding>,
    ) -> Self {
        let mut needs = BTreeSet::new();
        for binding in bindings.filter(|binding| binding.venue == venue) {
            needs.insert((binding.key, Source::Book));
            if binding.roles.oi_set {
                needs.insert((binding.key, Source::OpenInterest));
            }
            if binding.roles.deriv_primary {
                needs.insert((binding.key, Source::Funding));
            }
        }
        Self {
            needs,
            blind: BTreeSet::new(),
            awaited: BTreeSet::new(),
            wait_until: UtcMicros(0),
            is_resync_due: false,
        }
    }

    /// A connection, or the venue as a whole, is blind.
    pub(super) fn lost(&mut self, conn_id: Option<i16>) {
        self.blind.insert(conn_id);
        self.awaited.clear();
    }

    /// A connection is subscribed again; with the last of them the wait for first values begins.
    pub(super) fn returned(&mut self, conn_id: Option<i16>, at: UtcMicros) {
        if self.blind.remove(&conn_id) && self.blind.is_empty() {
            self.awaited = self.needs.clone();
            self.wait_until = UtcMicros(at.0.saturating_add(FIRST_VALUE_WAIT_US));
            self.is_resync_due = true;
        }
    }

    /// An event of a bound instrument was accepted.
    pub(super) fn heard(&mut self, key: InstrumentKey, source: Source) {
        self.awaited.remove(&(key, source));
    }

    /// Flags of a tick that ends at `end`: degraded, and first whole one after that.
    pub(super) fn at_seal(&mut self, end: UtcMicros) -> (bool, bool) {
        if end >= self.wait_until {
            self.awaited.clear();
        }
        let is_degraded = !self.blind.is_empty() || !self.awaited.is_empty();
        let is_resync = !is_degraded && core::mem::take(&mut self.is_resync_due);
        (is_degraded, is_resync)
    }
}
