//! Which expert of a layer is in which slot of its pool. Who was not used for longest makes room.

/// The slots of a layer's pool, as the table on the device has them.
pub(super) struct Slots {
    /// The slot of each expert.
    of: Vec<Option<u32>>,
    /// The expert in each slot, and when it was last used.
    held: Vec<Option<(usize, u64)>>,
    /// Experts from this one on are never given up: every token has them.
    shared: usize,
    /// Uses so far.
    now: u64,
}

impl Slots {
    /// `slots` empty slots for `experts` experts, of which those from `shared` on stay.
    pub(super) fn new(experts: usize, shared: usize, slots: usize) -> Self {
        Slots { of: vec![None; experts], held: vec![None; slots], shared, now: 0 }
    }

    /// Whether an expert has a slot.
    pub(super) fn has(&self, expert: usize) -> bool {
        self.of[expert].is_some()
    }

    /// How many slots there are for experts that come and go.
    pub(super) fn spare(&self) -> usize {
        self.held.len() - (self.of.len() - self.shared)
    }

    /// Whether every expert has a slot.
    pub(super) fn full(&self) -> bool {
        self.of.iter().all(Option::is_some)
    }

    /// How many slots are empty beyond those that shared experts will have.
    pub(super) fn empties(&self) -> usize {
        let waiting = self.of[self.shared..].iter().filter(|slot| slot.is_none()).count();
        self.held.iter().filter(|held| held.is_none()).count().saturating_sub(waiting)
    }

    /// Whether there is one.
    pub(super) fn empty(&self) -> bool {
        self.empties() > 0
    }

    /// Notes that these are used now.
    pub(super) fn touch(&mut self, experts: &[usize]) {
        self.now += 1;
        for slot in experts.iter().filter_map(|e| self.of[*e]) {
            if let Some((_, used)) = &mut self.held[slot as usize] {
                *used = self.now;
            }
        }
    }

    /// A slot for an expert that has none: an empty one, or that of whoever was not used for longest, but for `wanted` and what
    /// is shared. None where all of those are in use.
    pub(super) fn place(&mut self, expert: usize, wanted: &[usize]) -> Option<u32> {
        let age = |slot: &usize| match self.held[*slot] {
            None => Some(0),
            Some((held, _)) if held >= self.shared || wanted.contains(&held) => None,
            Some((_, used)) => Some(1 + used),
        };
        let slot = (0..self.held.len()).filter(|slot| age(slot).is_some()).min_by_key(|slot| age(slot))?;
        if let Some((gone, _)) = self.held[slot].replace((expert, self.now)) {
            self.of[gone] = None;
        }
        self.of[expert] = Some(slot as u32);
        Some(slot as u32)
    }
}

#[test]
fn the_oldest_makes_room_but_for_what_is_wanted_and_shared() {
    let mut slots = Slots::new(6, 5, 3);
    assert_eq!((slots.spare(), slots.empty()), (2, true));
    assert_eq!([5, 0, 1].map(|e| slots.place(e, &[])), [Some(0), Some(1), Some(2)]);
    assert!(!slots.empty() && !slots.full());
    slots.touch(&[1, 5]);
    slots.touch(&[0, 5]);
    assert_eq!(slots.place(2, &[2, 0]), Some(2), "1 is the oldest");
    assert_eq!((slots.has(1), slots.has(0)), (false, true));
    slots.touch(&[2, 5]);
    assert_eq!(slots.place(3, &[3, 0]), Some(2), "0 is the oldest, and wanted");
    assert_eq!(slots.place(4, &[3, 0]), None);
}
