//! Integer fixed point: every arithmetic rule of the engine, and the only place where `as` and plain
//! operators stand.
//!
//! Inputs and outputs: integers in the units of the module that calls. Invariants: a product goes through
//! 128 bits whenever 64 could lose a digit; division truncates toward zero; what does not fit is an
//! [`ArithError`], never a wrapped number. Only [`sdiv`] saturates: it makes dimensionless features, where an
//! absurd input must not stop the engine. It holds no state and knows no market.
#![expect(clippy::as_conversions, reason = "conversions are proven here and nowhere else")]
#![expect(clippy::arithmetic_side_effects, reason = "overflow is excluded here and nowhere else")]

/// 1.0 of an activation or a multiplier.
pub const ACT_ONE: i64 = 10_000;
/// 100.0000 of a score.
pub const SCORE_MAX: i64 = 1_000_000;
/// 1.0 of a ratio.
pub const RATIO_ONE: i64 = 100_000_000;
/// Where [`sdiv`] ends, on both sides.
pub const SDIV_MAX: i64 = 1_000_000_000_000;

/// A number that left its range, or a division by zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a number left its range")]
pub struct ArithError;

/// `a · b / c`, exact.
///
/// # Errors
/// [`ArithError`] when `c` is 0 or the quotient does not fit.
#[inline]
pub fn mul_div(a: i64, b: i64, c: i64) -> Result<i64, ArithError> {
    if c == 0 {
        return Err(ArithError);
    }
    if let Some(product) = a.checked_mul(b) {
        return product.checked_div(c).ok_or(ArithError);
    }
    i64::try_from(i128::from(a) * i128::from(b) / i128::from(c)).map_err(|_| ArithError)
}

/// `a · b / c` clamped to ±[`SDIV_MAX`]; 0 when `c ≤ 0`.
#[inline]
#[must_use]
pub fn sdiv(a: i64, b: i64, c: i64) -> i64 {
    if c <= 0 {
        return 0;
    }
    if let Some(product) = a.checked_mul(b) {
        return (product / c).clamp(-SDIV_MAX, SDIV_MAX);
    }
    let limit = i128::from(SDIV_MAX);
    (i128::from(a) * i128::from(b) / i128::from(c)).clamp(-limit, limit) as i64
}

/// `n / d` as a ratio (1e-8).
#[inline]
#[must_use]
pub fn ratio(n: i64, d: i64) -> i64 {
    sdiv(n, RATIO_ONE, d)
}

/// `n / d` as a multiplier (1e-4).
#[inline]
#[must_use]
pub fn rel(n: i64, d: i64) -> i64 {
    sdiv(n, ACT_ONE, d)
}

/// Activation of `x` between `lo` and `hi`: 0 up to `lo`, 10,000 from `hi`.
#[inline]
#[must_use]
pub fn ramp(x: i64, lo: i64, hi: i64) -> i64 {
    if x <= lo {
        return 0;
    }
    if x >= hi {
        return ACT_ONE;
    }
    // lo < x < hi: the quotient lies in 0..10,000 and fits.
    if let (Some(above), Some(width)) = (x.checked_sub(lo), hi.checked_sub(lo))
        && let Some(product) = above.checked_mul(ACT_ONE)
    {
        return product / width;
    }
    let (above, width) = (i128::from(x) - i128::from(lo), i128::from(hi) - i128::from(lo));
    (above * i128::from(ACT_ONE) / width) as i64
}

/// 10,000 less [`ramp`].
#[inline]
#[must_use]
pub fn inv(x: i64, lo: i64, hi: i64) -> i64 {
    ACT_ONE - ramp(x, lo, hi)
}

/// Width of a price range over its middle, as a ratio; 0 when there was no trade (`lo` 0).
#[inline]
#[must_use]
pub fn range(hi: i64, lo: i64) -> i64 {
    // Prices are positive, so the difference fits; the sum of two may not.
    if lo <= 0 || hi < lo { 0 } else { ratio(hi - lo, middle(hi, lo)) }
}

/// `(a + b) / 2` of two prices.
#[inline]
#[must_use]
pub fn middle(a: i64, b: i64) -> i64 {
    match a.checked_add(b) {
        Some(sum) => sum / 2,
        None => ((i128::from(a) + i128::from(b)) / 2) as i64,
    }
}

/// An activation that counts only as far as the pace of trading reaches its baseline.
#[inline]
#[must_use]
pub fn flow(activation: i64, vol_ratio: i64) -> i64 {
    weigh(activation, vol_ratio.clamp(0, ACT_ONE))
}

/// `a · w / 10,000` of an activation or a score and a multiplier of at most 100,000.
#[inline]
#[must_use]
pub fn weigh(a: i64, w: i64) -> i64 {
    match a.checked_mul(w) {
        Some(product) => product / ACT_ONE,
        None => (i128::from(a) * i128::from(w) / i128::from(ACT_ONE))
            .clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64,
    }
}

/// One tick of memory: `s` loses `(10,000 − d) · m / 10,000` of itself and gains `(10,000 − d)` of `e`.
#[inline]
#[must_use]
pub fn decay(s: i32, e: i64, d: i64, m: i64) -> i32 {
    Fade::new(d, m).apply(s, e)
}

/// The factors of [`decay`], worked out once for all scores that fade alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fade {
    /// What stays of a score, 1e-4.
    kept: u32,
    /// What comes of the evidence, 1e-4.
    gain: u32,
}

