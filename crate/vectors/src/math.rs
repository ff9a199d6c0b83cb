//! Arithmetic of fast kernels: exponentials, norms, sums.

use super::vector::Vector;

/// `e^x` within two units in the last place; what is below -87 is 1e-38.
///
/// Cody and Waite's reduction, and the polynomial of Cephes' `expf`.
#[inline(always)]
pub(super) fn exp<V: Vector>(x: V::F) -> V::F {
    // In this order what is not a number stays none.
    let x = V::min(V::splat(88.3), V::max(V::splat(-87.3), x));
    let n = V::round(V::mul(x, V::splat(core::f32::consts::LOG2_E)));
    let whole = V::to_float(n);
    let r = V::mul_add(whole, V::splat(-0.693_359_4), x);
    let r = V::mul_add(whole, V::splat(2.121_944_4e-4), r);
    let mut p = V::splat(1.987_569_1e-4);
    for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = V::mul_add(p, r, V::splat(c));
    }
    let p = V::add(V::mul_add(p, V::mul(r, r), r), V::splat(1.0));
    V::mul(p, V::of_bits(V::shl::<23>(V::add_words(n, V::splat_words(127)))))
}

/// What is done to two vectors. Closures would be functions of their own, without the features of whoever calls.
trait Both<V: Vector> {
    fn of(&self, a: V::F, b: V::F) -> V::F;
}

/// Applies `f` to vectors of `y` and `x`, the last one filled up with zeros.
#[inline(always)]
fn update<V: Vector>(y: &mut [f32], x: &[f32], f: impl Both<V>) {
    let count = y.len().min(x.len());
    let (y, x) = (&mut y[..count], &x[..count]);
    let (mut ys, mut xs) = (y.chunks_exact_mut(V::LANES), x.chunks_exact(V::LANES));
    for (y, x) in (&mut ys).zip(&mut xs) {
        // SAFETY: both are a vector long.
        unsafe { V::store(y.as_mut_ptr(), f.of(V::load(y.as_ptr()), V::load(x.as_ptr()))) };
    }
    let (y, x) = (ys.into_remainder(), xs.remainder());
    if !y.is_empty() {
        let (mut last_y, mut last_x) = ([0.0; 16], [0.0; 16]);
        last_y[..y.len()].copy_from_slice(y);
        last_x[..x.len()].copy_from_slice(x);
        // SAFETY: no vector is longer than sixteen.
        unsafe { V::store(last_y.as_mut_ptr(), f.of(V::load(last_y.as_ptr()), V::load(last_x.as_ptr()))) };
        y.copy_from_slice(&last_y[..y.len()]);
    }
}

/// What `f` makes of vectors of `x`, the last one filled up, one after another.
#[inline(always)]
fn fold<V: Vector>(x: &[f32], fill: f32, first: f32, f: impl Both<V>) -> V::F {
    let mut all = V::splat(first);
    let parts = x.chunks_exact(V::LANES);
    let rest = parts.remainder();
    for part in parts {
        // SAFETY: a part is a vector long.
        all = f.of(all, unsafe { V::load(part.as_ptr()) });
    }
    if !rest.is_empty() {
        let mut last = [fill; 16];
        last[..rest.len()].copy_from_slice(rest);
        // SAFETY: no vector is longer than sixteen.
        all = f.of(all, unsafe { V::load(last.as_ptr()) });
    }
    all
}

/// `a + b²`.
struct AddSquare;

impl<V: Vector> Both<V> for AddSquare {
    #[inline(always)]
    fn of(&self, a: V::F, b: V::F) -> V::F {
        V::mul_add(b, b, a)
    }
}

/// `silu(a) · b`.
struct Gate;

impl<V: Vector> Both<V> for Gate {
    #[inline(always)]
    fn of(&self, a: V::F, b: V::F) -> V::F {
        let e = exp::<V>(V::sub(V::splat(0.0), a));
        V::mul(V::div(a, V::add(V::splat(1.0), e)), b)
    }
}

/// `a + factor · b`.
struct AddScaled(f32);

