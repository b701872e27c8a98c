//! The two readers against files that other people's writers made, and against damage.

use std::path::{Path, PathBuf};

use serde_json::Value;
use weighbridge::dtype::Dtype;
use weighbridge::error::ErrorKind;
use weighbridge::format::{self, ByteMap, Container, DefectKind, SecondOpinion};
use weighbridge::source::{FileSource, MemorySource, Source};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn json(path: &str) -> Value {
    serde_json::from_slice(&std::fs::read(fixtures().join(path)).unwrap()).unwrap()
}

fn read(path: &Path) -> Container {
    format::read(&FileSource::open(path).unwrap()).unwrap()
}

fn codes(container: &Container) -> Vec<&'static str> {
    container.defects.iter().map(|d| d.kind.code()).collect()
}

/// A safetensors file from a header text and a data length.
fn safetensors(header: &str, data: usize) -> MemorySource {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    MemorySource::new("test.safetensors", bytes)
}

#[test]
fn every_file_of_every_dtype_is_read_as_its_writer_made_it() {
    let truth = json("dtypes/truth.json");
    let mut seen = 0;
    for (file, stated) in truth["files"].as_object().unwrap() {
        let container = read(&fixtures().join("dtypes").join(file));
        assert_eq!(container.format.name(), stated["format"].as_str().unwrap(), "{file}");
        let tensors = stated["tensors"].as_object().unwrap();
        assert_eq!(container.tensors.len(), tensors.len(), "{file}");
        for tensor in &container.tensors {
            let row = &tensors[&*container.name(tensor)];
            let shape: Vec<u64> = row["shape"].as_array().unwrap().iter().map(|d| d.as_u64().unwrap()).collect();
            assert_eq!(tensor.shape.as_slice(), shape, "{file} {}", container.name(tensor));
            assert_eq!(tensor.elements, row["elements"].as_u64().unwrap(), "{file}");
            assert_eq!(tensor.bytes, row["bytes"].as_u64().unwrap(), "{file}");
            assert_eq!(container.dtype_name(tensor.dtype), stated["dtype"].as_str().unwrap(), "{file}");
        }
        assert!(codes(&container).iter().all(|&c| c == "misaligned"), "{file}: {:?}", container.defects);
        assert_eq!(ByteMap::of(&container).totals().total(), container.file_len, "{file}");
        seen += 1;
    }
    assert_eq!(seen, 57);
}

#[test]
fn the_dtype_table_is_that_of_the_tools() {
    let ggml = json("truth/ggml_types.json");
    let rows = ggml["types"].as_array().unwrap();
    for row in rows {
        let dtype = Dtype::from_ggml(row["id"].as_u64().unwrap() as u32).unwrap_or_else(|| panic!("{row}"));
        let info = dtype.info().unwrap();
        assert_eq!(
            (info.name, info.elements_per_block, info.bytes_per_block),
            (row["name"].as_str().unwrap(), row["block_elements"].as_u64().unwrap(), row["block_bytes"].as_u64().unwrap())
        );
    }
    let known = Dtype::ALL.iter().filter(|d| d.info().unwrap().ggml_id.is_some()).count();
    assert_eq!(known, rows.len(), "a type that the tools do not have");

    let plain = json("truth/safetensors_dtypes.json");
    let rows = plain["dtypes"].as_array().unwrap();
    for row in rows {
        let info = Dtype::from_safetensors(row["name"].as_str().unwrap()).unwrap().info().unwrap();
        assert_eq!(info.bytes_per_block * 8, row["bits"].as_u64().unwrap() * info.elements_per_block, "{row}");
    }
    assert_eq!(Dtype::ALL.iter().filter(|d| d.info().unwrap().in_safetensors).count(), rows.len());
}

#[test]
fn odd_files_are_read_or_named() {
    for (file, row) in json("odd/expected.json").as_object().unwrap() {
        let path = fixtures().join("odd").join(file);
        let result = format::read(&FileSource::open(&path).unwrap());
        if let Some(really) = row["is_really"].as_str() {
            let error = result.expect_err(file);
            assert_eq!(error.kind(), ErrorKind::WrongContent, "{file}: {error}");
            assert!(error.advice().is_some(), "{file}: says nothing of what to do");
            let word = ["pointer", "HTML", "empty", "zip", "pickle"].into_iter().find(|w| really.contains(w)).unwrap();
            assert!(error.to_string().contains(word), "{file}: {error}");
            if let Some(size) = row["points_to_bytes"].as_u64() {
                assert!(error.to_string().contains(&size.to_string()), "{error}");
            }
            continue;
        }
        if file.starts_with("version1") || file.starts_with("big_endian") {
            assert_eq!(result.expect_err(file).kind(), ErrorKind::Unsupported, "{file}");
            continue;
        }
        let container = result.unwrap();
        assert_eq!(container.tensors.len() as u64, row["tensors"].as_u64().unwrap(), "{file}");
        assert_eq!(container.tensor_bytes(), row["tensor_bytes"].as_u64().unwrap(), "{file}");
        assert_eq!(container.missing_bytes, row["missing_bytes"].as_u64().unwrap_or(0), "{file}");
        assert_eq!(container.is_truncated(), codes(&container).contains(&"truncated"), "{file}");
        let map = ByteMap::of(&container).totals();
        assert_eq!(map.total(), row["file_bytes"].as_u64().unwrap(), "{file}");
        if !container.is_truncated() {
            assert_eq!(map.tensors, container.tensor_bytes(), "{file}");
        }
    }
}

