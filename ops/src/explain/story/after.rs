//! The order with its events, its fills, the position and its exits.
//!
//! Input: the chain. Output: their parts of the story. It judges nothing.

use penstock_store_decision::explain::{
    Chain, Event, ExitPlan, Fill, Latency, Order, Position, Realised, RelatedOrder,
};

use super::{Story, at, number, or_unknown, text};

pub(super) fn tell(chain: &Chain, story: &mut Story) {
    let Some(order) = &chain.order else {
        return story.lacks("order", "no order of it: it was refused, or another was sent first");
    };
    story.part("order", of_order(chain, order));
    if chain.events.is_empty() {
        story.lacks("events", "no event of the order");
    } else {
        story.part("events", chain.events.iter().map(of_event).collect());
    }
    match &chain.latency {
        Some(latency) => story.part("times", vec![of_latency(latency)]),
        None => story.lacks("times", "no measured time of the order"),
    }
    if chain.fills.is_empty() {
        story.lacks("fills", "no fill of the order");
    } else {
        story.part("fills", chain.fills.iter().map(of_fill).collect());
    }
    let Some(position) = &chain.position else {
        return story.lacks("position", "no position behind the order");
    };
    story.part("position", of_position(position));
    match &chain.plan {
        Some(plan) => story.part("exit plan", of_plan(chain, plan)),
        None => story.lacks("exit plan", "no exit plan of the position"),
    }
    if chain.related.is_empty() {
        story.lacks("other orders", "no other order of the position");
    } else {
        story.part("other orders", chain.related.iter().map(of_related).collect());
    }
    if !chain.realised.is_empty() {
        story.part("result", chain.realised.iter().map(of_realised).collect());
    } else if position.status == "closed" {
        story.lacks("result", "no realised result of the closed position");
    } else {
        story.part("result", vec!["Nothing is realised yet.".to_owned()]);
    }
}

fn of_order(chain: &Chain, o: &Order) -> Vec<String> {
    let price = match (o.limit_price, o.trigger_price) {
        (Some(limit), None) => format!("limit {}", number(limit)),
        (None, Some(trigger)) => format!("trigger {}", number(trigger)),
        (Some(limit), Some(trigger)) => {
            format!("trigger {}, limit {}", number(trigger), number(limit))
        }
        (None, None) => "at market".to_owned(),
    };
    let reason = o.state_reason.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
    let mut said = vec![
        format!(
            "Order {}: {} {} {} {}, {price}, {}{}; made {} under token {}.",
            o.order_id,
            o.side,
            number(o.qty),
            o.symbol,
            o.order_type,
            o.tif,
            if o.post_only { ", post only" } else { "" },
            at(o.created_at),
            o.fencing_token
        ),
        format!(
            "It is {}{reason}: {} of {} filled at {} on average, fees {} quote.",
            o.state,
            number(o.cum_qty),
            number(o.qty),
            or_unknown(o.avg_price),
            number(o.fee_quote)
        ),
    ];
    if let (Some(mid), Some(edge)) = (o.decision_mid, o.expected_edge_bps) {
        said.push(format!(
            "It was priced at a mid of {} and expected {} bps.",
            number(mid),
            number(edge)
        ));
    }
    let bps = |name: &str, limit: Option<penstock_types::Decimal>| {
        limit.map(|limit| format!("{name} {} bps", number(limit)))
    };
    let time = o.exit_time_stop_secs.map(|secs| format!("time {secs} s"));
    let (stop, target) = (bps("stop", o.exit_sl_bps), bps("target", o.exit_tp_bps));
    let limits = [stop, target, bps("trail", o.exit_trail_bps), time];
    let limits: Vec<String> = limits.into_iter().flatten().collect();
    if !limits.is_empty() {
        said.push(format!("The AI gate demanded an exit no further than: {}.", limits.join(", ")));
    }
    if let Some(why) = &o.exit_reason {
        said.push(format!("It closes a position for {why}."));
    }
    if let Some(reserved) = &chain.reservation {
        let released = reserved.released_at.map_or_else(
            || "still reserved".to_owned(),
            |when| format!("released {} ({})", at(when), text(reserved.release_reason.as_deref())),
        );
        said.push(format!(
            "Of the entry's reservation {} quote are left, {released}.",
            number(reserved.reserved_quote)
        ));
    }
    said
}

