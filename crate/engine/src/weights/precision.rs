//! How precisely weights are kept: as stored, or quantised on the way to the device or into a pack.

use crate::format::{BLOCK, Format};

/// What matrices become. Routers, norms and biases are f32 always: they are small, and decide much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// The precision of the file.
    #[default]
    Stored,
    /// 16-bit floats.
    F16,
    /// int8 blocks.
    Q8,
    /// int4 blocks for the experts, int8 for everything else: experts are nearly all of the bytes and each token reads few of
    /// them, while attention and embeddings err on every token. Shared experts, few as they are, go with the routed ones.
    Q4,
    /// 8-bit floats. int8 blocks lose less in as many bytes; this is for models that were made for it.
    Fp8,
    /// 4-bit floats with a power of two for 32 of them for the routed experts, int8 blocks for everything else.
    Mxfp4,
    /// int4 blocks for every matrix: the fewest bytes, and what many published files have.
    Q4All,
}

impl Precision {
    /// The precision of that name, as on the command line; `stored` has none.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [Precision::F16, Precision::Q8, Precision::Q4, Precision::Q4All, Precision::Fp8, Precision::Mxfp4];
        all.into_iter().find(|p| p.name() == name)
    }

    /// Name on the command line and in manifests.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Precision::Stored => "stored",
            Precision::F16 => "f16",
            Precision::Q8 => "q8",
            Precision::Q4 => "q4",
            Precision::Fp8 => "fp8",
            Precision::Mxfp4 => "mxfp4",
            Precision::Q4All => "q4-all",
        }
    }

    /// Format of a matrix of `cols` columns stored as `stored`. Columns that are not whole blocks stay f16.
    #[must_use]
    pub fn matrix(self, stored: Format, cols: usize) -> Format {
        let wanted = match self {
            Precision::Stored => stored,
            Precision::F16 => Format::F16,
            Precision::Q8 | Precision::Q4 | Precision::Mxfp4 => Format::Q8,
            Precision::Fp8 => Format::Fp8,
            Precision::Q4All => Format::Q4,
        };
        fitting(wanted, cols)
    }

    /// Format of a routed expert's matrix; see [`Precision::matrix`].
    #[must_use]
    pub fn expert(self, stored: Format, cols: usize) -> Format {
        match self {
            Precision::Q4 => fitting(Format::Q4, cols),
            Precision::Mxfp4 => fitting(Format::Mxfp4, cols),
            _ => self.matrix(stored, cols),
        }
    }

    /// Whether `format` is the fallback for `cols` columns rather than what was asked for.
    #[must_use]
    pub fn fell_back(self, format: Format, cols: usize) -> bool {
        let blocks = matches!(self, Precision::Q8 | Precision::Q4 | Precision::Q4All | Precision::Mxfp4);
        blocks && format == Format::F16 && !cols.is_multiple_of(BLOCK)
    }
}

fn fitting(wanted: Format, cols: usize) -> Format {
    if wanted.is_block() && !cols.is_multiple_of(BLOCK) { Format::F16 } else { wanted }
}
