//! Chat templates: the text and ids transformers makes, bounded work, and control tokens that messages cannot make.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::Instant;

use moebius_engine::Error;
use moebius_engine::model::Files;
use moebius_engine::session::{Message, Template, Tokenizer, Variables};

use moebius_tests::{bytes, ids, json};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Tokenizer and template of a fixture.
fn folder(name: &str) -> (Tokenizer, Template) {
    let text = |file: &str| std::fs::read_to_string(moebius_tests::fixture(&format!("{name}/{file}"))).ok();
    let tokenizer = Tokenizer::new(text("tokenizer.json").unwrap().as_bytes()).unwrap();
    let (tokenizer_config, chat_template) = (text("tokenizer_config.json"), text("chat_template.jinja"));
    let files = Files { tokenizer_config, chat_template, ..Files::default() };
    (tokenizer, Template::of(&files).unwrap().unwrap())
}

fn template(source: &str) -> Template {
    Template::new(source, BTreeMap::new()).unwrap()
}

fn render(source: &str, messages: &[Message]) -> moebius_engine::Result<String> {
    template(source).render(messages, &Variables::default(), &[]).map(|prompt| prompt.text())
}

fn parse(messages: &Value) -> Vec<Message> {
    moebius_engine::chat::messages(messages.as_array().unwrap().clone()).unwrap()
}

#[test]
fn renders_and_encodes_as_transformers_does() {
    for name in ["tokenizer", "tokenizer/deepseek"] {
        let (tokenizer, template) = folder(name);
        let cases = json(&format!("{name}/prompts.json"));
        for case in cases.as_array().unwrap() {
            let messages = parse(&case["messages"]);
            let prompt = template.render(&messages, &Variables::default(), tokenizer.controls()).unwrap();
            let label = format!("{name}: {}", case["name"]);
            assert_eq!(prompt.text(), case["text"].as_str().unwrap(), "{label}");
            assert_eq!(tokenizer.encode_prompt(&prompt).unwrap(), ids(&case["ids"]), "{label}");
        }
        assert!(cases.as_array().unwrap().len() >= 12, "{name}");
    }
}

#[test]
fn no_control_token_comes_out_of_a_message() {
    let (tokenizer, template) = folder("tokenizer");
    let count = |content: &str| {
        let prompt = template.render(&[Message::new("user", content)], &Variables::default(), tokenizer.controls());
        let ids = tokenizer.encode_prompt(&prompt.unwrap()).unwrap();
        ids.iter().filter(|id| tokenizer.is_control(**id)).count()
    };
    let honest = count("hello");
    for control in tokenizer.controls() {
        for text in
            [control.clone(), format!("x{control}"), format!("{control}{control}"), format!("\u{F0000}{control}")]
        {
            assert_eq!(count(&text), honest, "{text:?}");
        }
    }
}

#[test]
fn a_token_in_two_halves_is_not_joined() {
    let tokenizer = Tokenizer::new(&bytes("tokenizer/tokenizer.json")).unwrap();
    let joined = template("{% for m in messages %}{{ m.content }}{% endfor %}<|end|>");
    for cut in 1.."<|end|>".len() {
        let (a, b) = "<|end|>".split_at(cut);
        let messages = [Message::new("user", a), Message::new("user", b)];
        let prompt = joined.render(&messages, &Variables::default(), tokenizer.controls()).unwrap();
        assert_eq!(prompt.text(), "<|end|><|end|>");
        let ids = tokenizer.encode_prompt(&prompt).unwrap();
        assert_eq!(ids.iter().filter(|id| **id == 1).count(), 1, "{a} {b}: {ids:?}");
    }
}

#[test]
fn old_reasoning_is_cut_by_the_template() {
    let (tokenizer, template) = folder("tokenizer/deepseek");
    let messages = [Message::new("user", "2+2"), Message::new("assistant", "<think>two and two</think>4")];
    let prompt = template.render(&messages, &Variables::default(), tokenizer.controls()).unwrap();
    assert!(prompt.text().contains("<｜Assistant｜>4<"), "{}", prompt.text());
}

#[test]
fn thinking_is_a_variable_by_both_names() {
    let both = "{{ enable_thinking is defined }} {{ thinking is defined }} {{ enable_thinking }} {{ thinking }}";
    let text = |enable_thinking| {
        let variables = Variables { enable_thinking, ..Variables::default() };
        template(both).render(&[Message::new("user", "")], &variables, &[]).unwrap().text()
    };
    assert_eq!(text(None), "False False  ");
    assert_eq!(text(Some(false)), "True True False False");
}

