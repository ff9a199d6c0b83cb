//! A session: tokenizer, chat template, and the token loop over a model with its cache.

mod choose;
mod host;
mod report;
mod sampling;
mod score;
mod template;
mod token_loop;
mod tokenizer;

pub use host::Host;
pub use report::{Finish, Report, Timings};
pub use sampling::Sampling;
pub use template::{Message, Prompt, Template, Variables};
pub use token_loop::{CHUNK, Next, Request, Session};
pub use tokenizer::{Stream, Tokenizer, Utf8};