impl Fade {
    /// Of a memory `d` (1..=10,000) under a multiplier `m` of the loss; the configuration keeps the loss within
    /// 0..=10,000.
    #[must_use]
    pub fn new(d: i64, m: i64) -> Self {
        let gain = (ACT_ONE - d).clamp(0, ACT_ONE);
        let loss = (gain * m / ACT_ONE).clamp(0, ACT_ONE);
        Self { kept: (ACT_ONE - loss) as u32, gain: gain as u32 }
    }

    /// A score (0..=1,000,000) and its evidence (0..=1,000,000) after one tick.
    #[inline]
    #[must_use]
    pub fn apply(self, s: i32, e: i64) -> i32 {
        let of = |score: u32, share: u32| u64::from(score) * u64::from(share) / 10_000;
        (of(s as u32, self.kept) + of(e as u32, self.gain)).min(SCORE_MAX as u64) as i32
    }
}

/// A weighted mean of activations as a score: sums first, then multiplies, then divides.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mix {
    sum: i64,
    weights: i64,
}

impl Mix {
    /// Adds an activation (0..=10,000) with its weight (1..=100).
    #[inline]
    #[must_use]
    pub fn with(self, weight: i64, activation: i64) -> Self {
        Self { sum: self.sum + weight * activation, weights: self.weights + weight }
    }

    /// The score; 0 when nothing was added.
    #[inline]
    #[must_use]
    pub fn score(self) -> i64 {
        if self.weights == 0 { 0 } else { self.sum * 100 / self.weights }
    }
}

/// Sum.
///
/// # Errors
/// [`ArithError`] when it does not fit.
#[inline]
pub fn add(a: i64, b: i64) -> Result<i64, ArithError> {
    a.checked_add(b).ok_or(ArithError)
}

/// Difference.
///
/// # Errors
/// [`ArithError`] when it does not fit.
#[inline]
pub fn sub(a: i64, b: i64) -> Result<i64, ArithError> {
    a.checked_sub(b).ok_or(ArithError)
}

/// Product.
///
/// # Errors
/// [`ArithError`] when it does not fit.
#[inline]
pub fn mul(a: i64, b: i64) -> Result<i64, ArithError> {
    a.checked_mul(b).ok_or(ArithError)
}

/// Quotient.
///
/// # Errors
/// [`ArithError`] when `b` is 0 or the quotient does not fit.
#[inline]
pub fn div(a: i64, b: i64) -> Result<i64, ArithError> {
    a.checked_div(b).ok_or(ArithError)
}

/// Magnitude.
///
/// # Errors
/// [`ArithError`] for the least number, which has none.
#[inline]
pub fn abs(a: i64) -> Result<i64, ArithError> {
    a.checked_abs().ok_or(ArithError)
}

/// A count plus one.
///
/// # Errors
/// [`ArithError`] when it does not fit.
#[inline]
pub fn inc(n: u32) -> Result<u32, ArithError> {
    n.checked_add(1).ok_or(ArithError)
}

/// Sum of counts.
///
/// # Errors
/// [`ArithError`] when it does not fit.
#[inline]
pub fn add32(a: u32, b: u32) -> Result<u32, ArithError> {
    a.checked_add(b).ok_or(ArithError)
}

/// A counter of consecutive ticks: one more while the condition holds, else 0. It stops at its end, because
/// only "long enough" is read of it.
#[inline]
#[must_use]
pub fn streak(n: u32, holds: bool) -> u32 {
    if holds { n.saturating_add(1) } else { 0 }
}

/// Narrows for a record; saturates.
#[inline]
#[must_use]
pub fn sat32(x: i64) -> i32 {
    x.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

/// Narrows for a record; saturates.
#[inline]
#[must_use]
pub fn sat16(x: i64) -> i16 {
    x.clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i16
}

/// `⌈n · r · adj / 10^8⌉` within 1..=`n`: how many of `n` members a share `r` of them is.
#[inline]
#[must_use]
pub fn breadth(n: u32, r: i64, adj: i64) -> u32 {
    let product = i128::from(n) * i128::from(r) * i128::from(adj);
    let raised = (product + 99_999_999) / 100_000_000;
    raised.clamp(1, i128::from(n.max(1))) as u32
}

/// Slot of a ring of `len` for bucket `number`.
#[inline]
#[must_use]
pub const fn slot(number: u64, len: usize) -> usize {
    (number % len as u64) as usize
}

/// Slot that lies `back` before `at` in a ring of `len`; `back` is at most `len`.
#[inline]
#[must_use]
pub const fn slot_before(at: usize, back: usize, len: usize) -> usize {
    (at + len - back) % len
}

/// A length as a number.
#[inline]
#[must_use]
pub const fn count(len: usize) -> u64 {
    len as u64
}

/// Microseconds at which the tick's window ends; saturates.
#[inline]
#[must_use]
pub const fn window_end_us(tick: u64) -> i64 {
    let end = (tick as i128 + 1) * 250_000;
    if end > i64::MAX as i128 { i64::MAX } else { end as i64 }
}

/// Powers of ten that fit, from `10^0` to `10^18`.
pub const POWERS: [i64; 19] = {
    let mut powers = [1; 19];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

#[cfg(test)]
mod tests;
