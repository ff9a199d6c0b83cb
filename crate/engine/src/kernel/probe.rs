//! Known answers: a small launch of every kernel, which its scalar twin answers. A device that gives other answers
//! is not believed; see `device/gpu/selftest.rs`. Rows have 17 blocks, so that as many lanes as there may be take part.

use bytemuck::Pod;

use super::{
    Argmax, Attention, AttentionMerge, Combine, Conv, Embed, ExpertsDown, ExpertsMatmul, ExpertsSort, ExpertsUp, Heads,
    Kernel, Last, LayerNorm, Matmul, MlaQuery, Sample, Settings, State, Stream, TopK, arithmetic, of,
};
use crate::format::Format;

/// A launch with its buffers' first contents.
pub(crate) struct Probe {
    pub(crate) params: Vec<u8>,
    pub(crate) tokens: u32,
    /// For each binding; outputs too.
    pub(crate) buffers: Vec<Vec<u32>>,
    /// What it writes to a cache is f16.
    pub(crate) half: bool,
}

/// Tokens of most probes.
const TOKENS: usize = 3;
/// Columns of most matrices.
const COLS: usize = 544;
/// Sizes of the experts: how many, rows and columns, and how many each token chooses.
const EXPERTS: (usize, usize, usize, usize) = (3, 32, 64, 2);

impl Probe {
    fn new(params: &impl Pod, tokens: usize) -> Self {
        Probe { params: bytemuck::bytes_of(params).to_vec(), tokens: tokens as u32, buffers: Vec::new(), half: false }
    }

    fn words(mut self, words: &[u32]) -> Self {
        self.buffers.push(words.to_vec());
        self
    }

    /// Floats between −1 and 1 that no two buffers share.
    fn floats(self, count: usize) -> Self {
        let floats = spread(count, self.buffers.len() as u32);
        self.words(bytemuck::cast_slice(&floats))
    }

    /// The same in a cache, of halves or not.
    fn cached(self, half: u32, count: usize) -> Self {
        let mut words = vec![0; count];
        arithmetic::store(&mut words, half, 0, &spread(count, self.buffers.len() as u32));
        self.words(&words)
    }

    fn out(self, count: usize) -> Self {
        self.words(&vec![0; count])
    }

    fn state(self, position: u32) -> Self {
        let state = State { position, tokens: self.tokens, seed: 3, seed_high: 5 };
        self.words(bytemuck::cast_slice(&[state]))
    }

    fn matrix(self, format: Format, rows: usize, cols: usize) -> Self {
        let (weights, mut scales) = format.encode(&spread(rows * cols, 7), rows, cols);
        scales.resize(scales.len().max(4), 0);
        self.words(&weights).words(&scales)
    }

    /// Slots in another order than experts, and the records there: a matrix at word 0, its scales at word `scales`, then biases.
    fn pool(self, format: Format, rows: usize, cols: usize, stride: usize, scales: usize) -> Self {
        let (count, ..) = EXPERTS;
        let mut pool = vec![0; stride * count];
        for (i, record) in pool.chunks_exact_mut(stride).enumerate() {
            let (weights, scale) = format.encode(&spread(rows * cols, 11 + i as u32), rows, cols);
            record[..weights.len()].copy_from_slice(&weights);
            record[scales..scales + scale.len()].copy_from_slice(&scale);
            let biases = stride - rows.next_multiple_of(4);
            record[biases..biases + rows].copy_from_slice(bytemuck::cast_slice(&spread(rows, 17 + i as u32)));
        }
        self.words(&[2, 0, 1]).words(&pool)
    }
}

/// Floats between −1 and 1.
fn spread(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9) ^ 0x85EB_CA6B;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Pairs (expert, weight) of [`TOKENS`] tokens.
fn chosen() -> Vec<u32> {
    let half = 0.5f32.to_bits();
    vec![0, half, 2, half, 1, half, 2, half, 2, half, 0, half]
}

/// Choices as `experts_sort` lists them.
fn sorted() -> Vec<u32> {
    vec![0, 2, 3, 6, 0, 5, 2, 1, 3, 4]
}

