//! Findings as SARIF 2.1.0, the form that code hosts and editors read. What GitHub's code scanning asks beyond the standard is kept: a
//! place for every result (it refuses a whole file for one without), help for every rule, fingerprints that tell results apart.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::audit::AuditBody;
use crate::audit::{Finding, Place, codes};
use crate::text::escape_limited;

/// The schema that the document follows.
const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";
/// Where this version is described.
const INFORMATION: &str = concat!("https://docs.rs/weighbridge/", env!("CARGO_PKG_VERSION"));
/// The one fingerprint that GitHub looks at; it makes one of a line of text where there is none, which files of weights do not have.
const GITHUB_FINGERPRINT: &str = "primaryLocationLineHash";
/// The same for others, with the version of how it is made.
const FINGERPRINT: &str = "codeFileTensor/v1";

/// One run with a result for every finding and a rule for every code of the registry. `below` is the path from the checkout to the
/// audited folder; URIs are relative to the checkout.
pub fn sarif(body: &AuditBody<'_>, place: &Place, below: &Path) -> Value {
    let rules: Vec<Value> = codes()
        .map(|code| {
            json!({
                "id": code.code,
                "shortDescription": {"text": inert(code.title)},
                "fullDescription": {"text": inert(code.explanation)},
                "help": {"text": inert(code.explanation)},
                "defaultConfiguration": {"level": code.severity.name()},
            })
        })
        .collect();
    let index: HashMap<&str, usize> = codes().enumerate().map(|(i, code)| (code.code, i)).collect();
    let folder = folder_uri(below);
    let mut fingerprints = Fingerprints::default();
    let results = body.findings.iter().map(|finding| {
        let uri = format!("{folder}{}", uri(place.file_of(finding).as_bytes()));
        let fingerprint = fingerprints.of(finding, &folder);
        result(finding, index.get(finding.code).copied(), &uri, &fingerprint)
    });
    let results: Vec<Value> = results.collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "weigh",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "informationUri": INFORMATION,
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
            "properties": {"coverage": body.coverage, "counts": body.counts},
        }],
    })
}

fn result(finding: &Finding, rule: Option<usize>, uri: &str, fingerprint: &str) -> Value {
    // One line of text: a line break from a file must not start a line of somebody's log.
    let tensor = finding.tensor.as_ref().map_or_else(String::new, |t| format!("`{}`: ", escape_limited(t, 80)));
    let help = finding.help.as_ref().map_or_else(String::new, |h| format!("; {h}"));
    let offset = finding.offset.filter(|offset| finding.file.is_some() && i64::try_from(*offset).is_ok());
    let region = offset.map_or_else(|| json!({"startLine": 1}), |offset| json!({"byteOffset": offset}));
    let physical = json!({"artifactLocation": {"uri": uri}, "region": region});
    let location = match finding.tensor.as_ref().filter(|tensor| !tensor.is_empty()) {
        Some(tensor) => json!({"physicalLocation": physical, "logicalLocations": [{"name": tensor, "kind": "member"}]}),
        None => json!({"physicalLocation": physical}),
    };
    let mut result = json!({
        "ruleId": finding.code,
        "level": finding.severity.name(),
        "message": {"text": inert(&format!("{tensor}{}{help}", finding.message))},
        "locations": [location],
        "partialFingerprints": {GITHUB_FINGERPRINT: fingerprint, FINGERPRINT: fingerprint},
    });
    if let (Some(rule), Some(fields)) = (rule, result.as_object_mut()) {
        fields.insert("ruleIndex".to_owned(), json!(rule));
    }
    result
}

/// Tells findings apart, and tells them again in the next run: by code, file and tensor, and where these are the same by their order.
#[derive(Default)]
struct Fingerprints {
    seen: BTreeMap<String, u64>,
}

impl Fingerprints {
    fn of(&mut self, finding: &Finding, folder: &str) -> String {
        let mut hasher = Sha256::new();
        let parts = [finding.code, folder, finding.file.as_deref().unwrap_or(""), finding.tensor.as_deref().unwrap_or("")];
        for part in parts {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let digest: String = hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let nth = self.seen.entry(digest.clone()).or_insert(0);
        *nth += 1;
        format!("{digest}:{nth}")
    }
}

/// Text in which no viewer sees a placeholder or a link (SARIF 2.1.0, 3.11.5 and 3.11.6): braces are doubled. Brackets may stand as they
/// are unless `](` makes a link of them: there they get a backslash, and a blank for viewers that do not know the backslash.
fn inert(text: &str) -> String {
    let text = text.replace('{', "{{").replace('}', "}}");
    if text.contains("](") { text.replace('[', "\\[").replace(']', "\\]").replace("](", "] (") } else { text }
}

/// The path from the checkout to the audited folder, ready to have a file's name after it.
fn folder_uri(below: &Path) -> String {
    let parts = below.components().map(|part| uri(part.as_os_str().as_encoded_bytes()));
    parts.flat_map(|part| [part, "/".to_owned()]).collect()
}

/// A relative path as a URI reference: everything but plain characters in per cent.
fn uri(path: &[u8]) -> String {
    let mut out = String::with_capacity(path.len());
    for &byte in path {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'_' | b'-' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Severity;

    #[test]
    fn paths_become_uri_references() {
        assert_eq!(uri("a b/ü\n.gguf".as_bytes()), "a%20b/%C3%BC%0A.gguf");
        assert_eq!(folder_uri(Path::new("models/a b")), "models/a%20b/");
        assert_eq!(folder_uri(Path::new("")), "");
    }

    #[test]
    fn foreign_text_is_no_link_and_no_placeholder() {
        assert_eq!(inert("a {0} [x]"), "a {{0}} [x]");
        assert_eq!(inert("[click](https://e) [y]"), "\\[click\\] (https://e) \\[y\\]");
        // What was escaped before stays escaped: two backslashes, then the one of the bracket.
        assert_eq!(inert("\\\\[x](1)"), "\\\\\\[x\\] (1)");
    }

    #[test]
    fn our_own_words_need_no_escape() {
        for code in codes() {
            assert_eq!(inert(code.title), code.title);
            assert_eq!(inert(code.explanation), code.explanation, "{}", code.code);
        }
    }

    #[test]
    fn fingerprints_depend_on_code_file_and_tensor_and_tell_equals_apart() {
        let code = codes().next().unwrap();
        let finding = |file: &str, tensor: &str| Finding::new(code, "m").file(file).tensor(tensor);
        let mut fingerprints = Fingerprints::default();
        let mut of = |finding: &Finding| fingerprints.of(finding, "");
        let first = of(&finding("a", "b"));
        assert!(first.ends_with(":1"));
        // The words, the place and the severity may change from version to version.
        let again = of(&Finding { message: "other".to_owned(), ..finding("a", "b").offset(Some(7)).severity(Severity::Note) });
        assert_eq!(again, first.replace(":1", ":2"));
        for other in [finding("ab", ""), finding("", "ab"), finding("a", "c"), finding("b", "b")] {
            assert!(of(&other).ends_with(":1"), "{other:?}");
        }
    }
}
