//! `general.*`: what the names of the model, the card and the generation defaults become.
//!
//! Source: `Metadata` of gguf-py and `size_label` beside it.

use serde_json::{Map, Value};

use super::keys::Keys;
use crate::checkpoint::HfFolder;

/// Parameters as the label counts them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) total: u64,
    pub(super) shared: u64,
    pub(super) expert: u64,
    pub(super) experts: u64,
}

/// What a model's identifier tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Id {
    name: Option<String>,
    organization: Option<String>,
    basename: Option<String>,
    finetune: Option<String>,
    version: Option<String>,
    size_label: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Basename,
    Size,
    Finetune,
    Version,
    Type,
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// `\d+([.]\d+)*`
fn is_dotted(text: &str) -> bool {
    text.split('.').all(|part| !part.is_empty() && digits(part) == part.len())
}

/// `(v|iter)?\d+([.]\d+)*`
fn is_version(part: &str) -> bool {
    let lower = part.to_ascii_lowercase();
    let rest = lower.strip_prefix("iter").or_else(|| lower.strip_prefix('v')).unwrap_or(&lower);
    is_dotted(rest)
}

/// `i?q\d(_\w)*|b?fp?(16|32)`
fn is_type(part: &str) -> bool {
    let lower = part.to_lowercase();
    let quant = lower.strip_prefix('i').unwrap_or(&lower);
    if let Some(rest) = quant.strip_prefix('q').filter(|rest| digits(rest) > 0) {
        let rest: Vec<char> = rest[1..].chars().collect();
        if rest.chunks(2).all(|pair| pair.len() == 2 && pair[0] == '_' && (pair[1].is_alphanumeric() || pair[1] == '_')) {
            return true;
        }
    }
    let float = lower.strip_prefix('b').unwrap_or(&lower);
    let Some(float) = float.strip_prefix('f') else { return false };
    matches!(float.strip_prefix('p').unwrap_or(float), "16" | "32")
}

/// `([A]|\d+[x])?\d+([._]\d+)?[KMBT][\d]?|small|mini|medium|large|x?xl`
fn is_size(part: &str) -> bool {
    let lower = part.to_ascii_lowercase();
    if matches!(lower.as_str(), "small" | "mini" | "medium" | "large" | "xl" | "xxl") {
        return true;
    }
    let tail = |text: &str| {
        let n = digits(text);
        if n == 0 {
            return false;
        }
        let mut rest = &text[n..];
        if let Some(fraction) = rest.strip_prefix(['.', '_']) {
            let n = digits(fraction);
            if n == 0 {
                return false;
            }
            rest = &fraction[n..];
        }
        let Some(rest) = rest.strip_prefix(['k', 'm', 'b', 't']) else { return false };
        rest.is_empty() || (rest.len() == 1 && digits(rest) == 1)
    };
    if let Some(rest) = lower.strip_prefix('a') {
        return tail(rest);
    }
    let n = digits(&lower);
    tail(&lower) || (n > 0 && lower[n..].strip_prefix('x').is_some_and(tail))
}

/// A size label in its usual spelling, and whether it is far from the real count.
fn size(part: &str, total: u64) -> (String, bool) {
    let mut part = part.replace('_', ".");
    let bytes = part.as_bytes();
    if bytes.len() >= 2 && bytes[bytes.len() - 1].is_ascii_digit() {
        // 7b1 is 7.1b.
        let n = part.len();
        part = format!("{}.{}{}", &part[..n - 2], &part[n - 1..], &part[n - 2..n - 1]);
    }
    let n = part.len();
    let bytes = part.as_bytes();
    if n > 1 && bytes[n - 2].is_ascii_digit() && matches!(bytes[n - 1], b'k' | b'm' | b'b' | b't') {
        part = format!("{}{}", &part[..n - 1], part[n - 1..].to_ascii_uppercase());
    }
    let mut far = false;
    if total != 0
        && let Ok(number) = part[..n - 1].parse::<f64>()
        && part.starts_with(|c: char| c.is_ascii_digit())
    {
        // The position in " KMBT"; -1 for what is not in it.
        let power = " KMBT".find(&part[n - 1..]).map_or(-1, |p| p as i32);
        let label = number * 1000f64.powi(power);
        far = (label - total as f64).abs() > (u128::from(total) * 7 / 8) as f64;
    }
    if far {
        part = format!("{}{}", &part[..n - 1], part[n - 1..].to_lowercase());
    }
    (part, far)
}

