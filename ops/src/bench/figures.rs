//! Purpose: what a bench prints. Inputs: durations. Outputs: a table with targets and the machine's name,
//! and the same as one JSON object. Invariants: a figure without a target says so; quantiles are taken
//! from all rounds, none is left out. It judges no test: a missed target is printed and nothing fails.

use std::fmt::Write as _;
use std::time::Duration;

use comfy_table::{Cell, CellAlignment, Table, presets};

/// One figure beside its target.
#[derive(Debug, Clone)]
pub(super) struct Figure {
    /// What was measured.
    pub(super) name: String,
    /// Value, in `unit`.
    pub(super) value: f64,
    /// Unit.
    pub(super) unit: &'static str,
    /// What meets the target; none: printed for comparison only.
    pub(super) target: Option<Target>,
}

/// A limit that a figure is compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Target {
    /// The highest value that meets it.
    Max(f64),
    /// The lowest value that meets it.
    Min(f64),
}

impl Target {
    fn is_met_by(self, value: f64) -> bool {
        match self {
            Self::Max(max) => value <= max,
            Self::Min(min) => value >= min,
        }
    }

    fn text(self, unit: &str) -> String {
        match self {
            Self::Max(max) => format!("≤ {max} {unit}"),
            Self::Min(min) => format!("≥ {min} {unit}"),
        }
    }

    const fn max(self) -> Option<f64> {
        match self {
            Self::Max(max) => Some(max),
            Self::Min(_) => None,
        }
    }

    const fn min(self) -> Option<f64> {
        match self {
            Self::Max(_) => None,
            Self::Min(min) => Some(min),
        }
    }
}

impl Figure {
    /// A duration in milliseconds.
    #[must_use]
    pub(super) fn ms(name: impl Into<String>, value: Duration, target_max: Option<f64>) -> Self {
        let value = value.as_secs_f64() * 1_000.0;
        Self { name: name.into(), value, unit: "ms", target: target_max.map(Target::Max) }
    }

    /// A change in percent.
    #[must_use]
    pub(super) fn percent(name: impl Into<String>, value: f64, target_max: Option<f64>) -> Self {
        Self { name: name.into(), value, unit: "%", target: target_max.map(Target::Max) }
    }

    /// How often something happens in a second.
    #[must_use]
    pub(super) fn per_second(
        name: impl Into<String>,
        (count, took): (u64, Duration),
        unit: &'static str,
        target_min: Option<f64>,
    ) -> Self {
        let value = as_float(count) / took.as_secs_f64().max(f64::EPSILON);
        Self { name: name.into(), value, unit, target: target_min.map(Target::Min) }
    }

    /// Anything else.
    #[must_use]
    pub(super) fn of(
        name: impl Into<String>,
        value: f64,
        unit: &'static str,
        target: Option<Target>,
    ) -> Self {
        Self { name: name.into(), value, unit, target }
    }

    /// `pass`, `over`, `under`, or nothing without a target.
    #[must_use]
    pub(super) fn verdict(&self) -> &'static str {
        match self.target {
            None => "",
            Some(target) if target.is_met_by(self.value) => "pass",
            Some(Target::Max(_)) => "over",
            Some(Target::Min(_)) => "under",
        }
    }
}

/// A count as the number it is printed as; beyond 2^53 a figure has no use for the last digits.
#[must_use]
pub(super) fn as_float(count: u64) -> f64 {
    count as f64
}

/// Durations of one part over all rounds.
#[derive(Debug, Clone, Default)]
pub(super) struct Samples {
    list: Vec<Duration>,
}

impl Samples {
    /// Adds one round.
    pub(super) fn push(&mut self, one: Duration) {
        self.list.push(one);
    }

    /// The smallest duration that `percent` of the rounds do not exceed (nearest rank); zero without
    /// rounds.
    #[must_use]
    pub(super) fn quantile(&self, percent: usize) -> Duration {
        let mut sorted = self.list.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied().unwrap_or_default()
    }

    /// By how much a quantile of `later` differs from the same one of these, in percent.
    #[must_use]
    pub(super) fn change(
        &self,
        later: &Self,
        percent: usize,
        name: impl Into<String>,
        target_max: Option<f64>,
    ) -> Figure {
        let (before, after) = (self.quantile(percent), later.quantile(percent));
        let change = after.as_secs_f64() / before.as_secs_f64().max(f64::EPSILON) - 1.0;
        Figure::percent(name, change * 100.0, target_max)
    }

    /// The two quantiles that the targets name.
    #[must_use]
    pub(super) fn figures(
        &self,
        name: &str,
        p50_max: Option<f64>,
        p99_max: Option<f64>,
    ) -> [Figure; 2] {
        [
            Figure::ms(format!("{name}, p50"), self.quantile(50), p50_max),
            Figure::ms(format!("{name}, p99"), self.quantile(99), p99_max),
        ]
    }
}

