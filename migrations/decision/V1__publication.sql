-- What ingest publishes and what both services share: fences, publication pointer, frames,
-- candles, symbol safety, heartbeats, operator requests. New objects only: milliseconds.

create sequence observation_run_id_seq;
create index ingest_epochs_bind on ingest_epochs (completed_at desc) where status in ('valid',
    'degraded');

create table installation (
    one boolean primary key default true check (one),
    installation_id uuid not null,
    order_id_salt bytea not null check (octet_length(order_id_salt) = 32),
    created_at timestamptz not null default clock_timestamp()
);

create table service_fences (
    service text not null check (service in ('ingest', 'execution')),
    domain text not null,
    fencing_token bigint not null check (fencing_token between 1 and 9007198),
    holder_id uuid not null,
    holder_host text not null,
    holder_pid int not null,
    holder_lock text check (holder_lock ~ '^[0-9a-f-]{36}:[0-9]+:[0-9]+$'),
    acquired_at timestamptz not null,
    renewed_at timestamptz not null,
    lease_expires_at timestamptz not null,
    primary key (service, domain)
);

create table state_publication (
    domain text primary key,
    run_id bigint not null references observation_runs,
    lineage_id uuid not null references ingest_lineage,
    generation_id bigint not null,
    fencing_token bigint not null,
    as_of timestamptz not null,
    as_of_lag_ms int not null,
    last_msg_age_ms int not null,
    published_at timestamptz not null,
    row_count int not null,
    content_hash bytea not null,
    refresh_duration_ms int not null,
    gap_open boolean not null
);

create table run_symbols (
    run_id bigint not null references observation_runs,
    symbol_no int not null check (symbol_no between 1 and 65535),
    symbol text not null,
    price_decimals smallint not null check (price_decimals between 0 and 18),
    qty_decimals smallint not null check (qty_decimals between 0 and 18),
    created_at timestamptz not null default clock_timestamp(),
    primary key (run_id, symbol_no)
);

create table engine_tick_frames (
    tick_id bigint primary key,
    frame_seq bigint not null,
    run_id bigint not null,
    fencing_token bigint not null,
    epoch_id bigint,
    flags int not null,
    n_events int not null,
    frame bytea not null,
    frame_sha256 bytea not null check (octet_length(frame_sha256) = 32),
    quotes bytea not null check (octet_length(quotes) >= 24 and (octet_length(quotes) - 24) % 50 =
        0),
    published_at timestamptz not null default clock_timestamp(),
    seal_lag_ms int not null,
    check (octet_length(frame) = 96 + 64 * n_events)
) partition by range (tick_id);

create table candles_1m (
    symbol text not null,
    minute timestamptz not null check (date_trunc('minute', minute, 'UTC') = minute),
    run_id bigint not null,
    complete boolean not null,
    o numeric(24,12) not null,
    h numeric(24,12) not null,
    l numeric(24,12) not null,
    c numeric(24,12) not null,
    base_vol numeric(28,12) not null,
    quote_vol numeric(26,10) not null,
    buy_base_vol numeric(28,12) not null,
    trades int not null,
    primary key (symbol, minute),
    check (l <= least(o, c) and h >= greatest(o, c))
);
create index candles_1m_minute on candles_1m (minute);

create table symbol_safety_state (
    symbol text not null,
    cause text not null check (cause in ('submit_error', 'order_reject', 'venue_restricted',
        'pinned_invalid_l3', 'l3_resync_limit', 'l2_checksum', 'book_stale', 'slippage_abnormal',
        'reserved_funds', 'unprotected_exposure', 'phantom_position', 'foreign_order',
        'instrument_not_online', 'watchdog_inconsistent', 'operator')),
    mode text not null check (mode in ('quiet', 'exit_only', 'hard_blocked')),
    primary_reason text not null,
    expires_at timestamptz,
    l3_resync_count int not null default 0,
    since timestamptz not null,
    updated_at timestamptz not null,
    updated_by text not null check (updated_by in ('ingest', 'execution', 'operator', 'watchdog')),
    run_id bigint,
    detail jsonb not null default '{}',
    primary key (symbol, cause),
    check (mode <> 'quiet' or expires_at is not null)
);

create view symbol_safety_effective as select symbol, (array['normal', 'quiet', 'exit_only',
      'hard_blocked'])[1 + max(sev)] as mode, max(expires_at) filter (where sev = 1) as
      quiet_until, max(expires_at) filter (where sev = 3) as hard_block_until, array_agg(cause
  order by sev desc, cause) as causes
  from (select *, case mode when 'quiet' then 1 when 'exit_only' then 2 else 3 end as sev from
      symbol_safety_state
  where coalesce(expires_at, 'infinity') > clock_timestamp()) s
  group by symbol;

create table service_heartbeats (
    service text not null check (service in ('ingest', 'execution')),
    instance_id uuid not null,
    domain text not null,
    host text not null,
    pid int not null,
    started_at timestamptz not null,
    ts timestamptz not null,
    status jsonb not null,
    alerts jsonb not null default '[]' check (jsonb_typeof(alerts) = 'array' and
        jsonb_array_length(alerts) <= 64),
    primary key (service, instance_id)
);
create index service_heartbeats_ts on service_heartbeats (service, domain, ts desc);

create table control_requests (
    id bigint generated always as identity primary key,
    kind text not null check (kind in ('mode', 'flatten', 'safety', 'reconcile', 'new_lineage',
        'probe')),
    args jsonb not null,
    requested_by text not null,
    requested_at timestamptz not null default clock_timestamp(),
    applied_at timestamptz,
    result text
);

insert into cluster_role (role) values ('decision') on conflict do nothing;
insert into schema_compat (set_name, version, min_binary_schema) values ('decision', 1, 1)
  on conflict do nothing;
