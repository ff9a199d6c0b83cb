//! The token loop: one token after another until something ends it, and what of that outlives a device.

use std::collections::VecDeque;

use futures_util::future::try_join;

use crate::device::{Plan, Reading};
use crate::error::Result;
use crate::model::Forward;
use crate::session::{Finish, Host, Next, Report, Request, Session, Timings, Token};

/// Milliseconds of work that may wait on a device beyond one token: it serves others too, and what is in flight at the end is
/// lost. One always waits, so that the device need not.
const QUEUED_MS: f64 = 40.0;

/// What lasts of an answer, whatever becomes of the device.
pub(super) struct Answer {
    /// The tokens that the sink was given.
    tokens: Vec<u32>,
    /// Tokens that come next whatever the model would choose.
    forced: VecDeque<u32>,
    /// The request's seed.
    seed: u64,
    timings: Timings,
    /// When it was begun, when the first token came, and when the device was lost last; in milliseconds.
    start: f64,
    first: Option<f64>,
    lost: Option<f64>,
}

/// The tokens of an answer that are under way on a device.
struct Flight {
    /// Choices that were asked for, the oldest first; each but the first follows a play of the one before.
    coming: VecDeque<Coming>,
    /// Positions that have been played: all of `kept`, and those of `coming` but the last.
    played: usize,
    /// Most choices under way.
    ahead: usize,
    /// The device saw tokens that were taken back, or has not seen those that were forced.
    stale: bool,
    greedy: bool,
    routing: bool,
}

/// A token that is under way, and what its layers choose with it.
struct Coming {
    reading: Reading,
    /// Whether their choices are counted already.
    counted: bool,
}

impl Answer {
    /// One that begins at `start`.
    pub(super) fn new(start: f64, seed: u64) -> Self {
        let (tokens, forced, timings) = Default::default();
        Answer { tokens, forced, seed, timings, start, first: None, lost: None }
    }

    /// What it came to at `end`.
    pub(super) fn report(self, finish: Finish, end: f64) -> Report {
        let (first, predicted_n) = (self.first.unwrap_or(end), self.tokens.len());
        let (prompt_ms, predicted_ms) = (first - self.start, end - first);
        let timings = Timings { prompt_ms, predicted_n, predicted_ms, ..self.timings };
        Report { tokens: self.tokens, finish, timings: timings.with_rates() }
    }

    /// Leaves out of the times what passed since the device was lost.
    fn resume(&mut self, host: &dyn Host) {
        if let Some(lost) = self.lost.take() {
            let away = host.now() - lost;
            self.start += away;
            self.first = self.first.map(|first| first + away);
        }
    }
}

impl Flight {
    /// Asks for the choice after `plays`, which end with the pass of `from` whose token `at` it is.
    fn begin(
        &mut self,
        session: &Session,
        (forward, choice): (&Forward, &Plan),
        plays: &[(&Plan, u32)],
        at: usize,
        counted: bool,
    ) -> Result<()> {
        let beside = if self.routing { forward.chosen(at) } else { Vec::new() };
        let reading = session.rig.choice.begin(session.model.device.as_ref(), plays, choice, &beside)?;
        self.coming.push_back(Coming { reading, counted });
        Ok(())
    }
}

impl Session {
    /// Begins an answer, or goes on with it after a loss.
    pub(super) async fn answer(
        &mut self,
        answer: &mut Answer,
        request: &Request<'_>,
        host: &dyn Host,
        sink: &mut dyn FnMut(Token) -> Next,
    ) -> Result<Finish> {
        answer.resume(host);
        let done = self.answer_on(answer, request, host, sink).await;
        if done.is_err() {
            answer.lost = Some(host.now());
        }
        done
    }

