//! What file names tell of weight sets whose values are not the same, or were not compared.

/// Pieces of names that say how weights are stored, not which they are. Those of llama.cpp's types are told by [`is_ggml_type`].
const FORMS: [&str; 42] = [
    "fp32",
    "fp16",
    "bf16",
    "fp8",
    "fp4",
    "nf4",
    "f32",
    "f16",
    "f8",
    "int8",
    "int4",
    "i8",
    "i4",
    "e4m3",
    "e4m3fn",
    "e5m2",
    "8bit",
    "4bit",
    "3bit",
    "2bit",
    "bit",
    "scaled",
    "quant",
    "quantized",
    "gptq",
    "awq",
    "exl2",
    "exl3",
    "bnb",
    "hqq",
    "gguf",
    "ggml",
    "mlx",
    "mxfp4",
    "nvfp4",
    "w8a8",
    "w4a16",
    "w8a16",
    "imat",
    "imatrix",
    "i1",
    "ud",
];

/// Pieces of a name in lower case: at every character that is no letter or digit, and before a capital after a small letter.
fn pieces(name: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut before = ' ';
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && before.is_lowercase()) {
            pieces.push(String::new());
        }
        if let Some(last) = pieces.last_mut().filter(|_| c.is_alphanumeric()) {
            last.extend(c.to_lowercase());
        }
        before = c;
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// The pieces of a name that say which weights these are: without those of their form. `x-Q4_K_M` and `x-Q8_0` have the same, and so
/// have `x_bf16` and `x_fp8_scaled`.
pub(super) fn own_pieces(name: &str) -> Vec<String> {
    let mut own = Vec::new();
    let mut of_type = false;
    for piece in pieces(name) {
        // `Q4_K_M` and `IQ2_XXS` come in two or three pieces.
        of_type = is_ggml_type(&piece)
            || (of_type && matches!(piece.as_str(), "k" | "s" | "m" | "l" | "xl" | "xs" | "xxs" | "nl" | "0" | "1"));
        if !of_type && !FORMS.contains(&piece.as_str()) {
            own.push(piece);
        }
    }
    own
}

/// `q4`, `iq2`, `tq1`: how llama.cpp's types begin.
fn is_ggml_type(piece: &str) -> bool {
    let digits = piece.strip_prefix("iq").or_else(|| piece.strip_prefix("tq")).or_else(|| piece.strip_prefix('q'));
    digits.is_some_and(|digits| matches!(digits, "1" | "2" | "3" | "4" | "5" | "6" | "8"))
}

/// Whether these are the own pieces of the names of the two experts of one pipeline, of which one works at high noise and one at low: Wan 2.2
/// (`wan2.2_t2v_high_noise_14B`, `Wan2.2-T2V-A14B-HighNoise`, `Wan2_2-T2V-A14B-HIGH`). Both are loaded, one after the other.
pub(super) fn are_experts(a: &[String], b: &[String]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut differing = a.iter().zip(b).enumerate().filter(|(_, (x, y))| x != y);
    let (Some((at, (x, y))), None) = (differing.next(), differing.next()) else { return false };
    let pair = |high: &str, low: &str| (x == high && y == low) || (x == low && y == high);
    let noise = a.get(at + 1).is_some_and(|next| next == "noise");
    pair("highnoise", "lownoise") || (pair("high", "low") && (noise || a.iter().any(|piece| piece.starts_with("wan"))))
}

#[cfg(test)]
mod tests {
    use super::{are_experts, own_pieces};

    #[test]
    fn forms_of_one_name() {
        for (a, b, one) in [
            ("toy-Q4_K_M", "toy-Q8_0", true),
            ("toy-IQ2_XXS", "toy.i1-Q6_K", true),
            ("toy", "toy-F16", true),
            ("wan2.2_i2v_high_noise_14B_bf16", "wan2.2_i2v_high_noise_14B_fp8_scaled", true),
            ("wan2.2_i2v_high_noise_14B_bf16", "wan2.2_i2v_low_noise_14B_fp8_scaled", false),
            ("Qwen2.5-1.5B", "Qwen2.5-0.5B", false),
            ("Alpha", "alpha", true),
            ("model-1", "model-2", false),
            ("size-M", "size-L", false),
        ] {
            assert_eq!(own_pieces(a) == own_pieces(b), one, "{a} {b}");
        }
    }

    #[test]
    fn experts_of_a_pipeline() {
        for (a, b, experts) in [
            ("wan2.2_i2v_high_noise_14B_bf16", "wan2.2_i2v_low_noise_14B_fp8_scaled", true),
            ("Wan2.2-T2V-A14B-LowNoise-Q4_K_M", "Wan2.2-T2V-A14B-HighNoise-Q8_0", true),
            ("Wan2_2-I2V-A14B-HIGH_fp8_e4m3fn_scaled_KJ", "Wan2_2-I2V-A14B-LOW_fp8_e4m3fn_scaled_KJ", true),
            ("highnoise", "lownoise", true),
            ("lr-high", "lr-low", false),
            ("wan2.2_i2v_high_noise_14B", "wan2.2_t2v_low_noise_14B", false),
            ("wan2.2_high_noise", "wan2.2_high_noise", false),
        ] {
            assert_eq!(are_experts(&own_pieces(a), &own_pieces(b)), experts, "{a} {b}");
        }
    }
}
