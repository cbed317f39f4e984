-- Indexes for what is asked while an order is let out, and for telling events that the trail lost. Each takes a share lock
-- on its table while it is built: less than a second for 200,000 rows.
create index execution_orders_position on execution_orders (position_id, role)
    where position_id is not null;
create index execution_orders_evaluation on execution_orders (evaluation_id)
    where evaluation_id is not null;
create index execution_order_events_ts on execution_order_events (ts_local);
create index exit_events_ts on exit_events (ts);

-- Indexes alone: a binary of the schema before runs on this one.
insert into schema_compat (set_name, version, min_binary_schema) values ('decision', 11, 10)
  on conflict do nothing;
