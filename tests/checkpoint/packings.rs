//! Packings by the names and shapes that their tools write: how many weights they hold. Each case is small and counted by hand.

use serde_json::{Value, json};
use weighbridge::checkpoint::names::is_buffer;
use weighbridge::checkpoint::packed::{Interpretation, Part, TensorView, interpret};
use weighbridge::dtype::Dtype;
use weighbridge::format::Format;
use weighbridge::units::Elements;

type Row = (&'static str, &'static str, &'static [u64]);

fn interpreted(rows: &[Row], config: Option<&Value>) -> Interpretation {
    let view = |&(name, dtype, shape): &Row| {
        let dtype = Dtype::from_safetensors(dtype).unwrap();
        let elements = shape.iter().product();
        let bytes = dtype.bytes_of(Elements(elements)).unwrap().0;
        TensorView { name, dtype, shape, elements, bytes, buffer: is_buffer(name, dtype, shape) }
    };
    let views: Vec<TensorView<'_>> = rows.iter().map(view).collect();
    interpret(&views, config, Format::Safetensors)
}

/// Method, bits, parameters; every packed weight must be understood.
fn known(rows: &[Row], config: Option<&Value>) -> (String, Option<u32>, u64) {
    let read = interpreted(rows, config);
    assert_eq!(read.unresolved, 0, "{:?}", read.notes);
    let quantization = read.quantization.unwrap_or_else(|| panic!("{rows:?}: nothing is recognised: {:?}", read.notes));
    (quantization.method, quantization.bits, read.parts.iter().map(|part| part.logical_params).sum())
}

#[test]
fn fp8_under_the_names_of_other_tools() {
    for (scale, others) in [("qscale_weight", "qscale_act"), ("scale_weight", "scale_input"), ("scale", "input_scale")] {
        let name = |leaf: &str| -> &'static str { Box::leak(format!("layers.0.attention.wq.{leaf}").into_boxed_str()) };
        let rows: [Row; 4] = [
            (name("weight"), "F8_E4M3", &[64, 32]),
            (name(scale), "F32", &[]),
            (name(others), "F32", &[]),
            ("norm.weight", "BF16", &[32]),
        ];
        assert_eq!(known(&rows, None), ("fp8".to_owned(), Some(8), 64 * 32 + 32), "{scale}");
    }
    // TensorRT-LLM.
    let rows: [Row; 3] = [
        ("layers.0.qkv.weight", "F8_E4M3", &[64, 32]),
        ("layers.0.qkv.weights_scaling_factor", "F32", &[1]),
        ("layers.0.qkv.activation_scaling_factor", "F32", &[1]),
    ];
    assert_eq!(known(&rows, None), ("tensorrt-llm".to_owned(), Some(8), 64 * 32));
}

#[test]
fn experts_of_two_fp4_a_byte() {
    let rows: [Row; 5] = [
        ("layers.0.attn.wq_a.weight", "F8_E4M3", &[128, 128]),
        ("layers.0.attn.wq_a.scale", "F8_E8M0", &[1, 1]),
        ("layers.0.ffn.experts.0.w1.weight", "I8", &[128, 64]),
        ("layers.0.ffn.experts.0.w1.scale", "F8_E8M0", &[128, 4]),
        ("embed.weight", "BF16", &[256, 128]),
    ];
    let params = 128 * 128 * 2 + 256 * 128;
    let config = json!({"quantization_config": {"quant_method": "fp8", "expert_dtype": "fp4"}});
    assert_eq!(known(&rows, Some(&config)), ("fp8".to_owned(), None, params));
    assert_eq!(interpreted(&rows, None).parts.iter().map(|part| part.logical_params).sum::<u64>(), params);
    // Exponents as plain bytes, experts stacked.
    let rows: [Row; 2] = [("ffn.experts.w1.weight", "U8", &[4, 128, 64]), ("ffn.experts.w1.scale", "U8", &[4, 128, 4])];
    assert_eq!(known(&rows, None), ("mxfp4".to_owned(), Some(4), 4 * 128 * 128));
    // A byte a weight under exponents of its own.
    let rows: [Row; 2] = [("a.weight", "I8", &[128, 64]), ("a.scale", "F8_E8M0", &[128, 2])];
    assert_eq!(known(&rows, None), ("int8".to_owned(), Some(8), 128 * 64));
    // Exponents that fit neither reading: a lower bound, and said so.
    let read = interpreted(&[("a.weight", "I8", &[128, 64]), ("a.scale", "F8_E8M0", &[128, 3])], None);
    assert_eq!((read.unresolved, read.parts[1].part), (1, Part::Auxiliary));
}

#[test]
fn norms_that_call_their_weight_scale_stay_weights() {
    let read = interpreted(&[("norm.weight", "BF16", &[64]), ("norm.scale", "BF16", &[64]), ("a.weight", "BF16", &[64, 64])], None);
    assert!(read.quantization.is_none() && read.unresolved == 0);
    assert!(read.parts.iter().all(|part| part.part == Part::Weight));
}

#[test]
fn svdquant_counts_its_branch_and_no_scale() {
    let int4: [Row; 7] = [
        ("b.0.qkv_proj.qweight", "I8", &[256, 128]),
        ("b.0.qkv_proj.wscales", "BF16", &[4, 256]),
        ("b.0.qkv_proj.smooth_factor", "BF16", &[256]),
        ("b.0.qkv_proj.smooth_factor_orig", "BF16", &[256]),
        ("b.0.qkv_proj.proj_down", "BF16", &[256, 32]),
        ("b.0.qkv_proj.proj_up", "BF16", &[256, 32]),
        ("b.0.qkv_proj.bias", "BF16", &[256]),
    ];
    let params = 256 * 256 + 2 * 256 * 32 + 256;
    assert_eq!(known(&int4, None), ("svdquant".to_owned(), Some(4), params));
    // NVFP4, under the names of the first files.
    let nvfp4: [Row; 6] = [
        ("b.0.qkv_proj.qweight", "I8", &[256, 128]),
        ("b.0.qkv_proj.wscales", "F8_E4M3", &[16, 256]),
        ("b.0.qkv_proj.wcscales", "BF16", &[256]),
        ("b.0.qkv_proj.smooth", "BF16", &[256]),
        ("b.0.qkv_proj.lora_down", "BF16", &[256, 32]),
        ("b.0.qkv_proj.lora_up", "BF16", &[256, 32]),
    ];
    assert_eq!(known(&nvfp4, None), ("svdquant".to_owned(), Some(4), params - 256));
    let norm: [Row; 4] = [
        ("b.0.norm1.linear.qweight", "I32", &[192, 128]),
        ("b.0.norm1.linear.wscales", "BF16", &[4, 768]),
        ("b.0.norm1.linear.wzeros", "BF16", &[4, 768]),
        ("b.0.norm1.linear.bias", "BF16", &[768]),
    ];
    assert_eq!(known(&norm, None), ("svdquant".to_owned(), Some(4), 768 * 256 + 768));
}

#[test]
fn mlx_bits_come_from_the_shapes() {
    // Six bits in groups of 64 where the configuration says four for all, or says six under another path.
    let rows: [Row; 6] = [
        ("language_model.model.layers.0.mlp.down_proj.weight", "U32", &[256, 96]),
        ("language_model.model.layers.0.mlp.down_proj.scales", "F16", &[256, 8]),
        ("language_model.model.layers.0.mlp.down_proj.biases", "F16", &[256, 8]),
        ("language_model.model.layers.0.mlp.up_proj.weight", "U32", &[512, 32]),
        ("language_model.model.layers.0.mlp.up_proj.scales", "F16", &[512, 4]),
        ("language_model.model.layers.0.mlp.up_proj.biases", "F16", &[512, 4]),
    ];
    for entry in [json!({}), json!({"model.language_model.layers.0.mlp.down_proj": {"bits": 6, "group_size": 64}})] {
        let mut section = json!({"bits": 4, "group_size": 64});
        section.as_object_mut().unwrap().extend(entry.as_object().unwrap().clone());
        let (method, bits, params) = known(&rows, Some(&json!({"quantization": section})));
        assert_eq!((method.as_str(), bits, params), ("mlx", None, 2 * 512 * 256));
    }
    // Eight bits in groups of 32 and four in groups of 64 are one shape: an override under another path tells them apart.
    let rows: [Row; 3] = [
        ("model.lm_head.weight", "U32", &[512, 64]),
        ("model.lm_head.scales", "F16", &[512, 8]),
        ("model.lm_head.biases", "F16", &[512, 8]),
    ];
    let section = json!({"quantization": {"bits": 4, "group_size": 64, "lm_head": {"bits": 8, "group_size": 32}}});
    assert_eq!(known(&rows, Some(&section)).1, Some(8));
}

#[test]
fn codebooks_and_lattices() {
    let aqlm: [Row; 3] =
        [("a.codes", "I16", &[64, 16, 1]), ("a.codebooks", "F16", &[1, 65536, 1, 8]), ("a.scales", "F16", &[64, 1, 1, 1])];
    assert_eq!(known(&aqlm, None), ("aqlm".to_owned(), None, 64 * 128));
    let quip: [Row; 4] = [("a.Qidxs", "I64", &[64, 4]), ("a.SU", "F16", &[128]), ("a.SV", "F16", &[64]), ("a.Wscale", "F32", &[])];
    assert_eq!(known(&quip, None), ("quip".to_owned(), None, 64 * 128));
    let vptq: [Row; 4] = [
        ("m.a.indices", "I32", &[1, 8, 40]),
        ("m.a.centroids.weight", "F16", &[1, 2048]),
        ("m.a.weight_scale", "F16", &[128]),
        ("m.a.weight_bias", "F16", &[128]),
    ];
    let config = json!({"quantization_config": {"quant_method": "vptq", "config_for_layers": {"m.a": {"in_features": 128, "out_features": 64}}}});
    assert_eq!(known(&vptq, Some(&config)), ("vptq".to_owned(), None, 64 * 128));
    // Without the configuration its indices do not tell.
    assert_eq!(interpreted(&vptq, None).unresolved, 1);
}

#[test]
fn layouts_of_kernels() {
    let marlin: [Row; 2] = [("a.B", "I32", &[8, 128]), ("a.s", "F16", &[1, 64])];
    assert_eq!(known(&marlin, None), ("marlin".to_owned(), Some(4), 64 * 128));
    let eetq: [Row; 2] = [("a.weight", "I8", &[128, 64]), ("a.weight_scales", "F16", &[64])];
    assert_eq!(known(&eetq, None), ("eetq".to_owned(), Some(8), 64 * 128));
    let weight_only: [Row; 2] = [("a.weight", "I8", &[128, 32]), ("a.per_channel_scale", "F16", &[64])];
    assert_eq!(known(&weight_only, None), ("tensorrt-llm".to_owned(), Some(4), 64 * 128));
}

#[test]
fn what_is_not_known_is_a_lower_bound() {
    let rows: [Row; 3] = [("a.weight", "U8", &[64, 64]), ("a.block_scales", "F16", &[64, 2]), ("a.bias", "F16", &[64])];
    let read = interpreted(&rows, None);
    assert_eq!((read.unresolved, read.parts[1].part, read.parts[2].part), (1, Part::Auxiliary, Part::Weight));
    assert!(read.notes.iter().any(|note| note.contains("not known")), "{:?}", read.notes);
    // A table of small integers with nothing beside it is what it is.
    assert_eq!(interpreted(&[("a.weight", "U8", &[64, 64]), ("a.bias", "F16", &[64])], None).unresolved, 0);
}

#[test]
fn vocabulary_maps_are_buffers() {
    let is = |name: &str, dtype: &str, shape: &[u64]| is_buffer(name, Dtype::from_safetensors(dtype).unwrap(), shape);
    assert!(is("d2t", "I64", &[96]) && is("t2d", "BOOL", &[256]) && is("model.d2t", "I32", &[96]));
    assert!(!is("d2t", "BF16", &[96]) && !is("t2d.weight", "I64", &[96]) && !is("d2t", "I64", &[96, 2]));
}
