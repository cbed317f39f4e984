//! `decide` for 200 symbols: the target is 5 ms on two cores.

use criterion::{Criterion, criterion_group, criterion_main};
use penstock_trading::decide;
use penstock_trading::fixtures::{config, input};
use std::hint::black_box;

fn bench(c: &mut Criterion) {
    let (calm, settings) = (input(200), config());
    c.bench_function("decide, 200 symbols", |b| {
        b.iter(|| decide(black_box(&calm), black_box(&settings)));
    });
}

criterion_group!(benches, bench);
criterion_main!(benches);
