//! The shaders' texts: every kernel and variant, checked when the engine was built and expanded when it is wanted.

#[path = "../../build/preprocess.rs"]
mod preprocess;

use crate::format::Format;

/// A variant of a kernel's shader.
pub struct Shader {
    /// Name of the kernel.
    pub kernel: &'static str,
    /// Name of the weight format, for kernels that come in a variant for each.
    pub format: Option<&'static str>,
    /// Whether it uses subgroup operations.
    pub subgroups: bool,
}

impl Shader {
    /// What tells it from all others: `matvec.q4.subgroups`.
    #[must_use]
    pub fn name(&self) -> String {
        let parts = [Some(self.kernel), self.format, self.subgroups.then_some("subgroups")];
        parts.into_iter().flatten().collect::<Vec<_>>().join(".")
    }

    /// The text. Of subgroup operations browsers want to be told first, in words that naga refuses.
    #[must_use]
    pub fn text(&self, browser: bool) -> String {
        const FILES: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/shader_files.rs"));
        let (kernel, format) = (self.kernel.to_owned(), self.format.map(str::to_owned));
        let variant = preprocess::Variant { kernel, format, subgroups: self.subgroups };
        let read = |name: &str| {
            let file = FILES.iter().find(|(file, _)| *file == name);
            file.map(|(_, text)| (*text).to_owned()).ok_or_else(|| format!("no file {name}"))
        };
        // The build has expanded all of them: there is no error but one that a driver will name.
        let text = preprocess::expand(&variant, &read).unwrap_or_else(|error| error);
        if self.subgroups && browser { format!("enable subgroups;\n{text}") } else { text }
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
