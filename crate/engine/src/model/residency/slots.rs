//! Which expert of a layer is in which slot of its pool. Who was used least makes room, where uses count less as they age.

/// What a use counts less with every later one of its layer: half after 34. On a text of 4,812 tokens the default model finds 77 % of
/// its experts in half of the slots this way, and 72 % where whoever was not used for longest makes room.
const AGED: f64 = 0.98;

/// Uses above which all are counted anew.
const HUGE: f64 = 1e100;

/// The slots of a layer's pool, as the table on the device has them.
pub(super) struct Slots {
    /// The slot of each expert.
    of: Vec<Option<u32>>,
    /// The expert in each slot.
    held: Vec<Option<usize>>,
    /// Uses of each expert, and what the next one counts: rather than old ones count less, new ones count more.
    uses: Vec<f64>,
    next: f64,
    /// Experts from this one on are never given up: every token has them.
    shared: usize,
}

impl Slots {
    /// `slots` empty slots for `experts` experts, of which those from `shared` on stay.
    pub(super) fn new(experts: usize, shared: usize, slots: usize) -> Self {
        Slots { of: vec![None; experts], held: vec![None; slots], uses: vec![0.0; experts], next: 1.0, shared }
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

    /// Whether there is a slot for every expert.
    pub(super) fn room(&self) -> bool {
        self.held.len() == self.of.len()
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

    /// Notes that these are used.
    pub(super) fn touch(&mut self, experts: &[usize]) {
        self.next /= AGED;
        if self.next > HUGE {
            self.uses.iter_mut().for_each(|uses| *uses /= self.next);
            self.next = 1.0;
        }
        experts.iter().for_each(|e| self.uses[*e] += self.next);
    }

    /// A slot for an expert that has none: an empty one, or that of whoever was used least, but for `wanted` and what is shared.
    /// None where all of those are in use.
    pub(super) fn place(&mut self, expert: usize, wanted: &[usize]) -> Option<u32> {
        let uses = |slot: &usize| match self.held[*slot] {
            None => Some(-1.0),
            Some(held) if held >= self.shared || wanted.contains(&held) => None,
            Some(held) => Some(self.uses[held]),
        };
        let open = (0..self.held.len()).filter_map(|slot| Some((slot, uses(&slot)?)));
        let (slot, _) = open.min_by(|a, b| a.1.total_cmp(&b.1))?;
        if let Some(gone) = self.held[slot].replace(expert) {
            self.of[gone] = None;
        }
        self.of[expert] = Some(slot as u32);
        Some(slot as u32)
    }
}

#[test]
fn the_least_used_makes_room_but_for_what_is_wanted_and_shared() {
    let mut slots = Slots::new(6, 5, 3);
    assert_eq!((slots.spare(), slots.empty()), (2, true));
    assert_eq!([5, 0, 1].map(|e| slots.place(e, &[])), [Some(0), Some(1), Some(2)]);
    assert!(!slots.empty() && !slots.full());
    slots.touch(&[1, 5]);
    slots.touch(&[0, 5]);
    assert_eq!(slots.place(2, &[2, 0]), Some(2), "1 was used before 0");
    assert_eq!((slots.has(1), slots.has(0)), (false, true));
    slots.touch(&[2, 5]);
    assert_eq!(slots.place(3, &[3, 0]), Some(2), "0 was used before 2, and is wanted");
    assert_eq!(slots.place(4, &[3, 0]), None);
    // Two uses count more than one, until they are old.
    for _ in 0..2 {
        slots.touch(&[0]);
    }
    slots.touch(&[3]);
    assert_eq!(slots.place(1, &[1]), Some(2), "3 was used once");
    for _ in 0..20_000 {
        slots.touch(&[1]);
    }
    assert_eq!(slots.place(2, &[2]), Some(1), "what 0 was used for is forgotten");
}
