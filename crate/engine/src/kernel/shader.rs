//! The shaders' texts: every kernel and variant, expanded and checked when the engine was built.

use crate::format::Format;

/// A variant of a kernel's shader.
pub struct Shader {
    /// Name of the kernel.
    pub kernel: &'static str,
    /// Name of the weight format, for kernels that come in a variant for each.
    pub format: Option<&'static str>,
    /// The text, ready for a device.
    pub wgsl: &'static str,
}

/// All shaders; a browser test compiles each.
#[must_use]
pub fn shaders() -> &'static [Shader] {
    static SHADERS: &[Shader] = &include!(concat!(env!("OUT_DIR"), "/shaders.rs"));
    SHADERS
}

/// The shader of a kernel for a format; the format is ignored by kernels without variants.
#[must_use]
pub fn shader(kernel: &super::Kernel, format: Option<Format>) -> Option<&'static Shader> {
    let format = format.filter(|_| kernel.per_format).map(Format::name);
    shaders().iter().find(|s| s.kernel == kernel.name && s.format == format)
}
