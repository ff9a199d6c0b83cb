//! `bench`: how fast a model reads and writes, beside how fast the same memory can be read at all.

mod kernels;
mod probe;

use moebius_engine::Result;
use moebius_engine::device::Traffic;
use moebius_engine::model::Counts;
use moebius_engine::session::{Next, Request, Sampling, Session, Tokenizer};
use serde_json::{Value, json};

use crate::host::Terminal;
use crate::{args, disk, load};
use kernels::Kernel;
use probe::{launch, probe};

/// Tokens over which a token's traffic is counted.
const TOKENS: u64 = 8;

/// Measures reading prompts of given lengths and generating after each.
pub(crate) async fn bench(arguments: &args::Bench) -> Result<()> {
    let model = load::load(&arguments.model).await?;
    let text = match &arguments.text {
        Some(file) => Some(Tokenizer::of(&model.files)?.encode(&disk::text(file)?)?),
        None => None,
    };
    let (probe, least) = (probe(model.device.as_ref()).await?, launch(model.device.as_ref()).await?);
    let (device, bytes) = (model.device.name(), model.bytes_per_token());
    let mut session = Session::new(model).await?;
    let text = text.as_deref();
    let mut runs = Vec::new();
    // The first run finds cold caches and pipelines.
    run(&mut session, text, arguments.prompt[0], 4).await?;
    for prompt in &arguments.prompt {
        let timings = run(&mut session, text, *prompt, arguments.decode).await?;
        let rate = bytes as f64 * timings["predicted_per_second"].as_f64().unwrap_or(0.0) / 1e9;
        if !arguments.json {
            println!(
                "{prompt} tokens: read {:.1}/s, made {:.1}/s, {rate:.2} GB/s of weights, {:.0} % of {probe:.1} GB/s",
                timings["prompt_per_second"].as_f64().unwrap_or(0.0),
                timings["predicted_per_second"].as_f64().unwrap_or(0.0),
                100.0 * rate / probe
            );
            if let Some(hits) = timings["predicted_hits_percent"].as_f64() {
                println!("  {hits:.1} % of the experts it wanted after that were there");
            }
        }
        runs.push(json!({
            "prompt": prompt, "decode": arguments.decode, "prefill_tokens_per_second": timings["prompt_per_second"],
            "decode_tokens_per_second": timings["predicted_per_second"], "gb_per_second": rate,
            "percent_of_probe": 100.0 * rate / probe, "timings": timings}));
    }
    // Of a token, and of the chunk of a prompt that is read at once.
    let mut tables = Vec::new();
    for tokens in [1, session.chunk()].into_iter().filter(|_| arguments.kernels) {
        tables.push((tokens, kernels::kernels(&session.model, arguments.prompt[0], tokens).await?));
    }
    let (launches, traffic) = (session.launches(), traffic(&mut session, arguments.prompt[0]).await?);
    let fallbacks = session.model.device.fallbacks();
    if arguments.json {
        println!(
            "{}",
            json!({
            "device": device, "bytes_per_token": bytes, "probe_gb_per_second": probe,
            "dispatches_per_token": launches, "least_us_per_dispatch": least, "submissions_per_token": traffic.submissions,
            "bytes_read_per_token": traffic.read,
            "fallbacks": fallbacks, "runs": runs,
            "kernels": tables.iter().map(|(tokens, kernels)| json!({
                "tokens": tokens, "kernels": kernels.iter().map(Kernel::json).collect::<Vec<_>>()
            })).collect::<Vec<_>>()})
        );
    } else {
        for (tokens, kernels) in &tables {
            println!("Kernels of a play of {tokens}:");
            for k in kernels {
                let (name, launches) = (&k.name, k.launches);
                let rate = k.gb_per_second().map_or(String::new(), |rate| {
                    format!(", {rate:7.1} GB/s, {:3.0} % of the probe", 100.0 * rate / probe)
                });
                println!("  {name:22} {launches:4} launches {:9.3} ms, {:3.0} %{rate}", k.ms, k.percent);
            }
        }
        let Traffic { submissions, read } = traffic;
        println!(
            "A token: {bytes} bytes of weights, {launches} launches, {submissions} submissions, {read} bytes read back"
        );
        println!(
            "An empty launch after another takes {least:.2} µs: all of a token {:.2} ms",
            least * launches as f64 / 1e3
        );
        println!("On {device}");
        fallbacks.iter().for_each(|what| println!("{what}: it failed its test"));
    }
    Ok(())
}

/// Timings of one prompt and what follows it, with nothing kept.
async fn run(session: &mut Session, text: Option<&[u32]>, prompt: usize, decode: usize) -> Result<Value> {
    session.reset();
    let vocab = session.model.spec.vocab;
    // Ids spread over the vocabulary, so that experts are chosen as variously as by a text.
    let spread = |i: usize| (i * 7919 % vocab) as u32;
    let tokens: Vec<u32> = match text {
        Some(text) => text.iter().copied().cycle().take(prompt + decode).collect(),
        None => (0..prompt).map(spread).collect(),
    };
    let (tokens, after) = tokens.split_at(prompt);
    let mut after = Some(after.to_vec()).filter(|after| !after.is_empty());
    let request = Request {
        prompt: tokens,
        sampling: Sampling::greedy(),
        max_new: decode,
        stop_at_end: false,
        not_first: None,
        routing: false,
    };
    let residency = session.model.residency.clone();
    let counts = || residency.as_ref().map(|r| r.counts()).unwrap_or_default();
    let (mut read, before) = (None, counts());
    let mut sink = |_| {
        read.get_or_insert_with(counts);
        after.take().map_or(Next::Go, Next::Force)
    };
    let report = session.generate(&request, &Terminal::default(), &mut sink).await?;
    let (read, all) = (read.unwrap_or(before), counts());
    let rate = |from: Counts, to: Counts| {
        let wanted = to.wanted - from.wanted;
        (wanted > 0).then(|| 100.0 - 100.0 * (to.missed - from.missed) as f64 / wanted as f64)
    };
    let mut timings = json!(report.timings);
    timings["prompt_hits_percent"] = json!(rate(before, read));
    timings["predicted_hits_percent"] = json!(rate(read, all));
    Ok(timings)
}

/// What a token more sends to the device and has read back.
async fn traffic(session: &mut Session, prompt: usize) -> Result<Traffic> {
    let mut seen = [Traffic::default(); 2];
    for (tokens, seen) in [1, 1 + TOKENS].into_iter().zip(&mut seen) {
        let before = session.model.device.traffic();
        run(session, None, prompt, tokens as usize).await?;
        let after = session.model.device.traffic();
        *seen = Traffic { submissions: after.submissions - before.submissions, read: after.read - before.read };
    }
    let [one, more] = seen;
    let each = |one: u64, more: u64| (more - one).div_ceil(TOKENS);
    Ok(Traffic { submissions: each(one.submissions, more.submissions), read: each(one.read, more.read) })
}
