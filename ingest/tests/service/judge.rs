//! The venue's own ledger of prints as the judge: what it printed must be recorded, once and unchanged.

use penstock_sim::exchange::PublicEvent;
use penstock_sim::server::Handle;
use sqlx::{PgPool, Row};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::task::JoinHandle;

/// Price and quantity of each print by symbol and number.
type Prints = BTreeMap<(String, i64), (String, String)>;

/// Collects the venue's prints from its start.
pub(crate) struct Judge {
    prints: Arc<Mutex<Prints>>,
    task: JoinHandle<()>,
}

/// What the comparison found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Findings {
    pub(crate) missing: Vec<(String, i64)>,
    pub(crate) foreign: Vec<(String, i64)>,
    pub(crate) compared: usize,
}

impl Judge {
    pub(crate) fn of(handle: &Handle) -> Self {
        let (venue, prints) = (Arc::clone(&handle.venue), Arc::new(Mutex::new(Prints::new())));
        let mut events = venue.public_events();
        let into = Arc::clone(&prints);
        let task = tokio::spawn(async move {
            while let Ok(batch) = events.recv().await {
                for event in batch.iter() {
                    let PublicEvent::Market(update) = event else { continue };
                    let named = venue.with(|exchange, _| {
                        let instrument = &exchange.market(update.symbol).instrument;
                        let texts = |p: &penstock_sim::exchange::Print| {
                            (
                                instrument.price(p.price).normalize(),
                                instrument.qty(p.qty).normalize(),
                            )
                        };
                        let rows: Vec<_> =
                            update.prints.iter().map(|p| (p.trade_id, texts(p))).collect();
                        (instrument.symbol.clone(), rows)
                    });
                    let (symbol, rows) = named;
                    let mut all = into.lock().unwrap();
                    for (id, (price, qty)) in rows {
                        let id = i64::try_from(id).unwrap();
                        all.insert((symbol.clone(), id), (price.to_string(), qty.to_string()));
                    }
                }
            }
        });
        Self { prints, task }
    }

    /// Compares every recorded trade with the ledger. A print counts as missing between the first and
    /// the last number of its symbol that were recorded.
    pub(crate) async fn compare(&self, ingest: &PgPool) -> Findings {
        let rows = sqlx::query(
            "select symbol, trade_id, trim_scale(price)::text, trim_scale(qty)::text
             from trade_samples order by symbol, trade_id",
        )
        .fetch_all(ingest)
        .await
        .unwrap();
        let mut recorded = Prints::new();
        for row in &rows {
            let (symbol, id): (String, i64) = (row.get(0), row.get(1));
            let twice = recorded.insert((symbol.clone(), id), (row.get(2), row.get(3)));
            assert!(twice.is_none(), "{symbol} {id} stands twice");
        }
        let prints = self.prints.lock().unwrap().clone();
        let mut span: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
        for (symbol, id) in recorded.keys() {
            let ends = span.entry(symbol).or_insert((*id, *id));
            *ends = (ends.0.min(*id), ends.1.max(*id));
        }
        let is_due = |(symbol, id): &(String, i64)| {
            span.get(symbol.as_str()).is_some_and(|(first, last)| first <= id && id <= last)
        };
        let missing = prints.keys().filter(|k| is_due(k) && !recorded.contains_key(*k)).cloned();
        let foreign = recorded.iter().filter(|(k, v)| prints.get(*k) != Some(*v));
        Findings {
            missing: missing.collect(),
            foreign: foreign.map(|(k, _)| k.clone()).collect(),
            compared: recorded.len(),
        }
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        self.task.abort();
    }
}