#[test]
fn python_habits_work() {
    let messages = [Message::new("user", "  Hi  ")];
    let case = |source: &str, text: &str| assert_eq!(render(source, &messages).unwrap(), text, "{source}");
    case("{{ messages[0]['content'].strip() }}", "Hi");
    case("{{ messages[0].content | trim }}", "Hi");
    case("{{ messages[-1].role.upper() }}", "USER");
    case("{%- for m in messages %}\n  {% if loop.first %}\nA\n  {% endif %}\n{% endfor %}", "A\n");
    case(
        "{% for i in range(9) %}{% if i == 2 %}{% continue %}{% elif i == 4 %}{% break %}{% endif %}{{ i }}{% endfor %}",
        "013",
    );
    case("{% set ns = namespace(a=1) %}{% set ns.a = ns.a + 1 %}{{ ns.a }}", "2");
    case("{{ {'b': [1, 2.5, None, True], 'a': 'é<'} | tojson }}", r#"{"b": [1, 2.5, null, true], "a": "é<"}"#);
    case("{{ {'b': [], 'a': [1]} | tojson(indent=2, sort_keys=true) }}", "{\n  \"a\": [\n    1\n  ],\n  \"b\": []\n}");
    case("{% generation %}x{%- endgeneration %}", "x");
    case("{{ tools is none }}{{ missing }}{% if missing %}no{% endif %}", "True");
    case("{{ messages | map(attribute='role') | list }}", "['user']");
}

#[test]
fn the_date_is_the_callers() {
    let variables = Variables { now: 1_709_210_096_789.0, ..Variables::default() };
    let text = |format: &str| {
        let source = format!("{{{{ strftime_now('{format}') }}}}");
        template(&source).render(&[Message::new("user", "")], &variables, &[]).unwrap().text()
    };
    assert_eq!(text("%Y-%m-%d %H:%M:%S"), "2024-02-29 12:34:56");
    assert_eq!(text("%d %b %Y, %A %B %y %I%p %%"), "29 Feb 2024, Thursday February 24 12PM %");
}

#[test]
fn a_template_can_refuse() {
    let refused = render("{{ raise_exception('roles must alternate') }}", &[Message::new("user", "")]);
    assert!(matches!(&refused, Err(Error::Template(why)) if why.contains("roles must alternate")), "{refused:?}");
}

#[test]
fn bombs_are_refused_quickly() {
    let nest = "{% set ns = namespace(x=[]) %}{% for i in range(9999) %}{% set ns.x = [ns.x] %}{% endfor %}";
    let share = "{% set ns = namespace(x=[1]) %}{% for i in range(40) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}";
    let bombs = [
        "{% for a in range(99999) %}{% for b in range(99999) %}{{ a }}{% endfor %}{% endfor %}".to_owned(),
        "{{ 'x' * 1000000000 }}".to_owned(),
        "{{ (0,) * 100000000 }}".to_owned(),
        "{{ range(1000000000) | list }}".to_owned(),
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}".to_owned(),
        "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}".to_owned(),
        format!("{nest}{{{{ ns.x | tojson }}}}"),
        format!("{share}{{{{ ns.x | tojson }}}}"),
        format!("{share}{{{{ ns.x }}}}"),
        format!("{share}{{{{ ns.x | string | length }}}}"),
        format!("{share}{{{{ ns.x | join('') | length }}}}"),
        format!("{share}{{{{ ''.join(ns.x) | length }}}}"),
        "{{ '{:1000000000}'.format(1) | length }}".to_owned(),
        "{{ '{:{}}'.format(1, 1000000000) | length }}".to_owned(),
        "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}"
            .to_owned(),
        "{{ 'a'.replace('a', 'a' * 100000).replace('a', 'a' * 100000) }}".to_owned(),
    ];
    for bomb in bombs {
        let start = Instant::now();
        let result = render(&bomb, &[Message::new("user", "hi")]);
        let took = start.elapsed();
        assert!(matches!(result, Err(Error::Template(_))), "{bomb}: {:?}", result.map(|text| text.len()));
        assert!(took.as_millis() < 2_000, "{bomb}: {took:?}");
    }
}

#[test]
fn bad_sources_are_refused() {
    let specials = BTreeMap::new;
    for bad in ["{% if %}", "{%}", "{%", "{%%}", "a {% generation %} {%}"] {
        assert!(matches!(Template::new(bad, specials()), Err(Error::Template(_))), "{bad}");
    }
    assert!(matches!(Template::new("{% if true %}".repeat(50_000), specials()), Err(Error::Template(_))));
    assert!(matches!(Template::new("x".repeat(2 << 20), specials()), Err(Error::Limit { .. })));
}

#[test]
fn a_long_honest_prompt_renders() {
    let messages = [Message::new("user", "word ".repeat(200_000))];
    let text = render(
        "{% for m in messages %}{{ '<|' + m.role + '|>' + m.content | trim + '<|end|>' }}{% endfor %}",
        &messages,
    );
    assert_eq!(text.unwrap().len(), 8 + 999_999 + 7);
}

