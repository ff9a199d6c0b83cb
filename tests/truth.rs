//! The scalar kernels against plain formulas in f64, so that the truth itself is tested.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod launch;

use bytemuck::Pod;
use moebius_engine::device::Cpu;
use moebius_engine::format::Format;
use moebius_engine::kernel::{self, Kernel, Settings, State};
use moebius_tests::Random;

/// The last buffer after a run on the CPU.
fn last(
    kernel: &'static Kernel,
    format: Option<Format>,
    params: &impl Pod,
    tokens: u32,
    buffers: &[Vec<u32>],
) -> Vec<u32> {
    nth(buffers.len() - 1, kernel, format, params, tokens, buffers)
}

/// Buffer `n` after a run on the CPU.
fn nth(
    n: usize,
    kernel: &'static Kernel,
    format: Option<Format>,
    params: &impl Pod,
    tokens: u32,
    buffers: &[Vec<u32>],
) -> Vec<u32> {
    let run = launch::launch(&Cpu, kernel, format, bytemuck::bytes_of(params), tokens, buffers);
    pollster::block_on(run).expect("the CPU runs").swap_remove(n)
}

/// What a product makes, with a bias that it has or not.
fn product(
    kernel: &'static Kernel,
    params: &kernel::Matmul,
    tokens: u32,
    buffers: impl IntoIterator<Item = Vec<u32>>,
    bias: &[f32],
) -> Vec<u32> {
    let first = (kernel.bindings[0].name == "state").then(|| state(0, tokens, 0));
    let buffers: Vec<_> = first.into_iter().chain(buffers).chain([words(bias)]).collect();
    nth(buffers.len() - 2, kernel, Some(Format::F32), params, tokens, &buffers)
}

fn words(floats: &[f32]) -> Vec<u32> {
    bytemuck::cast_slice(floats).to_vec()
}

fn state(position: u32, tokens: u32, seed: u32) -> Vec<u32> {
    bytemuck::cast_slice(&[State { position, tokens, seed, seed_high: 1 }]).to_vec()
}

fn near(got: &[u32], want: &[f64], bound: f64) {
    let got: &[f32] = bytemuck::cast_slice(got);
    assert_eq!(got.len(), want.len());
    let largest = want.iter().fold(0f64, |m, v| m.max(v.abs()));
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert!((f64::from(*got) - want).abs() <= bound * largest, "value {i}: {got} for {want}");
    }
}

#[test]
fn attention_is_a_softmax_over_what_it_may_see() {
    let (heads, kv_heads, width, context, tokens) = (4usize, 2usize, 6usize, 23usize, 3usize);
    let mut r = Random::new(1);
    let (q, k) = (r.floats(tokens * heads * width, 2.0), r.floats(context * kv_heads * width, 2.0));
    let v = r.floats(context * kv_heads * width, 1.0);
    for window in [0usize, 5] {
        let stride = (kv_heads * width) as u32;
        let p = kernel::Attention {
            heads: heads as u32,
            kv_heads: kv_heads as u32,
            k_width: width as u32,
            v_width: width as u32,
            k_stride: stride,
            v_stride: stride,
            scale: 0.4,
            window: window as u32,
            splits: 1,
            tokens: tokens as u32,
            ..bytemuck::Zeroable::zeroed()
        };
        let y = vec![0; tokens * heads * width];
        let buffers = [state(20, 3, 0), words(&q), words(&k), words(&v), y, vec![0]];
        let got = nth(4, &kernel::ATTENTION, None, &p, tokens as u32, &buffers);
        let at = |m: &[f32], i: usize| f64::from(m[i]);
        let mut want = Vec::new();
        for t in 0..tokens {
            for h in 0..heads {
                let seen: Vec<usize> = (0..=20 + t).filter(|s| window == 0 || s + window > 20 + t).collect();
                let weight = |s: usize| {
                    let of = |i| at(&q, (t * heads + h) * width + i) * at(&k, (s * kv_heads + h / 2) * width + i);
                    ((0..width).map(of).sum::<f64>() * 0.4).exp()
                };
                let total: f64 = seen.iter().map(|s| weight(*s)).sum();
                for d in 0..width {
                    let of = |s: &usize| weight(*s) / total * at(&v, (s * kv_heads + h / 2) * width + d);
                    want.push(seen.iter().map(of).sum());
                }
            }
        }
        near(&got, &want, 2e-6);
    }
}

