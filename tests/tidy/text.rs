//! Rules that look at one file's text: its first line, its length, its words.

use crate::files::File;

/// Lines from which on a file is listed: time to ask what its second idea is.
pub(crate) const LONG: usize = 200;

/// Lines a file may have.
const TOO_LONG: usize = 500;

/// What opens the first line's comment, by extension. A shebang or a doctype may stand before it.
fn openers(extension: &str) -> &'static [&'static str] {
    match extension {
        "rs" => &["//! ", "// "],
        "js" | "mjs" | "wgsl" => &["// "],
        "py" => &["\"\"\"", "# "],
        "css" => &["/* "],
        "html" => &["<!-- "],
        _ => &["# "],
    }
}

/// A source file's first line says what the file is, in two words at least.
pub(crate) fn first_line(file: &File) -> Vec<String> {
    if !file.is_source() {
        return Vec::new();
    }
    let mut lines = file.text.lines();
    let mut first = lines.next().unwrap_or("");
    if first.starts_with("#!/") || first.eq_ignore_ascii_case("<!doctype html>") {
        first = lines.next().unwrap_or("");
    }
    let said = openers(file.extension()).iter().find_map(|opener| first.strip_prefix(opener));
    match said {
        Some(words) if words.split_whitespace().count() >= 2 => Vec::new(),
        Some(_) => vec![format!("{}:1: the first line should say what the file is, not: {first}", file.path)],
        None => vec![format!("{}:1: the first line should be a comment that says what the file is", file.path)],
    }
}

/// No source file is over the limit; fixtures' data are not source.
pub(crate) fn length(file: &File) -> Vec<String> {
    if file.is_source() && file.lines() > TOO_LONG {
        return vec![format!("{}: {} lines, over the limit of {TOO_LONG}", file.path, file.lines())];
    }
    Vec::new()
}

/// Words that leave work for later. Each is put together here, so that this file does not break its own rule.
fn forbidden() -> [String; 5] {
    ["TO DO", "FIX ME", "X XX", "unimplemented !", "todo !("].map(|word| word.replace(' ', ""))
}

/// No source file or document has a word that leaves work for later.
pub(crate) fn words(file: &File) -> Vec<String> {
    if !file.is_source() && file.extension() != "md" {
        return Vec::new();
    }
    let forbidden = forbidden();
    let mut found = Vec::new();
    for (number, line) in file.text.lines().enumerate() {
        for word in forbidden.iter().filter(|word| has_word(line, word)) {
            found.push(format!("{}:{}: {word}", file.path, number + 1));
        }
    }
    found
}

/// Whether `word` stands in `line` with no letter or digit right before or after it.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let inside = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        !inside(before) && (!inside(after) || !word.ends_with(char::is_alphanumeric))
    })
}

/// What turns text into markup or code. The page builds nodes instead, whatever the text.
const MARKUP: [&str; 6] =
    ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "createContextualFragment", "parseFromString"];

/// No module of the page turns text into markup.
pub(crate) fn html(file: &File) -> Vec<String> {
    if !file.path.starts_with("www/") || file.extension() != "js" {
        return Vec::new();
    }
    let code = |line: &&str| !line.trim_start().starts_with(['/', '*']);
    let bad = |line: &str| MARKUP.into_iter().find(|word| line.contains(word));
    let found = file.text.lines().filter(code).filter_map(bad);
    found.map(|word| format!("{}: {word} turns text into markup", file.path)).collect()
}

#[test]
fn a_bad_first_line_is_seen() {
    let complaints = |path, text| first_line(&File::new(path, text)).len();
    assert_eq!(complaints("a.rs", "//! Says what it is.\n"), 0);
    assert_eq!(complaints("a.sh", "#!/usr/bin/env bash\n# Says what it is.\n"), 0);
    assert_eq!(complaints("a.html", "<!doctype html>\n<!-- Says what it is. -->\n"), 0);
    assert_eq!(complaints("a.json", "{}"), 0);
    assert_eq!(complaints("a.rs", "use std::fs;\n"), 1);
    assert_eq!(complaints("a.rs", "//! Tests.\n"), 1);
    assert_eq!(complaints("a.js", "/** Says what it is. */\n"), 1);
    assert_eq!(complaints("a.py", "import sys\n"), 1);
    assert_eq!(complaints("a.css", ""), 1);
}

#[test]
fn a_long_file_is_seen() {
    assert_eq!(length(&File::new("a.rs", &"x\n".repeat(TOO_LONG))).len(), 0);
    assert_eq!(length(&File::new("a.rs", &"x\n".repeat(TOO_LONG + 1))).len(), 1);
    assert_eq!(length(&File::new("a.json", &"x\n".repeat(TOO_LONG + 1))).len(), 0);
}

#[test]
fn forbidden_words_are_seen() {
    for word in forbidden() {
        assert_eq!(words(&File::new("a.rs", &format!("let x = 1; // {word} later"))).len(), 1, "{word}");
        assert_eq!(words(&File::new("a.json", &word)).len(), 0, "{word}");
    }
    assert_eq!(words(&File::new("a.rs", "mastodon, xxx, and a Mobile")).len(), 0);
}

#[test]
fn markup_is_seen() {
    assert_eq!(html(&File::new("www/a.js", "x.innerHTML = y;")).len(), 1);
    assert_eq!(html(&File::new("www/a.js", "// never innerHTML")).len(), 0);
    assert_eq!(html(&File::new("tests/a.js", "x.innerHTML = y;")).len(), 0);
}
