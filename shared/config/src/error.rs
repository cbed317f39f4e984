//! Purpose: what is wrong with a configuration. Outputs: [`ConfigError`]: all problems at once, each
//! with key, value, range and next step. Invariants: a secret's value never stands in a message. The
//! caller exits with [`EXIT_CONFIG`] before it has opened a connection.

/// Exit status for a configuration that is refused.
pub const EXIT_CONFIG: i32 = 78;

/// Code of a refused configuration in messages and alerts.
pub const CODE: &str = "STRAT_CONFIG_INVALID";

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key (or variable, or file) it is about.
    pub key: String,
    /// Where it was set: a file with its line, or the environment.
    pub origin: String,
    /// The refused value, `[redacted]` for secrets.
    pub value: String,
    /// Why.
    pub reason: String,
    /// What would be accepted.
    pub allowed: String,
    /// What to do.
    pub next: String,
    /// The engine's own code, when it is about the engine: one of `E_CFG_PARSE`, `E_CFG_RANGE`,
    /// `E_CFG_SCHEDULE`, `E_CFG_TOKEN`, `E_CFG_SCHEMA`.
    pub engine_code: Option<&'static str>,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{CODE}: ")?;
        if let Some(code) = self.engine_code {
            write!(f, "{code}: ")?;
        }
        write!(f, "{} = {} ({}): {}", self.key, self.value, self.origin, self.reason)?;
        if !self.allowed.is_empty() {
            write!(f, "; allowed: {}", self.allowed)?;
        }
        write!(f, "; next: {}", self.next)
    }
}

/// A refused configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// All that is wrong, in the order of the table.
    pub problems: Vec<Problem>,
}

impl ConfigError {
    /// The engine's code of the first problem that is about the engine.
    #[must_use]
    pub fn engine_code(&self) -> Option<&'static str> {
        self.problems.iter().find_map(|problem| problem.engine_code)
    }
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