#[test]
fn a_sink_takes_its_part_of_the_softmax_and_gives_nothing() {
    // Two heads of two floats, and one key-value head with three positions.
    let mut r = Random::new(9);
    let (q, k, v) = (r.floats(4, 2.0), r.floats(6, 2.0), r.floats(6, 1.0));
    let sinks = [0.7f32, -9.0];
    for splits in [1u32, 2] {
        let p = kernel::Attention {
            heads: 2,
            kv_heads: 1,
            k_width: 2,
            v_width: 2,
            k_stride: 2,
            v_stride: 2,
            scale: 1.0,
            splits,
            tokens: 1,
            apart: 1,
            ..bytemuck::Zeroable::zeroed()
        };
        let rows = 2 * splits as usize;
        let buffers = [state(2, 1, 0), words(&q), words(&k), words(&v), vec![0; 2 * rows], vec![0; 2 * rows]];
        let [parts, marks] = [4, 5].map(|n| nth(n, &kernel::ATTENTION, None, &p, 1, &buffers));
        let p = kernel::AttentionMerge { heads: 2, width: 2, splits, sinks: 1 };
        let got = nth(2, &kernel::ATTENTION_MERGE, None, &p, 1, &[parts, marks, vec![0; 4], words(&sinks)]);
        let of = |m: &[f32], i: usize| f64::from(m[i]);
        let want: Vec<f64> = (0..4)
            .map(|i| {
                let h = i / 2;
                let weight = |s: usize| (0..2).map(|j| of(&q, 2 * h + j) * of(&k, 2 * s + j)).sum::<f64>().exp();
                let total = (0..3).map(weight).sum::<f64>() + f64::from(sinks[h]).exp();
                (0..3).map(|s| weight(s) * of(&v, 2 * s + i % 2)).sum::<f64>() / total
            })
            .collect();
        near(&got, &want, 1e-6);
    }
}

#[test]
fn experts_have_biases_and_limits() {
    // One expert of one gate and one up on two inputs, which it doubles: at 3 and −4 with biases 0.5 and −1 the limit is 2.
    let record = [words(&[2.0, 0.0, 0.0, 2.0, 0.5, -1.0, 0.0, 0.0]), words(&[3.0, 0.25, 0.0, 0.0])].concat();
    let up = kernel::ExpertsUp {
        hidden: 2,
        width: 1,
        chosen: 1,
        stride: 12,
        weights: 0,
        scales: 4,
        eps: 0.0,
        norm: 0,
        bias: 4,
        limit: 2.0,
        outputs: 1,
        first: 0,
    };
    let chosen = vec![0, 0.5f32.to_bits()];
    let buffers = [words(&[1.5, -2.0]), vec![0; 2], chosen.clone(), vec![0], record.clone(), vec![0]];
    let got = last(&kernel::EXPERTS_UP, Some(Format::F32), &up, 1, &buffers);
    near(&got, &[2.0 / (1.0 + (-1.702f64 * 2.0).exp()) * (-2.0 + 1.0)], 1e-6);

    let (hidden, outputs, first) = (2, 2, 0);
    let down =
        kernel::ExpertsDown { hidden, width: 1, chosen: 1, stride: 12, weights: 0, scales: 4, bias: 8, outputs, first };
    let buffers = [words(&[1.5]), chosen, vec![0], record, words(&[1.0, 1.0])];
    let got = last(&kernel::EXPERTS_DOWN, Some(Format::F32), &down, 1, &buffers);
    near(&got, &[1.0 + 0.5 * (3.0 + 3.0), 1.0 + 0.5 * 0.25], 1e-6);
}

#[test]
fn a_norm_goes_before_the_product() {
    // The identity as matrix: what comes out is the normed input.
    let x = Random::new(2).floats(3 * 20, 5.0);
    let weight: Vec<f32> = (0..20).map(|i| 1.0 + i as f32 / 10.0).collect();
    let identity: Vec<f32> = (0..400).map(|i| f32::from(i % 21 == 0)).collect();
    let p = kernel::Matmul { norm: 1, eps: 0.25, ..kernel::Matmul::plain(20, 20) };
    for kernel in [&kernel::MATVEC, &kernel::MATMUL] {
        let buffers = [words(&x), words(&weight), words(&identity), vec![0; 4], vec![0; 60]];
        let got = product(kernel, &p, 3, buffers, &[0.0]);
        let want: Vec<f64> = x
            .chunks(20)
            .flat_map(|x| {
                let mean = x.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>() / 20.0;
                x.iter().zip(&weight).map(move |(v, w)| f64::from(*v) * f64::from(*w) / (mean + 0.25).sqrt())
            })
            .collect();
        near(&got, &want, 1e-6);
    }
}

