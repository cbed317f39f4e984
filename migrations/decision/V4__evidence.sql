-- What makes a decision derivable again (its whole input and the configuration it ran with), the
-- balance movements that are no fills, the first closed gate of every symbol, and the comparisons
-- with the venue. New objects only: milliseconds.

create table exec_configs (
    config_hash text primary key check (config_hash ~ '^[0-9a-f]{64}$'),
    config jsonb not null,
    created_at timestamptz not null default clock_timestamp()
);

create table cycle_inputs (
    day date not null,
    evaluation_id bigint not null,
    config_hash text not null references exec_configs,
    input_hash text not null check (input_hash ~ '^[0-9a-f]{64}$'),
    outcome_hash text not null check (outcome_hash ~ '^[0-9a-f]{64}$'),
    input bytea not null,
    input2 bytea,
    primary key (day, evaluation_id)
) partition by range (day);

create table balance_changes (
    id bigint generated always as identity primary key,
    asset text not null,
    ts timestamptz not null,
    amount numeric(28,12) not null,
    cause text not null check (cause in ('opening', 'deposit', 'withdrawal', 'conversion', 'bust',
        'other')),
    ledger_id text unique,
    evidence jsonb not null default '{}'
);
create unique index balance_changes_one_opening on balance_changes (asset) where cause = 'opening';

create table symbol_gates (
    domain text not null,
    symbol text not null,
    gate text,
    stage text,
    reason text,
    value numeric(28,10),
    limit_value numeric(28,10),
    unit text,
    since timestamptz not null,
    evaluation_id bigint,
    all_closed text[] not null default '{}',
    primary key (domain, symbol),
    check ((gate is null) = (reason is null))
);

create table reconcile_runs (
    reconcile_id bigint generated always as identity primary key,
    session_id uuid not null,
    kind text not null check (kind in ('LIGHT', 'FULL', 'CONFIRM')),
    cause text not null default '' check (cause in ('', 'PLACE', 'AMEND', 'CANCEL', 'SWAP',
        'CLOSE', 'OVERDUE')),
    outcome text not null check (outcome in ('ok', 'diff', 'failed', 'confirmed', 'stale',
        'contradicted')),
    position_ids bigint[] not null default '{}',
    order_ids bigint[] not null default '{}',
    started_at timestamptz not null,
    dur_ms int not null,
    drift_score_x10000 int,
    calls int not null,
    check ((kind = 'CONFIRM') = (cause <> '')),
    check ((kind = 'CONFIRM') = (drift_score_x10000 is null)),
    check (outcome = 'failed' or (kind = 'CONFIRM') = (outcome in ('confirmed', 'stale',
        'contradicted')))
);
create index reconcile_runs_kind on reconcile_runs (kind, started_at desc);

create table reconcile_diffs (
    diff_id bigint generated always as identity primary key,
    reconcile_id bigint not null references reconcile_runs on delete cascade,
    ts timestamptz not null,
    diff_kind text not null check (diff_kind in ('ORDER_MISSING', 'ORDER_EXTRA', 'ORDER_STATUS',
        'POSITION_QTY', 'POSITION_SIDE', 'BALANCE', 'PROTECTION')),
    symbol text not null default '',
    order_id bigint,
    local text not null,
    remote text not null,
    points int not null,
    settled boolean not null,
    resolved_at timestamptz
);
create index reconcile_diffs_ts on reconcile_diffs (ts desc);

insert into schema_compat (set_name, version, min_binary_schema) values ('decision', 4, 4)
  on conflict do nothing;
