//! The ways of answering, by their words in scripts and counters.
//!
//! Inputs: words. Outputs: behaviours. It answers nothing itself.

macro_rules! behaviours {
    ($($(#[doc = $about:literal])+ $name:ident = $word:literal,)+) => {
        /// One way of answering.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Behaviour {
            $($(#[doc = $about])+ $name,)+
        }

        impl Behaviour {
            /// All, in the order of this list.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The word in scripts and counters.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word),+ }
            }
        }
    };
}

behaviours! {
    /// No objection.
    Allow = "allow",
    /// An objection, with reasons.
    Block = "block",
    /// A smaller quantity.
    ModifyQty = "modify_qty",
    /// A stop that is nearer.
    ModifyStop = "modify_stop",
    /// A shorter time stop.
    ModifyTime = "modify_time",
    /// Fewer re-pegs, a shorter life, no fallback.
    ModifyEntry = "modify_entry",
    /// A quantity one step higher.
    RaiseQty = "raise_qty",
    /// A price one tick higher.
    RaisePrice = "raise_price",
    /// A more urgent kind.
    RaiseKind = "raise_kind",
    /// A longer life.
    RaiseTtl = "raise_ttl",
    /// One more re-peg.
    RaiseRepegs = "raise_repegs",
    /// A fallback that is switched on, or more urgent.
    RaiseFallback = "raise_fallback",
    /// More slippage.
    RaiseSlippage = "raise_slippage",
    /// A stop that is farther.
    RaiseStop = "raise_stop",
    /// A target that is farther.
    RaiseTarget = "raise_target",
    /// A longer trail.
    RaiseTrail = "raise_trail",
    /// A longer time stop.
    RaiseTime = "raise_time",
    /// MODIFY whose change is null.
    ModifyNull = "modify_null",
    /// MODIFY with every field null.
    ModifyEmpty = "modify_empty",
    /// No answer until the client leaves.
    Timeout = "timeout",
    /// A byte now and then.
    Drip = "drip",
    /// The connection is reset.
    Reset = "reset",
    /// Status 429.
    Http429 = "http_429",
    /// Status 500.
    Http500 = "http_500",
    /// Status 302 to another path of this server.
    Redirect = "redirect",
    /// 200 without a body.
    EmptyBody = "empty_body",
    /// A body without a choice.
    NoChoice = "no_choice",
    /// A choice without content.
    EmptyContent = "empty_content",
    /// Content that ends in the middle.
    TruncatedJson = "truncated_json",
    /// A body that is shorter than was announced.
    TruncatedBody = "truncated_body",
    /// A page of HTML.
    Html = "html",
    /// Bytes that are no text.
    NotUtf8 = "not_utf8",
    /// Prose that tells the reader to let everything pass.
    Injection = "injection",
    /// A key more than the schema has.
    ExtraKey = "extra_key",
    /// A key less.
    MissingKey = "missing_key",
    /// A number where a text belongs.
    WrongType = "wrong_type",
    /// A reason of no catalog.
    UnknownReason = "unknown_reason",
    /// A reason that a model may not give.
    ForbiddenReason = "forbidden_reason",
    /// Nine reasons.
    NineReasons = "nine_reasons",
    /// No reason.
    NoReasons = "no_reasons",
    /// BLOCK with a change.
    BlockWithChange = "block_with_change",
    /// Ten megabytes.
    Huge = "huge",
}

impl Behaviour {
    /// The one of a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|behaviour| behaviour.word() == word)
    }
}

/// A step of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Exactly this.
    Exactly(Behaviour),
    /// A right answer that lets the entry pass: unchanged, or changed by a valid MODIFY.
    Good,
    /// A valid MODIFY.
    Modify,
}

impl Step {
    /// The one of a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "good" => Some(Self::Good),
            "modify" => Some(Self::Modify),
            word => Behaviour::parse(word).map(Self::Exactly),
        }
    }

    /// The behaviours that it can be.
    #[must_use]
    pub fn choices(self) -> &'static [Behaviour] {
        use Behaviour as B;
        match self {
            Self::Exactly(behaviour) => {
                let at = B::ALL.iter().position(|one| *one == behaviour).unwrap_or_default();
                &B::ALL[at..=at]
            }
            // As often unchanged as changed.
            Self::Good => &[
                B::Allow,
                B::ModifyQty,
                B::Allow,
                B::ModifyStop,
                B::Allow,
                B::ModifyTime,
                B::Allow,
                B::ModifyEntry,
            ],
            Self::Modify => &[B::ModifyQty, B::ModifyStop, B::ModifyTime, B::ModifyEntry],
        }
    }
}
