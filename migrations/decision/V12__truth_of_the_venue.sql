-- What a correction of a position rests on, how far the venue's own list of trades is booked, and trades under our ids
-- that no row explains. A nullable column and two small tables: milliseconds.
alter table fills_ledger add column evidence jsonb check (evidence is null or kind = 'adjust');

-- One row: every trade of the account up to seen_until is booked, another's, or in quarantine.
create table trade_cursor (
    one boolean primary key default true check (one),
    seen_until timestamptz not null,
    fencing_token bigint not null,
    updated_at timestamptz not null
);

create table quarantined_trades (
    exec_id text primary key,
    venue_order_id text not null,
    cl_ord_id text,
    price numeric(24,12) not null,
    qty numeric(28,12) not null,
    fee numeric(26,10) not null,
    ts_exchange timestamptz not null,
    reason text not null,
    found_at timestamptz not null
);

grant select, insert, update on trade_cursor to exec_rw;
grant select, insert on quarantined_trades to exec_rw;

-- The tables and the column are new: a binary of the schema before runs on this one.
insert into schema_compat (set_name, version, min_binary_schema) values ('decision', 12, 10)
  on conflict do nothing;
