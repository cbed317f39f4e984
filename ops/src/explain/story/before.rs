//! Frame, generation, cycle, candidate, snapshot, decision, AI gate, risk.
//!
//! Input: the chain. Output: their parts of the story. It judges nothing.

use penstock_store_decision::explain::{Answer, Candidate, Chain, Cycle, Decision, Verdict};

use super::{Story, at, codes, number, or_unknown, text};

/// Milliseconds of a tick.
const TICK_MS: i64 = 250;

pub(super) fn tell(chain: &Chain, story: &mut Story) {
    if let Some(entry) = &chain.entry {
        story.part(
            "entry",
            vec![format!(
                "It belongs to the entry {} ({}, {}); what follows up to risk is the entry's.",
                entry.order_id, entry.role, entry.state
            )],
        );
    }
    frame(chain, story);
    match &chain.cycle {
        Some(cycle) => story.part("cycle", of_cycle(chain, cycle)),
        None => story.lacks("cycle", "no evaluation behind it"),
    }
    match &chain.candidate {
        Some(candidate) => story.part("candidate", vec![of_candidate(candidate)]),
        None => story.lacks("candidate", "no stored candidate"),
    }
    match &chain.snapshot {
        Some(snapshot) => story.part(
            "snapshot",
            vec![format!("{} was built {}.", snapshot.snapshot_hash, at(snapshot.created_at))],
        ),
        None => story.lacks("snapshot", "no decision snapshot"),
    }
    if chain.decisions.is_empty() {
        story.lacks("decision", "no decision row");
    } else {
        story.part("decision", chain.decisions.iter().map(of_decision).collect());
    }
    if chain.answers.is_empty() {
        story.lacks("AI gate", "no record of the AI gate");
    } else {
        story.part("AI gate", chain.answers.iter().map(of_answer).collect());
    }
    match &chain.verdict {
        Some(verdict) => story.part("risk", of_verdict(chain, verdict)),
        None => story.lacks("risk", "no verdict of risk"),
    }
}

fn frame(chain: &Chain, story: &mut Story) {
    let Some(frame) = &chain.frame else {
        let tick = chain.entry.as_ref().or(chain.order.as_ref()).and_then(|o| o.quote_tick_id);
        return match tick {
            Some(tick) => story.lacks("frame", &format!("no frame of tick {tick} any more")),
            None => story.lacks("frame", "no frame that priced it"),
        };
    };
    let mut said = vec![format!(
        "Tick {} (frame {}) carried the quote; it was published {}, {} ms after its end; SHA-256 {}.",
        frame.tick_id,
        frame.frame_seq,
        at(frame.published_at),
        frame.seal_lag_ms,
        frame.sha256
    )];
    if let Some(order) = chain.entry.as_ref().or(chain.order.as_ref()) {
        // The tick's last moment, on the wall clock that numbers ticks.
        let end_ms = frame.tick_id.saturating_add(1).saturating_mul(TICK_MS);
        let age_ms = order.created_at.timestamp_millis().saturating_sub(end_ms);
        said.push(format!("The quote was {age_ms} ms old when the order's row was made."));
    }
    story.part("frame", said);
}

fn of_cycle(chain: &Chain, cycle: &Cycle) -> Vec<String> {
    let id = |id: Option<i64>| id.map_or_else(|| "none".to_owned(), |id| id.to_string());
    let lag = match (cycle.generation_id, cycle.visible_generation_id) {
        (Some(bound), Some(visible)) => format!("{} generations", visible.saturating_sub(bound)),
        (None, _) | (_, None) => "unknown".to_owned(),
    };
    let ms = |ms: Option<i32>| ms.map_or_else(|| "unknown".to_owned(), |ms| format!("{ms} ms"));
    let epoch = chain.epoch.as_ref().map_or_else(
        || "which is not stored".to_owned(),
        |epoch| match epoch.completed_at {
            Some(judged) => {
                let age = cycle.started_at.signed_duration_since(judged).num_seconds();
                format!("{}, judged {age} s before", epoch.status)
            }
            None => epoch.status.clone(),
        },
    );
    vec![
        format!(
            "Evaluation {} (number {} of session {}) began {} for {}, in mode {}.",
            cycle.evaluation_id,
            cycle.evaluation_index,
            cycle.session_id,
            at(cycle.started_at),
            cycle.trigger,
            cycle.sys_mode
        ),
        format!(
            "It read run {}, generation {}, epoch {} ({epoch}), universe {}; the state was {} old.",
            id(cycle.run_id),
            id(cycle.generation_id),
            id(cycle.epoch_id),
            id(cycle.snapshot_id),
            ms(cycle.state_age_ms)
        ),
        format!(
            "At its last look generation {} was visible, a lag of {lag}; deciding took {}, read to submit {}; verdict {}.",
            id(cycle.visible_generation_id),
            ms(cycle.route_build_ms),
            ms(cycle.pipeline_ms),
            text(cycle.verdict.as_deref())
        ),
    ]
}

