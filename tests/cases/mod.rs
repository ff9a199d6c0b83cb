//! Inputs of every kernel: odd shapes, all formats, positions beyond the first, ties, masks, strides.

mod attention;
mod experts;
mod products;

use bytemuck::Pod;
use moebius_engine::format::{FORMATS, Format};
use moebius_engine::kernel::{self, Kernel, Settings, State};
use moebius_tests::Random;

/// What an untouched word holds: outputs start with it, and the words past their end must keep it. A tiny float: bounds follow the largest.
pub(crate) const UNTOUCHED: u32 = 0x2F2F_2F2F;

/// One launch of a kernel with its buffers' first contents.
pub(crate) struct Case {
    pub name: String,
    pub kernel: &'static Kernel,
    pub format: Option<Format>,
    pub params: Vec<u8>,
    pub tokens: u32,
    /// A buffer for each binding, outputs included.
    pub buffers: Vec<Vec<u32>>,
    /// The cache is f16.
    pub half: bool,
}

impl Case {
    fn new(kernel: &'static Kernel, params: &impl Pod, tokens: usize, name: impl Into<String>) -> Self {
        let params = bytemuck::bytes_of(params).to_vec();
        Case {
            name: name.into(),
            kernel,
            format: None,
            params,
            tokens: tokens as u32,
            buffers: Vec::new(),
            half: false,
        }
    }

    fn format(mut self, format: Format) -> Self {
        self.name = format!("{} {}", format.name(), self.name);
        self.format = Some(format);
        self
    }

    fn words(mut self, words: &[u32]) -> Self {
        self.buffers.push(words.to_vec());
        self
    }

    fn floats(self, floats: &[f32]) -> Self {
        self.words(bytemuck::cast_slice(floats))
    }

    /// The same in a cache, of halves or not.
    fn cached(mut self, half: u32, floats: &[f32]) -> Self {
        self.half = half == 1;
        if self.half { self.words(&Format::F16.encode(floats, 1, floats.len()).0) } else { self.floats(floats) }
    }

    fn state(self, position: usize) -> Self {
        let tokens = self.tokens;
        self.words(bytemuck::cast_slice(&[State { position: position as u32, tokens, seed: 7, seed_high: 9 }]))
    }

    /// A matrix of random values, in the case's format.
    fn matrix(self, random: &mut Random, rows: usize, cols: usize) -> Self {
        let format = self.format.unwrap_or(Format::F32);
        let (weights, mut scales) = format.encode(&uneven(random, rows * cols, 0.5), rows, cols);
        scales.resize(scales.len().max(4), 0);
        self.words(&weights).words(&scales)
    }

    /// An output of `count` words and five more that must stay as they are.
    fn output(self, count: usize) -> Self {
        self.words(&vec![UNTOUCHED; count + 5])
    }

    /// An output whose first `count` words are added to or overwritten, with the same guard.
    fn updated(self, floats: &[f32]) -> Self {
        let mut words: Vec<u32> = bytemuck::cast_slice(floats).to_vec();
        words.extend([UNTOUCHED; 5]);
        self.words(&words)
    }
}

/// In this format there are calls that are long enough for threads to take many shares of.
const LONG: Format = Format::Q4;

/// The cases of a kernel; none for a kernel that this file does not know.
pub(crate) fn cases(kernel: &Kernel) -> Vec<Case> {
    let mut random = Random::new(kernel.name.bytes().map(u64::from).sum());
    let r = &mut random;
    match kernel.name {
        "argmax" => argmax(r),
        "attention" => attention::attention(r),
        "attention_merge" => attention::attention_merge(r),
        "combine" => experts::combine(r),
        "conv" => conv(r),
        "embed" => per_format(r, embed),
        "experts_down" => per_format(r, experts::experts_down),
        "experts_matmul" => per_format(r, experts::experts_matmul),
        "experts_sort" => experts::experts_sort(r),
        "experts_up" => per_format(r, experts::experts_up),
        "heads" => attention::heads(r),
        "last" => last(r),
        "layer_norm" => layer_norm(r),
        "matmul" => per_format(r, products::matmul),
        "matvec" => per_format(r, products::matvec),
        "mla_attention" => per_format(r, attention::mla_attention),
        "mla_query" => per_format(r, attention::mla_query),
        "router" => router(r),
        "sample" => sample(r),
        "stream" => stream(r),
        "topk" => topk(r),
        _ => Vec::new(),
    }
}

