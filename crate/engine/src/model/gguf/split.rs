//! How text is split before byte pairs are merged, by the name that a GGUF has for it (`tokenizer.ggml.pre`).
//!
//! Patterns are those of the tokenizer.json files that the names stand for.

use serde_json::Value;

use super::object::Object;

/// A way of splitting.
pub(super) struct Split {
    /// Whether text is composed (NFC) first.
    pub(super) composed: bool,
    /// Whether a whole piece that is a token is it, whatever the merges say.
    pub(super) ignore_merges: bool,
    /// Stages as in tokenizer.json, without the last, which makes bytes of characters.
    pub(super) stages: Vec<Value>,
}

const CONTRACTIONS: &str = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
/// Words, punctuation and white space of all patterns since GPT-4's.
const WORDS: &str = r"[^\r\n\p{L}\p{N}]?\p{L}+";
const REST: &str = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// The split of GPT-2.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
/// Chinese and Japanese for DeepSeek-V3.
const HAN: &str = "[一-龥\u{3040}-ゟ゠-ヿ]+";
const V3: &str = r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##;
/// Letters with a case as DeepSeek's first tokenizers know them, by code points.
const CASED: &str = "\
    41-5A 61-7A B5 C0-D6 D8-F6 F8-1BA 1BC-1BF 1C4-293 295-2AF 370-373 376-377 37B-37D 37F 386 388-38A 38C 38E-3A1 3A3-3F5 \
    3F7-481 48A-52F 531-556 10A0-10C5 13A0-13F5 13F8-13FD 1C90-1CBA 1CBD-1CBF 1D00-1D2B 1D6B-1D77 1D79-1D9A 1E00-1F15 \
    1F18-1F1D 1F20-1F45 1F48-1F4D 1F50-1F57 1F59 1F5B 1F5D 1F5F-1F7D 1F80-1FB4 1FB6-1FBC 1FBE 1FC2-1FC4 1FC6-1FCC \
    1FD0-1FD3 1FD6-1FDB 1FE0-1FEC 1FF2-1FF4 1FF6-1FFC 2102 2107 210A-2113 2115 2119-211D 2124 2126 2128 212A-212D \
    212F-2134 2139 213C-213F 2145-2149 214E 2183-2184 2C00-2C7B 2C7E-2CE4 2CEB-2CEE 2CF2-2CF3 A640-A66D A680-A69B \
    A722-A76F A771-A787 A78B-A78E AB70-ABBF FB00-FB06 FB13-FB17 FF21-FF3A FF41-FF5A 10400-1044F 104B0-104D3 104D8-104FB \
    10C80-10CB2 10CC0-10CF2 118A0-118DF 1E900-1E943";

/// The split of that name; `None` for those that no family here has.
pub(super) fn split(name: &str) -> Option<Split> {
    let plain = |stages| Some(Split { composed: false, ignore_merges: false, stages });
    let composed = |stages| Some(Split { composed: true, ignore_merges: false, stages });
    match name {
        "llama-bpe" | "llama3" | "llama-v3" | "lfm2" => {
            Some(Split { composed: false, ignore_merges: true, stages: vec![isolated(&words(r"\p{N}{1,3}"))] })
        }
        "dbrx" | "smaug-bpe" => plain(vec![isolated(&words(r"\p{N}{1,3}"))]),
        "qwen2" => composed(vec![isolated(&words(r"\p{N}"))]),
        "deepseek-r1-qwen" => plain(vec![isolated(&words(r"\p{N}"))]),
        "gpt-2" => plain(vec![isolated(GPT2)]),
        "olmo" => composed(vec![isolated(GPT2)]),
        "refact" | "starcoder" | "smollm" | "codeshell" => plain(vec![digits(), isolated(GPT2)]),
        "deepseek-v3" => plain(vec![isolated(r"\p{N}{1,3}"), isolated(HAN), isolated(V3)]),
        "deepseek-llm" => {
            plain(deepseek(&format!("[{}]+", class(CASED)), r"[!-/:-~！-／：-～‘-‟\x{3000}-。]+", r"\s+$"))
        }
        "deepseek-coder" => plain(deepseek(r"\p{L}+", r"\p{P}+", "")),
        "gpt-4o" | "llama4" => plain(vec![isolated(&cased(r"\p{N}{1,3}", "", "/"))]),
        "kimi-k2" => plain(vec![isolated(&format!(r"[\p{{Han}}]+|{}", cased(r"\p{N}{1,3}", r"&&[^\p{Han}]", "")))]),
        _ => None,
    }
}

/// GPT-4's split with these numbers.
fn words(numbers: &str) -> String {
    format!("{CONTRACTIONS}|{WORDS}|{numbers}|{REST}")
}

/// That of GPT-4o: words begin anew with a capital; `less` what letters are not, `slash` what may follow punctuation.
fn cased(numbers: &str, less: &str, slash: &str) -> String {
    let (upper, lower) = (
        format!(r"[\p{{Lu}}\p{{Lt}}\p{{Lm}}\p{{Lo}}\p{{M}}{less}]"),
        format!(r"[\p{{Ll}}\p{{Lm}}\p{{Lo}}\p{{M}}{less}]"),
    );
    let word = |many, some| format!(r"[^\r\n\p{{L}}\p{{N}}]?{upper}{many}{lower}{some}{CONTRACTIONS}?");
    let rest = REST.replacen(r"[\r\n]*", &format!(r"[\r\n{slash}]*"), 1);
    format!("{}|{}|{numbers}|{rest}", word("*", "+"), word("+", "*"))
}

/// DeepSeek's first ones: lines, words, punctuation, white space at the end, Chinese and digits, each by itself.
fn deepseek(words: &str, marks: &str, end: &str) -> Vec<Value> {
    let spaced = [words, marks].map(|pattern| isolated(&format!(r"\s?{pattern}")));
    let end = (!end.is_empty()).then(|| isolated(end));
    let mut stages = vec![isolated(r"[\r\n]")];
    stages.extend(spaced);
    stages.extend(end);
    stages.push(isolated("[一-龥ࠀ-一가-\u{D7FF}]+"));
    stages.push(digits());
    stages
}

fn isolated(pattern: &str) -> Value {
    let mut regex = Object::default();
    regex.put("Regex", pattern);
    let mut out = Object::of(r#"{ "type": "Split", "behavior": "Isolated", "invert": false }"#);
    out.put("pattern", regex);
    out.into()
}

fn digits() -> Value {
    Object::of(r#"{ "type": "Digits", "individual_digits": true }"#).into()
}

/// Ranges of code points as a class of characters.
fn class(ranges: &str) -> String {
    let range = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        format!(r"\x{{{first}}}-\x{{{last}}}")
    };
    ranges.split_whitespace().map(range).collect()
}
