//! Inputs of attention's kernels: groups of heads, odd widths, windows, splits, caches of floats and of halves.

use moebius_engine::format::Format;
use moebius_engine::kernel;
use moebius_tests::Random;

use super::{Case, LONG, widths};

/// Sizes of latent attention: heads, nope, rope, value, tokens.
const LATENT: [(usize, usize, usize, usize, usize); 3] = [(1, 4, 2, 1, 1), (3, 5, 4, 17, 2), (2, 66, 70, 40, 3)];

pub(super) fn mla_attention(format: Format, r: &mut Random) -> Vec<Case> {
    let mut cases = Vec::new();
    for rank in widths(format, &[32, 288], &[6, 50]) {
        let long = (format == LONG && rank == 288).then_some((8, 4, 33, 90, 20));
        for (heads, rope, value, position, tokens) in
            [(1, 4, 4, 0, 1), (5, 8, 7, 3, 1), (8, 4, 33, 90, 2)].into_iter().chain(long)
        {
            let half = u32::from(heads != 5 && rank % 4 == 0);
            let p = kernel::Attention {
                heads: heads as u32,
                kv_heads: 1,
                k_width: (rank + rope) as u32,
                v_width: rank as u32,
                k_stride: (rank + rope) as u32,
                v_stride: (rank + rope) as u32,
                scale: (rank as f32).sqrt().recip(),
                window: 0,
                splits: 1,
                tokens: tokens as u32,
                value: value as u32,
                row_first: 3,
                row_step: value as u32 + 2,
                half,
                apart: 0,
            };
            let name =
                format!("rank {rank} rope {rope} heads {heads} value {value} half {half} at {position}+{tokens}");
            let latents = r.floats((position + tokens) * (rank + rope), 1.0);
            let case = Case::new(&kernel::MLA_ATTENTION, &p, tokens, name).format(format).state(position);
            let case = case
                .floats(&r.floats(tokens * heads * (rank + rope), 3.0))
                .cached(half, &latents)
                .cached(half, &latents);
            let case = case.output(tokens * heads * rank).output(0);
            let case = case.matrix(r, 3 + heads * (value + 2), rank);
            cases.push(case.output(tokens * heads * value));
        }
    }
    cases
}

pub(super) fn mla_query(format: Format, r: &mut Random) -> Vec<Case> {
    let mut cases = Vec::new();
    for rank in widths(format, &[32, 64, 544], &[5, 50]) {
        for (i, (heads, nope, rope, value, tokens)) in LATENT.into_iter().enumerate() {
            let (position, half) = (5 * i, u32::from(i % 2 == 1 && (rank | rope) % 4 == 0));
            let (q_stride, kv_stride) = (heads * (nope + rope) + i, rank + rope + 3 * i);
            let p = kernel::MlaQuery {
                heads: heads as u32,
                nope: nope as u32,
                rope: rope as u32,
                value: value as u32,
                rank: rank as u32,
                q_stride: q_stride as u32,
                kv_stride: kv_stride as u32,
                kv_offset: 2 * i as u32,
                interleaved: i as u32 % 2,
                eps: 1e-6,
                half,
            };
            let name =
                format!("rank {rank} heads {heads} nope {nope} rope {rope} value {value} tokens {tokens} half {half}");
            let case = Case::new(&kernel::MLA_QUERY, &p, tokens, name).format(format).state(position);
            let case = case.floats(&turns(position + tokens, rope, r)).floats(&r.floats(tokens * q_stride, 1.0));
            let case = case.floats(&r.floats(tokens * kv_stride, 1.0)).floats(&r.floats(rank, 1.0));
            let case = case.matrix(r, heads * (nope + value), rank).output(tokens * heads * (rank + rope));
            cases.push(Case { half: half == 1, ..case.output((position + tokens) * (rank + rope)) });
        }
    }
    cases
}

/// Cosines and sines of random angles.
fn turns(positions: usize, dims: usize, r: &mut Random) -> Vec<f32> {
    r.floats(positions * dims / 2, 3.0).iter().flat_map(|a| [a.cos(), a.sin()]).collect()
}

