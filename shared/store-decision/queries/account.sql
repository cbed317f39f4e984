-- Money from outside that the cash of now contains; the newest snapshot of whose cash nothing was booked later is where
-- the mark is folded from. What was adopted as a position came from outside at what it was taken for, and what a
-- withdrawal took out of a position went at the mid of that time; a coin that left in no such way is a loss.
with cash as (
    select as_of from exchange_balances where asset = $6),
-- A fill is booked at once, the balance that has it comes in a message of its own: until then the cash is less than the
-- balance that was said last. A millisecond is more than the venue's ledger is before its trade.
untold as (
    select coalesce(sum(case side when 'buy' then -cost_quote else cost_quote end
        - case when fee_asset = $6 then fee_asset_qty else 0 end), 0) as amount
    from fills
    where ts_exchange > (select as_of from cash) + interval '1 ms' and split_part(symbol, '/', 2) = $6),
flows as (
    select c.id, c.ts, c.amount from balance_changes c
    where c.asset = $6 and c.cause in ('deposit', 'withdrawal', 'conversion', 'other')
    and c.ts <= (select as_of from cash)),
moved as (
    select coalesce(sum(case when l.delta_base > 0 then l.cost_after - l.cost_before
        else round(l.delta_base * (l.evidence ->> 'mid_quote')::numeric, 10) end), 0) as amount
    from fills_ledger l
    where l.kind = 'adjust' and (l.reason = 'external' and l.delta_base > 0
        or l.reason = 'phantom' and l.evidence ->> 'mid_quote' is not null
        and exists (select from balance_changes c
            where c.asset = split_part(l.symbol, '/', 1) and c.amount < 0
            and c.cause in ('withdrawal', 'conversion', 'other')
            and c.ts between (select opened_at from positions p where p.position_id = l.position_id)
                and l.created_at))),
mark as (
    select s.ts, s.hwm_quote, s.external_cum_quote, s.external_seen_id from equity_snapshots s
    where not exists (select from flows f
        where f.id > s.external_seen_id and f.ts <= s.cash_as_of)
    order by s.ts desc limit 1),
since as (
    select s.ts, s.equity_quote, s.external_cum_quote, s.external_seen_id, s.cash_as_of
    from equity_snapshots s
    where s.ts > coalesce((select ts from mark), '-infinity') and s.external_cum_quote is not null
    -- Two days of them: what is booked later than that is taken out of these only.
    order by s.ts desc limit 2880)
