//! Writing JSON, the little that replies need.

use std::fmt::Write;

/// Appends `text` as a JSON string.
pub fn string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if (c as u32) < 0x20 => write!(out, "\\u{:04x}", c as u32).unwrap(),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Appends `items` as a JSON array, each written by `item`.
pub fn array<T>(out: &mut String, items: impl IntoIterator<Item = T>, mut item: impl FnMut(&mut String, T)) {
    out.push('[');
    let start = out.len();
    for value in items {
        if out.len() > start {
            out.push(',');
        }
        item(out, value);
    }
    out.push(']');
}

/// Appends `"key":` to an object, with a comma where one is needed.
pub fn key(out: &mut String, name: &str) {
    if !out.ends_with('{') {
        out.push(',');
    }
    string(out, name);
    out.push(':');
}

pub fn number(out: &mut String, value: impl Into<i128>) {
    write!(out, "{}", value.into()).unwrap();
}
