-- Grants and row policies of the decision cluster: each service writes its own rows, evidence can
-- only be added. Catalogue changes only: milliseconds.

revoke all on installation from observer_ro, ops_rw;
grant select (one, installation_id, created_at) on installation to observer_ro, ops_rw,
    publisher_rw;
grant select on observation_runs, ingest_lineage, execution_universe_snapshots, ingest_epochs,
    run_symbol_state, instruments, cluster_role, schema_compat, state_publication, run_symbols,
    engine_tick_frames, candles_1m, service_fences, service_heartbeats, symbol_safety_state,
    symbol_safety_effective, control_requests to publisher_rw, exec_rw;
grant insert on execution_universe_snapshots, ingest_epochs, run_symbols, engine_tick_frames to
    publisher_rw;
grant insert, update on observation_runs, ingest_lineage, instruments, state_publication to
    publisher_rw;
grant insert, update, delete on run_symbol_state to publisher_rw;
grant insert, delete on candles_1m to publisher_rw;
grant usage on sequence observation_run_id_seq to publisher_rw;
grant select (symbol, status) on positions to publisher_rw;
grant select (symbol, state, terminal) on execution_orders to publisher_rw;
grant insert, update on service_fences to publisher_rw, exec_rw;
grant insert, update, delete on service_heartbeats, symbol_safety_state to publisher_rw, exec_rw;
grant update (applied_at, result) on control_requests to publisher_rw, exec_rw;
grant insert (kind, args, requested_by) on control_requests to ops_rw;
grant select, insert on installation, execution_order_events, fills, fills_ledger, realized_pnl,
    exit_events, evaluation_candidates, raw_private_executions, equity_snapshots, fee_tiers,
    sys_mode_log to exec_rw;
grant update (mid_at_fill, slippage_bps, markout_1s_bps, markout_5s_bps, markout_30s_bps,
    markout_60s_bps) on fills to exec_rw;
grant select, insert, update on execution_sessions, evaluation_cycles, positions,
    execution_orders, execution_event_buffer, execution_order_latency, exit_plans,
    capital_reservations, exchange_balances, strategy_scores, shadow_trades to exec_rw;
grant select, insert, update, delete on symbol_exec_locks to exec_rw;
alter table service_fences enable row level security;
create policy look on service_fences for select using (true);
create policy ingest_own on service_fences to publisher_rw using (service = 'ingest');
create policy execution_own on service_fences to exec_rw using (service = 'execution');
alter table service_heartbeats enable row level security;
create policy look on service_heartbeats for select using (true);
create policy ingest_own on service_heartbeats to publisher_rw using (service = 'ingest');
create policy execution_own on service_heartbeats to exec_rw using (service = 'execution');
alter table symbol_safety_state enable row level security;
create policy look on symbol_safety_state for select using (true);
create policy ingest_own on symbol_safety_state to publisher_rw using (cause in
    ('pinned_invalid_l3', 'l3_resync_limit', 'l2_checksum', 'book_stale',
    'instrument_not_online'));
create policy execution_own on symbol_safety_state to exec_rw using (cause not in
    ('pinned_invalid_l3', 'l3_resync_limit', 'l2_checksum', 'book_stale',
    'instrument_not_online'));
alter table control_requests enable row level security;
create policy look on control_requests for select using (true);
create policy ask on control_requests for insert to ops_rw with check (true);
create policy ingest_answers on control_requests for update to publisher_rw using (kind =
    'new_lineage');
create policy execution_answers on control_requests for update to exec_rw using (kind <>
    'new_lineage');
grant select, insert on exec_configs, cycle_inputs, balance_changes, reconcile_runs to exec_rw;
grant select, insert, update on symbol_gates, reconcile_diffs to exec_rw;

insert into schema_compat (set_name, version, min_binary_schema) values ('decision', 6, 6)
  on conflict do nothing;
