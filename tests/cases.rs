//! Inputs of every kernel: odd shapes, all formats, positions beyond the first, ties, masks, strides.

use bytemuck::Pod;
use moebius_engine::format::{FORMATS, Format};
use moebius_engine::kernel::{self, Kernel, Settings, State};
use moebius_engine::model::ExpertLayout;
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
}

impl Case {
    fn new(kernel: &'static Kernel, params: &impl Pod, tokens: usize, name: impl Into<String>) -> Self {
        let params = bytemuck::bytes_of(params).to_vec();
        Case { name: name.into(), kernel, format: None, params, tokens: tokens as u32, buffers: Vec::new() }
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

    fn state(self, position: usize) -> Self {
        let tokens = self.tokens;
        self.words(bytemuck::cast_slice(&[State { position: position as u32, tokens, seed: 7, seed_high: 9 }]))
    }

    /// A matrix of random values, in the case's format.
    fn matrix(self, random: &mut Random, rows: usize, cols: usize) -> Self {
        let format = self.format.unwrap_or(Format::F32);
        let (weights, mut scales) = format.encode(&random.floats(rows * cols, 0.5), rows, cols);
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

/// The cases of a kernel; none for a kernel that this file does not know.
pub(crate) fn cases(kernel: &Kernel) -> Vec<Case> {
    let mut random = Random::new(kernel.name.bytes().map(u64::from).sum());
    let r = &mut random;
    match kernel.name {
        "argmax" => argmax(r),
        "attention" => attention(r),
        "combine" => combine(r),
        "embed" => per_format(r, embed),
        "experts_down" => per_format(r, experts_down),
        "experts_matmul" => per_format(r, experts_matmul),
        "experts_up" => per_format(r, experts_up),
        "heads" => heads(r),
        "last" => last(r),
        "matmul" => per_format(r, matmul),
        "matvec" => per_format(r, matvec),
        "mla_query" => per_format(r, mla_query),
        "mla_value" => per_format(r, mla_value),
        "sample" => sample(r),
        "topk" => topk(r),
        _ => Vec::new(),
    }
}

fn per_format(r: &mut Random, cases: impl Fn(Format, &mut Random) -> Vec<Case>) -> Vec<Case> {
    FORMATS.into_iter().flat_map(|f| cases(f, r)).collect()
}

/// Widths that a format takes: whole blocks, and for float formats any.
fn widths(format: Format, whole: &[usize], any: &[usize]) -> Vec<usize> {
    let any = if format.is_block() { &[] } else { any };
    whole.iter().chain(any).copied().collect()
}

fn matvec(format: Format, r: &mut Random) -> Vec<Case> {
    let shapes = [
        (1, 1, 0, 0, 0, 0),
        (17, 1, 1, 0, 1, 0),
        (40, 3, 0, 3, 1, 0),
        (33, 4, 1, 5, 0, 0),
        (2, 1, 0, 0, 0, 1),
        (78, 2, 0, 3, 1, 1),
    ];
    products(&kernel::MATVEC, format, &widths(format, &[32, 256, 320, 4096], &[1, 7, 33, 100, 255]), &shapes, r)
}

fn matmul(format: Format, r: &mut Random) -> Vec<Case> {
    let shapes = [
        (1, 1, 0, 0, 1, 0),
        (32, 32, 0, 0, 0, 0),
        (33, 31, 1, 0, 1, 0),
        (64, 33, 1, 0, 0, 0),
        (70, 5, 0, 3, 0, 0),
        (31, 70, 1, 2, 1, 0),
        (2, 3, 0, 0, 0, 1),
        (78, 33, 0, 3, 1, 1),
    ];
    products(&kernel::MATMUL, format, &widths(format, &[32, 256, 320], &[3, 33, 63]), &shapes, r)
}

/// Products of all widths and shapes: rows, tokens, accumulate, spare floats between tokens, norm, gated.
fn products(
    kernel: &'static Kernel,
    format: Format,
    widths: &[usize],
    shapes: &[(usize, usize, u32, usize, u32, u32)],
    r: &mut Random,
) -> Vec<Case> {
    let mut cases = Vec::new();
    for &cols in widths {
        for &(rows, tokens, accumulate, spare, norm, gated) in shapes {
            // One sum of hundreds may all but cancel, and bounds follow the largest: more rows, and one is large.
            let rows = if cols > 100 { rows + 8 } else { rows };
            let (x_stride, y_stride) = (cols + spare, (rows >> gated) + spare);
            let p = kernel::Matmul {
                rows: rows as u32,
                cols: cols as u32,
                x_stride: x_stride as u32,
                y_stride: y_stride as u32,
                accumulate,
                norm,
                eps: 1e-5,
                gated,
            };
            let name = format!(
                "{rows}x{cols} tokens {tokens} accumulate {accumulate} spare {spare} norm {norm} gated {gated}"
            );
            let mut case = Case::new(kernel, &p, tokens, name).format(format);
            if kernel.bindings[0].name == "state" {
                case = case.state(3);
            }
            case = case.floats(&r.floats(x_stride * tokens, 1.0)).floats(&r.floats(cols, 1.0));
            cases.push(case.matrix(r, rows, cols).updated(&r.floats(y_stride * tokens, 1.0)));
        }
    }
    cases
}

fn embed(format: Format, r: &mut Random) -> Vec<Case> {
    let mut cases = Vec::new();
    for width in widths(format, &[32, 256, 2080], &[1, 31, 33, 66]) {
        let p = kernel::Embed { width: width as u32 };
        let case = Case::new(&kernel::EMBED, &p, 4, format!("width {width}")).format(format).words(&[4, 0, 10, 4]);
        cases.push(case.matrix(r, 11, width).output(4 * width));
    }
    cases
}

/// Records of experts, in a shuffled order of slots.
fn pool(format: Format, layout: &ExpertLayout, hidden: usize, width: usize, slots: &[u32], r: &mut Random) -> Vec<u32> {
    let mut pool = vec![0; layout.stride * slots.len()];
    for slot in slots {
        let record = &mut pool[*slot as usize * layout.stride..][..layout.stride];
        let (up, up_scales) = format.encode(&r.floats(2 * width * hidden, 0.3), 2 * width, hidden);
        let (down, down_scales) = format.encode(&r.floats(hidden * width, 0.3), hidden, width);
        for (start, words) in
            [(0, &up), (layout.up_scales, &up_scales), (layout.down_weights, &down), (layout.down_scales, &down_scales)]
        {
            record[start..start + words.len()].copy_from_slice(words);
        }
    }
    pool
}

/// Hidden size, expert width, tokens.
fn expert_sizes(format: Format) -> Vec<(usize, usize, usize)> {
    let mut sizes = vec![(32, 32, 1), (256, 96, 3), (96, 288, 2)];
    if !format.is_block() {
        sizes.extend([(33, 7, 2), (10, 45, 3)]);
    }
    sizes
}

const SLOTS: [u32; 6] = [3, 0, 5, 1, 4, 2];

fn chosen(tokens: usize, r: &mut Random) -> Vec<u32> {
    (0..tokens)
        .flat_map(|t| [t % 6, (t + 3) % 6, (t + 4) % 6])
        .flat_map(|e| [e as u32, (r.unit() + 0.1).to_bits()])
        .collect()
}

fn experts_up(format: Format, r: &mut Random) -> Vec<Case> {
    let mut cases = Vec::new();
    for (hidden, width, tokens) in expert_sizes(format) {
        let layout = ExpertLayout::new(format, format, hidden, width).unwrap_or_else(|e| panic!("{e}"));
        let p = kernel::ExpertsUp {
            hidden: hidden as u32,
            width: width as u32,
            chosen: 3,
            stride: layout.stride as u32,
            weights: 0,
            scales: layout.up_scales as u32,
            eps: 1e-5,
        };
        let name = format!("hidden {hidden} width {width} tokens {tokens}");
        let case = Case::new(&kernel::EXPERTS_UP, &p, tokens, name).format(format);
        let case = case.floats(&r.floats(tokens * hidden, 1.0)).floats(&r.floats(hidden, 1.0));
        let case = case.words(&chosen(tokens, r)).words(&SLOTS);
        cases.push(case.words(&pool(format, &layout, hidden, width, &SLOTS, r)).output(tokens * 3 * width));
    }
    cases
}

fn experts_matmul(format: Format, r: &mut Random) -> Vec<Case> {
    let mut cases = Vec::new();
    // More tokens than a tile has, more pairs than a window, and experts that nobody chose.
    for (hidden, width, tokens) in expert_sizes(format).into_iter().chain([(64, 32, 75), (32, 64, 190)]) {
        let layout = ExpertLayout::new(format, format, hidden, width).unwrap_or_else(|e| panic!("{e}"));
        for up in [true, false] {
            let (rows, cols) = if up { (2 * width, hidden) } else { (hidden, width) };
            let p = kernel::ExpertsMatmul {
                rows: rows as u32,
                cols: cols as u32,
                experts: SLOTS.len() as u32,
                chosen: 3,
                sharing: if up { 3 } else { 1 },
                stride: layout.stride as u32,
                weights: if up { 0 } else { layout.down_weights as u32 },
                scales: if up { layout.up_scales } else { layout.down_scales } as u32,
                gated: u32::from(up),
                norm: u32::from(up),
                eps: 1e-5,
            };
            let name = format!("hidden {hidden} width {width} tokens {tokens} up {up}");
            let (inputs, outputs) = if up { (tokens, width) } else { (3 * tokens, hidden) };
            let case = Case::new(&kernel::EXPERTS_MATMUL, &p, tokens, name).format(format).state(2);
            let case = case.floats(&r.floats(inputs * cols, 1.0)).floats(&r.floats(cols, 1.0));
            let case = case.words(&chosen(tokens, r)).words(&SLOTS);
            cases.push(case.words(&pool(format, &layout, hidden, width, &SLOTS, r)).output(3 * tokens * outputs));
        }
    }
    cases
}

fn combine(r: &mut Random) -> Vec<Case> {
    [(1, 1), (64, 2), (130, 5)]
        .into_iter()
        .map(|(hidden, tokens)| {
            let p = kernel::Combine { hidden: hidden as u32, chosen: 3 };
            let case = Case::new(&kernel::COMBINE, &p, tokens, format!("hidden {hidden} tokens {tokens}"));
            let case = case.floats(&r.floats(3 * tokens * hidden, 1.0)).words(&chosen(tokens, r));
            case.updated(&r.floats(tokens * hidden, 1.0))
        })
        .collect()
}

fn experts_down(format: Format, r: &mut Random) -> Vec<Case> {
    let mut cases = Vec::new();
    for (hidden, width, tokens) in expert_sizes(format) {
        let layout = ExpertLayout::new(format, format, hidden, width).unwrap_or_else(|e| panic!("{e}"));
        let p = kernel::ExpertsDown {
            hidden: hidden as u32,
            width: width as u32,
            chosen: 3,
            stride: layout.stride as u32,
            weights: layout.down_weights as u32,
            scales: layout.down_scales as u32,
        };
        let name = format!("hidden {hidden} width {width} tokens {tokens}");
        let case = Case::new(&kernel::EXPERTS_DOWN, &p, tokens, name).format(format);
        let case = case.floats(&r.floats(tokens * 3 * width, 1.0)).words(&chosen(tokens, r)).words(&SLOTS);
        let case = case.words(&pool(format, &layout, hidden, width, &SLOTS, r));
        cases.push(case.updated(&r.floats(tokens * hidden, 1.0)));
    }
    cases
}

/// Sizes of latent attention: heads, nope, rope, value, tokens.
const LATENT: [(usize, usize, usize, usize, usize); 3] = [(1, 4, 2, 1, 1), (3, 5, 4, 17, 2), (2, 66, 70, 40, 3)];

fn mla_query(format: Format, r: &mut Random) -> Vec<Case> {
    let mut cases = Vec::new();
    for rank in widths(format, &[32, 64, 544], &[5, 50]) {
        for (i, (heads, nope, rope, value, tokens)) in LATENT.into_iter().enumerate() {
            let position = 5 * i;
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
            };
            let name = format!("rank {rank} heads {heads} nope {nope} rope {rope} value {value} tokens {tokens}");
            let case = Case::new(&kernel::MLA_QUERY, &p, tokens, name).format(format).state(position);
            let case = case.floats(&turns(position + tokens, rope, r)).floats(&r.floats(tokens * q_stride, 1.0));
            let case = case.floats(&r.floats(tokens * kv_stride, 1.0)).floats(&r.floats(rank, 1.0));
            let case = case.matrix(r, heads * (nope + value), rank).output(tokens * heads * (rank + rope));
            cases.push(case.output((position + tokens) * (rank + rope)));
        }
    }
    cases
}

fn mla_value(format: Format, r: &mut Random) -> Vec<Case> {
    let mut cases = Vec::new();
    for rank in widths(format, &[32, 64, 544], &[5, 50]) {
        for (heads, nope, _, value, tokens) in LATENT {
            let p = kernel::MlaValue { heads: heads as u32, nope: nope as u32, value: value as u32, rank: rank as u32 };
            let name = format!("rank {rank} heads {heads} nope {nope} value {value} tokens {tokens}");
            let case = Case::new(&kernel::MLA_VALUE, &p, tokens, name).format(format);
            let case = case.floats(&r.floats(tokens * heads * rank, 1.0)).matrix(r, heads * (nope + value), rank);
            cases.push(case.output(tokens * heads * value));
        }
    }
    cases
}

/// Cosines and sines of random angles.
fn turns(positions: usize, dims: usize, r: &mut Random) -> Vec<f32> {
    r.floats(positions * dims / 2, 3.0).iter().flat_map(|a| [a.cos(), a.sin()]).collect()
}

fn heads(r: &mut Random) -> Vec<Case> {
    let mut cases = Vec::new();
    for (heads, kv_heads, width, dims) in [(1, 1, 2, 2), (4, 2, 64, 64), (3, 1, 24, 8), (6, 3, 130, 96)] {
        for (position, tokens, interleaved, norm) in [(0, 1, 0, 0), (5, 3, 0, 1), (9, 2, 1, 0), (2, 1, 1, 1)] {
            let p = kernel::Heads {
                heads: heads as u32,
                kv_heads: kv_heads as u32,
                width: width as u32,
                dims: dims as u32,
                interleaved,
                norm,
                eps: 1e-6,
            };
            let name = format!(
                "heads {heads}/{kv_heads} width {width} dims {dims} at {position}+{tokens} interleaved {interleaved} norm {norm}"
            );
            let case = Case::new(&kernel::HEADS, &p, tokens, name).state(position);
            let case = case.floats(&turns(position + tokens, dims, r));
            let case = case.floats(&r.floats(tokens * (heads + 2 * kv_heads) * width, 1.0));
            let case = case.floats(&r.floats(width, 1.0)).floats(&r.floats(width, 1.0)).output(tokens * heads * width);
            let cached = (position + tokens) * kv_heads * width;
            cases.push(case.output(cached).output(cached));
        }
    }
    cases
}

fn attention(r: &mut Random) -> Vec<Case> {
    let mut cases = Vec::new();
    for (heads, kv_heads, k_width, v_width) in
        [(1, 1, 4, 4), (4, 2, 8, 8), (6, 2, 6, 5), (2, 1, 72, 64), (3, 3, 7, 130)]
    {
        for (position, tokens, window) in
            [(0, 1, 0), (0, 5, 0), (62, 3, 0), (130, 2, 0), (70, 3, 3), (100, 2, 65), (2, 2, 9)]
        {
            let (k_stride, v_stride) = (kv_heads * k_width + 4, kv_heads * v_width + 1);
            let p = kernel::Attention {
                heads: heads as u32,
                kv_heads: kv_heads as u32,
                k_width: k_width as u32,
                v_width: v_width as u32,
                k_stride: k_stride as u32,
                v_stride: v_stride as u32,
                scale: (k_width as f32).sqrt().recip(),
                window,
            };
            let name =
                format!("heads {heads}/{kv_heads} widths {k_width} {v_width} at {position}+{tokens} window {window}");
            let context = position + tokens;
            let case = Case::new(&kernel::ATTENTION, &p, tokens, name).state(position);
            let case = case.floats(&r.floats(tokens * heads * k_width, 3.0)).floats(&r.floats(context * k_stride, 3.0));
            cases.push(case.floats(&r.floats(context * v_stride, 1.0)).output(tokens * heads * v_width));
        }
    }
    cases
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

fn topk(r: &mut Random) -> Vec<Case> {
    let mut cases = Vec::new();
    for (experts, chosen, groups, top_groups) in [
        (1, 1, 1, 1),
        (5, 2, 1, 1),
        (64, 8, 8, 3),
        (64, 6, 1, 1),
        (512, 10, 1, 1),
        (256, 8, 8, 4),
        (6, 2, 6, 3),
        (70, 70, 1, 1),
    ] {
        for (sigmoid, normalise, ties) in [(0, 1, false), (1, 1, true), (1, 0, false), (0, 0, true)] {
            let tokens = 3;
            let p = kernel::TopK {
                experts: experts as u32,
                chosen: chosen as u32,
                sigmoid,
                groups,
                top_groups,
                normalise,
                eps: 1e-20,
                scale: 2.5,
            };
            let mut logits = r.floats(tokens * experts, 4.0);
            if ties {
                // Quarter steps: many equal logits, and no near-equal ones.
                logits.iter_mut().for_each(|v| *v = v.round() / 4.0);
            }
            let bias = if ties { vec![0.0; experts] } else { r.floats(experts, 0.2) };
            let name = format!(
                "E {experts} k {chosen} groups {groups}/{top_groups} sigmoid {sigmoid} normalise {normalise} ties {ties}"
            );
            let case = Case::new(&kernel::TOPK, &p, tokens, name).floats(&logits).floats(&bias);
            cases.push(case.output(tokens * chosen * 2));
        }
    }
    cases
}

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
            cases.push(Case::new(&kernel::ARGMAX, &p, 1, format!("V {vocab} {kind}")).floats(&logits).output(4));
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
                let case = Case::new(&kernel::SAMPLE, &p, 1, name).state(position);
                let case = case.words(bytemuck::cast_slice(bytemuck::bytes_of(s))).words(&seen);
                cases.push(case.updated(&r.floats(vocab, 4.0)).output(4));
            }
        }
    }
    cases
}
