//! What tests share: where the fixtures are, how to read them, and repeatable random numbers.

mod random;

use std::path::{Path, PathBuf};

pub use random::Random;

/// A file or folder of `tests/fixtures`.
#[must_use]
pub fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(path)
}

/// The bytes of a fixture.
///
/// # Panics
/// When it cannot be read.
#[must_use]
pub fn bytes(path: &str) -> Vec<u8> {
    std::fs::read(fixture(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// A JSON fixture.
///
/// # Panics
/// When it cannot be read or is not JSON.
#[must_use]
pub fn json(path: &str) -> serde_json::Value {
    serde_json::from_slice(&bytes(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The numbers of a JSON list.
///
/// # Panics
/// When it is not a list of 32-bit numbers.
#[must_use]
pub fn ids(value: &serde_json::Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).unwrap_or_else(|e| panic!("{value}: {e}"))
}

/// The same of numbers with a point.
///
/// # Panics
/// When it is not a list of numbers.
#[must_use]
pub fn floats(value: &serde_json::Value) -> Vec<f64> {
    serde_json::from_value(value.clone()).unwrap_or_else(|e| panic!("{value}: {e}"))
}

/// Largest difference, in standard deviations of `golden`. Not a number counts as infinite.
///
/// # Panics
/// When there are more of one than of the other.
#[must_use]
pub fn difference(golden: &[f64], logits: &[f32]) -> f64 {
    assert_eq!(golden.len(), logits.len());
    let mean = golden.iter().sum::<f64>() / golden.len() as f64;
    let deviation = (golden.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / golden.len() as f64).sqrt();
    let gap = |(g, v): (&f64, &f32)| if v.is_finite() { (g - f64::from(*v)).abs() } else { f64::INFINITY };
    golden.iter().zip(logits).map(gap).fold(0.0, f64::max) / deviation
}
