//! The GPU device: wgpu, on Vulkan natively and on WebGPU in a browser (in a page or a worker).

mod clock;
mod faults;
mod pipelines;
mod plan;
mod readback;
mod selftest;

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;

use async_trait::async_trait;

pub use pipelines::{Compiler, Draft};
pub(crate) use plan::Launches;

use crate::device::{Buffer, Device, Limits, Plan, Prepared, Profile, Reading, Step, Storage, Traffic};
use crate::error::{Error, Result};
use crate::format::Format;
use crate::kernel::Shader;

/// Bytes written between submits: natively every write is held in memory a second time until the next one.
const HELD: u64 = 64 << 20;

/// Workgroups that keep a GPU busy. WebGPU does not tell how many cores there are; this is a small laptop's worth.
const WORKGROUPS: u32 = 256;

/// Tokens of a prompt at once on a GPU of its own: of 256, eight of 64 experts each have 32, a tile. An H200 reads shapes of 1.3 and 6.9
/// billion weights 1.17 and 1.3 times as fast as by 128; by 512 another tenth, but what stops a prompt would be heard later.
const CHUNK: usize = 256;

/// Tokens in flight. A browser takes a millisecond or two to say that one is done; the next ones run meanwhile.
const AHEAD: usize = 4;

/// A GPU through wgpu.
pub struct Gpu {
    device: wgpu::Device,
    queue: wgpu::Queue,
    name: String,
    /// Whether the adapter is a program on the CPU, slower than the CPU device itself.
    pub software: bool,
    /// What is used of it.
    pub profile: Profile,
    faults: Rc<faults::Faults>,
    pipelines: pipelines::Pipelines,
    /// Staging buffers of small reads that are done.
    staging: readback::Spare,
    /// Bytes written since the last submit.
    written: Cell<u64>,
    /// See [`Device::traffic`].
    traffic: Cell<Traffic>,
    pending: RefCell<plan::Pending>,
    /// Launches of a long play that are submitted together.
    stretch: Cell<usize>,
    /// Pipelines that were tested.
    tested: RefCell<HashSet<pipelines::Key>>,
    /// Those of which the variant with subgroup operations failed.
    broken: RefCell<Vec<selftest::Class>>,
    /// See [`Device::fallbacks`].
    fallbacks: RefCell<Vec<String>>,
    /// Makes pipelines ahead of their use, if there is one.
    pub compiler: Option<Rc<dyn Compiler>>,
    /// Changes a shader's text on its way to the driver: how tests break it.
    pub alter: Option<Alter>,
}

/// A shader's text, changed.
pub type Alter = fn(&Shader, &str) -> String;

/// A GPU buffer that is destroyed with its last owner: a browser would keep it until garbage collection. Plans own the
/// buffers they bind.
pub(crate) struct Memory(wgpu::Buffer);

impl Drop for Memory {
    fn drop(&mut self) {
        self.0.destroy();
    }
}

impl Gpu {
    /// The system's GPU, with what it has of `wanted` and otherwise WebGPU's default limits. Natively the Vulkan loader's
    /// `VK_DRIVER_FILES` chooses among drivers. In a browser wgpu does not know of subgroups: there the caller says whether
    /// the browser will grant them, and sees to it that they are asked for.
    ///
    /// # Errors
    /// [`Error::Device`] when there is no adapter, or it refuses a device.
    pub async fn new(wanted: Profile) -> Result<Self> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
        let options = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        };
        let adapter =
            instance.request_adapter(&options).await.map_err(|e| Error::Device(format!("no GPU adapter: {e}")))?;
        let (granted, info) = (adapter.limits(), adapter.get_info());
        let binding = granted.max_storage_buffer_binding_size.min(wanted.binding);
        let limits = wgpu::Limits {
            max_buffer_size: granted.max_buffer_size.min(wanted.binding.max(256 << 20)),
            max_storage_buffer_binding_size: binding,
            ..wgpu::Limits::default().or_worse_values_from(&granted)
        };
        let browser = cfg!(target_arch = "wasm32");
        let known = browser || adapter.features().contains(wgpu::Features::SUBGROUP);
        let subgroup = if known { info.subgroup_min_size.min(wanted.subgroup) } else { 0 };
        let profile = Profile { subgroup, binding, wide: wanted.wide };
        let mut features = wgpu::Features::empty();
        features.set(wgpu::Features::SUBGROUP, profile.subgroups() && !browser);
        // Browsers round times to a tenth of a millisecond: nothing to learn of a launch.
        features.set(
            wgpu::Features::TIMESTAMP_QUERY,
            !browser && adapter.features().contains(wgpu::Features::TIMESTAMP_QUERY),
        );
        let descriptor =
            wgpu::DeviceDescriptor { required_limits: limits, required_features: features, ..Default::default() };
        let (device, queue) =
            adapter.request_device(&descriptor).await.map_err(|e| Error::Device(format!("no GPU device: {e}")))?;
        let faults = Rc::new(faults::Faults::of(device.clone()));
        // wgpu does not fill the name in on the web.
        let software = info.device_type == wgpu::DeviceType::Cpu;
        let stretch = Cell::new(if software { 1 } else { plan::STRETCH });
        let name = Some(info.name).filter(|n| !n.is_empty()).unwrap_or_else(|| "WebGPU".into());
        let (pipelines, staging, written, traffic, pending) = Default::default();
        let (tested, broken, fallbacks, compiler, alter) = Default::default();
        Ok(Gpu {
            device,
            queue,
            name,
            software,
            profile,
            faults,
            pipelines,
            staging,
            written,
            traffic,
            pending,
            stretch,
            tested,
            broken,
            fallbacks,
            compiler,
            alter,
        })
    }

    /// Gives the device up, with all that is on it: [`Error::Lost`] is all that comes of it from now on.
    pub fn destroy(&self) {
        self.device.destroy();
    }

    /// A zeroed buffer for `usage`, copied to and from. Whole quads of words: shaders read planes as `vec4<u32>`.
    fn memory(&self, label: &str, bytes: u64, usage: wgpu::BufferUsages) -> Result<Rc<Memory>> {
        let limit = self.limits().binding;
        if bytes > limit {
            return Err(Error::Limit { what: format!("bytes of {label}"), value: bytes, limit });
        }
        let usage = usage | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let size = bytes.next_multiple_of(16).max(16);
        let descriptor = wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false };
        self.faults.taken(label, size, || Rc::new(Memory(self.device.create_buffer(&descriptor))))
    }

    fn submit(&self, commands: Option<wgpu::CommandBuffer>) -> wgpu::SubmissionIndex {
        self.written.set(0);
        let traffic = self.traffic.get();
        self.traffic.set(Traffic { submissions: traffic.submissions + 1, ..traffic });
        self.queue.submit(commands)
    }
}

