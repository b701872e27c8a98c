//! Searches a Jinja template for constructs that reach out of it, in one pass. Nothing is parsed, rendered or run.
//!
//! Blocks end where Jinja's own lexer ends them (jinja2 3.1, `lexer.py`): not inside of strings, and not while a bracket is open.
//! Comments and raw parts are searched like the rest: whoever hides something there gains nothing. Names can be put together of pieces: the
//! texts of a template are looked at one after another, as if they were one.

/// Words that have no place inside the braces of a chat template.
const WORDS: [(&str, &str); 15] = [
    ("cycler", "a Jinja object that leads to Python's globals"),
    ("joiner", "a Jinja object that leads to Python's globals"),
    ("lipsum", "a Jinja object that leads to Python's globals"),
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

/// Names of Python's internals that lead out of a template. Put together of pieces, only these count.
#[rustfmt::skip]
const INTERNALS: [&str; 24] = [
    "__class__", "__base__", "__bases__", "__mro__", "__subclasses__", "__init__", "__globals__", "__builtins__", "__import__", "__dict__",
    "__getattribute__", "__getattr__", "__getitem__", "__reduce__", "__reduce_ex__", "__code__", "__func__", "__self__", "__closure__", "__loader__",
    "__call__", "__module__", "__wrapped__", "__new__",
];
/// Longest of them.
const LONGEST_INTERNAL: usize = 16;

/// The first suspicious construct inside `{{ }}` or `{% %}`, with the text of its block.
pub(super) fn suspicious(template: &str) -> Option<(&'static str, &str)> {
    let mut words = WORDS.map(|(word, what)| Word { word, what, next: Some(0) });
    let mut at = 0;
    let mut texts = Vec::new();
    while let Some(start) = block_after(template, at) {
        let before = texts.len();
        let block = Block::of(template.as_bytes(), start, &mut texts);
        let inside = &template[start..block.end];
        if block.dunder {
            return Some(("access to Python internals", inside));
        }
        if let Some(what) = block.odd {
            return Some((what, inside));
        }
        let joined = &texts[before.saturating_sub(LONGEST_INTERNAL)..];
        if texts.len() > before && INTERNALS.iter().any(|name| joined.windows(name.len()).any(|part| part == name.as_bytes())) {
            return Some(("access to Python internals, put together of pieces", inside));
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
    /// Another way to a name that is not written down.
    odd: Option<&'static str>,
}

impl Block {
    /// Walks through a block, each byte once.
    fn of(text: &[u8], start: usize, texts: &mut Vec<u8>) -> Self {
        let statement = text[start - 1] == b'%';
        let mut block = Self { end: text.len(), dunder: false, loads: statement && loads(text, start), odd: None };
        let (mut quote, mut open, mut at) = (None, 0usize, start);
        // Where the text began that is open, and what stood before it.
        let (mut literal, mut before_literal) = (start, None);
        // The last byte that is no white space.
        let mut before = None;
        while let Some(&byte) = text.get(at) {
            if is_word(byte) {
                let run = text[at..].iter().take_while(|b| is_word(**b)).count();
                block.dunder |= is_dunder(&text[at..at + run]) && begins(before);
                if quote.is_some() {
                    texts.extend_from_slice(&text[at..at + run]);
                } else if before == Some(b'|') && &text[at..at + run] == b"attr" {
                    block.odd.get_or_insert("access to attributes by name");
                }
                (before, at) = (Some(b'_'), at + run);
                continue;
            }
            match (quote, byte) {
                (Some(_), b'\\') => {
                    if is_escaped_letter(&text[at + 1..]) {
                        block.odd.get_or_insert("an escaped letter or underscore");
                    }
                    at += 1;
                }
                (Some(q), _) if q == byte => {
                    quote = None;
                    let after = text[at + 1..].iter().find(|b| !b.is_ascii_whitespace());
                    if let Some(what) = odd_text(&text[literal..at], before_literal, after.copied()) {
                        block.odd.get_or_insert(what);
                    }
                }
                (Some(_), _) => texts.push(byte),
                (None, b'\'' | b'"') => {
                    (quote, literal, before_literal) = (Some(byte), at + 1, before);
                }
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

/// A text that gives a letter where none is written: an underscore by multiplication, a character by its number.
fn odd_text(text: &[u8], before: Option<u8>, after: Option<u8>) -> Option<&'static str> {
    let underscores = !text.is_empty() && text.iter().all(|b| *b == b'_');
    if underscores && (before == Some(b'*') || after == Some(b'*')) {
        return Some("an underscore that is multiplied");
    }
    let numbers = text.starts_with(b"%c") || text.windows(3).any(|part| part == b":c}");
    numbers.then_some("a character by its number")
}

/// Whether an escape stands for a letter, a digit or an underscore, as Python reads it; what stands behind its backslash.
fn is_escaped_letter(rest: &[u8]) -> bool {
    let number = |from: usize, digits: usize, radix: u32| {
        let text = rest.get(from..from + digits).and_then(|text| std::str::from_utf8(text).ok());
        text.and_then(|text| u32::from_str_radix(text, radix).ok())
    };
    let code = match rest.first() {
        Some(b'N') => return rest.get(1) == Some(&b'{'),
        Some(b'x') => number(1, 2, 16),
        Some(b'u') => number(1, 4, 16),
        Some(b'U') => number(1, 8, 16),
        Some(b'0'..=b'7') => number(0, rest.iter().take(3).take_while(|b| (b'0'..=b'7').contains(b)).count(), 8),
        _ => None,
    };
    code.and_then(|code| u8::try_from(code).ok()).is_some_and(is_word)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// `__name__`, in the small letters of Python's own.
fn is_dunder(run: &[u8]) -> bool {
    run.len() > 4 && run.starts_with(b"__") && run.ends_with(b"__") && !run.iter().any(u8::is_ascii_uppercase)
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
            "{{ ''|attr ('x') }}",
            "{{ '' | attr\n('x') }}",
            "{{ ''['_' '_class_' '_'] }}",
            "{{ ['']|map(attribute='_' '_class_' '_')|list }}",
            "{{ x['__cla' ~ 'ss__'] }}",
            "{{ x['__cla' + \"ss__\"] }}",
            "{{ x[['__cla', 'ss__']|join] }}",
            "{% set a = '__cla' %}{{ messages }}{% set b = 'ss__' %}{{ x[a ~ b] }}",
            "{{ x['_'*2 ~ 'class' ~ 2*'_'] }}",
            "{{ x['%c%c' % (95, 95)] }}",
            "{{ x['{:c}'.format(95)] }}",
            "{{ x['\\137_class_\\137'] }}",
            "{{ x['\\N{LOW LINE}'] }}",
            "{{ x['\\U0000005f'] }}",
        ] {
            assert!(suspicious(bad).is_some(), "{bad}");
        }
        for good in [
            "{% for message in messages %}{{ message['content'] | trim }}{% endfor %}",
            "import os\n__init__ in plain text {{ bos_token }} cycler",
            "{%- set ns = namespace(found=false) %}{{ raise_exception('no') }}{{ strftime_now('%d %b') }}",
            "{{ tools_in_user_message.attributes }}",
            "{% set sentinel = '__NOT_A_NUMBER__' %}",
            "{{ recycler }}{{ élipsum }}{% imports %}{{ a____b }}{{ ____ }}",
            "{{ messages | selectattr('role', 'equalto', 'user') | list }}",
            "{{ messages | map(attribute='content') | join('\\n\\n') }}{{ x.replace('_', ' ') }}{{ '\\u2581' }}",
            "{{ '__' ~ message['name'] ~ '__' }}{{ tool.attr }}{{ '=' * 20 }}{{ '100%cool' }}{{ '<|im_start|>' ~ '\\t' }}",
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
