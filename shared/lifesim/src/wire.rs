//! Requests in the venue's own terms, and what its refusals mean.
//!
//! Input: what a life asks. Output: an order of the simulated exchange, an outcome. Plain mappings.

use penstock_sim::account::{
    AddOrder, FeePreference, OrderKind, SelfTrade, TimeInForce, VenueError,
};
use penstock_sim::exchange::Side;

use crate::venue::{Answer, Ask, BTC, Refusal};

/// A new order in the venue's own terms.
pub(crate) fn add_order(ask: &Ask, client: String) -> AddOrder {
    let Ask::Add { sells, qty, limit, trigger, rests, expires, deadline } = *ask else {
        return AddOrder::new(BTC, Side::Sell, OrderKind::Market);
    };
    let side = if sells { Side::Sell } else { Side::Buy };
    let kind = match (limit, trigger) {
        (Some(_), _) => OrderKind::Limit,
        (None, Some(_)) => OrderKind::StopLoss,
        (None, None) => OrderKind::Market,
    };
    let mut order = AddOrder::new(BTC, side, kind);
    order.qty = Some(qty);
    order.limit = limit;
    order.trigger = trigger;
    order.post_only = rests;
    order.deadline_us = deadline.map(|ms| ms * 1_000);
    order.fee_preference = Some(FeePreference::Quote);
    order.self_trade = if sells { SelfTrade::CancelOldest } else { SelfTrade::CancelNewest };
    order.cl_ord_id = Some(client);
    if let Some(at) = expires {
        order.tif = TimeInForce::Gtd;
        order.expire_us = Some(at * 1_000);
    } else if sells && limit.is_some() && !rests {
        order.tif = TimeInForce::Ioc;
    }
    order
}

/// The outcome behind a refusal's text.
pub(crate) fn answer_of(error: &VenueError) -> Answer {
    match error {
        VenueError::DeadlineElapsed => Answer::Expired,
        VenueError::Unavailable => Answer::Unknown,
        VenueError::InsufficientFunds => Answer::Refused(Refusal::Funds),
        VenueError::MarketMode(_) => Answer::Refused(Refusal::Mode),
        VenueError::UnknownOrder => Answer::Refused(Refusal::UnknownOrder),
        _ => Answer::Refused(Refusal::Other),
    }
}
