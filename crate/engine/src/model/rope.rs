//! Table of rotary cosines and sines, computed in f64: a GPU's own sine is not exact enough at long contexts.

use crate::model::{Rope, RopeScaling};

/// `[context, dims/2, 2]`: cosine and sine of every position and pair.
#[must_use]
pub fn rope_table(rope: &Rope, context: usize) -> Vec<f32> {
    let (frequencies, factor) = frequencies(rope, context);
    let angle = |p: usize| frequencies.iter().map(move |f| p as f64 * f);
    (0..context).flat_map(|p| angle(p).flat_map(|a| [(a.cos() * factor) as f32, (a.sin() * factor) as f32])).collect()
}

/// Radians a position for each pair, and the factor of cosines and sines, in a context of that length.
fn frequencies(rope: &Rope, context: usize) -> (Vec<f64>, f64) {
    let dims = rope.dims as f64;
    // transformers computes base frequencies in f32, and models were trained with those.
    let base: Vec<f64> =
        (0..rope.dims / 2).map(|i| f64::from((1.0 / rope.theta.powf(2.0 * i as f64 / dims)) as f32)).collect();
    match &rope.scaling {
        RopeScaling::Plain => (base, 1.0),
        RopeScaling::Linear(factor) => (base.iter().map(|f| f / factor).collect(), 1.0),
        RopeScaling::Llama3 { factor, original, low, high } => {
            let scaled = |f: &f64| {
                let turns = original * f / std::f64::consts::TAU;
                let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                f / factor * (1.0 - kept) + f * kept
            };
            (base.iter().map(scaled).collect(), 1.0)
        }
        RopeScaling::Long { original, short, long, short_scale, long_scale } => {
            let within = context as f64 <= *original;
            let (factors, scale) = if within { (short, short_scale) } else { (long, long_scale) };
            (base.iter().zip(factors).map(|(f, by)| f / by).collect(), *scale)
        }
        RopeScaling::Yarn { factor, original, beta_fast, beta_slow, truncate, attention } => {
            let turn = |r: f64| dims * (original / (r * std::f64::consts::TAU)).ln() / (2.0 * rope.theta.ln());
            let (mut low, mut high) = (turn(*beta_fast), turn(*beta_slow));
            if *truncate {
                (low, high) = (low.floor(), high.ceil());
            }
            (low, high) = (low.max(0.0), high.min(dims - 1.0));
            if low == high {
                high += 0.001;
            }
            let kept = |i: usize| 1.0 - ((i as f64 - low) / (high - low)).clamp(0.0, 1.0);
            let stretched = base.iter().enumerate().map(|(i, f)| f * kept(i) + f / factor * (1.0 - kept(i)));
            (stretched.collect(), *attention)
        }
    }
}