#[test]
fn templates_are_found_where_models_keep_them() {
    assert_eq!(Template::of(&Files::default()).unwrap(), None);
    let named = json!([{"name": "tool_use", "template": "no"}, {"name": "default", "template": "{{ bos_token }}yes"}]);
    let config = json!({"bos_token": {"content": "<s>"}, "eos_token": "</s>", "chat_template": named});
    let text = |chat_template: Option<&str>| {
        let files = Files {
            tokenizer_config: Some(config.to_string()),
            chat_template: chat_template.map(str::to_owned),
            ..Files::default()
        };
        let template = Template::of(&files).unwrap().unwrap();
        assert_eq!(template.eos_token(), Some("</s>"));
        template.render(&[Message::new("user", "")], &Variables::default(), &[]).unwrap().text()
    };
    assert_eq!(text(None), "<s>yes");
    assert_eq!(text(Some("{{ eos_token }}file")), "</s>file");
}

/// What templates can ask of Jinja and minijinja does not do: `%` between texts, and rare methods and filters.
const LACKING: [&str; 5] = ["% operator", "unknown method", "unknown test", "unknown filter", "unknown function"];

/// Chats of every kind: tools and calls of them, reasoning, parts, unknown roles, markup.
#[test]
fn renders_real_templates_as_jinja_does() {
    let golden = json("templates.json");
    let (mut same, mut refused, mut different) = (0, Vec::new(), Vec::new());
    for case in golden["cases"].as_array().unwrap() {
        let chat = &golden["chats"][case["chat"].as_str().unwrap()];
        let source = match case["template"].as_str() {
            Some(file) => String::from_utf8(bytes(&format!("templates/{file}"))).unwrap(),
            None => case["source"].as_str().unwrap().to_owned(),
        };
        let messages = chat["messages"].as_array().unwrap().iter();
        let messages: Vec<Message> = messages.map(|m| Message::whole(m.as_object().unwrap().clone())).collect();
        let mut more: BTreeMap<String, Value> = chat["variables"].as_object().unwrap().clone().into_iter().collect();
        let add_generation_prompt = more.remove("add_generation_prompt") == Some(json!(true));
        // 2026-03-09T14:05:07
        let variables = Variables { add_generation_prompt, more, now: 1_773_065_107_000.0, ..Variables::default() };
        let specials = golden["always"].as_object().unwrap().iter();
        let specials = specials.map(|(k, v)| (k.clone(), v.as_str().unwrap().to_owned())).collect();
        let controls = ["<|im_start|>", "<|im_end|>", "[INST]", "<think>", "</think>"].map(str::to_owned);
        let result = Template::new(source, specials).and_then(|t| t.render(&messages, &variables, &controls));
        let label = format!("{} on {}", case.get("template").unwrap_or(&case["source"]), case["chat"]);
        match result {
            Ok(prompt) if is(case, &prompt.text()) => same += 1,
            Err(Error::Template(why))
                if case.get("error").is_some() && case["message"].as_str().is_none_or(|said| why.contains(said)) =>
            {
                same += 1;
            }
            // Python habits that minijinja has not: refused, by name, and never rendered otherwise.
            Err(Error::Template(why)) if LACKING.iter().any(|lack| why.contains(lack)) => {
                refused.push(format!("{label}: {why}"));
            }
            result => different.push(format!("{label}: {case}, not {:?}", result.map(|p| p.text()))),
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
    println!("{same} renders as Jinja's, {} refused:\n{}", refused.len(), refused.join("\n"));
    assert!(same > 450 && refused.len() <= 12, "{same} same, {} refused", refused.len());
}

/// Whether a text is what a case has, whole or by its SHA-256.
fn is(case: &Value, text: &str) -> bool {
    match case["sha256"].as_str() {
        Some(sha256) => {
            let digest = Sha256::digest(text);
            (0..6).all(|i| u8::from_str_radix(&sha256[2 * i..][..2], 16) == Ok(digest[i]))
        }
        None => case["text"].as_str() == Some(text),
    }
}

/// What people write is text wherever it stands in a message.
#[test]
fn no_control_token_comes_out_of_calls_and_parts() {
    let (tokenizer, _) = folder("tokenizer");
    let everything = template("{% for m in messages %}{{ m | tojson }}{{ m.content[0].text }}{% endfor %}<|end|>");
    let message = json!({"role": "tool", "name": "<|end|>", "content": [{"type": "text", "text": "a<|end|>"}],
        "tool_calls": [{"function": {"name": "f", "arguments": {"x": ["<|user|>"]}}}]});
    let messages = [Message::whole(message.as_object().unwrap().clone())];
    let prompt = everything.render(&messages, &Variables::default(), tokenizer.controls()).unwrap();
    assert!(prompt.text().contains("a<|end|><|end|>") && prompt.text().contains("[\"<|user|>\"]"), "{}", prompt.text());
    let ids = tokenizer.encode_prompt(&prompt).unwrap();
    assert_eq!(ids.iter().filter(|id| tokenizer.is_control(**id)).count(), 1);
}
