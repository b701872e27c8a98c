//! Thresholds of magnitude pruning, exact: one for each tensor and one for all of them together, at given shares.
//!
//! Magnitudes are the 31 bits of an F32 without its sign, which are ordered as the magnitudes are; every value of a shorter float is an
//! F32, and F64 is rounded to one. The first pass counts the codes of the shorter types and the upper 16 bits of the longer ones.
//! Where there are longer types a second pass counts the lower 15 bits in those of the bins that hold a threshold. A last pass counts
//! what the threshold for all takes of each tensor; it is spared where the codes of the first are still there.

mod tables;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::super::input::Input;
use super::band::{Band, Cut};
use super::class::{ElementClass, NumberKind, Storage};
use super::counter::CODES;
use super::driver::{Run, SMALL, Workers, lock};
use super::tensor::Worker;
use crate::error::Result;
use crate::observe::Observer;
use crate::scan::{ScanFile, ScanOptions};
use crate::stats::magnitude::{Cutoff, TensorCutoffs, rank};
use crate::threads;
use tables::{BIN, Bins, Found, INFINITE, OPEN, Tally, Within, keys_of, locate, within};

/// Shares that are measured at once: each takes tables of its own.
pub const MAX_SHARES: usize = 16;
/// Counted codes that are kept from the first pass, of all tensors together: 32 MiB.
const KEPT: usize = 1 << 21;

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct CutoffOutcome {
    /// For all tensors together, at each share; `None` where no weight is finite.
    pub global: Option<Vec<Cutoff>>,
    /// By file and tensor of the input; `None` for those that were not wanted, hold no floats, or lie beyond the end of their file.
    pub files: Vec<Vec<Option<TensorCutoffs>>>,
}

/// Thresholds of the tensors that `wanted` (by file and tensor) names, at up to [`MAX_SHARES`] shares; further ones are left out.
/// `None` where the observer stopped it. Block quants and integers are left out.
///
/// # Errors
/// [`ErrorKind::Io`](crate::error::ErrorKind::Io) and [`ErrorKind::Changed`](crate::error::ErrorKind::Changed) for a file that cannot be
/// read or is no longer what it was.
pub fn cutoffs(
    files: &[ScanFile],
    wanted: &[Vec<bool>],
    shares: &[f64],
    options: &ScanOptions,
    observer: &dyn Observer,
) -> Result<Option<CutoffOutcome>> {
    let shares = &shares[..shares.len().min(MAX_SHARES)];
    let workers = Workers::new(threads::count(options.threads));
    let passes = Passes { files, candidates: candidates(files, wanted), workers, options, observer };
    let Some((first, all)) = passes.first_pass(shares)? else { return Ok(None) };
    let Some((own, global)) = passes.second_pass(&first, all, shares)? else { return Ok(None) };
    let Some(dropped) = passes.last_pass(&first, &global)? else { return Ok(None) };
    let mut outcome = CutoffOutcome { global: None, files: files.iter().map(|f| vec![None; f.tensors.len()]).collect() };
    for (((candidate, first), own), by_global) in passes.candidates.iter().zip(first).zip(own).zip(dropped) {
        let found = TensorCutoffs { finite: first.finite, own: (first.finite > 0).then_some(own), by_global };
        outcome.files[candidate.file][candidate.tensor] = Some(found);
    }
    outcome.global = (!global.is_empty()).then(|| global.iter().map(|found| found.cutoff()).collect());
    Ok(Some(outcome))
}

/// A tensor whose thresholds are sought.
struct Candidate {
    file: usize,
    tensor: usize,
    cut: Cut,
}

fn candidates(files: &[ScanFile], wanted: &[Vec<bool>]) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    for (f, (file, wanted)) in files.iter().zip(wanted).enumerate() {
        for (t, tensor) in file.tensors.iter().enumerate().filter(|(t, _)| wanted.get(*t) == Some(&true)) {
            let cut = Cut::new(tensor, None).filter(|cut| is_float(&cut.class));
            candidates.extend(cut.map(|cut| Candidate { file: f, tensor: t, cut }));
        }
    }
    candidates
}

