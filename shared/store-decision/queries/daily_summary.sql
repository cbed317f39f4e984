-- One UTC day, derived from rows and written once. $1 the day, $2 whether it is written late.
-- A trade is a position that closed on the day; money is that of the fills that reduced on the day; the value of dust
-- is its cost. The time of a session that crashed ends with its last sign of life.
with bounds as (
    select ($1::date)::timestamp at time zone 'UTC' as since,
        ($1::date + 1)::timestamp at time zone 'UTC' as until
),
closed as (
    select p.position_id, coalesce(sum(r.net_quote), 0) as net
    from positions p
    cross join bounds b
    left join realized_pnl r on r.position_id = p.position_id
    where p.closed_at >= b.since and p.closed_at < b.until
    group by p.position_id
),
trades as (
    select count(*)::int as trades, count(*) filter (where net > 0)::int as wins,
        count(*) filter (where net < 0)::int as losses
    from closed
),
money as (
    select coalesce(sum(r.gross_quote), 0) as gross, coalesce(sum(r.fees_quote), 0) as fees
    from realized_pnl r cross join bounds b
    where r.ts >= b.since and r.ts < b.until
),
fill as (
    select avg(f.slippage_bps) as slippage,
        round(10000 * sum(f.cost_quote) filter (where f.liquidity = 'm')
            / nullif(sum(f.cost_quote) filter (where f.liquidity is not null), 0)) as maker_x10000,
        count(*) filter (where f.liquidity is not null) as judged
    from fills f cross join bounds b
    where f.ts_exchange >= b.since and f.ts_exchange < b.until
),
drawdown as (
    select coalesce(max(greatest(e.hwm_quote - e.equity_quote, 0)), 0) as quote
    from equity_snapshots e cross join bounds b
    where e.ts >= b.since and e.ts < b.until
),
reasons as (
    select reason, count(*) as times
    from (
        select unnest(v.reasons) as reason from risk_verdicts v cross join bounds b
        where v.verdict = 'BLOCK' and v.ts >= b.since and v.ts < b.until
        union all
        select unnest(g.reasons) from ai_gate_events g cross join bounds b
        where g.verdict in ('BLOCK', 'ERROR') and g.ts >= b.since and g.ts < b.until
    ) blocked
    group by reason
),
blocks as (
    select coalesce(jsonb_object_agg(reason, times), '{}') as by_code from reasons
),
dust as (
    select coalesce(sum(p.cost_basis_quote), 0) as quote
    from positions p
    cross join bounds b
    join exit_plans x on x.position_id = p.position_id
    where (p.status = 'dust' or x.state = 'dust_hold') and x.state_since < b.until
),
signs as (
    select s.session_id,
        case
            when s.ended_at is null then clock_timestamp()
            when s.end_reason is distinct from 'crash_detected' then s.ended_at
            else greatest(
                (select max(m.ts) from sys_mode_log m where m.session_id = s.session_id),
                (select max(h.ts) from health_samples h where h.session_id = s.session_id),
                s.started_at)
        end as ended
    from execution_sessions s cross join bounds b
    where s.started_at < b.until and (s.ended_at is null or s.ended_at >= b.since)
),
spans as (
    select m.mode_to, m.ts as began,
        lead(m.ts, 1, s.ended) over (partition by m.session_id order by m.id) as ended
    from sys_mode_log m join signs s using (session_id)
),
modes as (
    select mode_to,
        floor(sum(greatest(extract(epoch from
            least(ended, b.until) - greatest(began, b.since)), 0)))::bigint as secs
    from spans cross join bounds b
    where mode_to <> 'EXIT'
    group by mode_to
),
uptime as (
    select coalesce(jsonb_object_agg(mode_to, secs) filter (where secs > 0), '{}') as by_mode
    from modes
),
protection as (
    select percentile_disc(0.50) within group (order by ms)::int as p50,
        percentile_disc(0.99) within group (order by ms)::int as p99, max(ms)::int as most
    from (
        select l.fill_seen_to_protection_ack_us / 1000 as ms
        from execution_order_latency l cross join bounds b
        where l.fill_seen_to_protection_ack_us is not null
            and l.t3_fill_seen_ts_local >= b.since and l.t3_fill_seen_ts_local < b.until
    ) measured
),
plan_spans as (
    select e.to_state, e.ts as began,
        lead(e.ts, 1, clock_timestamp()) over (partition by e.plan_id order by e.id) as ended
    from exit_events e where e.to_state is not null
),
uncovered as (
    select coalesce(sum(greatest(extract(epoch from
        least(ended, b.until) - greatest(began, b.since)), 0)), 0) as secs
    from plan_spans cross join bounds b
    where to_state in ('created', 'arming', 'unprotected') and began < b.until and ended > b.since
)
insert into daily_summary (day, created_at, late, trades, wins, losses, gross_pnl_quote, fees_quote,
    net_pnl_quote, slippage_bps_avg, max_drawdown_quote, maker_ratio_x10000, blocks_by_code,
    dust_value_quote, uptime_s_by_mode, fill_to_protection_ms_p50, fill_to_protection_ms_p99,
    fill_to_protection_ms_max, uncovered_seconds)
select $1::date, clock_timestamp(), $2::boolean, trades.trades, trades.wins, trades.losses,
    money.gross, money.fees, money.gross - money.fees, fill.slippage, drawdown.quote,
    case when fill.judged > 0 then coalesce(fill.maker_x10000, 0)::int end, blocks.by_code,
    dust.quote, uptime.by_mode, protection.p50, protection.p99, protection.most, uncovered.secs
from trades, money, fill, drawdown, blocks, dust, uptime, protection, uncovered
on conflict (day) do nothing
returning day
