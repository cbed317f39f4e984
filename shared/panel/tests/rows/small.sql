-- One row of every kind, few of each: what the test computes by hand. Foreign keys are no subject here. :now is replaced.
set session_replication_role = replica;
create table audit_events_all partition of audit_events for values from ('2026-01-01') to ('2027-01-01');
create table evaluation_candidates_all partition of evaluation_candidates for values from ('2026-01-01') to ('2027-01-01');

insert into exec_configs (config_hash, config) values (repeat('c', 64), '{"decide": {"fixed_equity_quote": null,
    "equity_reserve_pct": "0.05", "max_open_notional_pct_of_equity": "0.30", "drawdown_exit_only_bps": "500",
    "risk": {"max_consecutive_losses": 3, "loss_streak_reset_secs": 3600}}}');
insert into execution_sessions (session_id, domain, mode, fencing_token, host, pid, git_commit, git_dirty,
    config_hash, started_at) values ('019c6652-5e0c-7005-8000-0000002a944f', 'test', 'attach', 42, 'h', 1, 'g',
    false, repeat('c', 64), :now - interval '1 h');

insert into state_publication (domain, run_id, lineage_id, generation_id, fencing_token, as_of, as_of_lag_ms,
    last_msg_age_ms, published_at, row_count, content_hash, refresh_duration_ms, gap_open) values
    ('test', 7, '019c6652-5e0c-7005-8000-000000000001', 900, 1, :now, 250, 0, :now - interval '750 ms', 2, '', 1, false),
    ('other', 8, '019c6652-5e0c-7005-8000-000000000002', 901, 1, :now, 0, 0, :now, 2, '', 1, false);
insert into ingest_lineage (lineage_id, domain, first_run_id, reason, fencing_token, config_hash, started_at) values
    ('019c6652-5e0c-7005-8000-000000000001', 'test', 7, 'process_start', 1, 'c', :now),
    ('019c6652-5e0c-7005-8000-000000000002', 'other', 8, 'process_start', 1, 'c', :now);
insert into ingest_epochs (epoch_id, lineage_id, epoch_seq, run_id, snapshot_id, status, window_start, window_end,
    created_at, completed_at, fencing_token)
select n, ('019c6652-5e0c-7005-8000-00000000000' || lineage)::uuid, n, 7, n, status, :now, :now, :now,
    case when status <> 'pending' then :now - interval '30 s' end, 1
from (values (31, 1, 'valid'), (32, 1, 'invalid'), (33, 1, 'degraded'), (34, 1, 'pending'), (35, 2, 'valid'))
    e (n, lineage, status);
insert into run_symbol_state (run_id, symbol, generation_id, updated_at, msg_age_ms, ticker_count, trade_count,
    l2_count, l3_count, ticker_count_w, trade_count_w, l2_count_w, l3_count_w, trades_1m, trades_5m, l3_quality,
    book_ok, checksum_fail_w, l3_resync_w, regime, regime_sub, regime_since, regime_confidence, feature_complete,
    bid, mid, trend_strength)
select 7, symbol, 900, :now, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.75, true, 0, 0, regime, sub, :now, 1, true, bid, mid, trend
from (values ('A/USD', 'TREND', null, 99::numeric, 100.5::numeric, 0.6::numeric),
    ('B/USD', 'CHAOS', 'chaos_noise', 4.9, 4.95, null), ('K/USD', 'HIGH_VOLATILITY', null, 1, 1, 1.5),
    ('L/USD', 'LOW_LIQUIDITY', null, 1, 1, 0.12345), ('M/USD', 'RANGE', null, 1, 1, 0)) s (symbol, regime, sub, bid, mid, trend);

