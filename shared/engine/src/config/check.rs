//! Whether a configuration can be run: ranges, pairs of keys, tokens and their roles, the schedule.
//!
//! Input: a resolved configuration. Output: nothing, or the first thing that is wrong, with the code of its
//! family. Invariant: behind it no divisor is zero, no ramp is empty and no memory grows by itself.

use super::{EngineConfig, EventConfig, Field, INSTRUMENTS_MAX, Profile, SCHEMA, TokenConfig};
use crate::num::{ACT_ONE, weigh};
use alloc::format;
use alloc::string::String;

/// A configuration that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Text that cannot be read.
    #[error("engine.{key} {problem}; next: take the file again from where it was published")]
    Parse {
        /// Path of the key.
        key: String,
        /// What is wrong.
        problem: String,
    },
    /// Another version of these keys.
    #[error(
        "engine.schema is {found:?}; allowed is {allowed:?}; next: use the version of that schema",
        allowed = SCHEMA
    )]
    Schema {
        /// What was found.
        found: String,
    },
    /// A number is outside its range, or does not fit another one.
    #[error("engine.{key} is {value}; allowed is {allowed}")]
    Range {
        /// Path of the key.
        key: String,
        /// Value.
        value: i64,
        /// What would be accepted.
        allowed: String,
    },
    /// Tokens or their roles.
    #[error("engine.token {token}: {problem}; next: correct its table in penstock.toml")]
    Token {
        /// Token.
        token: u16,
        /// What is wrong.
        problem: String,
    },
    /// The schedule of an event.
    #[error("engine.event {event:?}: {problem}; next: correct its times in penstock.toml")]
    Schedule {
        /// Event.
        event: String,
        /// What is wrong.
        problem: &'static str,
    },
}

impl ConfigError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Parse { .. } => "E_CFG_PARSE",
            Self::Schema { .. } => "E_CFG_SCHEMA",
            Self::Range { .. } => "E_CFG_RANGE",
            Self::Token { .. } => "E_CFG_TOKEN",
            Self::Schedule { .. } => "E_CFG_SCHEDULE",
        }
    }
}

pub(super) fn check(config: &EngineConfig) -> Result<(), ConfigError> {
    ranges(config)?;
    pairs(config)?;
    tokens(config)?;
    schedule(config)
}

fn refuse(key: &str, value: i64, allowed: String) -> ConfigError {
    ConfigError::Range { key: String::from(key), value, allowed }
}

fn outside(path: &str, field: &Field<'_>) -> Option<ConfigError> {
    match field {
        Field::Int { value, min, max } if !(*min..=*max).contains(&**value) => {
            Some(refuse(path, **value, format!("{min}..={max}")))
        }
        Field::Weights(weights) => {
            let wrong = weights.iter().find(|weight| !(1..=1_000).contains(*weight))?;
            Some(refuse(path, *wrong, String::from("1..=1000 for each weight")))
        }
        Field::Int { .. } | Field::Bool(_) => None,
    }
}

fn ranges(config: &EngineConfig) -> Result<(), ConfigError> {
    let mut first = None;
    let mut copy = config.clone();
    copy.visit(&mut |path, field| {
        if first.is_none() {
            first = outside(path, &field);
        }
    });
    first.map_or(Ok(()), Err)
}

fn at_least(key: &str, value: i64, least: i64) -> Result<(), ConfigError> {
    if value >= least { Ok(()) } else { Err(refuse(key, value, format!("≥ {least}"))) }
}

fn pairs(config: &EngineConfig) -> Result<(), ConfigError> {
    if 3_600_i64.checked_rem(config.snapshot_every_ticks) != Some(0) {
        let allowed = String::from("a divisor of 3600");
        return Err(refuse("snapshot_every_ticks", config.snapshot_every_ticks, allowed));
    }
    for (path, term) in config.score.terms() {
        at_least(&format!("{path}.hi"), term.hi, term.lo.saturating_add(1))?;
    }
    for (path, enter, exit) in config.tier.persistence() {
        at_least(path, exit, enter.saturating_mul(2))?;
    }
    let longest = config.cluster.c2.max(config.cluster.c_unwind);
    at_least("cluster.release", config.cluster.release, longest.saturating_add(1))?;
    releases("fsm", &config.fsm)?;
    memories(config, "fsm", &config.fsm)
}

/// A release takes longer than the way forward from the same state.
fn releases(prefix: &str, fsm: &super::FsmNumbers) -> Result<(), ConfigError> {
    for (key, release, forward) in [
        ("release.pressure", fsm.release_pressure, fsm.h2),
        ("release.fragile", fsm.release_fragile, fsm.h3),
        ("release.ready", fsm.release_ready, fsm.hu),
    ] {
        at_least(&format!("{prefix}.{key}"), release, forward.saturating_add(1))?;
    }
    Ok(())
}

