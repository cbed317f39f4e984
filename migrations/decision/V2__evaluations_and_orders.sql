-- Sessions, modes, evaluations, positions and orders. The partial unique indexes carry the rule
-- of one live entry, one open position, one live protection and one live reduce order.
-- New objects only: milliseconds.

create table execution_sessions (
    session_id uuid primary key,
    domain text not null,
    mode text not null check (mode in ('attach', 'once', 'proof')),
    fencing_token bigint not null,
    host text not null,
    pid int not null,
    git_commit text not null,
    git_dirty boolean not null,
    config_hash text not null,
    started_at timestamptz not null,
    attached_at timestamptz,
    ended_at timestamptz,
    end_reason text,
    bound_lineage_id uuid,
    bound_run_id bigint,
    last_evaluation_index bigint not null default 0
);

create table sys_mode_log (
    id bigint generated always as identity primary key,
    session_id uuid not null references execution_sessions,
    ts timestamptz not null,
    evaluation_index bigint,
    mode_from text check (mode_from in ('NORMAL', 'DEGRADE', 'PAUSE')),
    mode_to text not null check (mode_to in ('NORMAL', 'DEGRADE', 'PAUSE', 'EXIT')),
    reasons text[] not null,
    trigger_values jsonb not null default '{}',
    check (mode_from is distinct from mode_to),
    check (mode_to = 'NORMAL' or cardinality(reasons) > 0)
);
create index sys_mode_log_session on sys_mode_log (session_id, id desc);

create table evaluation_cycles (
    evaluation_id bigint generated always as identity primary key,
    session_id uuid not null references execution_sessions,
    evaluation_index bigint not null,
    trigger text not null check (trigger in ('generation', 'regime', 'stale', 'manual')),
    started_at timestamptz not null,
    ended_at timestamptz,
    run_id bigint,
    lineage_id uuid,
    epoch_id bigint,
    snapshot_id bigint,
    cycle_generation_id bigint,
    visible_generation_id bigint,
    state_age_ms int,
    engine_tick_id bigint,
    engine_chain bytea check (octet_length(engine_chain) = 8),
    sys_mode text not null check (sys_mode in ('NORMAL', 'DEGRADE', 'PAUSE')),
    system_live_ready boolean,
    block_type text,
    matrix jsonb,
    symbols_total int,
    exec_allowed_count int,
    routes_evaluated int,
    routes_stale int,
    execute_count int not null default 0,
    skip_count int not null default 0,
    dominant_blocker text,
    blocker_counts jsonb,
    verdict text check (verdict in ('executed', 'economically_empty', 'data_blocked',
        'attach_blocked', 'mode_blocked', 'error')),
    duration_ms int,
    route_build_ms int,
    pipeline_ms int,
    unique (session_id, evaluation_index)
);

create table evaluation_candidates (
    day date not null,
    evaluation_id bigint not null,
    symbol text not null,
    ordinal smallint not null,
    strategy text not null,
    route_type text,
    horizon text,
    entry_mode text,
    exit_policy text,
    rank smallint,
    decision text not null check (decision in ('execute', 'skip', 'shadow')),
    stage text not null,
    blocker text,
    reasons text[] not null default '{}',
    why_lost jsonb,
    regime text,
    engine_tick_id bigint,
    engine_chain bytea check (octet_length(engine_chain) = 8),
    expected_move_bps numeric(12,4),
    capturable_move_bps numeric(12,4),
    fee_entry_bps numeric(12,4),
    fee_exit_bps numeric(12,4),
    slip_entry_bps numeric(12,4),
    slip_exit_bps numeric(12,4),
    spread_net_bps numeric(12,4),
    tsl_drag_bps numeric(12,4),
    exit_drag_bps numeric(12,4),
    wait_risk_bps numeric(12,4),
    edge_bps numeric(12,4),
    surplus_bps numeric(12,4),
    p_fill numeric(9,6),
    confidence numeric(9,6),
    score numeric(18,8),
    size_quote_requested numeric(26,10),
    size_quote_approved numeric(26,10),
    inputs jsonb not null,
    primary key (day, evaluation_id, symbol, ordinal)
) partition by range (day);

create table positions (
    position_id bigint generated always as identity primary key,
    symbol text not null,
    side text not null default 'long' check (side = 'long'),
    status text not null check (status in ('open', 'closing', 'closed', 'dust')),
    origin text not null check (origin in ('strategy', 'external', 'recovered')),
    entry_order_id bigint,
    strategy text,
    route_type text,
    horizon text,
    regime_at_entry text,
    opened_at timestamptz not null,
    closed_at timestamptz,
    base_qty numeric(28,12) not null check (base_qty >= 0),
    cost_basis_quote numeric(26,10) not null,
    avg_entry_price numeric(24,12),
    peak_price numeric(24,12),
    trough_price numeric(24,12),
    realized_quote numeric(26,10) not null default 0,
    open_entry_fees_quote numeric(26,10) not null default 0,
    fees_quote numeric(26,10) not null default 0,
    ledger_seq int not null default 0,
    protected_qty numeric(28,12) not null default 0,
    version int not null default 0,
    updated_at timestamptz not null,
    check ((status = 'closed') = (closed_at is not null)),
    check (status <> 'closed' or base_qty = 0)
);
create unique index positions_one_open on positions (symbol) where status in ('open', 'closing');

