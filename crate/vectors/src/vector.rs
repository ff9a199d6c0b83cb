//! What fast kernels ask of a CPU: a few operations on vectors of floats and words.
//!
//! Kernels are written once, for any [`Vector`]; each instruction set is one implementation, of a few lines an operation.
//! Everything is inlined into the functions of a path (see `path.rs`), which are compiled for its instruction set.

/// A vector of [`Vector::LANES`] lanes of 32 bits, in quarters of four lanes, each with a block's scale.
///
/// Implementations are for CPUs that have them alone: whoever calls has asked. Pointers need no alignment, and have to be good
/// for a whole vector.
pub(super) trait Vector: Copy + 'static {
    /// Lanes.
    const LANES: usize;
    /// Whether there are registers for two rows with four inputs at a time, which then are loaded half as often.
    const PAIRS: bool;
    /// What [`Vector::halves`] and [`Vector::load_halves`] are short of: a power of two that a scale makes up for.
    const HALVES_UNIT: f32;
    /// Floats.
    type F: Copy;
    /// Words.
    type I: Copy;

    unsafe fn load(p: *const f32) -> Self::F;
    unsafe fn store(p: *mut f32, v: Self::F);
    unsafe fn load_words(p: *const u32) -> Self::I;
    unsafe fn store_words(p: *mut u32, v: Self::I);
    fn splat(v: f32) -> Self::F;
    fn splat_words(v: u32) -> Self::I;

    /// The same four words in every quarter.
    #[inline(always)]
    fn quarters(v: [u32; 4]) -> Self::I {
        let all = [v; 4];
        // SAFETY: no vector has more than four quarters.
        unsafe { Self::load_words(all.as_ptr().cast()) }
    }

    fn add(a: Self::F, b: Self::F) -> Self::F;
    fn sub(a: Self::F, b: Self::F) -> Self::F;
    fn mul(a: Self::F, b: Self::F) -> Self::F;
    fn div(a: Self::F, b: Self::F) -> Self::F;
    /// The smaller one; `b` where one is not a number.
    fn min(a: Self::F, b: Self::F) -> Self::F;
    /// The larger one; `b` where one is not a number.
    fn max(a: Self::F, b: Self::F) -> Self::F;
    /// `a · b + c`, rounded once or twice.
    fn mul_add(a: Self::F, b: Self::F, c: Self::F) -> Self::F;

    fn and(a: Self::I, b: Self::I) -> Self::I;
    fn or(a: Self::I, b: Self::I) -> Self::I;
    fn add_words(a: Self::I, b: Self::I) -> Self::I;
    /// The larger of two signed words.
    fn max_words(a: Self::I, b: Self::I) -> Self::I;
    fn shl<const N: u32>(a: Self::I) -> Self::I;
    fn shr<const N: u32>(a: Self::I) -> Self::I;
    /// Shifts of 16-bit halves, the last one with the sign.
    fn shl_halves<const N: u32>(a: Self::I) -> Self::I;
    fn shr_halves<const N: u32>(a: Self::I) -> Self::I;
    fn sar_halves<const N: u32>(a: Self::I) -> Self::I;
    /// The bytes of `table`, of sixteen in each quarter, that the bytes of `i` name, which are below sixteen.
    fn lookup(table: Self::I, i: Self::I) -> Self::I;
    /// `sum` and the two products of each lane's halves, as signed numbers.
    fn dot(sum: Self::I, a: Self::I, b: Self::I) -> Self::I;
    /// Sums of the first and second, third and fourth, ... quarter of `a` followed by `b`.
    fn fold(a: Self::I, b: Self::I) -> Self::I;

    /// Signed words as floats.
    fn to_float(a: Self::I) -> Self::F;
    /// Floats, of less than 2²² in size, rounded to the nearest word.
    fn round(a: Self::F) -> Self::I;
    fn bits(a: Self::F) -> Self::I;
    fn of_bits(a: Self::I) -> Self::F;

    /// 16-bit floats for all lanes, divided by [`Vector::HALVES_UNIT`].
    unsafe fn load_halves(p: *const u16) -> Self::F;
    /// A 16-bit float for each quarter, divided by [`Vector::HALVES_UNIT`].
    unsafe fn halves(p: *const u16) -> Self::F;
    /// A byte for each quarter, in all of its lanes.
    unsafe fn bytes(p: *const u8) -> Self::I;

    /// Sums of the lanes of four vectors, in one order whatever the four are.
    fn sums(v: [Self::F; 4]) -> [f32; 4];

    /// The sum of the lanes.
    #[inline(always)]
    fn sum(v: Self::F) -> f32 {
        Self::sums([v; 4])[0]
    }

    /// The largest word, none of which is negative.
    #[inline(always)]
    fn largest_word(v: Self::I) -> u32 {
        let mut lanes = [0; 16];
        // SAFETY: no vector has more than sixteen lanes.
        unsafe { Self::store_words(lanes.as_mut_ptr(), v) };
        lanes[..Self::LANES].iter().copied().fold(0, u32::max)
    }

    /// The largest lane.
    #[inline(always)]
    fn largest(v: Self::F) -> f32 {
        let mut lanes = [0.0; 16];
        // SAFETY: no vector has more than sixteen lanes.
        unsafe { Self::store(lanes.as_mut_ptr(), v) };
        lanes[..Self::LANES].iter().copied().fold(f32::NEG_INFINITY, f32::max)
    }
}

/// What a shift of bits by thirteen makes of a 16-bit float is this much too small: exponents count from 127, not 15.
pub(super) const HALF_UNIT: f32 = f32::from_bits((127 + 112) << 23);