insert into evaluation_cycles (evaluation_id, session_id, evaluation_index, trigger, started_at, sys_mode, snapshot_id,
    cycle_generation_id, exec_allowed_count, routes_evaluated, state_age_ms, verdict) overriding system value values
    (98, '019c6652-5e0c-7005-8000-0000002a944f', 1, 'manual', :now - interval '49 h', 'NORMAL', 1, 1, 999, 1, 9, 'executed'),
    (99, '019c6652-5e0c-7005-8000-0000002a944f', 2, 'manual', :now - interval '25 h', 'NORMAL', 1, 1, 999, 1, 9, 'executed'),
    (103, '019c6652-5e0c-7005-8000-0000002a944f', 3, 'stale', :now - interval '23 h', 'NORMAL', 5, 800, 10, 0, 400, 'error'),
    (107, '019c6652-5e0c-7005-8000-0000002a944f', 4, 'regime', :now - interval '10 s', 'NORMAL', 6, 899, 12, 8, 500, 'executed'),
    (108, '019c6652-5e0c-7005-8000-0000002a944f', 5, 'generation', :now - interval '1 s', 'NORMAL', 6, 900, null, null, null, null);
insert into cycle_selections (evaluation_id, ts, topn, topk_pre, topk_final, churn_guard_applied, correlation_applied,
    max_pairwise_corr_x10000, corr_pairs, config_hash) values
    (99, :now - interval '25 h', '[{"symbol": "Z/USD"}]', '{Z/USD}', '{Z/USD}', false, false, 0, '[]', 'c'),
    (103, :now - interval '23 h', '[{"symbol": "K/USD"}]', '{K/USD}', '{K/USD}', false, false, 0, '[]', 'c'),
    (107, :now - interval '10 s', '[{"symbol": "M/USD"}, {"symbol": "K/USD"}, {"symbol": "L/USD"}, {"symbol": "A/USD"}]',
     '{L/USD,K/USD}', '{L/USD,K/USD}', true, true, 8123,
     '[{"a": "L/USD", "b": "M/USD", "corr_x10000": 8123, "action": "REJECT"}]', 'c');
insert into evaluation_candidates (day, evaluation_id, symbol, ordinal, strategy, rank, decision, stage, fee_entry_bps,
    fee_exit_bps, slip_entry_bps, slip_exit_bps, spread_net_bps, exit_drag_bps, edge_bps, surplus_bps, p_fill,
    confidence, score, inputs) values
    ('2026-06-15', 107, 'L/USD', 1, 'Momentum', null, 'skip', 'DEEP_SCAN', 1, 1, 1, 1, 1, 1, 99, 1, 1, 1, 999, '{}'),
    ('2026-06-15', 107, 'L/USD', 2, 'Momentum', 1, 'execute', 'EXECUTE_INTENT', 16, 26, 1.25, 1.25, 3.5, 2, 20.5, 7.25,
     0.5, 0.8123, 30, '{"edge_adj_bps": "18.5"}'),
    ('2026-06-15', 107, 'K/USD', 1, 'Volume', 2, 'skip', 'RISK_VERDICT', null, null, null, null, null, null, 12.5, null,
     null, null, -3, '{"edge_adj_bps": null}'),
    ('2026-06-15', 103, 'M/USD', 1, 'Volume', 1, 'skip', 'RISK_VERDICT', 1, 1, 1, 1, 1, 1, 77, 1, 1, 1, 1, '{}');
insert into symbol_gates (domain, symbol, gate, stage, reason, value, limit_value, unit, since, all_closed) values
    ('test', 'M/USD', 'LowLiquidity', 'DEEP_SCAN', 'STRAT_LIQUIDITY_LOW', 12.5000, 100, 'quote', :now - interval '9 s',
     '{LowLiquidity,EdgeNegative}'),
    ('test', 'L/USD', null, 'EXECUTE_INTENT', null, null, null, null, :now, '{}'),
    ('other', 'K/USD', 'HardBlocked', 'x', 'SYMBOL_HARD_BLOCKED', null, null, null, :now, '{}');
insert into symbol_safety_state (symbol, cause, mode, primary_reason, expires_at, since, updated_at, updated_by) values
    ('A/USD', 'order_reject', 'quiet', 'r', :now + interval '1 min', :now, :now, 'execution'),
    ('A/USD', 'foreign_order', 'exit_only', 'r', null, :now, :now, 'execution'),
    ('B/USD', 'operator', 'hard_blocked', 'r', null, :now, :now, 'operator'),
    ('K/USD', 'order_reject', 'quiet', 'r', :now - interval '1 s', :now, :now, 'execution'),
    ('L/USD', 'order_reject', 'quiet', 'r', :now + interval '1 s', :now, :now, 'execution');

