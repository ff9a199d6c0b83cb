//! Bounds minijinja's fuel does not set: texts of lists that share their parts, and padding by `str.format`.
//!
//! Forty steps of `x = [x, x]` make a list whose text has 2^40 items. The operator `~` is out of reach here; a template
//! that uses it so hangs its worker, which the page can end.

use minijinja::value::{Kwargs, StringInput, ValueKind};
use minijinja::{Error, ErrorKind, Output, State, Value};

use super::python;

/// Most items a value may have, counted as often as they would be written, and deepest nesting.
const MAX_ITEMS: usize = 100_000;
const MAX_DEPTH: usize = 64;
/// Most digits of a width in `str.format`.
const MAX_DIGITS: usize = 4;

/// Refuses a value whose text would be out of proportion.
pub(super) fn writable(value: &Value) -> Result<(), Error> {
    fn count(value: &Value, depth: usize, left: &mut usize) -> Result<(), Error> {
        if depth > MAX_DEPTH || *left == 0 {
            let reason = format!("a value nested deeper than {MAX_DEPTH} or of more than {MAX_ITEMS} items");
            return Err(Error::new(ErrorKind::InvalidOperation, reason));
        }
        *left -= 1;
        match value.kind() {
            ValueKind::Seq | ValueKind::Iterable => value.try_iter()?.try_for_each(|v| count(&v, depth + 1, left)),
            ValueKind::Map => value.try_iter()?.try_for_each(|key| count(&value.get_item(&key)?, depth + 1, left)),
            _ => Ok(()),
        }
    }
    count(value, 0, &mut MAX_ITEMS.clone())
}

/// Writes `{{ value }}`.
pub(super) fn format(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    writable(value)?;
    if value.kind() == ValueKind::Number && !value.is_integer() {
        return out.write_str(&python::float(value)?).map_err(Error::from);
    }
    minijinja::escape_formatter(out, state, value)
}

/// The `string` filter.
pub(super) fn string(value: &Value) -> Result<Value, Error> {
    writable(value)?;
    Ok(Value::from(value.to_string()))
}

/// The `join` filter.
pub(super) fn join(
    state: &mut State<'_, '_>,
    value: &Value,
    joiner: Option<StringInput<'_>>,
    attribute: Option<&str>,
    args: Kwargs,
) -> Result<Value, Error> {
    writable(value)?;
    minijinja::filters::join(state, value, joiner, attribute, args)
}

/// Python's methods.
pub(super) fn method(state: &mut State<'_, '_>, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    if name == "join" {
        args.iter().try_for_each(writable)?;
    }
    if name == "format" && value.as_str().is_some_and(wide) {
        return Err(Error::new(ErrorKind::InvalidOperation, format!("a width of over {MAX_DIGITS} digits")));
    }
    minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args)
}

/// Whether a format has a number of too many digits, or takes one from its arguments.
fn wide(format: &str) -> bool {
    let digits = format.split(|c: char| !c.is_ascii_digit()).any(|run| run.len() > MAX_DIGITS);
    digits || format.split('{').skip(1).any(|field| field.contains(':') && !field.contains('}'))
}
