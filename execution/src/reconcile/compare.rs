//! LIGHT and FULL passes: what the venue shows against what we believe.
//!
//! Input: a whole look. Output: differences, their row, the score and its causes, looks at the orders
//! concerned. A fact of the stream younger than 60 s outranks REST, so it is no difference.

use penstock_store_orders::reconcile::{ReconcileDiff, ReconcileRun};
use penstock_telemetry::{Level as LogLevel, marker};
use penstock_trading::drift::{DiffKey, DiffKind, score_x10000};
use penstock_trading::mode::{CauseCode, Level, Signal};
use penstock_types::cl_ord_id::{Origin, recognise};
use penstock_types::vocab::PlanState;
use penstock_types::{Decimal, OrderId, Symbol, Uuid};
use penstock_venues::kraken::vocabulary::RestOrderStatus;

use super::fetch::{FoundOrder, LookResult};
use crate::desk::{Desk, DeskError};
use crate::tracker::{Held, Tracked};

/// One difference with both views.
struct Found {
    key: DiffKey,
    local: String,
    remote: String,
    /// The venue's order that no row names.
    extra: Option<FoundOrder>,
}

impl Desk {
    /// Ends a pass: `kind` is LIGHT or FULL.
    pub(super) async fn finish_pass(
        &mut self,
        kind: &'static str,
        result: &LookResult,
    ) -> Result<(), DeskError> {
        let mono = self.mono_ms();
        let mut found = Vec::new();
        if result.whole {
            self.compare_orders(&result.orders, mono, &mut found);
            self.compare_stops(&result.orders, mono, &mut found);
            self.compare_bases(&result.balances, mono, &mut found);
            self.pass_saw(result, &found);
        }
        let adjusted = if result.whole { self.compare_balances(None).await? } else { 0 };
        let keys: Vec<DiffKey> = found.iter().map(|f| f.key.clone()).collect();
        let settled = self.reconcile.settling.pass(mono, self.config.settle_ms, &keys);
        let counting = keys.iter().zip(&settled).filter(|(_, s)| **s).map(|(k, _)| k.0);
        let score = score_x10000(counting);
        let outcome = match (result.whole, found.is_empty()) {
            (false, _) => "failed",
            (true, true) => "ok",
            (true, false) => "diff",
        };
        let run = ReconcileRun {
            kind,
            cause: "",
            outcome,
            positions: self.tracker.positions.keys().copied().collect(),
            orders: self.tracker.live().map(|t| t.record.order_id).collect(),
            started_at: result.started_at,
            dur_ms: mono - result.started_mono_ms,
            drift_score_x10000: Some(score),
            calls: result.calls,
            diffs: found.iter().zip(&settled).map(|(f, s)| row(f, *s)).collect(),
        };
        self.say_reconcile(&run);
        let stored = self.store.insert_reconcile(&run).await;
        self.written(stored)?;
        let level = if kind == "LIGHT" { LogLevel::Debug } else { LogLevel::Info };
        marker!(
            at level, RECONCILE_COMPLETE,
            kind = kind,
            cause = "",
            outcome = outcome,
            orders_checked = run.orders.len(),
            fills_recovered = self.reconcile.fills_recovered,
            positions_adjusted = adjusted,
            duration_ms = run.dur_ms
        );
        if result.whole {
            self.judge_drift(score, &keys);
            self.look_at_differences(&result.orders, &keys);
            self.outsiders_from_rest(result).await?;
            for (difference, _) in found.iter().zip(&settled).filter(|(_, settled)| **settled) {
                if let Some(order) = &difference.extra {
                    self.on_rest_extra(order).await?;
                }
            }
        }
        Ok(())
    }

    /// What a whole look differs in from what we believe, as values; nothing follows from it.
    pub(crate) fn differences_of(&self, result: &LookResult) -> Vec<serde_json::Value> {
        let mono = self.mono_ms();
        let mut found = Vec::new();
        self.compare_orders(&result.orders, mono, &mut found);
        self.compare_stops(&result.orders, mono, &mut found);
        self.compare_bases(&result.balances, mono, &mut found);
        found
            .iter()
            .map(|f| {
                serde_json::json!({
                    "kind": f.key.0.as_str(),
                    "symbol": f.key.1,
                    "order_id": f.key.2,
                    "local": f.local,
                    "venue": f.remote,
                })
            })
            .collect()
    }

