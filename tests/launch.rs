//! Runs one step on a device.

use moebius_engine::device::{Buffer, Device, Step};
use moebius_engine::error::Result;
use moebius_engine::format::Format;
use moebius_engine::kernel::Kernel;

/// Contents of all of a kernel's buffers after it has run for `tokens` tokens.
pub(crate) async fn launch(
    device: &dyn Device,
    kernel: &'static Kernel,
    format: Option<Format>,
    params: &[u8],
    tokens: u32,
    buffers: &[Vec<u32>],
) -> Result<Vec<Vec<u32>>> {
    let mut bindings: Vec<Buffer> = Vec::new();
    for words in buffers {
        let buffer = device.buffer(kernel.name, 4 * words.len() as u64)?;
        device.write(&buffer, 0, bytemuck::cast_slice(words))?;
        bindings.push(buffer);
    }
    let label = kernel.name.to_owned();
    let step = Step { label, kernel, format, params: params.to_vec(), bindings: bindings.clone() };
    let plan = device.compile(vec![step]).await?;
    device.play(&[(&plan, tokens)])?;
    let mut contents = Vec::new();
    for buffer in &bindings {
        contents.push(bytemuck::pod_collect_to_vec(&device.read(buffer, 0, buffer.bytes()).await?));
    }
    Ok(contents)
}
