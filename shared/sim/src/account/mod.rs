//! The one account: balances and holds, its orders and trades, fees, limits, and the operations
//! of its owner (add, amend, cancel). Written without any code of the product, so that it can
//! disagree with it.

mod amend;
mod bust;
mod cancel;
mod error;
pub mod fees;
mod fill;
mod ids;
mod limits;
mod order;
mod place;
mod request;
mod state;
mod transfer;

#[cfg(test)]
mod tests;

pub use self::amend::{AmendOrder, Amended};
pub use self::bust::BustError;
pub use self::error::VenueError;
pub(crate) use self::fill::EndReason;
pub use self::limits::{EngineTier, RestCounter};
pub use self::order::{
    AccountTrade, BalanceChange, ExecReport, ExecType, FeePreference, IllegalTransition, Order,
    OrderEvent, OrderKind, OrderStatus, SelfTrade, TimeInForce, step,
};
pub use self::place::Added;
pub(crate) use self::place::same_id as same_client_id;
pub use self::request::{AddOrder, OrderRef};
pub use self::state::Account;
