//! Purpose: the schedule of events. Inputs: the `[[engine.event]]` tables. Outputs: events in ticks, ascending
//! by cluster and start. Invariants: times are UTC, strictly increasing and become the first tick at or after
//! them; events of a cluster do not overlap; after this nothing knows a wall clock.

use std::collections::BTreeMap;

use penstock_engine::config::EventConfig;
use penstock_types::time::{TICK_MS, UtcMicros};

use crate::engine::E_CFG_SCHEDULE;
use crate::error::Problem;
use crate::file::{Field, File, Row};
use crate::value::Input;

/// Times of an event in their order.
const TIMES: [&str; 5] = ["prep", "start", "mid", "end", "post"];
/// Microseconds of a tick.
const TICK_MICROS: i64 = TICK_MS * 1_000;
const TIME_FORM: &str = "a UTC time such as 2026-02-16T12:00:00Z, behind the one ahead of it";

struct Reader<'a> {
    file_name: &'a str,
    problems: &'a mut Vec<Problem>,
}

/// Reads the schedule.
pub(super) fn read(file: &File, file_name: &str, problems: &mut Vec<Problem>) -> Vec<EventConfig> {
    let mut reader = Reader { file_name, problems };
    let mut events: Vec<(usize, EventConfig)> = Vec::new();
    for row in &file.events {
        if let Some(event) = reader.event(row) {
            events.push((row.line, event));
        }
    }
    events.sort_by(|(_, a), (_, b)| (a.cluster, a.start, &a.id).cmp(&(b.cluster, b.start, &b.id)));
    reader.disjoint(&events);
    events.into_iter().map(|(_, event)| event).collect()
}

impl Reader<'_> {
    fn refuse(&mut self, line: usize, key: &str, value: &str, reason: &str, allowed: &str) {
        self.problems.push(Problem {
            key: format!("engine.event {key}"),
            origin: format!("{}:{line}", self.file_name),
            value: value.to_owned(),
            reason: reason.to_owned(),
            allowed: allowed.to_owned(),
            next: "correct the table; every field and its limits stand in docs/configuration.md"
                .to_owned(),
            engine_code: Some(E_CFG_SCHEDULE),
        });
    }

    fn event(&mut self, row: &Row) -> Option<EventConfig> {
        let before = self.problems.len();
        for name in row.fields.keys() {
            if name != "id" && name != "cluster" && !TIMES.contains(&name.as_str()) {
                let allowed = format!("id, cluster, {}", TIMES.join(", "));
                self.refuse(row.line, name, "(any)", "is not a known field", &allowed);
            }
        }
        let id = match row.fields.get("id") {
            Some(Field::Plain(Input::Text(id))) if (1..=64).contains(&id.len()) => id.clone(),
            other => {
                let value = shown(other);
                self.refuse(row.line, "id", &value, "is not a name", "1 to 64 characters");
                String::new()
            }
        };
        let cluster = match row.fields.get("cluster") {
            Some(Field::Plain(Input::Int(text))) => text.parse::<u8>().ok().filter(|n| *n > 0),
            _ => None,
        };
        if cluster.is_none() {
            let value = shown(row.fields.get("cluster"));
            self.refuse(row.line, "cluster", &value, "is not a cluster", "1..255");
        }
        let mut ticks = [0_u64; TIMES.len()];
        let mut last: Option<(&str, String, u64)> = None;
        for (name, tick) in TIMES.iter().zip(&mut ticks) {
            let value = shown(row.fields.get(*name));
            let Some(found) = row.fields.get(*name).and_then(tick_of) else {
                self.refuse(row.line, name, &value, "is not a time", TIME_FORM);
                continue;
            };
            if let Some((before, text, earlier)) = &last
                && found <= *earlier
            {
                let allowed = format!("at least one tick (250 ms) after {before} ({text})");
                self.refuse(row.line, name, &value, "does not increase", &allowed);
            }
            *tick = found;
            last = Some((*name, value, found));
        }
        if self.problems.len() > before {
            return None;
        }
        let [prep, start, mid, end, post] = ticks;
        Some(EventConfig { id, cluster: cluster?, prep, start, mid, end, post })
    }

    /// Judges neighbours in a cluster, and names.
    fn disjoint(&mut self, events: &[(usize, EventConfig)]) {
        let mut names: BTreeMap<&str, usize> = BTreeMap::new();
        for (line, event) in events {
            if let Some(first) = names.insert(&event.id, *line) {
                let allowed = format!("a name of its own; line {first} has this one");
                self.refuse(*line, "id", &event.id, "is not unique", &allowed);
            }
        }
        for ((_, before), (line, event)) in events.iter().zip(events.iter().skip(1)) {
            if before.cluster == event.cluster && event.prep < before.post {
                let value = format!("{:?}: tick {}", event.id, event.prep);
                let allowed = format!("≥ {}, the post of {:?}", before.post, before.id);
                let reason = "begins before the event ahead of it in its cluster has ended";
                self.refuse(*line, "prep", &value, reason, &allowed);
            }
        }
    }
}

/// First tick at or after a time.
fn tick_of(field: &Field) -> Option<u64> {
    let text = match field {
        Field::Plain(Input::Text(text)) | Field::Date(text) => text,
        Field::Plain(_) | Field::Rows(_) => return None,
    };
    if !(text.ends_with(['Z', 'z']) || text.ends_with("+00:00")) {
        return None;
    }
    let micros = UtcMicros::parse(text).ok()?.0;
    let tick = micros.div_euclid(TICK_MICROS) + i64::from(micros.rem_euclid(TICK_MICROS) > 0);
    u64::try_from(tick).ok().filter(|tick| *tick > 0)
}

fn shown(field: Option<&Field>) -> String {
    match field {
        None => "(missing)".to_owned(),
        Some(Field::Plain(input)) => input.shown(),
        Some(Field::Date(text)) => text.clone(),
        Some(Field::Rows(_)) => "a list of tables".to_owned(),
    }
}
