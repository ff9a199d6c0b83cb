//! Pipelines by kernel, weight format and constants, made once.

use std::cell::RefCell;
use std::collections::HashMap;

use super::Gpu;
use crate::error::{Error, Result};
use crate::format::Format;
use crate::kernel::{self, Access, Kernel, Shader};

/// Values of a shader's `override` constants.
type Constants = Vec<(&'static str, u32)>;

/// Kernel name; format, for kernels with a variant for each; whether with subgroup operations;
/// constants.
type Key = (&'static str, Option<Format>, bool, Constants);

/// A pipeline and the layout of its one bind group.
#[derive(Clone)]
pub(super) struct Pipeline {
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) layout: wgpu::BindGroupLayout,
}

/// The pipelines made so far.
#[derive(Default)]
pub(super) struct Pipelines(RefCell<HashMap<Key, Pipeline>>);

impl Gpu {
    /// The pipeline of a kernel. A new one is believed only when the driver's answer has been awaited.
    pub(super) async fn pipeline(
        &self,
        kernel: &'static Kernel,
        format: Option<Format>,
        subgroups: bool,
        constants: Constants,
    ) -> Result<Pipeline> {
        let key = (kernel.name, format.filter(|_| kernel.per_format), subgroups, constants);
        if let Some(found) = self.pipelines.0.borrow().get(&key) {
            return Ok(found.clone());
        }
        let label = key.1.map_or_else(|| kernel.name.to_owned(), |f| format!("{}.{}", kernel.name, f.name()));
        let shader = kernel::shader(kernel, format, subgroups)
            .ok_or_else(|| Error::Device(format!("kernel {label} has no shader; steps of it must name a format")))?;
        let made = self.faults.scoped(&label, || self.make(kernel, &label, shader, &key.3))?;
        self.faults.settle().await?;
        self.pipelines.0.borrow_mut().insert(key, made.clone());
        Ok(made)
    }

    fn make(&self, kernel: &Kernel, label: &str, shader: &Shader, constants: &Constants) -> Pipeline {
        let entries: Vec<_> = std::iter::once(wgpu::BufferBindingType::Uniform)
            .chain(kernel.bindings.iter().map(|b| match b.access {
                Access::Uniform => wgpu::BufferBindingType::Uniform,
                access => wgpu::BufferBindingType::Storage { read_only: access == Access::Read },
            }))
            .zip(0..)
            .map(|(ty, binding)| wgpu::BindGroupLayoutEntry {
                binding,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
                count: None,
            })
            .collect();
        let label = Some(label);
        let layout =
            self.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label, entries: &entries });
        let pipeline_layout = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label,
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let mut text = shader.text(cfg!(target_arch = "wasm32"));
        if let Some(alter) = self.alter {
            text = alter(shader, &text);
        }
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label,
            source: wgpu::ShaderSource::Wgsl(text.into()),
        });
        let constants: Vec<_> = constants.iter().map(|(name, value)| (*name, f64::from(*value))).collect();
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label,
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some("main"),
            // No kernel reads workgroup memory that it has not written. Clearing it took SwiftShader a third of a token's time
            // and two fifths of a prompt's. Browsers clear it whatever is said here.
            compilation_options: wgpu::PipelineCompilationOptions {
                zero_initialize_workgroup_memory: false,
                constants: &constants,
            },
            cache: None,
        });
        Pipeline { pipeline, layout }
    }
}