/// Takes `org/Name-7B-Instruct-v1` apart.
fn components(id: &str, total: u64) -> Id {
    if id.contains(' ') {
        return Id { name: Some(id.to_owned()), ..Id::default() };
    }
    let (organization, full) = match id.split_once('/') {
        Some((org, name)) => (Some(org).filter(|o| !o.starts_with('.')), name),
        None => (None, id),
    };
    let mut parts: Vec<(String, Vec<Part>)> =
        full.split('-').filter(|p| !p.is_empty()).map(|p| (p.to_owned(), Vec::new())).collect();
    for (i, (part, kinds)) in parts.iter_mut().enumerate() {
        if is_version(part) {
            kinds.push(Part::Version);
        } else if is_type(part) {
            kinds.push(Part::Type);
            *part = part.to_uppercase();
        } else if i > 0 && is_size(part) {
            let (label, far) = size(part, total);
            kinds.push(if far { Part::Finetune } else { Part::Size });
            *part = label;
        } else if i > 0 && matches!(part.to_lowercase().as_str(), "chat" | "instruct" | "vision" | "lora") {
            kinds.push(Part::Finetune);
        }
    }
    let sized = |p: &(String, Vec<Part>)| p.1.contains(&Part::Size);
    if parts.iter().any(|p| sized(p) && p.0.contains(|c: char| c.is_ascii_digit())) {
        for part in parts.iter_mut().filter(|p| sized(p) && p.0.chars().all(char::is_alphabetic)) {
            part.1.retain(|k| *k != Part::Size);
        }
    }
    let mut at_start = true;
    for (part, kinds) in &mut parts {
        let alphabetic = part.chars().next().is_some_and(char::is_alphabetic);
        if at_start && ((kinds.is_empty() && alphabetic) || kinds.contains(&Part::Version)) {
            kinds.push(Part::Basename);
        } else {
            at_start = false;
            if kinds.is_empty() {
                kinds.push(Part::Finetune);
            }
        }
    }
    for (_, kinds) in parts.iter_mut().rev() {
        if kinds.contains(&Part::Basename) && kinds.len() > 1 {
            kinds.retain(|k| *k != Part::Basename);
        } else {
            break;
        }
    }
    let join = |keep: &dyn Fn(&[Part]) -> bool| {
        let kept: Vec<&str> = parts.iter().filter(|(_, k)| keep(k)).map(|(p, _)| p.as_str()).collect();
        (!kept.is_empty()).then(|| kept.join("-"))
    };
    let mut basename = join(&|k| k.contains(&Part::Basename));
    let finetune = join(&|k| k.contains(&Part::Finetune));
    let version = join(&|k| k.contains(&Part::Version) && !k.contains(&Part::Basename));
    let mut labels: Vec<&str> = Vec::new();
    for (part, _) in parts.iter().filter(|p| sized(p)) {
        if !labels.contains(&part.as_str()) {
            labels.push(part);
        }
    }
    let size_label = (!labels.is_empty()).then(|| labels.join("-"));
    if size_label.is_none() && finetune.is_none() && version.is_none() {
        basename = None;
    }
    Id { name: Some(full.to_owned()), organization: organization.map(str::to_owned), basename, finetune, version, size_label }
}

