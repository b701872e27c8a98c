//! Repositories that bring code of their own, or name code elsewhere.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::audit::check::{Check, code};
use crate::audit::finding::Severity::{Note, Warning};
use crate::audit::finding::{Code, Finding, Findings};
use crate::audit::subject::{Subject, TextFile};
use crate::text::escape_limited;

const CODE: Code = code(
    "remote-code",
    "The model runs code of a repository",
    Warning,
    "A configuration names Python code that a loader imports or fetches: an `auto_map` (transformers, when asked to trust remote code; `other/repo--module.Class` fetches it from another \
     repository, whose owner can change it at any time), an `auto_mapping` with a library of its own (PEFT), a module of its own (sentence-transformers, diffusers, MLX), a kernel of the \
     hub, `custom_generate`, custom pipelines, or a `handler.py` that an inference server runs. Read the files named, and pin the revision.",
);
const PYTHON: Code = code(
    "python-files",
    "Python files in the repository",
    Note,
    "The repository holds Python files. They were not read. A loader runs them where a configuration names them, or where it goes by their names.",
);

pub(super) const CHECK: Check = Check { name: "remote_code", codes: &[CODE, PYTHON], run };

/// References that are named in one message.
const SHOWN: usize = 6;
/// Packages whose classes loaders import by design: PEFT's `parent_library`, and the libraries of a diffusers pipeline.
const LIBRARIES: [&str; 11] = [
    "transformers",
    "diffusers",
    "sentence_transformers",
    "peft",
    "timm",
    "torch",
    "torchvision",
    "onnxruntime",
    "flax",
    "optimum",
    "open_clip",
];
/// The folders of `diffusers.pipelines` (diffusers ([`crate::pins::DIFFUSERS`])), which a pipeline may name as the library of a component.
#[rustfmt::skip]
const PIPELINES: [&str; 90] = [
    "allegro", "amused", "animatediff", "audioldm", "audioldm2", "aura_flow", "blip_diffusion", "bria", "chroma", "cogvideo", "cogview3", "cogview4", "consisid",
    "consistency_models", "controlnet", "controlnet_hunyuandit", "controlnet_sd3", "controlnet_xs", "cosmos", "dance_diffusion", "ddim", "ddpm",
    "deepfloyd_if", "deprecated", "dit", "easyanimate", "flux", "flux2", "hidream_image", "hunyuan_image", "hunyuan_video", "hunyuan_video1_5", "hunyuandit",
    "i2vgen_xl", "kandinsky", "kandinsky2_2", "kandinsky3", "kandinsky5", "kolors", "latent_consistency_models", "latent_diffusion", "latte", "ledits_pp",
    "longcat_image", "ltx", "ltx2", "lucy", "lumina", "lumina2", "marigold", "mochi", "musicldm", "omnigen", "ovis_image", "pag", "paint_by_example", "pia",
    "pixart_alpha", "prx", "qwenimage", "sana", "sana_video", "semantic_stable_diffusion", "shap_e", "skyreels_v2", "spectrogram_diffusion", "stable_audio",
    "stable_cascade", "stable_diffusion", "stable_diffusion_3", "stable_diffusion_attend_and_excite", "stable_diffusion_diffedit",
    "stable_diffusion_gligen", "stable_diffusion_k_diffusion", "stable_diffusion_ldm3d", "stable_diffusion_panorama", "stable_diffusion_safe",
    "stable_diffusion_sag", "stable_diffusion_xl", "stable_video_diffusion", "t2i_adapter", "text_to_video_synthesis", "unclip", "unidiffuser",
    "versatile_diffusion", "visualcloze", "vq_diffusion", "wan", "wuerstchen", "z_image",
];
/// Keys of a `config.json` of sentence-transformers whose values are imported.
const ACTIVATIONS: [&str; 3] = ["activation_function", "activation_fn", "sbert_ce_default_activation_function"];

fn run(subject: &Subject<'_>, out: &mut Findings) {
    for text in &subject.texts {
        members(text, out);
        match text.base() {
            "modules.json" | "router_config.json" => modules(text, out),
            "model_index.json" => pipeline(subject, text, out),
            "config.json" => configuration(text, out),
            _ => {}
        }
        for name in &text.in_raw_text {
            if *name != "chat_template" {
                let message = format!(
                    "no JSON to us, and its text holds `{name}`, with which code is named that runs when the model is loaded"
                );
                out.push(Finding::new(&CODE, message).file(&text.name).help("read the file"));
            }
        }
    }
    files(subject, out);
}

fn tell(text: &TextFile, key: &str, what: &str, targets: &[String], out: &mut Findings) {
    let shown: Vec<String> = targets.iter().take(SHOWN).map(|t| format!("`{}`", escape_limited(t, 60))).collect();
    let more = targets.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let foreign: Vec<String> = targets
        .iter()
        .filter_map(|t| t.split_once("--"))
        .take(SHOWN)
        .map(|(repo, _)| format!("`{}`", escape_limited(repo, 60)))
        .collect();
    let elsewhere = if foreign.is_empty() {
        String::new()
    } else {
        format!("; part of it comes from another repository: {}", foreign.join(", "))
    };
    let message = format!("{what}: {}{more}{elsewhere}", shown.join(", "));
    out.push(Finding::new(&CODE, message).file(&text.name).tensor(key).help("read the code and pin the revision"));
}

