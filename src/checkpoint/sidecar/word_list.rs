//! Vocabularies and merges that stand line by line in text files.

use super::tokenizer_json::Merges;
use crate::error::{Error, ErrorKind, Result};
use crate::format::Budget;

/// The place of a word, and the bookkeeping of its text.
const WORD: u64 = 48;

/// `vocab.txt`: a token a line. What is kept is drawn from the budget.
pub(super) fn word_pieces(text: &str, budget: &Budget) -> Result<Vec<Box<str>>> {
    let mut words = Vec::new();
    for line in text.lines() {
        if !budget.take(WORD + line.len() as u64) {
            let message = format!("more tokens than are kept: they need more than {} MiB of memory", budget.bytes() >> 20);
            return Err(Error::new(ErrorKind::Limit, message));
        }
        words.push(line.into());
    }
    Ok(words)
}

/// `merges.txt`: two parts a line, after a line with the version.
pub(super) fn merges(text: &str) -> Merges {
    let mut merges = Merges::default();
    for (i, line) in text.lines().enumerate() {
        if i == 0 && line.starts_with('#') {
            continue;
        }
        let mut parts = line.split_whitespace();
        if let (Some(a), Some(b), None) = (parts.next(), parts.next(), parts.next()) {
            merges.count += 1;
            merges.bytes += (a.len() + b.len() + 1) as u64;
        }
    }
    merges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_and_kept_within_the_budget() {
        assert_eq!(merges("#version: 0.2\na b\n# c\nd\ne f g\n\n"), Merges { count: 2, bytes: 6 });
        assert_eq!(word_pieces("[PAD]\na\n\nb", &Budget::new(1000)).unwrap(), ["[PAD]", "a", "", "b"].map(Box::from));
        assert_eq!(word_pieces(&"\n".repeat(100), &Budget::new(4000)).unwrap_err().kind(), ErrorKind::Limit);
    }
}
