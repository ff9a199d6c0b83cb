// Sampling: repetition penalty, temperature, top-k, top-p, min-p, then one draw, which the next play is of. One workgroup. The cuts are the highest
// float for which a count or a mass is large enough, found by search over keys that order as floats do.
#import best
#import state

struct Params {
    vocab: u32,
}

struct Settings {
    temperature: f32,
    top_k: u32,
    top_p: f32,
    min_p: f32,
    repetition_penalty: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> settings: Settings; // one
@group(0) @binding(2) var<storage, read_write> seen: array<u32>; // [V/32], a bit a token
@group(0) @binding(3) var<storage, read_write> logits: array<f32>; // [V]
@group(0) @binding(4) var<storage, read_write> state: State;
@group(0) @binding(5) var<storage, read_write> tokens: array<u32>; // [1]
@group(0) @binding(6) var<storage, read_write> result: array<u32>; // [4]: id, bits of its log-probability, kept, 0

// Keys of the lowest and highest finite floats.
const LOWEST_KEY = 0x00800000u;
const HIGHEST_KEY = 0xFF7FFFFFu;

var<workgroup> segment: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) local: u32) {
    var mine = Best(LOWEST, 0u);
    for (var i = local; i < params.vocab; i += THREADS) {
        var v = logits[i];
        if (((seen[i >> 5u] >> (i & 31u)) & 1u) == 1u) {
            v = select(v * settings.repetition_penalty, v / settings.repetition_penalty, v > 0.0);
        }
        v /= settings.temperature;
        logits[i] = v;
        if (v > mine.value) {
            mine = Best(v, i);
        }
    }
    let largest = reduce_best(local, mine).value;

    var cut = from_key(LOWEST_KEY);
    if (settings.top_k > 0u) {
        cut = highest(local, largest, false, f32(min(settings.top_k, params.vocab)));
    }
    if (settings.top_p < 1.0) {
        let kept = reduce_sum(local, mass(local, largest, cut));
        cut = max(cut, highest(local, largest, true, settings.top_p * kept));
    }
    if (settings.min_p > 0.0) {
        cut = max(cut, largest + log(settings.min_p));
    }
    // The best is always kept, also by a top-p of 0.
    cut = min(cut, largest);
    let total = reduce_sum(local, mass(local, largest, cut));

    // The draw walks ids in order: invocation n owns the n-th run of them. All writes above must be seen first.
    storageBarrier();
    let length = (params.vocab + THREADS - 1u) / THREADS;
    let first = min(local * length, params.vocab);
    let last = min(first + length, params.vocab);
    var run = 0.0;
    var count = 0.0;
    for (var i = first; i < last; i++) {
        let v = logits[i];
        if (v >= cut) {
            run += exp(v - largest);
            count += 1.0;
        }
    }
    segment[local] = run;
    let kept = reduce_sum(local, count);
    var before = 0.0;
    for (var i = 0u; i < local; i++) {
        before += segment[i];
    }
    let wanted = uniform_draw() * total;
    var pick = Best(-1.0, 0u);
    for (var i = first; i < last && before <= wanted; i++) {
        let v = logits[i];
        if (v >= cut) {
            pick = Best(f32(local), i);
            before += exp(v - largest);
        }
    }
    let chosen = reduce_best(local, pick);
    if (local == 0u) {
        result[0] = chosen.id;
        result[1] = bitcast<u32>(logits[chosen.id] - largest - log(total));
        result[2] = u32(kept);
        result[3] = 0u;
        seen[chosen.id >> 5u] |= 1u << (chosen.id & 31u);
        tokens[0] = chosen.id;
        state.position += state.tokens;
        state.tokens = 1u;
    }
}

// This invocation's part of the probability mass, relative to the best, of logits from `cut` on.
fn mass(local: u32, largest: f32, cut: f32) -> f32 {
    var sum = 0.0;
    for (var i = local; i < params.vocab; i += THREADS) {
        let v = logits[i];
        sum += select(0.0, exp(v - largest), v >= cut);
    }
    return sum;
}

// The highest finite float from which on the logits' mass (or number) is at least `wanted`. Four keys are tried at a time.
fn highest(local: u32, largest: f32, by_mass: bool, wanted: f32) -> f32 {
    var low = LOWEST_KEY;
    var high = HIGHEST_KEY;
    // Each round leaves a fifth of the keys: 14 rounds leave one. A fixed number keeps the control flow uniform.
    for (var round = 0u; round < 14u; round++) {
        let span = high - low;
        let step = span / 5u + 1u;
        let keys = vec4<u32>(low) + min(vec4<u32>(step, 2u * step, 3u * step, 4u * step), vec4<u32>(span));
        let floats = vec4<f32>(from_key(keys.x), from_key(keys.y), from_key(keys.z), from_key(keys.w));
        var sums = vec4<f32>(0.0);
        for (var i = local; i < params.vocab; i += THREADS) {
            let v = logits[i];
            var one = 1.0;
            if (by_mass) {
                one = exp(v - largest);
            }
            sums += select(vec4<f32>(0.0), vec4<f32>(one), vec4<f32>(v) >= floats);
        }
        let totals = reduce_four(local, sums);
        // What holds for a key holds for all lower ones.
        let held = select(vec4<u32>(0u), vec4<u32>(1u), totals >= vec4<f32>(wanted));
        let places = held.x + held.y + held.z + held.w;
        switch places {
            case 0u: { high = max(keys.x, low + 1u) - 1u; }
            case 1u: { low = keys.x; high = max(keys.y, keys.x + 1u) - 1u; }
            case 2u: { low = keys.y; high = max(keys.z, keys.y + 1u) - 1u; }
            case 3u: { low = keys.z; high = max(keys.w, keys.z + 1u) - 1u; }
            default: { low = keys.w; }
        }
    }
    return from_key(low);
}

// The float whose order among floats is that of `key` among keys.
fn from_key(key: u32) -> f32 {
    return bitcast<f32>(select(~key, key & 0x7FFFFFFFu, (key >> 31u) == 1u));
}

// A number in [0, 1) from seed and position.
fn uniform_draw() -> f32 {
    let position = state.position + state.tokens;
    let mixed = mix_bits(mix_bits(state.seed ^ (position * 0x9E3779B9u)) ^ state.seed_high);
    return f32(mixed >> 8u) / 16777216.0;
}

// The "lowbias32" mixer.
fn mix_bits(v: u32) -> u32 {
    var m = (v ^ (v >> 16u)) * 0x7FEB352Du;
    m = (m ^ (m >> 15u)) * 0x846CA68Bu;
    return m ^ (m >> 16u);
}
