-- One more of everything than the document takes, beside the small rows.
set session_replication_role = replica;
insert into positions (position_id, symbol, status, origin, entry_order_id, opened_at, base_qty, cost_basis_quote,
    updated_at) overriding system value
select 1000 + n, 'P' || lpad(n::text, 3, '0') || '/USD', 'open', 'strategy', 1,
    case n when 1 then :now - interval '5 h' else :now - interval '5 min' end, 1, n, :now from generate_series(1, 201) n;
insert into exit_plans (plan_id, position_id, policy, sl_bps, panic_bps, time_stop_at, regime_exit, sl_price, state,
    state_since, created_at, updated_at) overriding system value
    values (1001, 1001, 'TimeDecay', 1, 1, :now, '{}', 1, 'armed', :now, :now, :now);
insert into exit_events (plan_id, ts, kind, to_state, detail)
select 1001, :now - n * interval '1 s', 'k', 's', '{"sl_price": "1.5"}' from generate_series(1, 201) n;
insert into fills (fill_id, order_id, exec_id, symbol, side, price, qty, cost_quote, fee_quote, fee_asset, fee_asset_qty,
    ts_exchange, ts_local) overriding system value
select 1000 + n, 1, 'f' || n, 'P001/USD', 'sell', 1, 1, 1, 1, 'USD', 1, :now - n * interval '1 s', :now from generate_series(1, 201) n;
insert into candles_1m (symbol, minute, run_id, complete, o, h, l, c, base_vol, quote_vol, buy_base_vol, trades)
select 'P001/USD', '2026-06-15 12:35Z'::timestamptz - n * interval '1 min', 7, true, 1, 1, 1, 1, 1, 1, 1, 1
from generate_series(1, 125) n;
insert into execution_orders (order_id, cl_ord_id, session_id, fencing_token, symbol, side, role, order_type, tif, qty,
    state, state_since, created_at, updated_at) overriding system value
select 1000 + n, (lpad(to_hex(1000 + n), 8, '0') || '-5e0c-8005-8000-0000002a944f')::uuid,
    '019c6652-5e0c-7005-8000-0000002a944f', 42, 'X/USD', 'sell', 'dust_topup', 'market', 'ioc', 1, 'canceled', :now,
    :now - n * interval '1 s', :now - n * interval '1 s' from generate_series(1, 501) n;
insert into reconcile_diffs (reconcile_id, ts, diff_kind, local, remote, points, settled)
select 2, :now - n * interval '1 s', 'BALANCE', '1', '2', 4, true from generate_series(1, 201) n;
insert into realized_pnl (position_id, fill_id, symbol, closed_qty, entry_price, exit_price, gross_quote, fees_quote,
    net_quote, net_bps, hold_secs, exit_reason, ts)
select 1, 1000 + n, 'R' || n || '/USD', 1, 1, 1, 0, 0, 0, 1, 1, 'SL_hit', :now - interval '1 s' from generate_series(1, 201) n;
update cycle_selections set topk_final = (select array_agg('K' || n || '/USD' order by n) from generate_series(1, 21) n),
    topn = (select jsonb_agg(jsonb_build_object('symbol', 'N' || n || '/USD') order by n) from generate_series(1, 201) n),
    corr_pairs = (select jsonb_agg(jsonb_build_object('a', 'A/USD', 'b', 'B/USD', 'corr_x10000', n, 'action', 'REJECT'))
        from generate_series(1, 201) n)
where evaluation_id = 107;
insert into symbol_gates (domain, symbol, gate, reason, since, all_closed)
select 'test', 'AA' || n || '/USD', 'g', 'r', :now, array_fill('c'::text, array[17]) from generate_series(1, 201) n;
insert into engine_alerts (alert_id, tick_id, kind, scope, cluster_id, direction, confidence, payload, integrity, session_id)
select lpad(to_hex(n), 32, '0'), n, 1, 'TOKEN', 1, 0, 1, 'l', '{}', '019c6652-5e0c-7005-8000-0000002a944f'
from generate_series(100, 120) n;
update service_heartbeats set status = jsonb_build_object('streams', (select jsonb_agg(
    jsonb_build_object('venue', 'v', 'stream', 's' || n, 'age_ms', n)) from generate_series(1, 65) n)) where service = 'ingest';