fn is_float(class: &ElementClass) -> bool {
    class.kind == NumberKind::Float && class.dtype.is_float() && class.storage != Storage::Blocks
}

/// What the first pass knows of a tensor.
#[derive(Debug, Clone, Default)]
struct FirstPass {
    finite: u64,
    /// Thresholds of a shorter type.
    found: Vec<Found>,
    /// Thresholds of a longer type, as far as they are known.
    within: Vec<Within>,
    /// Keys and their counts, where they are kept.
    kept: Option<Vec<(u32, u64)>>,
}

/// AllTensors tensors together, as the first pass counts them.
struct AllTensors {
    /// By the upper bits of keys, of longer types.
    bins: Vec<u64>,
    /// By code, of shorter types.
    codes: Vec<(ElementClass, Vec<u64>)>,
}

/// Takes the bytes of a band into the state of a thread.
type Visit<'l, S> = dyn Fn(&mut Worker, &Cut, &Band, &[u8], &mut S) + Sync + 'l;

struct Passes<'a> {
    files: &'a [ScanFile],
    /// In the order of the files.
    candidates: Vec<Candidate>,
    workers: Workers,
    options: &'a ScanOptions,
    observer: &'a dyn Observer,
}

impl Passes<'_> {
    /// Hands every band of some tensors to `visit`: a small tensor to one thread, a large one to all. `end` takes what the threads have
    /// of a tensor. False after a stop.
    fn walk<S: Send>(
        &self,
        takes: &(dyn Fn(usize) -> bool + Sync),
        begin: &(dyn Fn(usize) -> S + Sync),
        visit: &Visit<'_, S>,
        end: &(dyn Fn(usize, Vec<S>) + Sync),
    ) -> Result<bool> {
        for (index, file) in self.files.iter().enumerate() {
            let candidates: Vec<usize> =
                (0..self.candidates.len()).filter(|&j| self.candidates[j].file == index && takes(j)).collect();
            if candidates.is_empty() {
                continue;
            }
            let input = Input::open(file, self.options.io)?;
            let run = Run::new(&input, None, self.observer);
            let show = |worker: &mut Worker, cut: &Cut, band: u64, state: &mut S| {
                let band = cut.band(band);
                run.show(worker, &band, |worker, bytes| visit(worker, cut, &band, bytes, state))
            };
            let (small, large): (Vec<usize>, Vec<usize>) =
                candidates.into_iter().partition(|&j| self.candidates[j].cut.tensor.bytes <= SMALL);
            let next = AtomicUsize::new(0);
            self.workers.all(|worker| {
                while let Some(&j) = small.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (cut, mut state) = (&self.candidates[j].cut, begin(j));
                    if !(0..cut.bands()).all(|band| show(worker, cut, band, &mut state)) {
                        break;
                    }
                    end(j, vec![state]);
                }
            });
            for j in large {
                let (cut, next) = (&self.candidates[j].cut, AtomicU64::new(0));
                let bands = || std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)).filter(|band| *band < cut.bands()));
                let states = self.workers.all(|worker| {
                    let mut state = begin(j);
                    let _ = bands().all(|band| show(worker, cut, band, &mut state));
                    state
                });
                if run.is_stopped() {
                    break;
                }
                end(j, states);
            }
            if let Some(error) = run.error() {
                return Err(error);
            }
            if run.is_stopped() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn first_pass(&self, shares: &[f64]) -> Result<Option<(Vec<FirstPass>, AllTensors)>> {
        let all = Mutex::new(AllTensors { bins: vec![0; CODES], codes: Vec::new() });
        let found = Mutex::new(vec![FirstPass::default(); self.candidates.len()]);
        let kept = AtomicUsize::new(0);
        let end = |j: usize, tallies: Vec<Tally>| {
            let (class, counts) = (&self.candidates[j].cut.class, Tally::sum(tallies));
            lock(&all).add(class, &counts);
            let mut first = FirstPass::default();
            if class.is_coded() {
                let keys = keys_of(class, counts.into_iter().map(|(code, n)| (usize::from(code), n)));
                first.finite = keys.iter().map(|(_, n)| n).sum();
                first.found = shares.iter().map(|share| locate(&keys, 0, rank(first.finite, *share))).collect();
                if kept.fetch_add(keys.len(), Ordering::Relaxed) + keys.len() <= KEPT {
                    first.kept = Some(keys);
                }
            } else {
                let bins: Vec<(u16, u64)> = counts.into_iter().filter(|(bin, _)| u32::from(*bin) < INFINITE >> OPEN).collect();
                first.finite = bins.iter().map(|(_, n)| n).sum();
                first.within = shares.iter().map(|share| within(bins.iter().copied(), rank(first.finite, *share))).collect();
            }
            lock(&found)[j] = first;
        };
        let visit = |worker: &mut Worker, cut: &Cut, band: &Band, bytes: &[u8], tally: &mut Tally| {
            worker.tally(cut, band, bytes, &mut tally.counter);
            tally.drain();
        };
        if !self.walk(&|_| true, &|_| Tally::new(), &visit, &end)? {
            return Ok(None);
        }
        let unlocked = |mutex: Mutex<Vec<FirstPass>>| mutex.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        Ok(Some((unlocked(found), all.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))))
    }

    /// The thresholds of each tensor and of all together; the latter are empty where nothing is finite.
    #[allow(clippy::type_complexity)]
    fn second_pass(&self, first: &[FirstPass], all: AllTensors, shares: &[f64]) -> Result<Option<(Vec<Vec<Cutoff>>, Vec<Found>)>> {
        let points: Vec<(u32, u64)> =
            all.codes.iter().flat_map(|(class, codes)| keys_of(class, codes.iter().copied().enumerate())).collect();
        let mut bins = all.bins;
        bins.truncate((INFINITE >> OPEN) as usize);
        points.iter().for_each(|(key, n)| bins[(key >> OPEN) as usize] += n);
        let finite: u64 = bins.iter().sum();
        let targets: Vec<Within> = if finite == 0 {
            Vec::new()
        } else {
            let counted = || bins.iter().enumerate().map(|(bin, n)| (bin as u16, *n));
            shares.iter().map(|share| within(counted(), rank(finite, *share))).collect()
        };
        let wanted = Bins::new(targets.iter().map(|t| t.bin));
        let mut table = wanted.counters();
        points.iter().for_each(|(key, n)| wanted.count(*key, *n, &mut table));
        let table = Mutex::new(table);
        let own: Vec<Vec<Cutoff>> = first.iter().map(|f| f.found.iter().map(|found| found.cutoff()).collect()).collect();
        let own = Mutex::new(own);
        let begin = |j: usize| {
            let bins = Bins::new(first[j].within.iter().map(|w| w.bin).chain(wanted.bins.iter().copied()));
            let counters = bins.counters();
            (bins, counters)
        };
        let visit = |_: &mut Worker, cut: &Cut, _: &Band, bytes: &[u8], (bins, counters): &mut (Bins, Vec<u64>)| {
            cut.class.f32_keys(bytes, |key| bins.count(key, 1, counters));
        };
        let end = |j: usize, states: Vec<(Bins, Vec<u64>)>| {
            let Some((bins, sum)) = states.into_iter().reduce(|mut all, one| {
                all.1.iter_mut().zip(one.1).for_each(|(a, b)| *a += b);
                all
            }) else {
                return;
            };
            lock(&own)[j] = first[j].within.iter().map(|within| bins.finish(within, &sum).cutoff()).collect();
            let mut table = lock(&table);
            for (slot, bin) in wanted.bins.iter().enumerate() {
                let from = bins.table(*bin, &sum);
                table[slot * BIN..].iter_mut().zip(from).for_each(|(a, b)| *a += b);
            }
        };
        if !self.walk(&|j| !first[j].within.is_empty(), &begin, &visit, &end)? {
            return Ok(None);
        }
        let table = table.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let global = targets.iter().map(|target| wanted.finish(target, &table)).collect();
        Ok(Some((own.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner), global)))
    }

    /// How many weights of each tensor the thresholds for all drop.
    fn last_pass(&self, first: &[FirstPass], global: &[Found]) -> Result<Option<Vec<Vec<u64>>>> {
        let up_to = |keys: &[(u32, u64)], limit: u32| keys.iter().take_while(|(key, _)| *key <= limit).map(|(_, n)| n).sum();
        let count = |keys: &[(u32, u64)]| -> Vec<u64> { global.iter().map(|found| up_to(keys, found.key)).collect() };
        let dropped: Vec<Vec<u64>> = first.iter().map(|f| f.kept.as_deref().map_or_else(|| vec![0; global.len()], count)).collect();
        let dropped = Mutex::new(dropped);
        let begin = |j: usize| (self.candidates[j].cut.class.is_coded().then(Tally::new), vec![0u64; global.len()]);
        let visit = |worker: &mut Worker, cut: &Cut, band: &Band, bytes: &[u8], state: &mut (Option<Tally>, Vec<u64>)| {
            if let (Some(tally), _) = state {
                worker.tally(cut, band, bytes, &mut tally.counter);
                tally.drain();
                return;
            }
            let mut keys = [0u32; 4096];
            for chunk in bytes.chunks(4096 * if cut.class.storage == Storage::Longs { 8 } else { 4 }) {
                let mut len = 0;
                cut.class.f32_keys(chunk, |key| {
                    keys[len] = key;
                    len += 1;
                });
                for (found, sum) in global.iter().zip(&mut state.1) {
                    *sum += u64::from(keys[..len].iter().map(|key| u32::from(*key <= found.key)).sum::<u32>());
                }
            }
        };
        let end = |j: usize, states: Vec<(Option<Tally>, Vec<u64>)>| {
            let (tallies, counts): (Vec<Option<Tally>>, Vec<Vec<u64>>) = states.into_iter().unzip();
            let class = &self.candidates[j].cut.class;
            let sum = if class.is_coded() {
                let counts = Tally::sum(tallies.into_iter().flatten().collect());
                count(&keys_of(class, counts.into_iter().map(|(code, n)| (usize::from(code), n))))
            } else {
                (0..global.len()).map(|i| counts.iter().map(|of_thread| of_thread[i]).sum()).collect()
            };
            lock(&dropped)[j] = sum;
        };
        let more = |j: usize| !global.is_empty() && first[j].kept.is_none();
        if !self.walk(&more, &begin, &visit, &end)? {
            return Ok(None);
        }
        Ok(Some(dropped.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)))
    }
}

impl AllTensors {
    fn add(&mut self, class: &ElementClass, counts: &[(u16, u64)]) {
        let table = if class.is_coded() {
            match self.codes.iter().position(|(known, _)| known.dtype == class.dtype) {
                Some(at) => &mut self.codes[at].1,
                None => {
                    self.codes.push((*class, vec![0; class.codes()]));
                    let last = self.codes.len() - 1;
                    &mut self.codes[last].1
                }
            }
        } else {
            &mut self.bins
        };
        counts.iter().for_each(|(code, n)| table[usize::from(*code)] += n);
    }
}

/// Bytes that are read for thresholds, at most; an estimate for a progress bar.
pub fn bytes_to_read(files: &[ScanFile], wanted: &[Vec<bool>]) -> u64 {
    let of = |candidate: &Candidate| candidate.cut.tensor.bytes.saturating_mul(if candidate.cut.class.is_coded() { 2 } else { 3 });
    candidates(files, wanted).iter().map(of).fold(0, u64::saturating_add)
}