fn of_event(e: &Event) -> String {
    let reason = e.reason.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
    let filled =
        e.cum_qty.map_or_else(String::new, |qty| format!(", {} filled so far", number(qty)));
    format!(
        "{}. {} {} from {}: {} to {}{reason}{filled}.",
        e.event_seq,
        at(e.ts_local),
        e.event_type,
        e.source,
        e.from_state.as_deref().unwrap_or("nothing"),
        e.to_state
    )
}

fn of_latency(l: &Latency) -> String {
    let ms = |us: Option<i64>| match us {
        Some(us) => format!("{}.{:03} ms", us / 1_000, (us % 1_000).abs()),
        None => "unknown".to_owned(),
    };
    format!(
        "Decision to request {}, request to acknowledgement {}, fill to acknowledged stop {}.",
        ms(l.decision_to_submit_us),
        ms(l.submit_to_ack_seen_us),
        ms(l.fill_seen_to_protection_ack_us)
    )
}

fn of_fill(f: &Fill) -> String {
    let liquidity = match f.liquidity.as_deref() {
        Some("m") => "maker",
        Some("t") => "taker",
        Some(_) | None => "unknown liquidity",
    };
    format!(
        "{} {} {} at {} ({liquidity}), fee {} quote, slippage {} bps, execution {}.",
        at(f.ts_exchange),
        f.side,
        number(f.qty),
        number(f.price),
        number(f.fee_quote),
        or_unknown(f.slippage_bps),
        f.exec_id
    )
}

fn of_position(p: &Position) -> Vec<String> {
    let closed = p.closed_at.map_or_else(String::new, |when| format!(", closed {}", at(when)));
    vec![
        format!(
            "Position {} ({}, from {}), opened {}{closed}.",
            p.position_id,
            p.status,
            p.origin,
            at(p.opened_at)
        ),
        format!(
            "{} base are left, {} covered by a stop; average entry {}; realised {} quote, fees {} quote.",
            number(p.base_qty),
            number(p.protected_qty),
            or_unknown(p.avg_entry_price),
            number(p.realized_quote),
            number(p.fees_quote)
        ),
    ]
}

fn of_plan(chain: &Chain, plan: &ExitPlan) -> Vec<String> {
    let id = |id: Option<i64>| id.map_or_else(|| "none".to_owned(), |id| id.to_string());
    let mut said = vec![
        format!(
            "{}, {}: stop {} (at the venue {}), take-profit {}, trail {} bps, time until {}.",
            plan.policy,
            plan.state,
            number(plan.sl_price),
            or_unknown(plan.stop_price_on_exchange),
            or_unknown(plan.tp_price),
            or_unknown(plan.trail_bps),
            at(plan.time_stop_at)
        ),
        format!(
            "Triggered by {}; protection order {}, closing order {}.",
            plan.trigger_reason.as_deref().unwrap_or("nothing yet"),
            id(plan.protection_order_id),
            id(plan.exit_order_id)
        ),
    ];
    let event = |e: &penstock_store_decision::explain::ExitEvent| {
        format!(
            "{} {}: {} to {}.",
            at(e.ts),
            e.kind,
            e.from_state.as_deref().unwrap_or("nothing"),
            e.to_state.as_deref().unwrap_or("the same")
        )
    };
    said.extend(chain.exit_events.iter().map(event));
    said
}

fn of_related(o: &RelatedOrder) -> String {
    let trigger =
        o.trigger_price.map_or_else(String::new, |price| format!(" at trigger {}", number(price)));
    format!(
        "Order {} ({}): {}, {} of {} filled{trigger}, average {}, venue id {}.",
        o.order_id,
        o.role,
        o.state,
        number(o.cum_qty),
        number(o.qty),
        or_unknown(o.avg_price),
        o.exchange_order_id.as_deref().unwrap_or("none")
    )
}

fn of_realised(r: &Realised) -> String {
    format!(
        "{} closed {} from {} to {}: net {} quote, {} bps, held {} s, for {}.",
        at(r.ts),
        number(r.closed_qty),
        number(r.entry_price),
        number(r.exit_price),
        number(r.net_quote),
        number(r.net_bps),
        r.hold_secs,
        text(r.exit_reason.as_deref())
    )
}
