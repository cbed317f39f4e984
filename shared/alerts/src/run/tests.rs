//! The order of rows and deliveries.

use super::*;
use crate::board::{Key, Times};
use crate::rows::RowsError;
use crate::settings::Settings;
use crate::sink::SinkName;
use penstock_contracts::alert::AlertSource;
use std::collections::BTreeSet;

fn alerts() -> Alerts {
    Alerts::new(Settings {
        sender: AlertSource::Execution,
        times: Times { repeat_ms: 60_000, window_ms: 60_000 },
        capacity: 16,
        cooldown_ms: 0,
        timeout: Duration::from_secs(1),
        bell: None,
        sinks: Vec::new(),
        redactor: Default::default(),
    })
}

/// Identity of the open alert of a reason.
fn identity(alerts: &Alerts, reason: ReasonCode) -> Identity {
    let key = Key::of(AlertSource::Execution, reason);
    alerts.open().into_iter().find(|alert| alert.id.key == key).map(|alert| alert.id).unwrap()
}

/// Rows in memory; while the first is written another alert opens and is delivered.
struct Table {
    alerts: Alerts,
    written: Mutex<BTreeSet<ReasonCode>>,
    noted: Mutex<Vec<(ReasonCode, bool)>>,
    is_away: Mutex<bool>,
}

impl Rows for Table {
    async fn save(&self, row: &AlertRow) -> Result<(), RowsError> {
        if *self.is_away.lock().unwrap() {
            return Err(RowsError("away".to_owned()));
        }
        if self.written.lock().unwrap().is_empty() {
            let reason = ReasonCode::LedgerMismatch;
            self.alerts.raise(self.alerts.occurrence(reason, "meanwhile"));
            self.alerts.took(&identity(&self.alerts, reason), SinkName::Webhook);
        }
        self.written.lock().unwrap().insert(row.alert.reason_code);
        Ok(())
    }

    async fn delivered(&self, id: &Identity, _sink: SinkName) -> Result<(), RowsError> {
        let is_there = self.written.lock().unwrap().contains(&id.key.reason);
        self.noted.lock().unwrap().push((id.key.reason, is_there));
        Ok(())
    }
}

#[tokio::test]
async fn a_delivery_is_noted_once_and_only_when_its_row_is_there() {
    // given: an alert that was delivered, and a database that is away at first
    let alerts = alerts();
    alerts.raise(alerts.occurrence(ReasonCode::SpoolBacklog, "first"));
    alerts.took(&identity(&alerts, ReasonCode::SpoolBacklog), SinkName::Webhook);
    let table = Table {
        alerts: alerts.clone(),
        written: Mutex::default(),
        noted: Mutex::default(),
        is_away: Mutex::new(true),
    };
    let mut is_failing = false;
    keep(&alerts, &table, &mut is_failing).await;
    assert!(is_failing);

    // when: it is back, and another alert opens and is delivered while the first row is written
    *table.is_away.lock().unwrap() = false;
    keep(&alerts, &table, &mut is_failing).await;
    keep(&alerts, &table, &mut is_failing).await;
    keep(&alerts, &table, &mut is_failing).await;

    // then
    let noted = table.noted.lock().unwrap().clone();
    assert_eq!(noted, [(ReasonCode::SpoolBacklog, true), (ReasonCode::LedgerMismatch, true)]);
    assert!(!is_failing);
}
