//! The forward pass in stages, for a model some of whose experts are elsewhere: each ends with a layer's choice of experts. The
//! steps are those of the whole pass, so what comes of them is the same to the bit.

use std::rc::Rc;

use futures_util::future::try_join;

use crate::device::{Buffer, Device, Plan, Step};
use crate::error::{Error, Result};
use crate::kernel;
use crate::model::residency::Boxed;
use crate::model::{Choices, Residency};

/// How often an expert must be foreseen for a chunk to be fetched: first choices count twice.
const SURE: usize = 6;

/// Where a layer's experts are in a list of steps: the body of a pass, or its head where the last token alone comes to them.
#[derive(Clone)]
pub(super) struct Cut {
    /// The first step of the layer.
    pub(super) first: usize,
    /// Steps before the choice is known.
    pub(super) before: usize,
    /// Steps from which on the experts work: those between list what each has to do, which is done here instead.
    pub(super) work: usize,
    /// Steps until the experts are done.
    pub(super) done: usize,
    /// What they add to.
    pub(super) x: Buffer,
    /// Pairs (expert, weight) of each token.
    pub(super) chosen: Buffer,
    /// Experts of a token.
    pub(super) at_work: usize,
    /// Those of them that it chose.
    pub(super) routed: usize,
    /// Experts of the layer.
    pub(super) experts: usize,
    /// Whether the last token of a play alone comes here.
    pub(super) alone: bool,
    /// What each expert has to do, where many tokens share them: see `experts_sort`.
    pub(super) sorted: Option<Buffer>,
    /// How to ask for its choice before.
    pub(super) guess: Option<Guess>,
}

/// A choice by what `x` is some steps before a layer chooses.
#[derive(Clone)]
pub(super) struct Guess {
    /// What makes it.
    pub(super) steps: Vec<Step>,
    /// As [`Cut::chosen`].
    pub(super) chosen: Buffer,
}

/// A pass that brings what it lacks.
pub(super) trait Staged {
    /// Plays it for `tokens` tokens; where no logits are `wanted`, without what the last token alone goes through.
    fn play<'a>(&'a self, device: &'a dyn Device, tokens: u32, wanted: bool) -> Boxed<'a, ()>;
}

/// Prepares the steps of a body and a head, cut where layers choose. Behind a pointer: a program that streams no model does not carry it.
pub(super) type Stage = for<'a> fn(&'a dyn Device, [&'a [Step]; 2], &'a Cuts) -> Boxed<'a, Box<dyn Staged>>;

/// The cuts of a pass.
pub(super) struct Cuts {
    /// Who has the experts.
    pub(super) residency: Rc<Residency>,
    /// In order.
    pub(super) list: Vec<Cut>,
    /// Whether the head is of the last token alone.
    pub(super) alone: bool,
    /// Whether what layers choose by is kept apart, so that it may be read when all are done.
    pub(super) apart: bool,
    /// [`crate::model::Cache::state`].
    pub(super) state: Buffer,
}

/// A stage: until a layer's choice is known.
struct One {
    until: Plan,
    /// The chosen experts' work.
    work: Plan,
    /// The same, from what `x` was before.
    again: Option<Plan>,
    cut: Cut,
}

/// The stages of a pass, and what follows the last.
struct Stages {
    residency: Rc<Residency>,
    /// What comes before the first stage's layer, with the guess of its choice.
    lead: Option<Plan>,
    stages: Vec<One>,
    /// What all tokens go through after those, where what follows is of the last alone.
    rest: Option<Plan>,
    /// The last token's own stage.
    alone: Option<One>,
    end: Plan,
    apart: bool,
}

/// See [`Stage`].
pub(super) fn stage<'a>(device: &'a dyn Device, steps: [&'a [Step]; 2], cuts: &'a Cuts) -> Boxed<'a, Box<dyn Staged>> {
    Box::pin(async move { Ok(Box::new(Stages::compile(device, steps, cuts).await?) as Box<dyn Staged>) })
}

impl Staged for Stages {
    fn play<'a>(&'a self, device: &'a dyn Device, tokens: u32, wanted: bool) -> Boxed<'a, ()> {
        match self.apart {
            true => Box::pin(self.play_at_once(device)),
            false => Box::pin(self.play_in_turn(device, tokens, wanted)),
        }
    }
}