insert into positions (position_id, symbol, status, origin, entry_order_id, opened_at, closed_at, base_qty,
    cost_basis_quote, avg_entry_price, realized_quote, protected_qty, updated_at) overriding system value values
    (1, 'A/USD', 'open', 'strategy', 1, :now - interval '30 min', null, 2, 200, 100, 0, 1.5, :now),
    (2, 'B/USD', 'closing', 'external', null, :now - interval '2 h', null, 10, 50, 5, 0, 10, :now),
    (3, 'C/USD', 'dust', 'recovered', null, :now - interval '3 h', null, 0.001, 0.5, 500, 0, 0, :now),
    (4, 'D/USD', 'closed', 'strategy', 1, :now - interval '40 min', :now - interval '20 min', 0, 0, null, -5, 0, :now),
    (5, 'D/USD', 'closed', 'strategy', 1, :now - interval '2 h', :now - interval '10 min', 0, 0, null, -3, 0, :now);
insert into exit_plans (plan_id, position_id, policy, sl_bps, panic_bps, time_stop_at, regime_exit, sl_price, tp_price,
    state, state_since, created_at, updated_at) overriding system value values
    (11, 1, 'TrailingStop', 1, 1, :now, '{}', 98.5, 110, 'unprotected', :now - interval '4 h', :now - interval '30 min', :now),
    (12, 2, 'MakerLadder', 1, 1, :now, '{}', 4.5, null, 'exiting', :now, :now - interval '3 h', :now);
insert into exit_events (plan_id, ts, kind, to_state, detail) values
    (11, :now - interval '30 min', 'created', 'created', '{"sl_price": "98"}'),
    (11, :now - interval '20 min', 'raised', 'trailing', '{"sl_price": "98.50", "protected_qty": null}'),
    (11, :now - interval '10 min', 'lost', 'unprotected', '{"sl_price": null, "protected_qty": "1.5"}');
insert into fills_ledger (position_id, ledger_seq, symbol, kind, delta_base, base_before, base_after, cost_before,
    cost_after, open_fees_after, realized_quote, fee_quote, reason, created_at) values
    (1, 1, 'A/USD', 'adjust', 1.5, 0, 1.5, 0, 1, 0, 0, 0, 'r', :now - interval '30 min'),
    (1, 2, 'A/USD', 'adjust', 0.5, 1.5, 2, 0, 1, 0, 0, 0, 'r', :now - interval '5 min');
insert into realized_pnl (position_id, fill_id, symbol, closed_qty, entry_price, exit_price, gross_quote, fees_quote,
    net_quote, net_bps, hold_secs, exit_reason, ts) values
    (4, 1, 'D/USD', 1, 1, 1, -4, 1, -5, 1, 1, 'TP_hit', :now - interval '20 min'),
    (5, 2, 'D/USD', 1, 1, 1, -2, 1, -3, 1, 1, 'SL_hit', :now - interval '2 min'),
    (5, 3, 'E/USD', 1, 1, 1, 101, 1, 100, 1, 1, 'SL_hit', :now - interval '13 h');
insert into exchange_balances (asset, balance, as_of, source, updated_at) values
    ('USD', 1000, :now, 's', :now), ('EUR', 7, :now, 's', :now);
insert into capital_reservations (order_id, symbol, strategy, reserved_quote, created_at, released_at) values
    (2, 'F/USD', 'Momentum', 25.25, :now, null), (1, 'A/USD', 'Momentum', 9, :now, :now);
insert into equity_snapshots (ts, session_id, equity_quote, cash_quote, positions_quote, reserved_quote,
    realized_cum_quote, hwm_quote, drawdown_bps) values
    (:now - interval '13 h', '019c6652-5e0c-7005-8000-0000002a944f', 990, 1, 1, 1, 1, 1000, 1),
    (:now - interval '3 min', '019c6652-5e0c-7005-8000-0000002a944f', 1004, 1, 1, 1, 1, 1010, 1),
    (:now - interval '1 min', '019c6652-5e0c-7005-8000-0000002a944f', 1005, 1, 1, 1, 1, 1010, 1);

