// What changes from play to play: `State` of the engine's kernel module.
struct State {
    position: u32,
    tokens: u32,
    seed: u32,
    seed_high: u32,
}
