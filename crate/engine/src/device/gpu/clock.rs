//! The GPU's own clock: how long each launch of a plan takes there, one after another, in one play.

use super::plan::Launches;
use super::{Gpu, Memory};
use crate::error::{Error, Result};

/// Launches of one query set: WebGPU allows 4,096 queries.
const LAUNCHES: usize = 2048;

impl Gpu {
    /// Milliseconds of each launch of a play of `tokens` tokens; `None` where timestamps cannot be had. Each launch is a pass of its own
    /// here, which costs a little more than it does among others.
    pub(super) async fn clock(&self, plan: &Launches, tokens: u32) -> Result<Option<Vec<f64>>> {
        if !self.device.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            return Ok(None);
        }
        self.flush();
        let mut times = Vec::with_capacity(plan.len());
        let launches: Vec<_> = plan.grids(tokens).collect();
        for launches in launches.chunks(LAUNCHES) {
            let count = 2 * launches.len() as u32;
            let queries = self.device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("clock"),
                ty: wgpu::QueryType::Timestamp,
                count,
            });
            let mut encoder = self.encoder();
            for ((launch, groups), first) in launches.iter().zip((0..).step_by(2)) {
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                    label: None,
                    timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                        query_set: &queries,
                        beginning_of_pass_write_index: Some(first),
                        end_of_pass_write_index: Some(first + 1),
                    }),
                });
                launch.dispatch(&mut pass, *groups);
            }
            let size = 8 * u64::from(count);
            let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
            let descriptor = wgpu::BufferDescriptor { label: Some("clock"), size, usage, mapped_at_creation: false };
            let ticks = self.faults.taken("clock", size, || Memory(self.device.create_buffer(&descriptor)))?;
            encoder.resolve_query_set(&queries, 0..count, &ticks.0, 0);
            self.submit(Some(encoder.finish()));
            let bytes = self.fetch(&[(&ticks.0, 0, size)], size)?.await?;
            let ticks: Vec<u64> = bytemuck::pod_collect_to_vec(&bytes);
            let period = f64::from(self.queue.get_timestamp_period()) / 1e6;
            times.extend(ticks.chunks_exact(2).map(|t| t[1].saturating_sub(t[0]) as f64 * period));
        }
        match times.len() == plan.len() {
            true => Ok(Some(times)),
            false => Err(Error::Device("the clock missed launches".into())),
        }
    }
}