/// The whole answer of a bench.
#[derive(Debug, Clone)]
pub(super) struct Report {
    /// Name of the bench.
    pub(super) bench: &'static str,
    /// What was run, in the order of its options.
    pub(super) setting: Vec<(&'static str, String)>,
    /// The figures.
    pub(super) figures: Vec<Figure>,
    /// What the figures do not say.
    pub(super) notes: Vec<String>,
}

impl Report {
    /// For people.
    #[must_use]
    pub(super) fn human(&self, machine: &str) -> String {
        let mut table = Table::new();
        // Markdown, so that a figure can be pasted where it is reported.
        table.load_style(presets::ASCII_MARKDOWN);
        table.set_header(["figure", "value", "target", ""]);
        for figure in &self.figures {
            let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
            let target = figure.target.map(|target| target.text(figure.unit));
            table.add_row([
                Cell::new(&figure.name),
                right(format!("{:.3} {}", figure.value, figure.unit)),
                right(target.unwrap_or_default()),
                Cell::new(figure.verdict()),
            ]);
        }
        let setting: Vec<String> =
            self.setting.iter().map(|(name, value)| format!("{name} {value}")).collect();
        let mut text = format!("bench {}: {}\n", self.bench, setting.join(", "));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "machine: {machine}\n{}", table);
        for note in &self.notes {
            let _ = writeln!(text, "{note}");
        }
        text
    }

    /// For programs: one object on one line.
    #[must_use]
    pub(super) fn json(&self, machine: &str) -> serde_json::Value {
        let figures: Vec<serde_json::Value> = self
            .figures
            .iter()
            .map(|figure| {
                serde_json::json!({
                    "name": figure.name, "value": figure.value, "unit": figure.unit,
                    "target_max": figure.target.and_then(Target::max),
                    "target_min": figure.target.and_then(Target::min),
                    "met": figure.target.map(|target| target.is_met_by(figure.value)),
                })
            })
            .collect();
        let setting: serde_json::Map<String, serde_json::Value> = self
            .setting
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone().into()))
            .collect();
        serde_json::json!({
            "bench": self.bench, "machine": machine, "setting": setting, "figures": figures,
            "notes": self.notes,
        })
    }
}

/// Processor and number of cores, load of the last minute and the build: figures of a busy machine or of
/// an unoptimised build must say so themselves.
#[must_use]
pub(super) fn machine() -> String {
    let model = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(": ")?.1.trim().to_owned())
    });
    let model = model.unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let load = std::fs::read_to_string("/proc/loadavg")
        .ok()
        .and_then(|text| text.split_whitespace().next().map(|one| format!(", load {one}")))
        .unwrap_or_default();
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    format!("{model}, {cores} cores{load}, {build} build")
}

#[cfg(test)]
mod tests {
    use super::{Figure, Report, Samples, Target};
    use std::time::Duration;

    #[test]
    fn quantiles_are_of_all_rounds_by_nearest_rank() {
        let mut samples = Samples::default();
        assert_eq!(samples.quantile(50), Duration::ZERO);
        for ms in (1..=200).rev() {
            samples.push(Duration::from_millis(ms));
        }
        assert_eq!(samples.quantile(50), Duration::from_millis(100));
        assert_eq!(samples.quantile(99), Duration::from_millis(198));
        assert_eq!(samples.quantile(100), Duration::from_millis(200));
        assert_eq!(samples.quantile(0), Duration::from_millis(1));
    }

    #[test]
    fn a_missed_target_is_over_in_the_table_and_not_met_in_json() {
        let report = Report {
            bench: "x",
            setting: vec![("rounds", "3".to_owned())],
            figures: vec![
                Figure::ms("slow", Duration::from_millis(4), Some(1.0)),
                Figure::ms("fast", Duration::from_millis(1), Some(1.0)),
                Figure::percent("told", 7.5, None),
                Figure::per_second("few", (3, Duration::from_secs(2)), "rows/s", Some(2.0)),
                Figure::of("many", 3.0, "rows/s", Some(Target::Min(2.0))),
            ],
            notes: vec!["a note".to_owned()],
        };
        let text = report.human("a machine");
        let row = |name: &str| text.lines().find(|line| line.contains(name)).unwrap().to_owned();
        assert!(row("slow").contains("over") && row("slow").contains("≤ 1 ms"), "{text}");
        assert!(row("fast").contains("pass"), "{text}");
        assert!(!row("told").contains("pass") && !row("told").contains("over"), "{text}");
        assert!(text.contains("machine: a machine") && text.contains("a note"), "{text}");
        let json = report.json("a machine");
        assert_eq!(json["figures"][0]["met"], false);
        assert_eq!(json["figures"][1]["met"], true);
        assert_eq!(json["figures"][2]["met"], serde_json::Value::Null);
        assert_eq!(json["setting"]["rounds"], "3");
        assert!(row("few").contains("under") && row("few").contains("≥ 2 rows/s"), "{text}");
        assert!(row("many").contains("pass"), "{text}");
        assert_eq!(json["figures"][3]["met"], false);
        assert_eq!(json["figures"][3]["target_min"], 2.0);
        assert_eq!(json["figures"][3]["target_max"], serde_json::Value::Null);
    }
}
