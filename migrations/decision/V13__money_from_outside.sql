-- What each snapshot of equity knew of money from outside, so that the high-water mark is folded without it, and the
-- drawdown that stands. Nullable columns, and an index over the few corrections of positions: milliseconds.
alter table equity_snapshots
    add column external_cum_quote numeric(26,10),
    add column external_seen_id bigint,
    add column cash_as_of timestamptz,
    add column drawdown_day integer;

create index fills_ledger_adjust on fills_ledger (ledger_id) where kind = 'adjust';

-- The columns are new and may be missing: a binary of the schema before runs on this one.
insert into schema_compat (set_name, version, min_binary_schema) values ('decision', 13, 10)
  on conflict do nothing;
