//! What this process uses: memory, processor time, open files, read from `/proc/self`.
//!
//! Input: two looks. Output: the fields of the marker `RESOURCE_TELEMETRY`. Where the kernel does not
//! tell, the figure is 0. It neither waits nor writes.

use std::time::{Duration, Instant};

/// Clock ticks per second of `/proc/self/stat`: fixed at 100 in the kernel's interface to programs.
const TICKS_PER_SEC: u64 = 100;

/// Figures of one look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory in KiB.
    pub rss_kb: u64,
    /// Processor time since the look before, in percent of one processor.
    pub cpu_pct: u64,
    /// Open file descriptors.
    pub open_fds: u64,
}

/// Looks at the process again and again.
#[derive(Debug)]
pub struct Resources {
    looked_at: Instant,
    cpu_ticks: u64,
}

impl Default for Resources {
    fn default() -> Self {
        Self::new()
    }
}

impl Resources {
    /// The first look.
    #[must_use]
    pub fn new() -> Self {
        Self { looked_at: Instant::now(), cpu_ticks: cpu_ticks() }
    }

    /// The figures since the look before.
    pub fn look(&mut self) -> Usage {
        let (now, ticks) = (Instant::now(), cpu_ticks());
        let used = ticks.saturating_sub(self.cpu_ticks);
        let cpu_pct = percent(used, now.duration_since(self.looked_at));
        (self.looked_at, self.cpu_ticks) = (now, ticks);
        let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        // The listing itself holds one descriptor.
        let open_fds = std::fs::read_dir("/proc/self/fd").map_or(0, |d| d.count() as u64);
        Usage { rss_kb: rss_kb(&text), cpu_pct, open_fds: open_fds.saturating_sub(1) }
    }
}

fn percent(ticks: u64, passed: Duration) -> u64 {
    let passed_ms = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX).max(1);
    ticks.saturating_mul(1_000 / TICKS_PER_SEC).saturating_mul(100) / passed_ms
}

fn cpu_ticks() -> u64 {
    parse_cpu_ticks(&std::fs::read_to_string("/proc/self/stat").unwrap_or_default())
}

/// User and system time of the stat line; the name in brackets may hold spaces.
fn parse_cpu_ticks(stat: &str) -> u64 {
    let Some((_, rest)) = stat.rsplit_once(')') else { return 0 };
    let fields = rest.split_ascii_whitespace().skip(11).take(2);
    fields.filter_map(|field| field.parse::<u64>().ok()).sum()
}

fn rss_kb(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_the_kernels_text() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 3 0 0 0 150 50 0 0 20 0 1 0 5 6 7";
        assert_eq!(parse_cpu_ticks(stat), 200);
        assert_eq!(parse_cpu_ticks("nonsense"), 0);
        assert_eq!(rss_kb("Name:\tx\nVmRSS:\t   1234 kB\n"), 1_234);
        assert_eq!(percent(200, Duration::from_secs(4)), 50);
        assert_eq!(percent(0, Duration::ZERO), 0);
    }

    #[test]
    fn a_running_process_has_memory_and_open_files() {
        let usage = Resources::new().look();
        assert!(usage.rss_kb > 0, "{usage:?}");
        assert!(usage.open_fds > 0, "{usage:?}");
    }
}
