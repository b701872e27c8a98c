//! What names may look like before a part of a path is made of them.

/// Whether a text is one part of a path: not empty, no separator, not `.` or `..`, nothing that a system takes for more than a name.
pub(super) fn is_part(text: &str) -> bool {
    let odd = |c: char| c == '/' || c == '\\' || c == ':' || c.is_control();
    !text.is_empty() && text.len() <= 255 && text != "." && text != ".." && !text.contains(odd)
}

/// Whether a text is a path below a folder, of parts.
pub(super) fn is_path_below(text: &str) -> bool {
    text.len() <= 4096 && text.split('/').all(is_part)
}

/// Whether a text is a part of a repository's name on the hub (`REPO_ID_REGEX` and `validate_repo_id` of huggingface_hub
/// ([`crate::pins::HUGGINGFACE_HUB`])): letters, digits, `_`, `.` and `-`, at most 96, neither of the last two at an end, none
/// twice.
fn is_repo_part(text: &str) -> bool {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    let ends = |c| text.starts_with(c) || text.ends_with(c);
    !text.is_empty() && text.len() <= 96 && plain && !ends('-') && !ends('.') && !text.contains("--") && !text.contains("..")
}

/// Whether a text is `ORG/NAME`.
pub(super) fn is_repo(text: &str) -> bool {
    text.split_once('/').is_some_and(|(org, name)| is_repo_part(org) && is_repo_part(name))
}

/// `ORG/NAME[@REV][:FILE-or-quant]` in its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RepoName<'a> {
    /// `ORG/NAME`, or a name alone where the store has such.
    pub(super) repo: &'a str,
    /// A branch, a tag, `refs/pr/N` or a commit.
    pub(super) revision: Option<&'a str>,
    /// A file, or what the name of one tells of its quantization.
    pub(super) part: Option<&'a str>,
}

impl<'a> RepoName<'a> {
    /// Takes a name apart; `None` where it is none. `alone` also takes a name without an organisation.
    pub(super) fn parse(text: &'a str, alone: bool) -> Option<Self> {
        let (rest, part) = text.split_once(':').map_or((text, None), |(rest, part)| (rest, Some(part)));
        let (repo, revision) = rest.split_once('@').map_or((rest, None), |(repo, revision)| (repo, Some(revision)));
        let named = is_repo(repo) || alone && is_repo_part(repo);
        let below = |text: Option<&str>| text.is_none_or(is_path_below);
        (named && below(revision) && below(part)).then_some(Self { repo, revision, part })
    }
}

/// Endings of files: a path with one is no name of a repository.
const FILE_ENDINGS: [&str; 4] = [".safetensors", ".gguf", ".json", ".bin"];

/// Whether a text can mean a repository, or a file of one: `ORG/NAME[@REV][:FILE-or-quant]`.
pub(super) fn is_repo_or_part(text: &str) -> bool {
    RepoName::parse(text, false).is_some_and(|name| !FILE_ENDINGS.iter().any(|ending| name.repo.ends_with(ending)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_repositories_are_taken_apart() {
        let parse = |text| RepoName::parse(text, false).map(|n| (n.repo, n.revision, n.part));
        assert_eq!(parse("org/name"), Some(("org/name", None, None)));
        assert_eq!(parse("a.b/c_d-e@refs/pr/1:Q4_K_M"), Some(("a.b/c_d-e", Some("refs/pr/1"), Some("Q4_K_M"))));
        assert_eq!(parse("org/name:sub/file.gguf"), Some(("org/name", None, Some("sub/file.gguf"))));
        let bad = [
            "name",
            "/name",
            "org/",
            "../name",
            "org/..",
            "org/name/file",
            "org/a--b",
            "-a/b",
            "org/name@",
            "org/name@../x",
            "org/name:../x",
            "org/name:/x",
            "org/name@/x",
            "org/na me",
            "org/name:a//b",
            "org\\x/name",
            "~/name",
            "org/.name",
        ];
        for text in bad {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(RepoName::parse("gpt2", true).map(|n| n.repo), Some("gpt2"));
    }

    #[test]
    fn a_part_is_one_name() {
        for bad in ["", ".", "..", "a/b", "a\\b", "c:", "a\0b", "a\nb"] {
            assert!(!is_part(bad), "{bad:?}");
        }
        assert!(is_part("a..b") && is_path_below("a/b..c/d") && !is_path_below("/a") && !is_path_below("a/../b"));
    }
}
