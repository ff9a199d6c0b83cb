// Causal attention over the cache, softmax(q·kᵀ·scale)·v, for four heads that share keys and values, so that each is loaded
// once for them, with a running maximum and sum (online softmax, Milakov & Gimelshein 2018), so that any context fits. The
// positions may be split, so that one token keeps a wide GPU busy; attention_merge puts the splits together.
#import state

struct Params {
    heads: u32,
    kv_heads: u32,
    k_width: u32,
    v_width: u32,
    k_stride: u32,
    v_stride: u32,
    scale: f32,
    window: u32,
    splits: u32,
    tokens: u32,
    value: u32,
    row_first: u32,
    row_step: u32,
    half: u32,
    apart: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> state: State;
@group(0) @binding(2) var<storage, read> q: array<vec4<f32>>; // [T, heads, k_width]
@group(0) @binding(3) var<storage, read> keys: array<vec4<u32>>; // [context, k_stride], floats or halves
@group(0) @binding(4) var<storage, read> values: array<vec4<u32>>; // [context, v_stride], likewise
@group(0) @binding(6) var<storage, read_write> marks: array<vec2<f32>>; // [T, splits, heads]: maximum, sum; if apart

// Below every score: WGSL promises nothing about infinities.
const LOWEST = -3.0e38;

// More than one split.
override SPLIT: bool = false;
// Keys and values are halves, two to a word.
override HALF: bool = false;

fn halves(words: vec4<u32>, odd: bool) -> vec4<f32> {
    let two = select(words.xy, words.zw, odd);
    return vec4<f32>(unpack2x16float(two.x), unpack2x16float(two.y));
}

fn key_quad(i: u32) -> vec4<f32> {
    if (HALF) {
        return halves(keys[i >> 1u], (i & 1u) == 1u);
    }
    return bitcast<vec4<f32>>(keys[i]);
}

fn value_quad(i: u32) -> vec4<f32> {
    if (HALF) {
        return halves(values[i >> 1u], (i & 1u) == 1u);
    }
    return bitcast<vec4<f32>>(values[i]);
}

// Four heads of a workgroup: their key-value head, the first one's number in its group, and all of their numbers. Heads past
// the group's end repeat its last one, and are not written.
struct Heads {
    kv: u32,
    first: u32,
    per: u32,
    all: vec4<u32>,
}

fn heads_of(index: u32) -> Heads {
    let per = params.heads / params.kv_heads;
    let quads = (per + 3u) >> 2u;
    let kv = index / quads;
    let first = (index - kv * quads) << 2u;
    let inside = min(vec4<u32>(first, first + 1u, first + 2u, first + 3u), vec4<u32>(per - 1u));
    return Heads(kv, first, per, inside + kv * per);
}

// The positions of the play that any token sees: the first, and how many each split has.
fn span() -> vec2<u32> {
    let end = state.position + 1u;
    let low = select(0u, end - min(end, params.window), params.window > 0u);
    return vec2<u32>(low, (state.position + state.tokens - low + params.splits - 1u) / params.splits);
}

// The first position that a token sees.
fn start_of(token: u32) -> u32 {
    let end = state.position + token + 1u;
    return select(0u, end - min(end, params.window), params.window > 0u);
}

#ifdef subgroups
// A group of lanes takes a token, or a split of it. Its lanes take a position each for the scores, and quads of a value each
// for the mix, handing each other the shares: no workgroup memory, and no barrier.
override THREADS: u32 = 64u;
#import lanes

@group(0) @binding(5) var<storage, read_write> y: array<vec4<f32>>; // [T, splits, heads, v_width]

// A quad of each head's mix.
struct Mix {
    x: vec4<f32>,
    y: vec4<f32>,
    z: vec4<f32>,
    w: vec4<f32>,
}

fn grown(mix: Mix, by: vec4<f32>) -> Mix {
    return Mix(mix.x * by.x, mix.y * by.y, mix.z * by.z, mix.w * by.w);
}

fn mixed(mix: Mix, share: vec4<f32>, v: vec4<f32>) -> Mix {
    return Mix(mix.x + share.x * v, mix.y + share.y * v, mix.z + share.z * v, mix.w + share.w * v);
}

// With the shares of four positions, of which a quad of values is at `at` each.
fn four_mixed(mix: Mix, shares: Mix, at: vec4<u32>) -> Mix {
    let v0 = value_quad(at.x);
    let v1 = value_quad(at.y);
    let v2 = value_quad(at.z);
    let v3 = value_quad(at.w);
    return mixed(mixed(mixed(mixed(mix, shares.x, v0), shares.y, v1), shares.z, v2), shares.w, v3);
}

// Products of the four heads' queries with a quad of a key: neighbours in fours load the queries for each other.
fn scores_of(own: vec4<f32>, k: vec4<f32>) -> vec4<f32> {
    return vec4<f32>(
        dot(quadBroadcast(own, 0u), k),
        dot(quadBroadcast(own, 1u), k),
        dot(quadBroadcast(own, 2u), k),
        dot(quadBroadcast(own, 3u), k),
    );
}

// Passes over the positions: four quads of a value a lane are mixed in each, which group.z names, after the splits.
fn passes() -> u32 {
    return ((params.v_width >> 2u) + 4u * LANES - 1u) / (4u * LANES);
}

fn attend(group: vec3<u32>, local: u32, invocation: u32) {
    let heads = heads_of(group.x);
    let lane = lane_of(local);
    let leader = invocation - lane;
    let quads = params.v_width >> 2u;
    let quad = (group.z % passes()) * 4u * LANES + lane;
    let slots = (quads - (group.z % passes()) * 4u * LANES + LANES - 1u) / LANES;
    let index = local / LANES;
    let token = select(group.y * (THREADS / LANES) + index, group.y, SPLIT);
    let split = select(0u, group.z / passes() * (THREADS / LANES) + index, SPLIT);
    let safe = min(token, state.tokens - 1u);
    let range = span();
    let first = range.x + split * range.y;
    let end = min(first + range.y, state.position + safe + 1u);
    let start = start_of(safe);
    let last = state.position + state.tokens - 1u;
    let query = ((safe * params.heads + heads.all[lane & 3u]) * params.k_width) >> 2u;
    var largest = vec4<f32>(LOWEST);
    var total = vec4<f32>(0.0);
    var m0 = Mix();
    var m1 = Mix();
    var m2 = Mix();
    var m3 = Mix();
    // As many steps for all groups of the workgroup: subgroup operations want that.
    for (var step = 0u; step < range.y; step += LANES) {
        let place = first + step;
        let seen = place + lane >= start && place + lane < end;
        let key = (min(place + lane, last) * params.k_stride + heads.kv * params.k_width) >> 2u;
        var score = vec4<f32>(0.0);
        // Four at a time, so that one load does not wait for another.
        var i = 0u;
        for (; i + 4u <= (params.k_width >> 2u); i += 4u) {
            let k0 = key_quad(key + i);
            let k1 = key_quad(key + i + 1u);
            let k2 = key_quad(key + i + 2u);
            let k3 = key_quad(key + i + 3u);
            score += scores_of(q[query + i], k0) + scores_of(q[query + i + 1u], k1) + scores_of(q[query + i + 2u], k2)
                + scores_of(q[query + i + 3u], k3);
        }
        for (; i < (params.k_width >> 2u); i++) {
            score += scores_of(q[query + i], key_quad(key + i));
        }
        score = select(vec4<f32>(LOWEST), score * params.scale, seen);
        let now = max(largest, lanes_max(score));
        let share = select(vec4<f32>(0.0), exp(score - now), seen);
        let kept = exp(largest - now);
        largest = now;
        total = total * kept + share;
        m0 = grown(m0, kept);
        m1 = grown(m1, kept);
        m2 = grown(m2, kept);
        m3 = grown(m3, kept);
        for (var j = 0u; j < min(LANES, range.y - step); j += 4u) {
            let shares = Mix(
                subgroupShuffle(share, leader + j),
                subgroupShuffle(share, leader + j + 1u),
                subgroupShuffle(share, leader + j + 2u),
                subgroupShuffle(share, leader + j + 3u),
            );
            let places = min(vec4<u32>(place + j) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(last));
            let values_at = (places * params.v_stride + heads.kv * params.v_width) >> vec4<u32>(2u);
            m0 = four_mixed(m0, shares, values_at + min(quad, quads - 1u));
            if (slots > 1u) {
                m1 = four_mixed(m1, shares, values_at + min(quad + LANES, quads - 1u));
            }
            if (slots > 2u) {
                m2 = four_mixed(m2, shares, values_at + min(quad + 2u * LANES, quads - 1u));
            }
            if (slots > 3u) {
                m3 = four_mixed(m3, shares, values_at + min(quad + 3u * LANES, quads - 1u));
            }
        }
    }
    total = lanes_sum(local, total);
    if (token >= state.tokens || split >= params.splits) {
        return;
    }
    let row = (token * params.splits + split) * params.heads;
    let by = select(1.0 / total, vec4<f32>(1.0), SPLIT);
    put(heads, row, quad, grown(m0, by));
    put(heads, row, quad + LANES, grown(m1, by));
    put(heads, row, quad + 2u * LANES, grown(m2, by));
    put(heads, row, quad + 3u * LANES, grown(m3, by));
    if (SPLIT && quad == 0u) {
        for (var i = 0u; i < 4u && heads.first + i < heads.per; i++) {
            marks[row + heads.all[i]] = vec2<f32>(largest[i], total[i]);
        }
    }
}

fn put(heads: Heads, row: u32, quad: u32, mix: Mix) {
    let quads = params.v_width >> 2u;
    if (quad >= quads) {
        return;
    }
    let at = (heads.all + row) * quads + quad;
    y[at.x] = mix.x;
    if (heads.first + 1u < heads.per) {
        y[at.y] = mix.y;
    }
    if (heads.first + 2u < heads.per) {
        y[at.z] = mix.z;
    }
    if (heads.first + 3u < heads.per) {
        y[at.w] = mix.w;
    }
}
#else
// A workgroup takes a token, or a split of it, and walks its positions in tiles of 64.
@group(0) @binding(5) var<storage, read_write> y: array<f32>; // [T, splits, heads, v_width]

const TILE = 64u;
const THREADS = 64u;

// Of each position of the tile, for the four heads.
var<workgroup> scores: array<vec4<f32>, TILE>;
var<workgroup> shares: array<vec4<f32>, TILE>;

fn attend(group: vec3<u32>, local: u32) {
    let heads = heads_of(group.x);
    let query = (heads.all + group.y * params.heads) * params.k_width;
    let row = heads.all + (group.y * params.splits + group.z) * params.heads;
    let range = span();
    let low = range.x + group.z * range.y;
    let end = min(low + range.y, state.position + group.y + 1u);
    let first = max(low, start_of(group.y));
    var largest = vec4<f32>(LOWEST);
    var total = vec4<f32>(0.0);
    for (var d = local; d < params.v_width; d += 64u) {
        put(heads, row, d, vec4<f32>(0.0));
    }
    for (var tile = first; tile < end; tile += TILE) {
        let seen = min(TILE, end - tile);
        var score = vec4<f32>(LOWEST);
        if (local < seen) {
            let key = (tile + local) * params.k_stride + heads.kv * params.k_width;
            score = products(query, key) * params.scale;
        }
        scores[local] = score;
        workgroupBarrier();
        var now = largest;
        for (var i = 0u; i < TILE; i++) {
            now = max(now, scores[i]);
        }
        // Shares of unseen positions are zero without relying on what exp makes of LOWEST.
        shares[local] = select(vec4<f32>(0.0), exp(score - now), local < seen);
        let kept = exp(largest - now);
        largest = now;
        workgroupBarrier();
        var sums = vec4<f32>(0.0);
        for (var i = 0u; i < TILE; i++) {
            sums += shares[i];
        }
        total = total * kept + sums;
        for (var d = local; d < params.v_width; d += 64u) {
            var at = tile * params.v_stride + heads.kv * params.v_width + d;
            var sum = vec4<f32>(0.0);
            for (var s = 0u; s < seen; s++) {
                sum += shares[s] * value_quad(at >> 2u)[at & 3u];
                at += params.v_stride;
            }
            put(heads, row, d, rows(row, d) * kept + sum);
        }
    }
    if (!SPLIT) {
        for (var d = local; d < params.v_width; d += 64u) {
            put(heads, row, d, rows(row, d) / total);
        }
    } else if (local < 4u && heads.first + local < heads.per) {
        marks[row[local]] = vec2<f32>(largest[local], total[local]);
    }
}

// Float d of the four heads' outputs.
fn rows(row: vec4<u32>, d: u32) -> vec4<f32> {
    let at = row * params.v_width + d;
    return vec4<f32>(y[at.x], y[at.y], y[at.z], y[at.w]);
}

fn put(heads: Heads, row: vec4<u32>, d: u32, v: vec4<f32>) {
    let at = row * params.v_width + d;
    y[at.x] = v.x;
    if (heads.first + 1u < heads.per) {
        y[at.y] = v.y;
    }
    if (heads.first + 2u < heads.per) {
        y[at.z] = v.z;
    }
    if (heads.first + 3u < heads.per) {
        y[at.w] = v.w;
    }
}

// Products of the queries at floats `a` with the key at float `b`.
fn products(a: vec4<u32>, b: u32) -> vec4<f32> {
    var sums = vec4<f32>(0.0);
    if (((params.k_width | b | params.k_stride) & 3u) == 0u) {
        for (var i = 0u; i < (params.k_width >> 2u); i++) {
            let key = key_quad((b >> 2u) + i);
            let at = (a >> vec4<u32>(2u)) + i;
            sums += vec4<f32>(dot(q[at.x], key), dot(q[at.y], key), dot(q[at.z], key), dot(q[at.w], key));
        }
    } else {
        for (var i = 0u; i < params.k_width; i++) {
            let key = key_quad((b + i) >> 2u)[(b + i) & 3u];
            sums += vec4<f32>(query(a.x + i), query(a.y + i), query(a.z + i), query(a.w + i)) * key;
        }
    }
    return sums;
}

fn query(i: u32) -> f32 {
    return q[i >> 2u][i & 3u];
}
#endif
