use std::collections::BTreeSet;
use std::path::Path;

use super::imports::MAX_IMPORTS;
use super::*;
use crate::source::MemorySource;

type Pair = (String, String);

/// The pickles of `fixtures/pickles` that are no archives: bytes, imports as independent tools see them, whether any is dangerous.
fn fixtures() -> Vec<(String, Vec<u8>, BTreeSet<Pair>, bool)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/pickles");
    let truth: serde_json::Value = serde_json::from_slice(&std::fs::read(folder.join("expected.json")).unwrap()).unwrap();
    let rows = truth.as_object().unwrap().iter().filter(|(name, _)| !name.ends_with(".pt"));
    rows.map(|(name, row)| {
        let pair = |p: &serde_json::Value| (p[0].as_str().unwrap().to_owned(), p[1].as_str().unwrap().to_owned());
        let imports = row["imports"].as_array().unwrap().iter().map(pair).collect();
        (name.clone(), std::fs::read(folder.join(name)).unwrap(), imports, row["dangerous"] == true)
    })
    .collect()
}

fn walk(bytes: &[u8]) -> Imports {
    imports(&MemorySource::new("x.pkl", bytes.to_vec()), 0, bytes.len() as u64, &mut Allowance::of(bytes.len() as u64)).unwrap()
}

fn pairs(found: &Imports) -> BTreeSet<Pair> {
    found.list.iter().map(|i| (i.module.clone(), i.name.clone())).collect()
}

#[test]
fn imports_are_those_that_other_tools_see() {
    let fixtures = fixtures();
    assert!(fixtures.len() >= 20);
    for (name, bytes, expected, dangerous) in fixtures {
        let found = walk(&bytes);
        assert_eq!(pairs(&found), expected, "{name}");
        assert_eq!(found.list.iter().any(|i| matches!(judge(i), Verdict::Harmful(_))), dangerous, "{name}");
        assert_eq!(found.incomplete.is_some(), name == "broken_calls.pkl", "{name}: {:?}", found.incomplete);
    }
}

#[test]
fn whatever_is_cut_or_garbled_ends_in_a_part_of_the_list() {
    let mut state = 1u64;
    for (name, bytes, expected, _) in fixtures() {
        for len in 0..bytes.len() {
            let found = walk(&bytes[..len]);
            assert!(pairs(&found).is_subset(&expected), "{name} cut at {len}");
            assert!(found.incomplete.is_none_or(|(_, at)| at <= len as u64), "{name} cut at {len}");
        }
        for _ in 0..200 {
            let mut garbled = bytes.clone();
            for _ in 0..3 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let at = (state >> 33) as usize % garbled.len();
                garbled[at] = (state >> 25) as u8;
            }
            assert!(walk(&garbled).end <= bytes.len() as u64, "{name}");
        }
    }
}

#[test]
fn what_asks_for_too_much_is_given_up() {
    let reason = |bytes: &[u8]| walk(bytes).incomplete.map(|(why, _)| why).unwrap_or_default();
    assert!(reason(&b"(".repeat(MAX_VALUES + 2)).contains("values at once"));
    assert!(reason(b"\x80\x02Nr\xff\xff\xff\xff.").contains("kept under the number"));
    assert!(reason(b"\x80\x02Np99999999999999999999999\n.").contains("kept under the number"));
    assert!(reason(b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xff").contains("announces"));
    assert!(reason(b"\x80\x04NN\x93.").contains("not written as text"));
    assert!(reason(b"\x80\x02\x82\x01.").contains("extension registry"));
    assert!(reason(&[b"c", &[b'x'; 5000][..]].concat()).contains("no end"));
    // A line is as long as it is.
    let line = [&b"V"[..], &[b'x'; 200_000], b"\n0cos\nsystem\n(tR."].concat();
    assert_eq!((walk(&line).list.len(), walk(&line).sign, walk(&line).incomplete), (1, Sign::Call, None));
    let floods: Vec<u8> = [b"\x80\x04\x8c\x01a\x94\x8c\x01b\x94".to_vec(), b"h\0h\x01\x930".repeat(100_001)].concat();
    assert!(reason(&floods).contains("imports"));
    let names: Vec<u8> = (0..2000).flat_map(|i| format!("cm\nn{i}\n0").into_bytes()).collect();
    let found = walk(&names);
    assert!(found.list.len() == MAX_IMPORTS && found.incomplete.is_some());
}

/// What may be followed is that of a file, whatever part of it is followed again.
#[test]
fn pickles_of_a_file_add_up() {
    let plain = [&b"\x80\x02"[..], &b"N0".repeat(200_000), b"N."].concat();
    let source = MemorySource::new("x.pkl", plain.clone());
    let mut allowance = Allowance::of(plain.len() as u64);
    let found: Vec<Imports> = (0..5).map(|_| imports(&source, 0, plain.len() as u64, &mut allowance).unwrap()).collect();
    assert!(found[..4].iter().all(|found| found.incomplete.is_none()));
    assert!(found[4].incomplete.as_ref().is_some_and(|(why, _)| why.contains("opcodes")) && allowance.is_exhausted());
    // A number far ahead costs the room that it makes.
    let far = b"\x80\x02Nr\xff\xff\x0f\0.".repeat(MAX_PICKLES);
    let source = MemorySource::new("x.pkl", far.clone());
    let mut allowance = Allowance::of(far.len() as u64);
    assert!(imports(&source, 0, far.len() as u64, &mut allowance).unwrap().incomplete.is_some() && allowance.is_exhausted());
    // One more than are followed is told.
    assert!(walk(&b"\x80\x02N.".repeat(MAX_PICKLES)).incomplete.is_none());
    assert!(walk(&b"\x80\x02N.".repeat(MAX_PICKLES + 1)).incomplete.is_some_and(|(why, _)| why.contains("64 pickles")));
}

/// A name is the same whether it lies in the window or was passed long ago.
#[test]
fn names_are_read_wherever_they_lie() {
    let far = [
        &b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94B\0\0\x02\0"[..],
        &[0; 0x20000],
        b"h\0h\x01\x930h\0\x8c\x05popen\x930cposix\nsystem\n.",
    ]
    .concat();
    let expected = [("os", "system"), ("os", "popen"), ("posix", "system")].map(|(m, n)| (m.to_owned(), n.to_owned()));
    assert_eq!(pairs(&walk(&far)), BTreeSet::from(expected));
}

/// What CPython's unpicklers call before they stop is seen, whatever stands around it; `scripts/truth/make_pickle_calls.py`.
#[test]
fn no_call_of_an_unpickler_is_missed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/audit/calls.txt");
    let text = std::fs::read_to_string(path).unwrap();
    let (mut called, mut quiet, mut overdone) = (0, 0, 0);
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (flag, hex) = line.split_once(' ').unwrap();
        let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        let sign = walk(&bytes).sign;
        if flag == "1" {
            called += 1;
            assert!(sign >= Sign::OddCall, "{line}: {sign:?}");
        } else {
            quiet += 1;
            overdone += u64::from(sign >= Sign::OddCall);
        }
    }
    // Values are not typed here: a call that fails for its arguments is taken for one.
    assert!(called == 200 && quiet == 200 && overdone < 20, "{overdone}");
}
