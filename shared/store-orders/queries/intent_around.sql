select
            case when me.position_id is null then
                (select count(*) from execution_orders o
                  where o.evaluation_id = me.evaluation_id and o.symbol = me.symbol
                    and o.role = me.role and o.order_id <> me.order_id and o.state <> 'created')
            else
                (select count(*) from execution_orders o
                  where o.position_id = me.position_id
                    and o.role = me.role and o.order_id <> me.order_id and o.state <> 'created')
            end as "earlier!",
            d.snapshot_hash as "snapshot_hash?",
            d.decision -> 'exit_plan' ->> 'sl_price' as sl_price,
            d.decision -> 'exit_plan' ->> 'tp_price' as tp_price,
            i.price_increment as "price_increment?", i.qty_increment as "qty_increment?",
            i.content_hash as "constraints_hash?",
            (select e.payload ->> 'intent_hash' from execution_order_events e
              where e.order_id = me.parent_order_id and e.payload is not null
              order by e.event_seq limit 1) as parent_hash
         from execution_orders me
         left join instruments i on i.symbol = me.symbol
         left join lateral (select snapshot_hash, decision from decisions
              where evaluation_id = me.evaluation_id and symbol = me.symbol
              order by version desc limit 1) d on true
         where me.order_id = $1
