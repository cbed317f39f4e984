-- What an answer of the AI gate demands of an entry's exit: nearer than its policy, null where the policy alone decides.
alter table execution_orders
    add column exit_sl_bps numeric(12,4) check (exit_sl_bps > 0),
    add column exit_tp_bps numeric(12,4) check (exit_tp_bps > 0),
    add column exit_trail_bps numeric(12,4) check (exit_trail_bps > 0),
    add column exit_time_stop_secs int check (exit_time_stop_secs > 0),
    add constraint execution_orders_exit_limits check (role in ('entry', 'proof') or
        num_nonnulls(exit_sl_bps, exit_tp_bps, exit_trail_bps, exit_time_stop_secs) = 0);

-- A binary that does not know these columns would give a fill the wider exit: it must not run on this schema.
insert into schema_compat (set_name, version, min_binary_schema) values ('decision', 10, 10)
  on conflict do nothing;
