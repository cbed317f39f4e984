//! What one sees while a demo runs: a line whenever something worth seeing happens.
//!
//! Input: the services' logs as they grow. Output: short sentences. It reads only; a line that it does
//! not understand is passed over.

use crate::validate::Line;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::PathBuf;

/// Follows logs from their beginning.
#[derive(Debug)]
pub(super) struct Watch {
    logs: Vec<(PathBuf, u64)>,
}

impl Watch {
    /// Follows these files; they need not exist yet.
    #[must_use]
    pub(super) fn new(logs: Vec<PathBuf>) -> Self {
        Self { logs: logs.into_iter().map(|path| (path, 0)).collect() }
    }

    /// Marker lines that came since the last look, in order of time.
    pub(super) fn look(&mut self) -> Vec<Line> {
        let mut lines = Vec::new();
        for (path, offset) in &mut self.logs {
            // Not there yet, or not readable at the moment: the next look sees it.
            let Ok(mut file) = std::fs::File::open(path) else { continue };
            if file.seek(SeekFrom::Start(*offset)).is_err() {
                continue;
            }
            let mut reader = BufReader::new(file);
            let mut text = Vec::new();
            while reader.read_until(b'\n', &mut text).is_ok_and(|n| n > 0) {
                if text.last() != Some(&b'\n') {
                    break;
                }
                *offset += text.len() as u64;
                lines.extend(std::str::from_utf8(&text).ok().and_then(Line::parse));
                text.clear();
            }
        }
        lines.sort_by_key(|line| line.ts);
        lines
    }
}

/// A sentence for a marker, when it is worth one.
#[must_use]
pub(super) fn sentence(line: &Line) -> Option<String> {
    // Decimals without the zeros of their column.
    let f = |key: &str| {
        let text = line.text(key);
        match text.parse::<penstock_types::Decimal>() {
            Ok(number) if text.contains('.') => number.normalize().to_string(),
            Ok(_) | Err(_) => text,
        }
    };
    Some(match line.marker.as_str() {
        "INGEST_SERVICE_STARTED" => {
            format!("ingest records run {} under fence {}", f("run_id"), f("fencing_token"))
        }
        "INGEST_READY_FOR_EXECUTION_ATTACH" => {
            format!("epoch {} is valid: execution may attach", f("epoch_id"))
        }
        "EXECUTION_ATTACHED" => format!("execution attached to epoch {}", f("bound_epoch_id")),
        "SYS_MODE_ENTER" => format!("mode {} {}", f("mode"), f("reasons")),
        "ORDER_LIVE_SUBMIT" => {
            let price = f("price");
            let at = if price.is_empty() { "at market".to_owned() } else { format!("@ {price}") };
            format!("order {} {} {} {at}", f("side"), f("qty"), f("symbol"))
        }
        "ORDER_FILL" => format!("fill {} @ {} {}", f("last_qty"), f("last_price"), f("cl_ord_id")),
        "EXIT_RUNTIME_PLAN_ARMED" => {
            format!("stop under {} {} ms after the fill", f("symbol"), f("fill_to_protection_ms"))
        }
        "POSITION_MONITOR_SL_TRAILED" => {
            format!("stop of plan {} raised {} → {}", f("plan_id"), f("old_sl"), f("new_sl"))
        }
        "EXIT_COMPLETED" => {
            format!("closed {} by {}: {} USD", f("symbol"), f("exit_type"), f("realized_pnl"))
        }
        "L2_CHECKSUM_MISMATCH" => format!("bad checksum on {}: book asked for anew", f("symbol")),
        "FENCE_ACQUIRED" if f("via") != "new" => {
            format!("{} took its fence over by {}", line.service, f("via"))
        }
        "RECONCILE_COMPLETE" if f("kind") == "START" => {
            format!(
                "reconciled: {} orders, {} fills recovered",
                f("orders_checked"),
                f("fills_recovered")
            )
        }
        _other if line.level == "ERROR" => {
            format!("{} {}: {:?}", line.service, line.marker, line.fields)
        }
        _other => return None,
    })
}
