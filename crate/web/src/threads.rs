//! Threads of the CPU path: workers of the browser on this module's memory. They run kernels and nothing else: wasm-bindgen, and the
//! standard library but for the heap, belong to the first thread.
#![allow(unsafe_code, reason = "a thread is told by an address what to share")]

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use js_sys::{Array, Function, Promise, Reflect};
use moebius_engine::device::{Hall, Rest, Simd};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

#[wasm_bindgen(module = "/src/threads.js")]
extern "C" {
    fn sleep(address: usize, seen: u32, most: f64);

    fn wake(address: usize);

    fn now() -> f64;

    /// Keeps the text of a panic in `globalThis.moebiusPanic`: the trap that follows has none.
    #[wasm_bindgen(js_name = keepPanic)]
    pub(crate) fn keep_panic(text: &str);
}

/// How workers rest.
struct Workers;

impl Rest for Workers {
    fn sleep(&self, word: &AtomicU32, seen: u32) {
        sleep(word.as_ptr() as usize, seen, f64::INFINITY);
    }

    fn wake(&self, word: &AtomicU32) {
        wake(word.as_ptr() as usize);
    }

    fn now(&self) -> f64 {
        now()
    }

    fn pause(&self) {
        let nobody = AtomicU32::new(0);
        sleep(nobody.as_ptr() as usize, 0, 0.05);
    }
}

/// What starts the CPU's threads, and where they are.
pub(crate) struct Crew {
    /// See `www/module-worker.js`.
    hire: Function,
    hall: RefCell<Option<Arc<Hall>>>,
    /// Nobody looks at the page.
    calm: RefCell<bool>,
}

impl Crew {
    pub(crate) fn new(hire: Function) -> Self {
        Crew { hire, hall: RefCell::default(), calm: RefCell::default() }
    }

    /// The CPU's device, with the threads that could be had, and why there are not more.
    pub(crate) async fn cpu(&self) -> (Simd, String) {
        let hall = Arc::new(Hall::new(Box::new(Workers)));
        hall.calm(*self.calm.borrow());
        self.hall.replace(Some(Arc::clone(&hall)));
        // Never freed: a worker may come when nobody waits for it any more.
        let address = Arc::into_raw(Arc::clone(&hall)) as usize;
        let about = Array::of3(&wasm_bindgen::module(), &wasm_bindgen::memory(), &JsValue::from(address));
        let (threads, lack) = self.hired(&about).await.unwrap_or((1.0, "no threads could be started".into()));
        (Simd::new().with_hired(hall, threads as usize), lack)
    }

    /// How many threads there are with the first, and why not more.
    async fn hired(&self, about: &Array) -> Option<(f64, String)> {
        let coming: Promise = Reflect::apply(&self.hire, &JsValue::NULL, about).ok()?.dyn_into().ok()?;
        let answer = JsFuture::from(coming).await.ok()?;
        let get = |key: &str| Reflect::get(&answer, &key.into()).ok();
        Some((get("threads")?.as_f64()?, get("lack")?.as_string()?))
    }

    /// Has one thread do the work while nobody looks, or all of them.
    pub(crate) fn calm(&self, calm: bool) {
        self.calm.replace(calm);
        if let Some(hall) = &*self.hall.borrow() {
            hall.calm(calm);
        }
    }
}

/// What a thread does, until the engine has no use for it: parts of the jobs of the hall at this address.
#[wasm_bindgen]
pub fn work(hall: usize) {
    // SAFETY: it is the address that `Crew::cpu` told, of what is never freed.
    unsafe { &*(hall as *const Hall) }.work();
}

/// Says that the part that a thread did is not done and never will be.
#[wasm_bindgen]
pub fn lose(hall: usize) {
    // SAFETY: the same.
    unsafe { &*(hall as *const Hall) }.finish(true);
}
