//! How long each kernel takes of a play: by the device's clock where it has one, else its steps one by one, each played many times
//! in one submission.

use std::collections::BTreeMap;
use std::time::Instant;

use moebius_engine::Result;
use moebius_engine::device::{Buffer, Device, Plan, Step};
use moebius_engine::kernel::{ExpertsDown, ExpertsUp, State};
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
    /// Bytes of weights read, of kernels of which that can be told.
    bytes: Option<u64>,
}

impl Kernel {
    pub(super) fn json(&self) -> Value {
        json!({"name": self.name, "launches": self.launches, "ms": self.ms, "percent": self.percent,
            "gb_per_second": self.gb_per_second()})
    }

    /// GB of weights a second.
    pub(super) fn gb_per_second(&self) -> Option<f64> {
        self.bytes.filter(|_| self.ms > 0.0).map(|bytes| bytes as f64 / self.ms / 1e6)
    }
}

/// The kernels of a play of `tokens` tokens at `position`, the slowest first.
pub(super) async fn kernels(model: &Model, position: usize, tokens: usize) -> Result<Vec<Kernel>> {
    let device = model.device.as_ref();
    let cache = Cache::new(device, &model.spec, model.context, model.cache)?;
    let steps = Steps::new(model, &cache, tokens, Logits::Last)?;
    let state = State { position: position as u32, tokens: tokens as u32, seed: 0, seed_high: 0 };
    cache.begin(device, state, steps.last.as_ref())?;
    let parts = [(steps.body, tokens as u32), (steps.head, 1)];
    let mut found: BTreeMap<String, Kernel> = BTreeMap::new();
    for (steps, tokens) in parts {
        for (step, ms) in steps.iter().zip(times(device, &cache, &steps, tokens).await?) {
            let format = step.format.map_or(String::new(), |f| format!(".{}", f.name()));
            let name = format!("{}{format}", step.kernel.name);
            let new = || Kernel { name: name.clone(), launches: 0, ms: 0.0, percent: 0.0, bytes: Some(0) };
            let kernel = found.entry(name.clone()).or_insert_with(new);
            kernel.launches += 1;
            kernel.ms += ms;
            kernel.bytes = kernel.bytes.zip(bytes(step, tokens)).map(|(a, b)| a + b);
        }
    }
    let total: f64 = found.values().map(|kernel| kernel.ms).sum();
    let mut kernels: Vec<Kernel> = found.into_values().collect();
    kernels.iter_mut().for_each(|kernel| kernel.percent = 100.0 * kernel.ms / total);
    kernels.sort_by(|a, b| b.ms.total_cmp(&a.ms));
    Ok(kernels)
}

/// Milliseconds of each step; the fastest of some tries counts.
async fn times(device: &dyn Device, cache: &Cache, steps: &[Step], tokens: u32) -> Result<Vec<f64>> {
    let mut best = vec![f64::INFINITY; steps.len()];
    let whole = device.compile(steps.to_vec()).await?;
    for _ in 0..TRIES {
        let Some(times) = device.clock(&whole, tokens).await? else { break };
        best.iter_mut().zip(times).for_each(|(best, ms)| *best = best.min(ms));
    }
    for (step, best) in steps.iter().zip(&mut best).filter(|(_, best)| best.is_infinite()) {
        let plan = device.compile(vec![step.clone()]).await?;
        for _ in 0..TRIES {
            let one = time(device, cache, (&plan, tokens), 1).await?;
            let many = time(device, cache, (&plan, tokens), PLAYS).await?;
            *best = best.min((many - one).max(0.0) / (PLAYS - 1) as f64);
        }
    }
    Ok(best)
}

/// Bytes of weights that a step reads of a play of one token; `None` where that depends on more than its buffers.
fn bytes(step: &Step, tokens: u32) -> Option<u64> {
    let bound = |name: &str| {
        let at = step.kernel.bindings.iter().position(|binding| binding.name == name)?;
        step.bindings.get(at).map(Buffer::bytes)
    };
    match step.kernel.name {
        "matvec" | "matmul" | "router" => Some(bound("weights")? + bound("scales").unwrap_or(0)),
        "experts_up" if tokens == 1 => record::<ExpertsUp>(step).map(|p| 2 * thirds(p.stride, p.chosen)),
        "experts_down" if tokens == 1 => record::<ExpertsDown>(step).map(|p| thirds(p.stride, p.chosen)),
        _ => None,
    }
}

/// A kernel's parameters.
fn record<P: bytemuck::AnyBitPattern>(step: &Step) -> Option<P> {
    bytemuck::try_pod_read_unaligned(&step.params).ok()
}

/// Of records of so many words two thirds are gate and up, a third is down.
fn thirds(stride: u32, chosen: u32) -> u64 {
    4 * u64::from(stride) * u64::from(chosen) / 3
}

/// Milliseconds of `plays` plays of a plan.
async fn time(device: &dyn Device, cache: &Cache, play: (&Plan, u32), plays: usize) -> Result<f64> {
    let start = Instant::now();
    device.play(&vec![play; plays])?;
    device.read(&cache.state, 0, 16).await?;
    Ok(1e3 * start.elapsed().as_secs_f64())
}
