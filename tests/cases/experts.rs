//! Inputs of the experts' kernels: shuffled slots, more tokens than a tile, experts that nobody chose.

use moebius_engine::format::Format;
use moebius_engine::kernel;
use moebius_engine::model::ExpertLayout;
use moebius_tests::Random;

use super::{Case, LONG, uneven};

/// Records of experts, in a shuffled order of slots.
fn pool(format: Format, layout: &ExpertLayout, hidden: usize, width: usize, slots: &[u32], r: &mut Random) -> Vec<u32> {
    let mut pool = vec![0; layout.stride * slots.len()];
    for slot in slots {
        let record = &mut pool[*slot as usize * layout.stride..][..layout.stride];
        let (up, up_scales) = format.encode(&uneven(r, 2 * width * hidden, 0.3), 2 * width, hidden);
        let (down, down_scales) = format.encode(&uneven(r, hidden * width, 0.3), hidden, width);
        for (start, words) in
            [(0, &up), (layout.up_scales, &up_scales), (layout.down_weights, &down), (layout.down_scales, &down_scales)]
        {
            record[start..start + words.len()].copy_from_slice(words);
        }
        for (start, count) in [(layout.up_bias, 2 * width), (layout.down_bias, hidden)] {
            record[start..start + count].copy_from_slice(bytemuck::cast_slice(&r.floats(count, 1.0)));
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

/// Outputs that another launch makes: none, or some before and some behind.
fn spare(tokens: usize) -> usize {
    if tokens.is_multiple_of(2) { 6 } else { 0 }
}

const SLOTS: [u32; 6] = [3, 0, 5, 1, 4, 2];

fn chosen(tokens: usize, r: &mut Random) -> Vec<u32> {
    (0..tokens)
        .flat_map(|t| [t % 6, (t + 3) % 6, (t + 4) % 6])
        .flat_map(|e| [e as u32, (r.unit() + 0.1).to_bits()])
        .collect()
}

pub(super) fn experts_up(format: Format, r: &mut Random) -> Vec<Case> {
    let mut cases = Vec::new();
    for (hidden, width, tokens) in expert_sizes(format) {
        let spare = spare(tokens);
        let layout = ExpertLayout::new(format, format, hidden, width, true).unwrap_or_else(|e| panic!("{e}"));
        let p = kernel::ExpertsUp {
            hidden: hidden as u32,
            width: width as u32,
            chosen: 3,
            stride: layout.stride as u32,
            weights: 0,
            scales: layout.up_scales as u32,
            eps: 1e-5,
            norm: u32::from(tokens != 2),
            bias: if tokens == 2 { layout.up_bias as u32 } else { 0 },
            limit: if tokens == 2 { 3.0 } else { 0.0 },
            outputs: (width + spare) as u32,
            first: spare as u32 / 2,
        };
        let name = format!("hidden {hidden} width {width} tokens {tokens}");
        let case = Case::new(&kernel::EXPERTS_UP, &p, tokens, name).format(format);
        let case = case.floats(&r.floats(tokens * hidden, 1.0)).floats(&r.floats(hidden, 1.0));
        let case = case.words(&chosen(tokens, r)).words(&SLOTS);
        cases.push(case.words(&pool(format, &layout, hidden, width, &SLOTS, r)).output(tokens * 3 * (width + spare)));
    }
    cases
}

pub(super) fn experts_matmul(format: Format, r: &mut Random) -> Vec<Case> {
    let mut cases = Vec::new();
    // More tokens than a tile has, more pairs than a strip, and experts that nobody chose.
    let long = (format == LONG).then_some((256, 96, 60));
    for (hidden, width, tokens) in expert_sizes(format).into_iter().chain([(64, 32, 75), (32, 64, 190)]).chain(long) {
        let layout = ExpertLayout::new(format, format, hidden, width, true).unwrap_or_else(|e| panic!("{e}"));
        for up in [true, false] {
            let (rows, cols) = if up { (2 * width, hidden) } else { (hidden, width) };
            let spare = spare(tokens);
            let (inputs, outputs) = if up { (tokens, width + spare) } else { (3 * tokens, hidden + spare) };
            let p = kernel::ExpertsMatmul {
                rows: rows as u32,
                cols: cols as u32,
                experts: SLOTS.len() as u32,
                sharing: if up { 3 } else { 1 },
                stride: layout.stride as u32,
                weights: if up { 0 } else { layout.down_weights as u32 },
                scales: if up { layout.up_scales } else { layout.down_scales } as u32,
                gated: u32::from(up),
                norm: u32::from(up),
                eps: 1e-5,
                bias: if tokens == 1 { 0 } else { [layout.down_bias, layout.up_bias][usize::from(up)] as u32 },
                limit: if tokens == 2 { 3.0 } else { 0.0 },
                outputs: outputs as u32,
                first: spare as u32 / 2,
            };
            let name = format!("hidden {hidden} width {width} tokens {tokens} up {up}");
            let case = Case::new(&kernel::EXPERTS_MATMUL, &p, tokens, name).format(format);
            let case = case.floats(&r.floats(inputs * cols, 1.0)).floats(&r.floats(cols, 1.0));
            let case = case.words(&sorted(&chosen(tokens, r))).words(&SLOTS);
            cases.push(case.words(&pool(format, &layout, hidden, width, &SLOTS, r)).output(3 * tokens * outputs));
        }
    }
    cases
}

/// What `experts_sort` makes of choices, told apart here by another way: a stable sort.
fn sorted(chosen: &[u32]) -> Vec<u32> {
    let experts: Vec<u32> = chosen.iter().step_by(2).copied().collect();
    let mut pairs: Vec<u32> = (0..experts.len() as u32).collect();
    pairs.sort_by_key(|pair| experts[*pair as usize]);
    let before = |e: usize| experts.iter().filter(|of| (**of as usize) < e).count() as u32;
    (0..=SLOTS.len()).map(before).chain(pairs).collect()
}

pub(super) fn experts_sort(r: &mut Random) -> Vec<Case> {
    [1, 4, 75, 190]
        .into_iter()
        .map(|tokens| {
            let p = kernel::ExpertsSort { experts: SLOTS.len() as u32, chosen: 3 };
            let case = Case::new(&kernel::EXPERTS_SORT, &p, tokens, format!("tokens {tokens}")).state(5);
            case.words(&chosen(tokens, r)).output(SLOTS.len() + 1 + 3 * tokens)
        })
        .collect()
}

pub(super) fn combine(r: &mut Random) -> Vec<Case> {
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

pub(super) fn experts_down(format: Format, r: &mut Random) -> Vec<Case> {
    let mut cases = Vec::new();
    for (hidden, width, tokens) in expert_sizes(format) {
        let spare = spare(tokens);
        let layout = ExpertLayout::new(format, format, hidden, width, true).unwrap_or_else(|e| panic!("{e}"));
        let p = kernel::ExpertsDown {
            hidden: hidden as u32,
            width: width as u32,
            chosen: 3,
            stride: layout.stride as u32,
            weights: layout.down_weights as u32,
            scales: layout.down_scales as u32,
            bias: if tokens == 2 { layout.down_bias as u32 } else { 0 },
            outputs: (hidden + spare) as u32,
            first: spare as u32 / 2,
        };
        let name = format!("hidden {hidden} width {width} tokens {tokens}");
        let case = Case::new(&kernel::EXPERTS_DOWN, &p, tokens, name).format(format);
        let case = case.floats(&r.floats(tokens * 3 * width, 1.0)).words(&chosen(tokens, r)).words(&SLOTS);
        let case = case.words(&pool(format, &layout, hidden, width, &SLOTS, r));
        cases.push(case.updated(&r.floats(tokens * (hidden + spare), 1.0)));
    }
    cases
}
