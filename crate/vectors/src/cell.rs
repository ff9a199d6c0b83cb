//! What a cache of keys and values is made of: numbers, in lines.

use super::multiply::LINE;
use super::vector::Vector;
use crate::format::from_f16;

/// A number of a cache.
pub(super) trait Cell: Copy {
    /// Numbers of a line of a cache.
    const LINE: usize = 4 * LINE / size_of::<Self>();
    /// What a vector of it is short of.
    fn unit<V: Vector>() -> f32;
    unsafe fn load<V: Vector>(p: *const Self) -> V::F;
    fn float(self) -> f32;
}

impl Cell for f32 {
    #[inline(always)]
    fn unit<V: Vector>() -> f32 {
        1.0
    }
    #[inline(always)]
    unsafe fn load<V: Vector>(p: *const f32) -> V::F {
        // SAFETY: the caller's.
        unsafe { V::load(p) }
    }
    #[inline(always)]
    fn float(self) -> f32 {
        self
    }
}

impl Cell for u16 {
    #[inline(always)]
    fn unit<V: Vector>() -> f32 {
        V::HALVES_UNIT
    }
    #[inline(always)]
    unsafe fn load<V: Vector>(p: *const u16) -> V::F {
        // SAFETY: the caller's.
        unsafe { V::load_halves(p) }
    }
    #[inline(always)]
    fn float(self) -> f32 {
        from_f16(self)
    }
}

/// Lines of a cache in the order of positions: a stream, which a CPU fetches by itself. A head's own keys, a few lines of every position,
/// are none.
pub(super) struct Ahead<'a, C> {
    cells: &'a [C],
    stride: usize,
    width: usize,
    rows: usize,
    row: usize,
    at: usize,
}

impl<'a, C: Cell> Ahead<'a, C> {
    /// Those of `rows` positions, `width` numbers of each.
    #[inline(always)]
    pub(super) fn of(cells: &'a [C], stride: usize, width: usize, rows: usize) -> Self {
        assert!(rows == 0 || (rows - 1) * stride + width <= cells.len(), "lines");
        Ahead { cells, stride, width, rows, row: 0, at: 0 }
    }

    /// Reads a number of each of the next `count` lines.
    #[inline(always)]
    pub(super) fn touch(&mut self, count: usize) {
        for _ in 0..count {
            if self.row >= self.rows {
                return;
            }
            // SAFETY: it is one of a row, which are all there. It is volatile to be read though nobody asks what is there.
            unsafe { self.cells.as_ptr().add(self.row * self.stride + self.at).read_volatile() };
            self.at += C::LINE;
            if self.at >= self.width {
                (self.row, self.at) = (self.row + 1, 0);
            }
        }
    }
}
