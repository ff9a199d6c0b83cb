//! What tokens of a text chose, layer by layer: how hot each expert is, and how often it would be there.

use std::collections::BTreeMap;

use crate::model::Room;
use crate::model::residency::slots::Slots;
use crate::weights::Group;

/// How many tokens chose each expert, by the name of the layer's experts.
pub type Heat = BTreeMap<String, Vec<u64>>;

/// What tokens chose.
pub struct Routes {
    layers: Vec<Layer>,
}

struct Layer {
    group: Group,
    /// Bytes of an expert.
    bytes: u64,
    /// The experts of one token after another, shared ones included.
    chosen: Vec<u32>,
    /// The same as it was guessed before; nothing where it is not.
    guessed: Vec<u32>,
}

impl Routes {
    /// Nothing yet, of layers of experts with the bytes of each.
    pub(super) fn new(layers: impl Iterator<Item = (Group, u64)>) -> Self {
        Routes {
            layers: layers
                .map(|(group, bytes)| Layer { group, bytes, chosen: Vec::new(), guessed: Vec::new() })
                .collect(),
        }
    }

    /// More of a layer.
    pub(super) fn add(&mut self, layer: usize, chosen: impl Iterator<Item = u32>) {
        self.layers[layer].chosen.extend(chosen);
    }

    /// More guesses of a layer.
    pub(super) fn guess(&mut self, layer: usize, guessed: impl Iterator<Item = u32>) {
        self.layers[layer].guessed.extend(guessed);
    }

    /// How hot each expert is.
    #[must_use]
    pub fn heat(&self) -> Heat {
        let one = |layer: &Layer| {
            let mut heat = vec![0; layer.group.all()];
            layer.chosen.iter().for_each(|e| heat[*e as usize] += 1);
            (layer.group.prefix.clone(), heat)
        };
        self.layers.iter().map(one).collect()
    }

    /// The share of the routed experts' choices that would be found on a device with this room, token by token, if what is
    /// guessed comes in time: none where there were no tokens.
    #[must_use]
    pub fn hits(&self, room: Room) -> Option<f64> {
        let all = self.layers.iter().map(|layer| layer.bytes * layer.group.all() as u64).sum();
        let (mut wanted, mut missed) = (0, 0);
        for Layer { group, chosen, guessed, .. } in &self.layers {
            let mut slots = Slots::new(group.all(), group.count, room.slots(group, all));
            let mut guesses = guessed.chunks_exact(group.at_work());
            let numbers = |token: &[u32]| token.iter().map(|e| *e as usize).collect::<Vec<_>>();
            for token in chosen.chunks_exact(group.at_work()) {
                let (guess, token) = (numbers(guesses.next().unwrap_or_default()), numbers(token));
                for e in &guess {
                    if !slots.has(*e) {
                        slots.place(*e, &guess);
                    }
                }
                slots.touch(&token);
                for e in &token {
                    let routed = usize::from(*e < group.count);
                    wanted += routed;
                    if !slots.has(*e) {
                        missed += routed;
                        slots.place(*e, &token);
                    }
                }
            }
        }
        (wanted > 0).then(|| 1.0 - missed as f64 / wanted as f64)
    }
}
