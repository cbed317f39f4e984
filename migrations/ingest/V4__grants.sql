-- Grants of the ingest cluster. The service can neither change nor delete raw rows.
-- Catalogue changes only: milliseconds.

grant select on all tables in schema penstock to ingest_rw, observer_ro, ops_rw;
grant insert on ticker_samples, trade_samples, l2_snap_metrics, l3_queue_metrics,
    deriv_ticker_samples, liquidation_samples, candles_1m, ingest_stream_events, raw_quarantine,
    execution_universe_snapshots to ingest_rw;
grant insert, update on observation_runs, ingest_lineage, ingest_epochs, instruments,
    state_generations, refresh_watermarks, raw_load_cursor, pair_summary_24h, partition_registry
    to ingest_rw;
grant insert, update, delete on run_symbol_state to ingest_rw;
grant insert, delete on aggregator_checkpoints to ingest_rw;

insert into schema_compat (set_name, version, min_binary_schema) values ('ingest', 4, 4)
  on conflict do nothing;
