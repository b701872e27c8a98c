//! The front matter of a model card: the part of YAML that cards are written in, as JSON values.
//!
//! Read: block mappings and lists of any depth, flow lists and mappings, plain and quoted scalars, block scalars, comments.
//! Anchors, tags and documents are not: such a card gives nothing, and that is said. Every scalar but null is kept as text.

use serde_json::{Map, Value};

use crate::format::limits;

/// Deepest nesting: cards with evaluation results have 8.
const MAX_DEPTH: usize = 32;

struct Line<'t> {
    indent: usize,
    text: &'t str,
}

struct Parser<'t> {
    raw: Vec<&'t str>,
    lines: Vec<(usize, Line<'t>)>,
    at: usize,
}

/// The front matter holds YAML beyond what is read here, or more of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotRead;

/// The front matter of a card; `Ok(None)` where it has none, `Err` where it cannot be read.
///
/// # Errors
/// YAML beyond what is read here.
pub fn front_matter(card: &str) -> Result<Option<Map<String, Value>>, NotRead> {
    let mut lines = card.lines();
    if lines.next() != Some("---") {
        return Ok(None);
    }
    let mut text = String::new();
    for line in lines.take_while(|line| *line != "---") {
        // The converter reads a tab as two spaces.
        for part in line.split_inclusive('\t') {
            match part.strip_suffix('\t') {
                Some(part) => text.extend([part, "  "]),
                None => text.push_str(part),
            }
        }
        text.push('\n');
        if text.len() > limits::MAX_FRONT_MATTER {
            return Err(NotRead);
        }
    }
    let raw: Vec<&str> = text.lines().collect();
    let lines = raw
        .iter()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
        .map(|(i, line)| (i, Line { indent: line.len() - line.trim_start().len(), text: line.trim() }))
        .collect();
    let mut parser = Parser { raw, lines, at: 0 };
    if parser.lines.is_empty() {
        return Ok(None);
    }
    let indent = parser.lines[0].1.indent;
    match parser.block(indent, 0)? {
        Value::Object(map) if parser.at == parser.lines.len() => Ok(Some(map)),
        _ => Err(NotRead),
    }
}

/// Where the value starts in `key: value`; keys may be quoted.
fn key_of(text: &str) -> Option<(String, &str)> {
    if let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        let end = text[1..].find(quote)? + 1;
        let rest = text[end + 1..].strip_prefix(':')?;
        return (rest.is_empty() || rest.starts_with(' ')).then(|| (text[1..end].to_owned(), rest.trim()));
    }
    if let Some(key) = text.strip_suffix(':')
        && !key.contains(": ")
    {
        return Some((key.trim().to_owned(), ""));
    }
    let (key, value) = text.split_once(": ")?;
    (!key.starts_with(['[', '{', '-', '#'])).then(|| (key.trim().to_owned(), value.trim()))
}

impl<'t> Parser<'t> {
    fn line(&self) -> Option<(usize, usize, &'t str)> {
        self.lines.get(self.at).map(|(i, line)| (*i, line.indent, line.text))
    }

    fn block(&mut self, indent: usize, depth: usize) -> Result<Value, NotRead> {
        if depth > MAX_DEPTH {
            return Err(NotRead);
        }
        let (_, _, first) = self.line().ok_or(NotRead)?;
        if first == "-" || first.starts_with("- ") { self.list(indent, depth) } else { self.map(indent, depth) }
    }

