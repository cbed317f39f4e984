-- The seven raw tables, each with one partition per run. There is no default partition: a row
-- without its partition must fail loudly, and a partition could not be detached concurrently
-- beside a default one.
-- New objects only, apart from two columns of the empty ingest_epochs: milliseconds.

alter table ingest_epochs add decision_sync text not null default 'pending' check (decision_sync
    in ('pending', 'synced', 'skipped_stale')), add decision_synced_at timestamptz;

create table ticker_samples (
    run_id bigint not null,
    seq bigint not null,
    venue smallint not null check (venue between 0 and 2),
    symbol text not null,
    ts_exchange timestamptz,
    ts_local timestamptz not null,
    kind smallint not null check (kind in (0,1)),
    conn_id smallint not null,
    bid numeric(24,12),
    ask numeric(24,12),
    last numeric(24,12),
    bid_qty numeric(28,12),
    ask_qty numeric(28,12),
    volume_24h numeric(28,12),
    vwap_24h numeric(24,12),
    change_pct_24h numeric(12,4),
    primary key (run_id, seq)
) partition by range (run_id);

create table trade_samples (
    run_id bigint not null,
    seq bigint not null,
    venue smallint not null check (venue between 0 and 2),
    symbol text not null,
    trade_id bigint not null,
    side "char" not null check (side in ('b', 's')),
    kind "char" not null check (kind in ('f', 'l', 'o')),
    ord_type "char" check (ord_type in ('m', 'l')),
    price numeric(24,12) not null check (price > 0),
    qty numeric(28,12) not null check (qty > 0),
    ts_exchange timestamptz not null,
    ts_local timestamptz not null,
    conn_id smallint not null,
    primary key (run_id, seq),
    unique (run_id, venue, symbol, trade_id),
    check (venue <> 0 or (kind = 'f' and ord_type is not null))
) partition by range (run_id);

create table l2_snap_metrics (
    run_id bigint not null,
    seq bigint not null,
    symbol text not null,
    ts_exchange timestamptz,
    ts_local timestamptz not null,
    bid numeric(24,12) not null,
    ask numeric(24,12) not null,
    bid_qty numeric(28,12) not null,
    ask_qty numeric(28,12) not null,
    spread_bps numeric(12,4),
    microprice numeric(24,12),
    microprice_dev_bps numeric(12,4),
    imbalance_l1 numeric(9,6),
    imbalance_10 numeric(9,6),
    depth_bid_10bps_quote numeric(26,10),
    depth_ask_10bps_quote numeric(26,10),
    updates_since_prev int not null,
    checksum_ok boolean not null,
    book_depth smallint not null,
    conn_id smallint not null,
    primary key (run_id, seq)
) partition by range (run_id);

create table l3_queue_metrics (
    run_id bigint not null,
    seq bigint not null,
    symbol text not null,
    ts_exchange timestamptz,
    ts_local timestamptz not null,
    bid numeric(24,12) not null,
    ask numeric(24,12) not null,
    orders_at_bid int not null,
    orders_at_ask int not null,
    queue_bid_quote numeric(26,10) not null,
    queue_ask_quote numeric(26,10) not null,
    avg_age_bid_ms int,
    avg_age_ask_ms int,
    adds int not null,
    cancels int not null,
    fills int not null,
    modifies int not null,
    refill_ratio numeric(9,6),
    cancel_ratio numeric(9,6),
    est_fill_bid_ms int,
    est_fill_ask_ms int,
    checksum_ok boolean not null,
    conn_id smallint not null,
    primary key (run_id, seq)
) partition by range (run_id);

create table deriv_ticker_samples (
    run_id bigint not null,
    seq bigint not null,
    venue smallint not null check (venue in (1,2)),
    symbol text not null,
    ts_exchange timestamptz,
    ts_local timestamptz not null,
    conn_id smallint not null,
    mark_price numeric(24,12),
    index_price numeric(24,12),
    funding_rate numeric(24,18),
    funding_interval_secs int,
    next_funding_at timestamptz,
    open_interest numeric(28,12),
    primary key (run_id, seq),
    check (num_nonnulls(mark_price, funding_rate, open_interest) > 0),
    check ((funding_rate is null) = (funding_interval_secs is null))
) partition by range (run_id);

create table liquidation_samples (
    run_id bigint not null,
    seq bigint not null,
    venue smallint not null check (venue in (1,2)),
    symbol text not null,
    side "char" not null check (side in ('b', 's')),
    price numeric(24,12) not null check (price > 0),
    qty numeric(28,12) not null check (qty > 0),
    trade_id bigint,
    ts_exchange timestamptz not null,
    ts_local timestamptz not null,
    conn_id smallint not null,
    primary key (run_id, seq),
    unique (run_id, venue, symbol, trade_id),
    check ((venue = 1) = (trade_id is not null))
) partition by range (run_id);

create table candles_1m (
    run_id bigint not null,
    symbol text not null,
    minute timestamptz not null,
    o numeric(24,12) not null,
    h numeric(24,12) not null,
    l numeric(24,12) not null,
    c numeric(24,12) not null,
    base_vol numeric(28,12) not null,
    quote_vol numeric(26,10) not null,
    buy_base_vol numeric(28,12) not null,
    trades int not null,
    primary key (run_id, symbol, minute)
) partition by range (run_id);

insert into cluster_role (role) values ('ingest') on conflict do nothing;
insert into schema_compat (set_name, version, min_binary_schema) values ('ingest', 1, 1)
  on conflict do nothing;
