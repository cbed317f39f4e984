-- What a decision saw, said and was told: selections, snapshots, decisions, the AI gate, the verdict of
-- risk; the audit trail's second home, alerts, health, days and recoveries. New objects and one view
-- that now finds its decision: milliseconds.

create table audit_events (
    day date not null,
    session_id uuid not null,
    seq bigint not null check (seq > 0),
    ts timestamptz not null,
    local_received_at timestamptz not null,
    exchange_ts timestamptz,
    run_id bigint not null,
    cycle_id bigint not null,
    mode text not null check (mode = 'LIVE'),
    stage text not null check (stage_ok(stage)),
    event_type text not null check (event_ok(event_type)),
    reasons text[] not null check (reasons_ok(reasons)),
    snapshot_id bigint not null,
    generation_id bigint not null,
    epoch_id bigint not null,
    tick_id bigint not null,
    decision_id text not null,
    order_intent_id text not null,
    symbol text not null,
    data jsonb not null,
    line_hash text not null check (line_hash ~ '^[0-9a-f]{64}$'),
    primary key (day, session_id, seq)
) partition by range (day);
create index audit_events_type on audit_events (event_type, ts);
create index audit_events_cycle on audit_events (cycle_id) where cycle_id <> 0;
create index audit_events_decision on audit_events (decision_id) where decision_id <> '';
create index audit_events_intent on audit_events (order_intent_id) where order_intent_id <> '';

create table alerts (
    alert_id bigint generated always as identity primary key,
    source text not null check (source in ('execution', 'ingest')),
    severity text not null check (severity in ('INFO', 'WARN', 'CRIT')),
    primary_reason text not null check (reasons_ok(array[primary_reason])),
    reasons text[] not null check (reasons_ok(reasons) and cardinality(reasons) > 0),
    symbol text not null default '',
    stage text not null check (stage_ok(stage)),
    sys_mode text not null check (sys_mode in ('NORMAL', 'DEGRADE', 'PAUSE', 'EXIT')),
    summary text not null,
    metrics jsonb not null default '{}',
    count bigint not null default 1 check (count > 0),
    first_ts timestamptz not null,
    last_ts timestamptz not null,
    run_id bigint not null default 0,
    cycle_id bigint not null default 0,
    decision_id text not null default '',
    order_intent_id text not null default '',
    delivered text[] not null default '{}',
    cleared_at timestamptz
);
create unique index alerts_open on alerts (source, primary_reason, symbol) where cleared_at is null;
create index alerts_last on alerts (last_ts desc);

create table cycle_selections (
    evaluation_id bigint primary key,
    ts timestamptz not null,
    topn jsonb not null,
    topk_pre text[] not null,
    topk_final text[] not null,
    churn_guard_applied boolean not null,
    correlation_applied boolean not null,
    max_pairwise_corr_x10000 int not null check (max_pairwise_corr_x10000 between -10000 and 10000),
    corr_pairs jsonb not null,
    config_hash text not null
);

create table decision_snapshots (
    evaluation_id bigint not null,
    symbol text not null,
    snapshot_hash text not null check (snapshot_hash ~ '^[0-9a-f]{64}$'),
    created_at timestamptz not null,
    snapshot jsonb not null,
    primary key (evaluation_id, symbol)
);

create table decisions (
    decision_id text primary key check (decision_id ~ '^dec_[0-9a-f]{64}$'),
    evaluation_id bigint not null,
    symbol text not null,
    version smallint not null check (version in (0, 1)),
    parent_decision_id text references decisions,
    strategy text not null check (strategy in ('Liquidity', 'Momentum', 'Volume')),
    route text not null,
    horizon text not null check (horizon in ('Short', 'Medium', 'Long')),
    edge_score_x10000 int not null check (edge_score_x10000 between 0 and 10000),
    edge_bps_expected int not null,
    reasons text[] not null check (reasons_ok(reasons) and cardinality(reasons) > 0),
    snapshot_hash text not null,
    stage text not null check (stage_ok(stage)),
    contracts_version text not null,
    created_at timestamptz not null,
    decision jsonb not null,
    unique (evaluation_id, symbol, version),
    check ((version = 0) = (parent_decision_id is null))
);

create table ai_gate_events (
    decision_id text not null references decisions,
    attempt smallint not null check (attempt between 0 and 2),
    evaluation_id bigint not null,
    ts timestamptz not null,
    enabled boolean not null,
    verdict text not null check (verdict in ('ALLOW', 'BLOCK', 'MODIFY', 'ERROR')),
    reasons text[] not null check (reasons_ok(reasons) and cardinality(reasons) > 0),
    model text not null,
    latency_ms int not null check (latency_ms >= 0),
    snapshot_hash text not null,
    input_hash text not null,
    prompt_hash text not null,
    raw_hash text not null,
    request_json_redacted text,
    response_json_redacted text,
    modified_decision_json_redacted text,
    modify_applied boolean not null,
    error_code text check (reasons_ok(array[error_code])),
    error_detail_redacted text not null default '' check (length(error_detail_redacted) <= 200),
    primary key (decision_id, attempt),
    check ((attempt = 0) = (not enabled)),
    check (not modify_applied or verdict = 'MODIFY'),
    check (enabled = (input_hash <> ''))
);
create index ai_gate_events_ts on ai_gate_events (ts desc);