insert into audit_events (day, session_id, seq, ts, local_received_at, run_id, cycle_id, mode, stage, event_type, reasons,
    snapshot_id, generation_id, epoch_id, tick_id, decision_id, order_intent_id, symbol, data, line_hash)
select '2026-06-15', '019c6652-5e0c-7005-8000-0000002a944f', 1000 + n, :now - n * interval '1 s', :now, 0, 0, 'LIVE', 'PAUSE',
    'STAGE_CHANGED', '{}', 0, 0, 0, 0, '', '', '', '{}', repeat('e', 64) from generate_series(1, 21) n;
-- 21 codes, each once more often than the one before.
insert into decisions (decision_id, evaluation_id, symbol, version, strategy, route, horizon, edge_score_x10000,
    edge_bps_expected, reasons, snapshot_hash, stage, contracts_version, created_at, decision)
select 'dec_' || lpad(to_hex(n), 64, '0'), 107, 'B' || n || '/USD', 0, 'Momentum', 'r', 'Short', 1, 1, '{OK}', 's',
    'RISK_VERDICT', '1', :now, '{}' from generate_series(1, 21) n;
insert into risk_verdicts (decision_id, evaluation_id, ts, verdict, reasons, limits, counters, costs,
    adjusted_min_edge_bps, multiplier_x10000, sized_qty, sized_quote)
select 'dec_' || lpad(to_hex(n), 64, '0'), 107, :now, 'BLOCK', ('{STRAT_OK,STRAT_EDGE_OK,STRAT_PULLBACK_OK,STRAT_PULLBACK_FAIL,TOPN_CUT,TOPK_CUT,QUOTE_STALE,DATA_STALE,SYMBOL_QUIET,SYMBOL_EXIT_ONLY,ENGINE_STALE,ENGINE_FAILED,ENGINE_WARMUP,RATE_LIMIT_418,RATE_LIMIT_429,LINEAGE_BREAK,REGIME_WEAK,REGIME_MISMATCH,PAUSE_NEEDS_MANUAL,ENTER_PAUSE,ENTER_EXIT}'::text[])[1:n],
    '{}', '{}', '{}', 1, 10000, 1, 1 from generate_series(1, 21) n;
-- A figure every two minutes for longer than a day.
insert into equity_snapshots (ts, session_id, equity_quote, cash_quote, positions_quote, reserved_quote,
    realized_cum_quote, hwm_quote, drawdown_bps)
select :now - n * interval '2 min' - interval '7 s', '019c6652-5e0c-7005-8000-0000002a944f', n, 1, 1, 1, 1, 2000, 1
from generate_series(0, 800) n;
insert into health_samples (session_id, ts, disk_free_bytes, db_bytes, wal_bytes, jsonl_bytes, queue_len,
    queue_pct_x10000, lag_ms, rss_bytes, cpu_pct_x10000, events_per_min, drops_per_min, rest_counter, engine_counter_max)
select '019c6652-5e0c-7005-8000-0000002a944f', :now - n * interval '2 min' - interval '7 s', 1, 2, 3, 4, 5, n, 6, 7, 8, 9,
    0, 0, 0 from generate_series(0, 800) n;
insert into reconcile_runs (reconcile_id, session_id, kind, outcome, started_at, dur_ms, drift_score_x10000, calls)
    overriding system value select 1000 + n, '019c6652-5e0c-7005-8000-0000002a944f', 'LIGHT', 'ok', :now - n * interval '2 min' - interval '7 s', n, 0, 1
from generate_series(0, 800) n;
alter table evaluation_cycles alter evaluation_id drop identity;
update evaluation_cycles set evaluation_id = evaluation_id + 10000, evaluation_index = evaluation_index + 10000;
update cycle_selections set evaluation_id = evaluation_id + 10000;
update decisions set evaluation_id = evaluation_id + 10000;
update evaluation_cycles set started_at = :now - interval '2 s' where evaluation_id > 10100;
insert into evaluation_cycles (evaluation_id, session_id, evaluation_index, trigger, started_at, sys_mode, state_age_ms,
    verdict)
select 1000 - n, '019c6652-5e0c-7005-8000-0000002a944f', 5000 - n, 'generation',
    :now - n * interval '2 min' - interval '7 s', 'NORMAL', n, 'economically_empty' from generate_series(0, 800) n;
delete from evaluation_cycles where evaluation_id in (10098, 10099);
set session_replication_role = origin;
