with bounds as (
            select run_id, greatest(started_at, coalesce(ended_at, clock_timestamp())
                    - interval '24 hours') as window_start,
                coalesce(ended_at, clock_timestamp()) as window_end
            from observation_runs where run_id = $1
        ), symbols as (
            select distinct symbol from ticker_samples where run_id = $1 and venue = 0
        ), prints as (
            select t.symbol, count(*) as trade_count, sum(t.price * t.qty) as quote_volume
            from trade_samples t, bounds b
            where t.run_id = $1 and t.venue = 0 and t.ts_local >= b.window_start
            group by t.symbol
        ), samples as (
            select l.symbol, avg(l.spread_bps) as avg_spread_bps,
                percentile_cont(array[0.5, 0.95]) within group (order by l.spread_bps) as spreads,
                avg(l.depth_bid_10bps_quote + l.depth_ask_10bps_quote) as avg_depth_quote,
                count(distinct date_trunc('minute', l.ts_local)) as minutes
            from l2_snap_metrics l, bounds b
            where l.run_id = $1 and l.ts_local >= b.window_start group by l.symbol
        ), queues as (
            select q.symbol, count(distinct date_trunc('minute', q.ts_local)) as minutes
            from l3_queue_metrics q, bounds b
            where q.run_id = $1 and q.ts_local >= b.window_start group by q.symbol
        ), faults as (
            select e.symbol, count(*) as faults from ingest_stream_events e, bounds b
            where e.run_id = $1 and e.kind in ('checksum_fail', 'resync') and e.ts >= b.window_start
            group by e.symbol
        ), returns as (
            select c.symbol, ln(c.c / lag(c.c) over (partition by c.symbol order by c.minute)) as r
            from candles_1m c, bounds b where c.run_id = $1 and c.minute >= b.window_start
        ), moves as (
            select symbol, sqrt(sum(r * r)) * 10000 as rv_24h_bps from returns group by symbol
        ), figures as (
            select s.symbol, b.window_start, b.window_end,
                coalesce(p.trade_count, 0) as trade_count,
                coalesce(p.quote_volume, 0) as quote_volume,
                l.avg_spread_bps, l.spreads, l.avg_depth_quote, m.rv_24h_bps,
                least(1, coalesce(l.minutes, 0)
                    / greatest(1, ceil(extract(epoch from b.window_end - b.window_start) / 60)))
                    as l2_uptime,
                -- least() skips nulls: without a sample the share is unknown, not whole.
                case when q.minutes > 0 then least(1, q.minutes
                    / greatest(1, ceil(extract(epoch from b.window_end - b.window_start) / 60)))
                    end as l3_uptime,
                1 - least(1, coalesce(f.faults, 0) / 5.0) as health
            from symbols s cross join bounds b
            left join prints p on p.symbol = s.symbol
            left join samples l on l.symbol = s.symbol
            left join queues q on q.symbol = s.symbol
            left join faults f on f.symbol = s.symbol
            left join moves m on m.symbol = s.symbol
        ), ranked as (
            select f.*,
                case when f.quote_volume > 0
                    then cume_dist() over (order by f.quote_volume) else 0 end as liquidity,
                case when f.avg_spread_bps is not null
                    then cume_dist() over (order by f.avg_spread_bps desc nulls first) else 0 end
                    as tightness,
                case when f.trade_count > 0
                    then cume_dist() over (order by f.trade_count) else 0 end as activity
            from figures f
        )
        insert into pair_summary_24h as s (run_id, symbol, window_start, window_end, trade_count,
            quote_volume, avg_spread_bps, p50_spread_bps, p95_spread_bps, avg_depth_quote,
            rv_24h_bps, l2_uptime, l3_uptime, suitability_score, computed_at)
        select $1, r.symbol, r.window_start, r.window_end, r.trade_count, r.quote_volume,
            r.avg_spread_bps, r.spreads[1], r.spreads[2], r.avg_depth_quote,
            least(r.rv_24h_bps, 99999999), r.l2_uptime, r.l3_uptime,
            0.4 * r.liquidity + 0.2 * r.tightness + 0.2 * r.activity + 0.2 * r.health,
            clock_timestamp()
        from ranked r
        on conflict (run_id, symbol) do update set
            window_start = excluded.window_start, window_end = excluded.window_end,
            trade_count = excluded.trade_count, quote_volume = excluded.quote_volume,
            avg_spread_bps = excluded.avg_spread_bps, p50_spread_bps = excluded.p50_spread_bps,
            p95_spread_bps = excluded.p95_spread_bps, avg_depth_quote = excluded.avg_depth_quote,
            rv_24h_bps = excluded.rv_24h_bps, l2_uptime = excluded.l2_uptime,
            l3_uptime = excluded.l3_uptime,
            suitability_score = excluded.suitability_score, computed_at = excluded.computed_at