/// Weights whose blocks differ in size, so that it shows when one gets another's scale.
fn uneven(r: &mut Random, count: usize, most: f32) -> Vec<f32> {
    let mut values = r.floats(count, most);
    for block in values.chunks_mut(32) {
        let size = (r.unit() * 3.0).floor().exp2();
        block.iter_mut().for_each(|v| *v /= size);
    }
    values
}

fn per_format(r: &mut Random, cases: impl Fn(Format, &mut Random) -> Vec<Case>) -> Vec<Case> {
    FORMATS.into_iter().flat_map(|f| cases(f, r)).collect()
}

/// Widths that a format takes: whole blocks, and for float formats any.
fn widths(format: Format, whole: &[usize], any: &[usize]) -> Vec<usize> {
    let any = if format.is_block() { &[] } else { any };
    whole.iter().chain(any).copied().collect()
}

fn embed(format: Format, r: &mut Random) -> Vec<Case> {
    let mut cases = Vec::new();
    for width in widths(format, &[32, 256, 2080], &[1, 31, 33, 66]) {
        // Of a table of its own, and of rows 2 to 12 of a larger one.
        for first in [0, 2] {
            let scale = if width == 33 { 0.75 } else { 1.0 };
            let p = kernel::Embed { width: width as u32, scale, first, rows: 11 };
            let case = Case::new(&kernel::EMBED, &p, 4, format!("width {width} from {first}")).format(format);
            cases.push(case.words(&[4, first, 12, 1]).matrix(r, 11, width).output(4 * width));
        }
    }
    if format.row_scales(256) > 0 {
        cases.push(every_code(format, r));
    }
    cases
}

/// Rows of 256 columns and of every byte that stands for numbers: random values hardly have the smallest of a format.
fn every_code(format: Format, r: &mut Random) -> Case {
    let byte = |i: usize| if format == Format::Fp8 && i & 127 == 127 { 0 } else { i as u8 };
    let words: Vec<u32> = (0..11 * format.row_words(256))
        .map(|w| u32::from_le_bytes([0, 1, 2, 3].map(|i| byte((4 * w + i) & 255))))
        .collect();
    let (_, mut scales) = format.encode(&r.floats(11 * 256, 0.5), 11, 256);
    if format == Format::Mxfp4 {
        // Powers from those of the least normal values to those of the largest.
        let powers: Vec<u8> = (0..88).map(|i| 2 + (i * 250 / 87) as u8).collect();
        scales = powers.chunks(4).map(|p| u32::from_le_bytes([p[0], p[1], p[2], p[3]])).collect();
    }
    let p = kernel::Embed { width: 256, scale: 1.0, first: 0, rows: 11 };
    let case = Case::new(&kernel::EMBED, &p, 4, "every code").format(format);
    case.words(&[4, 0, 10, 4]).words(&words).words(&scales).output(4 * 256)
}

fn conv(r: &mut Random) -> Vec<Case> {
    // At the start, where there is nothing before; across the ring's end; with a play as long as the ring allows.
    let case = |(width, taps, ring, position, tokens): (usize, usize, usize, usize, usize)| {
        let p = kernel::Conv { width: width as u32, taps: taps as u32, ring: ring as u32 };
        let name = format!("width {width} taps {taps} ring {ring} at {position}+{tokens}");
        let case = Case::new(&kernel::CONV, &p, tokens, name).state(position);
        let case = case.floats(&r.floats(tokens * 3 * width, 1.0)).floats(&r.floats(width * taps, 1.0));
        case.updated(&r.floats(ring * width, 1.0)).output(tokens * width)
    };
    [(1, 1, 1, 0, 1), (70, 3, 9, 0, 7), (64, 3, 8, 7, 1), (130, 4, 8, 22, 5), (33, 2, 16, 1, 3)].map(case).into()
}

