//! Tensors of a model, read by rows in whatever format is wanted.

use std::future::Future;
use std::pin::Pin;

use crate::error::{Error, Result};
use crate::format::Format;
use crate::source::Source;
use crate::weights::gguf::Wanted;
use crate::weights::group::unpair;
use crate::weights::planes::{Planes, convert, row_bytes};
use crate::weights::verified::Verified;
use crate::weights::{Index, Stored};

/// Bytes read at a time, about: large enough for any disk or host, small beside any model.
const READ: u64 = 4 << 20;

/// An index and the files it speaks of. In a pack, bytes are checked against the manifest as they are read.
pub struct Tensors<'a> {
    /// Where tensors are.
    pub index: Index,
    pub(crate) files: Verified<'a>,
}

impl<'a> Tensors<'a> {
    /// Finds the tensors of the model in `files`.
    pub(crate) async fn open(files: Verified<'a>) -> Result<Self> {
        let index = Index::read(&files).await?;
        Ok(Tensors { index, files })
    }

    /// Rows of `name` from `first` on, as many as are read at once and `most` at most, in format `target`. Behind a pointer, as it
    /// is asked for in many places.
    pub(crate) fn rows<'r>(
        &'r self,
        name: &'r str,
        stored: &'r Stored,
        first: u64,
        most: u64,
        target: Format,
    ) -> Pin<Box<dyn Future<Output = Result<Planes>> + 'r>> {
        Box::pin(self.converted(name, stored, first, most, target))
    }

    async fn converted(&self, name: &str, stored: &Stored, first: u64, most: u64, target: Format) -> Result<Planes> {
        let (_, cols) = stored.sizes();
        let mut start = 0;
        let holds = |p: &&crate::weights::Part| {
            start += p.rows;
            first < start
        };
        let part = stored.parts.iter().find(holds);
        let (Some(part), Some(format)) = (part, stored.format) else {
            return Err(Error::tensor(&self.index.file, name, format!("has no row {first}")));
        };
        let skipped = first - (start - part.rows);
        if let Some(blocks) = &part.blocks {
            let rows = skipped..skipped + most.min(part.rows - skipped);
            let wanted = Wanted { rows, cols, vector: stored.shape.len() == 1, target };
            return self.blocks(part, blocks, wanted).await;
        }
        let (weights, scales) = row_bytes(format, cols);
        // A multiple of four, so that scales, of one byte at least, start on a word.
        let rows = most.min(part.rows - skipped).min((READ / weights.max(1)).max(4) / 4 * 4);
        let range = |start: u64, each: u64| start + skipped * each..start + (skipped + rows) * each;
        let mut weights = self.files.read(&part.file, range(part.weights, weights)).await?;
        if stored.pairs {
            unpair(&mut weights);
        }
        let scales = match self.index.tiles(name, stored)? {
            Some(tiles) => self.spread(name, tiles, skipped..skipped + rows, scales).await?,
            None if scales == 0 => Vec::new(),
            None => self.files.read(&part.scales_file, range(part.scales, scales)).await?,
        };
        let planes = Planes { rows: rows as usize, weights, scales };
        convert(format, target, planes, cols as usize).map_err(|reason| Error::tensor(&part.file, name, reason))
    }
}