fn of_candidate(c: &Candidate) -> String {
    let rank = c.rank.map_or_else(|| "no finalist".to_owned(), |rank| format!("finalist {rank}"));
    format!(
        "{} by {} ({}, {}) in {}, {rank}: expected move {} bps, edge {} bps, surplus {} bps, probability of a fill {}, confidence {}, score {}; blocker {}.",
        c.strategy,
        text(c.route_type.as_deref()),
        text(c.horizon.as_deref()),
        text(c.entry_mode.as_deref()),
        text(c.regime.as_deref()),
        or_unknown(c.expected_move_bps),
        or_unknown(c.edge_bps),
        or_unknown(c.surplus_bps),
        or_unknown(c.p_fill),
        or_unknown(c.confidence),
        or_unknown(c.score),
        c.blocker.as_deref().unwrap_or("none"),
    )
}

fn of_decision(d: &Decision) -> String {
    let what = if d.version == 0 { "was proposed" } else { "was made of it by the AI gate" };
    format!(
        "{} {what} {}: {} by {} ({}), expected edge {} bps, edge score {} of 10000, from snapshot {}; {}.",
        d.decision_id,
        at(d.created_at),
        d.strategy,
        d.route,
        d.horizon,
        d.edge_bps_expected,
        d.edge_score_x10000,
        d.snapshot_hash,
        codes(&d.reasons)
    )
}

fn of_answer(a: &Answer) -> String {
    if !a.enabled {
        return format!("It was off ({}): {}.", a.verdict, codes(&a.reasons));
    }
    let change = if a.modify_applied { "; its change was carried out" } else { "" };
    let error = a.error_code.as_ref().map_or_else(String::new, |code| format!("; failed: {code}"));
    format!(
        "Attempt {} to {} answered {} in {} ms: {}{change}{error}.",
        a.attempt,
        a.model,
        a.verdict,
        a.latency_ms,
        codes(&a.reasons)
    )
}

fn of_verdict(chain: &Chain, v: &Verdict) -> Vec<String> {
    let sized = chain.candidate.as_ref();
    let limiter = sized.and_then(|c| c.limiter.as_deref());
    let mut said = vec![
        format!(
            "{} for {}: {}; least edge {} bps (multiplier {} of 10000).",
            v.verdict,
            v.decision_id,
            if v.reasons.is_empty() { "no rule was hit".to_owned() } else { codes(&v.reasons) },
            number(v.adjusted_min_edge_bps),
            v.multiplier_x10000
        ),
        format!(
            "Asked for {} quote, granted {} quote; {}. Sized: {} base, {} quote.",
            or_unknown(sized.and_then(|c| c.size_quote_requested)),
            or_unknown(sized.and_then(|c| c.size_quote_approved)),
            limiter.map_or_else(|| "which cap decided the size was not stored".to_owned(), decided),
            number(v.sized_qty),
            number(v.sized_quote)
        ),
    ];
    // Limits and counters stand in two objects, their names in one of them each.
    let limit = |name: &str| {
        let text = v.limits[name].as_str().or_else(|| v.counters[name].as_str());
        let value = text.and_then(|text| text.parse::<penstock_types::Decimal>().ok());
        or_unknown(value)
    };
    said.push(format!(
        "Caps: symbol {} quote (in use {}), total {} quote (in use {}), risk of a trade {} quote, equity {} quote.",
        limit("max_exposure_symbol_quote"),
        limit("exposure_symbol_quote"),
        limit("max_exposure_total_quote"),
        limit("exposure_total_quote"),
        limit("risk_per_trade_quote"),
        limit("equity_quote")
    ));
    said
}

/// The cap that decided the size, in words.
fn decided(limiter: &str) -> String {
    match limiter {
        "request" => "no cap reduced it".to_owned(),
        "floor" => "it was raised to the least size that can be sold again".to_owned(),
        other => format!("the cap `{other}` decided it"),
    }
}
