//! What an order-by-order book costs in memory: a crowded book of ten levels, and the deepest one.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use penstock_venues::kraken::book::Precision;
use penstock_venues::kraken::level3_book::{Change, Level3Book};
use penstock_venues::kraken::level3_flow::QueueFlow;
use penstock_venues::kraken::{Frame, decode};

const PRECISION: Precision = Precision { price: 1, qty: 2 };
/// Bytes that one symbol may take.
const SYMBOL_BYTES_MAX: usize = 2 << 20;

fn image(levels: u32, orders_per_level: u32) -> String {
    let side = |first: u32, step: i64| {
        let mut orders = Vec::new();
        for level in 0..levels {
            let price = 100_000 + step * i64::from(level + 1);
            for n in 0..orders_per_level {
                let id = first + level * orders_per_level + n;
                orders.push(format!(
                    r#"{{"order_id":"O{id:05}-AAAAA-BBBBBB","limit_price":{}.{},"order_qty":1.00,"timestamp":"2026-07-07T23:00:00.{:06}Z"}}"#,
                    price / 10,
                    price % 10,
                    n,
                ));
            }
        }
        orders.join(",")
    };
    format!(
        r#"{{"channel":"level3","type":"snapshot","data":[{{"symbol":"X/Y","checksum":1,"bids":[{}],"asks":[{}]}}]}}"#,
        side(0, -1),
        side(50_000, 1),
    )
}

fn book(levels: u32, orders_per_level: u32) -> Level3Book {
    let text = image(levels, orders_per_level);
    let Ok(Frame::Level3(message)) = decode(&text) else { panic!("not a level3 frame") };
    let mut book = Level3Book::new(1_000, PRECISION);
    book.apply_snapshot(&message.rows[0]).unwrap();
    assert_eq!(book.order_count(), 2 * (levels * orders_per_level) as usize);
    book
}

/// A flow in the middle of a burst: everything that it may hold.
fn busy_flow() -> QueueFlow {
    use penstock_types::vocab::Side;
    let mut flow = QueueFlow::new(PRECISION);
    for n in 0..20_000 {
        let at_ms = 1_000_000 + n * 5;
        flow.change(Change::Deleted { side: Side::Buy, price: 100, qty: 1, at_best: true }, at_ms);
        flow.print(100, 1, at_ms);
    }
    flow
}

#[test]
fn a_symbol_stays_within_its_memory() {
    let flow = busy_flow().heap_bytes();
    for (levels, orders_per_level) in [(10, 10), (10, 100), (1_000, 4)] {
        let book = book(levels, orders_per_level).heap_bytes();
        println!("{levels} levels of {orders_per_level} orders: {book} bytes, a busy flow {flow}");
        assert!(book + flow <= SYMBOL_BYTES_MAX, "{levels} × {orders_per_level}: {book} + {flow}");
    }
}
