//! The shaders' texts: every kernel and variant, expanded and checked when the engine was built.

use std::borrow::Cow;

use crate::format::Format;

/// A variant of a kernel's shader.
pub struct Shader {
    /// Name of the kernel.
    pub kernel: &'static str,
    /// Name of the weight format, for kernels that come in a variant for each.
    pub format: Option<&'static str>,
    /// Whether it uses subgroup operations. Browsers want a directive before it that naga refuses: [`Shader::text`].
    pub subgroups: bool,
    /// The text, without directives.
    pub wgsl: &'static str,
}

impl Shader {
    /// What tells it from all others: `matvec.q4.subgroups`.
    #[must_use]
    pub fn name(&self) -> String {
        let parts = [Some(self.kernel), self.format, self.subgroups.then_some("subgroups")];
        parts.into_iter().flatten().collect::<Vec<_>>().join(".")
    }

    /// The text as a browser (or else naga) takes it.
    #[must_use]
    pub fn text(&self, browser: bool) -> Cow<'static, str> {
        if self.subgroups && browser { format!("enable subgroups;\n{}", self.wgsl).into() } else { self.wgsl.into() }
    }
}

/// All shaders; a browser test compiles each.
#[must_use]
pub fn shaders() -> &'static [Shader] {
    static SHADERS: &[Shader] = &include!(concat!(env!("OUT_DIR"), "/shaders.rs"));
    SHADERS
}

/// The shader of a kernel for a format, which kernels without formats ignore; with subgroup operations where they are to
/// be had and there is such a variant.
#[must_use]
pub fn shader(kernel: &super::Kernel, format: Option<Format>, subgroups: bool) -> Option<&'static Shader> {
    let format = format.filter(|_| kernel.per_format).map(Format::name);
    let fit = |s: &&Shader| s.kernel == kernel.name && s.format == format && (subgroups || !s.subgroups);
    shaders().iter().filter(fit).max_by_key(|s| s.subgroups)
}
