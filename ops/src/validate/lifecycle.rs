//! The lifecycle proof: one order through its whole life, in the log and in the rows.

use super::Lines;
use super::check::Checks;
use super::line::Line;
use super::sql::{OrderStory, SqlFacts};

/// Client ids of entries whose life in the log is complete, newest first: those that filled and whose
/// position closed come before the others.
#[must_use]
pub fn candidates(lines: &Lines) -> Vec<String> {
    let mut found: Vec<(bool, String)> = lines
        .of("DB_FIRST_ORDER_PERSISTED")
        .rev()
        .filter(|line| matches!(line.text("role").as_str(), "entry" | "proof"))
        .map(|line| line.text("cl_ord_id"))
        .filter(|id| ended(lines, id).is_some())
        .map(|id| {
            let unfilled = of_order(lines, "ORDER_FILL", &id).next().is_none();
            (unfilled, id)
        })
        .collect();
    found.sort_by_key(|(unfilled, _)| *unfilled);
    found.into_iter().map(|(_, id)| id).collect()
}

fn of_order<'a>(
    lines: &'a Lines,
    marker: &'a str,
    id: &'a str,
) -> impl DoubleEndedIterator<Item = &'a Line> {
    lines.of(marker).filter(move |line| line.text("cl_ord_id") == id)
}

/// The line that ended the first part of the order's life.
fn ended<'a>(lines: &'a Lines, id: &'a str) -> Option<&'a Line> {
    ["ORDER_FILL", "ORDER_REJECT", "ORDER_CANCEL", "ORDER_EXPIRED"]
        .iter()
        .find_map(|marker| of_order(lines, marker, id).next())
}

/// The proof on the order that the SQL side read, which is one of [`candidates`].
pub(super) fn lifecycle(lines: &Lines, sql: &SqlFacts) -> Checks {
    let mut checks = Checks::new("lifecycle");
    let story = sql.decision.as_ref().and_then(|facts| facts.order.as_ref());
    let id = story.map(|s| s.cl_ord_id.clone()).or_else(|| candidates(lines).into_iter().next());
    let Some(id) = id else {
        checks.put("order", false, "an entry with its end in the window", "none");
        return checks;
    };
    walk(&mut checks, lines, &id);
    match story {
        Some(story) => rows(&mut checks, story),
        None => checks.not_available("rows", "rows of the order", "no answer"),
    }
    checks
}

fn walk(checks: &mut Checks, lines: &Lines, id: &str) {
    let mut last = None;
    let mut ordered = true;
    for marker in ["DB_FIRST_ORDER_PERSISTED", "ORDER_LIVE_SUBMIT", "ORDER_ACK"] {
        let line = of_order(lines, marker, id).next();
        checks.put(marker, line.is_some(), id, line.map_or_else(String::new, |l| l.ts.rfc3339()));
        // A fill may overtake the acknowledgement; the submit never overtakes the commit.
        if let (Some(line), true) = (line, marker != "ORDER_ACK") {
            ordered &= last.is_none_or(|before| before <= line.ts);
            last = Some(line.ts);
        }
    }
    let end = ended(lines, id);
    let name = "ORDER_FILL|ORDER_REJECT|ORDER_CANCEL|ORDER_EXPIRED";
    checks.put(name, end.is_some(), id, end.map_or_else(String::new, |l| l.marker.clone()));
    ordered &= end.is_none_or(|line| last.is_none_or(|before| before <= line.ts));
    checks.put("timestamps_in_order", ordered, "commit ≤ submit ≤ end", ordered);
    if of_order(lines, "ORDER_FILL", id).next().is_some() {
        for marker in ["EXIT_PLAN_CREATED", "EXIT_RUNTIME_PLAN_ARMED", "EXIT_COMPLETED"] {
            let count = lines.count(marker);
            checks.put(marker, count > 0, "≥ 1", count);
        }
    }
}

fn rows(checks: &mut Checks, story: &OrderStory) {
    let whole = story.events > 0 && story.events == story.event_seq_max;
    checks.put("events_gap_free", whole, &story.event_seq_max.to_string(), story.events);
    checks.put("latency_row", story.latency, "true", story.latency);
    if story.fills == 0 {
        return;
    }
    let ledger = story.ledger_rows;
    checks.put("ledger_per_fill", ledger == story.fills, &story.fills.to_string(), ledger);
    let folded = story.position_base == story.folded_base;
    checks.put("position_is_fold", folded, &story.folded_base.to_string(), story.position_base);
    if story.position_status.as_deref() == Some("closed") {
        let net = story.realized_net;
        let expected = story.net_from_fills.map(|d| d.normalize().to_string()).unwrap_or_default();
        let equal = net.is_some() && net == story.net_from_fills;
        let actual = net.map(|d| d.normalize().to_string()).unwrap_or_default();
        let name = format!(
            "realized_pnl order={} position={} closed",
            story.cl_ord_id,
            story.position_id.unwrap_or_default()
        );
        checks.put(&name, equal, &expected, actual);
    }
}
