//! `chat`: a conversation on the terminal.

use std::io::{BufRead, IsTerminal, Write, stdin, stdout};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use moebius_engine::chat::{Chat, ChatChunk, ChatRequest, Finish};
use moebius_engine::session::Message;
use moebius_engine::{Error, Result};

use crate::host::Terminal;
use crate::{args, load};

/// What a person can type besides messages.
const HELP: &str =
    "/new starts over, /think and /think off ask for thinking or none, /quit ends; Ctrl-C stops an answer";
/// Thinking is shown dim, where the terminal has colours.
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// Talks until `/quit` or the end of input.
pub(crate) async fn chat(arguments: &args::Chat) -> Result<()> {
    let name = arguments.model.path.file_name().map_or_else(|| "model".into(), |n| n.to_string_lossy().into_owned());
    let mut chat = Chat::over(name, load::session(&arguments.model).await?)?;
    let host = Terminal::default();
    let lines = input(host.stop.clone())?;
    let system = arguments.system.clone().or(chat.session.model.prefix.as_ref().map(|prefix| prefix.system.clone()));
    let opening = || system.iter().map(|text| Message::new("system", text)).collect::<Vec<_>>();
    let mut messages = opening();
    let mut thinking = arguments.thinking;
    eprintln!("{HELP}");
    loop {
        prompt();
        let Ok(line) = lines.recv() else { return Ok(()) };
        match line.trim() {
            "" => continue,
            "/quit" => return Ok(()),
            "/new" => messages = opening(),
            "/think" => thinking = Some(true),
            "/think off" => thinking = Some(false),
            command if command.starts_with('/') => eprintln!("{HELP}"),
            text => {
                messages.push(Message::new("user", text));
                host.stop.store(false, Ordering::Relaxed);
                match answer(&mut chat, &messages, arguments, thinking, &host).await {
                    Ok(message) => messages.push(message),
                    // The conversation goes on: one can shorten it or start over.
                    Err(error) => {
                        messages.pop();
                        eprintln!("moebius: {error}");
                    }
                }
            }
        }
    }
}

/// One answer, shown as it comes.
async fn answer(
    chat: &mut Chat,
    messages: &[Message],
    arguments: &args::Chat,
    thinking: Option<bool>,
    host: &Terminal,
) -> Result<Message> {
    let mut request = ChatRequest::new(messages.to_vec());
    request.common.choice.temperature = arguments.temperature;
    request.common.choice.seed = arguments.seed;
    request.enable_thinking = thinking;
    request.reasoning_budget = arguments.budget;
    let colours = stdout().is_terminal();
    let mut dim = false;
    let mut show = |chunk: ChatChunk| {
        for choice in chunk.choices {
            let parts = [(choice.delta.reasoning_content, true), (choice.delta.content, false)];
            for (text, thought) in parts {
                let Some(text) = text else { continue };
                if dim != thought {
                    print!("{}{}", if colours && !thought { PLAIN } else { "" }, if dim { "\n" } else { "" });
                    print!("{}", if colours && thought { DIM } else { "" });
                    dim = thought;
                }
                print!("{}", visible(&text));
            }
        }
        // What cannot be shown at once is shown at the end.
        drop(stdout().flush());
        ControlFlow::Continue(())
    };
    let reply = chat.respond(&request, host, &mut show).await;
    if colours {
        print!("{PLAIN}");
    }
    println!();
    let reply = reply?;
    let [choice] = reply.choices;
    match choice.finish_reason {
        Finish::Abort => eprintln!("(stopped)"),
        Finish::Length => eprintln!("(the context is full)"),
        Finish::Stop => {}
    }
    load::show_timings(&reply.timings);
    Ok(Message::new("assistant", choice.message.content))
}

/// A text without the control characters by which a model could drive the terminal.
fn visible(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

fn prompt() {
    print!("> ");
    // A prompt that cannot be shown is no reason to stop.
    drop(stdout().flush());
}

/// Lines of stdin from a thread of their own, and Ctrl-C as `stop`.
fn input(stop: Arc<AtomicBool>) -> Result<mpsc::Receiver<String>> {
    ctrlc::set_handler(move || {
        // A second Ctrl-C, or one while nothing is being said, ends the program.
        if stop.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    })
    .map_err(|e| Error::File { file: "Ctrl-C".into(), reason: e.to_string() })?;
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        for line in stdin().lock().lines() {
            let Ok(line) = line else { break };
            if send.send(line).is_err() {
                break;
            }
        }
    });
    Ok(receive)
}