#[test]
fn a_matrix_times_a_vector_and_a_bias_by_a_factor() {
    let mut r = Random::new(3);
    let (w, x, y, bias) = (r.floats(5 * 40, 1.0), r.floats(2 * 40, 1.0), r.floats(2 * 5, 1.0), r.floats(5, 1.0));
    for (kernel, scale, biased) in
        [(&kernel::MATVEC, 1.0, 0), (&kernel::MATMUL, 1.0, 0), (&kernel::MATVEC, 0.25, 1), (&kernel::MATMUL, 3.0, 1)]
    {
        let p = kernel::Matmul { accumulate: 1, bias: biased, scale, ..kernel::Matmul::plain(5, 40) };
        let got = product(kernel, &p, 2, [words(&x), vec![0; 40], words(&w), vec![0; 4], words(&y)], &bias);
        let of = |t: usize, n: usize| (0..40).map(move |k| (t * 40 + k, n * 40 + k));
        let want: Vec<f64> = (0..10)
            .map(|i| {
                let sum: f64 = of(i / 5, i % 5).map(|(a, b)| f64::from(x[a]) * f64::from(w[b])).sum();
                f64::from(scale) * (sum + f64::from(biased) * f64::from(bias[i % 5])) + f64::from(y[i])
            })
            .collect();
        near(&got, &want, 1e-6);
    }
}

#[test]
fn a_gated_product_is_silu_of_gates_times_ups() {
    let mut r = Random::new(8);
    let (w, x) = (r.floats(6 * 40, 1.0), r.floats(2 * 40, 1.0));
    let p = kernel::Matmul { y_stride: 3, gated: 1, ..kernel::Matmul::plain(6, 40) };
    for kernel in [&kernel::MATVEC, &kernel::MATMUL] {
        let got = product(kernel, &p, 2, [words(&x), vec![0; 40], words(&w), vec![0; 4], vec![0; 6]], &[0.0]);
        let row =
            |t: usize, n: usize| -> f64 { (0..40).map(|k| f64::from(x[t * 40 + k]) * f64::from(w[n * 40 + k])).sum() };
        let gated = |t, i| row(t, i) / (1.0 + (-row(t, i)).exp()) * row(t, i + 3);
        let want: Vec<f64> = (0..6).map(|i| gated(i / 3, i % 3)).collect();
        near(&got, &want, 1e-6);
    }
}

#[test]
fn turning_keeps_lengths_and_depends_on_the_distance_alone() {
    let (dims, context) = (8usize, 12usize);
    let mut r = Random::new(4);
    let (q, k) = (r.floats(dims, 1.0), r.floats(dims, 1.0));
    for interleaved in [0, 1] {
        let turned = |x: &[f32], position: u32| -> Vec<f32> {
            let p = kernel::Heads { heads: 1, kv_heads: 1, width: 8, dims: 8, interleaved, norm: 0, eps: 0.0, half: 0 };
            let qkv = words(&[x, x, x].concat());
            let rest = [qkv, vec![0; 8], vec![0; 8], vec![0; 8], vec![0; 8 * context], vec![0; 8 * context]];
            let buffers: Vec<_> =
                [state(position, 1, 0), words(&turns(context, dims))].into_iter().chain(rest).collect();
            let run = launch::launch(&Cpu, &kernel::HEADS, None, bytemuck::bytes_of(&p), 1, &buffers);
            let after = pollster::block_on(run).expect("the CPU runs");
            let place = 8 * position as usize..8 * position as usize + 8;
            assert_eq!(after[5], after[6][place.clone()], "a key turns as a query does");
            assert_eq!(after[7][place], words(x), "a value does not turn");
            bytemuck::cast_slice(&after[5]).to_vec()
        };
        let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let length = product(&q, &q);
        assert!((product(&turned(&q, 7), &turned(&q, 7)) - length).abs() < 1e-5 * length);
        let (near, far) = (product(&turned(&q, 3), &turned(&k, 1)), product(&turned(&q, 11), &turned(&k, 9)));
        assert!((near - far).abs() < 1e-5, "{near} {far}");
        assert!((near - product(&q, &k)).abs() > 1e-3, "the turn did nothing");
        assert_eq!(turned(&q, 0), q);
    }
}

