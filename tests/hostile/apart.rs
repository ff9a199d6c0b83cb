//! A GGUF taken apart, to be changed and put together again; nothing here checks anything.

/// A file's parts as they stand in it.
#[derive(Clone)]
pub(crate) struct Apart {
    pub(crate) magic: Vec<u8>,
    pub(crate) version: u32,
    /// Keys, the types of their values, and these as bytes.
    pub(crate) keys: Vec<(Vec<u8>, u32, Vec<u8>)>,
    pub(crate) tensors: Vec<Tensor>,
    /// What is written for how many tensors and keys there are, if not that.
    pub(crate) counts: [Option<u64>; 2],
    /// What the data begin at a multiple of.
    pub(crate) alignment: usize,
}

#[derive(Clone)]
pub(crate) struct Tensor {
    pub(crate) name: Vec<u8>,
    /// What is written for the length of the name, if not that.
    pub(crate) length: Option<u64>,
    pub(crate) rank: Option<u32>,
    pub(crate) shape: Vec<u64>,
    pub(crate) kind: u32,
    /// Where it is said to start, if not where it does.
    pub(crate) offset: Option<u64>,
    pub(crate) data: Vec<u8>,
}

/// Reads on.
struct Cursor<'a>(&'a [u8], usize);

impl<'a> Cursor<'a> {
    fn take(&mut self, n: usize) -> &'a [u8] {
        self.1 += n;
        &self.0[self.1 - n..self.1]
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take(4).try_into().unwrap())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take(8).try_into().unwrap())
    }

    fn text(&mut self) -> Vec<u8> {
        let length = self.u64() as usize;
        self.take(length).to_vec()
    }

    fn value(&mut self, kind: u32) -> usize {
        let start = self.1;
        match kind {
            0 | 1 | 7 => drop(self.take(1)),
            2 | 3 => drop(self.take(2)),
            4..=6 => drop(self.take(4)),
            10..=12 => drop(self.take(8)),
            8 => drop(self.text()),
            _ => {
                let (each, count) = (self.u32(), self.u64());
                for _ in 0..count {
                    self.value(each);
                }
            }
        }
        start
    }
}

impl Apart {
    pub(crate) fn new(file: &[u8]) -> Self {
        let mut c = Cursor(file, 0);
        let (magic, version) = (c.take(4).to_vec(), c.u32());
        let (tensors, keys) = (c.u64(), c.u64());
        let mut list = Vec::new();
        for _ in 0..keys {
            let (key, kind) = (c.text(), c.u32());
            let start = c.value(kind);
            list.push((key, kind, file[start..c.1].to_vec()));
        }
        let mut found = Vec::new();
        for _ in 0..tensors {
            let (name, rank) = (c.text(), c.u32());
            let shape: Vec<u64> = (0..rank).map(|_| c.u64()).collect();
            found.push((name, shape, c.u32(), c.u64() as usize));
        }
        let data = c.1.next_multiple_of(32);
        let ends: Vec<usize> = found.iter().skip(1).map(|t| t.3).chain([file.len() - data]).collect();
        let tensors = found.into_iter().zip(ends).map(|((name, shape, kind, start), end)| Tensor {
            name,
            length: None,
            rank: None,
            shape,
            kind,
            offset: None,
            data: file[data + start..data + end].to_vec(),
        });
        Apart { magic, version, keys: list, tensors: tensors.collect(), counts: [None; 2], alignment: 32 }
    }

    pub(crate) fn file(&self) -> Vec<u8> {
        let mut out = self.magic.clone();
        out.extend(self.version.to_le_bytes());
        out.extend(self.counts[0].unwrap_or(self.tensors.len() as u64).to_le_bytes());
        out.extend(self.counts[1].unwrap_or(self.keys.len() as u64).to_le_bytes());
        for (key, kind, value) in &self.keys {
            out.extend((key.len() as u64).to_le_bytes());
            out.extend_from_slice(key);
            out.extend(kind.to_le_bytes());
            out.extend_from_slice(value);
        }
        let mut at = 0u64;
        for t in &self.tensors {
            out.extend(t.length.unwrap_or(t.name.len() as u64).to_le_bytes());
            out.extend_from_slice(&t.name);
            out.extend(t.rank.unwrap_or(t.shape.len() as u32).to_le_bytes());
            out.extend(t.shape.iter().flat_map(|d| d.to_le_bytes()));
            out.extend(t.kind.to_le_bytes());
            out.extend(t.offset.unwrap_or(at).to_le_bytes());
            at = (at + t.data.len() as u64).next_multiple_of(32);
        }
        out.resize(out.len().next_multiple_of(self.alignment), 0);
        for t in &self.tensors {
            out.extend_from_slice(&t.data);
            out.resize(out.len().next_multiple_of(32), 0);
        }
        out
    }

    /// Gives a key another value, or adds it.
    pub(crate) fn put(&mut self, key: &str, kind: u32, value: impl Into<Vec<u8>>) {
        let value = value.into();
        match self.keys.iter_mut().find(|(k, ..)| k == key.as_bytes()) {
            Some(found) => (found.1, found.2) = (kind, value),
            None => self.keys.push((key.into(), kind, value)),
        }
    }

    pub(crate) fn number(&mut self, key: &str, value: u32) {
        self.put(key, 4, value.to_le_bytes());
    }

    pub(crate) fn float(&mut self, key: &str, value: f32) {
        self.put(key, 6, value.to_le_bytes());
    }

    pub(crate) fn text(&mut self, key: &str, value: &str) {
        self.put(key, 8, text(value.as_bytes()));
    }

    pub(crate) fn remove(&mut self, key: &str) {
        self.keys.retain(|(k, ..)| k != key.as_bytes());
    }

    /// A list of texts as they are, to be changed.
    pub(crate) fn texts(&mut self, key: &str, change: impl FnOnce(&mut Vec<Vec<u8>>)) {
        let found = self.keys.iter_mut().find(|(k, ..)| k == key.as_bytes()).unwrap();
        let mut c = Cursor(&found.2, 4);
        let mut list: Vec<Vec<u8>> = (0..c.u64()).map(|_| c.text()).collect();
        change(&mut list);
        let mut value = 8u32.to_le_bytes().to_vec();
        value.extend((list.len() as u64).to_le_bytes());
        value.extend(list.iter().flat_map(|t| text(t)));
        found.2 = value;
    }

    pub(crate) fn tensor(&mut self, name: &str) -> &mut Tensor {
        self.tensors.iter_mut().find(|t| t.name == name.as_bytes()).unwrap()
    }
}

/// A text with its length.
pub(crate) fn text(bytes: &[u8]) -> Vec<u8> {
    let mut out = (bytes.len() as u64).to_le_bytes().to_vec();
    out.extend_from_slice(bytes);
    out
}
