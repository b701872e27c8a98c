//! What of a device may be used: an engine's share of it, and what is set aside for others.

use std::fmt;

use serde::{Serialize, Serializer};

use super::budget::{Budget, Memory};
use crate::error::{Error, ErrorKind, Result};
use crate::units::Bytes;

/// A share of a device above 0 and up to 1, in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

const WHOLE: u32 = 1_000_000;

impl Share {
    /// A share given in millionths.
    pub(in crate::project::memory) const fn of_millionths(n: u32) -> Self {
        Self(n)
    }

    /// Reads a share as it is typed: `0.92`.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for what is no number above 0 and up to 1.
    pub fn parse(text: &str) -> Result<Self> {
        let share = text.trim().parse::<f64>().ok().filter(|x| *x > 0.0 && *x <= 1.0);
        let millionths = share.map(|x| (x * f64::from(WHOLE)).round() as u32).filter(|&n| n > 0);
        millionths.map(Self).ok_or_else(|| {
            Error::new(ErrorKind::Usage, format!("`{}` is no share of a device", crate::text::escape(text)))
                .help("write a number above 0 and up to 1, as 0.9")
        })
    }

    /// This share of `bytes`, rounded up as vLLM does (`math.ceil`, `request_memory` of `v1/worker/utils.py`).
    pub fn of(self, bytes: u64) -> u64 {
        u64::try_from((u128::from(bytes) * u128::from(self.0)).div_ceil(u128::from(WHOLE))).unwrap_or(bytes)
    }

    /// The share as a number above 0 and up to 1.
    pub fn value(self) -> f64 {
        f64::from(self.0) / f64::from(WHOLE)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.value())
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.value())
    }
}

/// What was asked for about the memory that is there; `None` takes the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Share of a device that an engine which takes a share may take.
    pub utilization: Option<Share>,
    /// Bytes of a device that others hold or are to keep.
    pub reserve: Option<u64>,
    /// Bytes of the host's memory; `None` where they are not known.
    pub ram: Option<u64>,
}

/// How much of a device an engine takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Takes {
    /// The share that it takes at most, where it has such a rule.
    pub share: Option<Share>,
    /// What it leaves free where nothing else is asked for, in bytes.
    pub reserve: u64,
    /// The rule in its own words.
    pub rule: &'static str,
}

/// The bytes of one device of a budget that a run may use, and why not all of them.
pub(super) fn usable(budget: &Budget, takes: &Takes, limits: &Limits) -> (u64, Option<String>) {
    if budget.memory == Memory::Total {
        return (budget.bytes, None);
    }
    let reserve = limits.reserve.unwrap_or(takes.reserve);
    let left = budget.bytes.saturating_sub(reserve);
    let share = takes.share.filter(|_| budget.memory == Memory::Device).map(|share| limits.utilization.unwrap_or(share));
    if let Some(share) = share {
        let taken = share.of(budget.bytes);
        let text = if taken <= left {
            format!("usable: {share} of a device ({})", takes.rule)
        } else {
            format!(
                "usable: what {} set aside leaves, as it starts only where its share, {share}, is free",
                Bytes(reserve).binary()
            )
        };
        return (taken.min(left), (share.0 < WHOLE || taken > left).then_some(text));
    }
    let set_aside = Bytes(reserve).binary();
    let text = match limits.reserve {
        Some(0) => None,
        Some(_) => Some(format!("usable: all but {set_aside} (--reserve)")),
        None => (reserve > 0).then(|| format!("usable: all but {set_aside} ({})", takes.rule)),
    };
    (left, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_exact_and_bounded() {
        assert_eq!(Share::parse("0.92").unwrap().of(24 << 30), 23_708_219_474);
        assert_eq!((Share::parse("1").unwrap().of(u64::MAX), Share::parse(" .5 ").unwrap().of(7)), (u64::MAX, 4));
        assert_eq!(Share::parse("0.92").unwrap().to_string(), "0.92");
        for text in ["0", "1.01", "-0.5", "NaN", "inf", "", "92%", "1e-9"] {
            assert!(Share::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_share_or_a_reserve_is_taken_off_whichever_leaves_less() {
        let (gib, device) = (1u64 << 30, Budget::parse("10GiB").unwrap());
        let shared = Takes { share: Some(Share::of_millionths(900_000)), ..Takes::default() };
        let reserving = Takes { reserve: gib, ..Takes::default() };
        let limits = |utilization: Option<&str>, reserve: Option<u64>| Limits {
            utilization: utilization.map(|text| Share::parse(text).unwrap()),
            reserve: reserve.map(|n| n * gib),
            ram: None,
        };
        let of = |takes, limits| usable(&device, takes, &limits).0;
        assert_eq!(of(&shared, limits(None, None)), 9 * gib);
        assert_eq!(of(&shared, limits(Some("0.5"), None)), 5 * gib);
        assert_eq!(of(&shared, limits(Some("1"), Some(3))), 7 * gib);
        assert_eq!(of(&shared, limits(Some("0.5"), Some(3))), 5 * gib);
        assert_eq!(of(&reserving, limits(Some("0.5"), None)), 9 * gib);
        assert_eq!(of(&reserving, limits(None, Some(0))), 10 * gib);
        assert_eq!(of(&reserving, limits(None, Some(11))), 0);
        // A machine's memory has no share of a device; a sum of all that is needed has nothing set aside.
        assert_eq!(usable(&Budget::machine(10 * gib), &shared, &limits(Some("0.5"), None)).0, 10 * gib);
        assert_eq!(usable(&Budget::machine(10 * gib), &reserving, &limits(None, None)).0, 9 * gib);
        assert_eq!(usable(&Budget::total(10 * gib), &reserving, &limits(None, Some(2))).0, 10 * gib);
    }
}
