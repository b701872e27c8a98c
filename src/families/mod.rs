//! What is known of model families, as data. A family is a row of [`FAMILIES`]; the words of its columns stand in [`cache`], [`converter`],
//! [`family`] and [`graph`]; what they make the program do stands where it is done.
//!
//! Tables that other programs own are in `generated`, made from their packages by `scripts/generate/check --write`; nobody types them.

pub mod cache;
pub mod config_keys;
pub mod converter;
pub mod defaults;
pub mod family;
mod generated;
pub mod gguf_names;
pub mod graph;
pub(crate) mod modules;
pub mod params_json;
pub(crate) mod parts;
mod role;
pub mod routers;
mod rows;
mod table;
pub mod tied_heads;

pub use family::Family;
pub use generated::token_classes;
pub use role::Role;
pub use rows::FAMILIES;
pub(crate) use table::Table;

use converter::Conversion;

/// The row of a `model_type`.
pub fn by_model_type(name: &str) -> Option<&'static Family> {
    FAMILIES.iter().find(|row| row.model_types.contains(&name))
}

/// The row of a `general.architecture`.
pub fn by_gguf(name: &str) -> Option<&'static Family> {
    FAMILIES.iter().find(|row| row.gguf == Some(name))
}

/// Parts of the names of models without attention: also of those that have no row.
const WITHOUT_ATTENTION: &[&str] = &["mamba", "rwkv"];

/// Whether a model of this `model_type` or `general.architecture` has attention heads, by its name.
pub fn attends(name: &str) -> bool {
    !WITHOUT_ATTENTION.iter().any(|part| name.contains(part))
}

/// How the converter writes a class, with the row of the family.
pub fn by_class(name: &str) -> Option<(&'static Family, &'static Conversion)> {
    FAMILIES.iter().find_map(|row| Some((row, row.conversions.iter().find(|one| one.classes.contains(&name))?)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_name_stands_in_one_row() {
        let mut seen = BTreeSet::new();
        for row in FAMILIES {
            let names = row.model_types.iter().map(|name| ("model_type", *name));
            let names = names.chain(row.gguf.map(|name| ("gguf", name)));
            let classes = row.conversions.iter().flat_map(|one| one.classes).map(|name| ("class", *name));
            for name in names.chain(classes) {
                assert!(seen.insert(name), "{name:?} stands in two rows");
            }
            assert!(!row.model_types.is_empty() || row.gguf.is_some(), "a row without a name");
            assert!(row.conversions.is_empty() || row.gguf.is_some(), "{:?} is converted to no architecture", row.model_types);
            assert!(row.declared.iter().all(|(name, _)| row.model_types.contains(name)), "{:?}", row.model_types);
        }
    }

    #[test]
    fn every_gguf_name_is_one_of_llama_cpp() {
        let unknown: Vec<_> =
            FAMILIES.iter().filter_map(|row| row.gguf).filter(|name| !gguf_names::LOADED_ARCHITECTURES.contains(name)).collect();
        assert_eq!(unknown, [""; 0]);
    }
}
