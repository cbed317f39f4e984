-- Views for looking: the five states of an order intent, and what an operator asks first.
-- order_intents names no decision yet; the migration that creates decisions replaces it with the
-- same columns. Views only: milliseconds.

create view order_intents as
select
  'oi_' || o.order_id as order_intent_id, null::text as decision_id, o.position_id,
  o.evaluation_id, o.symbol, o.role, o.cl_ord_id, o.exchange_order_id,
  case
    when o.state in ('created', 'pending_submit') then 'CREATED'
    when o.state in ('submit_unknown', 'suspect', 'reconcile_required') then 'SENT_UNKNOWN'
    when o.state in ('acked_open', 'partially_filled', 'pending_cancel', 'filled', 'canceled',
        'expired') then 'CONFIRMED'
    when o.state = 'lost_or_rejected' then 'NOT_FOUND'
    when o.state in ('rejected', 'error') then 'FAILED_TERMINAL'
  end as state,
  o.state as order_state, o.state_reason, o.parent_order_id, o.created_at, o.updated_at,
  coalesce(r.reserved_quote, 0)::numeric(26,10) as reserve_quote
from execution_orders o
left join capital_reservations r on r.order_id = o.order_id and r.released_at is null;

create view v_now as
select
  d.domain, p.run_id, p.lineage_id, p.generation_id, p.row_count, p.gap_open,
  (extract(epoch from clock_timestamp() - p.published_at) * 1000)::bigint + p.as_of_lag_ms
    as state_age_ms,
  f.tick_id,
  (extract(epoch from clock_timestamp() - f.published_at) * 1000)::bigint + f.seal_lag_ms
    as frame_age_ms,
  e.epoch_id, e.status as epoch_status,
  extract(epoch from clock_timestamp() - e.completed_at)::int as epoch_age_secs, e.snapshot_id,
  i.fencing_token as ingest_token, i.holder_host as ingest_host,
  i.lease_expires_at > clock_timestamp() as ingest_lease_alive,
  x.fencing_token as execution_token, x.holder_host as execution_host,
  x.lease_expires_at > clock_timestamp() as execution_lease_alive, m.mode_to as sys_mode,
  m.ts as sys_mode_since, m.reasons as sys_mode_reasons
from (select domain from service_fences union select domain from state_publication) d
left join state_publication p using (domain)
left join service_fences i on i.service = 'ingest' and i.domain = d.domain
left join service_fences x on x.service = 'execution' and x.domain = d.domain
left join lateral (
  select
    tick_id, published_at, seal_lag_ms
  from engine_tick_frames
  order by tick_id desc limit 1
) f on true
left join lateral (
  select
    a.epoch_id, a.status, a.completed_at, a.snapshot_id
  from ingest_epochs a
  join ingest_lineage l using (lineage_id)
  where l.domain = d.domain and a.status in ('valid','degraded')
  order by a.completed_at desc limit 1
) e on true
left join lateral (
  select
    a.mode_to, a.ts, a.reasons
  from sys_mode_log a
  join execution_sessions s using (session_id)
  where s.domain = d.domain
  order by a.id desc limit 1
) m on true;

create view v_live_orders as
select
  order_id, cl_ord_id, exchange_order_id, symbol, role, side, order_type, state, state_reason,
  extract(epoch from clock_timestamp() - created_at)::int as age_secs, limit_price, trigger_price,
  qty, cum_qty, qty - cum_qty as remaining_qty, expire_at, position_id, parent_order_id,
  evaluation_id, generation_id, fencing_token
from execution_orders
where not terminal and state <> 'created';

create view v_open_positions as
select
  p.position_id, p.symbol, p.status, p.origin, p.strategy, p.regime_at_entry, s.regime,
  p.opened_at, p.base_qty, p.protected_qty, p.avg_entry_price, s.bid,
  round((s.bid / nullif(p.avg_entry_price, 0) - 1) * 10000, 4) as g_bps, e.plan_id, e.policy,
  e.state as plan_state, e.sl_price, e.stop_price_on_exchange, e.tp_price, e.time_stop_at,
  e.protection_order_id, e.exit_order_id,
  (select count(*) from execution_orders o
    where o.position_id = p.position_id and o.state = 'created') as standby_rows
from positions p
left join exit_plans e using (position_id)
left join state_publication b on true
left join run_symbol_state s on s.run_id = b.run_id and s.symbol = p.symbol
where p.status <> 'closed';

create view v_no_trade_24h as
select
  verdict, dominant_blocker, count(*) as cycles, max(started_at) as last_at
from evaluation_cycles
where started_at > clock_timestamp() - interval '24 hours' and execute_count = 0
group by verdict, dominant_blocker
order by cycles desc;

create view v_state_top as
select
  s.symbol, s.generation_id, s.bid, s.ask, s.spread_bps, s.spread_avg_bps, s.regime,
  s.regime_confidence, s.rv_5m_bps, s.drift_1m_bps, s.drift_5m_bps, s.trend_strength,
  s.vol_expansion, s.depth_bid_10bps_quote, s.depth_ask_10bps_quote, s.trades_5m, s.l3_quality,
  s.book_ok, s.feature_complete, s.missing_features, s.msg_age_ms,
  coalesce(f.mode, 'normal') as safety_mode
from state_publication b
join run_symbol_state s using (run_id)
join lateral (
  select
    u.execution_symbols
  from execution_universe_snapshots u
  where u.run_id = b.run_id
  order by u.snapshot_id desc limit 1
) u on s.symbol = any (u.execution_symbols)
left join symbol_safety_effective f on f.symbol = s.symbol;

create function v_order_story(p_cl_ord_id uuid)
  returns table (ts timestamptz, kind text, what text, detail jsonb)
  language sql stable as $$
  with
    o as (select order_id from execution_orders where cl_ord_id = p_cl_ord_id),
    f as (select a.* from fills a join o using (order_id))
  select v.ts_local, 'event',
    v.event_type || ': ' || coalesce(v.from_state, '-') || ' > ' || v.to_state,
    jsonb_strip_nulls(to_jsonb(v) - 'payload')
  from execution_order_events v
  join o using (order_id)
  union all
  select f.ts_local, 'fill', f.side || ' ' || f.qty || ' @ ' || f.price,
    jsonb_strip_nulls(to_jsonb(f))
  from f
  union all
  select l.created_at, 'ledger', l.kind || ' ' || l.delta_base, jsonb_strip_nulls(to_jsonb(l))
  from fills_ledger l
  join f using (fill_id)
  union all
  select r.ts, 'pnl', r.net_quote::text, jsonb_strip_nulls(to_jsonb(r))
  from realized_pnl r
  join f using (fill_id)
  order by 1, 2 $$;

insert into schema_compat (set_name, version, min_binary_schema) values ('decision', 5, 5)
  on conflict do nothing;
