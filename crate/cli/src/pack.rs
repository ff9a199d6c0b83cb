//! `pack`: a model's folder into a folder that can be streamed.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use async_trait::async_trait;
use moebius_engine::Result;
use moebius_engine::chat::Chat;
use moebius_engine::device::Simd;
use moebius_engine::model::{LoadOptions, Prefix, Room, Routes};
use moebius_engine::session::Session;
use moebius_engine::weights::{Precision, Sink};
use serde_json::json;

use crate::cores::cores;
use crate::disk::{self, Disk, file_error};
use crate::host::Terminal;
use crate::{args, load};

/// A new folder that files are written to.
struct Folder {
    root: PathBuf,
    open: Option<(String, BufWriter<File>)>,
}

#[async_trait(?Send)]
impl Sink for Folder {
    async fn begin(&mut self, name: &str, _bytes: u64) -> Result<()> {
        let file = File::create_new(self.root.join(name)).map_err(|e| file_error(name, e))?;
        self.open = Some((name.to_owned(), BufWriter::new(file)));
        Ok(())
    }

    async fn write(&mut self, data: &[u8]) -> Result<()> {
        match &mut self.open {
            Some((name, file)) => file.write_all(data).map_err(|e| file_error(&*name, e)),
            None => Err(file_error(&self.root, "no file is open")),
        }
    }

    async fn end(&mut self) -> Result<()> {
        match self.open.take() {
            Some((name, mut file)) => file.flush().map_err(|e| file_error(name, e)),
            None => Ok(()),
        }
    }
}

/// Packs a model. The folder must be new or empty, so that no file of another model is left in it.
pub(crate) async fn pack(arguments: &args::Pack) -> Result<()> {
    let out = &arguments.out;
    let source = Disk::open(&arguments.source)?;
    fs::create_dir_all(out).map_err(|e| file_error(out, e))?;
    if fs::read_dir(out).map_err(|e| file_error(out, e))?.next().is_some() {
        return Err(file_error(out, "is not empty"));
    }
    let precision = arguments.format.map_or_else(Default::default, args::Format::precision);
    let mut session = match (&arguments.heat, &arguments.system) {
        (None, None) => None,
        _ => Some(session(arguments, precision).await?),
    };
    let routes = match (&arguments.heat, &mut session) {
        (Some(text), Some(session)) => Some(routes(session, text).await?),
        _ => None,
    };
    let heat = routes.as_ref().map(Routes::heat).unwrap_or_default();
    let opening = match (&arguments.system, session) {
        (Some(file), Some(session)) => Some(opening(session, file).await?),
        _ => None,
    };
    let mut folder = Folder { root: out.clone(), open: None };
    let mut progress = load::Percent::new("packing");
    let mut show = |p| progress.show(p);
    let beside = (&heat, opening.as_ref());
    let (manifest, fallbacks) = moebius_engine::model::pack(&source, precision, beside, &mut folder, &mut show).await?;
    progress.end();
    for fallback in &fallbacks {
        eprintln!(
            "{}: {} columns are not whole blocks; kept as {}",
            fallback.tensor,
            fallback.cols,
            fallback.format.name()
        );
    }
    let hits = |room: &Room| 100.0 * routes.as_ref().and_then(|routes| routes.hits(*room)).unwrap_or(1.0);
    let hits: Vec<f64> = arguments.experts.iter().map(hits).collect();
    let bytes: u64 = manifest.files.iter().chain(&manifest.shards).map(|f| f.bytes).sum();
    if arguments.json {
        let (shards, precision) = (manifest.shards.len(), manifest.precision);
        println!("{}", json!({ "bytes": bytes, "shards": shards, "precision": precision, "hits_percent": hits }));
    } else {
        println!(
            "{}: {:.1} MB in {} shards, {}",
            out.display(),
            bytes as f64 / 1e6,
            manifest.shards.len(),
            manifest.precision
        );
        for (room, hits) in arguments.experts.iter().zip(hits) {
            println!("  {hits:.1} % of the experts that the text wants are found in {}", told(*room));
        }
    }
    Ok(())
}

/// A session on the model as it will be packed.
async fn session(arguments: &args::Pack, precision: Precision) -> Result<Session> {
    let source = Rc::new(Disk::open(&arguments.source)?);
    let device = Rc::new(Simd::new().with_threads(cores()));
    let options = LoadOptions { precision, ..LoadOptions::default() };
    let mut progress = load::Percent::new("loading");
    let mut show = |p| progress.show(p);
    let session = Session::stream(source, device, &options, Room::All, &mut show).await?;
    progress.end();
    Ok(session)
}

/// What a system prompt comes to.
async fn opening(session: Session, file: &Path) -> Result<Prefix> {
    let system = disk::text(file)?;
    let mut chat = Chat::over("model", session)?;
    let opening = chat.opening(system.trim(), &Terminal::default()).await?;
    eprintln!("{} tokens come computed", opening.tokens.len());
    Ok(opening)
}

/// What experts the tokens of a text choose.
async fn routes(session: &mut Session, text: &Path) -> Result<Routes> {
    let text = disk::text(text)?;
    let tokens = session.tokenizer()?.encode(&text)?;
    eprintln!("measuring heat on {} tokens", tokens.len());
    session.routes(&tokens, session.model.context, &Terminal::default()).await
}

/// A room as a person writes it.
fn told(room: Room) -> String {
    match room {
        Room::All => "all of them".into(),
        Room::Share(share) => format!("{:.0} %", 100.0 * share),
        Room::Bytes(bytes) => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
