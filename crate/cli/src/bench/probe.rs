//! How fast a device's memory can be read at all, and how soon one launch can follow another: what kernels are measured against.

use std::time::Instant;

use moebius_engine::Result;
use moebius_engine::device::{Buffer, Device, Step};
use moebius_engine::kernel::{STREAM, Stream};

/// Bytes read: more than caches hold. A GPU of its own has caches of tens of megabytes.
const BYTES: u64 = 64 << 20;
/// The same where a GPU has memory of its own.
const MANY: u64 = 1 << 30;
/// Invocations that read.
const READERS: u32 = 4_096;
/// The same there.
const CROWD: u32 = 262_144;
/// Launches of a play that hardly do anything, and how often it is played: once, and so often that one is prepared while another runs.
const LAUNCHES: usize = 256;
const PLAYS: [usize; 2] = [1, 9];
/// Times; the best counts.
const TRIES: usize = 5;

/// GB a second.
pub(super) async fn probe(device: &dyn Device) -> Result<f64> {
    let limits = device.limits();
    let (bytes, readers) = if limits.workgroups > 1 { (MANY.min(limits.binding), CROWD) } else { (BYTES, READERS) };
    let bindings = vec![device.buffer("data", bytes)?, device.buffer("sums", 16 * u64::from(readers))?];
    let sums = bindings[1].clone();
    let params = Stream { quads: (bytes / 16) as u32, readers }.to_bytes();
    let plan = device.compile(vec![step(params, bindings)]).await?;
    let mut best = 0.0_f64;
    for _ in 0..TRIES {
        let start = Instant::now();
        device.play(&[(&plan, 1)])?;
        device.read(&sums, 0, 16).await?;
        let waited = 1e3 * start.elapsed().as_secs_f64();
        let ms = device.clock(&plan, 1).await?.and_then(|times| times.first().copied()).unwrap_or(waited);
        best = best.max(bytes as f64 / ms / 1e6);
    }
    Ok(best)
}

/// Microseconds that a launch takes which does nothing but wait for the one before, prepared while others run, as tokens are.
pub(super) async fn launch(device: &dyn Device) -> Result<f64> {
    let bindings = vec![device.buffer("data", 16)?, device.buffer("sums", 16)?];
    let sums = bindings[1].clone();
    let empty = step(Stream { quads: 1, readers: 1 }.to_bytes(), bindings);
    let plan = device.compile(vec![empty; LAUNCHES]).await?;
    let mut best = [f64::INFINITY; 2];
    for _ in 0..TRIES {
        for (plays, best) in PLAYS.into_iter().zip(&mut best) {
            let start = Instant::now();
            for _ in 0..plays {
                device.play(&[(&plan, 1)])?;
            }
            device.read(&sums, 0, 16).await?;
            *best = best.min(1e6 * start.elapsed().as_secs_f64());
        }
    }
    let [once, often] = best;
    Ok((often - once).max(0.0) / ((PLAYS[1] - PLAYS[0]) * LAUNCHES) as f64)
}

fn step(params: Vec<u8>, bindings: Vec<Buffer>) -> Step {
    Step { label: "probe".into(), kernel: &STREAM, format: None, params, bindings }
}
