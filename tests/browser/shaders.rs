//! Prints every shader variant as JSON lines, `{"name", "wgsl"}`, for the browser test that compiles each.

fn main() {
    for shader in moebius_engine::kernel::shaders() {
        println!("{}", serde_json::json!({ "name": shader.name(), "wgsl": shader.text(true) }));
    }
}
