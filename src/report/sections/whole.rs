//! The whole report as sections: what headers tell at once, and what follows the scan.

use super::{Detail, copies, likely_bridge, memory, project, scan, show};
use crate::project::Projection;
use crate::report::cell::Section;
use crate::report::whole::WholeReport;

/// What is known before any value is read. `path` is what was asked for.
pub fn whole_of_headers<'a>(path: &str, whole: &WholeReport<'a>) -> Vec<Section<'a>> {
    let body = &whole.body;
    let mut page = show(path, &body.show, None);
    if body.show.totals.tensors > 0 {
        // The pruned forms follow the scan, which measures the zeros.
        let sizes = Projection { pruned: Vec::new(), ..body.project.projection.clone() };
        page.extend(project(&sizes, Detail::Brief));
        page.extend(likely_bridge(&sizes).filter(|_| body.project.copies.is_empty()));
        page.extend(copies(&body.project.copies));
    }
    if body.show.totals.tensors > 0 || whole.stand_in.is_some() || !body.memory.fit.is_empty() {
        let mut part = memory(&body.memory, Detail::Brief, false);
        if let (Some(stand_in), Some(first)) = (&whole.stand_in, part.first_mut()) {
            first.note(stand_in.note.clone());
        }
        page.extend(part);
    }
    page
}

/// What the values tell, and the pruned forms.
pub fn whole_of_values(whole: &WholeReport<'_>) -> Vec<Section<'static>> {
    let mut page = Vec::new();
    if let Some(body) = &whole.body.scan {
        page.extend(scan(body, Detail::Brief));
    }
    if whole.shows_pruned() {
        let pruned = Projection { quantized: Vec::new(), sharded: Vec::new(), ..whole.body.project.projection.clone() };
        page.extend(project(&pruned, Detail::Brief));
    }
    page
}