/// The probe of a kernel for weights of `format`, which kernels without variants ignore, as a step of parameters `like` launches
/// it: with the same constants, so that no pipeline is made for the test alone.
pub(crate) fn probe(kernel: &Kernel, format: Option<Format>, like: &[u8]) -> Probe {
    let format = format.unwrap_or(Format::F32);
    match kernel.name {
        "argmax" => Probe::new(&Argmax { vocab: 300 }, 1).floats(300).state(4).out(1).out(4),
        "attention" => attention(of(like)),
        "attention_merge" => {
            let p = AttentionMerge { heads: 2, width: 64, splits: 3, ..of(like) };
            Probe::new(&p, 1).floats(2 * 64 * 3).words(&[0x3F80_0000; 12]).out(2 * 64).floats(2)
        }
        "combine" => {
            let p = Combine { hidden: 70, chosen: 2 };
            Probe::new(&p, TOKENS).floats(TOKENS * 2 * 70).words(&chosen()).floats(TOKENS * 70)
        }
        "conv" => {
            let p = Conv { width: 70, taps: 3, ring: 8 };
            let probe = Probe::new(&p, TOKENS).state(7).floats(TOKENS * 3 * 70).floats(3 * 70);
            probe.floats(8 * 70).out(TOKENS * 70)
        }
        "embed" => {
            let p = Embed { width: COLS as u32, scale: 0.75, first: 2, rows: 5 };
            Probe::new(&p, 3).words(&[4, 1, 6]).matrix(format, 5, COLS).out(3 * COLS)
        }
        "experts_down" => experts_down(format, of(like)),
        "experts_matmul" => experts_matmul(format, of(like)),
        "experts_sort" => experts_sort(of(like)),
        "experts_up" => experts_up(format, of(like)),
        "heads" => heads(of(like)),
        "last" => Probe::new(&Last { width: 70 }, TOKENS).state(4).floats(TOKENS * 70).out(70),
        "layer_norm" => {
            let p = LayerNorm { width: 70, eps: 1e-6 };
            Probe::new(&p, TOKENS).floats(TOKENS * 70).floats(70).floats(70).out(TOKENS * 70)
        }
        "matmul" => product(format, of(like), true),
        "matvec" => product(format, of(like), false),
        "mla_attention" => mla_attention(format, of(like)),
        "mla_query" => mla_query(format, of(like)),
        "router" => router(of(like)),
        "sample" => {
            let settings = Settings { temperature: 0.7, top_k: 40, top_p: 0.9, min_p: 0.01, repetition_penalty: 1.2 };
            let probe =
                Probe::new(&Sample { vocab: 300 }, 1).words(bytemuck::cast_slice(bytemuck::bytes_of(&settings)));
            probe.words(&[5; 10]).floats(300).state(4).out(1).out(4)
        }
        "stream" => Probe::new(&Stream { quads: 75, readers: 8 }, 1).floats(4 * 75).out(4 * 8),
        "topk" => topk(of(like)),
        other => unreachable!("no probe of {other}"),
    }
}

/// Columns for a probe of a matrix that has so many: as many lanes share its rows, and they are whole blocks or not, likewise.
fn fewer(cols: u32) -> usize {
    let cols = cols as usize;
    if cols <= COLS { cols } else { COLS - (32 - cols % 32) % 32 }
}

/// Where biases are, for a step that has them.
fn biased(like: u32, at: usize) -> u32 {
    if like == 0 { 0 } else { at as u32 }
}

fn attention(p: Attention) -> Probe {
    let tokens = TOKENS.min(p.tokens as usize);
    let context = 70 + tokens;
    let (heads, rows) = (p.heads as usize, tokens * (p.splits * p.heads) as usize);
    let probe = Probe::new(&p, tokens).state(70).floats(tokens * heads * p.k_width as usize);
    let probe = probe.cached(p.half, context * p.k_stride as usize).cached(p.half, context * p.v_stride as usize);
    probe.out(rows * p.v_width as usize).out(2 * rows)
}

fn mla_attention(format: Format, like: Attention) -> Probe {
    let (heads, value, width) = (like.heads as usize, 5, like.v_width as usize);
    let probe = attention(Attention { tokens: 1, value, row_first: 1, row_step: 7, ..like });
    probe.matrix(format, 7 * heads, width).out(heads * value as usize)
}

fn router(p: TopK) -> Probe {
    let (logits, hidden) = (p.logits() as usize, fewer(p.hidden));
    let probe = Probe::new(&TopK { hidden: hidden as u32, normalise: 1, ..p }, 2).floats(2 * hidden).floats(hidden);
    let probe = probe.matrix(Format::F32, logits, hidden).floats(p.experts as usize);
    probe.out(2 * 2 * (p.chosen + p.shared_experts) as usize)
}

fn topk(like: TopK) -> Probe {
    let p = TopK { normalise: 1, ..like };
    let probe = Probe::new(&p, 2).floats(2 * p.logits() as usize).floats(p.experts as usize);
    probe.out(2 * 2 * (p.chosen + p.shared_experts) as usize)
}

fn experts_sort(p: ExpertsSort) -> Probe {
    let pairs = TOKENS * p.chosen as usize;
    let chosen: Vec<u32> = (0..pairs as u32).flat_map(|i| [(7 * i + 3) % p.experts, 0]).collect();
    Probe::new(&p, TOKENS).state(4).words(&chosen).out(p.experts as usize + 1 + pairs)
}

