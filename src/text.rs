//! Text that comes from a file.
//!
//! A tensor name, a metadata value or a path inside an index is written by whoever made the file. It is kept as it stands there, and
//! escaped where it leaves the library for a person: in messages, notes and errors by [`escape`] and [`escape_limited`], in tables by
//! the renderers. Terminal control sequences, bidirectional overrides and invisible characters become visible then.

/// Whether a character may stand in terminal output as it is.
///
/// Refused: C0 and C1 controls, DEL, bidirectional controls, zero-width and other invisible format characters, line and
/// paragraph separators, variation selectors, private use and tag characters.
fn is_plain(c: char) -> bool {
    !(c.is_control()
        || matches!(c,
            '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
            | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
            | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}'
            | '\u{E000}'..='\u{F8FF}' | '\u{E0000}'..='\u{E0FFF}' | '\u{F0000}'..='\u{10FFFF}'))
}

/// Escapes foreign text for a terminal: everything that could move the cursor, change colours, reorder or hide text becomes a
/// visible `\u{..}` escape. Nothing is cut.
pub fn escape(text: &str) -> String {
    escape_limited(text, usize::MAX)
}

/// Words of our own with foreign text in them that is escaped already: backslashes stay as they are, and what would still steer a
/// terminal becomes a visible escape.
pub fn escape_words(text: &str) -> String {
    if text.chars().all(is_plain) && !text.contains("##") {
        text.to_owned()
    } else {
        text.split('\\').map(escape).collect::<Vec<_>>().join("\\")
    }
}

/// Whether a command to a runner of continuous integration begins here: `##[`, `##vso[` (Azure, GitHub), `##teamcity[`. They are looked
/// for anywhere in a line.
fn begins_command(rest: &str) -> bool {
    rest.strip_prefix("##").is_some_and(|rest| rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).starts_with('['))
}

/// A line in which GitHub's runner sees no command: it takes lines for such that begin with `::`, whatever blanks stand before.
pub fn disarmed(line: &str) -> std::borrow::Cow<'_, str> {
    match line.trim_start().strip_prefix("::") {
        Some(rest) => format!("{}\\u{{3a}}:{rest}", &line[..line.len() - rest.len() - 2]).into(),
        None => line.into(),
    }
}

/// As [`escape`], cut after `limit` characters of the source with a count of what is missing.
pub fn escape_limited(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(256));
    for (i, (at, c)) in text.char_indices().enumerate() {
        if i == limit {
            out.push_str(&format!("… [{} more]", text.chars().count() - limit));
            break;
        }
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\\' => out.push_str("\\\\"),
            '#' if begins_command(&text[at..]) => out.push_str("\\u{23}"),
            c if is_plain(c) => out.push(c),
            c => out.push_str(&format!("\\u{{{:x}}}", c as u32)),
        }
    }
    out
}

/// A path as shown to a person: escaped, with bytes that are no UTF-8 replaced.
pub fn shown_path(path: &std::path::Path) -> String {
    escape(&path.to_string_lossy())
}

/// Whether a name fits a pattern in which `*` stands for any text and `?` for one character. Linear in both.
pub fn matches_glob(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        if p < pattern.len() && pattern[p] == '*' {
            retry = Some((p, n));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == name[n]) {
            p += 1;
            n += 1;
        } else if let Some((star, from)) = retry {
            retry = Some((star, from + 1));
            p = star + 1;
            n = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_sequences_and_invisible_characters_become_visible() {
        let hostile = "a\u{1b}[31mred\u{202e}\u{200b}\nb\u{9b}\u{e0041}";
        let shown = escape(hostile);
        assert_eq!(shown, "a\\u{1b}[31mred\\u{202e}\\u{200b}\\nb\\u{9b}\\u{e0041}");
    }

    #[test]
    fn commands_to_a_runner_are_disarmed() {
        assert_eq!(escape("##[error]x ##vso[a] ## heading #[x] ##a b["), "\\u{23}#[error]x \\u{23}#vso[a] ## heading #[x] ##a b[");
        assert_eq!(escape_words("a\\n##[x]"), "a\\n\\u{23}#[x]");
        assert_eq!(disarmed("  ::error::x"), "  \\u{3a}:error::x");
        assert_eq!(disarmed("a::b"), "a::b");
    }

    #[test]
    fn what_is_escaped_stays_escaped_once() {
        assert_eq!(escape_words("at \\n and a\\\\b"), "at \\n and a\\\\b");
        assert_eq!(escape_words("\\\u{1b}[31m\n"), "\\\\u{1b}[31m\\n");
    }

    #[test]
    fn ordinary_text_is_left_alone() {
        assert_eq!(escape("blk.0.attn_q.weight é 漢"), "blk.0.attn_q.weight é 漢");
    }

    #[test]
    fn long_text_is_cut_with_a_count() {
        assert_eq!(escape_limited("abcdef", 2), "ab… [4 more]");
    }

    #[test]
    fn globs_match_whole_names_without_backtracking_for_ever() {
        for (pattern, name, fits) in [
            ("*", "", true),
            ("*.weight", "a.b.weight", true),
            ("*.weight", "a.weight.x", false),
            ("blk.?.attn_*", "blk.7.attn_q.weight", true),
            ("blk.?.attn_*", "blk.17.attn_q.weight", false),
            ("a*b*c", "aXXbYYc", true),
            ("", "a", false),
        ] {
            assert_eq!(matches_glob(pattern, name), fits, "{pattern} {name}");
        }
        assert!(!matches_glob(&"a*".repeat(50), &"a".repeat(49)));
        assert!(!matches_glob(&format!("{}b", "*a".repeat(200)), &"a".repeat(20_000)));
    }
}
