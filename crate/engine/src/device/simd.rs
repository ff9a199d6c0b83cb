//! The fast CPU device: kernels' vector code where they have it, their scalar twins otherwise.

use std::cell::RefCell;
use std::sync::Arc;

use async_trait::async_trait;

use super::call::{COMMON, Work};
use super::team::{Hall, Team};
use crate::device::{Args, Buffer, Cpu, Device, Limits, Plan, Prepared, Reading, Scratch, Step};
use crate::error::{Error, Result};
use crate::kernel::{Access, Fast, Path};

/// A CPU that runs kernels on one of its paths, with one thread or a team of them. How many there are changes no result: every
/// number is made whole by one of them.
pub struct Simd {
    path: &'static Path,
    /// The first thread's.
    scratch: RefCell<Scratch>,
    /// What the parts of a step have in common.
    common: RefCell<Vec<u32>>,
    team: RefCell<Option<Team>>,
}

impl Simd {
    /// The device on its fastest path, with one thread.
    #[must_use]
    pub fn new() -> Self {
        Simd::on(Path::all()[0])
    }

    /// The device on a path of this CPU.
    #[must_use]
    pub fn on(path: &'static Path) -> Self {
        Simd { path, scratch: RefCell::default(), common: RefCell::new(vec![0; COMMON]), team: RefCell::default() }
    }

    /// The same with as many threads, or as many as the system gives.
    #[must_use]
    pub fn with_threads(self, threads: usize) -> Self {
        let team = (threads > 1).then(|| Team::start(threads)).filter(|team| team.parts() > 1);
        Simd { team: RefCell::new(team), ..self }
    }

    /// The same with threads that somebody else started, with the first as many as `threads`.
    #[must_use]
    pub fn with_hired(self, hall: Arc<Hall>, threads: usize) -> Self {
        let team = (threads > 1).then(|| Team::hired(hall, threads));
        Simd { team: RefCell::new(team), ..self }
    }

    /// Runs a step.
    fn step(&self, args: &Args<'_>, fast: Fast) {
        let (mut scratch, mut common) = (self.scratch.borrow_mut(), self.common.borrow_mut());
        match &mut *self.team.borrow_mut() {
            Some(team) => {
                let parts = team.wanted();
                let work = Work::new(args, self.path, parts, &mut common);
                team.run(parts, &mut scratch, |scratch| fast(&work.first(args), scratch), &|part, scratch| {
                    fast(&work.part(part), scratch)
                });
            }
            None => fast(&Work::new(args, self.path, 1, &mut common).first(args), &mut scratch),
        }
    }
}

impl Default for Simd {
    fn default() -> Self {
        Simd::new()
    }
}

#[async_trait(?Send)]
impl Device for Simd {
    fn kind(&self) -> &'static str {
        "cpu"
    }

    fn name(&self) -> String {
        match &*self.team.borrow() {
            None => format!("CPU, {}, one thread", self.path.name),
            Some(team) => format!("CPU, {}, {} threads", self.path.name, team.parts()),
        }
    }

    fn limits(&self) -> Limits {
        Cpu.limits()
    }

    fn buffer(&self, label: &str, bytes: u64) -> Result<Buffer> {
        Cpu.buffer(label, bytes)
    }

    fn write(&self, buffer: &Buffer, offset: u64, data: &[u8]) -> Result<()> {
        Cpu.write(buffer, offset, data)
    }

    fn begin_read(&self, buffer: &Buffer, offset: u64, bytes: u64) -> Result<Reading> {
        Cpu.begin_read(buffer, offset, bytes)
    }

    async fn compile_untested(&self, steps: Vec<Step>) -> Result<Plan> {
        for step in &steps {
            let bound = |i: usize| step.bindings[i].words();
            let writes = |i: &usize| step.kernel.bindings[*i].access == Access::Write;
            let count = step.kernel.bindings.len().min(step.bindings.len());
            for i in (0..count).filter(writes) {
                if (0..count).any(|j| j != i && bound(i).is_some() && bound(i) == bound(j)) {
                    return Err(Error::Device(format!("{} writes what it also binds elsewhere", step.label)));
                }
            }
        }
        Cpu.compile_untested(steps).await
    }

    fn play(&self, plans: &[(&Plan, u32)]) -> Result<()> {
        for (plan, tokens) in plans {
            let Prepared::Cpu(steps) = &plan.prepared else {
                return Err(Error::Device("a plan of another device".into()));
            };
            for (i, step) in steps.iter().enumerate() {
                if let Some(team) = self.team.borrow_mut().as_mut().filter(|_| i == 0 || *tokens > 1) {
                    team.look();
                }
                let args = Args::new(step, *tokens);
                match step.kernel.fast {
                    None => (step.kernel.cpu)(&args),
                    Some(fast) => self.step(&args, fast),
                }
            }
        }
        Ok(())
    }
}
