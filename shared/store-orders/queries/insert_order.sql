insert into execution_orders (
            cl_ord_id, session_id, fencing_token, run_id, lineage_id, epoch_id, snapshot_id,
            generation_id, evaluation_id, symbol, side, role, parent_order_id, position_id,
            strategy, route_type, horizon, regime, regime_sub, execution_intent, queue_decision,
            exit_policy, exit_reason, order_type, tif, post_only, limit_price, trigger_price,
            trigger_ref, qty, deadline_at, expire_at, decision_mid, expected_move_bps,
            expected_edge_bps, expected_surplus_bps, expected_slippage_bps, quote_tick_id,
            quote_seq, p_fill, est_fill_time_ms, queue_ahead_quote, size_quote_requested,
            size_quote_approved, state, state_since, event_seq, created_at, updated_at,
            engine_tick_id, engine_chain, exit_sl_bps, exit_tp_bps, exit_trail_bps,
            exit_time_stop_secs)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
            $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35,
            $36, $37, $38, $39, $40, $41, $42, $43, $44, $45, $46, 1, $46, $46,
            $47, $48, $49, $50, $51, $52)
         returning order_id