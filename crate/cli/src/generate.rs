//! `generate` and `perplexity`: what a model makes of token ids, and how well it expects a text.

use std::io::{Write, stdout};

use moebius_engine::Result;
use moebius_engine::session::{Next, Request, Sampling, Token};
use serde_json::json;

use crate::host::Terminal;
use crate::{args, disk, load};

/// Prints the tokens that follow a prompt.
pub(crate) async fn generate(arguments: &args::Generate) -> Result<()> {
    let mut session = load::session(&arguments.model).await?;
    let mut sampling = Sampling { seed: arguments.seed, ..Sampling::greedy() };
    if !arguments.greedy {
        sampling.settings.temperature = arguments.temperature;
        sampling.settings.top_k = arguments.top_k;
        sampling.settings.top_p = arguments.top_p;
        sampling.settings.min_p = arguments.min_p;
        sampling.settings.repetition_penalty = arguments.repetition_penalty;
    }
    let request = Request {
        prompt: &arguments.tokens,
        sampling,
        max_new: arguments.max_new,
        stop_at_end: !arguments.ignore_eos,
        not_first: None,
        routing: false,
    };
    let show = |token: Token| {
        if !arguments.json {
            print!("{} ", token.id);
            // What cannot be shown at once is shown at the end.
            drop(stdout().flush());
        }
        Next::Go
    };
    let report = session.generate(&request, &Terminal::default(), &mut { show }).await?;
    if arguments.json {
        let finish = report.finish;
        println!("{}", json!({ "tokens": report.tokens, "timings": report.timings, "finish_reason": finish }));
    } else {
        println!();
        load::show_timings(&report.timings);
    }
    Ok(())
}

/// Prints how well a model expects a text: mean negative log-probability a token in nats, and its exponential.
pub(crate) async fn perplexity(arguments: &args::Perplexity) -> Result<()> {
    let text = disk::text(&arguments.text)?;
    let mut session = load::session(&arguments.model).await?;
    let tokens = session.tokenizer()?.encode(&text)?;
    let window = session.model.context;
    let scores = session.score(&tokens, window, &Terminal::default()).await?;
    let nll = scores.iter().sum::<f64>() / scores.len() as f64;
    if arguments.json {
        println!("{}", json!({ "tokens": scores.len(), "nll": nll, "ppl": nll.exp() }));
    } else {
        println!("{} tokens, {nll:.5} nats a token, perplexity {:.4}", scores.len(), nll.exp());
    }
    Ok(())
}
