//! How long each kernel takes of a play: its steps one by one, each played many times in one submission.

use std::collections::BTreeMap;
use std::time::Instant;

use moebius_engine::Result;
use moebius_engine::device::{Device, Plan};
use moebius_engine::model::{Cache, Logits, Model, Steps};
use serde_json::{Value, json};

/// Plays of a step in one submission; what a submission costs by itself is taken off.
const PLAYS: usize = 16;
/// Submissions; the fastest counts.
const TRIES: usize = 3;

/// One kernel's part of a play.
pub(super) struct Kernel {
    /// Kernel and weight format.
    pub(super) name: String,
    pub(super) launches: usize,
    pub(super) ms: f64,
    /// Of all kernels together.
    pub(super) percent: f64,
}

impl Kernel {
    pub(super) fn json(&self) -> Value {
        json!({"name": self.name, "launches": self.launches, "ms": self.ms, "percent": self.percent})
    }
}

/// The kernels of a play of `tokens` tokens at `position`, the slowest first.
pub(super) async fn kernels(model: &Model, position: usize, tokens: usize) -> Result<Vec<Kernel>> {
    let device = model.device.as_ref();
    let cache = Cache::new(device, &model.spec, model.context, model.cache)?;
    let steps = Steps::new(model, &cache, tokens, Logits::Last)?;
    let state: Vec<u8> = [position as u32, tokens as u32, 0, 0].into_iter().flat_map(u32::to_le_bytes).collect();
    device.write(&cache.state, 0, &state)?;
    let mut found: BTreeMap<String, (usize, f64)> = BTreeMap::new();
    let body = steps.body.into_iter().map(|step| (step, tokens as u32));
    for (step, tokens) in body.chain(steps.head.into_iter().map(|step| (step, 1))) {
        let format = step.format.map_or(String::new(), |f| format!(".{}", f.name()));
        let name = format!("{}{format}", step.kernel.name);
        let plan = device.compile(vec![step]).await?;
        let mut best = f64::INFINITY;
        for _ in 0..TRIES {
            let one = time(device, &cache, (&plan, tokens), 1).await?;
            let many = time(device, &cache, (&plan, tokens), PLAYS).await?;
            best = best.min((many - one).max(0.0) / (PLAYS - 1) as f64);
        }
        let sum = found.entry(name).or_default();
        *sum = (sum.0 + 1, sum.1 + best);
    }
    let total: f64 = found.values().map(|(_, ms)| ms).sum();
    let mut kernels: Vec<Kernel> = found
        .into_iter()
        .map(|(name, (launches, ms))| Kernel { name, launches, ms, percent: 100.0 * ms / total })
        .collect();
    kernels.sort_by(|a, b| b.ms.total_cmp(&a.ms));
    Ok(kernels)
}

/// Milliseconds of `plays` plays of a plan.
async fn time(device: &dyn Device, cache: &Cache, play: (&Plan, u32), plays: usize) -> Result<f64> {
    let start = Instant::now();
    device.play(&vec![play; plays])?;
    device.read(&cache.state, 0, 16).await?;
    Ok(1e3 * start.elapsed().as_secs_f64())
}