    /// The moment for which a whole pass speaks, and the symbols whose orders it saw otherwise than we do.
    fn pass_saw(&mut self, result: &LookResult, found: &[Found]) {
        for order in &result.orders {
            if let Some(id) = self.tracker.by_venue(&order.venue_id) {
                self.note_executed(id, order.executed);
            }
        }
        let of_orders = |f: &&Found| {
            matches!(f.key.0, DiffKind::OrderMissing | DiffKind::OrderExtra | DiffKind::OrderStatus)
        };
        let symbol = |f: &Found| match &f.extra {
            Some(order) => self.symbol_of_pair(&order.pair),
            None => Symbol::new(&f.key.1).ok(),
        };
        let differs = found.iter().filter(of_orders).filter_map(symbol).collect();
        self.reconcile.pass_differs = differs;
        let as_of_ms = result.started_mono_ms - self.config.stream_wins_ms;
        self.reconcile.pass_seen_mono_ms = self.reconcile.pass_seen_mono_ms.max(Some(as_of_ms));
    }

    /// Our live orders against what rests, and what rests of ours against our rows.
    fn compare_orders(&self, orders: &[FoundOrder], mono: i64, found: &mut Vec<Found>) {
        for tracked in self.tracker.live() {
            let row = &tracked.record;
            let Some(venue) = &row.exchange_order_id else { continue };
            if is_fresh(tracked, mono, self.config.stream_wins_ms) {
                continue;
            }
            let shown = orders.iter().find(|o| o.venue_id == *venue);
            let (kind, remote) = match shown {
                None => (DiffKind::OrderMissing, "not open".to_owned()),
                Some(o) if tracked.mutation.is_none() && differs(tracked, o) => {
                    (DiffKind::OrderStatus, format!("{} of {}", o.executed, o.qty))
                }
                Some(_) => continue,
            };
            let key = (kind, row.symbol.to_string(), Some(row.order_id));
            let local = format!("{} {} of {}", row.state, row.cum_qty, row.qty);
            found.push(Found { key, local, remote, extra: None });
        }
        for order in orders {
            let open =
                matches!(order.status, Some(RestOrderStatus::Open | RestOrderStatus::Pending));
            if open {
                found.extend(self.lives_after_its_end(order, mono));
            }
            let known = self.tracker.by_venue(&order.venue_id).is_some()
                || self.reconcile.outsiders.contains_key(&order.venue_id);
            let Origin::Ours(own) = recognise(&self.salt, order.cl_ord_id.as_deref()) else {
                continue;
            };
            if !open || known || self.tracker.by_client(own.uuid()).is_some() {
                continue;
            }
            let key = (DiffKind::OrderExtra, order.pair.clone(), None);
            let remote = format!("{} of {}", order.venue_id, own.text());
            let extra = Some(order.clone());
            found.push(Found { key, local: "no row".to_owned(), remote, extra });
        }
    }

    /// An order that has ended by our rows and rests at the venue.
    fn lives_after_its_end(&self, order: &FoundOrder, mono: i64) -> Option<Found> {
        let id = self.tracker.by_venue(&order.venue_id).or_else(|| {
            let own = order.cl_ord_id.as_deref().and_then(|text| Uuid::try_parse(text).ok())?;
            self.tracker.by_client(own)
        });
        let tracked = self.tracker.get(id?)?;
        let row = &tracked.record;
        if !row.state.is_terminal() || is_fresh(tracked, mono, self.config.stream_wins_ms) {
            return None;
        }
        let key = (DiffKind::OrderStatus, row.symbol.to_string(), Some(row.order_id));
        let local = format!("{} {} of {}", row.state, row.cum_qty, row.qty);
        let remote = format!("open, {} of {}", order.executed, order.qty);
        Some(Found { key, local, remote, extra: None })
    }