pub(super) fn heads(r: &mut Random) -> Vec<Case> {
    let mut cases = Vec::new();
    for (heads, kv_heads, width, dims) in [(1, 1, 2, 2), (4, 2, 64, 64), (3, 1, 24, 8), (6, 3, 130, 96)] {
        for (position, tokens, interleaved, norm) in
            [(0, 1, 0, 0), (5, 3, 0, 1), (9, 2, 1, 0), (2, 1, 1, 1), (3, 2, 0, 2)]
        {
            let half = u32::from(tokens > 1 && width % 4 == 0);
            let p = kernel::Heads {
                heads: heads as u32,
                kv_heads: kv_heads as u32,
                width: width as u32,
                dims: dims as u32,
                interleaved,
                norm,
                eps: 1e-6,
                half,
            };
            let name = format!(
                "heads {heads}/{kv_heads} width {width} dims {dims} at {position}+{tokens} interleaved {interleaved} norm {norm} half {half}"
            );
            let case = Case::new(&kernel::HEADS, &p, tokens, name).state(position);
            let case = case.floats(&turns(position + tokens, dims, r));
            let case = case.floats(&r.floats(tokens * (heads + 2 * kv_heads) * width, 1.0));
            let [queries, keys] = [heads, kv_heads].map(|n| if norm == 2 { n * width } else { width });
            let case = case.floats(&r.floats(queries, 1.0)).floats(&r.floats(keys, 1.0));
            let case = case.output(tokens * heads * width);
            let cached = (position + tokens) * kv_heads * width;
            cases.push(Case { half: half == 1, ..case.output(cached).output(cached) });
        }
    }
    cases
}

pub(super) fn attention(r: &mut Random) -> Vec<Case> {
    let mut cases = Vec::new();
    for (heads, kv_heads, k_width, v_width) in
        [(1, 1, 4, 4), (8, 2, 8, 8), (6, 2, 6, 5), (2, 1, 72, 64), (3, 3, 7, 130), (10, 2, 16, 12), (4, 1, 68, 300)]
    {
        let long = (k_width == 72).then_some((90, 120, 0, 1));
        for (position, tokens, window, splits) in [
            (0, 1, 0, 1),
            (0, 5, 0, 1),
            (90, 4, 0, 1),
            (62, 3, 0, 1),
            (130, 2, 0, 1),
            (70, 3, 3, 1),
            (100, 2, 65, 1),
            (2, 2, 9, 1),
            (3, 1, 0, 16),
            (300, 1, 0, 5),
            (301, 2, 0, 6),
            (130, 2, 70, 7),
        ]
        .into_iter()
        .chain(long)
        {
            let half = u32::from(tokens % 2 == 0 && (k_width | v_width) % 4 == 0);
            let (k_stride, v_stride) = (kv_heads * k_width + 4, kv_heads * v_width + if v_width == 5 { 1 } else { 4 });
            let p = kernel::Attention {
                heads: heads as u32,
                kv_heads: kv_heads as u32,
                k_width: k_width as u32,
                v_width: v_width as u32,
                k_stride: k_stride as u32,
                v_stride: v_stride as u32,
                scale: (k_width as f32).sqrt().recip(),
                window,
                splits: splits as u32,
                apart: u32::from(splits > 1 || position == 70),
                tokens: tokens as u32,
                half,
                ..bytemuck::Zeroable::zeroed()
            };
            let name = format!(
                "heads {heads}/{kv_heads} widths {k_width} {v_width} at {position}+{tokens} window {window} splits {splits} half {half} apart {}",
                p.apart
            );
            let context = position + tokens;
            let case = Case::new(&kernel::ATTENTION, &p, tokens, name).state(position);
            let case =
                case.floats(&r.floats(tokens * heads * k_width, 3.0)).cached(half, &r.floats(context * k_stride, 3.0));
            let case = case.cached(half, &r.floats(context * v_stride, 1.0)).output(tokens * splits * heads * v_width);
            cases.push(case.output(if p.apart == 1 { 2 * tokens * splits * heads } else { 0 }));
        }
    }
    cases
}

pub(super) fn attention_merge(r: &mut Random) -> Vec<Case> {
    let mut cases = Vec::new();
    for (heads, width, splits, tokens, sinks) in [(1, 1, 2, 1, 0), (3, 70, 5, 2, 1), (4, 64, 32, 1, 0)] {
        let p = kernel::AttentionMerge { heads: heads as u32, width: width as u32, splits: splits as u32, sinks };
        let name = format!("heads {heads} width {width} splits {splits} tokens {tokens} sinks {sinks}");
        let case = Case::new(&kernel::ATTENTION_MERGE, &p, tokens, name);
        let rows = tokens * splits * heads;
        let case = case.floats(&r.floats(rows * width, 1.0));
        // A split that saw nothing has the lowest maximum and no sum; the first one has seen something.
        let marks = (0..rows).flat_map(|row| match row / heads % splits {
            1 => [-3.0e38, 0.0],
            _ => [3.0 * r.unit(), 1.0 + r.unit()],
        });
        let marks: Vec<f32> = marks.collect();
        let case = case.floats(&marks).output(tokens * heads * width);
        cases.push(case.floats(&r.floats(heads, 4.0)));
    }
    cases
}
