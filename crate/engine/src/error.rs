//! The one error type: every message names the file, tensor, field and limit it is about.

use std::fmt;

/// Result of everything in the engine that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, typed so that a page or a script can act on it. [`Error::code`] is stable; messages may improve.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A file is missing, unreachable or of the wrong size.
    #[error("{file}: {reason}")]
    File {
        /// Name of the file inside the model's folder.
        file: String,
        /// What is wrong, with the figures.
        reason: String,
    },
    /// A file's header or structure breaks its format.
    #[error("{file}: malformed: {field}: {reason}")]
    Malformed {
        /// Name of the file.
        file: String,
        /// The header field, key or offset at fault.
        field: String,
        /// What is wrong, with the figures.
        reason: String,
    },
    /// A tensor is missing, or has another shape or type than the model's configuration asks for.
    #[error("{file}: tensor {tensor}: {reason}")]
    Tensor {
        /// Name of the file (or of the index, if no file has the tensor).
        file: String,
        /// Name of the tensor.
        tensor: String,
        /// What is wrong, with both shapes.
        reason: String,
    },
    /// A configuration value is missing, of the wrong kind or out of range.
    #[error("{file}: {field}: {reason}")]
    Config {
        /// Name of the file.
        file: String,
        /// Key of the value.
        field: String,
        /// What is wrong.
        reason: String,
    },
    /// The model asks for something this engine does not do. Nothing is ever run approximately.
    #[error("not supported: {what}: {missing}")]
    Unsupported {
        /// The architecture, option or format.
        what: String,
        /// What would be needed.
        missing: String,
    },
    /// A bound on memory, length or time would be passed.
    #[error("{what} is {value}, over the limit of {limit}")]
    Limit {
        /// The quantity, with its unit.
        what: String,
        /// Its value.
        value: u64,
        /// The bound.
        limit: u64,
    },
    /// The prompt does not fit the context.
    #[error("the prompt has {prompt} tokens, and the context holds {context}")]
    ContextFull {
        /// Tokens in the prompt.
        prompt: usize,
        /// Tokens the context holds.
        context: usize,
    },
    /// A chat template failed: a syntax error, a call to `raise_exception`, or no fuel left.
    #[error("chat template: {0}")]
    Template(String),
    /// The tokenizer file is unusable, or a text could not be tokenised.
    #[error("tokenizer: {0}")]
    Tokenizer(String),
    /// A request has a field that is unknown, unsupported or out of range.
    #[error("request: {field}: {reason}")]
    Request {
        /// Name of the field.
        field: String,
        /// What is wrong.
        reason: String,
    },
    /// There is no memory for something.
    #[error("no memory for {what}: {bytes} bytes")]
    Memory {
        /// A tensor, or what else it is.
        what: String,
        /// Its size.
        bytes: u64,
    },
    /// The device refused an operation.
    #[error("device: {0}")]
    Device(String),
    /// The device is gone for good, with all that was on it; another one may do.
    #[error("the device was lost: {0}")]
    Lost(String),
}

impl Error {
    /// Stable machine-readable code, as in the terminal's and the page's error objects.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Error::File { .. } => "file",
            Error::Malformed { .. } => "malformed",
            Error::Tensor { .. } => "tensor",
            Error::Config { .. } => "config",
            Error::Unsupported { .. } => "unsupported",
            Error::Limit { .. } => "limit",
            Error::ContextFull { .. } => "context_full",
            Error::Template(_) => "template",
            Error::Tokenizer(_) => "tokenizer",
            Error::Request { .. } => "request",
            Error::Memory { .. } => "memory",
            Error::Device(_) => "device",
            Error::Lost(_) => "device_lost",
        }
    }

    /// A tensor error; see [`Error::Tensor`].
    pub fn tensor(file: impl fmt::Display, tensor: impl fmt::Display, reason: impl fmt::Display) -> Self {
        Error::Tensor { file: file.to_string(), tensor: tensor.to_string(), reason: reason.to_string() }
    }

    /// A configuration error; see [`Error::Config`].
    pub fn config(file: impl fmt::Display, field: impl fmt::Display, reason: impl fmt::Display) -> Self {
        Error::Config { file: file.to_string(), field: field.to_string(), reason: reason.to_string() }
    }
}
