//! The script: which way of answering comes next.
//!
//! A line is a step, `WORD` or `WORD xCOUNT`; steps are taken in order and from the start again. A line `chance PERCENT
//! WORD` says that with this chance an answer is that word's instead of the next step, which is then kept for later.
//! `#` begins a comment. Words are those of [`Behaviour`](super::Behaviour), `good` and `modify`.
//!
//! Inputs: the text, random numbers. Outputs: steps. Invariants: a word that is not known is refused with its line; the
//! chances of a script add up to at most 100.

use super::behaviour::Step;
use rand::Rng;

/// Most steps of a script, counts included.
const STEPS_MAX: usize = 10_000;

/// Why a text is no script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// A line that is not understood.
    #[error(
        "script line {line}: {text:?} is neither `WORD`, `WORD xCOUNT` nor `chance PERCENT WORD`; next: look at the list of words in docs/ai-sim.md"
    )]
    Line {
        /// Number of the line from 1.
        line: usize,
        /// The line, cut to 80 characters.
        text: String,
    },
    /// Too much of something.
    #[error("script line {line}: {what}; next: shorten the script")]
    TooMuch {
        /// Number of the line from 1.
        line: usize,
        /// What, with its limit.
        what: String,
    },
    /// Nothing to do.
    #[error("script has neither a step nor chances of 100 %; next: add a line `good`")]
    Empty,
}

/// A script and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    chances: Vec<(u32, Step)>,
    steps: Vec<Step>,
    at: usize,
}

impl Default for Script {
    /// Right answers only.
    fn default() -> Self {
        Self::always(Step::Good)
    }
}

impl Script {
    /// One step for ever.
    #[must_use]
    pub fn always(step: Step) -> Self {
        Self { chances: Vec::new(), steps: vec![step], at: 0 }
    }

    /// Reads a script.
    ///
    /// # Errors
    /// [`ScriptError`] with the line.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let mut script = Self { chances: Vec::new(), steps: Vec::new(), at: 0 };
        for (at, whole) in text.lines().enumerate() {
            let line = at + 1;
            let used = whole.split('#').next().unwrap_or_default();
            let words: Vec<&str> = used.split_whitespace().collect();
            if words.is_empty() {
                continue;
            }
            script.take(&words).map_err(|why| match why {
                Some(what) => ScriptError::TooMuch { line, what },
                None => ScriptError::Line { line, text: whole.chars().take(80).collect() },
            })?;
        }
        let chances: u32 = script.chances.iter().map(|(percent, _)| percent).sum();
        if script.steps.is_empty() && chances < 100 {
            return Err(ScriptError::Empty);
        }
        Ok(script)
    }

    /// Takes a line over, or says what is too much; `None` when it is not understood.
    fn take(&mut self, words: &[&str]) -> Result<(), Option<String>> {
        match words {
            ["chance", percent, word] => {
                let percent: u32 = percent.parse().map_err(|_| None)?;
                let step = Step::parse(word).ok_or(None)?;
                let sum = self.chances.iter().map(|(percent, _)| percent).sum::<u32>();
                if percent > 100 || sum + percent > 100 {
                    return Err(Some(format!("chances of {} %, at most 100", sum + percent)));
                }
                self.chances.push((percent, step));
            }
            [word] => self.push(Step::parse(word).ok_or(None)?, 1)?,
            [word, count] => {
                let count = count.strip_prefix('x').and_then(|count| count.parse().ok());
                self.push(Step::parse(word).ok_or(None)?, count.ok_or(None)?)?;
            }
            _ => return Err(None),
        }
        Ok(())
    }

    fn push(&mut self, step: Step, count: usize) -> Result<(), Option<String>> {
        if count == 0 {
            return Err(None);
        }
        if count > STEPS_MAX - self.steps.len() {
            return Err(Some(format!("more than {STEPS_MAX} steps")));
        }
        self.steps.extend(std::iter::repeat_n(step, count));
        Ok(())
    }

    /// The next step.
    pub fn next(&mut self, dice: &mut impl Rng) -> Step {
        if !self.chances.is_empty() {
            let mut rest: u32 = dice.random_range(0..100);
            for (percent, step) in &self.chances {
                match rest.checked_sub(*percent) {
                    None => return *step,
                    Some(left) => rest = left,
                }
            }
        }
        // Chances of 100 % have no steps and have returned above.
        let step = self.steps.get(self.at).copied().unwrap_or(Step::Good);
        self.at = (self.at + 1) % self.steps.len().max(1);
        step
    }
}

