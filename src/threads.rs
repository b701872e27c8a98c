//! Threads: how many there are, and work that they share.
//!
//! A container or `ulimit -u` may allow no further thread. Then there are fewer, at worst none but the caller's, which does all the
//! work by itself: slower, with the same results.

use std::sync::OnceLock;

use rayon::prelude::*;

/// So many threads can be asked for on any machine; on one with more cores, as many as those. Beyond it a slip of the keyboard would
/// have the system start threads for minutes.
const MOST: usize = 256;

/// Items of which each is cheap (a name, a shape) from which on several threads are worth their start.
pub(crate) const CHEAP: usize = 4096;

/// The variable by which users of rayon, the library of threads, say how many there are to be.
const VARIABLE: &str = "RAYON_NUM_THREADS";

/// How many threads work where `wanted` are asked for: at least 1, at most 256 or the cores of this machine if those are more. Without
/// a wish all cores, or as many of them as `RAYON_NUM_THREADS` says.
pub fn count(wanted: Option<usize>) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let told = || std::env::var(VARIABLE).ok().and_then(|n| n.parse().ok()).filter(|n| *n > 0);
    match wanted {
        Some(threads) => threads.clamp(1, MOST.max(cores)),
        None => told().map_or(cores, |threads: usize| threads.min(cores)),
    }
}

/// Threads that wait for work.
#[derive(Debug)]
pub(crate) struct Team {
    /// `None`: the caller's thread is all there is.
    pool: Option<rayon::ThreadPool>,
}

impl Team {
    /// So many threads, fewer where the system does not start as many.
    pub(crate) fn of(threads: usize, name: &'static str) -> Self {
        let pool = |threads| {
            let builder = rayon::ThreadPoolBuilder::new().num_threads(threads);
            builder.thread_name(move |index| format!("{name}-{index}")).build().ok()
        };
        let fewer = std::iter::successors(Some(threads), |threads| Some(threads / 2)).take_while(|threads| *threads > 1);
        Self { pool: fewer.into_iter().find_map(pool) }
    }

    /// The threads for what is short or seldom done, started when they are first needed and kept.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Team> = OnceLock::new();
        SHARED.get_or_init(|| Self::of(count(None), "weigh"))
    }

    /// How many threads there are.
    pub(crate) fn len(&self) -> usize {
        self.pool.as_ref().map_or(1, rayon::ThreadPool::current_num_threads)
    }

    /// Does the same on every thread; `work` is told which one it is, from 0.
    pub(crate) fn all<R: Send>(&self, work: impl Fn(usize) -> R + Sync) -> Vec<R> {
        match &self.pool {
            None => vec![work(0)],
            Some(pool) => pool.broadcast(|context| work(context.index())),
        }
    }
}

/// Does the work of every item, side by side where there are more than `alone`, and returns what came of it in the order of the items.
pub(crate) fn each<T: Sync, R: Send>(items: &[T], alone: usize, work: impl Fn(usize, &T) -> R + Sync + Send) -> Vec<R> {
    let mut done = Vec::new();
    extend(&mut done, items, alone, work);
    done
}

/// As [`each`], at the end of a list.
pub(crate) fn extend<T: Sync, R: Send>(done: &mut Vec<R>, items: &[T], alone: usize, work: impl Fn(usize, &T) -> R + Sync + Send) {
    let pool = if items.len() > alone { Team::shared().pool.as_ref() } else { None };
    match pool {
        Some(pool) => pool.install(|| done.par_extend(items.par_iter().enumerate().map(|(i, item)| work(i, item)))),
        None => done.extend(items.iter().enumerate().map(|(i, item)| work(i, item))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_bounded() {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        assert_eq!(count(Some(0)), 1);
        assert_eq!(count(Some(7)), 7);
        assert_eq!(count(Some(100_000)), MOST.max(cores));
    }

    #[test]
    fn a_team_works_with_many_with_few_and_alone() {
        for threads in [0, 1, 2, 5] {
            let team = Team::of(threads, "test");
            let mut told = team.all(|index| index);
            told.sort_unstable();
            assert_eq!(told, (0..team.len()).collect::<Vec<_>>());
            assert!(team.len() <= threads.max(1));
        }
    }

    #[test]
    fn the_order_is_that_of_the_items() {
        let items: Vec<usize> = (0..10_000).collect();
        for alone in [0, usize::MAX] {
            assert!(each(&items, alone, |index, item| index + item).iter().enumerate().all(|(i, sum)| *sum == 2 * i));
        }
        assert!(each(&[] as &[u8], 0, |_, byte| *byte).is_empty());
    }
}
