//! `weigh audit` as sections: findings, then what was looked at.

use crate::audit::{Code, Finding, Hashed, Severity};
use crate::checkpoint::OutsideSnapshot;
use crate::report::audit::AuditBody;
use crate::report::cell::{Cell, Section, Table, left, right};
use crate::text::{escape, escape_limited};
use crate::units::{Bytes, grouped};

/// Findings of one severity that are listed; the rest is counted.
const LISTED: usize = 200;
/// Names of files that are listed.
const NAMES: usize = 8;

/// The sections of a body.
pub fn audit(path: &str, body: &AuditBody<'_>) -> Vec<Section<'static>> {
    let mut headline = Section::new(escape(path));
    let c = &body.counts;
    headline.aside = format!("{}, {}, {}", plural(c.error, "error"), plural(c.warning, "warning"), plural(c.note, "note"));
    let mut sections = vec![headline];
    for (severity, title) in [(Severity::Error, "Errors"), (Severity::Warning, "Warnings"), (Severity::Note, "Notes")] {
        let found: Vec<&Finding> = body.findings.iter().filter(|f| f.severity == severity).collect();
        if found.is_empty() {
            continue;
        }
        let mut section = Section::new(title);
        for finding in found.iter().take(LISTED) {
            section.state(line(finding));
            if let Some(help) = &finding.help {
                section.state(format!("  help: {help}"));
            }
        }
        if found.len() > LISTED {
            section.state(format!("{} more: see --format json", found.len() - LISTED));
        }
        sections.push(section);
    }
    sections.push(coverage(body));
    sections
}

fn line(finding: &Finding) -> String {
    let mut line = format!("[{}]", finding.code);
    if let Some(file) = &finding.file {
        line.push_str(&format!(" {}:", escape_limited(file, 120)));
    }
    if let Some(tensor) = &finding.tensor {
        line.push_str(&format!(" `{}`:", escape_limited(tensor, 80)));
    }
    line.push(' ');
    line.push_str(&finding.message);
    if let Some(offset) = finding.offset {
        line.push_str(&format!(" (at byte {offset})"));
    }
    line
}

fn coverage(body: &AuditBody<'_>) -> Section<'static> {
    let c = &body.coverage;
    let mut section = Section::new("Looked at");
    section.aside = format!(
        "{} of {} files understood, {} read, values {}",
        grouped(c.files_understood),
        grouped(c.files_seen),
        Bytes(c.bytes_read).binary(),
        if c.values_scanned { "scanned" } else { "not scanned" }
    );
    if !c.files_not_understood.is_empty() {
        let names: Vec<String> = c.files_not_understood.iter().take(NAMES).map(|n| escape_limited(n, 60)).collect();
        let more = c.files_not_understood.len().saturating_sub(NAMES);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        section.state(format!("not understood: {}{more}", names.join(", ")));
    }
    if let Some(hashed) = &c.hashed {
        section.state(hashes(hashed, c.files_seen));
    }
    if let Some(outside) = c.outside_snapshot.filter(|outside| *outside != OutsideSnapshot::default()) {
        section.state(format!("outside the snapshot, not looked at: {}", parts(&outside)));
    }
    if body.counts.allowed > 0 {
        section.state(format!("{} findings are left out by the policy", grouped(body.counts.allowed)));
    }
    if !c.values_scanned {
        let ranges = if c.bytes_compared > 0 { ", and ranges of weight sets of the same names" } else { "" };
        section.note(match c.hashed {
            Some(hashed) if hashed.files > 0 => "values were hashed, not looked at; --scan looks at every one".to_owned(),
            _ => format!("only headers and texts were read{ranges}; --scan reads every value"),
        });
    }
    body.notes.iter().for_each(|note| section.note(note.clone()));
    section
}

fn hashes(hashed: &Hashed, seen: u64) -> String {
    match hashed.files {
        0 => format!("hashed: no file; no SHA-256 is stated of {}", plural(seen, "file")),
        files => format!(
            "hashed: {} of {}, {}: those whose SHA-256 a store states",
            grouped(files),
            plural(seen, "file"),
            Bytes(hashed.bytes).binary()
        ),
    }
}

fn parts(outside: &OutsideSnapshot) -> String {
    let parts = [
        (outside.snapshots, "other snapshot"),
        (outside.blobs, "unused blob"),
        (outside.unfinished_downloads, "unfinished download"),
        (outside.other_files, "other file"),
    ];
    let parts: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| plural(*n, word)).collect();
    parts.join(", ")
}

fn plural(n: u64, word: &str) -> String {
    if n == 1 { format!("1 {word}") } else { format!("{} {word}s", grouped(n)) }
}

/// The findings as one table without a title, for outputs of tables alone.
pub fn findings(body: &AuditBody<'_>) -> Vec<Section<'static>> {
    let mut table =
        Table::new([left("severity"), left("code"), left("file"), left("tensor"), right("offset"), left("message"), left("help")]);
    let foreign = |text: &Option<String>| text.clone().map_or(Cell::None, Cell::Foreign);
    for finding in body.findings {
        table.row(vec![
            Cell::text(finding.severity.name()),
            Cell::text(finding.code),
            foreign(&finding.file),
            foreign(&finding.tensor),
            Cell::count(finding.offset),
            Cell::text(&finding.message),
            finding.help.clone().map_or(Cell::None, Cell::Text),
        ]);
    }
    vec![Section { table: Some(table), ..Section::default() }]
}

/// What codes mean as one table without a title.
pub fn explanations(codes: &[&Code]) -> Vec<Section<'static>> {
    let mut table = Table::new([left("code"), left("severity"), left("title"), left("explanation")]);
    for code in codes {
        let cells = [code.code, code.severity.name(), code.title, code.explanation];
        table.row(cells.map(Cell::text).to_vec());
    }
    vec![Section { table: Some(table), ..Section::default() }]
}

/// What a code means.
pub fn explanation(code: &Code) -> Vec<Section<'static>> {
    let mut section = Section::new(code.code);
    section.aside = format!("{} ({})", code.title, code.severity.name());
    section.state(code.explanation);
    vec![section]
}
