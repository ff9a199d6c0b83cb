//! What a generation came to.

use serde::Serialize;

/// Why a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Finish {
    /// The model ended it, or a stop text came.
    Stop,
    /// The limit on tokens, or the end of the context.
    Length,
    /// The caller stopped it (vLLM's name).
    Abort,
}

/// Times of a generation, in llama.cpp's names. Rates are 0 where no time passed. The time to make a session again whose
/// device was lost is in none of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Timings {
    /// Prompt tokens whose keys and values were kept from the turn before.
    pub cache_n: usize,
    /// Prompt tokens computed.
    pub prompt_n: usize,
    /// Milliseconds for them, up to and with the choice of the first token.
    pub prompt_ms: f64,
    /// Prompt tokens a second.
    pub prompt_per_second: f64,
    /// Tokens generated.
    pub predicted_n: usize,
    /// Milliseconds for those after the first.
    pub predicted_ms: f64,
    /// Tokens a second after the first.
    pub predicted_per_second: f64,
}

impl Timings {
    /// Fills in the rates.
    pub(super) fn with_rates(mut self) -> Self {
        let rate = |n: usize, ms: f64| if ms > 0.0 { n as f64 * 1000.0 / ms } else { 0.0 };
        self.prompt_per_second = rate(self.prompt_n, self.prompt_ms);
        self.predicted_per_second = rate(self.predicted_n.saturating_sub(1), self.predicted_ms);
        self
    }
}

/// A finished generation.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Tokens generated, the end token (if any) not among them.
    pub tokens: Vec<u32>,
    /// Why it ended.
    pub finish: Finish,
    /// Times.
    pub timings: Timings,
}
