//! A conversation's beginning that comes with a pack: tokens, and what layers keep of them, so that nobody computes it, and
//! waits for none of its experts.

use crate::device::{Buffer, Device};
use crate::error::{Error, Result};
use crate::format::Format;
use crate::model::{Attention, Cache, ModelSpec};
use crate::source::Source;
use crate::weights::{MANIFEST, Verified, finite};

/// Name of its file in a pack.
pub(super) const FILE: &str = "prefix.f32";

/// A beginning.
#[derive(Clone, Debug, PartialEq)]
pub struct Prefix {
    /// The system prompt that it is made of.
    pub system: String,
    /// Its tokens.
    pub tokens: Vec<u32>,
    /// What layers keep of them: floats, as the file has them.
    pub(super) kept: Vec<u8>,
}

impl Prefix {
    /// That of a pack, if it has one that leaves room in `context` tokens.
    pub(super) async fn read(folder: &Verified<'_>, spec: &ModelSpec, context: usize) -> Result<Option<Self>> {
        let Some(at) = folder.manifest.as_ref().and_then(|manifest| manifest.prefix.clone()) else { return Ok(None) };
        let wrong = |reason| Error::Malformed { file: MANIFEST.into(), field: "prefix".into(), reason };
        if let Some(id) = at.tokens.iter().find(|id| **id as usize >= spec.vocab) {
            return Err(wrong(format!("token {id} is outside the vocabulary of {}", spec.vocab)));
        }
        if at.tokens.len() >= context {
            return Ok(None);
        }
        let (has, wants) = (folder.size(&at.file).await?, bytes(spec, at.tokens.len()));
        if has != wants {
            return Err(wrong(format!("{} has {has} bytes; {} tokens have {wants}", at.file, at.tokens.len())));
        }
        let kept = folder.read_all(&at.file, wants).await?;
        if !finite(Format::F32, &kept, &[]) {
            let reason = "has a value that is infinite or not a number".into();
            return Err(Error::File { file: at.file, reason });
        }
        Ok(Some(Prefix { system: at.system, tokens: at.tokens, kept }))
    }

    /// That of tokens which a cache in f32 holds, and nothing else.
    pub(crate) async fn of(
        device: &dyn Device,
        (spec, cache): (&ModelSpec, &Cache),
        system: String,
        tokens: Vec<u32>,
    ) -> Result<Self> {
        if cache.format != Format::F32 {
            let reason = "is made of keys and values in f32, and these are not".into();
            return Err(Error::Request { field: "prefix".into(), reason });
        }
        let mut kept = Vec::new();
        for (buffer, floats, _) in parts(spec, cache, tokens.len()) {
            kept.extend(device.read(buffer, 0, 4 * floats as u64).await?);
        }
        Ok(Prefix { system, tokens, kept })
    }

    /// Puts it at the start of a cache, and forgets what was put there.
    pub(crate) fn put(&mut self, device: &dyn Device, spec: &ModelSpec, cache: &Cache) -> Result<()> {
        let kept = std::mem::take(&mut self.kept);
        let mut left = kept.as_slice();
        for (buffer, floats, ring) in parts(spec, cache, self.tokens.len()) {
            let part;
            (part, left) = left.split_at(4 * floats);
            if ring || cache.format == Format::F32 {
                device.write(buffer, 0, part)?;
            } else {
                let half = |b: &[u8]| half::f16::from_f32(f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
                let halves: Vec<half::f16> = part.chunks_exact(4).map(half).collect();
                device.write(buffer, 0, bytemuck::cast_slice(&halves))?;
            }
        }
        Ok(())
    }

    /// Bytes of its file.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.kept
    }
}

/// Floats that a layer keeps of so many tokens: keys and values, or one of both; and whether they are a convolution's.
fn floats(attention: &Attention, hidden: usize, tokens: usize) -> ([usize; 2], bool) {
    match attention {
        Attention::Gqa(gqa) => ([tokens * gqa.kv_heads * gqa.head; 2], false),
        Attention::Mla(mla) => ([tokens * (mla.rank + mla.rope), 0], false),
        Attention::Conv(_) => ([tokens.min(Cache::RING) * hidden, 0], true),
    }
}

/// The buffers of a cache that keep so many tokens, with how many floats and whether they are a convolution's.
fn parts<'a>(spec: &'a ModelSpec, cache: &'a Cache, tokens: usize) -> impl Iterator<Item = (&'a Buffer, usize, bool)> {
    spec.layers.iter().zip(&cache.layers).flat_map(move |(layer, (keys, values))| {
        let ([first, second], ring) = floats(&layer.attention, spec.hidden, tokens);
        [(keys, first, ring), (values, second, ring)].into_iter().filter(|(_, floats, _)| *floats > 0)
    })
}

/// Bytes of the file of so many tokens.
fn bytes(spec: &ModelSpec, tokens: usize) -> u64 {
    let both = spec.layers.iter().map(|layer| floats(&layer.attention, spec.hidden, tokens).0);
    both.map(|[first, second]| 4 * (first + second) as u64).sum()
}
