//! Any bytes as a chat template, rendered for a short chat.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use moebius_engine::session::{Message, Template, Variables};

fuzz_target!(|data: &[u8]| {
    let Ok(source) = std::str::from_utf8(data) else { return };
    let Ok(template) = Template::new(source, BTreeMap::from([("eos_token".into(), "</s>".into())])) else { return };
    let messages = [("system", "Short."), ("user", " Hi <|end|>\n"), ("assistant", "<think>a</think>b"), ("user", "日本")];
    let messages = messages.map(|(role, content)| Message::new(role, content));
    let controls = ["<|end|>".to_owned()];
    if let Ok(prompt) = template.render(&messages, &Variables::default(), &controls) {
        assert!(prompt.text().len() < 64 << 20);
    }
});
