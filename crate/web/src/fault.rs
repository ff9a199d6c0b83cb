//! Errors as JavaScript sees them, and the last words of a panic.

use moebius_engine::Error;
use wasm_bindgen::JsValue;

use crate::threads::keep_panic;

/// `{code, message}`, as `www/protocol.js` has it.
pub(crate) fn fault(error: &Error) -> JsValue {
    let object = js_sys::Object::new();
    set(&object, "code", error.code());
    set(&object, "message", &error.to_string());
    object.into()
}

/// Has the text of a panic kept, on whatever thread it is.
pub(crate) fn keep_panics() {
    std::panic::set_hook(Box::new(|panic| keep_panic(&panic.to_string())));
}

fn set(object: &js_sys::Object, key: &str, value: &str) {
    // Fails on frozen objects alone, which these are not; and there is nobody to tell.
    let _ = js_sys::Reflect::set(object, &key.into(), &value.into());
}
