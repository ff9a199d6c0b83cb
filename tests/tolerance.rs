//! How far the GPU may be from the scalar truth, by kernel and format, each with its reason. Widening one is a change of
//! its own.

use moebius_engine::format::Format;

use super::compare::Bound;

/// The bound of a kernel's float outputs.
pub(crate) fn bound(kernel: &str, _format: Option<Format>) -> Bound {
    let (relative, of_largest) = match kernel {
        // Moves bits; formats with scales multiply once, which is exact or rounds alike.
        "last" | "embed" | "experts_sort" | "stream" => (0.0, 0.0),
        // A sum of squares in another order, a reciprocal root of a few ulp, then two products and a sum, which a driver may fuse.
        "heads" | "layer_norm" => (4e-6, 4e-7),
        // A few products of three, which a driver may fuse.
        "conv" => (4e-6, 4e-7),
        // The same sums in another order: a few ulp of the largest partial sum. Decoding is exact in every format.
        "mla_query" => (4e-6, 4e-6),
        // Also through silu and a product: WGSL's exp is good to 3 + 2·|x| ulp.
        "matvec" | "matmul" | "experts_up" | "experts_matmul" => (2e-5, 8e-6),
        "experts_down" | "combine" => (4e-6, 4e-6),
        // exp of scores that are themselves sums in another order.
        "attention" | "attention_merge" => (1e-5, 8e-6),
        // The same through another sum.
        "mla_attention" => (2e-5, 1e-5),
        // Weights of experts: exp, a sum, two divisions.
        "topk" => (1e-5, 0.0),
        // The same of logits that are sums in another order.
        "router" => (4e-5, 0.0),
        // Log-probabilities: exp over the vocabulary, a sum, a logarithm. The logits pass two divisions.
        "argmax" | "sample" => (1e-5, 2e-6),
        other => unreachable!("kernel {other} has no bound"),
    };
    Bound { relative, of_largest }
}

/// The same on the CPU's vectors, for a buffer of `outputs` floats: inputs of products with whole-number weights are rounded to
/// 16 bits in blocks of 32 there.
pub(crate) fn rounded(kernel: &str, format: Option<Format>, outputs: usize) -> Bound {
    let Bound { relative, of_largest } = bound(kernel, format);
    let product =
        matches!(kernel, "matvec" | "matmul" | "experts_up" | "experts_down" | "experts_matmul" | "mla_attention");
    if !(product && format.is_some_and(Format::is_block)) {
        return Bound { relative, of_largest };
    }
    // Each input is off by up to half of 1/32639 of its block's largest, and what they add up to is one part in 50,000 of what a
    // sum that does not cancel is; gates multiply two of them. Where there are few sums, even the largest may all but cancel.
    let most = if outputs < 16 { 2e-3 } else { 1e-4 };
    Bound { relative: relative + 1e-4, of_largest: of_largest + most }
}
