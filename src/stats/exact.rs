//! f64 in JSON without losing a bit: the sixteen hexadecimal digits of its bits. Decimal text would need a reader that rounds
//! correctly, and has no infinities.

use serde::{Deserialize, Deserializer, Serializer};

pub(super) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{:016x}", value.to_bits()))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
    if text.len() != 16 {
        return Err(serde::de::Error::custom("sixteen hexadecimal digits were expected"));
    }
    u64::from_str_radix(&text, 16).map(f64::from_bits).map_err(serde::de::Error::custom)
}