    /// Positions whose stop stands by our rows and does not rest.
    fn compare_stops(&self, orders: &[FoundOrder], mono: i64, found: &mut Vec<Found>) {
        for (id, held) in &self.tracker.positions {
            let armed = held
                .plan
                .as_ref()
                .is_some_and(|p| matches!(p.state, PlanState::Armed | PlanState::Trailing));
            let stop = self.stop_of(*id);
            let fresh = stop.is_some_and(|t| is_fresh(t, mono, self.config.stream_wins_ms));
            let rests = stop
                .and_then(|t| t.record.exchange_order_id.as_deref())
                .is_some_and(|venue| orders.iter().any(|o| o.venue_id == venue));
            if !armed || fresh || rests {
                continue;
            }
            let order = stop.map(|t| t.record.order_id);
            let key = (DiffKind::Protection, held.position.symbol.to_string(), order);
            let local = format!("stop over {}", held.position.protected_qty);
            found.push(Found { key, local, remote: "no stop".to_owned(), extra: None });
        }
    }

    /// Base of positions against balances; a pass without balances compares none.
    fn compare_bases(&self, balances: &[(String, Decimal)], mono: i64, found: &mut Vec<Found>) {
        for held in self.tracker.positions.values() {
            let symbol = &held.position.symbol;
            let Some((_, amount)) = balances.iter().find(|(asset, _)| asset == symbol.base())
            else {
                continue;
            };
            let traded = self.reconcile.traded.get(symbol);
            let young = traded.is_some_and(|at| mono - at < self.config.stream_wins_ms);
            let lot = self.instrument(symbol).map_or(Decimal::ZERO, |i| i.qty_increment);
            if young || *amount + tolerance(held, lot) >= held.base() {
                // More than we hold is a deposit or somebody's purchase: the balance check books it.
                continue;
            }
            let key = (DiffKind::PositionQty, symbol.to_string(), None);
            let local = held.base().to_string();
            found.push(Found { key, local, remote: amount.to_string(), extra: None });
        }
    }

    fn judge_drift(&self, score: i32, keys: &[DiffKey]) {
        let score = i64::from(score);
        self.mode.signal(Signal::DriftScore, Some(score));
        let row = Signal::DriftScore.trigger(self.mode.thresholds());
        let drifts = row.judge(score).is_some();
        let first = keys.first().map(|k| format!("{} {}", k.0, k.1));
        let code = CauseCode::ReconcileDiffDetected;
        self.mode.set(code, Level::Degrade, drifts, first);
    }

    /// Each order that differs, and each whose executed quantity shows a lost fill, is looked at whole.
    fn look_at_differences(&mut self, orders: &[FoundOrder], keys: &[DiffKey]) {
        let behind = orders.iter().filter_map(|o| {
            let id = self.tracker.by_venue(&o.venue_id)?;
            let booked = self.tracker.get(id)?.record.cum_qty;
            (booked < o.executed).then_some(id)
        });
        let mut ids: Vec<OrderId> = keys.iter().filter_map(|k| k.2).chain(behind).collect();
        ids.sort_unstable();
        ids.dedup();
        for id in ids {
            self.look_soon(id, 0);
        }
    }
}

fn row(found: &Found, settled: bool) -> ReconcileDiff {
    ReconcileDiff {
        kind: found.key.0.as_str(),
        symbol: found.key.1.clone(),
        order_id: found.key.2,
        local: found.local.clone(),
        remote: found.remote.clone(),
        points: found.key.0.points(),
        settled,
    }
}

/// The stream spoke of it too short a time ago for REST to know better.
fn is_fresh(tracked: &Tracked, mono: i64, stream_wins_ms: i64) -> bool {
    tracked.stream_mono_ms.is_some_and(|at| mono - at < stream_wins_ms)
}

fn differs(tracked: &Tracked, found: &FoundOrder) -> bool {
    let row = &tracked.record;
    let trigger = found.is_stop && found.price.is_some() && found.price != row.trigger_price;
    found.qty != row.qty || found.executed != row.cum_qty || trigger
}

/// One lot, or a thousandth.
fn tolerance(held: &Held, lot: Decimal) -> Decimal {
    lot.max(held.base() * Decimal::new(1, 3))
}
