//! Functions transformers gives chat templates: `strftime_now` and `raise_exception`.

use minijinja::{Error, ErrorKind, Value};

/// Always fails, with the template's own words.
pub(super) fn raise_exception(message: &str) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message.to_string()))
}

/// Python's `repr` of a float: scientific below 1e-4 and from 1e16.
pub(super) fn float(value: &Value) -> Result<String, Error> {
    let v = f64::try_from(value.clone())?;
    let size = v.abs();
    if size != 0.0 && !(1e-4..1e16).contains(&size) {
        let text = format!("{v:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |e| ('-', e));
        return Ok(format!("{digits}e{sign}{exponent:0>2}"));
    }
    Ok(format!("{v:?}"))
}

/// `datetime.strftime` of a time in milliseconds since the Unix epoch, in UTC.
pub(super) fn strftime(now: f64, format: &str) -> String {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    let seconds = (now / 1000.0).floor() as i64;
    let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, date) = civil(day);
    let weekday = DAYS[(day + 3).rem_euclid(7) as usize];
    let name = MONTHS[month - 1];
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let half = if hour % 12 == 0 { 12 } else { hour % 12 };
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut code = chars.next();
        let plain = code == Some('-');
        if plain {
            code = chars.next();
        }
        let two = |n: i64| if plain { n.to_string() } else { format!("{n:02}") };
        match code {
            Some('Y') => out += &year.to_string(),
            Some('y') => out += &two(year.rem_euclid(100)),
            Some('m') => out += &two(month as i64),
            Some('d') => out += &two(date),
            Some('H') => out += &two(hour),
            Some('I') => out += &two(half),
            Some('M') => out += &two(minute),
            Some('S') => out += &two(second),
            Some('p') => out += if hour < 12 { "AM" } else { "PM" },
            Some('B') => out += name,
            Some('b' | 'h') => out += &name[..3],
            Some('A') => out += weekday,
            Some('a') => out += &weekday[..3],
            Some('F') => out += &format!("{year}-{month:02}-{date:02}"),
            Some('T') => out += &format!("{hour:02}:{minute:02}:{second:02}"),
            Some('j') => {
                let (first, _) = (1..=366)
                    .map(|n| (n, civil(day - n + 1)))
                    .find(|(_, d)| (d.1, d.2) == (1, 1))
                    .unwrap_or((0, (0, 0, 0)));
                out += &if plain { first.to_string() } else { format!("{first:03}") };
            }
            Some('Z') => out += "UTC",
            Some('%') => out.push('%'),
            other => out.extend(std::iter::once('%').chain(other)),
        }
    }
    out
}

/// Year, month and day of a day counted from 1970-01-01 (H. Hinnant, "chrono-compatible low-level date algorithms").
fn civil(day: i64) -> (i64, usize, i64) {
    let shifted = day + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let index = (5 * of_year + 2) / 153;
    let month = if index < 10 { index + 3 } else { index - 9 };
    (year + era * 400 + i64::from(month <= 2), month as usize, of_year - (153 * index + 2) / 5 + 1)
}
