//! What pruning is asked for: zeros to be stored in some form, or parts to be cut away.

use super::cut::Cut;
use crate::error::{Error, ErrorKind, Result};

/// A pruning as the user asks for it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PruneSpec {
    /// The zeros that are there.
    Measured,
    /// This share of every linear layer.
    Share(f64),
    /// N:M: at most `keep` of every `of` values along a row of every linear layer.
    Pattern {
        /// Values kept of a group.
        keep: u64,
        /// Values in a group.
        of: u64,
    },
    /// This share of the tiles of every linear layer.
    Block {
        /// Height of a tile.
        rows: u64,
        /// Width of a tile.
        columns: u64,
        /// Share of the tiles that are zero.
        share: f64,
    },
    /// Parts cut away, so that the matrices become smaller.
    Structured(Cut),
}

/// N:M patterns whose bytes are projected.
const PATTERNS: &[(u64, u64, &str)] = &[(2, 4, "2:4"), (1, 4, "1:4"), (4, 8, "4:8"), (1, 2, "1:2"), (2, 8, "2:8"), (8, 16, "8:16")];

impl PruneSpec {
    /// Reads specs separated by commas. A student's `hidden:768` belongs to the part before it.
    ///
    /// # Errors
    /// As [`PruneSpec::parse`].
    pub fn parse_list(text: &str) -> Result<Vec<Self>> {
        let mut parts: Vec<String> = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let continues = part.contains(':') && !part.contains('=') && part.starts_with(|c: char| c.is_ascii_alphabetic());
            match parts.last_mut().filter(|last| continues && last.contains("student=")) {
                Some(last) => {
                    last.push(',');
                    last.push_str(part);
                }
                None => parts.push(part.to_owned()),
            }
        }
        parts.iter().map(|part| Self::parse(part)).collect()
    }

    /// Reads `measured`, `0.5`, `50%`, `2:4`, `block=16x16:0.7`, or a [`Cut`].
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        if text == "measured" {
            return Ok(Self::Measured);
        }
        if let Some(&(keep, of, _)) = PATTERNS.iter().find(|(.., name)| *name == text) {
            return Ok(Self::Pattern { keep, of });
        }
        let spec = match text.strip_prefix("block=") {
            Some(block) => parse_block(block),
            None if text.contains('=') => return Cut::parse(text).map(Self::Structured),
            None => parse_share(text).map(Self::Share),
        };
        spec.ok_or_else(|| {
            Error::new(ErrorKind::Usage, format!("`{}` is no pruning that is projected", crate::text::escape(text))).help(
                "write a share of zeros (0.5, 50%), a pattern (2:4, 1:4, 4:8), block=16x16:0.7, measured, or a cut: layers=8, \
                 heads=4, ffn=25%, hidden=2048, student=layers:12,hidden:768",
            )
        })
    }

    /// Returns its name in reports.
    pub fn name(self) -> String {
        match self {
            Self::Measured => "measured".to_owned(),
            Self::Share(s) => format!("{s}"),
            Self::Pattern { keep, of } => format!("{keep}:{of}"),
            Self::Block { rows, columns, share } => format!("block={rows}x{columns}:{share}"),
            Self::Structured(cut) => cut.to_string(),
        }
    }

    /// Share of zeros asked for, in the matrices that are pruned.
    pub(super) fn target(self) -> Option<f64> {
        match self {
            Self::Measured | Self::Structured(_) => None,
            Self::Share(share) | Self::Block { share, .. } => Some(share),
            Self::Pattern { keep, of } => Some(1.0 - keep as f64 / of as f64),
        }
    }

    /// The pattern's form; that of 2:4 where no pattern is asked for.
    pub(super) fn pattern_form(self) -> &'static str {
        match self {
            Self::Pattern { keep, of } => PATTERNS.iter().find(|p| (p.0, p.1) == (keep, of)).map_or("N:M", |p| p.2),
            _ => "2:4",
        }
    }
}

fn parse_share(text: &str) -> Option<f64> {
    let share = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().ok().map(|p| p / 100.0),
        None => text.parse().ok(),
    };
    share.filter(|s| (0.0..=1.0).contains(s))
}

fn parse_block(text: &str) -> Option<PruneSpec> {
    let (tile, share) = text.split_once(':')?;
    let (rows, columns) = tile.split_once('x')?;
    let side = |s: &str| s.parse::<u64>().ok().filter(|n| (1..=65_536).contains(n));
    Some(PruneSpec::Block { rows: side(rows)?, columns: side(columns)?, share: parse_share(share)? })
}