fn experts_up(format: Format, like: ExpertsUp) -> Probe {
    let (_, width, _, k) = EXPERTS;
    let hidden = fewer(like.hidden);
    let scales = (2 * width * format.row_words(hidden)).next_multiple_of(4);
    let biases = (scales + format.scale_words(2 * width, hidden)).next_multiple_of(4);
    let stride = (biases + 2 * width).next_multiple_of(4);
    let p = ExpertsUp {
        hidden: hidden as u32,
        width: width as u32,
        chosen: k as u32,
        stride: stride as u32,
        weights: 0,
        scales: scales as u32,
        bias: biased(like.bias, biases),
        outputs: width as u32 + 3,
        first: 2,
        ..like
    };
    let probe = Probe::new(&p, TOKENS).floats(TOKENS * hidden).floats(hidden).words(&chosen());
    probe.pool(format, 2 * width, hidden, stride, scales).out(TOKENS * k * (width + 3))
}

fn experts_down(format: Format, like: ExpertsDown) -> Probe {
    let (_, hidden, _, k) = EXPERTS;
    let width = fewer(like.width);
    let scales = (hidden * format.row_words(width)).next_multiple_of(4);
    let biases = (scales + format.scale_words(hidden, width)).next_multiple_of(4);
    let stride = (biases + hidden).next_multiple_of(4);
    let p = ExpertsDown {
        hidden: hidden as u32,
        width: width as u32,
        chosen: k as u32,
        stride: stride as u32,
        weights: 0,
        scales: scales as u32,
        bias: biased(like.bias, biases),
        outputs: hidden as u32 + 3,
        first: 2,
    };
    let probe = Probe::new(&p, TOKENS).floats(TOKENS * k * width).words(&chosen());
    probe.pool(format, hidden, width, stride, scales).floats(TOKENS * (hidden + 3))
}

fn experts_matmul(format: Format, like: ExpertsMatmul) -> Probe {
    let (experts, rows, _, k) = EXPERTS;
    let (cols, gated) = (fewer(like.cols), like.gated);
    let scales = (rows * format.row_words(cols)).next_multiple_of(4);
    let biases = (scales + format.scale_words(rows, cols)).next_multiple_of(4);
    let stride = (biases + rows).next_multiple_of(4);
    let p = ExpertsMatmul {
        rows: rows as u32,
        cols: cols as u32,
        experts: experts as u32,
        sharing: if gated == 1 { k as u32 } else { 1 },
        stride: stride as u32,
        weights: 0,
        scales: scales as u32,
        bias: biased(like.bias, biases),
        outputs: (rows as u32 >> gated) + 3,
        first: 2,
        ..like
    };
    let inputs = if gated == 1 { TOKENS } else { TOKENS * k };
    let probe = Probe::new(&p, TOKENS).floats(inputs * cols).floats(cols).words(&sorted());
    probe.pool(format, rows, cols, stride, scales).out(TOKENS * k * ((rows >> gated) + 3))
}

fn heads(like: Heads) -> Probe {
    let p = Heads {
        heads: 2,
        kv_heads: 1,
        width: 24,
        dims: 16,
        interleaved: 1,
        norm: like.norm.max(1),
        eps: 1e-6,
        half: like.half,
    };
    let probe = Probe { half: p.half == 1, ..Probe::new(&p, 2) }
        .state(4)
        .floats(6 * 16)
        .floats(2 * 4 * 24)
        .floats(2 * 24)
        .floats(24);
    probe.out(2 * 2 * 24).out(6 * 24).out(6 * 24)
}

fn product(format: Format, like: Matmul, state: bool) -> Probe {
    let cols = fewer(like.cols);
    // Where a token starts decides between the kernel's variants: at a quad or between.
    let x_stride = cols as u32 + ((like.x_stride | like.x_step) & 3);
    let (gated, outputs) = (like.gated, 38 >> like.gated);
    let plain = Matmul { x_stride, y_stride: outputs + 3, accumulate: 1 - gated, ..Matmul::plain(38, cols as u32) };
    let p = Matmul { norm: like.norm, eps: like.eps, gated, bias: like.bias, scale: 0.75, first: 2, ..plain };
    let probe = Probe::new(&p, TOKENS);
    let probe = if state { probe.state(4) } else { probe };
    let probe = probe.floats(TOKENS * x_stride as usize).floats(cols).matrix(format, 38, cols);
    probe.floats(TOKENS * (outputs as usize + 3)).floats(40)
}

fn mla_query(format: Format, like: MlaQuery) -> Probe {
    let rank = fewer(like.rank);
    let cached = rank + 4;
    let p = MlaQuery {
        heads: 2,
        nope: 6,
        rope: 4,
        value: 5,
        rank: rank as u32,
        q_stride: 20,
        kv_stride: cached as u32,
        kv_offset: 0,
        interleaved: 1,
        eps: 1e-6,
        half: like.half,
    };
    let probe = Probe { half: p.half == 1, ..Probe::new(&p, 2) }
        .state(4)
        .floats(6 * 4)
        .floats(2 * 20)
        .floats(2 * cached)
        .floats(rank);
    probe.matrix(format, 2 * 11, rank).out(2 * 2 * cached).out(6 * cached)
}