#[test]
fn queries_and_keys_are_normed_by_head_or_all_together() {
    let mut r = Random::new(12);
    let (x, q_norm, k_norm) = (r.floats(4 * 6, 1.0), r.floats(12, 1.0), r.floats(6, 1.0));
    for norm in [0, 1, 2] {
        let p = kernel::Heads { heads: 2, kv_heads: 1, width: 6, dims: 2, interleaved: 0, norm, eps: 0.5, half: 0 };
        let buffers = [
            state(0, 1, 0),
            words(&turns(1, 2)),
            words(&x),
            words(&q_norm),
            words(&k_norm),
            vec![0; 12],
            vec![0; 6],
            vec![0; 6],
        ];
        let normed = |x: &[f32], weight: &[f32]| -> Vec<f64> {
            let mean = x.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / x.len() as f64;
            x.iter().zip(weight).map(|(v, w)| f64::from(*v) * f64::from(*w) / (mean + 0.5).sqrt()).collect()
        };
        let queries = match norm {
            0 => x[..12].iter().map(|v| f64::from(*v)).collect(),
            1 => [normed(&x[..6], &q_norm[..6]), normed(&x[6..12], &q_norm[..6])].concat(),
            _ => normed(&x[..12], &q_norm),
        };
        near(&nth(5, &kernel::HEADS, None, &p, 1, &buffers), &queries, 1e-6);
        let keys =
            if norm == 0 { x[12..18].iter().map(|v| f64::from(*v)).collect() } else { normed(&x[12..18], &k_norm) };
        near(&nth(6, &kernel::HEADS, None, &p, 1, &buffers), &keys, 1e-6);
    }
}

/// Cosines and sines of plain angles, `[context, dims/2, 2]`.
fn turns(context: usize, dims: usize) -> Vec<f32> {
    let angle = |p: usize, i: usize| p as f32 * 0.3 / (i + 1) as f32;
    (0..context).flat_map(|p| (0..dims / 2).flat_map(move |i| [angle(p, i).cos(), angle(p, i).sin()])).collect()
}

#[test]
fn absorbed_queries_and_values_equal_the_long_way() {
    // (q · W_uk c) for a latent c must equal (W_ukᵀ q) · c, and values W_uv c are those of the plain projection.
    let (nope, rope, value, rank) = (5usize, 2usize, 3usize, 7usize);
    let mut r = Random::new(5);
    let (w, q, c) = (r.floats(2 * (nope + value) * rank, 1.0), r.floats(2 * (nope + rope), 1.0), r.floats(rank, 1.0));
    let kv = r.floats(rank + rope, 1.0);
    let p = kernel::MlaQuery {
        heads: 2,
        nope: 5,
        rope: 2,
        value: 3,
        rank: 7,
        q_stride: 14,
        kv_stride: 9,
        kv_offset: 0,
        interleaved: 0,
        eps: 0.0,
        half: 0,
    };
    let format = Some(Format::F32);
    // At position 0 nothing turns.
    let first = [state(0, 1, 0), words(&turns(1, rope)), words(&q), words(&kv), words(&[2.0; 7])];
    let rest = [words(&w), vec![0; 4], vec![0; 2 * (rank + rope)], vec![0; rank + rope]];
    let buffers: Vec<_> = first.into_iter().chain(rest).collect();
    let run = launch::launch(&Cpu, &kernel::MLA_QUERY, format, bytemuck::bytes_of(&p), 1, &buffers);
    let mut after = pollster::block_on(run).expect("the CPU runs");
    let (cached, absorbed) = (after.pop().expect("a cache"), after.pop().expect("queries"));
    let (absorbed, cached): (&[f32], &[f32]) = (bytemuck::cast_slice(&absorbed), bytemuck::cast_slice(&cached));
    let mean = kv[..rank].iter().map(|v| v * v).sum::<f32>() / rank as f32;
    assert!(cached.iter().zip(&kv).take(rank).all(|(got, v)| (got - 2.0 * v / mean.sqrt()).abs() < 1e-5));
    assert_eq!(cached[rank..], kv[rank..]);
    let sizes = kernel::Matmul {
        rows: 3,
        x_stride: 14,
        y_stride: 6,
        batch: 2,
        row_first: 5,
        row_step: 8,
        x_step: 7,
        y_step: 3,
        ..kernel::Matmul::plain(16, 7)
    };
    let both = [c.clone(), c.clone()].concat();
    let buffers = [words(&both), vec![0; 7], words(&w), vec![0; 4], vec![0; 2 * value]];
    let values = product(&kernel::MATVEC, &sizes, 1, buffers, &[0.0]);
    let values: &[f32] = bytemuck::cast_slice(&values);
    for h in 0..2 {
        let row = |i: usize| -> f32 { (0..rank).map(|j| w[(h * (nope + value) + i) * rank + j] * c[j]).sum() };
        let long: f32 = (0..nope).map(|i| q[h * (nope + rope) + i] * row(i)).sum();
        let head = &absorbed[h * (rank + rope)..][..rank + rope];
        let short: f32 = head[..rank].iter().zip(&c).map(|(a, c)| a * c).sum();
        assert!((long - short).abs() < 1e-5, "{long} {short}");
        assert_eq!(head[rank..], q[h * (nope + rope) + nope..][..rope]);
        for (i, v) in values[h * value..][..value].iter().enumerate() {
            assert!((row(nope + i) - v).abs() < 1e-5);
        }
    }
}

