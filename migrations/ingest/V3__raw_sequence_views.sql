-- raw_seq merges all numbered rows of a run; raw_seq_holes lists the numbers that are missing in
-- 1..last_seq and says whether a gap row explains them. Views only: milliseconds.

create view raw_seq as
select run_id, seq, 'ticker' as stream from ticker_samples
union all select run_id, seq, 'trade' from trade_samples
union all select run_id, seq, 'l2' from l2_snap_metrics
union all select run_id, seq, 'l3' from l3_queue_metrics
union all select run_id, seq, 'deriv_ticker' from deriv_ticker_samples
union all select run_id, seq, 'liquidation' from liquidation_samples
union all select run_id, seq, 'status' from ingest_stream_events
union all select run_id, seq, 'quarantine' from raw_quarantine where stream < 16;

create view raw_seq_holes as
select
  c.run_id,
  c.seq + 1 as first_missing,
  c.nxt - 1 as last_missing,
  coalesce((
    select range_agg(int8range(e.first_seq, e.last_seq, '[]'))
    from ingest_stream_events e
    where e.run_id = c.run_id and e.kind = 'raw_drop'
  ) @> int8range(c.seq + 1, c.nxt - 1, '[]'), false) as explained
from (
  select run_id, seq, lead(seq) over (partition by run_id order by seq) as nxt
  from (
    select run_id, seq from raw_seq
    union all select run_id, 0 from raw_load_cursor
    union all select run_id, last_seq + 1 from raw_load_cursor
  ) s
) c
where c.nxt > c.seq + 1;

insert into schema_compat (set_name, version, min_binary_schema) values ('ingest', 3, 3)
  on conflict do nothing;
