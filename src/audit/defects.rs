//! Defects that a reader told of, as findings.

use super::finding::{Code, Finding, Findings};
use crate::format::{Container, Defect, DefectKind};

/// Adds the defects of one kind in a file as findings of `row`; `adapt` may change each.
pub(super) fn push_defects(
    out: &mut Findings,
    file: &str,
    container: &Container,
    kind: DefectKind,
    row: &Code,
    adapt: impl Fn(Finding, &Defect) -> Finding,
) {
    let findings = container.defects.iter().filter(|d| d.kind == kind).map(|defect| {
        let mut finding = Finding::new(row, &defect.message).file(file).offset(defect.offset);
        if let Some(tensor) = defect.tensor.and_then(|t| container.tensors.get(t as usize)) {
            finding = finding.tensor(container.name(tensor));
        }
        adapt(finding, defect)
    });
    out.push_many(findings);
}
