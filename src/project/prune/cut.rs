//! What is cut away, as asked for: counts say what remains, shares what goes.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};

/// How much of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// Number that remains.
    Left(u64),
    /// This share goes, in hundredths of a percent.
    Less(u64),
}

impl Amount {
    /// What remains of `n`.
    ///
    /// # Errors
    /// Nothing remains, more is asked for than is there, or the share is no whole number.
    pub(super) fn of(self, n: u64, what: &str) -> std::result::Result<u64, String> {
        match self {
            Self::Left(left) if left == 0 || left > n => Err(format!("{left} {what} cannot remain of {n}: write 1 to {n}")),
            Self::Left(left) => Ok(left),
            Self::Less(share) => {
                let left = u128::from(n) * u128::from(10_000u64.saturating_sub(share));
                match u64::try_from(left / 10_000) {
                    Ok(whole) if whole > 0 && left % 10_000 == 0 => Ok(whole),
                    Ok(whole) => {
                        Err(format!("{self} of {n} {what} is no whole number: say what remains, such as {}", whole.max(1)))
                    }
                    Err(_) => Err("the count does not fit 64 bits".to_owned()),
                }
            }
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text.strip_suffix('%') {
            None => text.parse().ok().map(Self::Left),
            Some(percent) => {
                let share = percent.parse::<f64>().ok().filter(|p| *p > 0.0 && *p < 100.0)? * 100.0;
                ((share - share.round()).abs() < 1e-6).then_some(Self::Less(share.round() as u64))
            }
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Left(left) => write!(f, "{left}"),
            Self::Less(share) => write!(f, "{}%", *share as f64 / 100.0),
        }
    }
}

/// Attention heads to remain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heads {
    /// Query heads; key/value heads go with their groups.
    Groups(Amount),
    /// Query and key/value heads.
    Both(u64, u64),
}

impl fmt::Display for Heads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Groups(amount) => write!(f, "{amount}"),
            Self::Both(query, kv) => write!(f, "{query}/{kv}"),
        }
    }
}

/// Parts to cut away: `layers=8`, `heads=4`, `heads=8/2` (query/key-value), `ffn=25%`, `hidden=2048`, several joined by `+`; or a
/// student of given layers and width, `student=layers:12,hidden:768`, whose heads and feed-forward width follow its width unless given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cut {
    /// Transformer blocks that remain.
    pub layers: Option<Amount>,
    /// Attention heads that remain.
    pub heads: Option<Heads>,
    /// Channels of the feed-forward blocks.
    pub ffn: Option<Amount>,
    /// Width of the residual stream that remains.
    pub hidden: Option<u64>,
    /// A student: heads and feed-forward width follow `hidden` where they are not given.
    pub student: bool,
}

impl Cut {
    /// Parses a cut such as `layers=24,heads=16`.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for an unknown part, a part given twice, or no number.
    pub fn parse(text: &str) -> Result<Self> {
        let mut cut = Self::default();
        let fine = match text.strip_prefix("student=") {
            Some(parts) => {
                cut.student = true;
                parts.split(',').all(|part| part.split_once(':').is_some_and(|(key, value)| cut.set(key, value)))
                    && cut.layers.is_some()
                    && cut.hidden.is_some()
            }
            None => text.split('+').all(|part| part.split_once('=').is_some_and(|(key, value)| cut.set(key, value))),
        };
        if fine {
            return Ok(cut);
        }
        Err(Error::new(ErrorKind::Usage, format!("`{}` is no cut that is projected", crate::text::escape(text))).help(
            "write what remains (layers=8, heads=4 or heads=8/2 for query/key-value, ffn=4096, hidden=2048) or what goes (ffn=25%), \
             several joined by +, or student=layers:12,hidden:768 with heads:12/4 and ffn:3072 if wanted",
        ))
    }

    fn set(&mut self, key: &str, value: &str) -> bool {
        let (key, value) = (key.trim(), value.trim());
        fn once<T>(place: &mut Option<T>, value: Option<T>) -> bool {
            let fine = place.is_none() && value.is_some();
            *place = value;
            fine
        }
        match key {
            "layers" => once(&mut self.layers, Amount::parse(value)),
            "ffn" => once(&mut self.ffn, Amount::parse(value)),
            "hidden" => once(&mut self.hidden, value.parse().ok()),
            "heads" => {
                let heads = match value.split_once('/') {
                    Some((query, kv)) => query.parse().ok().zip(kv.parse().ok()).map(|(query, kv)| Heads::Both(query, kv)),
                    None => Amount::parse(value).map(Heads::Groups),
                };
                once(&mut self.heads, heads)
            }
            _ => false,
        }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (is, and) = if self.student { (':', ",") } else { ('=', "+") };
        let parts = [
            self.layers.map(|n| format!("layers{is}{n}")),
            self.hidden.map(|n| format!("hidden{is}{n}")),
            self.heads.map(|n| format!("heads{is}{n}")),
            self.ffn.map(|n| format!("ffn{is}{n}")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        write!(f, "{}{}", if self.student { "student=" } else { "" }, parts.join(and))
    }
}
