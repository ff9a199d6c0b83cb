//! Pipelines by kernel, weight format and constants, made once.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use super::Gpu;
use crate::device::{Grid, Step};
use crate::error::{Error, Result};
use crate::format::Format;
use crate::kernel::{self, Access, Kernel, Launch, Shader};

/// Makes pipelines beside other work: browsers can, and wgpu does not ask them to.
pub trait Compiler {
    /// Begins with a pipeline, of which a later `createComputePipeline` with its name as label gets it.
    fn begin(&self, draft: &Draft<'_>);

    /// Until it is made, or has failed: then it will fail again where errors are heard.
    fn made(&self, name: &str) -> Pin<Box<dyn Future<Output = ()>>>;
}

/// A pipeline to be made.
pub struct Draft<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its shader, whose entry point is `main`.
    pub text: &'a str,
    /// What is bound in its one group, from binding 0 on.
    pub bindings: &'a [Access],
    /// Values of `override` constants.
    pub constants: &'a [(&'static str, u32)],
}

/// What tells a pipeline from others.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// Kernel.
    name: &'static str,
    /// Weight format, of kernels with a variant for each.
    format: Option<Format>,
    /// Whether it uses subgroup operations.
    pub(super) subgroups: bool,
    /// Values of the shader's `override` constants.
    constants: Vec<(&'static str, u32)>,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        self.format.iter().try_for_each(|format| write!(f, ".{}", format.name()))?;
        if self.subgroups {
            f.write_str(".subgroups")?;
        }
        self.constants.iter().try_for_each(|(name, value)| write!(f, " {name}={value}"))
    }
}

/// A pipeline and the layout of its one bind group.
#[derive(Clone)]
pub(super) struct Pipeline {
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) layout: wgpu::BindGroupLayout,
}

/// The pipelines made so far, and those begun.
#[derive(Default)]
pub(super) struct Pipelines {
    made: RefCell<HashMap<Key, Pipeline>>,
    begun: RefCell<HashSet<Key>>,
}

impl Gpu {
    /// The pipeline that a step is launched with, and its workgroups.
    pub(super) fn launch_of(&self, step: &Step) -> (Key, Grid) {
        let (profile, kernel) = (self.profile_for(step), step.kernel);
        let Launch { grid, constants, subgroups } = (kernel.launch)(&step.params, &profile);
        let format = step.format.filter(|_| kernel.per_format);
        let wanted = subgroups && profile.subgroups();
        let subgroups = kernel::shader(kernel, format, wanted).is_some_and(|shader| shader.subgroups);
        (Key { name: kernel.name, format, subgroups, constants }, grid)
    }

    /// Begins to make the pipelines of steps, if that can be done beside other work.
    pub(super) fn draft(&self, steps: &[Step]) -> bool {
        let Some(compiler) = &self.compiler else { return false };
        for step in steps {
            let (key, _) = self.launch_of(step);
            let Some(shader) = kernel::shader(step.kernel, key.format, key.subgroups) else { continue };
            if self.pipelines.begun.borrow_mut().insert(key.clone()) {
                let (name, text) = (key.to_string(), self.text(shader));
                let bindings = &accesses(step.kernel);
                compiler.begin(&Draft { name: &name, text: &text, bindings, constants: &key.constants });
            }
        }
        true
    }

    /// A pipeline of a kernel. A new one is believed only when the driver's answer has been awaited.
    pub(super) async fn pipeline(&self, kernel: &'static Kernel, key: Key) -> Result<Pipeline> {
        let name = key.to_string();
        if let Some(compiler) = self.compiler.as_ref().filter(|_| self.pipelines.begun.borrow().contains(&key)) {
            compiler.made(&name).await;
        }
        if let Some(found) = self.pipelines.made.borrow().get(&key) {
            return Ok(found.clone());
        }
        let missing = || Error::Device(format!("kernel {name} has no shader; steps of it must name a format"));
        let shader = kernel::shader(kernel, key.format, key.subgroups).ok_or_else(missing)?;
        let made = self.faults.scoped(&name, || self.make(kernel, &name, shader, &key.constants))?;
        self.faults.settle().await?;
        self.pipelines.made.borrow_mut().insert(key, made.clone());
        Ok(made)
    }

    /// A shader as the driver gets it.
    fn text(&self, shader: &Shader) -> String {
        let text = shader.text(cfg!(target_arch = "wasm32"));
        match self.alter {
            Some(alter) => alter(shader, &text),
            None => text,
        }
    }

    fn make(&self, kernel: &Kernel, label: &str, shader: &Shader, constants: &[(&'static str, u32)]) -> Pipeline {
        let kinds = accesses(kernel).into_iter().map(|access| match access {
            Access::Uniform => wgpu::BufferBindingType::Uniform,
            access => wgpu::BufferBindingType::Storage { read_only: access == Access::Read },
        });
        let entries: Vec<_> = kinds
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
        let module = self.module(label, shader);
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

impl Gpu {
    /// A shader for the driver, which would otherwise be told to count every loop's rounds, lest one never ends: prompts took an H200 1.7
    /// times as long, tokens 1.2 times. Browsers have their own ways.
    #[allow(unsafe_code, reason = "a loop without an end may do anything")]
    fn module(&self, label: Option<&str>, shader: &Shader) -> wgpu::ShaderModule {
        let source = wgpu::ShaderSource::Wgsl(self.text(shader).into());
        let checks = wgpu::ShaderRuntimeChecks { force_loop_bounding: false, ..wgpu::ShaderRuntimeChecks::checked() };
        // SAFETY: what is not asked for is only that loops end. Each of these counts up to a bound that stays as it is.
        unsafe { self.device.create_shader_module_trusted(wgpu::ShaderModuleDescriptor { label, source }, checks) }
    }
}

/// How a kernel has what is bound, its parameters first.
fn accesses(kernel: &Kernel) -> Vec<Access> {
    std::iter::once(Access::Uniform).chain(kernel.bindings.iter().map(|b| b.access)).collect()
}
