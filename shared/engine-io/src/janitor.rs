//! One pass over closed days: those that are raw are compressed, then those that have had their time go whole.
//!
//! Input: directories, limits, the days on which an order of ours was sent. Output: what was done, said step by
//! step in the order in which it was done, and whether the pass has to come again. Invariants: the service and
//! the command of the operator both call this, so that neither has an order or a limit of its own; only days
//! before today are touched; a day that this pass has compressed stays; without the word on orders nothing is
//! removed. It reads no clock: whoever listens may take the time between two steps.

use crate::compress::{Packed, pack_day, raw_days};
use crate::error::{Code, Fault};
use crate::hooks::JanitorHooks;
use crate::layout::{Day, EngineDirs};
use crate::retention::{Gone, Policy, Why, clean};
use std::collections::BTreeSet;

/// What a pass works with.
#[derive(Debug)]
pub struct Pass<'a> {
    /// Directories of the engine.
    pub dirs: &'a EngineDirs,
    /// The day that it is, and how long what is kept.
    pub policy: Policy,
    /// Raw days are compressed.
    pub compresses: bool,
    /// It is only said what would be done.
    pub is_rehearsal: bool,
    /// What it does about a day that somebody else has.
    pub on_held: OnHeld,
    /// Places at which tests stage a crash.
    pub hooks: JanitorHooks<'a>,
}

/// What a raw day means that somebody else reads, compresses or removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnHeld {
    /// The pass ends there with [`Code::EnvLock`]: somebody waits for a whole answer.
    Fails,
    /// Nothing more is compressed this time, what is due goes all the same, and the pass comes again.
    ComesAgain,
}

/// What a pass does, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A day is about to be compressed; in a rehearsal it would be, and that is all that is said of it.
    Packing(Day),
    /// It is compressed.
    Packed(Day, Packed),
    /// The snapshot of this tick left the others.
    Moved(u64),
    /// An old day stays.
    Kept(Day, Why),
    /// A day went; in a rehearsal it would.
    Gone(Gone),
}

/// How a pass ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Everything that was due is done.
    Whole,
    /// A raw day was somebody else's; it and those behind it stay raw until the next pass.
    Held(Fault),
    /// Nobody said on which days there were orders, so nothing was removed.
    OrdersUnknown,
}

impl Ended {
    /// True when there is nothing to come again for.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        match self {
            Self::Whole => true,
            Self::Held(_) | Self::OrdersUnknown => false,
        }
    }
}

/// Runs a pass. `traded` is asked once, when nothing is left to compress; `None` keeps everything.
///
/// # Errors
/// The first day that does not verify, with its code, and [`Code::Storage`]: nothing behind it is touched.
/// [`Code::EnvLock`] under [`OnHeld::Fails`].
pub fn run(
    pass: &Pass<'_>,
    traded: impl FnOnce() -> Option<BTreeSet<Day>>,
    say: &mut dyn FnMut(Step),
) -> Result<Ended, Fault> {
    let (packed, held) = pack(pass, say)?;
    let Some(traded) = traded() else { return Ok(Ended::OrdersUnknown) };
    let is_traded = |day: Day| traded.contains(&day);
    let Pass { dirs, policy, is_rehearsal, hooks, .. } = pass;
    let done = clean(dirs, policy, &is_traded, &packed, *is_rehearsal, hooks)?;
    done.moved.into_iter().map(Step::Moved).for_each(&mut *say);
    done.kept.into_iter().map(|(day, why)| Step::Kept(day, why)).for_each(&mut *say);
    done.gone.into_iter().map(Step::Gone).for_each(&mut *say);
    Ok(held.map_or(Ended::Whole, Ended::Held))
}

/// Compresses the raw days before today, oldest first; which, and what stopped it.
fn pack(pass: &Pass<'_>, say: &mut dyn FnMut(Step)) -> Result<(Vec<Day>, Option<Fault>), Fault> {
    let mut packed = Vec::new();
    if !pass.compresses {
        return Ok((packed, None));
    }
    let today = pass.policy.today;
    for day in raw_days(pass.dirs)?.into_iter().filter(|day| *day < today) {
        say(Step::Packing(day));
        if !pass.is_rehearsal {
            match (pack_day(pass.dirs, day, &pass.hooks), pass.on_held) {
                (Ok(done), OnHeld::Fails | OnHeld::ComesAgain) => say(Step::Packed(day, done)),
                (Err(fault), OnHeld::ComesAgain) if fault.code == Code::EnvLock => {
                    return Ok((packed, Some(fault)));
                }
                (Err(fault), OnHeld::Fails | OnHeld::ComesAgain) => return Err(fault),
            }
        }
        packed.push(day);
    }
    Ok((packed, None))
}
