//! Loading for commands: picks the device and shows progress on stderr.

use std::io::{IsTerminal, Write, stderr};
use std::rc::Rc;

use async_trait::async_trait;
use moebius_engine::device::{Device, Gpu, Profile, Simd};
use moebius_engine::model::{LoadOptions, Model, Progress};
use moebius_engine::session::{Recover, Session, Timings};
use moebius_engine::source::Memory;
use moebius_engine::weights::Precision;
use moebius_engine::{Error, Result};

use crate::args::{self, DeviceKind};
use crate::cores::cores;
use crate::disk::Disk;

/// The model that the arguments name, on the device that they name.
///
/// A configuration alone gets weights by lot.
pub(crate) async fn load(arguments: &args::Model) -> Result<Model> {
    let precision = arguments.format.map_or(Precision::Stored, args::Format::precision);
    let device = device(arguments.device, arguments.threads).await?;
    let options = LoadOptions { precision, context: arguments.context, cache: arguments.cache.map(Into::into) };
    let model = if arguments.path.extension().is_some_and(|end| end == "json") {
        if arguments.experts.is_some() {
            let reason = "weights by lot are there at once: there is nothing to read them from".into();
            return Err(Error::Request { field: "experts".into(), reason });
        }
        let config = std::fs::read(&arguments.path);
        let config =
            config.map_err(|e| Error::File { file: arguments.path.display().to_string(), reason: e.to_string() })?;
        let mut alone = Memory::default();
        alone.insert("config.json", config);
        Model::random(&alone, device, &options).await?
    } else {
        let folder = Disk::open(&arguments.path)?;
        let mut percent = Percent::new("loading");
        let mut show = |p| percent.show(p);
        let model = match arguments.experts {
            None => Model::load(&folder, device, &options, &mut show).await?,
            Some(room) => {
                let (model, pending) = Model::stream(Rc::new(folder), device, &options, room, &mut |_| {}).await?;
                pending.load(&mut show).await?;
                if let Some(residency) = &model.residency {
                    residency.fill(&mut show).await?;
                }
                model
            }
        };
        percent.end();
        model
    };
    eprintln!("{} layers, {:.1} MB, on {}", model.spec.layers.len(), model.bytes as f64 / 1e6, model.device.name());
    Ok(model)
}

/// A session on that model, which outlives its device.
pub(crate) async fn session(arguments: &args::Model) -> Result<Session> {
    let mut session = Session::new(load(arguments).await?).await?;
    session.recovery = Some(Rc::new(Again(arguments.clone())));
    Ok(session)
}

/// Loads the model again.
struct Again(args::Model);

#[async_trait(?Send)]
impl Recover for Again {
    async fn session(&self, lost: &Error) -> Result<Session> {
        eprintln!("\n{lost}; loading again");
        session(&self.0).await
    }
}

/// Progress as a figure on stderr, where that is a terminal.
pub(crate) struct Percent {
    doing: &'static str,
    shown: Option<u64>,
}

impl Percent {
    /// Nothing shown yet.
    pub(crate) fn new(doing: &'static str) -> Self {
        Percent { doing, shown: None }
    }

    /// Shows how far it is, where that changed.
    pub(crate) fn show(&mut self, p: Progress) {
        let percent = (p.done * 100).checked_div(p.total).unwrap_or(100);
        if self.shown != Some(percent) && stderr().is_terminal() {
            self.shown = Some(percent);
            eprint!("\r{} {percent:3} %", self.doing);
            // A progress figure that cannot be shown is no reason to stop.
            drop(stderr().flush());
        }
    }

    /// Ends the line.
    pub(crate) fn end(&self) {
        if self.shown.is_some() {
            eprintln!();
        }
    }
}

/// Times of a generation, on stderr.
pub(crate) fn show_timings(t: &Timings) {
    let (read, kept, made) = (t.prompt_n, t.cache_n, t.predicted_n);
    let (reads, makes) = (t.prompt_per_second, t.predicted_per_second);
    eprintln!("{read} tokens read at {reads:.1}/s, {kept} kept, {made} made at {makes:.1}/s");
}

async fn device(wanted: Option<DeviceKind>, threads: Option<u16>) -> Result<Rc<dyn Device>> {
    let cpu = || Rc::new(Simd::new().with_threads(threads.map_or_else(cores, usize::from)));
    if wanted == Some(DeviceKind::Cpu) {
        return Ok(cpu());
    }
    match Gpu::new(Profile::ALL).await {
        Ok(gpu) if wanted.is_none() && gpu.software => Ok(cpu()),
        Ok(gpu) => Ok(Rc::new(gpu)),
        Err(reason) if wanted.is_none() => {
            eprintln!("{reason}; running on the CPU");
            Ok(cpu())
        }
        Err(other) => Err(other),
    }
}
