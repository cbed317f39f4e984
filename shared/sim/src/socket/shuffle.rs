//! The faults of single frames: dropped, doubled, sent after the next one.
//!
//! Inputs: frames in their order, the faults. Outputs: frames in the order in which they go out.
//! Invariant: without faults every frame goes out once, at once; a frame that is held back goes out
//! right after the next of its channel and symbol.

use crate::admin::{Faults, FrameFault};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Frames that are held back, one per channel and symbol.
#[derive(Debug)]
pub(crate) struct Shuffle<F> {
    held: BTreeMap<(&'static str, Arc<str>), F>,
}

impl<F> Default for Shuffle<F> {
    fn default() -> Shuffle<F> {
        Shuffle { held: BTreeMap::new() }
    }
}

impl<F: Clone> Shuffle<F> {
    /// Hands a frame on as the faults want it.
    pub(crate) fn pass(
        &mut self,
        faults: &Faults,
        channel: &'static str,
        symbol: &Arc<str>,
        frame: F,
        mut send: impl FnMut(F),
    ) {
        let fault = faults.take_frame_fault(channel, symbol);
        if fault.is_none() && self.held.is_empty() {
            return send(frame);
        }
        let held = self.held.remove(&(channel, Arc::clone(symbol)));
        match fault {
            None => send(frame),
            Some(FrameFault::Drop) => {}
            Some(FrameFault::Duplicate) => {
                send(frame.clone());
                send(frame);
            }
            Some(FrameFault::Reorder) => {
                self.held.insert((channel, Arc::clone(symbol)), frame);
            }
        }
        if let Some(held) = held {
            send(held);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::FaultRequest;

    #[test]
    fn frames_go_out_as_the_faults_want_them() {
        let faults = Faults::default();
        for action in ["drop", "duplicate", "reorder"] {
            let text = format!(
                r#"{{"kind":"frames","channel":"book","symbol":"A","action":"{action}","count":1}}"#
            );
            let fault: FaultRequest = serde_json::from_str(&text).expect("a documented fault");
            faults.add(&fault, 0);
        }
        let mut shuffle = Shuffle::default();
        let (one, other): (Arc<str>, Arc<str>) = (Arc::from("A"), Arc::from("B"));
        let mut sent = Vec::new();
        for (number, symbol) in [(1, &one), (2, &other), (3, &one), (4, &one), (5, &one)] {
            shuffle.pass(&faults, "book", symbol, number, |frame| sent.push(frame));
        }
        assert_eq!(sent, [2, 3, 3, 5, 4]);
    }
}
