//! The clocks of the venues, compared with ours.
//!
//! Input: what pings and polls measured, as they pass by on their way to the core. Outputs: an alert while a
//! venue's clock is too far from ours, the offsets for the heartbeat. Nothing is corrected: rows keep the
//! venue's time and the time of the receipt apart, and every age is taken from one clock.

use super::alerts::{Alerts, Reason};
use penstock_types::vocab::Venue;
use penstock_venues::venue_clock::{ClockChange, ClockSample, OFFSET_US_MAX, VenueClock};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A handle for every part that measures.
#[derive(Debug, Clone)]
pub(crate) struct VenueClocks {
    clocks: Arc<Mutex<BTreeMap<Venue, VenueClock>>>,
    alerts: Alerts,
}

impl VenueClocks {
    pub(crate) fn new(alerts: &Alerts) -> Self {
        Self { clocks: Arc::default(), alerts: alerts.clone() }
    }

    fn with<T>(&self, f: impl FnOnce(&mut BTreeMap<Venue, VenueClock>) -> T) -> T {
        // Every change of a clock is one assignment after another; none can be left half made.
        f(&mut self.clocks.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes a measurement.
    pub(crate) fn take(&self, venue: Venue, sample: ClockSample) {
        let change = self.with(|clocks| clocks.entry(venue).or_default().take(sample));
        match change {
            Some(ClockChange::Drifted(offset_us)) => {
                let summary = format!(
                    "the clock of {} is {} ms from ours, limit {}",
                    venue.as_str(),
                    offset_us / 1_000,
                    OFFSET_US_MAX / 1_000,
                );
                tracing::warn!("{summary}; next: look at the time service of this host");
                self.alerts.begins(Reason::ClockDrift, venue.as_str(), &summary);
            }
            Some(ClockChange::Returned(offset_us)) => {
                let offset_ms = offset_us / 1_000;
                tracing::info!(venue = venue.as_str(), offset_ms, "the clocks are near again");
                self.alerts.ends(Reason::ClockDrift, venue.as_str());
            }
            None => {}
        }
    }

    /// Offsets in milliseconds by venue: the venue's clock minus ours.
    pub(crate) fn offsets_ms(&self) -> serde_json::Value {
        let offset = |(venue, clock): (&Venue, &VenueClock)| {
            let offset_us = clock.offset_us()?;
            Some((venue.as_str().to_owned(), (offset_us / 1_000).into()))
        };
        serde_json::Value::Object(self.with(|clocks| clocks.iter().filter_map(offset).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::alerts::tests::with_window;
    use super::*;
    use std::time::Duration;

    #[test]
    fn one_venue_that_is_far_away_is_an_alert_until_it_is_near() {
        let alerts = with_window(Duration::ZERO);
        let clocks = VenueClocks::new(&alerts);
        let sample = |offset_us| ClockSample { offset_us, round_trip_us: 20_000 };
        clocks.take(Venue::KrakenSpot, sample(-3_000));
        clocks.take(Venue::BinanceUm, sample(400_000));
        let rows = alerts.rows(1);
        assert_eq!(rows[0]["reason_code"], "CLOCK_DRIFT_WARN");
        assert!(rows[0]["summary"].as_str().unwrap().contains("BINANCE_UM is 400 ms"), "{rows}");
        let offsets = serde_json::json!({ "BINANCE_UM": 400, "KRAKEN_SPOT": -3 });
        assert_eq!(clocks.offsets_ms(), offsets);
        clocks.take(Venue::BinanceUm, sample(1_000));
        assert_eq!(alerts.rows(1), serde_json::json!([]));
    }
}
