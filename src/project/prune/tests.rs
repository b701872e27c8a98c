use super::*;
use crate::checkpoint::ModelConfig;
use crate::dtype::Dtype;
use crate::format::Format;
use crate::project::input::Provenance;

fn input<'a>(model: &'a ModelConfig, tensors: Vec<ProjectTensor<'a>>) -> ProjectInput<'a> {
    let bytes = tensors.iter().map(|t| t.bytes).sum();
    ProjectInput {
        format: Some(Format::Safetensors),
        tensors,
        file_bytes: bytes,
        header_bytes: 0,
        files: 1,
        model,
        quantization: None,
        safetensors_metadata: None,
        gguf: None,
        folder: None,
        provenance: Provenance::default(),
    }
}

fn bytes(row: &PrunedRow, form: &str) -> Option<u64> {
    row.forms.iter().find(|f| f.form == form).unwrap().bytes
}

#[test]
fn equals_the_arrays_of_scipy_and_torch() {
    // formulas B, measured: 2000 x 1000 f32 with 200,014 non-zeros.
    let model = ModelConfig::default();
    let tensors = vec![ProjectTensor::weight("w.weight", Role::Mlp, None, Dtype::F32, &[2000, 1000])];
    let input = input(&model, tensors);
    let row = row(&input, &PruneSpec::Measured, Some(&[Some(2_000_000 - 200_014)]));
    assert_eq!(bytes(&row, "csr32"), Some(1_608_116));
    assert_eq!(bytes(&row, "coo32"), Some(2_400_168));
    assert_eq!(bytes(&row, "csr64"), Some(2_416_176));
    assert_eq!(bytes(&row, "coo64"), Some(4_000_280));
    assert_eq!(bytes(&row, "dense"), Some(8_000_000));
    assert_eq!(bytes(&row, "2:4"), None);
    assert_eq!(row.measured_sparsity, Some(0.899993));
}

#[test]
fn half_of_a_bf16_matrix() {
    let model = ModelConfig::default();
    let tensors = vec![
        ProjectTensor::weight("embed", Role::Embedding, None, Dtype::BF16, &[10, 8]),
        ProjectTensor::weight("w.weight", Role::Mlp, None, Dtype::BF16, &[4096, 4096]),
    ];
    let input = input(&model, tensors);
    let half = row(&input, &PruneSpec::parse("50%").unwrap(), None);
    assert_eq!(bytes(&half, "dense"), Some(33_554_432 + 160));
    // formulas B: compressed-tensors' sparse-bitmask takes 18,907,152 with 8 bytes of offset per row and 16 of shape.
    assert_eq!(bytes(&half, "bitmask"), Some(18_907_152 - 8 * 4096 - 16 + 160));
    assert_eq!((half.target_sparsity, half.measured_sparsity, half.threshold), (Some(0.5), None, None));
    assert!(half.notes[0].contains("as large as before"));
    // 56.25 % of dense.
    let pattern = row(&input, &PruneSpec::Pattern { keep: 2, of: 4 }, None);
    assert_eq!(bytes(&pattern, "2:4"), Some(33_554_432 / 10_000 * 5_625 + 33_554_432 % 10_000 * 5_625 / 10_000 + 160));
}

#[test]
fn limits_of_indices_and_unknown_counts() {
    let model = ModelConfig::default();
    let tensors = vec![
        ProjectTensor::weight("a.weight", Role::Mlp, None, Dtype::F32, &[4, 65_537]),
        ProjectTensor::weight("b.weight", Role::Expert, None, Dtype::Q4_K, &[4, 256]),
    ];
    let input = input(&model, tensors);
    let row_at = |spec: &str| row(&input, &PruneSpec::parse(spec).unwrap(), None);
    assert_eq!(bytes(&row_at("0.5"), "csr16"), None);
    assert!(bytes(&row_at("0.5"), "csr32").is_some());
    // Rows of 65,537 do not divide by 4: nothing is saved.
    assert_eq!(bytes(&row_at("2:4"), "2:4"), Some(input.tensor_bytes()));
    let measured = row_at("measured");
    assert_eq!((bytes(&measured, "dense"), bytes(&measured, "bitmask")), (Some(input.tensor_bytes()), None));
    assert!(measured.notes.iter().any(|n| n.contains("block-quantized")));
    assert!(PruneSpec::parse("1.5").is_err() && PruneSpec::parse("NaN").is_err());
}

#[test]
fn break_even_sparsity() {
    // formulas B, table: smaller than dense above these shares of zeros (per mille), for f32, bf16 and int8.
    let table = [("bitmask", [32, 63, 126]), ("csr16", [334, 501, 667]), ("csr32", [501, 667, 801]), ("coo32", [667, 801, 889])];
    let model = ModelConfig::default();
    for (form, shares) in table {
        for (dtype, share) in [Dtype::F32, Dtype::BF16, Dtype::F8_E4M3].into_iter().zip(shares) {
            let tensors = vec![ProjectTensor::weight("w.weight", Role::Mlp, None, dtype, &[8, 64_000])];
            let input = input(&model, tensors);
            let at = |per_mille: u64| {
                let spec = PruneSpec::Share(per_mille as f64 / 1000.0);
                bytes(&row(&input, &spec, None), form).unwrap() < input.tensor_bytes()
            };
            assert!(at(share) && !at(share - 1), "{form} {dtype:?} {share}");
        }
    }
}
