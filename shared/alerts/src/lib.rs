//! Alerts of a service: what is wrong now or was a short while ago, and who is told of it.
//!
//! Purpose: one place that every part raises to and that never makes it wait. Inputs: occurrences, conditions that
//! begin and end, the alerts of the other service. Outputs: the active alerts for the heartbeat, rows for the database,
//! lines on the console, messages to webhook, Telegram and Pushover. Invariants: whoever raises takes one lock for
//! microseconds and waits for nothing; a queue has a limit and a rule for what it lets go, which is never a critical
//! alert; a slow way out delays no other; no text carries a secret or a control character. It changes no mode, sends no
//! order and pauses nothing.
//!
//! | module | subject |
//! |---|---|
//! | [`board`] | one alert per source, reason and symbol: counts, times, severity, when it ends |
//! | [`queue`] | the bounded queue and what it lets go |
//! | [`outbox`] | of one way out: cooldown, messages a minute, repeats, digest |
//! | [`message`] | the forms of a message |
//! | [`sink`] | webhook, Telegram, Pushover |
//! | [`console`] | lines on standard error, the bell |
//! | [`settings`] | from the configuration |
//! | [`hub`] | the handle of those that raise |
//! | [`run`] | the tasks behind it |
//! | [`last_words`] | the alert of a process that ends |
//! | [`reasons`] | which marker is which reason |
//! | [`peer`] | the other service's sign of life |
//! | [`rows`] | what is stored |

pub mod board;
pub mod console;
pub mod hub;
pub mod last_words;
pub mod message;
pub mod outbox;
pub mod peer;
pub mod queue;
pub mod reasons;
pub mod rows;
pub mod run;
pub mod settings;
pub mod sink;

pub use board::{Ids, Key, Occurrence};
pub use hub::Alerts;
pub use penstock_contracts::alert::{Alert, AlertSource, Metrics, Summary, SymbolText};
pub use rows::{NoRows, Rows};
pub use run::Running;
pub use settings::Settings;