    fn map(&mut self, indent: usize, depth: usize) -> Result<Value, NotRead> {
        let mut map = Map::new();
        while let Some((at, here, text)) = self.line() {
            if here < indent || (here == indent && (text == "-" || text.starts_with("- "))) {
                break;
            }
            if here > indent {
                return Err(NotRead);
            }
            let (key, value) = key_of(text).ok_or(NotRead)?;
            self.at += 1;
            let value = self.value(at, indent, value, depth)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }

    fn list(&mut self, indent: usize, depth: usize) -> Result<Value, NotRead> {
        let mut list = Vec::new();
        while let Some((at, here, text)) = self.line() {
            if here < indent || !(text == "-" || text.starts_with("- ")) {
                break;
            }
            if here > indent {
                return Err(NotRead);
            }
            let rest = text[1..].trim_start();
            if !rest.is_empty() && (key_of(rest).is_some() || rest.starts_with("- ")) && !rest.starts_with(['[', '{', '"', '\'']) {
                // `- key: value` opens a mapping whose indent is that of the key.
                let inner = here + (text.len() - rest.len());
                self.lines[self.at].1 = Line { indent: inner, text: rest };
                list.push(self.block(inner, depth + 1)?);
            } else {
                self.at += 1;
                list.push(self.value(at, indent, rest, depth)?);
            }
        }
        Ok(Value::Array(list))
    }

    /// What stands after a key or a dash, or below it.
    fn value(&mut self, at: usize, indent: usize, text: &str, depth: usize) -> Result<Value, NotRead> {
        if text.starts_with(['|', '>']) {
            return Ok(Value::String(self.block_scalar(at, indent, text)));
        }
        if text.starts_with(['&', '*', '!', '%', '@', '`']) {
            return Err(NotRead);
        }
        let text = without_comment(text);
        if text.is_empty() {
            return match self.line() {
                Some((_, here, below))
                    if here > indent || (here == indent && depth_list(below) && self.below_is_key(indent, at)) =>
                {
                    self.block(here, depth + 1)
                }
                _ => Ok(Value::Null),
            };
        }
        let mut text = text.to_owned();
        let mut brackets = brackets(&text);
        // A plain or quoted scalar, or a flow collection, goes on in deeper lines.
        while let Some((_, here, more)) = self.line() {
            if here <= indent && !is_open(&text, brackets) {
                break;
            }
            let more = without_comment(more);
            brackets += self::brackets(more);
            text.push(' ');
            text.push_str(more);
            self.at += 1;
        }
        flow(&text)
    }

    /// A list may stand at the indent of the key that it belongs to.
    fn below_is_key(&self, indent: usize, at: usize) -> bool {
        let line = self.raw.get(at).copied().unwrap_or_default();
        let trimmed = line.trim_start();
        !trimmed.starts_with("- ") || line.len() - trimmed.len() != indent
    }

    fn block_scalar(&mut self, at: usize, indent: usize, header: &str) -> String {
        let mut end = at + 1;
        let deeper = |line: &str| line.trim().is_empty() || line.len() - line.trim_start().len() > indent;
        while end < self.raw.len() && deeper(self.raw[end]) {
            end += 1;
        }
        while self.line().is_some_and(|(i, ..)| i < end) {
            self.at += 1;
        }
        let lines = &self.raw[at + 1..end];
        let margin = lines.iter().filter(|l| !l.trim().is_empty()).map(|l| l.len() - l.trim_start().len()).min().unwrap_or(0);
        let lines: Vec<&str> = lines.iter().map(|l| l.get(margin..).unwrap_or("")).collect();
        let mut text = if header.starts_with('|') { lines.join("\n") } else { folded(&lines) };
        text.truncate(text.trim_end_matches('\n').len());
        if !header.contains('-') && !text.is_empty() {
            text.push('\n');
        }
        text
    }
}

fn depth_list(text: &str) -> bool {
    text == "-" || text.starts_with("- ")
}

/// Lines of a folded scalar: a line break is a space, an empty line a line break.
fn folded(lines: &[&str]) -> String {
    let mut out = String::new();
    let mut breaks = 0;
    for (i, line) in lines.iter().enumerate() {
        if line.trim().is_empty() {
            breaks += 1;
            continue;
        }
        if i > 0 && !out.is_empty() {
            if breaks > 0 { out.extend(std::iter::repeat_n('\n', breaks)) } else { out.push(' ') }
        }
        breaks = 0;
        out.push_str(line);
    }
    out
}

fn without_comment(text: &str) -> &str {
    if text.starts_with(['"', '\'']) {
        return text;
    }
    if text.starts_with('#') {
        return "";
    }
    text.find(" #").map_or(text, |at| &text[..at]).trim_end()
}

/// Brackets that a text opens and does not close.
fn brackets(text: &str) -> i64 {
    text.bytes().map(|b| i64::from(matches!(b, b'[' | b'{')) - i64::from(matches!(b, b']' | b'}'))).sum()
}

/// Whether a flow collection or a quoted scalar is not closed yet.
fn is_open(text: &str, brackets: i64) -> bool {
    match text.chars().next() {
        Some(quote @ ('"' | '\'')) => text.len() < 2 || !text.ends_with(quote),
        Some('[' | '{') => brackets > 0,
        _ => false,
    }
}

/// A flow collection or a scalar.
fn flow(text: &str) -> Result<Value, NotRead> {
    let text = text.trim();
    if let Some(inner) = text.strip_prefix('[') {
        let inner = inner.strip_suffix(']').ok_or(NotRead)?;
        let parts = split_flow(inner)?;
        return parts.into_iter().map(flow).collect::<Result<Vec<_>, _>>().map(Value::Array);
    }
    if let Some(inner) = text.strip_prefix('{') {
        let inner = inner.strip_suffix('}').ok_or(NotRead)?;
        let mut map = Map::new();
        for part in split_flow(inner)? {
            let (key, value) = key_of(part).ok_or(NotRead)?;
            map.insert(key, flow(value)?);
        }
        return Ok(Value::Object(map));
    }
    scalar(text)
}

/// Parts between the commas of the outermost level.
fn split_flow(text: &str) -> Result<Vec<&str>, NotRead> {
    let (mut parts, mut start, mut depth, mut quote) = (Vec::new(), 0, 0usize, None);
    for (i, c) in text.char_indices() {
        match (quote, c) {
            (Some(q), _) if c == q => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') => depth = depth.checked_sub(1).ok_or(NotRead)?,
            (None, ',') if depth == 0 => {
                parts.push(text[start..i].trim());
                start = i + 1;
            }
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(NotRead);
        }
    }
    let last = text[start..].trim();
    if !last.is_empty() {
        parts.push(last);
    }
    Ok(parts)
}

fn scalar(text: &str) -> Result<Value, NotRead> {
    if let Some(quoted) = text.strip_prefix('\'') {
        let end = quoted.rfind('\'').ok_or(NotRead)?;
        return Ok(Value::String(quoted[..end].replace("''", "'")));
    }
    if text.starts_with('"') {
        let end = text.rfind('"').filter(|&end| end > 0).ok_or(NotRead)?;
        return serde_json::from_str::<String>(&text[..=end]).map(Value::String).map_err(|_| NotRead);
    }
    if matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        return Ok(Value::Null);
    }
    Ok(Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> Value {
        front_matter(text).unwrap().map_or(Value::Null, Value::Object)
    }

    #[test]
    fn cards_as_they_are_written() {
        let card = "---\nlanguage: en\n# a comment\ntags:\n- a\n- 'b: c'\ndatasets:\n  - x/y # why\n  - z\nlist: [a, \"b, c\"]\n\
                    base_model:\n- org/name\nmodel-index:\n- name: m\n  results:\n  - task:\n      type: t\n    metrics:\n    - value: 1\n\
                    text: >-\n  one\n  two\n\n  three\nempty:\nlicense: other\n---\nbody: no\n";
        let want = json!({
            "language": "en", "tags": ["a", "b: c"], "datasets": ["x/y", "z"], "list": ["a", "b, c"], "base_model": ["org/name"],
            "model-index": [{"name": "m", "results": [{"task": {"type": "t"}, "metrics": [{"value": "1"}]}]}],
            "text": "one two\nthree", "empty": null, "license": "other"
        });
        assert_eq!(read(card), want);
        assert_eq!(read("# no front matter"), Value::Null);
        assert_eq!(read("---\n---\n"), Value::Null);
        assert!(front_matter("---\na: &x 1\nb: *x\n---\n").is_err());
        assert_eq!(
            read("---\nwidget:\n- text: a\n  more: b\n- text: c\n---\n"),
            json!({"widget": [{"text": "a", "more": "b"}, {"text": "c"}]})
        );
    }
}