select json_build_object(
             'safety', (select coalesce(json_agg(json_build_object(
                     'symbol', symbol, 'mode', mode,
                     'quiet_until', (extract(epoch from quiet_until) * 1000000)::bigint,
                     'hard_block_until', (extract(epoch from hard_block_until) * 1000000)::bigint,
                     'causes', causes,
                     'is_quarantine', exists (select from symbol_safety_state q
                         where q.symbol = s.symbol and q.mode = s.mode
                         and coalesce(q.expires_at, 'infinity') > clock_timestamp()
                         and q.detail ->> 'quarantine' = 'true')) order by symbol collate "C"), '[]')
                 from symbol_safety_effective s),
             'positions', (select coalesce(json_agg(json_build_object(
                     'position_id', p.position_id, 'symbol', p.symbol, 'status', p.status,
                     'origin', p.origin, 'strategy', p.strategy, 'route_type', p.route_type,
                     'horizon', p.horizon, 'regime_at_entry', p.regime_at_entry,
                     'opened_at', (extract(epoch from p.opened_at) * 1000000)::bigint,
                     'base_qty', p.base_qty::text, 'cost_basis_quote', p.cost_basis_quote::text,
                     'avg_entry_price', p.avg_entry_price::text,
                     'protected_qty', p.protected_qty::text,
                     'plan', case when e.sl_price is not null and e.time_stop_at is not null then
                         json_build_object('policy', e.policy, 'state', e.state,
                             'sl_price', e.sl_price::text,
                             'time_stop_at', (extract(epoch from e.time_stop_at) * 1000000)::bigint)
                         end) order by p.position_id), '[]')
                 from positions p left join exit_plans e using (position_id)
                 where p.status <> 'closed'),
             'live_orders', (select coalesce(json_agg(json_build_object(
                     'order_id', order_id, 'symbol', symbol, 'side', side, 'role', role,
                     'state', state, 'state_reason', state_reason, 'strategy', strategy,
                     'limit_price', limit_price::text, 'qty', qty::text, 'cum_qty', cum_qty::text,
                     'created_at', (extract(epoch from created_at) * 1000000)::bigint) order by order_id), '[]')
                 from execution_orders where not terminal and state <> 'created'),
             'reservations', (select coalesce(json_agg(json_build_object(
                     'order_id', order_id, 'symbol', symbol, 'strategy', strategy,
                     'reserved_quote', reserved_quote::text) order by order_id), '[]')
                 from capital_reservations where released_at is null),
             'balances', (select coalesce(json_agg(json_build_object(
                     'asset', asset, 'balance', (case asset when $6
                         then balance + (select amount from untold) else balance end)::text,
                     'as_of', (extract(epoch from as_of) * 1000000)::bigint) order by asset), '[]')
                 from exchange_balances),
             'fees', (select json_build_object('maker_bps', maker_bps::text,
                     'taker_bps', taker_bps::text, 'source', source)
                 from fee_tiers order by as_of desc limit 1),
             'scores', (select coalesce(json_agg(json_build_object(
                     'strategy', strategy, 'regime', regime, 'route_type', route_type,
                     'n', n::text, 'mean_net_bps', mean_net_bps::text,
                     'mean_expected_bps', mean_expected_bps::text,
                     'ewma_net_bps', ewma_net_bps::text,
                     'updated_at', (extract(epoch from updated_at) * 1000000)::bigint)
                     order by strategy, regime, route_type), '[]')
                 from strategy_scores),
             'locks', (select coalesce(json_agg(json_build_object(
                     'symbol', symbol, 'owner', owner, 'fencing_token', fencing_token,
                     'expires_at', (extract(epoch from expires_at) * 1000000)::bigint) order by symbol collate "C"), '[]')
                 from symbol_exec_locks),
             'equity', json_build_object(
                 'hwm_quote', (select hwm_quote::text from mark),
                 'external', json_build_object(
                     'cum_quote', ((select coalesce(sum(amount), 0) from flows)
                         + (select amount from moved))::numeric(26,10)::text,
                     'seen_id', (select coalesce(max(id), 0) from balance_changes),
                     'at_mark_quote', (select external_cum_quote::text from mark),
                     'late', (select coalesce(json_agg(json_build_object(
                             'id', id, 'at', (extract(epoch from ts) * 1000000)::bigint,
                             'amount_quote', amount::text) order by id), '[]')
                         from flows where exists (select from since)
                         and id > (select coalesce(external_seen_id, 0) from mark)),
                     'since', (select coalesce(json_agg(json_build_object(
                             'equity_quote', equity_quote::text,
                             'external_cum_quote', external_cum_quote::text,
                             'external_seen_id', external_seen_id,
                             'cash_as_of', (extract(epoch from cash_as_of) * 1000000)::bigint)
                             order by ts), '[]') from since)),
                 'drawdown_day', (select drawdown_day from equity_snapshots order by ts desc limit 1),
                 'day_open_quote', (select equity_quote::text from equity_snapshots
                     where ts >= date_trunc('day', clock_timestamp(), 'UTC') order by ts limit 1),
                 'realized_cum_quote', (select coalesce(sum(net_quote), 0)::numeric(26,10)::text
                     from realized_pnl),
                 'realized_day_quote', (select coalesce(sum(net_quote), 0)::numeric(26,10)::text
                     from realized_pnl
                     where ts >= date_trunc('day', clock_timestamp(), 'UTC'))),
             'counters', json_build_object(
                 'opened_today', (select count(*) from positions where entry_order_id is not null
                     and opened_at >= date_trunc('day', clock_timestamp(), 'UTC')),
                 'entries_last_60s', (select count(*) from execution_orders
                     where role in ('entry', 'proof')
                     and created_at > clock_timestamp() - interval '60 s'),
                 'symbols', (select coalesce(json_agg(json_build_object(
                         'symbol', symbol, 'opened_in_window', opened,
                         'last_stop_exit_at', (extract(epoch from stopped) * 1000000)::bigint,
                         'closes', coalesce(closes, '[]'),
                         'orders_sent', coalesce(sent, '[]'),
                         'cancels_sent', coalesce(canceled, '[]')) order by symbol collate "C"), '[]')
                     from (select symbol, coalesce(max(opened), 0) as opened,
                             max(stopped) as stopped,
                             (array_agg(closes) filter (where closes is not null))[1] as closes,
                             (array_agg(sent) filter (where sent is not null))[1] as sent,
                             (array_agg(canceled) filter (where canceled is not null))[1] as canceled
                         from (select symbol, count(*) as opened, null::timestamptz as stopped,
                                 null::json as closes, null::json as sent, null::json as canceled
                             from positions where entry_order_id is not null
                             and opened_at > clock_timestamp() - make_interval(secs => $1::float8)
                             group by symbol
                             union all
                             select symbol, null, max(ts), null, null, null from realized_pnl
                             where exit_reason = 'SL_hit'
                             and ts > clock_timestamp() - make_interval(secs => $2::float8)
                             group by symbol
                             union all
                             select symbol, null, null, json_agg(json_build_object(
                                 'at', (extract(epoch from closed_at) * 1000000)::bigint,
                                 'net_quote', realized_quote::text) order by newest desc), null, null
                             from (select symbol, closed_at, realized_quote, row_number() over (
                                     partition by symbol order by closed_at desc, position_id desc)
                                     as newest
                                 from positions where status = 'closed' and entry_order_id is not null
                                 and closed_at > clock_timestamp() - make_interval(secs => $3::float8)) c
                             where newest <= $4::bigint group by symbol
                             union all
                             -- An order is sent once: with its row, out of stock, or before its row.
                             select o.symbol, null, null, null,
                                 json_agg((extract(epoch from e.ts_local) * 1000000)::bigint
                                     order by e.event_id)
                                     filter (where e.event_type <> 'cancel_sent'),
                                 json_agg((extract(epoch from e.ts_local) * 1000000)::bigint
                                     order by e.event_id)
                                     filter (where e.event_type = 'cancel_sent')
                             from execution_order_events e join execution_orders o using (order_id)
                             -- The newest events only: the table grows for ever, and no venue takes so
                             -- many requests in the span.
                             where e.event_id > (select coalesce(max(event_id), 0) - 8192
                                 from execution_order_events)
                             and e.event_type in ('persist', 'authorise', 'preauth_sent', 'cancel_sent')
                             and e.ts_local > clock_timestamp() - make_interval(secs => $5::float8)
                             group by o.symbol) part
                         group by symbol) past))
           ) as "account!: Json<AccountRows>"
