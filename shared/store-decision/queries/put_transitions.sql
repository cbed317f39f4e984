with new as (
    select *
    from unnest($1::bigint[], $2::text[], $3::int[], $4::bigint[], $5::text[], $6::smallint[],
        $7::smallint[], $8::text[], $9::int[], $10::int[], $11::int[], $12::int[], $13::int[],
        $14::smallint[], $15::bigint[])
        as u (tick_id, kind, subject_id, cycle_id, event_id, from_code, to_code, edge, pressure,
            fragile, trigger, unwind, cost, tier, reason_bits)
), added as (
    insert into engine_transitions (tick_id, kind, subject_id, cycle_id, event_id, from_code,
        to_code, edge, pressure, fragile, trigger, unwind, cost, tier, reason_bits, session_id)
    select n.tick_id, n.kind, n.subject_id, n.cycle_id, n.event_id, n.from_code, n.to_code, n.edge,
        n.pressure, n.fragile, n.trigger, n.unwind, n.cost, n.tier, n.reason_bits, $16
    from new n
    on conflict (kind, subject_id, tick_id) do nothing
)
select n.kind || ' ' || n.subject_id || ' at tick ' || n.tick_id
from new n
join engine_transitions t
    on t.kind = n.kind and t.subject_id = n.subject_id and t.tick_id = n.tick_id
where (t.cycle_id, t.event_id, t.from_code, t.to_code, t.edge, t.pressure, t.fragile, t.trigger,
        t.unwind, t.cost, t.tier, t.reason_bits)
    is distinct from (n.cycle_id, n.event_id, n.from_code, n.to_code, n.edge, n.pressure, n.fragile,
        n.trigger, n.unwind, n.cost, n.tier, n.reason_bits)
order by n.tick_id, n.kind, n.subject_id
limit 1