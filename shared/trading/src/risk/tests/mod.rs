//! The gate as a whole: every rule alone, their order, the last word, counters over time.

mod cases;
mod counts;
mod matrix;
mod money;
mod over_time;
mod vectors;
mod world;

pub(super) fn rule_matrix() {
    matrix::check();
    matrix::check_smaller_caps();
    matrix::check_order();
    matrix::check_proof();
}

pub(super) fn final_word() {
    matrix::check_final_word();
}

pub(super) fn adaptive_vectors() {
    vectors::check();
}

pub(super) fn counters_over_time() {
    over_time::check_cooldown_and_window();
    over_time::check_losses();
    over_time::check_churn();
    over_time::check_quarantine();
    over_time::check_kill_switches();
    over_time::check_positions();
}
