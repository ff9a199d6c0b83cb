//! A plan on the GPU: pipelines, bind groups and grids of every step, ready to be encoded.

use std::rc::Rc;

use super::{Gpu, Memory};
use crate::device::{Grid, Profile, Step, Storage};
use crate::error::{Error, Result};

/// Distance between the steps' parameters in their one uniform buffer: the largest offset alignment WebGPU allows.
const PARAMS_STRIDE: usize = 256;
/// Tokens of a play that is short: one of more is submitted in stretches.
const SHORT: u32 = 4;
/// Launches of a long play that are submitted together at most, about a layer. What holds a GPU for long keeps the page from being
/// drawn, and after some seconds drivers end it.
pub(super) const STRETCH: usize = 8;
/// Milliseconds that a submission should take: some launches take twice the mean, and a frame in ten may be late.
const SUBMISSION_MS: f64 = 50.0;
/// Workgroups in one dimension of a dispatch, by WebGPU.
const GROUPS: u32 = 65_535;

/// How many launches of so many milliseconds each are submitted together.
pub(super) fn stretch(launch_ms: f64) -> usize {
    ((SUBMISSION_MS / launch_ms) as usize).clamp(1, STRETCH)
}

/// Plays that are encoded and not yet submitted: a token's plays and its read go in one submission.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) encoder: Option<wgpu::CommandEncoder>,
    /// What the encoder names lives until it is submitted.
    held: Vec<Rc<[Rc<Memory>]>>,
}

/// A compiled list of steps.
pub(crate) struct Launches {
    launches: Vec<Launch>,
    /// What the bind groups name; see [`Memory`].
    held: Rc<[Rc<Memory>]>,
}

pub(super) struct Launch {
    label: String,
    pipeline: wgpu::ComputePipeline,
    bindings: wgpu::BindGroup,
    grid: Grid,
}

impl Launch {
    /// Adds it to a pass.
    pub(super) fn dispatch(&self, pass: &mut wgpu::ComputePass<'_>, [x, y, z]: [u32; 3]) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bindings, &[]);
        pass.dispatch_workgroups(x, y, z);
    }
}

impl Launches {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.launches.len()
    }

    /// Each launch with its workgroups for a play of `tokens` tokens.
    pub(super) fn grids(&self, tokens: u32) -> impl Iterator<Item = (&Launch, [u32; 3])> {
        self.launches.iter().map(move |launch| (launch, launch.grid.map(|dim| dim.count(tokens))))
    }
}

impl Gpu {
    pub(super) async fn prepare(&self, steps: Vec<Step>) -> Result<Launches> {
        self.faults.settle().await?;
        let mut bytes = vec![0; PARAMS_STRIDE * steps.len()];
        for (step, slot) in steps.iter().zip(bytes.chunks_exact_mut(PARAMS_STRIDE)) {
            let slot = slot.get_mut(..step.params.len()).ok_or_else(|| refuse(step, "parameters over 256 bytes"))?;
            slot.copy_from_slice(&step.params);
        }
        let params = self.memory("parameters", bytes.len() as u64, wgpu::BufferUsages::UNIFORM)?;
        self.queue.write_buffer(&params.0, 0, &bytes);
        let (mut launches, mut held) = (Vec::with_capacity(steps.len()), vec![params.clone()]);
        for (i, step) in steps.into_iter().enumerate() {
            if step.bindings.len() != step.kernel.bindings.len() {
                let counts = format!("{} buffers for {}", step.bindings.len(), step.kernel.bindings.len());
                return Err(refuse(&step, &counts));
            }
            let (key, grid) = self.launch_of(&step);
            let pipeline = self.pipeline(step.kernel, key).await?;
            let mut entries = vec![wgpu::BindGroupEntry {
                binding: 0,
                resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer: &params.0,
                    offset: (i * PARAMS_STRIDE) as u64,
                    size: std::num::NonZero::new(step.params.len().next_multiple_of(16) as u64),
                }),
            }];
            for (buffer, binding) in step.bindings.iter().zip(1..) {
                let Storage::Gpu(memory) = &buffer.storage else {
                    return Err(refuse(&step, "a buffer of another device"));
                };
                entries.push(wgpu::BindGroupEntry { binding, resource: memory.0.as_entire_binding() });
                held.push(memory.clone());
            }
            let bindings = self.faults.scoped(&step.label, || {
                let (label, layout) = (Some(step.label.as_str()), &pipeline.layout);
                self.device.create_bind_group(&wgpu::BindGroupDescriptor { label, layout, entries: &entries })
            })?;
            launches.push(Launch { label: step.label, pipeline: pipeline.pipeline, bindings, grid });
        }
        self.faults.settle().await?;
        Ok(Launches { launches, held: held.into() })
    }

    /// Encodes plans into one pass. They are submitted with the next read or before the next write; plays of many tokens in
    /// stretches, at once.
    pub(super) fn launch(&self, plans: &[(&Launches, u32)]) -> Result<()> {
        for (launch, [x, y, z]) in plans.iter().flat_map(|(plan, tokens)| plan.grids(*tokens)) {
            let largest = x.max(y).max(z);
            if largest > GROUPS {
                let what = format!("{}: workgroups", launch.label);
                return Err(Error::Limit { what, value: largest.into(), limit: GROUPS.into() });
            }
        }
        let long = plans.iter().any(|(_, tokens)| *tokens > SHORT);
        let launches: Vec<_> = plans.iter().flat_map(|(plan, tokens)| plan.grids(*tokens)).collect();
        for stretch in launches.chunks(if long { self.stretch.get() } else { launches.len().max(1) }) {
            let mut pending = self.pending.borrow_mut();
            pending.held.extend(plans.iter().map(|(plan, _)| plan.held.clone()));
            let encoder = pending.encoder.get_or_insert_with(|| self.encoder());
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            for (launch, groups) in stretch {
                launch.dispatch(&mut pass, *groups);
            }
            drop(pass);
            drop(pending);
            if long {
                self.flush();
            }
        }
        Ok(())
    }

    /// What a step's kernel may use: no subgroup operations where it failed with them.
    pub(super) fn profile_for(&self, step: &Step) -> Profile {
        let class = super::selftest::class(step.kernel, step.format);
        let profile = Profile { wide: self.profile.wide && !self.software, ..self.profile };
        if self.broken.borrow().contains(&class) { Profile { subgroup: 0, ..profile } } else { profile }
    }

    pub(super) fn encoder(&self) -> wgpu::CommandEncoder {
        self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
    }

    /// Submits what is pending, if anything.
    pub(super) fn flush(&self) -> Option<wgpu::SubmissionIndex> {
        let pending = std::mem::take(&mut *self.pending.borrow_mut());
        pending.encoder.map(|encoder| self.submit(Some(encoder.finish())))
    }
}

fn refuse(step: &Step, reason: &str) -> Error {
    Error::Device(format!("step {} ({}): {reason}", step.label, step.kernel.name))
}
