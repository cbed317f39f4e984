with new as (
    select *
    from unnest($1::text[], $2::bigint[], $3::smallint[], $4::text[], $5::int[], $6::int[],
        $7::text[], $8::smallint[], $9::smallint[], $10::text[], $11::jsonb[])
        as u (alert_id, tick_id, kind, scope, token_id, cluster_id, symbol, direction, confidence,
            payload, integrity)
), added as (
    insert into engine_alerts (alert_id, tick_id, kind, scope, token_id, cluster_id, symbol,
        direction, confidence, payload, integrity, session_id)
    select n.alert_id, n.tick_id, n.kind, n.scope, n.token_id, n.cluster_id, n.symbol, n.direction,
        n.confidence, n.payload, n.integrity, $12
    from new n
    on conflict (alert_id) do nothing
)
select n.alert_id
from new n
join engine_alerts a on a.alert_id = n.alert_id
where (a.tick_id, a.kind, a.scope, a.token_id, a.cluster_id, a.symbol, a.direction, a.confidence,
        a.payload)
    is distinct from (n.tick_id, n.kind, n.scope, n.token_id, n.cluster_id, n.symbol, n.direction,
        n.confidence, n.payload)
order by n.tick_id, n.alert_id
limit 1