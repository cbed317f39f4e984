-- What the engine says, as rows: transitions, alerts, checkpoints, manifests. The engine's files are the
-- record and these rows follow from them, so the service can only add them. New tables: milliseconds.

create table engine_transitions (
    tick_id bigint not null,
    kind text not null check (kind in ('token', 'cluster', 'phase')),
    subject_id int not null,
    cycle_id bigint,
    event_id text,
    from_code smallint not null,
    to_code smallint not null,
    edge text not null check (edge in ('forward', 'normalise', 'release', 'rebuild', 'time',
        'collapse', 'post_collapse', 'next_event')),
    pressure int,
    fragile int,
    trigger int,
    unwind int,
    cost int,
    tier smallint,
    reason_bits bigint,
    session_id uuid not null,
    created_at timestamptz not null default clock_timestamp(),
    primary key (kind, subject_id, tick_id)
);

create table engine_alerts (
    alert_id text primary key check (alert_id ~ '^[0-9a-f]{32}$'),
    tick_id bigint not null,
    kind smallint not null check (kind between 1 and 6),
    scope text not null check (scope in ('TOKEN', 'CLUSTER')),
    token_id int,
    cluster_id int not null,
    symbol text,
    direction smallint not null,
    confidence smallint not null check (confidence between 0 and 100),
    payload text not null,
    integrity jsonb not null,
    session_id uuid not null,
    created_at timestamptz not null default clock_timestamp()
);
create index engine_alerts_tick on engine_alerts (tick_id desc);

create table engine_checkpoints (
    tick_id bigint primary key,
    state_chain bytea not null check (octet_length(state_chain) = 32),
    frame_chain bytea not null check (octet_length(frame_chain) = 32)
);

create table engine_day_manifests (
    day date primary key,
    manifest text not null,
    sha256 bytea not null check (octet_length(sha256) = 32),
    day_root bytea not null check (octet_length(day_root) = 32),
    key_id text,
    late boolean not null,
    written_at timestamptz not null default clock_timestamp()
);

grant select, insert on engine_transitions, engine_alerts, engine_checkpoints,
    engine_day_manifests to exec_rw;
-- The service only adds; what has had its time goes with the operator's `penstock retention`.
grant delete on engine_transitions, engine_alerts, engine_checkpoints to ops_rw;

insert into schema_compat (set_name, version, min_binary_schema) values ('decision', 7, 6)
  on conflict do nothing;
