//! Time of the audit against the length of what it looks at: ten times the input takes ten times the work, not a hundred times.

use std::path::Path;

use serde_json::Value;

use super::{processor_seconds, safetensors_of};

/// How much more work ten times the input may be.
const GROWTH: f64 = 12.0;
/// Seconds below which a run says nothing: starting a debug build takes some hundredths.
const START: f64 = 0.05;

/// Audits a folder with each of the two forms of a file: the seconds of both.
fn audited(file: &str, forms: [Vec<u8>; 2]) -> [f64; 2] {
    let folder = tempfile::tempdir().unwrap();
    safetensors_of(&folder.path().join("model.safetensors"), 1, |_| {
        r#""w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}"#.to_owned()
    });
    forms.map(|bytes| {
        std::fs::write(folder.path().join(file), bytes).unwrap();
        processor_seconds(folder.path())
    })
}

/// Ten times the input.
fn grows_in_line(what: &str, file: &str, make: impl Fn(usize) -> Vec<u8>) {
    let [small, large] = audited(file, [make(1), make(10)]);
    assert!(large < GROWTH * small.max(START), "{what}: {small:.2} s, and {large:.2} s for ten times as much");
}

#[test]
fn chat_templates_are_searched_in_one_pass() {
    let kib = |times: usize| 48 * times * 1024;
    let text = |start: &str, unit: &str, bytes: usize| format!("{start}{}", unit.repeat(bytes / unit.len())).into_bytes();
    for (start, unit) in [
        ("", "{{}}"),
        ("", "{{x}}"),
        ("", "{%"),
        ("", "{#"),
        ("{{x", "_"),
        ("{{x", "__ "),
        ("{{", "'"),
        ("{{", "\\"),
        ("{{", "{"),
        ("{%", " "),
        ("{{x ", "{% "),
        ("", "{{ xcycler }}"),
        ("{{", "xeval("),
    ] {
        grows_in_line(&format!("{start}{unit}..."), "chat_template.jinja", |times| text(start, unit, kib(times)));
    }
    let list = |times: usize| {
        let one = format!(r#"{{"name":"a","template":"{}"}},"#, "{{}}".repeat(16));
        format!(r#"{{"chat_template":[{}0]}}"#, one.repeat(kib(times) / one.len())).into_bytes()
    };
    grows_in_line("a list of templates", "tokenizer_config.json", list);
}

#[test]
fn templates_of_a_gguf_are_searched_in_one_pass() {
    let string = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
    grows_in_line("templates of a GGUF", "model.gguf", |times| {
        let template = format!("{{{{x{}}}}}", "_".repeat(6 * times * 1024));
        let mut file = [&b"GGUF"[..], &3u32.to_le_bytes(), &0u64.to_le_bytes(), &20u64.to_le_bytes()].concat();
        for i in 0..20 {
            file.extend(string(&format!("tokenizer.chat_template.t{i}")));
            file.extend(8u32.to_le_bytes());
            file.extend(string(&template));
        }
        file
    });
}

/// Names that differ, up to those that are kept, and then look-ups of one of them.
fn pickle(lookups: usize) -> Vec<u8> {
    let names: String = (0..1000).map(|i| format!("cm{i}\nn\n0")).collect();
    [&b"\x80\x02"[..], names.as_bytes(), &b"cm999\nn\n0".repeat(lookups), b"N."].concat()
}

/// An archive whose directory names the same bytes as so many members.
fn overlapping(pickle: &[u8], members: u16) -> Vec<u8> {
    let size = u32::try_from(pickle.len()).unwrap().to_le_bytes();
    let sizes = [&[0; 4], &size[..], &size].concat();
    let local = [&b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0"[..], &sizes, &[5, 0, 0, 0], b"a.pkl", pickle].concat();
    let mut file = local.clone();
    for i in 0..members {
        let name = format!("{i}.pkl");
        file.extend(b"PK\x01\x02\x14\0\x14\0\0\0\0\0\0\0\0\0");
        file.extend(&sizes);
        file.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        file.extend([0; 16]);
        file.extend(name.into_bytes());
    }
    let (start, length) = (local.len() as u32, (file.len() - local.len()) as u32);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend([members.to_le_bytes(), members.to_le_bytes()].concat());
    file.extend([length.to_le_bytes(), start.to_le_bytes()].concat());
    file.extend([0, 0]);
    file
}

#[test]
fn imports_of_pickles_are_followed_in_one_pass() {
    grows_in_line("imports of a pickle", "model.pkl", |times| pickle(9_000 * times));
    grows_in_line("pickles one after another", "model.pkl", |times| pickle(0).repeat(6 * times));
    // Room for numbers far ahead, made again and again.
    grows_in_line("values kept far ahead", "model.pkl", |times| b"\x80\x02Nr\xff\xff\x0f\0.".repeat(6 * times));
}

/// The bytes of an archive are followed as often as there are bytes, not as often as its directory names them.
#[test]
fn members_that_share_bytes_take_no_more_time_than_one() {
    let plain = [&b"\x80\x02"[..], &b"N0".repeat(100_000), b"N."].concat();
    let imports = pickle(20_000);
    let far = b"\x80\x02Nr\xff\xff\x0f\0.".repeat(60);
    for (what, bytes) in [("opcodes", plain), ("imports", imports), ("values kept far ahead", far)] {
        let [one, many] = audited("model.pt", [overlapping(&bytes, 1), overlapping(&bytes, 64)]);
        assert!(many < GROWTH * one.max(START), "{what}: {one:.2} s, and {many:.2} s for 64 members of the same bytes");
    }
}

/// What pickles hide in: lines, marks, archives in archives, compression, and texts that are no JSON.
#[test]
fn files_are_looked_into_in_one_pass() {
    let zip = |members: usize| {
        let (mut out, mut directory) = (Vec::new(), Vec::new());
        for i in 0..members {
            let name = format!("a/{i:06}.txt");
            let lens = [(name.len() as u16).to_le_bytes(), [0, 0]].concat();
            let sizes = [4u32.to_le_bytes(); 2].concat();
            directory.extend([&b"PK\x01\x02\x14\0\x14\0\0\0\0\0\0\0\0\0\0\0\0\0"[..], &sizes, &lens, &[0; 10]].concat());
            directory.extend([&(out.len() as u32).to_le_bytes(), name.as_bytes()].concat());
            out.extend([&b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0"[..], &sizes, &lens, name.as_bytes(), b"text"].concat());
        }
        let (start, size) = (out.len() as u32, directory.len() as u32);
        out.extend(directory);
        out.extend([&b"PK\x05\x06\0\0\0\0\xff\xff\xff\xff"[..], &size.to_le_bytes(), &start.to_le_bytes(), &[0, 0]].concat());
        out
    };
    let ends = |times: usize| [&b"PK\x03\x04"[..], &b"PK\x05\x06".repeat(1000 * times), &[0; 22]].concat();
    grows_in_line("members of an archive", "w.bin", |times| zip(900 * times));
    grows_in_line("end records", "w.bin", ends);
    grows_in_line("marks", "w.bin", |times| [&b"\x80\x02"[..], &b"(0".repeat(40_000 * times), b"N."].concat());
    grows_in_line("open marks", "w.bin", |times| [&b"\x80\x02"[..], &b"(N".repeat(20_000 * times), b"."].concat());
    grows_in_line("lines", "w.bin", |times| [&b"V"[..], &b"x".repeat(400_000 * times), b"\n."].concat());
    grows_in_line("texts", "notes.txt", |times| b"import os\n".repeat(20_000 * times));
    grows_in_line("escapes in broken JSON", "config.json", |times| [&b"{"[..], &b"\\u0061\\\"".repeat(20_000 * times)].concat());
    let nested = |times: usize| format!("{{\"a\":[{}0]}}", r#"{"auto_map":{"a":"b.C"}},"#.repeat(2_000 * times)).into_bytes();
    grows_in_line("members at depth", "x_config.json", nested);
    grows_in_line("texts of a template", "chat_template.jinja", |times| {
        format!("{{{{ x[{}''] }}}}", "'_'~".repeat(8_000 * times)).into()
    });
    grows_in_line("blocks with texts", "chat_template.jinja", |times| "{{'__'}}".repeat(5_000 * times).into());
}

/// The codes that an audit gives.
fn codes(path: &Path) -> Vec<String> {
    let mut command = crate::program::program();
    let output = command.arg("audit").arg(path).args(["--format", "json", "--no-progress"]).output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut codes: Vec<String> =
        document["findings"].as_array().unwrap().iter().map(|f| f["code"].as_str().unwrap().to_owned()).collect();
    codes.retain(|code| code.starts_with("pickle") || code.starts_with("archive"));
    codes.sort();
    codes.dedup();
    codes
}

#[test]
fn members_that_share_bytes_and_what_is_not_followed_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pt");
    for (members, told) in [
        (64, &["archive-overlap", "pickle", "pickle-imports", "pickle-not-followed", "pickle-unknown-import"][..]),
        (1, &["pickle", "pickle-imports", "pickle-unknown-import"]),
    ] {
        std::fs::write(&path, overlapping(&pickle(10), members)).unwrap();
        assert_eq!(codes(folder.path()), told);
        let alone = codes(&path);
        assert_eq!(alone.iter().filter(|code| *code != "pickle-content").collect::<Vec<_>>(), told.iter().collect::<Vec<_>>());
    }
}
