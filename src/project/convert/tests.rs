//! Every key of every file on record, by its bytes, and the numbers under those that engines read.

use serde_json::Value;

use super::*;
use crate::checkpoint::{HfFolder, OpenOptions, open};
use crate::format::MetadataValue;
use crate::project::input::ProjectInput;

mod families {
    include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/families.rs"));
}

#[test]
fn every_key_on_record_has_its_size() {
    let temp = tempfile::tempdir().unwrap();
    let mut misses = Vec::new();
    let (mut files, mut keys) = (0, 0);
    for (name, record) in families::records().iter().filter(|(_, record)| record["refused"].is_null()) {
        let path = families::recreate(name, record, temp.path());
        let checkpoint = open(&path, &OpenOptions::default()).unwrap();
        let mut folder = HfFolder::of(&checkpoint).unwrap();
        folder.pre = record["pre"].as_str().map(str::to_owned);
        let input = ProjectInput::from_checkpoint(&checkpoint).with_folder(Some(&folder));
        let conversion = match convert(&input, &folder) {
            Some(Ok(conversion)) => conversion,
            other => {
                misses.push(format!("{name}: {}", other.map_or("unknown family".to_owned(), |r| r.unwrap_err().to_string())));
                continue;
            }
        };
        files += 1;
        let stated = record["keys"].as_object().unwrap();
        keys += stated.len();
        for (key, bytes) in stated {
            match conversion.keys.encoded(key) {
                Some(got) if Some(got) == bytes.as_u64() => {}
                got => misses.push(format!("{name}: {key}: {got:?}, stated {bytes}")),
            }
        }
        misses.extend(
            conversion.keys.names().filter(|key| !stated.contains_key(*key)).map(|key| format!("{name}: {key} is not there")),
        );
    }
    println!("{files} files, {keys} keys, {} misses", misses.len());
    assert!(misses.is_empty(), "{}", misses.join("\n"));
    assert!(files >= 50 && keys >= 1000, "{files} {keys}");
}

#[test]
fn what_the_converter_refuses_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let mut tried = 0;
    for (name, record) in families::records().iter().filter(|(_, record)| record["refused"] != Value::Null) {
        let path = families::recreate(name, record, temp.path());
        let checkpoint = open(&path, &OpenOptions::default()).unwrap();
        let folder = HfFolder::of(&checkpoint).unwrap();
        let input = ProjectInput::from_checkpoint(&checkpoint).with_folder(Some(&folder));
        let outcome = convert(&input, &folder).unwrap_or_else(|| panic!("{name}: unknown family"));
        assert!(outcome.is_err(), "{name}: {}", record["refused"]);
        tried += 1;
    }
    assert!(tried >= 10, "{tried}");
}

/// A number of a file as a reader gives it; floats are 32 bits wide there.
fn same(known: &MetadataValue, stated: &Value) -> bool {
    match known {
        MetadataValue::Unsigned(n) => stated.as_u64() == Some(*n),
        MetadataValue::Float(x) => stated.as_f64().is_some_and(|y| (x - y).abs() <= 1e-6 * y.abs()),
        MetadataValue::Bool(flag) => stated.as_bool() == Some(*flag),
        MetadataValue::Numbers(flags) => {
            let stated = stated.as_array().map(|list| list.iter().map(|v| v.as_bool().map(|b| f64::from(u8::from(b)))));
            stated.is_some_and(|list| list.eq(flags.iter().copied().map(Some)))
        }
        _ => false,
    }
}

#[test]
fn the_numbers_an_engine_reads_are_those_on_record() {
    let temp = tempfile::tempdir().unwrap();
    let values = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/families/values.json");
    let values: Value = serde_json::from_slice(&std::fs::read(values).unwrap()).unwrap();
    let (mut misses, mut equal) = (Vec::new(), 0);
    for (name, record) in families::records().iter().filter(|(_, record)| record["refused"].is_null()) {
        let path = families::recreate(name, record, temp.path());
        let checkpoint = open(&path, &OpenOptions::default()).unwrap();
        let folder = HfFolder::of(&checkpoint).unwrap();
        let input = ProjectInput::from_checkpoint(&checkpoint).with_folder(Some(&folder));
        if let Err(reason) = header(&input, &folder).unwrap() {
            misses.push(format!("{name}: {reason}"));
            continue;
        }
        let conversion = convert(&input, &folder).unwrap().unwrap();
        for (key, known) in conversion.keys.numbers() {
            match values[name]["keys"].get(key) {
                Some(stated) if same(known, stated) => equal += 1,
                stated => misses.push(format!("{name}: {key}: {known:?}, on record {stated:?}")),
            }
        }
        assert_eq!(conversion.keys.tokens, values[name]["tokens"].as_u64(), "{name}: tokens");
    }
    println!("{equal} numbers equal");
    assert!(misses.is_empty(), "{} misses\n{}", misses.len(), misses.join("\n"));
    assert!(equal >= 1900, "{equal}");
}