#[async_trait(?Send)]
impl Device for Gpu {
    fn kind(&self) -> &'static str {
        "gpu"
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn limits(&self) -> Limits {
        let limits = self.device.limits();
        // A multiple of 16, so that a buffer rounded up to whole quads still fits.
        let binding = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size) & !15;
        let (workgroups, chunk, cache) =
            if self.software { (1, 64, Format::F32) } else { (WORKGROUPS, CHUNK, Format::F16) };
        Limits { binding, workgroups, chunk, ahead: AHEAD, cache }
    }

    fn buffer(&self, label: &str, bytes: u64) -> Result<Buffer> {
        self.faults.check()?;
        let memory = self.memory(label, bytes, wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::UNIFORM)?;
        Ok(Buffer { storage: Storage::Gpu(memory), bytes: bytes.next_multiple_of(4) })
    }

    fn write(&self, buffer: &Buffer, offset: u64, data: &[u8]) -> Result<()> {
        self.faults.check()?;
        let memory = inside(buffer, offset, data.len() as u64)?;
        // A write takes effect with the next submission, before its commands: what came first must go first.
        self.flush();
        self.queue.write_buffer(&memory.0, offset, data);
        self.written.set(self.written.get() + data.len() as u64);
        if self.written.get() >= HELD {
            self.submit(None);
        }
        Ok(())
    }

    fn begin_read(&self, buffer: &Buffer, offset: u64, bytes: u64) -> Result<Reading> {
        self.begin_reads(&[(buffer, offset, bytes)])
    }

    fn begin_reads(&self, parts: &[(&Buffer, u64, u64)]) -> Result<Reading> {
        self.faults.check()?;
        let mut pieces = Vec::with_capacity(parts.len());
        for (buffer, offset, bytes) in parts.iter().filter(|(_, _, bytes)| *bytes > 0) {
            pieces.push((&inside(buffer, *offset, *bytes)?.0, *offset, *bytes));
        }
        let bytes = pieces.iter().map(|(_, _, bytes)| bytes).sum::<u64>();
        if bytes == 0 {
            return Ok(Box::pin(std::future::ready(Ok(Vec::new()))));
        }
        let traffic = self.traffic.get();
        self.traffic.set(Traffic { read: traffic.read + bytes, ..traffic });
        self.fetch(&pieces, bytes)
    }

    fn begin(&self, steps: &[Step]) -> bool {
        self.draft(steps)
    }

    async fn compile(&self, steps: Vec<Step>) -> Result<Plan> {
        self.draft(&steps);
        self.test(&steps).await?;
        self.compile_untested(steps).await
    }

    fn pace(&self, launch_ms: f64) {
        self.stretch.set(plan::stretch(launch_ms));
    }

    fn traffic(&self) -> Traffic {
        self.traffic.get()
    }

    fn fallbacks(&self) -> Vec<String> {
        self.fallbacks.borrow().clone()
    }

    async fn compile_untested(&self, steps: Vec<Step>) -> Result<Plan> {
        Ok(Plan { prepared: Prepared::Gpu(self.prepare(steps).await?) })
    }

    async fn clock(&self, plan: &Plan, tokens: u32) -> Result<Option<Vec<f64>>> {
        self.faults.check()?;
        match &plan.prepared {
            Prepared::Gpu(plan) => self.clock(plan, tokens).await,
            Prepared::Cpu(_) => Err(Error::Device("a plan of another device".into())),
        }
    }

    fn play(&self, plans: &[(&Plan, u32)]) -> Result<()> {
        self.faults.check()?;
        let mut launches = Vec::with_capacity(plans.len());
        for (plan, tokens) in plans {
            let Prepared::Gpu(plan) = &plan.prepared else {
                return Err(Error::Device("a plan of another device".into()));
            };
            launches.push((plan, *tokens));
        }
        self.launch(&launches)
    }
}

/// The memory of a buffer of this device, if `bytes` from `offset` on are whole words inside it.
fn inside(buffer: &Buffer, offset: u64, bytes: u64) -> Result<&Memory> {
    let Storage::Gpu(memory) = &buffer.storage else {
        return Err(Error::Device("a buffer of another device".into()));
    };
    let whole = offset.is_multiple_of(4) && bytes.is_multiple_of(4);
    if whole && offset.checked_add(bytes).is_some_and(|end| end <= buffer.bytes) {
        return Ok(memory);
    }
    Err(Error::Device(format!("{bytes} bytes at {offset} of a buffer of {}", buffer.bytes)))
}
