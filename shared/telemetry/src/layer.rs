//! Purpose: write `tracing` events as lines. Inputs: events and the fields of the spans around them.
//! Outputs: one JSON object or one human line per event, handed to the sink. Invariants: a line is
//! always valid JSON and never contains a line break; keys come in the fixed order `ts`, `level`,
//! `service`, `marker`, `domain`, `git_commit`, then the fields; what the process's
//! filter takes out is not in them.

use std::sync::Arc;

use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use crate::emit::{Fields, MARKER_TARGET, quoted};
use crate::filter;
use crate::sink::Sink;

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// One JSON object per line.
    Json,
    /// For eyes, with colour.
    Human,
}

/// Writes every event that reaches it.
#[derive(Debug)]
pub(crate) struct LineLayer {
    pub(crate) sink: Arc<Sink>,
    pub(crate) format: Format,
    pub(crate) service: &'static str,
    pub(crate) domain: String,
}

/// Fields of one event or span, each with its JSON text.
#[derive(Debug, Default)]
struct Collected {
    marker: Option<String>,
    marker_fields: Option<String>,
    message: Option<String>,
    others: Vec<(&'static str, String)>,
    is_marker: bool,
}

impl Visit for Collected {
    fn record_str(&mut self, field: &Field, value: &str) {
        match (self.is_marker, field.name()) {
            (true, "marker") => self.marker = Some(value.to_owned()),
            (true, "fields") => self.marker_fields = Some(value.to_owned()),
            (_, "message") => self.message = Some(value.to_owned()),
            (_, name) => self.others.push((name, quoted(value))),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.others.push((field.name(), value.to_string()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.others.push((field.name(), value.to_string()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.others.push((field.name(), value.to_string()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        let text = if value.is_finite() { value.to_string() } else { "null".to_owned() };
        self.others.push((field.name(), text));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.message = Some(text);
        } else {
            self.others.push((field.name(), quoted(&text)));
        }
    }
}

impl Collected {
    /// Without what the process's filter takes out.
    fn filtered(&mut self, filter: &dyn filter::LineFilter) {
        if let Some(message) = &mut self.message {
            filter::text(filter, message);
        }
        if let Some(own) = &mut self.marker_fields {
            filter::fields(filter, own);
        }
        for (_, json) in &mut self.others {
            filter::value(filter, json);
        }
    }
}

/// What a span keeps for the lines inside it.
struct SpanFields(Vec<(&'static str, String)>);

impl<S> Layer<S> for LineLayer
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(
        &self,
        attributes: &tracing::span::Attributes<'_>,
        id: &tracing::span::Id,
        context: Context<'_, S>,
    ) {
        let mut collected = Collected::default();
        attributes.record(&mut collected);
        if let Some(filter) = filter::installed() {
            collected.filtered(filter);
        }
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(SpanFields(collected.others));
        }
    }

    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        let mut collected =
            Collected { is_marker: metadata.target() == MARKER_TARGET, ..Collected::default() };
        event.record(&mut collected);
        if let Some(filter) = filter::installed() {
            collected.filtered(filter);
        }
        let mut around = Vec::new();
        if let Some(scope) = context.event_scope(event) {
            for span in scope {
                if let Some(SpanFields(fields)) = span.extensions().get() {
                    around.extend(fields.iter().cloned());
                }
            }
        }
        let now = chrono::Utc::now();
        let line = match self.format {
            Format::Json => {
                self.json(now, *metadata.level(), metadata.target(), &collected, &around)
            }
            Format::Human => human(now, *metadata.level(), &collected, &around),
        };
        self.sink.send(line.into_bytes());
    }
}

impl LineLayer {
    fn json(
        &self,
        now: chrono::DateTime<chrono::Utc>,
        level: tracing::Level,
        target: &str,
        event: &Collected,
        around: &[(&'static str, String)],
    ) -> String {
        let mut fields = Fields::new();
        if event.marker.is_none() {
            fields.push("target", target);
            if let Some(message) = &event.message {
                fields.push("message", message);
            }
        }
        for (name, text) in &event.others {
            let safe =
                if crate::is_reserved(name) { format!("field_{name}") } else { (*name).to_owned() };
            fields.push_json(&safe, text);
        }
        let own = event.marker_fields.as_deref().unwrap_or("");
        for (name, text) in around {
            // The event's own value wins over that of a span.
            if !own.contains(&format!(",\"{name}\":")) {
                fields.push_json(name, text);
            }
        }
        let mut line = String::with_capacity(192 + own.len() + fields.as_str().len());
        line.push_str("{\"ts\":\"");
        line.push_str(&now.to_rfc3339_opts(chrono::SecondsFormat::Micros, true));
        line.push_str(&format!("\",\"level\":\"{level}\",\"service\":\"{}\"", self.service));
        if let Some(marker) = &event.marker {
            line.push_str(&format!(",\"marker\":{}", quoted(marker)));
        }
        line.push_str(&format!(",\"domain\":{}", quoted(&self.domain)));
        line.push_str(&format!(",\"git_commit\":{}", quoted(crate::build::GIT_COMMIT)));
        line.push_str(own);
        line.push_str(fields.as_str());
        line.push_str("}\n");
        line
    }
}

fn human(
    now: chrono::DateTime<chrono::Utc>,
    level: tracing::Level,
    event: &Collected,
    around: &[(&'static str, String)],
) -> String {
    let colour = match level {
        tracing::Level::ERROR => "31",
        tracing::Level::WARN => "33",
        tracing::Level::INFO => "32",
        tracing::Level::DEBUG | tracing::Level::TRACE => "2",
    };
    let mut line = String::new();
    let time = now.format("%H:%M:%S%.3f");
    line.push_str(&format!("{time} \u{1b}[{colour}m{level:>5}\u{1b}[0m"));
    if let Some(marker) = &event.marker {
        line.push_str(&format!(" \u{1b}[1m{marker}\u{1b}[0m"));
    }
    if let Some(message) = &event.message {
        line.push_str(&format!(" {}", message.replace(['\n', '\r'], " ")));
    }
    if let Some(own) = &event.marker_fields {
        human_fields(&mut line, own);
    }
    for (name, text) in event.others.iter().chain(around) {
        line.push_str(&format!(" \u{1b}[2m{name}=\u{1b}[0m{}", bare(text)));
    }
    line.push('\n');
    line
}

/// `,"a":1,"b":"x"` as ` a=1 b=x`.
fn human_fields(line: &mut String, own: &str) {
    let Some(inner) = own.strip_prefix(',') else { return };
    let read: Result<serde_json::Map<String, serde_json::Value>, _> =
        serde_json::from_str(&format!("{{{inner}}}"));
    match read {
        Ok(map) => {
            for (name, value) in map {
                let text = value.to_string();
                line.push_str(&format!(" \u{1b}[2m{name}=\u{1b}[0m{}", bare(&text)));
            }
        }
        Err(_) => line.push_str(&format!(" {inner}")),
    }
}

/// A JSON string without quotes when it reads as one word.
fn bare(text: &str) -> &str {
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match inner {
        Some(word) if !word.is_empty() && !word.contains([' ', '\\', '"']) => word,
        Some(_) | None => text,
    }
}
