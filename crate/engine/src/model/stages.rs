//! The forward pass in stages, for a model some of whose experts are elsewhere: each ends with a layer's choice of experts, which
//! are brought before the next begins. The steps are those of the whole pass, so what comes of them is the same to the bit.

use crate::device::{Buffer, Device, Plan, Step};
use crate::error::{Error, Result};
use crate::model::Residency;

/// Where a layer's experts are in a list of steps.
#[derive(Clone)]
pub(super) struct Cut {
    /// Steps before the choice is known.
    pub(super) before: usize,
    /// Steps from which on the experts work: those between list what each has to do, which is done here instead.
    pub(super) work: usize,
    /// Steps that are done with the experts.
    pub(super) done: usize,
    /// Pairs (expert, weight) of each token.
    pub(super) chosen: Buffer,
    /// Experts of a token.
    pub(super) at_work: usize,
    /// Experts of the layer.
    pub(super) experts: usize,
    /// What each expert has to do, where many tokens share them: see `experts_sort`.
    pub(super) sorted: Option<Buffer>,
}

/// The stages of a pass, each until a layer's choice, and what follows the last.
pub(super) struct Stages {
    stages: Vec<(Plan, Plan, Cut)>,
    rest: Plan,
}

impl Stages {
    /// Prepares `steps`, cut where layers choose.
    pub(super) async fn compile(device: &dyn Device, steps: &[Step], cuts: &[Cut]) -> Result<Self> {
        let mut stages = Vec::with_capacity(cuts.len());
        let mut at = 0;
        for cut in cuts {
            let until = device.compile(steps[at..cut.before].to_vec()).await?;
            let work = device.compile(steps[cut.work..cut.done].to_vec()).await?;
            stages.push((until, work, cut.clone()));
            at = cut.done;
        }
        Ok(Stages { stages, rest: device.compile(steps[at..].to_vec()).await? })
    }

    /// Plays them all for `tokens` tokens.
    pub(super) async fn play(&self, device: &dyn Device, residency: &Residency, tokens: u32) -> Result<()> {
        for (layer, (until, work, cut)) in self.stages.iter().enumerate() {
            device.play(&[(until, tokens)])?;
            let wanted = cut.wanted(device, tokens).await?;
            let experts: Vec<usize> = (0..cut.experts).filter(|e| !wanted[*e].is_empty()).collect();
            match &cut.sorted {
                // A pair's products are the same in whatever pass they are made.
                Some(sorted) => {
                    for pass in residency.passes(layer, experts) {
                        residency.need(layer, &pass).await?;
                        device.write(sorted, 0, bytemuck::cast_slice(&list(&wanted, &pass)))?;
                        device.play(&[(work, tokens)])?;
                    }
                }
                None => {
                    residency.need(layer, &experts).await?;
                    device.play(&[(work, tokens)])?;
                }
            }
        }
        device.play(&[(&self.rest, tokens)])
    }
}

impl Cut {
    /// The pairs (token, choice) of each expert.
    async fn wanted(&self, device: &dyn Device, tokens: u32) -> Result<Vec<Vec<u32>>> {
        let pairs = self.at_work * tokens as usize;
        let bytes = device.read(&self.chosen, 0, 8 * pairs as u64).await?;
        let words: Vec<u32> = bytemuck::pod_collect_to_vec(&bytes);
        let mut wanted = vec![Vec::new(); self.experts];
        for (pair, choice) in words.chunks_exact(2).enumerate() {
            let of = wanted.get_mut(choice[0] as usize);
            let wrong = || Error::Device(format!("expert {} was chosen of {}", choice[0], self.experts));
            of.ok_or_else(wrong)?.push(pair as u32);
        }
        Ok(wanted)
    }
}

/// What `experts_sort` makes, of the experts of a pass alone.
fn list(wanted: &[Vec<u32>], pass: &[usize]) -> Vec<u32> {
    let (mut firsts, mut pairs) = (Vec::with_capacity(wanted.len() + 1), Vec::new());
    for (expert, of) in wanted.iter().enumerate() {
        firsts.push(pairs.len() as u32);
        if pass.contains(&expert) {
            pairs.extend_from_slice(of);
        }
    }
    firsts.push(pairs.len() as u32);
    firsts.append(&mut pairs);
    firsts
}
