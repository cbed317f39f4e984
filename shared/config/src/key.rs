//! Purpose: what is known about one configuration key. Inputs: the table of areas. Outputs: [`Key`].
//! Invariants: every key has one name in the file and one in the environment (the same in upper case,
//! `_` for `.`); a range belongs to the key and is checked before anything else happens. It holds no
//! values.

/// A process that reads configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Process {
    /// `run-ingest`.
    Ingest,
    /// `run-execution-live`.
    Execution,
    /// The operator's tool.
    Tool,
}

impl Process {
    /// The letter in documents: I, E, X.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Ingest => 'I',
            Self::Execution => 'E',
            Self::Tool => 'X',
        }
    }
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldType {
    /// `1/0/true/false/yes/no`.
    Bool,
    /// A whole number.
    Int,
    /// A decimal number; never read through binary floating point.
    Decimal,
    /// Any text.
    Text,
    /// Texts separated by commas; an array in the file.
    List,
    /// A path; `${PENSTOCK_DATA}` at its start is the data root.
    Path,
    /// A URL of the given schemes, or `off` where the shape allows it.
    Url,
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// A text that is never shown, from the environment or a file named by `<NAME>_FILE`.
    Secret,
}

/// Whether this version contains what a key belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The key does what it says.
    Active,
    /// The part that reads it is not in this version; any value in range is accepted and has no effect.
    WithoutEffect,
    /// It turns on something that this version does not contain: any other setting than this one is
    /// refused.
    OnlyOff(&'static str),
    /// One of its words is not in this version and is refused.
    WithoutWord(&'static str),
}

/// Limits of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Least and greatest whole number.
    pub int: Option<(i64, i64)>,
    /// Least and greatest decimal number.
    pub decimal: Option<(&'static str, &'static str)>,
    /// A whole number must be a multiple of this.
    pub multiple_of: Option<i64>,
    /// The only whole numbers allowed.
    pub ints: &'static [i64],
    /// `off` and the empty text are allowed where a URL is expected.
    pub may_be_off: bool,
    /// Only loopback addresses.
    pub loopback: bool,
    /// Whether this version has it.
    pub status: Status,
}

/// No limits besides the type.
#[must_use]
pub const fn any() -> Shape {
    Shape {
        int: None,
        decimal: None,
        multiple_of: None,
        ints: &[],
        may_be_off: false,
        loopback: false,
        status: Status::Active,
    }
}

/// A whole number within limits, both included.
#[must_use]
pub const fn int(min: i64, max: i64) -> Shape {
    let mut shape = any();
    shape.int = Some((min, max));
    shape
}

/// One of a few whole numbers.
#[must_use]
pub const fn ints(allowed: &'static [i64]) -> Shape {
    let mut shape = any();
    shape.ints = allowed;
    shape
}

/// A decimal number within limits, both included.
#[must_use]
pub const fn dec(min: &'static str, max: &'static str) -> Shape {
    let mut shape = any();
    shape.decimal = Some((min, max));
    shape
}

impl Shape {
    /// Only multiples of a number.
    #[must_use]
    pub const fn multiple_of(mut self, step: i64) -> Self {
        self.multiple_of = Some(step);
        self
    }

    /// `off` is allowed where a URL is expected.
    #[must_use]
    pub const fn or_off(mut self) -> Self {
        self.may_be_off = true;
        self
    }

    /// Only loopback addresses.
    #[must_use]
    pub const fn loopback(mut self) -> Self {
        self.loopback = true;
        self
    }

    /// The part that reads it comes later.
    #[must_use]
    pub const fn later(mut self) -> Self {
        self.status = Status::WithoutEffect;
        self
    }

    /// This version has only the value that turns it off.
    #[must_use]
    pub const fn only(mut self, off: &'static str) -> Self {
        self.status = Status::OnlyOff(off);
        self
    }

    /// This version lacks one of the words.
    #[must_use]
    pub const fn without(mut self, word: &'static str) -> Self {
        self.status = Status::WithoutWord(word);
        self
    }
}

/// One configuration key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Name in the file, with dots for tables.
    pub name: &'static str,
    /// The area it belongs to.
    pub group: &'static str,
    /// Who reads it.
    pub owners: &'static [Process],
    /// The compiled default as text, `None` when it is unset.
    pub default: Option<&'static str>,
    /// Type.
    pub field: FieldType,
    /// Limits.
    pub shape: Shape,
    /// What it means, with its unit.
    pub meaning: &'static str,
}

impl Key {
    /// The name in the environment.
    #[must_use]
    pub fn env(&self) -> String {
        self.name.replace('.', "_").to_ascii_uppercase()
    }

    /// Whether its value must never be shown.
    #[must_use]
    pub const fn is_secret(&self) -> bool {
        matches!(self.field, FieldType::Secret)
    }

    /// Whether it names a place or a helper of the tool and of tests, which no decision depends on.
    #[must_use]
    pub fn is_tool_name(&self) -> bool {
        self.name.starts_with("penstock_")
    }

    /// The allowed values in words, for messages and documents.
    #[must_use]
    pub fn range(&self) -> String {
        let shape = &self.shape;
        let mut text = match self.field {
            FieldType::Bool => "true or false".to_owned(),
            FieldType::Choice(words) => words.join(", "),
            FieldType::Secret => "secret".to_owned(),
            FieldType::List => "list".to_owned(),
            FieldType::Path => "path".to_owned(),
            FieldType::Text => "text".to_owned(),
            FieldType::Url if shape.may_be_off => "URL, off".to_owned(),
            FieldType::Url => "URL".to_owned(),
            FieldType::Int | FieldType::Decimal => String::new(),
        };
        if let Some((min, max)) = shape.int {
            text = if max == i64::MAX { format!("≥ {min}") } else { format!("{min}..{max}") };
        } else if let Some((min, max)) = shape.decimal {
            text = format!("{min}..{max}");
        } else if !shape.ints.is_empty() {
            text = shape.ints.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        }
        if let Some(step) = shape.multiple_of {
            text.push_str(&format!(", a multiple of {step}"));
        }
        if shape.loopback {
            text.push_str(", loopback only");
        }
        text
    }
}