#[cfg(test)]
mod tests {
    use super::super::Behaviour;
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn taken(script: &mut Script, count: usize) -> Vec<Step> {
        let mut dice = ChaCha8Rng::seed_from_u64(1);
        (0..count).map(|_| script.next(&mut dice)).collect()
    }

    #[test]
    fn steps_are_taken_in_order_and_from_the_start_again() {
        let mut script = Script::parse("# a script\n\ngood\nhttp_500 x2 # twice\n").unwrap();
        let failed = Step::Exactly(Behaviour::Http500);
        assert_eq!(taken(&mut script, 5), [Step::Good, failed, failed, Step::Good, failed]);
    }

    #[test]
    fn chances_come_between_steps_and_leave_their_order() {
        let text = "chance 40 good\nchance 10 huge\ntimeout\nreset\n";
        let steps = taken(&mut Script::parse(text).unwrap(), 10_000);
        let count = |step| steps.iter().filter(|one| **one == step).count();
        assert!((3_800..4_200).contains(&count(Step::Good)), "{}", count(Step::Good));
        assert!((850..1_150).contains(&count(Step::Exactly(Behaviour::Huge))));
        let listed: Vec<&Step> = steps
            .iter()
            .filter(|step| ![Step::Good, Step::Exactly(Behaviour::Huge)].contains(step))
            .collect();
        assert!(listed.chunks(2).all(|pair| *pair[0] == Step::Exactly(Behaviour::Timeout)));
        assert_eq!(taken(&mut Script::parse("chance 100 modify").unwrap(), 3), [Step::Modify; 3]);
    }

    #[test]
    fn what_is_no_script_is_refused_with_its_line() {
        let refused = |text: &str| Script::parse(text).unwrap_err().to_string();
        assert!(refused("good\nmaybe").starts_with("script line 2: \"maybe\""));
        for line in ["good 2", "good x0", "chance x good", "chance 10", "good x2 x3", "good x-1"] {
            assert!(refused(line).starts_with("script line 1"), "{line}");
        }
        assert!(refused("chance 60 good\nchance 41 block").contains("101 %"));
        assert!(refused("good x10000\nblock").contains("more than 10000 steps"));
        assert!(refused("# nothing").contains("neither a step"));
        assert!(refused("chance 50 good").contains("neither a step"));
    }

    #[test]
    fn the_script_of_the_demo_has_every_row_three_times_among_as_many_good_answers() {
        let text = include_str!("../../scripts/ai-demo.txt");
        let script = Script::parse(text).unwrap();
        let good = script.steps.iter().filter(|step| **step == Step::Good).count();
        assert_eq!(good * 2, script.steps.len(), "half of the answers are good");
        assert_eq!(script.chances, []);
        for row in [
            "block",
            "raise_qty",
            "timeout",
            "reset",
            "empty_body",
            "truncated_json",
            "extra_key",
            "unknown_reason",
            "http_500",
            "raise_stop",
            "injection",
            "huge",
        ] {
            let step = Step::parse(row).unwrap();
            assert!(script.steps.iter().filter(|one| **one == step).count() >= 3, "{row}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_script_or_an_error(text in "[a-z0-9_ #x\n]{0,200}") {
            if let Ok(mut script) = Script::parse(&text) {
                let total = script.steps.len();
                prop_assert!(total <= STEPS_MAX);
                prop_assert_eq!(taken(&mut script, 3).len(), 3);
            }
        }
    }
}
