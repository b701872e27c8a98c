//! Findings as SARIF 2.1.0, the form that code hosts and editors read.

use serde_json::{Value, json};

use super::audit::AuditBody;
use crate::audit::{Finding, Severity, codes};
use crate::text::escape_limited;

/// The schema that the document follows.
const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// One run with a result for every finding and a rule for every code of the registry.
pub fn sarif(body: &AuditBody) -> Value {
    let rules: Vec<Value> = codes()
        .map(|code| {
            json!({
                "id": code.code,
                "shortDescription": {"text": code.title},
                "fullDescription": {"text": code.explanation},
                "defaultConfiguration": {"level": level(code.severity)},
            })
        })
        .collect();
    let index: std::collections::HashMap<&str, usize> = codes().enumerate().map(|(i, code)| (code.code, i)).collect();
    let results: Vec<Value> = body.findings.iter().map(|f| result(f, index.get(f.code).copied())).collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "weigh",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
            "properties": {"coverage": body.coverage, "counts": body.counts},
        }],
    })
}

fn result(finding: &Finding, rule: Option<usize>) -> Value {
    // One line of text: a line break from a file must not start a line of somebody's log.
    let tensor = finding.tensor.as_ref().map_or_else(String::new, |t| format!("`{}`: ", escape_limited(t, 80)));
    let help = finding.help.as_ref().map_or_else(String::new, |h| format!("; {h}"));
    let mut result = json!({
        "ruleId": finding.code,
        "level": level(finding.severity),
        "message": {"text": format!("{tensor}{}{help}", finding.message)},
    });
    let fields = result.as_object_mut();
    let Some(fields) = fields else { return result };
    if let Some(rule) = rule {
        fields.insert("ruleIndex".to_owned(), json!(rule));
    }
    let mut location = serde_json::Map::new();
    if let Some(file) = &finding.file {
        let mut physical = json!({"artifactLocation": {"uri": uri(file)}});
        if let (Some(offset), Some(map)) = (finding.offset.filter(|o| i64::try_from(*o).is_ok()), physical.as_object_mut()) {
            map.insert("region".to_owned(), json!({"byteOffset": offset}));
        }
        location.insert("physicalLocation".to_owned(), physical);
    }
    if let Some(tensor) = finding.tensor.as_ref().filter(|t| !t.is_empty()) {
        location.insert("logicalLocations".to_owned(), json!([{"name": tensor, "kind": "member"}]));
    }
    if !location.is_empty() {
        fields.insert("locations".to_owned(), json!([location]));
    }
    result
}

fn level(severity: Severity) -> &'static str {
    severity.name()
}

/// A relative path as a URI reference: everything but plain characters in per cent.
fn uri(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
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

    #[test]
    fn paths_become_uri_references() {
        assert_eq!(uri("a b/ü\n.gguf"), "a%20b/%C3%BC%0A.gguf");
    }
}
