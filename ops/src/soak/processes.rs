//! What the processes of a run use: memory and processor time, from `/proc`.
//!
//! Inputs: process ids, again and again. Outputs: series, shares, growth. A process that is not there counts
//! nothing; one that is started anew goes on with its predecessor's sum. It starts and ends nothing.

use crate::invariants::Verdict;
use std::path::Path;
use std::time::Duration;

/// Clock ticks per second of `/proc/PID/stat`: fixed at 100 in the kernel's interface to programs.
const TICKS_PER_S: f64 = 100.0;
/// Looks of which the median is one end of a growth: a whole minute, in which the services give back once what they
/// do not need.
const LOOKS_OF_AN_END: usize = 61;

/// Growth of memory that counts as none, percent.
pub(super) const GROWTH_PCT_MAX: f64 = 2.0;
/// Shortest run whose growth is judged: before, windows fill.
const JUDGED_LENGTH_MIN: Duration = Duration::from_secs(30 * 60);
/// Age that a process must have where its growth begins to count, for the same reason.
const JUDGED_AGE_MIN: Duration = Duration::from_secs(9 * 60);

/// One look at a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Look {
    rss_kb: u64,
    /// The part of it that no file backs.
    anon_kb: u64,
    ticks: u64,
}

/// A kind of process over the whole run.
#[derive(Clone, Debug, Default)]
pub(super) struct Usage {
    /// When, and the memory then.
    rss_kb: Vec<(Duration, u64)>,
    /// The same without the pages of files: most of the rest are the program's own, which come as it runs and which
    /// the kernel takes back as it likes.
    anon_kb: Vec<(Duration, u64)>,
    /// The first process, and the ticks of all of them at the last look. What a child has used moves to its
    /// parent when it ends, so the sum does not fall.
    last: (u32, u64),
    /// Ticks over all lives.
    ticks: u64,
    /// When the first process was first seen.
    alive_since: Duration,
}

impl Usage {
    /// Looks at the processes of this kind.
    pub(super) fn look(&mut self, at: Duration, pids: impl IntoIterator<Item = u32>) {
        let looks: Vec<(u32, Look)> =
            pids.into_iter().filter_map(|pid| Some((pid, look(pid)?))).collect();
        let Some((first, _)) = looks.first() else { return };
        let ticks = looks.iter().map(|(_, look)| look.ticks).sum();
        let before = if self.last.0 == *first { self.last.1 } else { 0 };
        if self.last.0 != *first {
            self.alive_since = at;
        }
        self.ticks += u64::saturating_sub(ticks, before);
        self.last = (*first, ticks);
        self.rss_kb.push((at, looks.iter().map(|(_, look)| look.rss_kb).sum()));
        self.anon_kb.push((at, looks.iter().map(|(_, look)| look.anon_kb).sum()));
    }

    /// Processor cores used, over the whole time.
    pub(super) fn cores(&self) -> f64 {
        let end = self.rss_kb.last().map_or(0.0, |(at, _)| at.as_secs_f64());
        if end > 0.0 { self.ticks as f64 / TICKS_PER_S / end } else { 0.0 }
    }

    /// Greatest memory, MiB.
    pub(super) fn rss_mib_max(&self) -> f64 {
        self.rss_kb.iter().map(|(_, kb)| *kb).max().unwrap_or(0) as f64 / 1_024.0
    }

    /// Memory at the end, KiB.
    pub(super) fn rss_kb_end(&self) -> u64 {
        let from = self.rss_kb.len().saturating_sub(LOOKS_OF_AN_END);
        median(&self.rss_kb[from..])
    }

    /// Growth of the memory that no file backs from a time to the end, percent; none when there are too few looks.
    pub(super) fn growth_pct(&self, from: Duration) -> Option<f64> {
        let since = self.anon_kb.partition_point(|(at, _)| *at < from);
        let later = &self.anon_kb[since..];
        if later.len() < 2 * LOOKS_OF_AN_END {
            return None;
        }
        let (first, last) =
            (median(&later[..LOOKS_OF_AN_END]), median(&later[later.len() - LOOKS_OF_AN_END..]));
        Some((last as f64 / first.max(1) as f64 - 1.0) * 100.0)
    }
}

/// Whether services kept their memory from a time to the end of a run of a length. Too short a run is not judged,
/// and neither is a process that was started too late before that time.
pub(super) fn kept_memory(
    services: [(&str, &Usage); 2],
    from: Duration,
    length: Duration,
) -> Verdict {
    let mut verdict = Verdict::default();
    for (name, usage) in services {
        let is_old = usage.alive_since + JUDGED_AGE_MIN <= from;
        let grown = usage.growth_pct(from).filter(|_| is_old && length >= JUDGED_LENGTH_MIN);
        if let Some(pct) = grown {
            verdict.check(pct <= GROWTH_PCT_MAX, || {
                let from = from.as_secs();
                format!("{name} grew by {pct:.2} % from {from} s on, allowed is {GROWTH_PCT_MAX} %")
            });
        }
    }
    verdict
}

