//! The rules that close the races R1 to R12, by name, and whether each of them holds.
//!
//! Input: a rule. Output: true, always, in every build of the product. Only a test build with the feature `rule-off`
//! can switch one off, to show that its race is found without it; such a build cannot be a release build.

penstock_types::closed_vocabulary! {
    /// One rule, named as the race that it closes.
    pub Rule {
        /// A balance that overtakes its trade corrects nothing.
        BalanceBeforeTrade = "R1",
        /// Dust is judged by the position alone.
        FalseDust = "R2",
        /// The entry ends before its position is closed.
        CloseMeetsEntry = "R3",
        /// The entry's fill is booked before its stop is matched.
        StandbyBeforeFill = "R4",
        /// An order that went out without a write has the venue's terms.
        HalfAStop = "R5",
        /// An order that lives after its end is adopted or cancelled.
        ResurrectedStop = "R6",
        /// A fill is never refused for the state of its order.
        FillInWrongState = "R7",
        /// No report ends an order whose trades are missing.
        TerminalBeforeTrades = "R8",
        /// No second amend while the first may still arrive.
        LateAmend = "R9",
        /// A stop that executes is not amended, and what it sold counts.
        AmendOfExecutingStop = "R10",
        /// For a reduce order an image of the stream alone proves absence.
        UnprovenStop = "R11",
        /// A process that is cut off from its rows alone still protects.
        CutOff = "R12",
    }
}

#[cfg(all(feature = "rule-off", not(debug_assertions)))]
compile_error!("the feature `rule-off` is for test builds: no release build can switch a rule off");

/// Whether the rule holds.
#[cfg(not(feature = "rule-off"))]
#[must_use]
pub(crate) const fn holds(_: Rule) -> bool {
    true
}

#[cfg(feature = "rule-off")]
static OFF: core::sync::atomic::AtomicU16 = core::sync::atomic::AtomicU16::new(0);

#[cfg(feature = "rule-off")]
fn bit(rule: Rule) -> u16 {
    let at = Rule::ALL.iter().position(|one| *one == rule).unwrap_or_default();
    1 << at
}

/// Whether the rule holds.
#[cfg(feature = "rule-off")]
#[must_use]
pub(crate) fn holds(rule: Rule) -> bool {
    OFF.load(core::sync::atomic::Ordering::Relaxed) & bit(rule) == 0
}

/// Switches a rule off for the rest of this process.
#[cfg(feature = "rule-off")]
pub fn switch_off(rule: Rule) {
    OFF.fetch_or(bit(rule), core::sync::atomic::Ordering::Relaxed);
}
