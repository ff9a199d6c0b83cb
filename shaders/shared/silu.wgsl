// SiLU and sigmoid without infinities: WGSL promises nothing about them.

fn sigmoid(v: f32) -> f32 {
    return 1.0 / (1.0 + exp(min(-v, 80.0)));
}

// A gate and its up; with a limit above 0 clamped, as in gpt-oss.
fn swiglu(gate: f32, up: f32, limit: f32) -> f32 {
    if (limit == 0.0) {
        return silu(gate) * up;
    }
    let g = min(gate, limit);
    return (clamp(up, -limit, limit) + 1.0) * g * sigmoid(1.702 * g);
}

fn silu(v: f32) -> f32 {
    return v * sigmoid(v);
}