impl<V: Vector> Both<V> for AddScaled {
    #[inline(always)]
    fn of(&self, a: V::F, b: V::F) -> V::F {
        V::mul_add(V::splat(self.0), b, a)
    }
}

/// The larger one.
struct Larger;

impl<V: Vector> Both<V> for Larger {
    #[inline(always)]
    fn of(&self, a: V::F, b: V::F) -> V::F {
        V::max(a, b)
    }
}

/// `a + e^(b - from)`.
struct AddExp(f32);

impl<V: Vector> Both<V> for AddExp {
    #[inline(always)]
    fn of(&self, a: V::F, b: V::F) -> V::F {
        V::add(a, exp::<V>(V::sub(b, V::splat(self.0))))
    }
}

/// RMSNorm, as the scalar one.
#[inline(always)]
pub(super) fn norm<V: Vector>(x: &[f32], weight: &[f32], eps: f32, y: &mut [f32]) {
    let squares = V::sum(fold::<V>(x, 0.0, 0.0, AddSquare));
    let inverse = 1.0 / (squares / x.len() as f32 + eps).sqrt();
    let (y, weight) = (&mut y[..x.len()], &weight[..x.len()]);
    let whole = x.len() - x.len() % V::LANES;
    for at in (0..whole).step_by(V::LANES) {
        // SAFETY: all are as long, and have a vector at `at`.
        unsafe {
            let scaled = V::mul(V::load(x.as_ptr().add(at)), V::splat(inverse));
            V::store(y.as_mut_ptr().add(at), V::mul(scaled, V::load(weight.as_ptr().add(at))));
        }
    }
    for at in whole..x.len() {
        y[at] = x[at] * inverse * weight[at];
    }
}

/// `gate = silu(gate) · up`.
#[inline(always)]
pub(super) fn gate<V: Vector>(gate: &mut [f32], up: &[f32]) {
    update::<V>(gate, up, Gate);
}

/// `y += a · x`.
#[inline(always)]
pub(super) fn add_scaled<V: Vector>(y: &mut [f32], a: f32, x: &[f32]) {
    update::<V>(y, x, AddScaled(a));
}

/// The largest of `x`.
#[inline(always)]
pub(super) fn largest<V: Vector>(x: &[f32]) -> f32 {
    V::largest(fold::<V>(x, f32::NEG_INFINITY, f32::NEG_INFINITY, Larger))
}

/// `Σ e^(x - from)`: parts in f32, their sum in f64, as one f32 sum over a vocabulary loses digits.
#[inline(always)]
pub(super) fn sum_of_exps<V: Vector>(x: &[f32], from: f32) -> f64 {
    let mut sum = 0.0;
    for part in x.chunks(1024) {
        sum += f64::from(V::sum(fold::<V>(part, f32::NEG_INFINITY, 0.0, AddExp(from))));
    }
    sum
}

/// `x = e^(x - from) `; their sum.
#[inline(always)]
pub(super) fn exps<V: Vector>(x: &mut [f32], from: f32) -> f32 {
    let from = V::splat(from);
    let count = x.len();
    let whole = count - count % V::LANES;
    let mut sum = V::splat(0.0);
    for part in x[..whole].chunks_exact_mut(V::LANES) {
        // SAFETY: a part is a vector long.
        let e = exp::<V>(V::sub(unsafe { V::load(part.as_ptr()) }, from));
        // SAFETY: the same.
        unsafe { V::store(part.as_mut_ptr(), e) };
        sum = V::add(sum, e);
    }
    let rest = &mut x[whole..];
    let mut total = V::sum(sum);
    if !rest.is_empty() {
        let mut last = [f32::NEG_INFINITY; 16];
        last[..rest.len()].copy_from_slice(rest);
        // SAFETY: no vector is longer than sixteen.
        unsafe { V::store(last.as_mut_ptr(), exp::<V>(V::sub(V::load(last.as_ptr()), from))) };
        rest.copy_from_slice(&last[..rest.len()]);
        total += rest.iter().sum::<f32>();
    }
    total
}
