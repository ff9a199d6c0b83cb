//! Errors as JavaScript sees them, and the last words of a panic.

use moebius_engine::Error;
use wasm_bindgen::JsValue;

use crate::threads::keep_panic;

/// `{code, message}`, as `www/protocol.js` has it.
pub(crate) fn fault(error: &Error) -> JsValue {
    object(&[("code", error.code().into()), ("message", error.to_string().into())])
}

/// An object of these properties.
pub(crate) fn object(of: &[(&str, JsValue)]) -> JsValue {
    let object = js_sys::Object::new();
    for (key, value) in of {
        // Fails on frozen objects alone, which these are not; and there is nobody to tell.
        let _ = js_sys::Reflect::set(&object, &(*key).into(), value);
    }
    object.into()
}

/// Has the text of a panic kept, on whatever thread it is.
pub(crate) fn keep_panics() {
    std::panic::set_hook(Box::new(|panic| keep_panic(&panic.to_string())));
}
