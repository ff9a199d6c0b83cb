//! Packs made in memory.

use async_trait::async_trait;
use moebius_engine::Result;
use moebius_engine::model::{Heat, Prefix, pack};
use moebius_engine::source::{Memory, Source};
use moebius_engine::weights::{Manifest, Precision, Sink};

/// Files as they are written, and how many bytes each announced.
#[derive(Default)]
struct Files(Vec<(String, u64, Vec<u8>)>);

#[async_trait(?Send)]
impl Sink for Files {
    async fn begin(&mut self, name: &str, bytes: u64) -> Result<()> {
        self.0.push((name.into(), bytes, Vec::new()));
        Ok(())
    }

    async fn write(&mut self, data: &[u8]) -> Result<()> {
        self.0.last_mut().unwrap().2.extend_from_slice(data);
        Ok(())
    }

    async fn end(&mut self) -> Result<()> {
        let (name, bytes, data) = self.0.last().unwrap();
        assert_eq!(*bytes, data.len() as u64, "{name} has the length it announced");
        Ok(())
    }
}

/// The model in `source`, packed; the manifest comes last.
pub(crate) fn packed(source: &dyn Source, precision: Precision) -> (Memory, Manifest) {
    packed_by(source, precision, &Heat::new())
}

/// The same, with a beginning.
#[allow(dead_code, reason = "not all tests that make packs have one")]
pub(crate) fn packed_with(source: &dyn Source, precision: Precision, prefix: &Prefix) -> (Memory, Manifest) {
    made(source, precision, &Heat::new(), Some(prefix))
}

/// The same, the hottest experts first.
pub(crate) fn packed_by(source: &dyn Source, precision: Precision, heat: &Heat) -> (Memory, Manifest) {
    made(source, precision, heat, None)
}

fn made(source: &dyn Source, precision: Precision, heat: &Heat, prefix: Option<&Prefix>) -> (Memory, Manifest) {
    let mut files = Files::default();
    let (manifest, _) = pollster::block_on(pack(source, precision, (heat, prefix), &mut files, &mut |_| {})).unwrap();
    assert_eq!(files.0.last().unwrap().0, "moebius.json");
    let mut memory = Memory::default();
    for (name, _, data) in files.0 {
        memory.insert(name, data);
    }
    (memory, manifest)
}
