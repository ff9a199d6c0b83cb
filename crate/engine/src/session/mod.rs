//! A session: tokenizer, chat template, and the token loop over a model with its cache.

mod choose;
mod host;
mod kept;
mod recover;
mod report;
mod rig;
mod sampling;
mod score;
mod template;
mod token_loop;
mod tokenizer;

pub use host::Host;
pub use kept::{CHUNK, Next, Request, Session, Token};
pub use recover::Recover;
pub use report::{Finish, Report, Timings};
pub use sampling::Sampling;
pub use template::{Message, Prompt, Template, Variables};
pub use tokenizer::{Stream, Tokenizer, Utf8};
