//! What stands behind the one lock: board, queue, rows that wait.
//!
//! Input: what rose and what ended. Output: entries of the queue, rows, ends for the ways out. Invariants: every list
//! has a limit; what is let go is counted and is never a critical alert.

use std::collections::BTreeMap;

use metrics::counter;
use penstock_contracts::alert::AlertSource;
use penstock_types::vocab::Severity;

use crate::board::{Board, Identity, Now, Open, Raised};
use crate::queue::Queue;
use crate::rows::AlertRow;
use crate::sink::SinkName;

/// Rows that wait for the database: two boards full, so that an outage in which every alert ends and opens again loses
/// none.
pub const ROWS_MAX: usize = 1_024;
/// Ends that wait for the ways out, and deliveries that wait for the database.
const ENDS_MAX: usize = 4_096;

#[derive(Debug)]
pub(super) struct State {
    pub(super) board: Board,
    pub(super) queue: Queue,
    pub(super) rows: BTreeMap<Identity, AlertRow>,
    pub(super) ended: Vec<Identity>,
    pub(super) taken: Vec<(Identity, SinkName)>,
}

impl State {
    pub(super) const fn new(board: Board, queue: Queue) -> Self {
        Self { board, queue, rows: BTreeMap::new(), ended: Vec::new(), taken: Vec::new() }
    }

    /// An alert rose: its row waits, and its entry when it is told.
    pub(super) fn rose(&mut self, raised: &Raised, sender: AlertSource) {
        let alert = raised.alert.document(sender, true);
        self.put_row(raised.alert.id.clone(), AlertRow { alert, cleared_ms: None });
        if raised.told {
            for gone in self.queue.push(raised.alert.clone()) {
                counter!("alerts_dropped_total", "severity" => gone.severity.as_str()).increment(1);
            }
        }
    }

    /// An alert has ended.
    pub(super) fn end(&mut self, alert: Open, sender: AlertSource, now: Now) {
        let row = AlertRow { alert: alert.document(sender, false), cleared_ms: Some(now.wall_ms) };
        self.put_row(alert.id.clone(), row);
        if self.ended.len() < ENDS_MAX {
            self.ended.push(alert.id);
        }
    }

    /// An alert gave way to a worse one.
    pub(super) fn drop_open(&mut self, alert: Open, sender: AlertSource, now: Now) {
        counter!("alerts_dropped_total", "severity" => alert.severity.as_str()).increment(1);
        self.end(alert, sender, now);
    }

    /// A row that was not written, unless a newer state of it waits.
    pub(super) fn keep_row(&mut self, row: AlertRow) {
        let id = identity(&row);
        if !self.rows.contains_key(&id) {
            self.put_row(id, row);
        }
    }

    fn put_row(&mut self, id: Identity, row: AlertRow) {
        self.rows.insert(id, row);
        while self.rows.len() > ROWS_MAX {
            let weak = self.rows.iter().filter(|(_, row)| row.alert.severity < Severity::Crit);
            let oldest = weak.min_by_key(|(_, row)| (row.alert.severity, row.alert.last_ts_ms));
            // Nothing but critical rows: the oldest of all, whose message is not lost with it.
            let oldest =
                oldest.or_else(|| self.rows.iter().min_by_key(|(_, r)| r.alert.last_ts_ms));
            let Some(id) = oldest.map(|(id, _)| id.clone()) else { return };
            self.rows.remove(&id);
            counter!("alert_rows_dropped_total").increment(1);
        }
    }

    pub(super) fn took(&mut self, id: Identity, sink: SinkName) {
        if self.taken.len() < ENDS_MAX {
            self.taken.push((id, sink));
        }
    }
}

fn identity(row: &AlertRow) -> Identity {
    let alert = &row.alert;
    let key = crate::board::Key {
        source: alert.source,
        reason: alert.reason_code,
        symbol: alert.symbol.clone(),
    };
    Identity { key, first_ms: alert.first_ts_ms.0 }
}
