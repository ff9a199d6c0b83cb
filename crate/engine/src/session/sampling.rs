//! How the next token is chosen.

use crate::kernel::Settings;

/// Settings and seed of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sampling {
    /// Settings of the `sample` kernel; a temperature of 0 is greedy choice by `argmax`.
    pub settings: Settings,
    /// Seed of the draws; `None` takes one from the host's clock.
    pub seed: Option<u64>,
}

impl Sampling {
    /// Always the likeliest token.
    #[must_use]
    pub fn greedy() -> Self {
        let mut sampling = Sampling { seed: Some(0), ..Sampling::default() };
        sampling.settings.temperature = 0.0;
        sampling
    }
}
