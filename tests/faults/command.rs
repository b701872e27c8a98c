//! Running `weigh` with a limit on time, and the repository that it is run on.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) const S1: &str = "model-00001-of-00002.safetensors";
pub(crate) const S2: &str = "model-00002-of-00002.safetensors";
pub(crate) const INDEX: &str = "model.safetensors.index.json";

/// Long for the busiest machine, short beside a read that blocks.
const LIMIT: Duration = Duration::from_secs(300);

/// A repository of two shards with everything beside them that any command reads. Nothing is wrong with it.
pub(crate) fn repository(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        // Long ago: a change within the tick of the clock in which a file was made leaves its time as it was.
        let then = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        File::options().write(true).open(&path).unwrap().set_modified(then).unwrap();
    };
    let (a, b) = ("model.embed_tokens.weight", "model.layers.0.mlp.up_proj.weight");
    let (c, d) = ("model.layers.0.mlp.down_proj.weight", "lm_head.weight");
    put(S1, &shard(&[(a, [4, 2]), (b, [2, 2])]));
    put(S2, &shard(&[(c, [2, 2]), (d, [4, 2])]));
    let index =
        format!(r#"{{"metadata":{{"total_size":96}},"weight_map":{{"{a}":"{S1}","{b}":"{S1}","{c}":"{S2}","{d}":"{S2}"}}}}"#);
    put(INDEX, index.as_bytes());
    put(
        "config.json",
        br#"{"architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_size":2,"num_hidden_layers":1,
        "num_attention_heads":1,"intermediate_size":2,"vocab_size":4,"max_position_embeddings":64,"tie_word_embeddings":false}"#,
    );
    put("tokenizer.json", br#"{"added_tokens":[],"model":{"type":"BPE","vocab":{"a":0,"b":3},"merges":[]}}"#);
    put("tokenizer_config.json", br#"{"chat_template":"{{ messages }}"}"#);
    put("README.md", b"---\nlicense: mit\n---\nA model.\n");
    put("training_args.bin", b"\x80\x02}q\x00.");
}

/// A safetensors file of F32 matrices, all 1.5.
fn shard(tensors: &[(&str, [u64; 2])]) -> Vec<u8> {
    let (mut at, mut entries) = (0, Vec::new());
    for (name, [rows, columns]) in tensors {
        let end = at + 4 * rows * columns;
        entries.push(format!(r#""{name}":{{"dtype":"F32","shape":[{rows},{columns}],"data_offsets":[{at},{end}]}}"#));
        at = end;
    }
    let mut header = format!("{{{}}}", entries.join(","));
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend(1.5f32.to_le_bytes().repeat(usize::try_from(at / 4).unwrap()));
    bytes
}

/// Every way to look at a path, as arguments.
pub(crate) fn commands(path: &str) -> Vec<Vec<String>> {
    let lines = [
        "show PATH --tensors",
        "scan PATH --tensors --io read",
        "scan PATH --tensors --io mmap",
        "audit PATH",
        "audit PATH --scan",
        "project PATH --to all",
        "memory PATH",
        "PATH",
    ];
    let word = |word: &str| if word == "PATH" { path.to_owned() } else { word.to_owned() };
    lines.iter().map(|line| line.split(' ').map(word).collect()).collect()
}

/// `weigh` with JSON on stdout.
pub(crate) fn weigh(arguments: &[String]) -> Command {
    with_json(crate::program::program(), arguments)
}

/// A way to run it, with these arguments and JSON on stdout.
pub(crate) fn with_json(mut command: Command, arguments: &[String]) -> Command {
    command.args(arguments).args(["--format", "json", "--no-progress"]);
    command
}

/// What came of a run.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// Everything that was said.
    pub(crate) fn all(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// The document on stdout; `Null` where there is none.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_default()
    }
}

/// Runs a command to its end. Panics where it hangs, is killed, or panics itself.
pub(crate) fn finish(command: &mut Command) -> Run {
    // Into files: a pipe that nobody empties would make the command wait.
    let (mut out, mut err) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
    command.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(err.try_clone().unwrap());
    let mut child = command.spawn().unwrap();
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begun.elapsed() > LIMIT {
            child.kill().unwrap();
            panic!("{command:?} did not end within {LIMIT:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let (stdout, stderr) = (text(&mut out), text(&mut err));
    assert!(!stderr.contains("panicked"), "{command:?}: {stderr}");
    let code = status.code().unwrap_or_else(|| panic!("{command:?} was killed: {status}; {stderr}"));
    Run { code, stdout, stderr }
}

fn text(file: &mut File) -> String {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}