fn layer_norm(r: &mut Random) -> Vec<Case> {
    let case = |(width, tokens): (usize, usize)| {
        let p = kernel::LayerNorm { width: width as u32, eps: 1e-5 };
        let case = Case::new(&kernel::LAYER_NORM, &p, tokens, format!("width {width} tokens {tokens}"));
        // A mean as large as the spread: it has to go first.
        let x: Vec<f32> = r.floats(tokens * width, 1.0).iter().map(|v| v + 1.0).collect();
        case.floats(&x).floats(&r.floats(width, 1.0)).floats(&r.floats(width, 1.0)).output(tokens * width)
    };
    [(1, 1), (7, 3), (64, 1), (130, 2), (2048, 1)].map(case).into()
}

fn stream(r: &mut Random) -> Vec<Case> {
    let mut case = |(quads, readers): (usize, usize)| {
        let p = kernel::Stream { quads: quads as u32, readers: readers as u32 };
        let case = Case::new(&kernel::STREAM, &p, 1, format!("{quads} quads {readers} readers"));
        case.floats(&r.floats(4 * quads, 1.0)).output(4 * readers)
    };
    [(1, 1), (3, 8), (64, 64), (1000, 7), (2000, 300)].map(&mut case).into()
}

fn last(r: &mut Random) -> Vec<Case> {
    [(1, 1), (64, 4), (130, 3)]
        .into_iter()
        .map(|(width, tokens)| {
            let p = kernel::Last { width: width as u32 };
            let case = Case::new(&kernel::LAST, &p, tokens, format!("width {width} tokens {tokens}")).state(6);
            case.floats(&r.floats(tokens * width, 1.0)).output(width)
        })
        .collect()
}

/// Experts, chosen, groups, groups kept, shared experts.
const ROUTED: [(usize, usize, u32, u32, u32); 8] = [
    (1, 1, 1, 1, 0),
    (5, 2, 1, 1, 1),
    (64, 8, 8, 3, 0),
    (64, 6, 1, 1, 2),
    (512, 10, 1, 1, 0),
    (256, 8, 8, 4, 1),
    (6, 2, 6, 3, 0),
    (70, 70, 1, 1, 3),
];

fn routing((experts, chosen, groups, top_groups, shared_experts): (usize, usize, u32, u32, u32)) -> kernel::TopK {
    kernel::TopK {
        experts: experts as u32,
        chosen: chosen as u32,
        sigmoid: 0,
        groups,
        top_groups,
        normalise: 0,
        eps: 1e-20,
        scale: 2.5,
        shared_experts,
        shared_weight: 0.75,
        shared_gate: shared_experts.min(1),
        hidden: 0,
        norm_eps: 1e-5,
        jitter: 0.0,
    }
}

fn topk(r: &mut Random) -> Vec<Case> {
    let mut cases = Vec::new();
    for sizes in ROUTED {
        for (sigmoid, normalise, ties, jitter) in
            [(0, 1, false, 0.0), (1, 1, true, 0.0), (1, 0, false, 0.0), (0, 0, true, 0.3), (0, 0, true, 0.0)]
        {
            let (experts, tokens) = (sizes.0, 3);
            let p = kernel::TopK { sigmoid, normalise, jitter, ..routing(sizes) };
            let mut logits = r.floats(tokens * (experts + p.shared_gate as usize), 4.0);
            if ties {
                // Quarter steps: many equal logits, and no near-equal ones.
                logits.iter_mut().for_each(|v| *v = v.round() / 4.0);
            }
            let bias = if ties { vec![0.0; experts] } else { r.floats(experts, 0.2) };
            let name = format!(
                "(E, k, groups, kept, s) {sizes:?} sigmoid {sigmoid} normalise {normalise} ties {ties} jitter {jitter}"
            );
            let case = Case::new(&kernel::TOPK, &p, tokens, name).floats(&logits).floats(&bias);
            cases.push(case.output(tokens * (p.chosen + p.shared_experts) as usize * 2));
        }
    }
    cases
}

