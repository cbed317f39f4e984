//! `explain` over a real run: an order is found by each of its names, and what is said of it is what the rows say.

use penstock_ops::explain::{Found, Story, ask, several};
use penstock_store::ClusterRole;
use penstock_store::testing::{SUPERUSER_LOGIN, TestPair};
use penstock_store_decision::explain::{Chain, Subject};
use penstock_types::Decimal;
use sqlx::PgPool;

/// An entry that was filled, whose position is closed: its names.
#[derive(Debug, sqlx::FromRow)]
struct Names {
    order_id: i64,
    cl_ord_id: String,
    exchange_order_id: String,
    decision_id: String,
    position_id: i64,
    evaluation_id: i64,
}

async fn names(pool: &PgPool) -> Names {
    sqlx::query_as(
        "select o.order_id, o.cl_ord_id::text as cl_ord_id, o.exchange_order_id, i.decision_id,
             p.position_id, o.evaluation_id
         from positions p join execution_orders o on o.order_id = p.entry_order_id
         join order_intents i on i.cl_ord_id = o.cl_ord_id
         where p.status = 'closed' order by o.order_id limit 1",
    )
    .fetch_one(pool)
    .await
    .unwrap()
}

async fn one(pool: &PgPool, name: &str) -> (Chain, Story) {
    match ask(pool, name).await.unwrap() {
        Found::One(chain, story) => (*chain, story),
        other => panic!("{name}: {other:?}"),
    }
}

/// A number as the story writes it.
async fn number(pool: &PgPool, query: &'static str, id: i64) -> String {
    let value: Decimal = sqlx::query_scalar(query).bind(id).fetch_one(pool).await.unwrap();
    value.normalize().to_string()
}

/// Numbers of rows, each with the link that has to say it.
const NUMBERS: [(&str, &str); 9] = [
    (
        "cycle",
        "select state_age_ms::numeric from evaluation_cycles where evaluation_id = (select evaluation_id from execution_orders where order_id = $1)",
    ),
    (
        "cycle",
        "select (visible_generation_id - cycle_generation_id)::numeric from evaluation_cycles where evaluation_id = (select evaluation_id from execution_orders where order_id = $1)",
    ),
    ("frame", "select quote_tick_id::numeric from execution_orders where order_id = $1"),
    (
        "risk",
        "select r.sized_qty from risk_verdicts r join order_intents i using (decision_id) where i.order_intent_id = 'oi_' || $1::bigint",
    ),
    (
        "risk",
        "select r.adjusted_min_edge_bps from risk_verdicts r join order_intents i using (decision_id) where i.order_intent_id = 'oi_' || $1::bigint",
    ),
    ("order", "select limit_price from execution_orders where order_id = $1"),
    ("order", "select avg_price from execution_orders where order_id = $1"),
    ("fills", "select price from fills where order_id = $1 order by fill_id limit 1"),
    (
        "result",
        "select r.net_quote from realized_pnl r join positions p using (position_id) where p.entry_order_id = $1 order by r.id limit 1",
    ),
];

/// Everything about `explain` that a real run can show.
pub(crate) async fn check(pair: &TestPair) {
    let pool = pair.pool(ClusterRole::Decision, "observer_ro").await.unwrap();
    let names = names(&pool).await;
    let (chain, story) = one(&pool, &names.order_id.to_string()).await;
    println!("{}", story.text());
    is_what_the_rows_say(&pool, &names, &chain, &story).await;
    every_name_leads_to_it(&pool, &names, &story).await;
    the_stop_leads_to_its_entry(&pool, &names).await;
    pool.close().await;
    an_ambiguous_prefix_lists_its_matches(pair, &names).await;
}

