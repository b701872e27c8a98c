//! Searches a Jinja template for constructs that reach out of it, in one pass. Nothing is parsed, rendered or run.
//!
//! Blocks end where Jinja's own lexer ends them (jinja2 3.1, `lexer.py`): not inside of strings, and not while a bracket is open.
//! Comments and raw parts are searched like the rest: whoever hides something there gains nothing.

/// Words that have no place inside the braces of a chat template.
const WORDS: [(&str, &str); 16] = [
    ("cycler", "a Jinja object that leads to Python's globals"),
    ("joiner", "a Jinja object that leads to Python's globals"),
    ("lipsum", "a Jinja object that leads to Python's globals"),
    ("attr(", "access to attributes by name"),
    ("getattr", "access to attributes by name"),
    ("popen", "a call of the system"),
    ("subprocess", "a call of the system"),
    ("os.system", "a call of the system"),
    ("eval(", "a call of the interpreter"),
    ("exec(", "a call of the interpreter"),
    ("builtins", "Python internals"),
    ("url_for", "an object of a web framework"),
    ("get_flashed_messages", "an object of a web framework"),
    ("_TemplateReference", "Jinja internals"),
    ("\\x5f", "an escaped underscore"),
    ("\\u005f", "an escaped underscore"),
];

/// Statements that load another template.
const LOADS: [&[u8]; 4] = [b"import", b"include", b"extends", b"from"];

/// The first suspicious construct inside `{{ }}` or `{% %}`, with the text of its block.
pub(super) fn suspicious(template: &str) -> Option<(&'static str, &str)> {
    let mut words = WORDS.map(|(word, what)| Word { word, what, next: Some(0) });
    let mut at = 0;
    while let Some(start) = block_after(template, at) {
        let block = Block::of(template.as_bytes(), start);
        let inside = &template[start..block.end];
        if block.dunder {
            return Some(("access to Python internals", inside));
        }
        if block.loads {
            return Some(("a statement that loads another template", inside));
        }
        for word in &mut words {
            if word.is_within(template, start, block.end) {
                return Some((word.what, inside));
            }
        }
        at = block.end;
    }
    None
}

/// Where the next block's text begins.
fn block_after(template: &str, mut at: usize) -> Option<usize> {
    loop {
        at += template[at..].find('{')? + 1;
        if matches!(template.as_bytes().get(at), Some(b'{' | b'%')) {
            return Some(at + 1);
        }
    }
}

/// What stands between the braces of a block.
struct Block {
    /// Where its closing braces stand; the end of the text, where there are none.
    end: usize,
    /// Whether `__name__` stands after a point, at the start of a text, or where an expression begins.
    dunder: bool,
    /// Whether a statement loads another template.
    loads: bool,
}