insert into execution_orders (order_id, cl_ord_id, exchange_order_id, session_id, fencing_token, symbol, side, role,
    order_type, tif, qty, cum_qty, limit_price, trigger_price, avg_price, fee_quote, state, state_since, position_id,
    evaluation_id, generation_id, epoch_id, snapshot_id, regime, quote_tick_id, created_at, updated_at)
    overriding system value
select id, (lpad(to_hex(id), 8, '0') || '-5e0c-8005-8000-0000002a944f')::uuid, 'X' || id,
    '019c6652-5e0c-7005-8000-0000002a944f', 42, symbol, side, role, kind, 'gtc', qty, cum, lim, trig, avg, fee, state, :now,
    position, evaluation, 1, 1, 1, 'TREND', 1, :now - age, :now - changed
from (values
    (1, 'A/USD', 'buy', 'entry', 'limit', 2.50, 2.50, 100.10, null::numeric, 100.05, 0.50, 'filled', null::bigint, 107::bigint,
     interval '30 min', interval '29 min'),
    (2, 'F/USD', 'buy', 'entry', 'limit', 1, 0, 25, null, null, 0, 'acked_open', null, 103, interval '20 s', interval '19 s'),
    (3, 'G/USD', 'buy', 'dust_topup', 'limit', 3, 1, 2, null, 2, 0, 'partially_filled', null, null, interval '5 min', interval '4 min'),
    (4, 'A/USD', 'sell', 'protection', 'stop-loss', 1.5, 0, null, 98.5, null, 0, 'acked_open', 1, null, interval '29 h', interval '1 min'),
    (5, 'B/USD', 'sell', 'exit', 'market', 10, 0, null, null, null, 0, 'submit_unknown', 2, null, interval '40 h', interval '2 min'),
    (6, 'A/USD', 'sell', 'exit_tp', 'limit', 1, 0, 110, null, null, 0, 'error', 1, null, interval '2 h', interval '2 h'),
    (7, 'H/USD', 'buy', 'proof', 'stop-loss-limit', 1, 0, 5, 4, null, 0, 'rejected', null, 99, interval '25 h', interval '25 h'),
    (8, 'A/USD', 'sell', 'protection', 'trailing-stop', 1, 0, null, null, null, 0, 'created', 1, null, interval '1 s', interval '1 s'),
    (9, 'B/USD', 'sell', 'exit', 'market', 1, 0, null, null, null, 0, 'created', 2, null, interval '1 s', interval '1 s'))
    o (id, symbol, side, role, kind, qty, cum, lim, trig, avg, fee, state, position, evaluation, age, changed);
-- Each state once.
insert into execution_orders (order_id, cl_ord_id, session_id, fencing_token, symbol, side, role, order_type, tif, qty,
    state, state_since, created_at, updated_at) overriding system value
select 20 + n, (lpad(to_hex(20 + n), 8, '0') || '-5e0c-8005-8000-0000002a944f')::uuid,
    '019c6652-5e0c-7005-8000-0000002a944f', 42, 'S' || n || '/USD', 'sell', 'dust_topup', 'market', 'ioc', 1, state, :now,
    :now - interval '6 h', :now - interval '6 h'
from unnest('{pending_submit,submit_unknown,acked_open,partially_filled,pending_cancel,filled,canceled,expired,rejected,suspect,reconcile_required,lost_or_rejected,error}'::text[])
    with ordinality s (state, n);
insert into execution_order_events (order_id, event_seq, source, event_type, to_state, ts_local, dedupe_key) values
    (1, 1, 'local', 'persist', 's', :now - interval '61 s', '\x01'), (1, 2, 'local', 'authorise', 's', :now - interval '59 s', '\x02'),
    (2, 1, 'local', 'persist', 's', :now - interval '9 s', '\x01'), (2, 2, 'local', 'acked', 's', :now - interval '8 s', '\x02'),
    (2, 3, 'local', 'preauth_sent', 's', :now - interval '7 s', '\x03');
insert into execution_order_latency (order_id, t0_decision_ts_local, t2_ack_seen_ts_local, t3_fill_seen_ts_local,
    decision_to_submit_us, submit_to_ack_seen_us, fill_seen_to_protection_ack_us) values
    (1, :now, :now, :now + interval '40 ms', 12500, 80000, 150400), (2, :now, :now, null, 14000, 90000, null),
    (3, :now, null, null, 99501, null, null), (4, :now, null, null, 999999999, null, null);