/// Words with a capital, but for those that have one and for versions and numbers.
fn title(text: &str) -> String {
    let word = |w: &str| {
        let lower = w.chars().any(char::is_lowercase) && !w.chars().any(char::is_uppercase);
        let version = w.starts_with(|c: char| c.is_ascii_digit()) || w.strip_prefix('v').is_some_and(is_dotted);
        if !lower || version {
            return w.to_owned();
        }
        let mut out = String::new();
        let mut after_letter = false;
        for c in w.chars() {
            if after_letter {
                out.extend(c.to_lowercase())
            } else {
                out.extend(c.to_uppercase())
            }
            after_letter = c.is_alphabetic();
        }
        out
    };
    text.trim().replace('-', " ").split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

/// Parameters in K, M, B or T with two digits.
fn rounded(count: u64) -> String {
    let n = count as f64;
    let (scaled, suffix) = if n > 1e12 {
        (n * 1e-12, "T")
    } else if n > 1e9 {
        (n * 1e-9, "B")
    } else if n > 1e6 {
        (n * 1e-6, "M")
    } else {
        (n * 1e-3, "K")
    };
    let whole = format!("{:.0}", scaled.round_ties_even());
    let decimals = 2usize.saturating_sub(whole.trim_start_matches('0').len());
    format!("{scaled:.decimals$}{suffix}")
}

fn size_label(counts: &Counts) -> String {
    if counts.experts > 0 {
        return format!("{}x{}", counts.experts, rounded(counts.shared.saturating_add(counts.expert)));
    }
    rounded(counts.total)
}

/// Keys of the card, and what they are written as; the first that is there counts.
const CARD: &[(&str, &[&str])] = &[
    ("name", &["name", "model_name"]),
    ("author", &["author", "model_author", "model_creator"]),
    ("version", &["version", "model_version"]),
    ("organization", &["organization", "model_organization"]),
    ("description", &["description", "model_description"]),
    ("finetune", &["finetune", "model_finetune"]),
    ("basename", &["basename", "model_basename", "model_type"]),
    ("size_label", &["size_label", "model_size_label"]),
    ("source.url", &["url", "model_url"]),
    ("source.doi", &["doi", "model_doi"]),
    ("source.uuid", &["uuid", "model_uuid"]),
    ("source.repo_url", &["repo_url", "model_repo_url"]),
    ("license.name", &["license_name"]),
    ("license.link", &["license_link"]),
];

fn from_card(card: &Map<String, Value>, field: &str) -> Option<String> {
    let (_, keys) = CARD.iter().find(|(name, _)| *name == field)?;
    keys.iter().find_map(|key| card.get(*key)?.as_str()).map(str::to_owned)
}

/// A text or a list of texts.
fn list(value: Option<&Value>) -> Vec<&Value> {
    match value {
        Some(Value::Array(values)) => values.iter().collect(),
        Some(text @ Value::String(_)) => vec![text],
        _ => Vec::new(),
    }
}

const SAMPLING: &[(&str, &[&str])] = &[
    ("top_k", &["top_k"]),
    ("top_p", &["top_p"]),
    ("min_p", &["min_p"]),
    ("xtc_probability", &["xtc_probability"]),
    ("xtc_threshold", &["xtc_threshold"]),
    ("temp", &["temperature"]),
    ("penalty_last_n", &["penalty_last_n"]),
    ("penalty_repeat", &["penalty_repeat", "repetition_penalty"]),
    ("mirostat", &["mirostat"]),
    ("mirostat_tau", &["mirostat_tau"]),
    ("mirostat_eta", &["mirostat_eta"]),
];

/// Adds the `general.*` keys.
pub(super) fn add(keys: &mut Keys, folder: &HfFolder, counts: &Counts) {
    let empty = Map::new();
    if let Some(generation) = &folder.generation {
        for (name, from) in SAMPLING {
            if from.iter().find_map(|key| generation.get(*key)).is_some_and(|v| !v.is_null()) {
                keys.number(format!("general.sampling.{name}"));
            }
        }
        if let Some(Value::String(sequence)) = generation.get("sequence") {
            keys.text("general.sampling.sequence", sequence.len() as u64);
        }
    }
    let card = folder.card.as_ref().unwrap_or(&empty);
    let path = folder.config.get("_name_or_path").and_then(Value::as_str).filter(|p| p.matches('/').count() <= 1);
    let ids: Vec<Id> = path.into_iter().chain([folder.name.as_str()]).map(|id| components(id, counts.total)).collect();
    let first = |field: fn(&Id) -> Option<&String>| ids.iter().find_map(field);
    let of_id: [(&str, Option<String>); 6] = [
        ("name", first(|id| id.name.as_ref()).map(|n| title(n))),
        ("organization", first(|id| id.organization.as_ref()).map(|n| title(n))),
        ("basename", first(|id| id.basename.as_ref()).cloned()),
        ("finetune", first(|id| id.finetune.as_ref()).cloned()),
        ("version", first(|id| id.version.as_ref()).cloned()),
        ("size_label", first(|id| id.size_label.as_ref()).cloned()),
    ];
    for (field, _) in CARD {
        let guessed = of_id.iter().find(|(name, _)| name == field).and_then(|(_, value)| value.clone());
        let mut value = from_card(card, field).or(guessed);
        if *field == "size_label" && value.is_none() && counts.total > 0 {
            value = Some(size_label(counts));
        }
        keys.text(format!("general.{field}"), value.map_or(0, |v| v.len() as u64));
    }
    match card.get("license") {
        Some(Value::Array(licenses)) => {
            let joined = licenses.iter().filter_map(Value::as_str).map(|l| l.len() as u64 + 1).sum::<u64>();
            keys.text("general.license", joined.saturating_sub(1));
        }
        Some(Value::String(license)) => keys.text("general.license", license.len() as u64),
        _ => {}
    }
    sources(keys, card, counts, "base_model", &["base_model", "base_models", "base_model_sources"]);
    sources(keys, card, counts, "dataset", &["datasets", "dataset", "dataset_sources"]);
    let texts = |names: [&str; 2]| -> Vec<String> {
        let values = names.iter().flat_map(|name| list(card.get(*name)));
        values.filter_map(|v| v.as_str().map(str::to_owned)).collect()
    };
    keys.texts("general.tags", texts(["tags", "pipeline_tag"]).iter().map(String::as_str));
    keys.texts("general.languages", texts(["languages", "language"]).iter().map(String::as_str));
}

/// Models or data sets that the card says this one was made of.
fn sources(keys: &mut Keys, card: &Map<String, Value>, counts: &Counts, kind: &str, names: &[&str]) {
    let Some(value) = names.iter().find_map(|name| card.get(*name)) else { return };
    keys.number(format!("general.{kind}.count"));
    for (i, source) in list(Some(value)).into_iter().enumerate() {
        let mut add = |field: &str, text: &str| keys.text(format!("general.{kind}.{i}.{field}"), text.len() as u64);
        if let Value::Object(map) = source {
            for field in ["name", "author", "version", "organization", "description", "url", "doi", "uuid", "repo_url"] {
                if let Some(text) = map.get(field).and_then(Value::as_str) {
                    add(field, text);
                }
            }
            continue;
        }
        let Some(source) = source.as_str() else { continue };
        let is_url = ["http://", "https://", "ssh://"].iter().any(|scheme| source.starts_with(scheme));
        let hub = ["http://huggingface.co/", "https://huggingface.co/"].iter().find_map(|p| source.strip_prefix(p));
        let hub = hub.filter(|id| id.split_once('/').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty() && !b.contains('/')));
        if is_url {
            add("repo_url", source);
        }
        let Some(id) = (if is_url { hub } else { Some(source) }) else { continue };
        let id = components(id, counts.total);
        add("name", &title(id.name.as_deref().unwrap_or_default()));
        if let Some(organization) = &id.organization {
            add("organization", &title(organization));
        }
        if let Some(version) = &id.version {
            add("version", version);
        }
        if let (false, Some(organization), Some(name)) = (is_url, &id.organization, &id.name) {
            add("repo_url", &format!("https://huggingface.co/{organization}/{name}"));
        }
    }
}

#[cfg(test)]
mod tests;
