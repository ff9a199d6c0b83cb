//! `moebius`: language models on a terminal. Results go to stdout, progress and logs to stderr.

mod args;
mod bench;
mod chat;
mod cores;
mod disk;
mod generate;
mod host;
mod inspect;
mod load;
mod pack;
mod place;
mod serve;

use std::process::ExitCode;

use args::{Arguments, Command};
use clap::Parser;
use moebius_engine::Result;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let json = arguments.command.json();
    match pollster::block_on(run(arguments.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if json {
                let error = serde_json::json!({ "error": { "code": error.code(), "message": error.to_string() } });
                println!("{error}");
            } else {
                eprintln!("moebius: {error}");
            }
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<()> {
    match command {
        Command::Logits(a) => inspect::logits(&a).await,
        Command::Generate(a) => generate::generate(&a).await,
        Command::Perplexity(a) => generate::perplexity(&a).await,
        Command::Chat(a) => chat::chat(&a).await,
        Command::Tokenize(a) => inspect::tokenize(&a).await,
        Command::Template(a) => inspect::template(&a).await,
        Command::Bench(a) => bench::bench(&a).await,
        Command::Pack(a) => pack::pack(&a).await,
        Command::Serve(a) => serve::serve(&a),
    }
}