impl Stages {
    async fn compile(device: &dyn Device, [steps, head]: [&[Step]; 2], cuts: &Cuts) -> Result<Self> {
        let mut stages = Vec::with_capacity(cuts.list.len());
        let (mut at, mut lead) = (0, None);
        let guess = |layer: usize| cuts.list.get(layer).and_then(|cut| cut.guess.as_ref());
        // Tokens alone say nothing of the first layer's choice: a layer that has none comes before it, or there is no guess.
        if let (Some(first), Some(guess)) = (cuts.list.first().map(|cut| cut.first).filter(|at| *at > 1), guess(0)) {
            lead = Some(device.compile([&steps[..first], &guess.steps].concat()).await?);
            at = first;
        }
        for (layer, cut) in cuts.list.iter().enumerate().filter(|(_, cut)| !cut.alone) {
            let (mut until, work) = (steps[at..cut.before].to_vec(), steps[cut.work..cut.done].to_vec());
            let mut again = None;
            if cuts.apart {
                let before = device.buffer("before", cut.x.bytes())?;
                until.push(copy(&cuts.state, &cut.x, &before));
                let steps = [vec![copy(&cuts.state, &before, &cut.x)], work.clone()].concat();
                again = Some(device.compile(steps).await?);
            }
            until.extend(guess(layer + 1).into_iter().flat_map(|guess| guess.steps.iter().cloned()));
            let (until, work) = (device.compile(until).await?, device.compile(work).await?);
            stages.push(One { until, work, again, cut: cut.clone() });
            at = cut.done;
        }
        let residency = cuts.residency.clone();
        if !cuts.alone {
            let end = device.compile([&steps[at..], head].concat()).await?;
            return Ok(Stages { residency, lead, stages, rest: None, alone: None, end, apart: cuts.apart });
        }
        let rest = Some(device.compile(steps[at..].to_vec()).await?);
        let (mut alone, mut at) = (None, 0);
        if let Some(cut) = cuts.list.last().filter(|cut| cut.alone) {
            let until = device.compile(head[..cut.before].to_vec()).await?;
            let work = device.compile(head[cut.work..cut.done].to_vec()).await?;
            (alone, at) = (Some(One { until, work, again: None, cut: cut.clone() }), cut.done);
        }
        let end = device.compile(head[at..].to_vec()).await?;
        Ok(Stages { residency, lead, stages, rest, alone, end, apart: cuts.apart })
    }

    /// Plays one after another, each when its experts are there. Those that the next one seems to want are asked for behind them, so
    /// that the line never waits for the computer.
    async fn play_in_turn(&self, device: &dyn Device, tokens: u32, wanted: bool) -> Result<()> {
        if let Some(lead) = &self.lead {
            device.play(&[(lead, tokens)])?;
            let parts: Vec<_> = self.guess_part(0, tokens).into_iter().collect();
            self.guess(0, &device.begin_reads(&parts)?.await?)?;
        }
        for (layer, stage) in self.stages.iter().enumerate() {
            self.play_one(device, layer, stage, tokens).await?;
        }
        let Some(rest) = &self.rest else { return device.play(&[(&self.end, tokens)]) };
        device.play(&[(rest, tokens)])?;
        if !wanted {
            return Ok(());
        }
        if let Some(stage) = &self.alone {
            self.play_one(device, self.stages.len(), stage, 1).await?;
        }
        device.play(&[(&self.end, 1)])
    }

    /// Plays a stage, of layer `layer` of those that have experts.
    async fn play_one(&self, device: &dyn Device, layer: usize, stage: &One, tokens: u32) -> Result<()> {
        let (One { until, work, cut, .. }, residency) = (stage, self.residency.as_ref());
        device.play(&[(until, tokens)])?;
        let parts = [(&cut.chosen, 0, cut.bytes(tokens))].into_iter().chain(self.guess_part(layer + 1, tokens));
        let bytes = device.begin_reads(&parts.collect::<Vec<_>>())?.await?;
        let (bytes, guess) = bytes.split_at(cut.bytes(tokens) as usize);
        let wanted = cut.wanted(bytes)?;
        residency.chose(layer, &bytemuck::pod_collect_to_vec(bytes));
        let experts: Vec<usize> = (0..cut.experts).filter(|e| !wanted[*e].is_empty()).collect();
        match &cut.sorted {
            // A pair's products are the same in whatever pass they are made.
            Some(sorted) => {
                for (i, pass) in residency.passes(layer, experts).iter().enumerate() {
                    let guess = async { if i == 0 { self.guess(layer + 1, guess) } else { Ok(()) } };
                    try_join(residency.need(layer, pass), guess).await?;
                    device.write(sorted, 0, bytemuck::cast_slice(&list(&wanted, pass)))?;
                    device.play(&[(work, tokens)])?;
                }
                Ok(())
            }
            None => {
                try_join(residency.need(layer, &experts), async { self.guess(layer + 1, guess) }).await?;
                device.play(&[(work, tokens)])
            }
        }
    }

    /// Where a layer's guess stands, if it has any. What the last token alone will choose is not brought on suspicion where others are
    /// with it: it may be all that a first word has in vain.
    fn guess_part(&self, layer: usize, tokens: u32) -> Option<(&Buffer, u64, u64)> {
        let cut = self.cut(layer).filter(|cut| !cut.alone || tokens == 1)?;
        cut.guess.as_ref().map(|guess| (&guess.chosen, 0, cut.bytes(tokens)))
    }

