//! Findings in outputs that programs read: SARIF, as code hosts take it, and CSV.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::build::{packed, put, raw, safetensors};
use serde_json::Value;
use weighbridge::audit::codes;

const INDEX: &str = "model.safetensors.index.json";

/// Exit code, stdout and stderr of an audit that is run in a folder.
fn audit_in(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = crate::program::program().current_dir(folder).arg("audit").args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn audit(arguments: &[&str]) -> (i32, String, String) {
    audit_in(Path::new(env!("CARGO_MANIFEST_DIR")), arguments)
}

/// The run of an audit's SARIF.
fn sarif_in(folder: &Path, arguments: &[&str]) -> Value {
    let (_, text, said) = audit_in(folder, &[arguments, &["--format", "sarif"]].concat());
    let log: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{arguments:?}: {e}: {said}"));
    assert_eq!(log["version"], "2.1.0");
    log["runs"][0].clone()
}

fn sarif(path: &Path) -> Value {
    sarif_in(Path::new(env!("CARGO_MANIFEST_DIR")), &[path.to_str().unwrap()])
}

fn results(run: &Value) -> &Vec<Value> {
    run["results"].as_array().unwrap()
}

fn uri(result: &Value) -> &str {
    result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].as_str().unwrap()
}

/// The places of the results of a code.
fn places<'r>(run: &'r Value, code: &str) -> Vec<&'r str> {
    results(run).iter().filter(|r| r["ruleId"] == code).map(uri).collect()
}

fn one(name: &str) -> Vec<u8> {
    safetensors(&[(name, "F32", &[4], (0, 16))], &[0; 16])
}

/// A folder with findings on the whole, on files, on tensors and on bytes.
fn odd(folder: &Path) {
    put(folder, "a b\u{1b}.safetensors", one("w\u{202e}x\n"));
    put(folder, "gap.safetensors", raw(r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, &[0; 12]));
    put(folder, "m.gguf", b"GGUF");
    put(folder, INDEX, r#"{"metadata":{"total_size":16},"weight_map":{"w":"missing.safetensors"}}"#);
}

/// What the schema demands and what GitHub's code scanning demands beyond it.
fn check(run: &Value, what: &str) {
    let driver = &run["tool"]["driver"];
    assert!(driver["informationUri"].as_str().is_some_and(|uri| uri.starts_with("https://")), "{what}");
    let rules = driver["rules"].as_array().unwrap();
    assert_eq!(rules.len(), codes().count());
    for rule in rules {
        assert!(rule["help"]["text"].as_str().is_some_and(|text| text.len() > 20), "{rule}");
    }
    let mut fingerprints = BTreeSet::new();
    for result in results(run) {
        let rule = &rules[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
        assert_eq!(rule["id"], result["ruleId"]);
        assert!(matches!(result["level"].as_str(), Some("error" | "warning" | "note")));
        let message = result["message"]["text"].as_str().unwrap();
        assert!(!message.is_empty() && !message.contains(|c: char| c.is_control()), "{what}: {message:?}");
        assert_eq!(result["locations"].as_array().map(Vec::len), Some(1), "{what}: {result}");
        assert!(!uri(result).is_empty() && uri(result).bytes().all(|b| b.is_ascii_graphic()), "{what}: {result}");
        let region = &result["locations"][0]["physicalLocation"]["region"];
        assert!(region["byteOffset"].is_u64() != (region["startLine"] == 1), "{what}: {result}");
        let print = result["partialFingerprints"]["primaryLocationLineHash"].as_str().unwrap();
        assert!(fingerprints.insert(print.to_owned()), "{what}: {print} twice");
    }
}

#[test]
fn every_result_has_a_place_and_a_fingerprint_and_every_rule_help() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut folders: Vec<_> = std::fs::read_dir(fixtures).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|path| path.is_dir());
    let made = tempfile::tempdir().unwrap();
    for name in ["empty", "words", "odd"] {
        std::fs::create_dir(made.path().join(name)).unwrap();
        folders.push(made.path().join(name));
    }
    put(&made.path().join("words"), "notes.txt", "nothing");
    odd(&made.path().join("odd"));
    let mut seen = 0;
    for folder in folders {
        // Several models are audited one by one.
        for model in weighbridge::checkpoint::models_in(&folder).unwrap() {
            let place = if model.path.as_os_str().is_empty() { folder.clone() } else { folder.join(model.path) };
            let run = sarif(&place);
            check(&run, place.to_str().unwrap());
            seen += results(&run).len();
        }
        // Files alone, too: the first ones of each.
        for file in std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_file()).take(6) {
            check(&sarif(&file), file.to_str().unwrap());
        }
    }
    assert!(seen > 40, "{seen}");
}

