//! `weigh ls` as sections, and what a manifest says.

use super::{LISTED, fold};
use crate::report::cell::{Cell, Section, Table, left, right};
use crate::stores::{Duplicate, Inventory, Manifest, Stored};
use crate::text::escape_limited;
use crate::units::{Bytes, grouped};

/// Digits of a commit or digest that are shown.
const SHORT: usize = 12;
/// Names of files that a line lists.
const NAMED: usize = 4;

/// The list, and what lies there twice.
pub fn ls(list: &Inventory, notes: &[String], duplicates: bool) -> Vec<Section<'static>> {
    let mut sections = vec![models(list, notes, duplicates)];
    if duplicates {
        sections.extend(twice(&list.duplicates));
    }
    sections
}

fn models(list: &Inventory, notes: &[String], duplicates: bool) -> Section<'static> {
    let mut table = Table::new([
        left("model"),
        left("store").expendable(3),
        left("format").expendable(4),
        right("parameters"),
        right("weights"),
        right("files").expendable(2),
        left("stored as"),
        left("revision").expendable(5),
        left("complete"),
    ]);
    for model in &list.models {
        table.row(row(model));
    }
    let mut section = Section { table: Some(table), ..Section::new("Models") };
    let (mut warnings, mut remarks) = (Vec::new(), Vec::new());
    for model in &list.models {
        let name = escape_limited(&model.name, 80);
        if !model.missing_files.is_empty() {
            warnings.push(format!("{name}: missing or of another length: {}", named(&model.missing_files)));
        }
        if model.left_out_files > 0 && model.missing_files.is_empty() {
            let n = grouped(model.left_out_files);
            remarks.push(format!("{name}: partial by choice, {n} files of the listing were not downloaded"));
        }
        if duplicates && !model.same_as.is_empty() {
            remarks.push(format!("{name} has the weights of {}", named(&model.same_as)));
        }
        warnings.extend(model.problems.iter().take(2).cloned());
    }
    let (told, folded) = fold(&warnings, LISTED);
    told.iter().for_each(|line| section.warn(line.clone()));
    if !folded.is_empty() {
        section.warn(format!("{} more warnings: --format json has them all", folded.len()));
    }
    let (told, folded) = fold(&remarks, LISTED);
    told.iter().for_each(|line| section.note(line.clone()));
    if !folded.is_empty() {
        section.note(format!("{} more remarks of this kind: --format json has what they say", folded.len()));
    }
    let again = list.models.iter().filter(|model| !model.same_as.is_empty()).count();
    if again > 0 && !duplicates {
        section.note(format!("{again} of them have the weights of another one: --duplicates lists them"));
    }
    let totals = &list.totals;
    section.note(format!(
        "{} models, {} on disk; {} are shared by several names, duplicates cost {}",
        grouped(totals.models),
        Bytes(totals.bytes).binary(),
        Bytes(totals.shared_bytes).binary(),
        Bytes(totals.duplicate_bytes).binary()
    ));
    notes.iter().for_each(|note| section.note(note.clone()));
    section
}

fn row(model: &Stored) -> Vec<Cell> {
    let foreign = |text: &Option<String>| text.as_ref().map_or(Cell::None, |text| Cell::Foreign(text.clone()));
    let revision = model.revision.as_ref().map(|r| r.chars().take(SHORT).collect::<String>());
    vec![
        Cell::Foreign(model.name.clone()),
        model.store.map_or(Cell::None, Cell::text),
        model.format.map_or(Cell::None, Cell::text),
        Cell::count(model.logical_params),
        model.tensor_bytes.map_or(Cell::None, Cell::Bytes),
        Cell::Bytes(model.file_bytes),
        foreign(&model.quantization),
        foreign(&revision),
        match model.complete {
            None => Cell::None,
            Some(false) => Cell::text("no"),
            Some(true) if model.left_out_files > 0 => Cell::text("partial"),
            Some(true) => Cell::text("yes"),
        },
    ]
}

fn named(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(NAMED).map(|name| escape_limited(name, 80)).collect();
    let more = names.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

fn twice(duplicates: &[Duplicate]) -> Option<Section<'static>> {
    if duplicates.is_empty() {
        return None;
    }
    let mut table = Table::new([right("bytes"), right("copies"), left("known by"), left("models")]);
    for duplicate in duplicates {
        let basis = if duplicate.sha256.is_some() { "stated hash" } else { "length and head" };
        let models = duplicate.models.join(", ");
        table.row(vec![
            Cell::Bytes(duplicate.bytes),
            Cell::Count(duplicate.paths.len() as u64),
            Cell::text(basis),
            Cell::Foreign(models),
        ]);
    }
    let mut section = Section { table: Some(table), ..Section::new("On disk more than once") };
    section.note("nothing was compared byte for byte: read both before one of them is deleted");
    Some(section)
}

/// The blobs of a manifest, but for those that are a tensor each.
pub fn manifest(manifest: &Manifest) -> Section<'static> {
    let mut table = Table::new([left("layer"), left("file"), right("bytes"), left("digest").expendable(2), left("shared with")]);
    for layer in manifest.layers.iter().filter(|layer| layer.kind != "tensor") {
        table.row(vec![
            Cell::Foreign(layer.kind.clone()),
            Cell::Foreign(layer.file.clone()),
            Cell::Bytes(layer.bytes),
            Cell::Foreign(layer.digest.chars().skip("sha256:".len()).take(SHORT).collect()),
            if layer.shared_with.is_empty() { Cell::None } else { Cell::Foreign(layer.shared_with.join(", ")) },
        ]);
    }
    let mut section = Section { table: Some(table), ..Section::new("Manifest") };
    section.state(format!("{}, {} in all its blobs", escape_limited(&manifest.name, 120), Bytes(manifest.bytes).binary()));
    if manifest.tensor_layers > 0 {
        section.state(format!("{} blobs are a tensor each", grouped(manifest.tensor_layers)));
    }
    if let Some(params) = &manifest.params {
        section.state(format!("sets {}", escape_limited(&params.to_string(), 400)));
    }
    section.state(if manifest.has_template {
        "has a template of its own, beside that of the model file"
    } else {
        "has no template of its own"
    });
    section
}