impl Block {
    /// Walks through a block, each byte once.
    fn of(text: &[u8], start: usize) -> Self {
        let statement = text[start - 1] == b'%';
        let mut block = Self { end: text.len(), dunder: false, loads: statement && loads(text, start) };
        let (mut quote, mut open, mut at) = (None, 0usize, start);
        // The last byte that is no white space.
        let mut before = None;
        while let Some(&byte) = text.get(at) {
            if is_word(byte) {
                let run = text[at..].iter().take_while(|b| is_word(**b)).count();
                block.dunder |= is_dunder(&text[at..at + run]) && begins(before);
                (before, at) = (Some(b'_'), at + run);
                continue;
            }
            match (quote, byte) {
                (Some(_), b'\\') => at += 1,
                (Some(q), _) if q == byte => quote = None,
                (Some(_), _) => {}
                (None, b'\'' | b'"') => quote = Some(byte),
                (None, b'}' | b'%') if open == 0 => {
                    let close = if statement { b'%' } else { b'}' };
                    if byte == close && text.get(at + 1) == Some(&b'}') {
                        block.end = at;
                        return block;
                    }
                }
                (None, b'(' | b'[' | b'{') => open += 1,
                (None, b')' | b']' | b'}') => open = open.saturating_sub(1),
                (None, _) => {}
            }
            // What begins here may be a block of its own, where this one stands in a comment.
            if byte == b'{' && text.get(at + 1) == Some(&b'%') {
                block.loads |= loads(text, at + 2);
            }
            if !byte.is_ascii_whitespace() {
                before = Some(byte);
            }
            at += 1;
        }
        block
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// `__name__`.
fn is_dunder(run: &[u8]) -> bool {
    run.len() > 4 && run.starts_with(b"__") && run.ends_with(b"__")
}

/// Whether a name behind this byte is one of its own: an attribute, a text, an expression.
fn begins(before: Option<u8>) -> bool {
    matches!(before, None | Some(b'.' | b'\'' | b'"' | b'[' | b'(' | b'|' | b'~'))
}

/// Whether a statement begins here that loads another template.
fn loads(text: &[u8], start: usize) -> bool {
    let skipped = text[start..].iter().take_while(|b| b.is_ascii_whitespace() || matches!(b, b'-' | b'+')).count();
    let rest = &text[start + skipped..];
    LOADS.iter().any(|word| rest.starts_with(word) && !rest.get(word.len()).is_some_and(|b| is_word(*b)))
}

/// A word that is looked for from block to block; the text is searched for it once.
struct Word {
    word: &'static str,
    what: &'static str,
    /// Where it stands next, or could; `None` where it does not stand again.
    next: Option<usize>,
}

impl Word {
    /// Whether it stands here, and not in the middle of a longer word. Asked with places that grow.
    fn is_within(&mut self, text: &str, start: usize, end: usize) -> bool {
        while let Some(at) = self.next {
            let stands = at >= start && text.as_bytes()[at..].starts_with(self.word.as_bytes());
            if stands && at + self.word.len() > end {
                return false;
            }
            if stands && !text[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_') {
                return true;
            }
            // ASCII, so that a character begins behind its first one.
            let from = if stands { at + 1 } else { at.max(start) };
            self.next = text[from..].find(self.word).map(|found| from + found);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constructs_are_found_inside_the_braces_only() {
        for bad in [
            "{{ cycler.__init__.__globals__ }}",
            "{% set x = ''.__class__.__mro__ %}",
            "{{ ''|attr('x') }}",
            "{{ x['__cla' ~ 'ss__'] }}{{ lipsum }}",
            "{% include '/etc/passwd' %}",
            "{%- from'x' import y %}",
            "{{ x['\\x5f\\x5fclass\\x5f\\x5f'] }}",
            "{{ x . __class__ }}",
            "{{ é ~ x ~ lipsum }}",
            "{{ mycycler }}{{ cycler",
        ] {
            assert!(suspicious(bad).is_some(), "{bad}");
        }
        for good in [
            "{% for message in messages %}{{ message['content'] | trim }}{% endfor %}",
            "import os\n__init__ in plain text {{ bos_token }} cycler",
            "{%- set ns = namespace(found=false) %}{{ raise_exception('no') }}{{ strftime_now('%d %b') }}",
            "{{ tools_in_user_message.attributes }}",
            "{{ recycler }}{{ élipsum }}{% imports %}{{ a____b }}{{ ____ }}",
            "{{ messages | selectattr('role', 'equalto', 'user') | list }}",
            "{{ {'a': {'b': 1}} }} lipsum",
            "{",
        ] {
            assert_eq!(suspicious(good), None, "{good}");
        }
    }

    /// Where a block ends is for Jinja to say: each of these renders what stands behind the first braces.
    #[test]
    fn blocks_end_where_jinja_ends_them() {
        for bad in [
            "{{ '}}' ~ cycler.__init__.__globals__ }}",
            "{{ \"}}\" ~ lipsum }}",
            "{{ '\\'}}' ~ lipsum }}",
            "{{ {'a': {}} ~ lipsum }}",
            "{% set x = '%}' ~ lipsum %}",
            "{% set x = ['%}'] %}{{ lipsum }}",
            "{# {{ ' #}{% include 'x' %}",
        ] {
            assert!(suspicious(bad).is_some(), "{bad}");
        }
        assert_eq!(suspicious("{{ '{{' }} lipsum {{ x }}"), None);
        assert_eq!(suspicious("{{ \"it's\" }} lipsum"), None);
    }
}
