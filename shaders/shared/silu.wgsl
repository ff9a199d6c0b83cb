// SiLU and sigmoid without infinities: WGSL promises nothing about them.

fn sigmoid(v: f32) -> f32 {
    return 1.0 / (1.0 + exp(min(-v, 80.0)));
}

fn silu(v: f32) -> f32 {
    return v * sigmoid(v);
}