fn router(r: &mut Random) -> Vec<Case> {
    let mut cases = Vec::new();
    for (sizes, hidden) in ROUTED.into_iter().zip([32, 7, 96, 256, 64, 130, 33, 512]) {
        for (sigmoid, normalise, tokens) in [(0, 1, 1), (1, 1, 3)] {
            let p = kernel::TopK { sigmoid, normalise, hidden: hidden as u32, ..routing(sizes) };
            let name = format!("(E, k, groups, kept, s) {sizes:?} hidden {hidden} sigmoid {sigmoid} tokens {tokens}");
            let case = Case::new(&kernel::ROUTER, &p, tokens, name);
            let case = case.floats(&r.floats(tokens * hidden, 1.0)).floats(&r.floats(hidden, 1.0));
            let case = case.matrix(r, sizes.0 + p.shared_gate as usize, hidden).floats(&r.floats(sizes.0, 0.2));
            cases.push(case.output(tokens * (p.chosen + p.shared_experts) as usize * 2));
        }
    }
    cases
}

/// A state that a choice goes on from.
const GOING: [u32; 4] = [11, 3, 7, 9];

fn argmax(r: &mut Random) -> Vec<Case> {
    let mut cases = Vec::new();
    for vocab in [1, 7, 256, 4096, 70_001] {
        for kind in ["spread", "ties", "low"] {
            let mut logits = r.floats(vocab, 5.0);
            match kind {
                "ties" => logits.iter_mut().for_each(|v| *v = v.round()),
                "low" => logits.iter_mut().for_each(|v| *v -= 1000.0),
                _ => {}
            }
            let p = kernel::Argmax { vocab: vocab as u32 };
            cases.push(
                Case::new(&kernel::ARGMAX, &p, 1, format!("V {vocab} {kind}"))
                    .floats(&logits)
                    .words(&GOING)
                    .output(1)
                    .output(4),
            );
        }
    }
    cases
}

fn sample(r: &mut Random) -> Vec<Case> {
    let plain = Settings { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0, repetition_penalty: 1.0 };
    let settings = [
        plain,
        Settings { temperature: 0.6, top_p: 0.95, ..plain },
        Settings { top_k: 1, ..plain },
        Settings { temperature: 1.5, top_k: 20, ..plain },
        Settings { min_p: 0.05, ..plain },
        Settings { temperature: 0.8, top_k: 40, top_p: 0.8, min_p: 0.02, repetition_penalty: 1.2 },
        Settings { top_k: 1_000_000, top_p: 0.5, ..plain },
        Settings { top_p: 0.0, ..plain },
    ];
    let mut cases = Vec::new();
    for vocab in [1usize, 33, 1000, 4096, 50_257] {
        for (i, s) in settings.iter().enumerate() {
            for position in [0, 11] {
                let p = kernel::Sample { vocab: vocab as u32 };
                let seen: Vec<u32> = (0..vocab.div_ceil(32)).map(|_| (r.unit() * 65_535.0) as u32).collect();
                let name = format!("V {vocab} settings {i} at {position}");
                let case = Case::new(&kernel::SAMPLE, &p, 1, name);
                let case = case.words(bytemuck::cast_slice(bytemuck::bytes_of(s))).words(&seen);
                cases.push(case.updated(&r.floats(vocab, 4.0)).state(position).output(1).output(4));
            }
        }
    }
    cases
}