#[test]
fn the_schema_takes_it() {
    let folder = tempfile::tempdir().unwrap();
    odd(folder.path());
    let (code, text, _) = audit(&[folder.path().to_str().unwrap(), "--format", "sarif"]);
    assert_eq!(code, 2);
    let script = "import json,sys,jsonschema; jsonschema.validate(json.load(sys.stdin), json.load(open(sys.argv[1])))";
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/audit/sarif-2.1.0-rtm.5.json");
    let probe = Command::new("python3").args(["-c", "import jsonschema"]).stderr(std::process::Stdio::null()).status();
    if !probe.is_ok_and(|s| s.success()) {
        crate::skipped::skipped(1, "check by the SARIF schema", "python3 with jsonschema is not here");
        return;
    }
    let mut child = Command::new("python3").args(["-c", script, schema]).stdin(std::process::Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn findings_on_the_whole_stand_at_the_most_telling_file() {
    let folder = tempfile::tempdir().unwrap();
    let d = folder.path();
    // Nothing is there: the file that should say the licence.
    assert_eq!(places(&sarif(d), "licence"), ["README.md"]);
    assert_eq!(places(&sarif(d), "nothing-to-read"), ["README.md"], "not the folder's own name below itself");
    put(d, "zeros.dat", [0; 8]);
    assert_eq!(places(&sarif(d), "licence"), ["zeros.dat"]);
    put(d, "old.pt", b"\x80\x02}.");
    assert_eq!(places(&sarif(d), "licence"), ["old.pt"]);
    put(d, "weights/model.safetensors", one("w"));
    assert_eq!(places(&sarif(d), "licence"), ["weights/model.safetensors"]);
    put(d, "config.json", "{}");
    assert_eq!(places(&sarif(d), "licence"), ["config.json"]);
    put(d, "README.md", "A model.\n");
    assert_eq!(places(&sarif(d), "licence"), ["README.md"]);
    // A budget, and a file alone.
    let file = d.join("weights/model.safetensors");
    let run = sarif_in(d, &[file.to_str().unwrap(), "--max-size", "1B"]);
    assert_eq!(places(&run, "over-size"), ["model.safetensors"]);
}

#[test]
fn paths_are_relative_to_the_checkout_that_is_named() {
    let checkout = tempfile::tempdir().unwrap();
    let d = checkout.path().canonicalize().unwrap();
    odd(&d.join("models/ü x"));
    let wanted = "models/%C3%BC%20x/a%20b%1B.safetensors";
    let (model, root) = (d.join("models/ü x"), d.to_str().unwrap());
    let has = |run: &Value, uri_wanted: &str| results(run).iter().any(|result| uri(result) == uri_wanted);
    for (from, arguments) in [
        (d.clone(), ["models/ü x", "--sarif-root", "."]),
        (d.clone(), ["models/ü x", "--sarif-root", root]),
        (d.clone(), [model.to_str().unwrap(), "--sarif-root", "."]),
        (model.clone(), [".", "--sarif-root", "../.."]),
        (model.clone(), ["../ü x", "--sarif-root", root]),
    ] {
        let run = sarif_in(&from, &arguments);
        check(&run, &format!("{arguments:?}"));
        assert!(has(&run, wanted), "{arguments:?}: {:?}", results(&run).iter().map(uri).collect::<Vec<_>>());
        assert!(results(&run).iter().all(|result| uri(result).starts_with("models/%C3%BC%20x/")), "{arguments:?}");
    }
    // A file alone, and the folder that is the checkout.
    let run = sarif_in(&model, &["gap.safetensors", "--sarif-root", root]);
    assert!(has(&run, "models/%C3%BC%20x/gap.safetensors"), "{run}");
    assert!(has(&sarif_in(&model, &[".", "--sarif-root", "."]), "gap.safetensors"));
    // Fingerprints are those of the checkout, wherever the command runs.
    let prints = |run: &Value| results(run).iter().map(|r| r["partialFingerprints"].clone()).collect::<Vec<_>>();
    let here = sarif_in(&d, &["models/ü x", "--sarif-root", "."]);
    assert_eq!(prints(&here), prints(&sarif_in(&model, &[".", "--sarif-root", root])));
    assert_ne!(prints(&here), prints(&sarif_in(&d, &["models/ü x"])));
    // A folder elsewhere, and a root for another format.
    let (code, out, said) = audit_in(&d, &["models/ü x", "--sarif-root", "models/ü x/..", "--format", "sarif"]);
    assert!(code == 2 && out.contains("\"uri\": \"%C3%BC%20x/"), "{said}");
    std::fs::create_dir(d.join("other")).unwrap();
    let (code, out, said) = audit_in(&d, &["models/ü x", "--sarif-root", "other", "--format", "sarif"]);
    assert!(code == 2 && out.is_empty() && said.contains("is not below other"), "{said}");
    let (code, out, said) = audit_in(&d, &["models/ü x", "--sarif-root", "."]);
    assert!(code == 2 && out.is_empty() && said.contains("--format sarif"), "{said}");
}

#[cfg(unix)]
#[test]
fn links_on_the_way_to_the_folder_keep_their_names() {
    let checkout = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let d = checkout.path();
    put(elsewhere.path(), "model.safetensors", one("w"));
    std::os::unix::fs::symlink(elsewhere.path(), d.join("linked")).unwrap();
    assert_eq!(places(&sarif_in(d, &["linked", "--sarif-root", "."]), "licence"), ["linked/model.safetensors"]);
    // The checkout under another name than the one that the path goes by.
    std::fs::create_dir(d.join("real")).unwrap();
    put(&d.join("real"), "model.safetensors", one("w"));
    let other = elsewhere.path().join("checkout");
    std::os::unix::fs::symlink(d, &other).unwrap();
    let run = sarif_in(d, &["real", "--sarif-root", other.to_str().unwrap()]);
    assert_eq!(places(&run, "licence"), ["real/model.safetensors"]);
}

#[test]
fn foreign_text_is_no_link_no_placeholder_and_no_formula() {
    let folder = tempfile::tempdir().unwrap();
    let d = folder.path();
    let names = ["[click](https://evil.example)", "{0}<b>", "a;=1+1;<b>", "=1+1", "x\\](y) [z", "::error::x\ny"];
    let tensors: Vec<(&str, &str, &[u64])> = names.iter().map(|name| (*name, "F32", &[1][..])).collect();
    put(d, "model.safetensors", packed(&tensors, 4));
    put(d, "[click](https://evil.example) {0}.bin".replace('/', "_").as_str(), b"\x80\x02cos\nsystem\nX\x04\0\0\0true\x85R.");
    // Every tensor is named by a finding.
    let map: String = names.iter().map(|name| format!("{}:\"gone.safetensors\",", serde_json::to_string(name).unwrap())).collect();
    put(d, INDEX, format!(r#"{{"metadata":{{}},"weight_map":{{{}}}}}"#, map.trim_end_matches(',')));
    let run = sarif(d);
    let messages: Vec<&str> = results(&run).iter().map(|r| r["message"]["text"].as_str().unwrap()).collect();
    let all = messages.join("\n");
    assert!(all.contains("\\[click\\]") && all.contains("{{0}}"), "{all}");
    for message in messages {
        // Viewers that do not know the backslash look for these two characters.
        assert!(!message.contains("]("), "{message}");
        let single = message.replace("{{", "").replace("}}", "");
        assert!(!single.contains(['{', '}']), "{message}");
    }
    // In CSV a reader may cut lines at commas or at semicolons: no cell begins as a formula.
    let (_, text, _) = audit(&[d.to_str().unwrap(), "--format", "csv"]);
    assert!(text.contains("\"a;'=1+1;<b>\""), "{text}");
    for separator in [',', ';'] {
        for cell in text.split("\r\n").flat_map(|line| cells(line, separator)) {
            assert!(!cell.trim_start().starts_with(['=', '+', '-', '@']), "{separator}: {cell:?}");
        }
    }
    let named: BTreeSet<String> = text.split("\r\n").skip(1).filter_map(|line| cells(line, ',').into_iter().nth(3)).collect();
    assert!(named.contains("[click](https://evil.example)") && named.contains("{0}<b>"), "{named:?}");
}

/// The cells of a line of CSV, as a spreadsheet cuts it: quotes count where they begin a cell.
fn cells(line: &str, separator: char) -> Vec<String> {
    let mut cells = Vec::new();
    let mut rest = line.chars().peekable();
    loop {
        let mut cell = String::new();
        if rest.peek() == Some(&'"') {
            rest.next();
            while let Some(c) = rest.next() {
                match c {
                    '"' if rest.peek() == Some(&'"') => cell.extend(rest.next()),
                    '"' => break,
                    c => cell.push(c),
                }
            }
        }
        while let Some(c) = rest.next_if(|c| *c != separator) {
            cell.push(c);
        }
        cells.push(cell);
        if rest.next().is_none() {
            return cells;
        }
    }
}

#[test]
fn csv_has_a_row_for_every_finding_with_the_words_of_the_json() {
    let folder = tempfile::tempdir().unwrap();
    odd(folder.path());
    let path = folder.path().to_str().unwrap();
    let (code, text, said) = audit(&[path, "--format", "csv"]);
    assert_eq!((code, said.as_str()), (2, ""));
    let lines: Vec<Vec<String>> = text.lines().map(|line| cells(line, ',')).collect();
    assert_eq!(lines[0], ["severity", "code", "file", "tensor", "offset", "message", "help"]);
    let (_, json, _) = audit(&[path, "--format", "json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    let findings = json["findings"].as_array().unwrap();
    assert_eq!(lines.len(), findings.len() + 1);
    assert!(findings.len() > 5);
    for (line, finding) in lines[1..].iter().zip(findings) {
        let text = |field: &str| finding[field].as_str().unwrap_or_default();
        let escaped = |field: &str| weighbridge::text::escape(text(field));
        let offset = finding["offset"].as_u64().map_or_else(String::new, |n| n.to_string());
        let wanted = [text("severity"), text("code"), &escaped("file"), &escaped("tensor"), &offset, text("message"), text("help")];
        assert_eq!(line, &wanted.map(str::to_owned));
    }
    // To a file as well; a folder without findings has the line of titles.
    let report = folder.path().join("findings.csv");
    audit(&[path, "--format", "csv", "-o", report.to_str().unwrap()]);
    assert_eq!(std::fs::read_to_string(report).unwrap(), text);
    let (code, text, _) = audit(&["fixtures/fracast", "--allow", "licence", "--allow", "duplicate-weights", "--format", "csv"]);
    assert_eq!((code, text.as_str()), (0, "severity,code,file,tensor,offset,message,help\r\n"));
}

#[test]
fn csv_explains_every_code() {
    let (code, text, _) = audit(&["--explain", "all", "--format", "csv"]);
    let lines: Vec<Vec<String>> = text.lines().map(|line| cells(line, ',')).collect();
    assert_eq!((code, lines[0].join(",").as_str()), (0, "code,severity,title,explanation"));
    let all: Vec<&str> = codes().map(|code| code.code).collect();
    assert_eq!(lines[1..].iter().map(|line| line[0].as_str()).collect::<Vec<_>>(), all);
    let (_, text, _) = audit(&["--explain", "truncated", "--format", "csv"]);
    assert!(text.lines().count() == 2 && text.contains("\r\ntruncated,error,"), "{text}");
}