/// A memory that lost more than itself in one tick would turn negative.
fn memories(
    config: &EngineConfig,
    prefix: &str,
    fsm: &super::FsmNumbers,
) -> Result<(), ConfigError> {
    for tier in penstock_types::engine_view::Tier::ALL {
        let multiplier = config.tier.context(*tier).decay_multiplier;
        for (key, decay) in [
            ("decay.pressure", fsm.decay_pressure),
            ("decay.fragile", fsm.decay_fragile),
            ("decay.trigger", fsm.decay_trigger),
            ("decay.unwind", fsm.decay_unwind),
        ] {
            let loss = weigh(ACT_ONE.saturating_sub(decay), multiplier);
            if loss > ACT_ONE {
                let allowed = format!("a loss per tick of at most 10000 in tier {}", tier.name());
                return Err(refuse(&format!("{prefix}.{key}"), decay, allowed));
            }
        }
    }
    Ok(())
}

fn tokens(config: &EngineConfig) -> Result<(), ConfigError> {
    let mut before = 0;
    for token in &config.tokens {
        let refuse = |problem: String| Err(ConfigError::Token { token: token.id, problem });
        if token.id == 0 {
            return refuse(String::from("the id 0 is not a token"));
        }
        if token.id <= before {
            return refuse(format!("its id does not ascend from {before}"));
        }
        before = token.id;
        if token.cluster == 0 {
            return refuse(String::from("cluster 0 is not a cluster"));
        }
        for (name, weight) in [("w_oi", token.w_oi), ("w_funding", token.w_funding)] {
            if !(0..=ACT_ONE).contains(&weight) {
                return refuse(format!("{name} {weight} is outside 0..=10000"));
            }
        }
        roles(token)?;
        let prefix = format!("override.{}.fsm", token.id);
        let mut first = None;
        let mut fsm = token.fsm;
        fsm.visit(&prefix, &mut |path, field| {
            if first.is_none() {
                first = outside(path, &field);
            }
        });
        first.map_or(Ok(()), Err)?;
        releases(&prefix, &token.fsm)?;
        memories(config, &prefix, &token.fsm)?;
    }
    Ok(())
}

fn roles(token: &TokenConfig) -> Result<(), ConfigError> {
    let refuse = |problem: String| Err(ConfigError::Token { token: token.id, problem });
    if !(1..=INSTRUMENTS_MAX).contains(&token.instruments.len()) {
        return refuse(format!("{} instruments, 1 to 4 are allowed", token.instruments.len()));
    }
    for (name, least, most) in [
        ("price_ref", 1, 1),
        ("deriv_primary", 0, 1),
        ("flow", 1, 4),
        ("oi_set", 0, 3),
        ("spot_primary", 0, 1),
    ] {
        let has = |(role, has): (&str, bool)| role == name && has;
        let bound = token.instruments.iter().filter(|one| one.roles.list().into_iter().any(has));
        let bound = bound.count();
        if !(least..=most).contains(&bound) {
            return refuse(format!("role {name} is bound {bound} times, {least} to {most} are"));
        }
    }
    let mut derivative = false;
    for one in &token.instruments {
        if one.roles.deriv_primary && !one.roles.price_ref {
            return refuse(String::from("deriv_primary is not the price_ref"));
        }
        derivative |= one.roles.deriv_primary;
        if one.qty_exp > 8 {
            return refuse(format!("qty_exp {} of {} is above 8", one.qty_exp, one.symbol));
        }
        if one.multiplier < 1 || one.funding_interval_h < 1 {
            return refuse(format!("multiplier or funding interval of {} is below 1", one.symbol));
        }
    }
    let wanted = if derivative { Profile::Deriv } else { Profile::SpotOnly };
    if token.profile != wanted {
        return refuse(format!("its profile must be {}", wanted.name()));
    }
    let leverage = token.instruments.iter().any(|one| one.roles.oi_set);
    if token.profile == Profile::SpotOnly && leverage {
        return refuse(String::from("SPOT_ONLY has no open interest, but binds an oi_set"));
    }
    Ok(())
}

fn schedule(config: &EngineConfig) -> Result<(), ConfigError> {
    let mut before: Option<&EventConfig> = None;
    for event in &config.events {
        let refuse = |problem| Err(ConfigError::Schedule { event: event.id.clone(), problem });
        let times = [event.prep, event.start, event.mid, event.end, event.post];
        if !times.is_sorted_by(|a, b| a < b) {
            return refuse("its times do not strictly increase");
        }
        if event.id.is_empty() {
            return refuse("it has no id");
        }
        if !config.tokens.iter().any(|token| token.cluster == event.cluster) {
            return refuse("no token is in its cluster");
        }
        if let Some(before) = before {
            if before.cluster > event.cluster {
                return refuse("events are not sorted by cluster");
            }
            if before.cluster == event.cluster && before.post > event.prep {
                return refuse("it begins before the event ahead of it in its cluster ends");
            }
        }
        if config.events.iter().filter(|other| other.id == event.id).count() > 1 {
            return refuse("its id is not unique");
        }
        before = Some(event);
    }
    Ok(())
}
