//! Orders against the venue's requests: committed first, one each, tokens that only grow.

use super::facts::{Facts, OrderFact};
use super::report::Verdict;
use penstock_types::{FencingToken, Uuid};
use std::collections::{BTreeMap, BTreeSet};

fn rows(facts: &Facts) -> BTreeMap<Uuid, &OrderFact> {
    facts.orders.iter().map(|order| (order.cl_ord_id, order)).collect()
}

/// J1: for every order request, the row's first event was committed before the request's first byte.
pub(super) fn committed_before_first_byte(facts: &Facts) -> Verdict {
    let rows = rows(facts);
    let mut verdict = Verdict::default();
    for request in facts.requests.iter().filter(|request| request.method == "add_order") {
        for id in &request.cl_ord_ids {
            let committed = rows.get(id).and_then(|row| row.committed_at);
            verdict.check(committed.is_some_and(|at| at <= request.first_byte_at), || {
                match committed {
                    Some(at) => format!(
                        "order {id}: committed {at}, first byte at the venue {}",
                        request.first_byte_at
                    ),
                    None => format!("order {id}: the venue saw it, no committed row has its id"),
                }
            });
        }
    }
    verdict
}

/// J2: each order row has at most one order at the venue, and each of ours there has a row.
pub(super) fn one_venue_order_per_row(facts: &Facts) -> Verdict {
    let rows = rows(facts);
    let mut verdict = Verdict::default();
    let mut seen: BTreeMap<Uuid, &str> = BTreeMap::new();
    for order in &facts.venue_orders {
        let Some(id) = order.cl_ord_id else {
            verdict.check(false, || format!("venue order {} carries no client id", order.order_id));
            continue;
        };
        let first = seen.insert(id, &order.order_id);
        let named = rows.get(&id).map(|row| row.exchange_order_id.as_deref());
        let same = match named {
            Some(Some(ours)) => ours == order.order_id,
            Some(None) => true,
            None => false,
        };
        verdict.check(first.is_none() && same, || {
            format!(
                "client id {id}: venue orders {:?} and {}, row names {named:?}",
                first, order.order_id
            )
        });
    }
    verdict
}

/// J7: tokens of order requests never go back and each belongs to a session; no two sessions share one.
pub(super) fn tokens_never_go_back(facts: &Facts) -> Verdict {
    let mut verdict = Verdict::default();
    let sessions: BTreeSet<FencingToken> = facts.session_tokens.iter().copied().collect();
    if sessions.len() != facts.session_tokens.len() {
        verdict.fail(format!("two sessions share a token: {:?}", facts.session_tokens));
    }
    let rows = rows(facts);
    let mut newest = FencingToken(0);
    for request in facts.requests.iter().filter(|request| request.method == "add_order") {
        for id in &request.cl_ord_ids {
            let token = token_of(*id);
            let row_agrees = rows.get(id).is_none_or(|row| row.token == token);
            let ok = token >= newest && sessions.contains(&token) && row_agrees;
            verdict.check(ok, || {
                format!(
                    "order {id}: token {token}, newest before it {newest}, sessions {sessions:?}"
                )
            });
            newest = newest.max(token);
        }
    }
    verdict
}

/// The token that an id shows: octets 10 to 13, big endian.
fn token_of(id: Uuid) -> FencingToken {
    let bytes = id.as_bytes();
    FencingToken(i64::from(u32::from_be_bytes([bytes[10], bytes[11], bytes[12], bytes[13]])))
}
