//! How likely a text is: the negative log-probability of every token given those before it.

use std::ops::ControlFlow;

use crate::error::{Error, Result};
use crate::model::{Forward, Logits, Routes};
use crate::session::{CHUNK, Host, Sampling, Session};

impl Session {
    /// Negative log-probabilities, in nats, of every token of `tokens` but the first of each window of `window` tokens;
    /// each given those before it in its window. The conversation in the session is forgotten.
    pub async fn score(&mut self, tokens: &[u32], window: usize, host: &dyn Host) -> Result<Vec<f64>> {
        let window = window.min(self.model.context);
        if window < 2 || tokens.len() < 2 {
            let reason = format!("{} tokens in windows of {window}: nothing to predict", tokens.len());
            return Err(Error::Request { field: "tokens".into(), reason });
        }
        let mut scores = Vec::with_capacity(tokens.len());
        self.persist(async |session| session.score_on(&mut scores, tokens, window, host).await).await?;
        Ok(scores)
    }

    /// What experts the tokens of a text choose, in windows as [`Session::score`] has them; of a model that was streamed.
    pub async fn routes(&mut self, tokens: &[u32], window: usize, host: &dyn Host) -> Result<Routes> {
        let missing =
            || Error::Request { field: "tokens".into(), reason: "choose no experts: the model has none".into() };
        let residency = self.model.residency.clone().ok_or_else(missing)?;
        residency.watch();
        let scored = self.score(tokens, window, host).await;
        let routes = residency.watched();
        scored?;
        routes.ok_or_else(missing)
    }

    /// Scores every window that `scores` has not.
    async fn score_on(&mut self, scores: &mut Vec<f64>, tokens: &[u32], window: usize, host: &dyn Host) -> Result<()> {
        self.reset();
        let (device, spec) = (self.model.device.clone(), &self.model.spec);
        let chunk = self.model.chunk(CHUNK.min(window));
        let forward = Forward::compile(&self.model, &self.rig.cache, chunk, Logits::All).await?;
        let row = 4 * spec.vocab as u64;
        let done = scores.len() / (window - 1);
        scores.truncate(done * (window - 1));
        for window in tokens.chunks(window).skip(done) {
            self.check(window, &Sampling::greedy().settings)?;
            // The last token of a window predicts nothing that is asked.
            for (i, part) in window[..window.len() - 1].chunks(chunk).enumerate() {
                if let ControlFlow::Break(()) = host.breathe().await {
                    return Err(Error::Request { field: "tokens".into(), reason: "stopped by the caller".into() });
                }
                let at = i * chunk;
                forward.play(&self.model, &self.rig.cache, at, part, 0, true).await?;
                let bytes = device.read(&forward.logits, 0, row * part.len() as u64).await?;
                let logits: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes);
                for (logits, next) in logits.chunks_exact(spec.vocab).zip(&window[at + 1..]) {
                    scores.push(nll(logits, *next)?);
                }
            }
        }
        Ok(())
    }
}

/// `-ln softmax(logits)[id]`, summed in f64.
fn nll(logits: &[f32], id: u32) -> Result<f64> {
    let largest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let total: f64 = logits.iter().map(|v| (f64::from(*v) - largest).exp()).sum();
    let nll = total.ln() + largest - f64::from(logits[id as usize]);
    if nll.is_finite() { Ok(nll) } else { Err(Error::Device(format!("logits are not numbers: nll {nll}"))) }
}
