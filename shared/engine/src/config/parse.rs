//! Reads the canonical text of a configuration back.
//!
//! Input: text from an archive, so from anybody. Output: the configuration whose canonical text it is, or what
//! is wrong. Invariants: what is accepted renders to the same bytes and can be run; nesting and numbers are
//! bounded; no text makes it panic. It accepts no other spelling of the same values.

use super::{
    Class, ConfigError, EngineConfig, EventConfig, Field, FsmNumbers, InstrumentConfig, Profile,
    Roles, SCHEMA, TokenConfig,
};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::iter::Peekable;
use core::str::Chars;
use penstock_types::vocab::Venue;

/// Deepest nesting: token, instruments, instrument, roles within the object.
const DEPTH_MAX: u32 = 8;

/// A value of the text.
#[derive(Debug)]
enum Json {
    Object(Vec<(String, Json)>),
    List(Vec<Json>),
    Text(String),
    Int(i64),
    Bool(bool),
}

/// Reads a canonical text.
pub(super) fn parse(text: &str) -> Result<EngineConfig, ConfigError> {
    let mut reader = Reader(text.chars().peekable());
    let root = reader
        .value(DEPTH_MAX)
        .filter(|_| reader.0.peek().is_none())
        .ok_or_else(|| refuse("(whole text)", "is not canonical JSON of whole numbers"))?;
    let schema = root.text("schema")?;
    if schema != SCHEMA {
        return Err(ConfigError::Schema { found: String::from(schema) });
    }
    let mut config = EngineConfig::default();
    let mut problem = None;
    config.visit(&mut |path, field| {
        if let Err(error) = read_field(&root, path, field)
            && problem.is_none()
        {
            problem = Some(error);
        }
    });
    problem.map_or(Ok(()), Err)?;
    config.tokens = root.list("token")?.iter().map(token).collect::<Result<_, _>>()?;
    config.events = root.list("event")?.iter().map(event).collect::<Result<_, _>>()?;
    if config.canonical() != text {
        return Err(refuse("(whole text)", "is not the canonical text of what it says"));
    }
    config.check()?;
    Ok(config)
}

fn refuse(key: &str, problem: &str) -> ConfigError {
    ConfigError::Parse { key: String::from(key), problem: String::from(problem) }
}

fn read_field(root: &Json, path: &str, field: Field<'_>) -> Result<(), ConfigError> {
    match field {
        Field::Int { value, .. } => *value = root.int(path)?,
        Field::Bool(value) => *value = root.bool(path)?,
        Field::Weights(values) => {
            let found = root.list(path)?;
            if found.len() != values.len() {
                return Err(refuse(path, "has another number of weights"));
            }
            for (value, json) in values.iter_mut().zip(found) {
                *value = json.as_int().ok_or_else(|| refuse(path, "is not a list of numbers"))?;
            }
        }
    }
    Ok(())
}

fn token(json: &Json) -> Result<TokenConfig, ConfigError> {
    let known = |key: &str, word: &str| refuse(key, &format!("{word:?} is not known"));
    let (class, profile) = (json.text("class")?, json.text("profile")?);
    let mut fsm = FsmNumbers::default();
    let mut problem = None;
    fsm.visit("fsm", &mut |path, field| {
        if let Err(error) = read_field(json, path, field)
            && problem.is_none()
        {
            problem = Some(error);
        }
    });
    problem.map_or(Ok(()), Err)?;
    Ok(TokenConfig {
        id: json.number("id")?,
        symbol: String::from(json.text("symbol")?),
        class: Class::named(class).ok_or_else(|| known("token.class", class))?,
        cluster: json.number("cluster")?,
        profile: Profile::named(profile).ok_or_else(|| known("token.profile", profile))?,
        w_oi: json.int("w_oi")?,
        w_funding: json.int("w_funding")?,
        fsm,
        instruments: json.list("instruments")?.iter().map(instrument).collect::<Result<_, _>>()?,
    })
}

fn instrument(json: &Json) -> Result<InstrumentConfig, ConfigError> {
    let venue = json.text("venue")?;
    let mut roles = Roles::default();
    for role in json.list("roles")? {
        let known = match role {
            Json::Text(name) => roles.add(name),
            Json::Object(_) | Json::List(_) | Json::Int(_) | Json::Bool(_) => false,
        };
        if !known {
            return Err(refuse("token.instruments.roles", "names a role that is not known"));
        }
    }
    Ok(InstrumentConfig {
        venue: Venue::parse(venue).map_err(|error| refuse("venue", &format!("{error}")))?,
        symbol: String::from(json.text("symbol")?),
        roles,
        qty_exp: json.number("qty_exp")?,
        multiplier: json.int("multiplier")?,
        funding_interval_h: json.int("funding_interval_h")?,
    })
}