/// What stands in any JSON, at any depth.
fn members(text: &TextFile, out: &mut Findings) {
    for (name, value) in &text.members {
        let what = match name.as_str() {
            "auto_map" => "auto_map names code that runs when the model is loaded with trust in remote code",
            "auto_mapping" => "auto_mapping names a library that PEFT imports",
            "custom_generate" => "custom_generate names code that runs when text is generated",
            "custom_pipelines" => "custom_pipelines names code that runs when a pipeline is made",
            _ => continue,
        };
        let mut targets = Vec::new();
        if name == "auto_mapping" {
            targets.extend(value.get("parent_library").and_then(Value::as_str).filter(|l| !is_library(l)).map(str::to_owned));
        } else {
            collect(value, &mut targets, 0);
        }
        targets.sort();
        targets.dedup();
        if !targets.is_empty() {
            tell(text, name, what, &targets, out);
        }
    }
}

/// Whether a module is part of a package that loaders import by design; `transformers_modules` is where code of repositories lands.
fn is_library(module: &str) -> bool {
    LIBRARIES.contains(&module.split('.').next().unwrap_or(module))
}

/// Class references: texts, or lists of texts (a slow and a fast tokenizer).
fn collect(value: &Value, out: &mut Vec<String>, depth: usize) {
    match value {
        Value::String(text) => out.push(text.clone()),
        Value::Array(list) if depth < 4 => list.iter().for_each(|v| collect(v, out, depth + 1)),
        Value::Object(map) if depth < 4 => map.values().for_each(|v| collect(v, out, depth + 1)),
        _ => {}
    }
}

/// Modules of sentence-transformers: the value of every `type`, and of every member of `types`, is imported.
fn modules(text: &TextFile, out: &mut Findings) {
    let Some(json) = &text.json else { return };
    let mut named = BTreeSet::new();
    let mut left = vec![json];
    while let Some(value) = left.pop() {
        match value {
            Value::Array(list) => left.extend(list),
            Value::Object(map) => {
                named.extend(map.get("type").and_then(Value::as_str));
                let types = map.get("types").and_then(Value::as_object);
                named.extend(types.into_iter().flat_map(|types| types.values().filter_map(Value::as_str)));
                left.extend(map.values());
            }
            _ => {}
        }
    }
    let own: Vec<String> = named.into_iter().filter(|t| !t.starts_with("sentence_transformers.")).map(str::to_owned).collect();
    if !own.is_empty() {
        tell(text, "type", "a module that is none of sentence-transformers is imported when the model is loaded", &own, out);
    }
}

/// A pipeline of diffusers: each component with the library that its class is in, which may be a file of the repository.
fn pipeline(subject: &Subject<'_>, text: &TextFile, out: &mut Findings) {
    let Some(Value::Object(map)) = &text.json else { return };
    let folder = text.name.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    let mut own = Vec::new();
    for (component, value) in map {
        let Some([Value::String(library), Value::String(class)]) = value.as_array().map(Vec::as_slice) else { continue };
        let file = |path: String| subject.listed().binary_search_by(|f| f.name.cmp(&path)).is_ok();
        let shipped = file(format!("{folder}{component}/{library}.py")) || file(format!("{folder}{library}.py"));
        let known = is_library(library) || PIPELINES.contains(&library.as_str());
        if shipped || !known || component == "_class_name" {
            own.push(format!("{library}.{class}"));
        }
    }
    if !own.is_empty() {
        tell(
            text,
            "_class_name",
            "components of classes that are none of diffusers or transformers are imported when the pipeline is loaded",
            &own,
            out,
        );
    }
}

/// What loaders import by keys of a `config.json`.
fn configuration(text: &TextFile, out: &mut Findings) {
    let Some(Value::Object(top)) = &text.json else { return };
    // MLX runs the file that stands there.
    if let Some(file) = top.get("model_file").and_then(Value::as_str) {
        tell(text, "model_file", "MLX runs this file of the repository when the model is loaded", &[file.to_owned()], out);
    }
    let mut left = vec![top];
    while let Some(map) = left.pop() {
        left.extend(map.values().filter_map(Value::as_object));
        for (key, value) in map {
            let Some(value) = value.as_str() else { continue };
            if matches!(
                key.as_str(),
                "attn_implementation" | "_attn_implementation" | "_attn_implementation_internal" | "experts_implementation"
            ) && value.contains('/')
            {
                tell(text, key, "a kernel of another repository is fetched and run", &[value.to_owned()], out);
            }
            if ACTIVATIONS.contains(&key.as_str()) && value.contains('.') && !value.starts_with("torch.") {
                tell(text, key, "an activation function is imported when the model is loaded", &[value.to_owned()], out);
            }
        }
    }
}

/// Python files: those that loaders go by, and the others.
fn files(subject: &Subject<'_>, out: &mut Findings) {
    let is_python = |name: &str| {
        let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
        matches!(ending.as_str(), "py" | "pyc" | "pyo" | "pyx")
    };
    let python: Vec<&str> = subject.listed().iter().map(|f| f.name.as_str()).filter(|name| is_python(name)).collect();
    for name in &python {
        let base = name.rsplit('/').next().unwrap_or(name);
        let what = if base == "handler.py" {
            "an inference server runs this file when it takes the model"
        } else if *name == "custom_generate/generate.py" {
            "transformers runs this file where text is generated with trust in remote code"
        } else {
            continue;
        };
        out.push(Finding::new(&CODE, what).file(*name).help("read the code and pin the revision"));
    }
    if let Some(first) = python.first() {
        let shown: Vec<String> = python.iter().take(20).map(|name| format!("`{}`", escape_limited(name, 60))).collect();
        let more = python.len() - shown.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let message = format!("{} Python files, which were not read: {}{more}", python.len(), shown.join(", "));
        out.push(Finding::new(&PYTHON, message).file(*first));
    }
}