fn median(looks: &[(Duration, u64)]) -> u64 {
    let mut sorted: Vec<u64> = looks.iter().map(|(_, kb)| *kb).collect();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or(0)
}

fn look(pid: u32) -> Option<Look> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let (rss_kb, anon_kb) = (kb_of(&status, "VmRSS:"), kb_of(&status, "RssAnon:"));
    Some(Look { rss_kb, anon_kb, ticks: ticks(&stat) })
}

/// User and system time of the stat line, that of ended children included; the name in brackets may hold
/// spaces.
fn ticks(stat: &str) -> u64 {
    let Some((_, rest)) = stat.rsplit_once(')') else { return 0 };
    let fields = rest.split_ascii_whitespace().skip(11).take(4);
    fields.filter_map(|field| field.parse::<u64>().ok()).sum()
}

/// A figure of the status text, KiB.
fn kb_of(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// The server of a cluster and its children; none when it does not run.
pub(super) fn servers(data: &Path) -> Vec<u32> {
    let Ok(text) = std::fs::read_to_string(data.join("postmaster.pid")) else { return Vec::new() };
    let Some(parent) = text.lines().next().and_then(|line| line.trim().parse::<u32>().ok()) else {
        return Vec::new();
    };
    let children = format!("/proc/{parent}/task/{parent}/children");
    let listed = std::fs::read_to_string(children).unwrap_or_default();
    let own = listed.split_ascii_whitespace().filter_map(|word| word.parse().ok());
    std::iter::once(parent).chain(own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_the_kernels_text() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 3 0 0 0 150 50 10 5 20 0 1 0 5 6 7";
        assert_eq!(ticks(stat), 215);
        assert_eq!(ticks("nonsense"), 0);
        let status = "Name:\tx\nVmRSS:\t   1234 kB\nRssAnon:\t 400 kB\nRssFile:\t 834 kB\n";
        assert_eq!((kb_of(status, "VmRSS:"), kb_of(status, "RssAnon:")), (1_234, 400));
        let own = look(std::process::id()).unwrap();
        assert!(own.rss_kb > own.anon_kb && own.anon_kb > 0, "{own:?}");
        assert_eq!(look(u32::MAX), None);
        assert_eq!(servers(Path::new("/nowhere")), Vec::<u32>::new());
    }

    #[test]
    fn a_service_that_grew_is_found_in_a_long_run_only() {
        let secs = Duration::from_secs;
        let grows = |kb_per_s: u64| {
            let looks = (0..1_900).map(|second| (secs(second), 100_000 + second * kb_per_s));
            // What the program file brings in is no growth.
            let rss_kb = (0..1_900).map(|second| (secs(second), 100_000 + second * 50)).collect();
            Usage { anon_kb: looks.collect(), rss_kb, ..Usage::default() }
        };
        let (flat, growing) = (grows(0), grows(2));
        let judged = |usage: &Usage, minutes: u64| {
            let services = [("ingest", &flat), ("execution", usage)];
            kept_memory(services, secs(600), secs(minutes * 60))
        };
        let found = judged(&growing, 30);
        assert_eq!((found.judged, found.holds()), (2, Some(false)));
        assert!(found.findings[0].0.starts_with("execution grew by 2.4"), "{:?}", found.findings);
        assert_eq!(judged(&flat, 30).holds(), Some(true));
        assert_eq!(judged(&growing, 29).holds(), None, "windows fill");
        let late = Usage { alive_since: secs(61), ..growing };
        assert_eq!(judged(&late, 30).judged, 1, "started anew");
    }

    #[test]
    fn growth_compares_medians_of_both_ends() {
        let mut usage = Usage::default();
        for second in 0..200 {
            let peak = if second == 199 { 900_000 } else { 0 };
            let kb = if second < 40 { 1_000 + second * 20 } else { 100_000 + second + peak };
            usage.anon_kb.push((Duration::from_secs(second), kb));
            usage.rss_kb.push((Duration::from_secs(second), kb));
        }
        let growth = usage.growth_pct(Duration::from_secs(40)).unwrap();
        assert!((0.05..0.15).contains(&growth), "{growth}");
        assert_eq!(usage.growth_pct(Duration::from_secs(150)), None, "too few looks");
        assert!(usage.rss_mib_max() > 900.0);
        assert_eq!(usage.rss_kb_end(), 100_169);
    }
}
