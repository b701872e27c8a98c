//! `weigh ls`: every model on this machine, or in folders.

use std::path::Path;

use weighbridge::error::{Error, ErrorKind, Result};
use weighbridge::report::document::{Document, Head};
use weighbridge::report::sections;
use weighbridge::stores::{Inventory, STORES, Store, inventory, sort, store};
use weighbridge::text::shown_path;

use crate::args::{Common, LsArgs};
use crate::opened::environment;
use crate::outcome::Outcome;
use crate::output::Output;

/// Lists what is there.
pub(crate) fn run(args: &LsArgs, common: &Common, output: &Output) -> Result<Outcome> {
    let (stores, paths) = asked(args, common)?;
    let environment = environment();
    let mut list = inventory(&stores, &paths, &environment);
    sort(&mut list.models, args.sort);
    if args.duplicates {
        list.models.retain(|model| !model.same_as.is_empty());
    }
    let notes = notes(&list, &stores, args);
    let sections = sections::ls(&list, &notes, args.duplicates);
    let mut head =
        Head::new("ls", args.places.first().filter(|_| args.places.len() == 1).map(|p| p.to_string_lossy().into_owned()));
    head.notes = Some(notes);
    output.write(&Document { head, body: list }, &sections)?;
    Ok(Outcome::Done)
}

/// The stores and the paths that are asked for; every store where none is.
fn asked<'a>(args: &'a LsArgs, common: &Common) -> Result<(Vec<&'static dyn Store>, Vec<&'a Path>)> {
    let known = || STORES.iter().map(|s| s.name()).collect::<Vec<_>>().join(", ");
    let (mut stores, mut paths) = (Vec::new(), Vec::new());
    if let Some(name) = &common.store {
        let found = store(name).ok_or_else(|| {
            Error::new(ErrorKind::Usage, format!("unknown store `{}`", weighbridge::text::escape_limited(name, 40)))
                .help(format!("known: {}", known()))
        })?;
        stores.push(found);
    }
    for place in &args.places {
        let there = std::fs::metadata(place).is_ok();
        match place.to_str().and_then(store).filter(|_| !there) {
            Some(store) => stores.push(store),
            None if there => paths.push(place.as_path()),
            None => {
                return Err(Error::new(ErrorKind::NotFound, "is neither there nor the name of a store")
                    .with_path(place)
                    .help(format!("stores: {}", known())));
            }
        }
    }
    if stores.is_empty() && paths.is_empty() {
        stores = STORES.to_vec();
    }
    Ok((stores, paths))
}

fn notes(list: &Inventory, stores: &[&dyn Store], args: &LsArgs) -> Vec<String> {
    let places: Vec<String> = list.looked_at.iter().map(|path| shown_path(path)).collect();
    let mut notes = Vec::new();
    match places.as_slice() {
        [] => notes.push(format!(
            "none of the stores is on this machine: {}",
            stores.iter().map(|s| s.name()).collect::<Vec<_>>().join(", ")
        )),
        places => notes.push(format!("looked in {}", places.join(", "))),
    }
    if list.duplicates.iter().any(|duplicate| duplicate.basis == "likely") {
        notes.push(
            "likely: files of one length and one head, of which no hash is stated; compare them before one is deleted".to_owned(),
        );
    }
    if args.duplicates {
        notes.push("only models are listed whose weights are those of another one".to_owned());
    }
    notes
}
