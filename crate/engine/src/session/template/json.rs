//! `json.dumps(value, ensure_ascii=False, …)` for templates: transformers' `tojson`, with bounds.

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, Value};

use super::{bound, python};

/// Widest indent.
const MAX_INDENT: usize = 16;

/// The `tojson` filter.
pub(super) fn tojson(value: &Value, args: Kwargs) -> Result<Value, Error> {
    let indent = args.get::<Option<usize>>("indent")?;
    let sort = args.get::<Option<bool>>("sort_keys")?.unwrap_or(false);
    let separators = args.get::<Option<Vec<String>>>("separators")?;
    let ascii = args.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false);
    args.assert_all_used()?;
    if indent.is_some_and(|n| n > MAX_INDENT) {
        return Err(refused(format!("tojson: an indent over {MAX_INDENT}")));
    }
    let (item, key) = match separators.as_deref() {
        Some([item, key]) => (item.as_str(), key.as_str()),
        Some(_) => return Err(refused("tojson: separators are two texts")),
        None => (if indent.is_some() { "," } else { ", " }, ": "),
    };
    bound::writable(value)?;
    let mut json = Json { item, key, indent, sort, out: String::new() };
    json.write(value, 0)?;
    Ok(Value::from(if ascii { escaped(&json.out) } else { json.out }))
}

fn refused(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, reason.into())
}

/// A text of JSON in some style.
struct Json<'a> {
    item: &'a str,
    key: &'a str,
    indent: Option<usize>,
    sort: bool,
    out: String,
}

impl Json<'_> {
    fn write(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        match value.kind() {
            ValueKind::Map => self.map(value, depth),
            ValueKind::Seq | ValueKind::Iterable => self.list(value, depth),
            ValueKind::None => self.plain("null"),
            ValueKind::Number if !value.is_integer() => self.plain(&python::float(value)?),
            ValueKind::Bool | ValueKind::Number => self.plain(&value.to_string().to_lowercase()),
            ValueKind::String => self.plain(&quoted(value)),
            other => Err(refused(format!("tojson: {other} is not JSON"))),
        }
    }

    fn plain(&mut self, text: &str) -> Result<(), Error> {
        self.out += text;
        Ok(())
    }

    fn list(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        self.out.push('[');
        let mut count = 0;
        for item in value.try_iter()? {
            self.before(count, depth + 1);
            self.write(&item, depth + 1)?;
            count += 1;
        }
        self.after(count, depth, ']');
        Ok(())
    }

    fn map(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        self.out.push('{');
        let mut keys: Vec<Value> = value.try_iter()?.collect();
        if self.sort {
            keys.sort_by_key(Value::to_string);
        }
        for (i, key) in keys.iter().enumerate() {
            self.before(i, depth + 1);
            self.out += &quoted(key);
            self.out += self.key;
            self.write(&value.get_item(key)?, depth + 1)?;
        }
        self.after(keys.len(), depth, '}');
        Ok(())
    }

    /// What stands before item `i`.
    fn before(&mut self, i: usize, depth: usize) {
        if i > 0 {
            self.out += self.item;
        }
        self.line(depth);
    }

    /// What stands after `count` items.
    fn after(&mut self, count: usize, depth: usize, close: char) {
        if count > 0 {
            self.line(depth);
        }
        self.out.push(close);
    }

    fn line(&mut self, depth: usize) {
        if let Some(indent) = self.indent {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(' ', indent * depth));
        }
    }
}

/// A JSON string of a value's text.
fn quoted(value: &Value) -> String {
    serde_json::Value::from(value.to_string()).to_string()
}

/// JSON in ASCII: all else as UTF-16 escapes.
fn escaped(json: &str) -> String {
    let unit = |unit: u16| match u8::try_from(unit) {
        Ok(byte) if byte.is_ascii() => char::from(byte).to_string(),
        _ => format!("\\u{unit:04x}"),
    };
    json.encode_utf16().map(unit).collect()
}