/// Expert ids and weights chosen from one token's logits.
fn choose(p: kernel::TopK, logits: &[f32], bias: &[f32]) -> (Vec<u32>, Vec<f32>) {
    let got = last(
        &kernel::TOPK,
        None,
        &p,
        1,
        &[words(logits), words(bias), vec![0; 2 * (p.chosen + p.shared_experts) as usize]],
    );
    (got.iter().step_by(2).copied().collect(), got.iter().skip(1).step_by(2).map(|w| f32::from_bits(*w)).collect())
}

const ROUTE: kernel::TopK = kernel::TopK {
    experts: 6,
    chosen: 2,
    sigmoid: 0,
    groups: 1,
    top_groups: 1,
    normalise: 0,
    eps: 0.0,
    scale: 1.0,
    shared_experts: 0,
    shared_weight: 1.0,
    shared_gate: 0,
    hidden: 0,
    norm_eps: 0.0,
    jitter: 0.0,
};

#[test]
fn routing_by_hand() {
    let (logits, none) = ([0.0f32, 3.0, 1.0, 3.0, -1.0, 2.0], [0.0; 6]);
    let total: f32 = logits.iter().map(|z| z.exp()).sum();
    let (ids, weights) = choose(ROUTE, &logits, &none);
    assert_eq!(ids, [1, 3], "the lower id first among equals");
    assert!(weights.iter().all(|w| (w - 3f32.exp() / total).abs() < 1e-6), "{weights:?}");

    let (ids, weights) = choose(kernel::TopK { normalise: 1, scale: 2.5, chosen: 3, ..ROUTE }, &logits, &none);
    assert_eq!(ids, [1, 3, 5]);
    assert!((weights.iter().sum::<f32>() - 2.5).abs() < 1e-6, "{weights:?}");

    // Shared experts come after them, whole.
    let (ids, weights) = choose(kernel::TopK { shared_experts: 2, scale: 0.5, ..ROUTE }, &logits, &none);
    assert_eq!((ids, weights[2..].to_vec()), (vec![1, 3, 6, 7], vec![1.0, 1.0]));

    // Behind a gate they have the sigmoid of the last logit, by their factor.
    let gated = kernel::TopK { shared_experts: 1, shared_weight: 0.5, shared_gate: 1, ..ROUTE };
    let (ids, weights) = choose(gated, &[0.0, 3.0, 1.0, 3.0, -1.0, 2.0, 0.7], &none);
    assert_eq!(ids, [1, 3, 6], "the gate's logit is no expert's");
    assert!((weights[2] - 0.5 / (1.0 + (-0.7f32).exp())).abs() < 1e-6, "{weights:?}");

    // The bias moves the choice and not the weight.
    let sigmoid = kernel::TopK { sigmoid: 1, ..ROUTE };
    let (ids, weights) = choose(sigmoid, &logits, &[0.0, 0.0, 0.0, 0.0, 5.0, 0.0]);
    assert_eq!(ids, [4, 1]);
    assert!((weights[0] - 1.0 / (1.0 + 1f32.exp())).abs() < 1e-6, "{weights:?}");

    // Sparsemixer: 3 among itself and 2.5; then 2.5 among itself and 2.399, which is as near, and not 3, which is taken.
    let mixer = kernel::TopK { jitter: 0.1, ..ROUTE };
    let (ids, weights) = choose(mixer, &[-1.0, 2.5, 0.0, 3.0, 1.0, 2.399], &none);
    let shares = [1.0 / (1.0 + (-0.5f32).exp()), 1.0 / (1.0 + (-0.101f32).exp())];
    assert_eq!(ids, [3, 1]);
    assert!(weights.iter().zip(shares).all(|(w, s)| (w - s).abs() < 1e-6), "{weights:?} for {shares:?}");

    // Groups {0,1,2} and {3,4,5}: sums of the two largest sigmoids decide, not the largest one.
    let grouped = kernel::TopK { sigmoid: 1, groups: 2, top_groups: 1, ..ROUTE };
    assert_eq!(choose(grouped, &[4.0, -4.0, -4.0, 1.0, 1.0, -4.0], &none).0, [3, 4]);
}