insert into fills (fill_id, order_id, exec_id, symbol, side, price, qty, cost_quote, fee_quote, fee_asset, fee_asset_qty,
    ts_exchange, ts_local) overriding system value values
    (1, 1, 'e1', 'A/USD', 'buy', 100.05, 2.5, 1, 1, 'USD', 1, :now - interval '29 min', :now),
    (2, 1, 'e2', 'A/USD', 'buy', 100, 2, 1, 1, 'USD', 1, :now - interval '3 h', :now);
insert into candles_1m (symbol, minute, run_id, complete, o, h, l, c, base_vol, quote_vol, buy_base_vol, trades) values
    ('A/USD', '2026-06-15 10:34Z', 7, true, 1, 2, 0.5, 1.50, 1, 1, 1, 1),
    ('A/USD', '2026-06-15 12:33Z', 7, true, 3, 4, 3, 3.25, 1, 1, 1, 1),
    ('A/USD', '2026-06-15 12:34Z', 7, true, 9, 9, 9, 9, 1, 1, 1, 1),
    ('A/USD', '2026-06-15 10:33Z', 7, true, 9, 9, 9, 9, 1, 1, 1, 1);

insert into decisions (decision_id, evaluation_id, symbol, version, parent_decision_id, strategy, route, horizon,
    edge_score_x10000, edge_bps_expected, reasons, snapshot_hash, stage, contracts_version, created_at, decision) values
    ('dec_' || repeat('0', 64), 107, 'A/USD', 0, null, 'Momentum', 'r', 'Short', 1, 1, '{OK}', 's', 'RISK_VERDICT', '1', :now, '{}'),
    ('dec_' || repeat('1', 64), 107, 'A/USD', 1, 'dec_' || repeat('0', 64), 'Momentum', 'r', 'Short', 1, 1, '{OK}', 's', 'RISK_VERDICT', '1', :now, '{}'),
    ('dec_' || repeat('2', 64), 103, 'F/USD', 0, null, 'Volume', 'r', 'Short', 1, 1, '{OK}', 's', 'RISK_VERDICT', '1', :now, '{}'),
    ('dec_' || repeat('3', 64), 99, 'H/USD', 0, null, 'Liquidity', 'r', 'Long', 1, 1, '{OK}', 's', 'RISK_VERDICT', '1', :now, '{}');
insert into ai_gate_events (decision_id, attempt, evaluation_id, ts, enabled, verdict, reasons, model, latency_ms,
    snapshot_hash, input_hash, prompt_hash, raw_hash, modify_applied, error_code) values
    ('dec_' || repeat('0', 64), 1, 107, :now - interval '9 s', true, 'MODIFY', '{AIGATE_OK}', 'm', 31, repeat('a', 64), repeat('b', 64), 'p', repeat('d', 64), true, null),
    ('dec_' || repeat('2', 64), 1, 103, :now - interval '22 h', true, 'ALLOW', '{AIGATE_OK}', 'm', 32, '', repeat('b', 64), 'p', '', false, null),
    ('dec_' || repeat('3', 64), 1, 99, :now - interval '25 h', true, 'BLOCK', '{AIGATE_CONCERN_COST}', 'm', 32, '', repeat('b', 64), 'p', '', false, null);
insert into risk_verdicts (decision_id, evaluation_id, ts, verdict, reasons, limits, counters, costs,
    adjusted_min_edge_bps, multiplier_x10000, sized_qty, sized_quote) values
    ('dec_' || repeat('1', 64), 107, :now, 'ALLOW', '{}', '{}', '{}', '{}', 1, 10000, 1, 1),
    ('dec_' || repeat('2', 64), 103, :now, 'BLOCK', '{RISK_ORDER_RATE,RISK_COOLDOWN_ACTIVE}', '{}', '{}', '{}', 1, 10000, 1, 1),
    ('dec_' || repeat('3', 64), 99, :now, 'BLOCK', '{RISK_ORDER_RATE}', '{}', '{}', '{}', 1, 10000, 1, 1);

