use std::cell::Cell;

use super::*;
use crate::format::SecondOpinion;
use crate::source::MemorySource;

/// A file whose data cannot be read: there is none on disk.
fn file(name: &str, tensors: &[(&str, &str, &[u64], u64)]) -> CheckpointFile {
    let (mut entries, mut at) = (Vec::new(), 0);
    for (tensor, dtype, shape, size) in tensors {
        let end = at + shape.iter().product::<u64>() * size;
        entries.push(format!(r#""{tensor}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{at},{end}]}}"#));
        at = end;
    }
    let header = format!("{{{}}}", entries.join(","));
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.resize(bytes.len() + at as usize, 0);
    let container = crate::format::read(&MemorySource::new(name, bytes)).unwrap();
    CheckpointFile { path: name.into(), name: name.into(), container, identity: None, opinion: SecondOpinion::NotAsked("no file") }
}

fn compared(a: &CheckpointFile, b: &CheckpointFile) -> (Likeness, u64) {
    let read = Cell::new(0);
    (compare(&Side::new(vec![a]), &Side::new(vec![b]), &read), read.get())
}

#[test]
fn headers_that_settle_it_cost_no_read() {
    let whole = file("a", &[("x.weight", "F32", &[8, 4], 4)]);
    let (likeness, read) = compared(&whole, &file("b", &[("x.weight", "F32", &[4, 4], 4)]));
    assert!(matches!(likeness, Likeness::Incomparable(Obstacle::Shapes(_))) && likeness.is_different() && read == 0, "{likeness}");
    let (likeness, read) = compared(&whole, &file("b", &[("y.weight", "F32", &[8, 4], 4)]));
    assert_eq!((likeness, read), (Likeness::Incomparable(Obstacle::Names), 0));
    // Packed: the shape is not the weight's own, and nothing else is there to compare.
    let (likeness, read) = compared(&whole, &file("b", &[("x.weight", "U32", &[8, 1], 4)]));
    assert_eq!((likeness, read), (Likeness::Incomparable(Obstacle::Types), 0));
}

#[test]
fn a_file_that_is_gone_proves_nothing() {
    let tensors: [(&str, &str, &[u64], u64); 1] = [("x.weight", "F32", &[8, 4], 4)];
    let (likeness, read) = compared(&file("gone-a", &tensors), &file("gone-b", &tensors));
    let Likeness::Incomparable(Obstacle::Unreadable(why)) = &likeness else { panic!("{likeness}") };
    assert!(why.starts_with("gone-a") && read == 0, "{why}");
    assert_eq!(likeness.code(), "not_compared");
}

#[test]
fn structure_does_not_depend_on_the_order_of_tensors() {
    let (x, y): ((&str, &str, &[u64], u64), _) = (("x", "F32", &[8], 4), ("y", "F16", &[4][..], 2));
    let (a, b) = (file("a", &[x, y]), file("b", &[y, x]));
    let other = file("c", &[x, ("y", "F16", &[2, 2], 2)]);
    let [a, b, other] = [&a, &b, &other].map(|f| Side::new(vec![f]));
    assert!(a.same_structure_as(&b) && a.names_number() == b.names_number());
    assert!(!a.same_structure_as(&other) && a.names_number() == other.names_number());
}
