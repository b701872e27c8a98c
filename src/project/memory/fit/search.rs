//! How far something could grow, by trying: terms do not grow in straight lines.

use super::verdict::Verdict;

/// Contexts are searched up to here where the model's own maximum is not known.
pub(super) const CONTEXTS: u64 = 1 << 20;

/// Sequences are searched up to here.
pub(super) const SEQUENCES: u64 = 1 << 16;

/// The largest that surely fits, and the largest that may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Reach {
    pub(super) low: Option<u64>,
    pub(super) high: Option<u64>,
}

/// Tries multiples of `step` up to `most`, and `asked` itself, which is known to be judged `now`.
pub(super) fn reach(most: u64, step: u64, asked: u64, now: Verdict, verdict: impl Fn(u64) -> Verdict) -> Reach {
    if now == Verdict::Unknown {
        return Reach::default();
    }
    let at_least = |least: Verdict| {
        let found = largest(most, step, |n| verdict(n) >= least);
        // Between two steps.
        if now >= least && asked <= most { found.max(Some(asked)) } else { found }
    };
    let low = at_least(Verdict::Fits);
    Reach { low, high: at_least(Verdict::Tight).max(low) }
}

/// The largest multiple of `step` up to `most` that fits (or `most` itself), for what grows with it.
pub(super) fn largest(most: u64, step: u64, fits: impl Fn(u64) -> bool) -> Option<u64> {
    if fits(most) {
        return Some(most);
    }
    let (mut good, mut bad) = (0u64, most.div_ceil(step));
    while bad.saturating_sub(good) > 1 {
        let middle = good + (bad - good) / 2;
        if fits(middle.saturating_mul(step)) { good = middle } else { bad = middle }
    }
    (good > 0).then_some(good.saturating_mul(step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reach_is_a_range_in_steps_that_holds_what_was_asked_for() {
        let verdict = |n: u64| match n {
            0..=1000 => Verdict::Fits,
            1001..=3000 => Verdict::Tight,
            _ => Verdict::No,
        };
        let of = |most, asked| reach(most, 256, asked, verdict(asked), verdict);
        assert_eq!(of(10_000, 100), Reach { low: Some(768), high: Some(2816) });
        assert_eq!(of(10_000, 1000), Reach { low: Some(1000), high: Some(2816) });
        assert_eq!(of(10_000, 2999), Reach { low: Some(768), high: Some(2999) });
        assert_eq!(of(10_000, 9000), Reach { low: Some(768), high: Some(2816) });
        // The model's own maximum ends it, whatever is asked for.
        assert_eq!(of(900, 950), Reach { low: Some(900), high: Some(900) });
        assert_eq!(reach(10, 1, 1, Verdict::Unknown, |_| Verdict::Fits), Reach::default());
        assert_eq!(reach(10, 1, 1, Verdict::No, |_| Verdict::No), Reach::default());
    }
}