async fn is_what_the_rows_say(pool: &PgPool, names: &Names, chain: &Chain, story: &Story) {
    let part = |title: &str| {
        let part = story.parts.iter().find(|part| part.title == title);
        part.unwrap_or_else(|| panic!("{title}: {}", story.text())).sentences.join("\n")
    };
    for (title, query) in NUMBERS {
        let number = number(pool, query, names.order_id).await;
        assert!(part(title).contains(&number), "{title} without {number}: {}", part(title));
    }
    let count = |query: &'static str| async move {
        let n: i64 = sqlx::query_scalar(query).bind(names.order_id).fetch_one(pool).await.unwrap();
        usize::try_from(n).unwrap()
    };
    let events = count("select count(*) from execution_order_events where order_id = $1").await;
    assert_eq!((chain.events.len(), part("events").lines().count()), (events, events));
    let places: Vec<i32> = chain.events.iter().map(|event| event.event_seq).collect();
    assert!(places.is_sorted() && places.first() == Some(&1), "{places:?}");
    let fills = count("select count(*) from fills where order_id = $1").await;
    assert_eq!((chain.fills.len(), part("fills").lines().count()), (fills, fills));
    let filled: Decimal = chain.fills.iter().map(|fill| fill.qty).sum();
    assert_eq!(Some(filled), chain.order.as_ref().map(|order| order.cum_qty));
    assert!(part("decision").contains(&names.decision_id), "{}", part("decision"));
    let candidate = chain.candidate.as_ref().unwrap();
    let limiter = candidate.limiter.as_deref().expect("the cap that decided the size is stored");
    let said = part("risk");
    let is_said = match limiter {
        "request" => said.contains("no cap reduced it"),
        "floor" => said.contains("least size"),
        other => said.contains(other),
    };
    assert!(is_said, "{limiter}: {said}");
    assert_eq!(chain.cycle.as_ref().unwrap().evaluation_id, names.evaluation_id);
    assert_eq!(chain.position.as_ref().unwrap().position_id, names.position_id);
    let is_role = |role: &str| chain.related.iter().any(|order| order.role == role);
    assert!(is_role("protection") && chain.plan.is_some(), "{}", story.text());
    assert_eq!(story.missing, Vec::<String>::new(), "{}", story.text());
}

async fn every_name_leads_to_it(pool: &PgPool, names: &Names, story: &Story) {
    let intent = format!("oi_{}", names.order_id);
    for name in [names.cl_ord_id.as_str(), names.exchange_order_id.as_str(), intent.as_str()] {
        assert_eq!(&one(pool, name).await.1, story, "{name}");
    }
    let digits = names.decision_id.strip_prefix("dec_").unwrap();
    for name in [names.decision_id.as_str(), digits, &digits[..12]] {
        let (_, of_decision) = one(pool, name).await;
        assert_eq!(of_decision.parts, story.parts, "{name}");
        assert!(of_decision.subject.contains(&names.decision_id), "{}", of_decision.subject);
    }
    for name in [&digits[..11], "0", "nothing", ""] {
        let found = ask(pool, name).await.unwrap();
        assert!(matches!(found, Found::Nothing), "{name}: {found:?}");
    }
}

async fn the_stop_leads_to_its_entry(pool: &PgPool, names: &Names) {
    let stop: i64 = sqlx::query_scalar(
        "select min(order_id) from execution_orders where position_id = $1 and role = 'protection'",
    )
    .bind(names.position_id)
    .fetch_one(pool)
    .await
    .unwrap();
    let (chain, story) = one(pool, &stop.to_string()).await;
    assert_eq!(chain.entry.as_ref().map(|entry| entry.order_id), Some(names.order_id));
    assert_eq!(chain.order.as_ref().map(|order| order.order_id), Some(stop));
    let text = story.text();
    assert!(text.contains(&format!("entry {}", names.order_id)), "{text}");
    assert!(text.contains(&names.decision_id), "{text}");
}

/// On a copy: another decision begins with the same digits.
async fn an_ambiguous_prefix_lists_its_matches(pair: &TestPair, names: &Names) {
    let copy = pair.copy().await.unwrap();
    let pool = copy.pool(ClusterRole::Decision, SUPERUSER_LOGIN).await.unwrap();
    let digits = names.decision_id.strip_prefix("dec_").unwrap();
    let twin = format!("dec_{}{}", &digits[..20], "0".repeat(44));
    sqlx::query(
        "insert into decisions (decision_id, evaluation_id, symbol, version, strategy, route,
             horizon, edge_score_x10000, edge_bps_expected, reasons, snapshot_hash, stage,
             contracts_version, created_at, decision)
         select $2, 0, symbol, 0, strategy, route, horizon, edge_score_x10000, edge_bps_expected,
             reasons, snapshot_hash, stage, contracts_version, created_at, decision
         from decisions where decision_id = $1",
    )
    .bind(&names.decision_id)
    .bind(&twin)
    .execute(&pool)
    .await
    .unwrap();
    let Found::Several(subjects) = ask(&pool, &digits[..12]).await.unwrap() else {
        panic!("one prefix, two decisions");
    };
    assert_eq!(subjects.len(), 2);
    let said = several(&digits[..12], &subjects);
    assert!(said.contains(&names.decision_id) && said.contains(&twin), "{said}");
    let (_, story) = one(&pool, &twin).await;
    assert!(story.text().contains("There is no evaluation behind it."), "{}", story.text());
    assert!(story.text().contains("There is no order of it"), "{}", story.text());
    assert!(matches!(subjects[0], Subject::Decision(_)));
    pool.close().await;
}