insert into reconcile_runs (reconcile_id, session_id, kind, cause, outcome, started_at, dur_ms, drift_score_x10000, calls)
    overriding system value values
    (1, '019c6652-5e0c-7005-8000-0000002a944f', 'FULL', '', 'ok', :now - interval '10 min', 900, 0, 1),
    (2, '019c6652-5e0c-7005-8000-0000002a944f', 'LIGHT', '', 'diff', :now - interval '4 s', 120, 40000, 1),
    (3, '019c6652-5e0c-7005-8000-0000002a944f', 'CONFIRM', 'PLACE', 'confirmed', :now - interval '1 s', 7, null, 1);
insert into reconcile_diffs (reconcile_id, ts, diff_kind, symbol, order_id, local, remote, points, settled, resolved_at)
select 2, :now - interval '3 s' - n * interval '1 min', kind, case when n = 7 then '' else 'A/USD' end,
    case n when 1 then 1 end, 'open', 'none', 4, n % 2 = 0, case when n = 2 then :now end
from unnest('{ORDER_MISSING,ORDER_EXTRA,ORDER_STATUS,POSITION_QTY,POSITION_SIDE,BALANCE,PROTECTION}'::text[])
    with ordinality k (kind, n);
insert into audit_events (day, session_id, seq, ts, local_received_at, run_id, cycle_id, mode, stage, event_type, reasons,
    snapshot_id, generation_id, epoch_id, tick_id, decision_id, order_intent_id, symbol, data, line_hash)
select '2026-06-15', '019c6652-5e0c-7005-8000-0000002a944f', seq, :now - seq * interval '1 s', :now, 0, cycle, 'LIVE', stage,
    kind, '{}', 0, 0, 0, 0, decision, '', symbol, data::jsonb, repeat('e', 64)
from (values (1, 107, 'DEEP_SCAN', 'STAGE_CHANGED', '', 'L/USD', '{"stage_from": "RANK_TOPN", "summary": "4 looked at"}'),
    (2, 0, 'POSITION_MANAGE', 'STAGE_CHANGED', '', '', '{}'), (3, 107, 'DEEP_SCAN', 'DEEP_SCAN', '', '', '{}'))
    a (seq, cycle, stage, kind, decision, symbol, data);
insert into service_heartbeats (service, instance_id, domain, host, pid, started_at, ts, status) values
    ('ingest', '019c6652-5e0c-7005-8000-000000000001', 'test', 'h', 1, :now, :now - interval '1500 ms',
     '{"streams": [{"venue": "sim", "stream": "book", "age_ms": 40}]}'),
    ('ingest', '019c6652-5e0c-7005-8000-000000000002', 'test', 'h', 1, :now, :now - interval '1 h', '{}'),
    ('execution', '019c6652-5e0c-7005-8000-000000000003', 'test', 'h', 1, :now, :now + interval '1 s', '{}'),
    ('execution', '019c6652-5e0c-7005-8000-000000000004', 'other', 'h', 1, :now, :now + interval '5 s', '{}');
insert into engine_alerts (alert_id, tick_id, kind, scope, cluster_id, direction, confidence, payload, integrity, session_id)
select lpad(to_hex(n), 32, '0'), n, n, case when n % 2 = 0 then 'TOKEN' else 'CLUSTER' end, 1, 0, 1, 'line ' || n, '{}',
    '019c6652-5e0c-7005-8000-0000002a944f' from generate_series(1, 6) n;
insert into health_samples (session_id, ts, disk_free_bytes, db_bytes, wal_bytes, jsonl_bytes, queue_len,
    queue_pct_x10000, lag_ms, rss_bytes, cpu_pct_x10000, events_per_min, drops_per_min, rest_counter, engine_counter_max) values
    ('019c6652-5e0c-7005-8000-0000002a944f', :now - interval '7 min', 1, 2, 3, 4, 5, 15000, 6, 7, 8, 9, 0, 0, 0),
    ('019c6652-5e0c-7005-8000-0000002a944f', :now - interval '6 s', 1, 2, 3, 4, 5, 15000, 6, 7, 8, 9, 0, 0, 0),
    ('019c6652-5e0c-7005-8000-0000002a944f', :now - interval '1 s', 10, 20, 30, 4, 5, 25000, 60, 7, 8, 90, 0, 0, 0);
set session_replication_role = origin;
