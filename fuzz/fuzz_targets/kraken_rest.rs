//! Any status and body are answered: done, refused or unknown; an error text without a row is never a
//! refusal.
#![no_main]

use libfuzzer_sys::fuzz_target;
use penstock_venues::kraken::error_table::{ErrorOutcome, judge};
use penstock_venues::kraken::rest::private::{
    ClosedOrdersResult, LedgersResult, OpenOrdersResult, TradesHistoryResult,
};
use penstock_venues::kraken::rest::public::{AssetPairResult, Entries, TickerResult, TradesResult};
use penstock_venues::kraken::rest::{Reply, decode};

fuzz_target!(|data: (u16, &str)| {
    let (status, body) = data;
    let _ = decode::<OpenOrdersResult<'_>>(status, body);
    let _ = decode::<ClosedOrdersResult<'_>>(status, body);
    let _ = decode::<LedgersResult<'_>>(status, body);
    let _ = decode::<Entries<'_, AssetPairResult<'_>>>(status, body);
    let _ = decode::<Entries<'_, TickerResult<'_>>>(status, body);
    let _ = decode::<TradesResult<'_>>(status, body);
    let reply = decode::<TradesHistoryResult<'_>>(status, body);
    if status != 200 {
        assert!(matches!(reply, Reply::Unknown { .. }));
    }
    let judgement = judge(body);
    assert!(judgement.row.is_some() || judgement.outcome == ErrorOutcome::Unknown);
});
