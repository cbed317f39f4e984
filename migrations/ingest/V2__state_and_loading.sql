-- Generations, watermarks, the cursor of the spool loader, quarantine, stream events,
-- checkpoints, and the registry of partitions. New objects only: milliseconds.

create table partition_registry (
    table_name text not null,
    run_id bigint not null,
    partition_name text not null,
    created_at timestamptz not null,
    closed_at timestamptz,
    bytes_at_close bigint,
    rows_at_close bigint,
    dropped_at timestamptz,
    primary key (table_name, run_id)
);

create table state_generations (
    generation_id bigint primary key,
    run_id bigint not null references observation_runs,
    lineage_id uuid not null,
    as_of timestamptz not null,
    row_count int not null,
    changed_rows int not null,
    delta_ticker_rows int not null,
    delta_trade_rows int not null,
    delta_l2_rows int not null,
    delta_l3_rows int not null,
    wm_seq bigint not null,
    raw_complete boolean not null,
    content_hash bytea not null,
    refresh_duration_ms int not null,
    committed_at timestamptz not null default clock_timestamp(),
    sync_status text not null default 'refreshed' check (sync_status in ('refreshed', 'published',
        'superseded', 'failed', 'fenced')),
    published_at timestamptz,
    sync_duration_ms int,
    sync_attempts int not null default 0,
    error text
);
create index state_generations_run on state_generations (run_id, generation_id desc);

create table refresh_watermarks (
    run_id bigint not null references observation_runs,
    stream text not null check (stream in ('ticker', 'trade', 'l2', 'l3', 'deriv_ticker',
        'liquidation', 'status')),
    last_seq bigint not null,
    last_ts_local timestamptz,
    generation_id bigint not null,
    primary key (run_id, stream)
);

create table raw_load_cursor (
    run_id bigint primary key references observation_runs,
    last_seq bigint not null,
    segment_no int not null,
    byte_offset bigint not null,
    rows_loaded bigint not null,
    rows_quarantined bigint not null default 0,
    complete boolean not null default false,
    loaded_at timestamptz not null
);

create table raw_quarantine (
    run_id bigint not null references observation_runs,
    seq bigint not null,
    stream smallint not null,
    sqlstate text not null,
    error text not null,
    payload bytea not null,
    at timestamptz not null,
    primary key (run_id, seq, stream)
);

create table pair_summary_24h (
    run_id bigint not null references observation_runs,
    symbol text not null,
    window_start timestamptz not null,
    window_end timestamptz not null,
    trade_count bigint not null,
    quote_volume numeric(26,10) not null,
    avg_spread_bps numeric(12,4),
    p50_spread_bps numeric(12,4),
    p95_spread_bps numeric(12,4),
    avg_depth_quote numeric(26,10),
    rv_24h_bps numeric(12,4),
    l2_uptime numeric(9,6),
    l3_uptime numeric(9,6),
    suitability_score numeric(9,6),
    computed_at timestamptz not null,
    primary key (run_id, symbol)
);

create table ingest_stream_events (
    id bigint generated always as identity primary key,
    run_id bigint not null references observation_runs,
    seq bigint not null,
    lineage_id uuid not null,
    ts timestamptz not null,
    venue smallint not null check (venue between -1 and 2),
    stream text not null,
    conn_id smallint,
    kind text not null check (kind in ('connect', 'disconnect', 'gap', 'recovered', 'resync',
        'checksum_fail', 'subscribe_reject', 'raw_drop', 'rate_limited', 'silent', 'heard')),
    symbol text,
    gap_from timestamptz,
    gap_to timestamptz,
    first_seq bigint,
    last_seq bigint,
    detail jsonb not null default '{}',
    unique (run_id, seq),
    check (kind not in ('gap', 'recovered', 'raw_drop') or gap_from is not null),
    check (kind not in ('recovered', 'raw_drop') or (gap_to is not null and gap_to >= gap_from)),
    check ((kind = 'raw_drop') = (first_seq is not null)),
    check ((first_seq is null) = (last_seq is null) and first_seq <= last_seq)
);
create index ingest_stream_events_ts on ingest_stream_events (ts desc);

create table aggregator_checkpoints (
    run_id bigint not null references observation_runs,
    wm_seq bigint not null,
    as_of timestamptz not null,
    format_version int not null,
    payload_zstd bytea not null,
    payload_hash bytea not null,
    primary key (run_id, wm_seq)
);

insert into schema_compat (set_name, version, min_binary_schema) values ('ingest', 2, 2)
  on conflict do nothing;