    /// The cut of layer `layer` of those that have experts.
    fn cut(&self, layer: usize) -> Option<&Cut> {
        let alone = self.alone.as_ref().filter(|_| layer == self.stages.len());
        self.stages.get(layer).or(alone).map(|stage| &stage.cut)
    }

    /// Has what a layer will want, as it seems, come while others work: all that a token wants, and of what a chunk of a prompt
    /// does, for which nothing makes room, what several do: of 20 prompts of the default model one has one in vain.
    fn guess(&self, layer: usize, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let Some(cut) = self.cut(layer) else { return Ok(()) };
        self.residency.guessed(layer, &bytemuck::pod_collect_to_vec(bytes));
        let (each, one) = (cut.at_work as u32, bytes.len() as u64 == cut.bytes(1));
        // First choices are twice as sure as last ones.
        let first = |pair: &u32| pair % each < (cut.routed as u32).div_ceil(2);
        let likely = |pairs: &Vec<u32>| one || pairs.len() + pairs.iter().filter(|pair| first(pair)).count() >= SURE;
        let wanted = cut.wanted(bytes)?.into_iter().enumerate();
        let experts: Vec<_> = wanted.filter(|(_, of)| !of.is_empty() && likely(of)).map(|(e, _)| e).collect();
        self.residency.foresee(layer, &experts, one)
    }

    /// Plays a token as if all its experts were there, and once more from the first layer one of whose was not. What the layers
    /// after it chose is nearly right then: it is brought too.
    async fn play_at_once(&self, device: &dyn Device) -> Result<()> {
        let residency = self.residency.as_ref();
        let untils = |from: usize| self.stages.iter().skip(from).map(|stage| &stage.until).chain([&self.end]);
        device.play(&untils(0).take(1).map(|plan| (plan, 1)).collect::<Vec<_>>())?;
        // Layers that have done their part, and what was brought on suspicion to others.
        let (mut noted, mut brought) = (0, vec![Vec::new(); self.stages.len()]);
        let mut from = 0;
        loop {
            let mut plans = Vec::new();
            for (i, (stage, then)) in self.stages[from..].iter().zip(untils(from + 1)).enumerate() {
                let again = stage.again.as_ref().filter(|_| i == 0 && noted > 0);
                plans.extend([(again.unwrap_or(&stage.work), 1), (then, 1)]);
            }
            device.play(&plans)?;
            let parts: Vec<_> = self.stages[noted..].iter().map(|s| (&s.cut.chosen, 0, s.cut.bytes(1))).collect();
            let bytes = device.begin_reads(&parts)?.await?;
            let mut left = bytes.as_slice();
            let mut wanted = Vec::new();
            for stage in &self.stages[noted..] {
                let mine = left.split_off(..stage.cut.bytes(1) as usize).unwrap_or_default();
                let of = stage.cut.wanted(mine)?;
                wanted.push((mine, (0..stage.cut.experts).filter(|e| !of[*e].is_empty()).collect::<Vec<_>>()));
            }
            let first = noted;
            let mut missing = Vec::new();
            for (i, (pairs, wanted)) in wanted.iter().enumerate() {
                let layer = first + i;
                let absent = residency.missing(layer, wanted);
                if missing.is_empty() {
                    let late = wanted.iter().filter(|e| absent.contains(e) || brought[layer].contains(*e));
                    residency.chose(layer, &bytemuck::pod_collect_to_vec(pairs));
                    residency.note(layer, wanted, &late.copied().collect::<Vec<_>>());
                    (noted, from) = (layer + 1, layer);
                }
                brought[layer].extend_from_slice(&absent);
                missing.extend(absent.into_iter().map(|e| (layer, e, wanted.as_slice())));
            }
            if missing.is_empty() {
                return Ok(());
            }
            residency.bring_all(&missing).await?;
        }
    }
}

impl Cut {
    /// Where the choices stand.
    pub(super) fn choices(&self) -> Choices {
        Choices { pairs: self.chosen.clone(), each: self.at_work, routed: self.routed, alone: self.alone }
    }

    /// Bytes of what so many tokens chose.
    fn bytes(&self, tokens: u32) -> u64 {
        8 * self.at_work as u64 * u64::from(tokens)
    }

    /// The pairs (token, choice) of each expert.
    fn wanted(&self, bytes: &[u8]) -> Result<Vec<Vec<u32>>> {
        let words: Vec<u32> = bytemuck::pod_collect_to_vec(bytes);
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

/// Copies a token's floats.
fn copy(state: &Buffer, from: &Buffer, to: &Buffer) -> Step {
    let params = kernel::Last { width: from.bytes() as u32 / 4 };
    let bindings = [state, from, to].map(Buffer::clone).into();
    let params = bytemuck::bytes_of(&params).to_vec();
    Step { label: "copy".into(), kernel: &kernel::LAST, format: None, params, bindings }
}