create table risk_verdicts (
    decision_id text primary key references decisions,
    evaluation_id bigint not null,
    ts timestamptz not null,
    verdict text not null check (verdict in ('ALLOW', 'BLOCK')),
    reasons text[] not null check (reasons_ok(reasons)),
    limits jsonb not null,
    counters jsonb not null,
    costs jsonb not null,
    adjusted_min_edge_bps numeric(12,4) not null,
    multiplier_x10000 int not null check (multiplier_x10000 >= 10000),
    sized_qty numeric(28,12) not null,
    sized_quote numeric(26,10) not null,
    check ((verdict = 'BLOCK') = (cardinality(reasons) > 0))
);

create table health_samples (
    session_id uuid not null,
    ts timestamptz not null,
    disk_free_bytes bigint not null,
    db_bytes bigint not null,
    wal_bytes bigint not null,
    jsonl_bytes bigint not null,
    queue_len int not null,
    queue_pct_x10000 int not null,
    lag_ms bigint not null,
    rss_bytes bigint not null,
    cpu_pct_x10000 int not null,
    events_per_min bigint not null,
    drops_per_min bigint not null,
    rest_counter numeric(9,6) not null,
    engine_counter_max numeric(9,6) not null,
    primary key (session_id, ts)
);

create table daily_summary (
    day date primary key,
    created_at timestamptz not null,
    late boolean not null,
    trades int not null,
    wins int not null,
    losses int not null,
    gross_pnl_quote numeric(26,10) not null,
    fees_quote numeric(26,10) not null,
    net_pnl_quote numeric(26,10) not null,
    slippage_bps_avg numeric(12,4),
    max_drawdown_quote numeric(26,10) not null,
    maker_ratio_x10000 int,
    blocks_by_code jsonb not null,
    dust_value_quote numeric(26,10) not null,
    uptime_s_by_mode jsonb not null,
    fill_to_protection_ms_p50 int,
    fill_to_protection_ms_p99 int,
    fill_to_protection_ms_max int,
    uncovered_seconds numeric(12,3) not null,
    check (net_pnl_quote = gross_pnl_quote - fees_quote)
);

create table startup_recoveries (
    session_id uuid primary key references execution_sessions,
    ts timestamptz not null,
    class text not null check (class in ('CLEAN', 'RESUME_MANAGE_ONLY', 'CLOSE_SAFELY',
        'PAUSE_NEEDS_MANUAL')),
    orders_found int not null,
    positions_found int not null,
    orders_resolved int not null,
    report jsonb not null
);

create view v_ai_gate_events as
select
  a.ts, floor(extract(epoch from a.ts) * 1000)::bigint as ts_ms, e.session_id,
  coalesce(e.run_id, 0) as run_id, a.evaluation_id as cycle_id, 'LIVE'::text as mode, e.sys_mode,
  'AIGATE_CALL'::text as stage, d.symbol, d.strategy, d.route,
  coalesce(e.snapshot_id, 0) as snapshot_id, coalesce(e.epoch_id, 0) as epoch_id,
  coalesce(e.cycle_generation_id, 0) as generation_id, a.decision_id, a.attempt, a.enabled,
  a.verdict, a.reasons, a.model, a.latency_ms, a.snapshot_hash, a.input_hash, a.prompt_hash,
  a.raw_hash, a.request_json_redacted, a.response_json_redacted, a.modified_decision_json_redacted,
  a.modify_applied, m.decision_id as modified_decision_id, a.error_code, a.error_detail_redacted,
  r.verdict as risk_verdict, r.reasons as risk_reasons
from ai_gate_events a
join decisions d on d.decision_id = a.decision_id
left join evaluation_cycles e on e.evaluation_id = a.evaluation_id
left join decisions m on m.parent_decision_id = a.decision_id and a.modify_applied
left join risk_verdicts r on r.decision_id = coalesce(m.decision_id, a.decision_id);

create or replace view order_intents as
select
  'oi_' || o.order_id as order_intent_id, d.decision_id, o.position_id,
  o.evaluation_id, o.symbol, o.role, o.cl_ord_id, o.exchange_order_id,
  case
    when o.state in ('created', 'pending_submit') then 'CREATED'
    when o.state in ('submit_unknown', 'suspect', 'reconcile_required') then 'SENT_UNKNOWN'
    when o.state in ('acked_open', 'partially_filled', 'pending_cancel', 'filled', 'canceled',
        'expired') then 'CONFIRMED'
    when o.state = 'lost_or_rejected' then 'NOT_FOUND'
    when o.state in ('rejected', 'error') then 'FAILED_TERMINAL'
  end as state,
  o.state as order_state, o.state_reason, o.parent_order_id, o.created_at, o.updated_at,
  coalesce(r.reserved_quote, 0)::numeric(26,10) as reserve_quote
from execution_orders o
left join capital_reservations r on r.order_id = o.order_id and r.released_at is null
left join lateral (
  select d.decision_id from decisions d
  where d.evaluation_id = o.evaluation_id and d.symbol = o.symbol
  order by d.version desc limit 1
) d on true;

grant select, insert on audit_events, cycle_selections, decision_snapshots, decisions,
    ai_gate_events, risk_verdicts, health_samples, daily_summary, startup_recoveries to exec_rw;
grant select, insert, update on alerts to exec_rw;

insert into schema_compat (set_name, version, min_binary_schema) values ('decision', 9, 6)
  on conflict do nothing;
