//! Prints every shader variant as JSON lines, `{"name", "wgsl"}`, for the browser test that compiles each.

fn main() {
    for shader in moebius_engine::kernel::shaders() {
        let name =
            shader.format.map_or_else(|| shader.kernel.to_owned(), |format| format!("{}.{format}", shader.kernel));
        println!("{}", serde_json::json!({ "name": name, "wgsl": shader.wgsl }));
    }
}
