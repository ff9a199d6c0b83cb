//! Paths: what fast kernels call, compiled for each instruction set, and which of them a CPU has.

use super::attend::{self, Attend};
use super::input;
use super::math;
#[cfg(target_arch = "x86_64")]
use super::multiply;
use super::multiply::Multiply;
use super::{pairs, quads};
use crate::format::Format;

/// An input's norm: its weight and epsilon.
pub type Norm<'a> = Option<(&'a [f32], f32)>;

/// One way to run fast kernels: functions for one instruction set.
pub struct Path {
    /// What a person reads: `AVX2`.
    pub name: &'static str,
    /// Words of an input, by the weights' format and the columns.
    pub input_words: fn(Format, usize) -> usize,
    /// Lays an input out: see `input.rs`.
    pub input: fn(Format, &[f32], Norm<'_>, &mut [f32], &mut [u32]),
    /// Rows times inputs, `[inputs, rows]`.
    pub multiply: fn(&Multiply<'_>, &mut [f32]),
    /// Attention of a token's heads.
    pub attend: fn(&mut Attend<'_>),
    /// `y = norm(x)`: of `x`, a weight, an epsilon.
    pub norm: fn(&[f32], &[f32], f32, &mut [f32]),
    /// `gate = silu(gate) · up`.
    pub gate: fn(&mut [f32], &[f32]),
    /// `y += a · x`.
    pub add_scaled: fn(&mut [f32], f32, &[f32]),
    /// The largest, and the sum of the exponentials of all less it.
    pub exps: fn(&[f32]) -> (f32, f64),
}

/// A path of vectors `$v`, in functions with the features that they need.
macro_rules! path {
    ($name:literal, $v:ty, $input:path, $multiply:path $(, $features:literal)?) => {{
        type V = $v;
        $(#[target_feature(enable = $features)])?
        fn of_input(format: Format, x: &[f32], norm: Norm<'_>, row: &mut [f32], out: &mut [u32]) {
            $input(format, x, norm, row, out);
        }
        $(#[target_feature(enable = $features)])?
        fn of_multiply(m: &Multiply<'_>, out: &mut [f32]) {
            $multiply(m, out);
        }
        $(#[target_feature(enable = $features)])?
        fn of_attend(a: &mut Attend<'_>) {
            attend::attend::<V>(a);
        }
        $(#[target_feature(enable = $features)])?
        fn of_norm(x: &[f32], weight: &[f32], eps: f32, y: &mut [f32]) {
            math::norm::<V>(x, weight, eps, y);
        }
        $(#[target_feature(enable = $features)])?
        fn of_gate(gate: &mut [f32], up: &[f32]) {
            math::gate::<V>(gate, up);
        }
        $(#[target_feature(enable = $features)])?
        fn of_add_scaled(y: &mut [f32], a: f32, x: &[f32]) {
            math::add_scaled::<V>(y, a, x);
        }
        $(#[target_feature(enable = $features)])?
        fn of_exps(x: &[f32]) -> (f32, f64) {
            let largest = math::largest::<V>(x);
            (largest, math::sum_of_exps::<V>(x, largest))
        }
        // SAFETY: `paths` lists only what the CPU was found to have.
        #[allow(unused_unsafe, reason = "without features of its own a function is safe")]
        static PATH: Path = Path {
            name: $name,
            input_words: input::words::<V>,
            input: |format, x, norm, row, out| unsafe { of_input(format, x, norm, row, out) },
            multiply: |m, out| unsafe { of_multiply(m, out) },
            attend: |a| unsafe { of_attend(a) },
            norm: |x, weight, eps, y| unsafe { of_norm(x, weight, eps, y) },
            gate: |gate, up| unsafe { of_gate(gate, up) },
            add_scaled: |y, a, x| unsafe { of_add_scaled(y, a, x) },
            exps: |x| unsafe { of_exps(x) },
        };
        &PATH
    }};
}

impl Path {
    /// The paths that this CPU has, the fastest first.
    #[must_use]
    pub fn all() -> Vec<&'static Path> {
        let mut paths: Vec<&'static Path> = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            use super::x86::{Avx2, Avx512};
            let has = |names: [bool; 5]| names.into_iter().all(|has| has);
            if has([
                is_x86_feature_detected!("avx512f"),
                is_x86_feature_detected!("avx512bw"),
                is_x86_feature_detected!("avx512dq"),
                is_x86_feature_detected!("avx512vl"),
                is_x86_feature_detected!("avx512vnni"),
            ]) {
                paths.push(path!(
                    "AVX-512 VNNI",
                    Avx512,
                    input::input::<V>,
                    multiply::multiply::<V>,
                    "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,f16c,fma"
                ));
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c") {
                paths.push(path!("AVX2", Avx2, input::input::<V>, multiply::multiply::<V>, "avx2,fma,f16c"));
            }
        }
        #[cfg(target_arch = "wasm32")]
        paths.push(path!("SIMD128", super::wasm::Simd128, pairs::input::<V>, quads::multiply::<V>));
        #[cfg(not(target_arch = "wasm32"))]
        paths.push(path!("plain vectors", super::plain::Plain, pairs::input::<V>, quads::multiply::<V>));
        paths
    }
}
