//! The type of vLLM's cache where `--kv-cache-dtype` is `auto`, by what the checkpoint asks for.
//!
//! Source: `vllm/utils/torch_utils.py` (`get_kv_cache_quant_algo_string` for ModelOpt: its names, and figures by the same names),
//! `vllm/model_executor/layers/attention/attention.py` (any `kv_cache_scheme` of compressed-tensors means FP8), and
//! `CompressedTensorsKVCacheMethod.validate_kv_cache_scheme`, which refuses what is neither of 8 bits nor a float.

use crate::checkpoint::config::{CacheScheme, StatedCache};
use crate::project::memory::kv_type::KvType;
use crate::text::escape_limited;

/// The type; `None` where vLLM keeps the model's own.
///
/// # Errors
/// That the checkpoint asks for what vLLM does not know.
pub(super) fn of(stated: &StatedCache) -> Result<Option<KvType>, String> {
    let method = stated.method.to_lowercase();
    if method.starts_with("modelopt") {
        return modelopt(&stated.scheme);
    }
    if !matches!(method.as_str(), "compressed-tensors" | "compressed_tensors") || stated.key != "kv_cache_scheme" {
        return Ok(None);
    }
    match stated.scheme {
        CacheScheme::Figures { bits, float, .. } if float || bits == Some(8) => Ok(Some(KvType::FP8)),
        CacheScheme::Figures { .. } => {
            Err("the checkpoint asks for a cache that vLLM refuses (kv_cache_scheme is neither of 8 bits nor a float)".to_owned())
        }
        CacheScheme::Named(_) => Ok(None),
    }
}

fn modelopt(scheme: &CacheScheme) -> Result<Option<KvType>, String> {
    let unknown = |what: &str| {
        Err(format!("the checkpoint asks for a cache in {what}, which vLLM does not know: it keeps the model's own type"))
    };
    match scheme {
        CacheScheme::Named(name) => match name.to_lowercase().as_str() {
            "fp8" => Ok(Some(KvType::FP8)),
            "nvfp4" => Ok(Some(KvType::NVFP4)),
            "mixed_precision" => Ok(None),
            _ => unknown(&escape_limited(name, 40)),
        },
        CacheScheme::Figures { bits: Some(8), float: true, dynamic: Some(false) } => Ok(Some(KvType::FP8)),
        CacheScheme::Figures { bits: Some(4), float: true, .. } => Ok(Some(KvType::NVFP4)),
        CacheScheme::Figures { .. } => unknown("a form of its own"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stated(method: &str, key: &'static str, scheme: CacheScheme) -> Result<Option<KvType>, String> {
        of(&StatedCache { method: method.to_owned(), file: "config.json".to_owned(), key, scheme })
    }

    #[test]
    fn by_name_and_by_figures() {
        let named = |method: &str, name: &str| stated(method, "kv_cache_quant_algo", CacheScheme::Named(name.to_owned()));
        assert_eq!(named("modelopt", "FP8"), Ok(Some(KvType::FP8)));
        assert_eq!(named("modelopt_fp4", "nvfp4"), Ok(Some(KvType::NVFP4)));
        assert_eq!(named("modelopt", "MIXED_PRECISION"), Ok(None));
        assert!(named("modelopt", "INT8").is_err());
        assert_eq!(named("fp8", "FP8"), Ok(None), "vLLM asks ModelOpt's alone");
        let figures = |method: &str, bits: u64, float: bool, dynamic: bool| {
            stated(method, "kv_cache_scheme", CacheScheme::Figures { bits: Some(bits), float, dynamic: Some(dynamic) })
        };
        assert_eq!(figures("compressed-tensors", 8, true, false), Ok(Some(KvType::FP8)));
        assert_eq!(figures("compressed-tensors", 8, false, true), Ok(Some(KvType::FP8)));
        assert!(figures("compressed-tensors", 4, false, false).is_err());
        assert_eq!(figures("modelopt", 8, true, false), Ok(Some(KvType::FP8)));
        assert_eq!(figures("modelopt", 4, true, true), Ok(Some(KvType::NVFP4)));
        assert!(figures("modelopt", 8, true, true).is_err(), "only static scales");
        assert_eq!(figures("quark", 8, true, false), Ok(None));
    }
}