create table execution_orders (
    order_id bigint generated always as identity primary key,
    cl_ord_id uuid not null unique check (get_byte(uuid_send(cl_ord_id), 6) >> 4 = 8 and
        substr(uuid_send(cl_ord_id), 9, 2) = '\x8000'),
    exchange text not null default 'kraken',
    exchange_order_id text unique,
    session_id uuid not null references execution_sessions,
    fencing_token bigint not null,
    run_id bigint,
    lineage_id uuid,
    epoch_id bigint,
    snapshot_id bigint,
    generation_id bigint,
    engine_tick_id bigint,
    engine_chain bytea check (octet_length(engine_chain) = 8),
    evaluation_id bigint references evaluation_cycles,
    symbol text not null,
    side text not null check (side in ('buy', 'sell')),
    role text not null check (role in ('entry', 'protection', 'exit', 'exit_tp', 'dust_topup',
        'proof')),
    parent_order_id bigint references execution_orders,
    position_id bigint references positions,
    strategy text,
    route_type text,
    horizon text,
    regime text,
    regime_sub text,
    execution_intent text check (execution_intent in ('MakerEntry', 'TakerEntry', 'TakerExit',
        'MakerExit', 'Protection')),
    queue_decision text check (queue_decision in ('join', 'improve')),
    exit_policy text,
    exit_reason text,
    order_type text not null check (order_type in ('limit', 'market', 'stop-loss',
        'stop-loss-limit', 'trailing-stop')),
    tif text not null check (tif in ('gtc', 'gtd', 'ioc')),
    post_only boolean not null default false,
    limit_price numeric(24,12),
    trigger_price numeric(24,12),
    trigger_ref text,
    qty numeric(28,12) not null check (qty > 0),
    deadline_at timestamptz,
    expire_at timestamptz,
    decision_mid numeric(24,12),
    expected_move_bps numeric(12,4),
    expected_edge_bps numeric(12,4),
    expected_surplus_bps numeric(12,4),
    expected_slippage_bps numeric(12,4),
    quote_tick_id bigint,
    quote_seq bigint,
    p_fill numeric(9,6),
    est_fill_time_ms int,
    queue_ahead_quote numeric(26,10),
    size_quote_requested numeric(26,10),
    size_quote_approved numeric(26,10),
    state text not null check (state in ('created', 'pending_submit', 'submit_unknown',
        'acked_open', 'partially_filled', 'pending_cancel', 'filled', 'canceled', 'expired',
        'rejected', 'suspect', 'reconcile_required', 'lost_or_rejected', 'error')),
    state_reason text,
    state_since timestamptz not null,
    terminal boolean generated always as (state in ('filled', 'canceled', 'expired', 'rejected',
        'lost_or_rejected', 'error')) stored,
    cum_qty numeric(28,12) not null default 0,
    cum_cost numeric(26,10) not null default 0,
    avg_price numeric(24,12),
    fee_quote numeric(26,10) not null default 0,
    event_seq int not null default 0,
    version int not null default 0,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    check (('x' || encode(substr(uuid_send(cl_ord_id), 11, 4), 'hex'))::bit(32)::bigint =
        fencing_token),
    check (role not in ('entry', 'proof') or (generation_id is not null and epoch_id is not null
        and snapshot_id is not null and evaluation_id is not null and regime is not null and
        quote_tick_id is not null)),
    check (order_type <> 'limit' or limit_price is not null),
    check (tif <> 'gtd' or expire_at is not null),
    check (state <> 'created' or (role = 'protection' and (position_id is not null or
        parent_order_id is not null)) or (role = 'exit' and position_id is not null)),
    check (role not in ('protection', 'exit', 'exit_tp') or (side = 'sell' and (position_id is not
        null or state in ('created', 'error')))),
    check (role <> 'protection' or order_type = 'trailing-stop' or trigger_price is not null)
);
create index execution_orders_live on execution_orders (symbol) where not terminal and state <>
    'created';
create unique index execution_orders_one_entry on execution_orders (symbol) where role in
    ('entry', 'proof') and not terminal and state_reason is distinct from 'resurrected';
create unique index execution_orders_one_protection on execution_orders (position_id) where role =
    'protection' and not terminal and state <> 'created' and state_reason is distinct from
    'resurrected';
create unique index execution_orders_one_reduce on execution_orders (position_id) where role in
    ('protection', 'exit', 'exit_tp') and not terminal and state not in ('created',
    'pending_cancel');
create unique index execution_orders_standby_entry on execution_orders (parent_order_id) where
    state = 'created' and position_id is null;
create unique index execution_orders_standby_position on execution_orders (position_id, role)
    where state = 'created' and position_id is not null;
create index execution_orders_created on execution_orders (created_at desc);
alter table positions add foreign key (entry_order_id) references execution_orders;

insert into schema_compat (set_name, version, min_binary_schema) values ('decision', 2, 2)
  on conflict do nothing;
