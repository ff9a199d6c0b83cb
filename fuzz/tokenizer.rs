//! Any bytes as a tokenizer.json, and what it makes of a text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use moebius_engine::session::Tokenizer;

const TEXT: &str = "It's  a <|end|> and 1234 of\r\n\u{301}é 日本 🙂\u{200D} x_y\t</s> \u{0}";

fuzz_target!(|data: &[u8]| {
    let Ok(tokenizer) = Tokenizer::new(data) else { return };
    for text in ["", TEXT, &TEXT.repeat(3)] {
        let Ok(ids) = tokenizer.encode(text) else { continue };
        assert!(ids.iter().all(|id| !tokenizer.is_control(*id)));
        drop(tokenizer.decode(&ids));
    }
});
