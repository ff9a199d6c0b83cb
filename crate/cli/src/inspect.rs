//! `logits`, `tokenize` and `template`: what a model makes of given tokens, text and messages.

use moebius_engine::model::Files;
use moebius_engine::session::{Host, Message, Template, Tokenizer, Variables};
use moebius_engine::{Error, Result};
use serde_json::{Map, Value, json};

use crate::disk::{self, Disk};
use crate::host::Terminal;
use crate::{args, load};

/// Logits shown to a person.
const SHOWN: usize = 10;

/// Prints the logits after a prompt.
pub(crate) async fn logits(arguments: &args::Logits) -> Result<()> {
    let mut session = load::session(&arguments.model).await?;
    let logits = session.logits(&arguments.tokens, &Terminal::default()).await?;
    if arguments.json {
        println!("{}", json!({ "logits": logits }));
        return Ok(());
    }
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]));
    for id in order.into_iter().take(SHOWN) {
        println!("{id:8} {:10.4}", logits[id]);
    }
    Ok(())
}

/// Prints the ids of a text.
pub(crate) async fn tokenize(arguments: &args::Tokenize) -> Result<()> {
    let tokenizer = Tokenizer::of(&Files::read(&Disk::texts(&arguments.path)?).await?)?;
    let text = match (&arguments.text, &arguments.text_file) {
        (Some(text), _) => text.clone(),
        (None, Some(file)) => disk::text(file)?,
        (None, None) => return Err(Error::Request { field: "text".into(), reason: "missing".into() }),
    };
    print_ids(&tokenizer.encode(&text)?, None, arguments.json);
    Ok(())
}

/// Prints the prompt of a conversation.
pub(crate) async fn template(arguments: &args::Template) -> Result<()> {
    let files = Files::read(&Disk::texts(&arguments.path)?).await?;
    let tokenizer = Tokenizer::of(&files)?;
    let template = Template::of(&files)?;
    let template = template.ok_or_else(|| Error::Template("the model has none".into()))?;
    let (messages, variables) = conversation(&disk::text(&arguments.messages)?)?;
    let variables = Variables { enable_thinking: arguments.thinking, now: Terminal::default().now(), ..variables };
    let prompt = template.render(&messages, &variables, tokenizer.controls())?;
    print_ids(&tokenizer.encode_prompt(&prompt)?, Some(&prompt.text()), arguments.json);
    Ok(())
}

/// Messages of a JSON text, and what else the template is to see.
fn conversation(text: &str) -> Result<(Vec<Message>, Variables)> {
    let wrong = |reason: String| Error::Request { field: "messages".into(), reason };
    let mut variables = Variables::default();
    let value = serde_json::from_str(text).map_err(|e| wrong(e.to_string()))?;
    let Value::Object(mut value) = value else {
        let messages = serde_json::from_value(value).map_err(|e| wrong(e.to_string()))?;
        return Ok((moebius_engine::chat::messages(messages)?, variables));
    };
    let messages = value.shift_remove("messages").ok_or_else(|| wrong("missing".into()))?;
    let messages: Vec<Map<String, Value>> = serde_json::from_value(messages).map_err(|e| wrong(e.to_string()))?;
    if let Some(add) = value.shift_remove("add_generation_prompt") {
        variables.add_generation_prompt = add == true;
    }
    variables.more = value.into_iter().collect();
    Ok((messages.into_iter().map(Message::whole).collect(), variables))
}

fn print_ids(ids: &[u32], text: Option<&str>, json: bool) {
    match (json, text) {
        (true, Some(text)) => println!("{}", json!({ "text": text, "ids": ids })),
        (true, None) => println!("{}", json!({ "ids": ids })),
        (false, Some(text)) => println!("{text}"),
        (false, None) => println!("{}", ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")),
    }
}