/// Id, log-probability and number kept, for a seed.
fn draw(s: Settings, logits: &[f32], seen: u32, seed: u32) -> (u32, f32, u32) {
    let p = kernel::Sample { vocab: logits.len() as u32 };
    let settings = bytemuck::cast_slice(bytemuck::bytes_of(&s)).to_vec();
    let buffers = [settings, vec![seen], words(logits), state(0, 1, seed), vec![0], vec![0; 4]];
    let got = last(&kernel::SAMPLE, None, &p, 1, &buffers);
    (got[0], f32::from_bits(got[1]), got[2])
}

const PLAIN: Settings = Settings { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0, repetition_penalty: 1.0 };

#[test]
fn draws_follow_the_probabilities() {
    let logits = [0.5f32, 2.0, -1.0, 1.0];
    let total: f32 = logits.iter().map(|z| z.exp()).sum();
    let mut counts = [0f32; 4];
    for seed in 0..20_000 {
        let (id, logprob, kept) = draw(PLAIN, &logits, 0, seed);
        counts[id as usize] += 1.0;
        assert_eq!(kept, 4);
        assert!((logprob - (logits[id as usize] - total.ln())).abs() < 1e-5);
    }
    for (count, logit) in counts.iter().zip(logits) {
        // Four standard deviations of a count of 20,000.
        let p = logit.exp() / total;
        assert!((count / 20_000.0 - p).abs() < 4.0 * (p * (1.0 - p) / 20_000.0).sqrt(), "{counts:?}");
    }
}

#[test]
fn cuts_keep_what_they_should() {
    // Probabilities 0.4, 0.3, 0.2, 0.1.
    let logits = [0.4f32, 0.3, 0.2, 0.1].map(f32::ln);
    let kept = |s: Settings| draw(s, &logits, 0, 5).2;
    assert_eq!(kept(Settings { top_k: 3, ..PLAIN }), 3);
    assert_eq!(kept(Settings { top_k: 99, ..PLAIN }), 4);
    assert_eq!(kept(Settings { top_p: 0.65, ..PLAIN }), 2);
    assert_eq!(kept(Settings { top_p: 0.75, ..PLAIN }), 3);
    assert_eq!(kept(Settings { top_p: 0.0, ..PLAIN }), 1);
    assert_eq!(kept(Settings { min_p: 0.6, ..PLAIN }), 2);
    assert_eq!(kept(Settings { top_k: 3, min_p: 0.9, ..PLAIN }), 1);
    // A temperature of 0.5 squares the odds: 16 : 9 : 4 : 1 of 30.
    assert_eq!(kept(Settings { temperature: 0.5, top_p: 0.8, ..PLAIN }), 2);
    // A penalty of 2 squares the probability of what was seen: 0.16 falls behind 0.3 and 0.2.
    let (id, _, kept) = draw(Settings { repetition_penalty: 2.0, top_k: 1, ..PLAIN }, &logits, 1, 5);
    assert_eq!((id, kept), (1, 1));
    for seed in 0..50 {
        assert!(draw(Settings { top_k: 2, ..PLAIN }, &logits, 0, seed).0 < 2);
    }
}

#[test]
fn greedy_takes_the_first_of_the_largest() {
    let p = kernel::Argmax { vocab: 4 };
    let buffers = [words(&[1.0, 2.0, 2.0, 0.0]), state(7, 3, 0), vec![0], vec![0; 4]];
    let got = last(&kernel::ARGMAX, None, &p, 1, &buffers);
    let total = 2.0 + (-1f32).exp() + (-2f32).exp();
    assert_eq!(got[0], 1);
    assert!((f32::from_bits(got[1]) + total.ln()).abs() < 1e-6);
    // The next play is of that token, after the three that were played.
    assert_eq!(nth(1, &kernel::ARGMAX, None, &p, 1, &buffers)[..2], [10, 1]);
    assert_eq!(nth(2, &kernel::ARGMAX, None, &p, 1, &buffers), [1]);
}