    /// The same, while the device lasts.
    async fn answer_on(
        &mut self,
        answer: &mut Answer,
        request: &Request<'_>,
        host: &dyn Host,
        sink: &mut dyn FnMut(Token) -> Next,
    ) -> Result<Finish> {
        let settings = &request.sampling.settings;
        let greedy = settings.temperature == 0.0;
        let known = [request.prompt, &answer.tokens].concat();
        let device = self.model.device.clone();
        let device = device.as_ref();
        self.rig.choice.start(device, settings, &known)?;
        let kept = self.keep(&known);
        let begins = answer.tokens.is_empty();
        if begins {
            answer.timings.cache_n = kept;
        }
        if self.read(&known, answer.seed, host).await?.is_break() {
            return Ok(Finish::Abort);
        }
        if begins {
            answer.timings.prompt_n = known.len() - kept;
        }
        let forward = self.rig.prefill.forward().await?;
        if let Some(id) = request.not_first.filter(|_| begins) {
            device.write(&forward.logits, 4 * u64::from(id), bytemuck::bytes_of(&f32::MIN))?;
        }
        let stale = !answer.forced.is_empty();
        let (played, routing) = (known.len(), request.routing);
        let mut flight = Flight { coming: VecDeque::new(), played, ahead: 1, stale, greedy, routing };
        if !stale {
            let choice = self.rig.prefill.choice(greedy).await?;
            flight.begin(
                self,
                (&forward, &choice),
                &[],
                (known.len() - kept - 1) % forward.chunk,
                forward.staged.get(),
            )?;
        }
        let mut pace = None;
        loop {
            let token = self.next(answer, &mut flight, request.max_new).await?;
            let id = token.id;
            let (since, before) = *pace.get_or_insert_with(|| (host.now(), answer.tokens.len()));
            answer.first.get_or_insert(since);
            if request.stop_at_end && self.ends.contains(&id) {
                return Ok(Finish::Stop);
            }
            answer.tokens.push(id);
            match sink(token) {
                Next::Go => {}
                Next::Stop => return Ok(Finish::Stop),
                Next::Force(ids) => {
                    flight.coming.clear();
                    answer.forced.extend(ids);
                    flight.stale = true;
                }
            }
            if answer.tokens.len() >= request.max_new || self.kept.len() >= self.model.context {
                return Ok(Finish::Length);
            }
            if host.breathe().await.is_break() {
                return Ok(Finish::Abort);
            }
            self.rig.choice.saw(id);
            let each = (host.now() - since) / (answer.tokens.len() - before) as f64;
            // What experts a token wants is known when it is played: while some are missing, nothing is under way before.
            let most = if self.model.whole() { self.most_ahead } else { 1 };
            flight.ahead = ((QUEUED_MS / each) as usize).max(2).min(most);
            if flight.coming.is_empty() {
                self.play_known(answer, &mut flight, id).await?;
            }
            // Not before: what an expert could not be brought for is not there.
            self.kept.push(id);
        }
    }

    /// The next token of an answer of at most `most`, with as many after it under way as may be.
    async fn next(&self, answer: &mut Answer, flight: &mut Flight, most: usize) -> Result<Token> {
        if let Some(id) = answer.forced.pop_front() {
            return Ok(Token { id, logprob: None, experts: Vec::new() });
        }
        let most = flight.ahead.min(most - answer.tokens.len());
        // The first token comes from the prompt, and waits for nothing else.
        if flight.coming.len() < most {
            let (forward, choice) = try_join(self.rig.decode.forward(), self.rig.decode.choice(flight.greedy)).await?;
            if flight.coming.is_empty() {
                flight.begin(self, (&forward, &choice), &[], 0, forward.staged.get())?;
            }
            // The device goes from a choice to the next play by itself: nothing is written.
            while flight.coming.len() < most && flight.played < self.model.context {
                flight.played += 1;
                flight.begin(self, (&forward, &choice), &forward.plays(1), 0, false)?;
            }
        }
        let Some(Coming { reading, counted }) = flight.coming.pop_front() else {
            unreachable!("one was asked for above")
        };
        let (token, mut pairs) = self.rig.choice.token(reading).await?;
        let mut experts = Vec::new();
        // There are none unless they were asked for.
        for (layer, choices) in self.rig.decode.choices.iter().enumerate().take(pairs.len()) {
            let rest = pairs.split_off(2 * choices.each);
            if let Some(residency) = self.model.residency.as_ref().filter(|_| !counted) {
                residency.chose(layer, &pairs);
            }
            experts.push(pairs.iter().step_by(2).take(choices.routed).copied().collect());
            pairs = rest;
        }
        Ok(Token { experts, ..token })
    }

    /// Plays the last token, which the device may not know: nothing was under way, or what was is taken back.
    async fn play_known(&self, answer: &Answer, flight: &mut Flight, id: u32) -> Result<()> {
        let device = self.model.device.as_ref();
        if flight.stale && !flight.greedy {
            self.rig.choice.tell(device)?;
        }
        flight.stale = !answer.forced.is_empty();
        let forward = self.rig.decode.forward().await?;
        forward.play(&self.model, &self.rig.cache, self.kept.len(), &[id], answer.seed, true).await?;
        flight.played = self.kept.len() + 1;
        Ok(())
    }
}
