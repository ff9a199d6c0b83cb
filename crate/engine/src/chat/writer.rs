//! From tokens to the parts of an answer: reasoning and content, cut at stop texts, in whole characters.

use crate::session::{Stream, Tokenizer};

/// The marks of reasoning.
const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// What a token added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) reasoning: String,
    pub(super) content: String,
    /// A stop text has come; the answer is complete.
    pub(super) stopped: bool,
}

/// Writes an answer as its tokens come.
pub(super) struct Writer<'a> {
    tokenizer: &'a Tokenizer,
    stream: Stream,
    stops: &'a [String],
    /// Marks to look for in text: none where they are control tokens or reasoning is not looked for.
    text_marks: bool,
    open: Option<u32>,
    pub(super) close: Option<u32>,
    /// Inside reasoning.
    pub(super) thinking: bool,
    /// Nothing but white space has come since the last mark.
    fresh: bool,
    /// A mark has come, so white space around parts is the format's and not the answer's.
    marked: bool,
    /// Text that may be the start of a mark or a stop text, or white space that may end the reasoning.
    held: String,
    /// Tokens of reasoning, marks not counted.
    pub(super) reasoning_tokens: usize,
}

impl<'a> Writer<'a> {
    /// A writer of plain text: no reasoning.
    pub(super) fn plain(tokenizer: &'a Tokenizer, stops: &'a [String]) -> Self {
        Writer {
            tokenizer,
            stream: tokenizer.stream(),
            stops,
            text_marks: false,
            open: None,
            close: None,
            thinking: false,
            fresh: false,
            marked: false,
            held: String::new(),
            reasoning_tokens: 0,
        }
    }

    /// A writer of an answer after a prompt that ends `thinking` or not.
    pub(super) fn answer(tokenizer: &'a Tokenizer, stops: &'a [String], thinking: bool) -> Self {
        let (open, close) = (tokenizer.id(OPEN), tokenizer.id(CLOSE));
        let text_marks = open.is_none() || close.is_none();
        let plain = Writer::plain(tokenizer, stops);
        Writer { text_marks, open, close, thinking, fresh: thinking, marked: thinking, ..plain }
    }

    /// Takes a token.
    pub(super) fn push(&mut self, id: u32) -> Piece {
        let mut piece = Piece::default();
        if !self.text_marks && Some(id) == self.open {
            self.mark(true, &mut piece);
        } else if !self.text_marks && self.thinking && Some(id) == self.close {
            self.mark(false, &mut piece);
        } else {
            self.reasoning_tokens += usize::from(self.thinking);
            if !self.tokenizer.is_control(id) {
                self.held += &self.stream.push(self.tokenizer, id);
                self.sort(&mut piece, false);
            }
        }
        piece
    }

    /// The end: what was held back.
    pub(super) fn finish(&mut self) -> Piece {
        let mut piece = Piece::default();
        self.held += self.stream.finish();
        self.sort(&mut piece, true);
        piece
    }

    /// A mark: what was held belongs to the part before it.
    fn mark(&mut self, thinking: bool, piece: &mut Piece) {
        self.held += self.stream.finish();
        self.sort(piece, true);
        (self.thinking, self.fresh, self.marked) = (thinking, true, true);
    }

    /// Moves held text to its part, as far as it is certain.
    fn sort(&mut self, piece: &mut Piece, end: bool) {
        while let Some((at, mark)) = self.text_mark() {
            let rest = self.held.split_off(at);
            self.emit(piece, true);
            self.held = rest[mark.len()..].to_owned();
            (self.thinking, self.fresh, self.marked) = (mark == OPEN, true, true);
        }
        self.emit(piece, end);
    }

    /// The first mark in the held text, where marks are text.
    fn text_mark(&self) -> Option<(usize, &'static str)> {
        let mark = if self.thinking { CLOSE } else { OPEN };
        // Reasoning comes first or not at all: a mark later on is the answer's own.
        let possible = self.text_marks && (self.thinking || !self.marked);
        if possible { self.held.find(mark).map(|at| (at, mark)) } else { None }
    }

    fn emit(&mut self, piece: &mut Piece, end: bool) {
        if self.fresh {
            let text = self.held.trim_start();
            self.held = text.to_owned();
            self.fresh = self.held.is_empty();
        }
        if !self.thinking
            && let Some(at) = self.stops.iter().filter_map(|s| self.held.find(s.as_str())).min()
        {
            piece.content += &self.held[..at];
            piece.stopped = true;
            self.held.clear();
            return;
        }
        let certain = if end { self.held.len() } else { self.certain() };
        let rest = self.held.split_off(certain);
        let text = std::mem::replace(&mut self.held, rest);
        if self.thinking {
            piece.reasoning += if end { text.trim_end() } else { &text };
        } else {
            piece.content += &text;
        }
    }

    /// How much of the held text can be nothing but itself.
    fn certain(&self) -> usize {
        let held = self.held.as_str();
        let mut awaited: Vec<&str> = Vec::new();
        if self.text_marks && (self.thinking || !self.marked) {
            awaited.push(if self.thinking { CLOSE } else { OPEN });
        }
        if !self.thinking {
            awaited.extend(self.stops.iter().map(String::as_str));
        }
        let starts = |from: usize| awaited.iter().any(|a| a.starts_with(&held[from..]));
        let first = held.char_indices().map(|(at, _)| at).find(|at| starts(*at)).unwrap_or(held.len());
        // White space before the end of reasoning is dropped, so it waits.
        if self.thinking { held[..first].trim_end().len() } else { first }
    }
}