#[test]
fn gaps_overlaps_and_trailing_bytes_are_labelled_and_the_map_still_tiles() {
    let header = r#"{"a":{"dtype":"U8","shape":[10],"data_offsets":[0,10]},
        "b":{"dtype":"U8","shape":[10],"data_offsets":[15,25]},
        "c":{"dtype":"U8","shape":[10],"data_offsets":[20,30]}}"#;
    let source = safetensors(header, 37);
    let container = format::read(&source).unwrap();
    assert_eq!(codes(&container), ["gap", "overlap", "trailing-bytes"]);
    let totals = ByteMap::of(&container).totals();
    assert_eq!((totals.tensors, totals.gap, totals.overlap, totals.trailing), (20, 5, 5, 7));
    assert_eq!(totals.total(), source.len());
    let regions = ByteMap::of(&container);
    let mut end = 0;
    for region in regions.regions() {
        assert_eq!(region.range.start, end, "a hole in the map");
        end = region.range.end;
    }
    assert_eq!(end, source.len());
}

#[test]
fn what_the_reference_reader_hides_or_refuses_is_told() {
    let twice = r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#;
    let source = safetensors(twice, 4);
    let container = format::read(&source).unwrap();
    assert!(codes(&container).contains(&"duplicate-name"));
    assert_eq!(format::second_opinion(&source, &container).unwrap(), SecondOpinion::LoadsLess { tensors: 1 });

    let unknown = r#"{"a":{"dtype":"F3","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#;
    let source = safetensors(unknown, 8);
    let container = format::read(&source).unwrap();
    assert_eq!(codes(&container), ["unknown-dtype"]);
    assert_eq!((container.stored_elements(), container.tensor_bytes()), (5, 8));
    assert_eq!(container.dtype_name(container.tensors[0].dtype), "F3");
    assert!(matches!(format::second_opinion(&source, &container).unwrap(), SecondOpinion::Refuses(_)));

    let good = FileSource::open(&fixtures().join("fracast/model.safetensors")).unwrap();
    let container = format::read(&good).unwrap();
    assert_eq!(format::second_opinion(&good, &container).unwrap(), SecondOpinion::Loads);
}

/// The crate sorts what comes out of a hash table: of tensors at one place it names another one on every run.
#[test]
fn the_reference_reader_gives_the_same_reason_every_time() {
    let at_one_place = |i: usize| format!(r#""t{i:03}":{{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#);
    // One of them of another size: what is wrong first depends on the order too.
    let odd = r#""odd":{"dtype":"U8","shape":[3],"data_offsets":[0,4]}"#.to_owned();
    let header = format!("{{{}}}", (0..100).map(at_one_place).chain([odd]).collect::<Vec<_>>().join(","));
    let source = safetensors(&header, 4);
    let container = format::read(&source).unwrap();
    let reasons: Vec<SecondOpinion> = (0..20).map(|_| format::second_opinion(&source, &container).unwrap()).collect();
    assert!(matches!(&reasons[0], SecondOpinion::Refuses(_)));
    assert!(reasons.iter().all(|reason| *reason == reasons[0]), "{reasons:?}");
}

#[test]
fn sizes_that_disagree_name_the_tensor_and_both_figures() {
    let source = safetensors(r#"{"w":{"dtype":"F32","shape":[3,5],"data_offsets":[0,40]}}"#, 40);
    let container = format::read(&source).unwrap();
    let defect = &container.defects[0];
    assert_eq!(
        (defect.kind, defect.tensor, defect.stated, defect.expected),
        (DefectKind::SizeMismatch, Some(0), Some(40), Some(60))
    );
}

#[test]
fn headers_that_are_no_headers_give_one_clear_error() {
    for (header, word) in [
        ("{}x", "after the end"),
        ("[]", "not a JSON object"),
        (r#"{"w":{"dtype":"F32","shape":[1]}}"#, "data_offsets"),
        (r#"{"w":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, "-1"),
        (r#"{"w":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}"#, "1.0"),
        (r#"{"w":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}}"#, "64 bits"),
        (r#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0]}}"#, "instead of 2"),
        (r#"{"w":[1,2,3]}"#, "not a JSON object"),
        (r#"{"__metadata__":{"a":1}}"#, "something else than text"),
    ] {
        let error = format::read(&safetensors(header, 4)).expect_err(header);
        assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
        assert!(error.to_string().contains(word) && error.offset().is_some(), "{header}: {error}");
        assert!(error.advice().is_some(), "{header}: says nothing of what to do");
    }
    let too_long = MemorySource::new("x.safetensors", [u64::MAX.to_le_bytes().as_slice(), b"{}"].concat());
    assert!(format::read(&too_long).unwrap_err().to_string().contains("header too large"));
}

#[test]
fn a_head_with_a_stated_length_is_a_whole_file() {
    let path = fixtures().join("fracast/model.safetensors");
    let whole = read(&path);
    let bytes = std::fs::read(&path).unwrap();
    let head = bytes[..usize::try_from(whole.layout.data_start).unwrap()].to_vec();
    let container = format::read(&MemorySource::head("model.safetensors", head, bytes.len() as u64)).unwrap();
    assert_eq!(container.tensors, whole.tensors);
    assert!(container.defects.is_empty());
}