fn event(json: &Json) -> Result<EventConfig, ConfigError> {
    Ok(EventConfig {
        id: String::from(json.text("id")?),
        cluster: json.number("cluster")?,
        prep: json.number("prep")?,
        start: json.number("start")?,
        mid: json.number("mid")?,
        end: json.number("end")?,
        post: json.number("post")?,
    })
}

impl Json {
    /// The value of a path with dots.
    fn find(&self, path: &str) -> Result<&Self, ConfigError> {
        let mut at = self;
        for part in path.split('.') {
            let inner = match at {
                Self::Object(pairs) => pairs.iter().find(|(key, _)| key == part),
                Self::List(_) | Self::Text(_) | Self::Int(_) | Self::Bool(_) => None,
            };
            at = inner.map(|(_, value)| value).ok_or_else(|| refuse(path, "is missing"))?;
        }
        Ok(at)
    }

    fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            Self::Object(_) | Self::List(_) | Self::Text(_) | Self::Bool(_) => None,
        }
    }

    fn int(&self, path: &str) -> Result<i64, ConfigError> {
        self.find(path)?.as_int().ok_or_else(|| refuse(path, "is not a whole number"))
    }

    fn number<T: TryFrom<i64>>(&self, path: &str) -> Result<T, ConfigError> {
        T::try_from(self.int(path)?).map_err(|_| refuse(path, "does not fit its type"))
    }

    fn bool(&self, path: &str) -> Result<bool, ConfigError> {
        match self.find(path)? {
            Self::Bool(value) => Ok(*value),
            Self::Object(_) | Self::List(_) | Self::Text(_) | Self::Int(_) => {
                Err(refuse(path, "is neither true nor false"))
            }
        }
    }

    fn text(&self, path: &str) -> Result<&str, ConfigError> {
        match self.find(path)? {
            Self::Text(value) => Ok(value),
            Self::Object(_) | Self::List(_) | Self::Int(_) | Self::Bool(_) => {
                Err(refuse(path, "is not text"))
            }
        }
    }

    fn list(&self, path: &str) -> Result<&[Self], ConfigError> {
        match self.find(path)? {
            Self::List(values) => Ok(values),
            Self::Object(_) | Self::Text(_) | Self::Int(_) | Self::Bool(_) => {
                Err(refuse(path, "is not a list"))
            }
        }
    }
}

/// JSON without blanks, fractions, exponents and nulls. Whatever is looser than the canonical form is caught
/// by rendering again.
struct Reader<'a>(Peekable<Chars<'a>>);

impl Reader<'_> {
    fn value(&mut self, depth: u32) -> Option<Json> {
        let depth = depth.checked_sub(1)?;
        match self.0.peek()? {
            '{' => self.object(depth).map(Json::Object),
            '[' => self.list(depth).map(Json::List),
            '"' => self.text().map(Json::Text),
            't' => self.word("true").then_some(Json::Bool(true)),
            'f' => self.word("false").then_some(Json::Bool(false)),
            _ => self.int().map(Json::Int),
        }
    }

    fn eat(&mut self, wanted: char) -> bool {
        self.0.next_if_eq(&wanted).is_some()
    }

    fn word(&mut self, word: &str) -> bool {
        word.chars().all(|wanted| self.eat(wanted))
    }

    fn int(&mut self) -> Option<i64> {
        let mut digits = String::new();
        while let Some(c) = self.0.next_if(|c| c.is_ascii_digit() || *c == '-') {
            digits.push(c);
        }
        digits.parse().ok()
    }

    fn object(&mut self, depth: u32) -> Option<Vec<(String, Json)>> {
        let mut pairs = Vec::new();
        self.0.next()?;
        if self.eat('}') {
            return Some(pairs);
        }
        loop {
            let key = self.text()?;
            if !self.eat(':') {
                return None;
            }
            pairs.push((key, self.value(depth)?));
            match self.0.next()? {
                ',' => {}
                '}' => return Some(pairs),
                _ => return None,
            }
        }
    }

    fn list(&mut self, depth: u32) -> Option<Vec<Json>> {
        let mut values = Vec::new();
        self.0.next()?;
        if self.eat(']') {
            return Some(values);
        }
        loop {
            values.push(self.value(depth)?);
            match self.0.next()? {
                ',' => {}
                ']' => return Some(values),
                _ => return None,
            }
        }
    }

    fn text(&mut self) -> Option<String> {
        if !self.eat('"') {
            return None;
        }
        let mut out = String::new();
        loop {
            match self.0.next()? {
                '"' => return Some(out),
                '\\' => out.push(self.escaped()?),
                c => out.push(c),
            }
        }
    }

    fn escaped(&mut self) -> Option<char> {
        match self.0.next()? {
            '"' => Some('"'),
            '\\' => Some('\\'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'b' => Some('\u{8}'),
            'f' => Some('\u{c}'),
            'u' => {
                let hex: String = self.0.by_ref().take(4).collect();
                u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32)
            }
            _ => None,
        }
    }
}
