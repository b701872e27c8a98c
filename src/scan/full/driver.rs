//! The workers of the full pass: file by file, small tensors side by side, large ones shared.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::super::input::Input;
use super::super::plan::Slicing;
use super::band::{BAND_BYTES, Band, Cut};
use super::cast::CastTarget;
use super::counter::CODES;
use super::evaluate::{binned, coded};
use super::geometry::Geometry;
use super::outcome::{FullFile, FullOutcome};
use super::pooled::Pooled;
use super::refine::Search;
use super::tensor::{Partial, Worker};
use crate::checkpoint::Role;
use crate::error::{Error, Result};
use crate::observe::Observer;
use crate::scan::{Part, ScanFile, ScanOptions};
use crate::stats::full::{FullStats, Quantiles};
use crate::threads::{self, Team};

/// Largest tensor, in bytes, that goes whole to one thread: some bands.
pub(super) const SMALL: u64 = 2 * BAND_BYTES;
/// Bands after which counters of 32 bits are emptied: far fewer elements than they can count.
pub(super) const BANDS_A_DRAIN: u32 = 1024;

/// Bytes that the full pass reads of some files: those with 32 bits and more an element are read twice and more, for exact quantiles.
/// An estimate for a progress bar.
pub fn bytes_to_read(files: &[ScanFile], part: Option<Part>) -> u64 {
    let wanted = Wanted::new(files, part);
    let of = |(f, file): (usize, &ScanFile)| -> u64 {
        let looks = |bits: Option<u32>| bits.map_or(1, |bits| u64::from(bits.div_ceil(16)));
        let cuts = wanted.tensors(f).into_iter().filter_map(|t| Cut::new(&file.tensors[t], None));
        cuts.map(|cut| cut.tensor.bytes.saturating_mul(if cut.class.is_coded() { 1 } else { looks(cut.class.key_bits()) })).sum()
    };
    files.iter().enumerate().map(of).fold(0, u64::saturating_add)
}

/// The full pass over some files. `geometry` has, per file and tensor, the matrix that the tensor is, `roles` what it is for (where that is
/// missing, other things). Of the options, `simd` plays no
/// part: the digits are the same anyway.
///
/// # Errors
/// None as a whole: files that cannot be read are reported in their [`FullFile`].
pub fn scan_full(
    files: &[ScanFile],
    geometry: &[Vec<Option<Geometry>>],
    roles: &[Vec<Role>],
    options: &ScanOptions,
    cast: Option<CastTarget>,
    observer: &dyn Observer,
) -> Result<FullOutcome> {
    let begun = Instant::now();
    let workers = Workers::new(threads::count(options.threads));
    let wanted = Wanted::new(files, options.part);
    let mut outcome = FullOutcome { cast, pooled: Some(Pooled::default()), ..FullOutcome::default() };
    for (index, file) in files.iter().enumerate() {
        let tensors = wanted.tensors(index);
        let mut found = FullFile { tensors: vec![None; file.tensors.len()], error: None };
        if !tensors.is_empty() && !outcome.interrupted {
            let none = Vec::new();
            let geometry = geometry.get(index).unwrap_or(&none);
            match Input::open(file, options.io) {
                Err(error) => found.error = Some(error),
                Ok(input) => {
                    let run = Run::new(&input, cast, observer);
                    let cuts = tensors.into_iter().filter_map(|t| {
                        let tensor = &file.tensors[t];
                        if tensor.elements == 0 {
                            found.tensors[t] = Some(Box::default());
                        }
                        let there = tensor.offset.checked_add(tensor.bytes).is_some_and(|end| end <= input.len());
                        let role = roles.get(index).and_then(|roles| roles.get(t)).copied().unwrap_or(Role::Other);
                        let mut cut = Cut::new(tensor, geometry.get(t).copied().flatten()).filter(|_| there)?;
                        cut.role = role;
                        Some((t, cut))
                    });
                    let cuts: Vec<(usize, Cut)> = cuts.collect();
                    for (t, stats) in run.tensors(&workers, &cuts) {
                        found.tensors[t] = Some(Box::new(stats));
                    }
                    outcome.interrupted |= observer.cancelled() && run.is_stopped();
                    outcome.bytes_read += run.bytes.load(Ordering::Relaxed);
                    found.error = run.error();
                    if let (Some(all), None) = (&mut outcome.pooled, &found.error) {
                        all.merge(run.pooled.into_inner().unwrap_or_else(PoisonError::into_inner));
                    }
                }
            }
            if found.error.is_some() {
                found.tensors.iter_mut().for_each(|tensor| *tensor = None);
            }
        }
        outcome.files.push(found);
    }
    outcome.seconds = begun.elapsed().as_secs_f64();
    Ok(outcome)
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a worker that panicked left is never a broken structure; its panic is passed on.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Which tensors belong to this part: those that begin in its share of the bytes.
struct Wanted<'a> {
    files: &'a [ScanFile],
    /// Bytes of weights before each file.
    before: Vec<u128>,
    part: std::ops::Range<u128>,
}

impl<'a> Wanted<'a> {
    fn new(files: &'a [ScanFile], part: Option<Part>) -> Self {
        let mut total = 0;
        let mut before = Vec::new();
        for file in files {
            before.push(total);
            total += Self::scannable(file).map(|(_, bytes)| u128::from(bytes)).sum::<u128>();
        }
        let part = part.map_or(0..u128::MAX, |part| {
            let (index, count) = (u128::from(part.index), u128::from(part.count.max(1)));
            // The last part takes what begins at the very end too: tensors without bytes.
            let end = if index == count { u128::MAX } else { total * index / count };
            total * index.saturating_sub(1) / count..end
        });
        Self { files, before, part }
    }

    fn scannable(file: &ScanFile) -> impl Iterator<Item = (usize, u64)> + '_ {
        let tensors = file.tensors.iter().enumerate();
        tensors.filter(|(_, tensor)| Slicing::in_file(file, tensor).is_ok()).map(|(t, tensor)| (t, tensor.bytes))
    }

    fn tensors(&self, file: usize) -> Vec<usize> {
        let mut before = self.before[file];
        let mut found = Vec::new();
        for (t, bytes) in Self::scannable(&self.files[file]) {
            if self.part.contains(&before) {
                found.push(t);
            }
            before += u128::from(bytes);
        }
        found
    }
}

/// The threads, and what each keeps.
pub(super) struct Workers {
    team: Team,
    workers: Vec<Mutex<Worker>>,
}

impl Workers {
    pub(super) fn new(threads: usize) -> Self {
        let team = Team::of(threads, "full");
        Self { workers: (0..team.len()).map(|_| Mutex::new(Worker::new())).collect(), team }
    }

    /// Runs the same on every thread.
    pub(super) fn all<R: Send>(&self, work: impl Fn(&mut Worker) -> R + Sync) -> Vec<R> {
        self.team.all(|index| work(&mut lock(&self.workers[index])))
    }
}

/// The work on one file.
pub(super) struct Run<'a> {
    input: &'a Input,
    cast: Option<CastTarget>,
    observer: &'a dyn Observer,
    stop: AtomicBool,
    error: Mutex<Option<Error>>,
    bytes: AtomicU64,
    pooled: Mutex<Pooled>,
}

impl<'a> Run<'a> {
    pub(super) fn new(input: &'a Input, cast: Option<CastTarget>, observer: &'a dyn Observer) -> Self {
        Self {
            input,
            cast,
            observer,
            stop: AtomicBool::new(false),
            error: Mutex::new(None),
            bytes: AtomicU64::new(0),
            pooled: Mutex::default(),
        }
    }

    /// Whether it was stopped, by an error or by the observer.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Why it failed; looks at the file once more.
    pub(super) fn error(&self) -> Option<Error> {
        lock(&self.error).take().or_else(|| self.input.verify().err())
    }

    fn tensors(&self, workers: &Workers, cuts: &[(usize, Cut)]) -> Vec<(usize, FullStats)> {
        let (mut small, large): (Vec<&(usize, Cut)>, Vec<_>) = cuts.iter().partition(|(_, cut)| cut.tensor.bytes <= SMALL);
        small.sort_by_key(|(_, cut)| cut.tensor.offset);
        let next = AtomicUsize::new(0);
        let done = workers.all(|worker| {
            let mut done = Vec::new();
            while let Some((t, cut)) = small.get(next.fetch_add(1, Ordering::Relaxed)) {
                match self.small(worker, cut) {
                    Some(stats) => done.push((*t, stats)),
                    None => break,
                }
            }
            done
        });
        let mut done: Vec<(usize, FullStats)> = done.into_iter().flatten().collect();
        for (t, cut) in large {
            match self.large(workers, cut) {
                Some(stats) => done.push((*t, stats)),
                None => break,
            }
        }
        done
    }

    /// Reads a band and hands it to `visit`; false after a stop or an error.
    fn read(&self, band: &Band, buffer: &mut Vec<u8>, gathered: &mut Vec<u8>, visit: &mut dyn FnMut(&[u8])) -> bool {
        if self.stop.load(Ordering::Relaxed) || self.observer.cancelled() {
            self.stop.store(true, Ordering::Relaxed);
            return false;
        }
        let read = if band.is_one_piece() {
            self.input.with_bytes(band.offset, band.offset + band.bytes(), buffer, visit).map(|_| ())
        } else {
            gathered.clear();
            let rows = (0..band.place.rows as u64).map(|row| band.offset + row * band.stride);
            let all = rows.into_iter().try_for_each(|start| {
                self.input
                    .with_bytes(start, start + band.row_bytes, buffer, &mut |bytes| gathered.extend_from_slice(bytes))
                    .map(|_| ())
            });
            all.map(|()| visit(gathered))
        };
        if let Err(error) = read {
            lock(&self.error).get_or_insert(error);
            self.stop.store(true, Ordering::Relaxed);
            return false;
        }
        self.bytes.fetch_add(band.bytes(), Ordering::Relaxed);
        self.observer.advance(band.bytes());
        true
    }

    /// Reads a band as [`Run::read`] does, into the buffers of a worker.
    pub(super) fn show(&self, worker: &mut Worker, band: &Band, mut visit: impl FnMut(&mut Worker, &[u8])) -> bool {
        let (mut buffer, mut gathered) = (std::mem::take(&mut worker.buffer), std::mem::take(&mut worker.gathered));
        let read = self.read(band, &mut buffer, &mut gathered, &mut |bytes| visit(worker, bytes));
        (worker.buffer, worker.gathered) = (buffer, gathered);
        read
    }

    fn count_band(&self, worker: &mut Worker, cut: &Cut, band: &Band, partial: &mut Partial) -> bool {
        self.show(worker, band, |worker, bytes| worker.count_band(cut, band, bytes, self.cast, partial))
    }

    fn refine_band(&self, worker: &mut Worker, cut: &Cut, search: &Search, index: u64, mut take: impl FnMut(u64)) -> bool {
        let Some(bits) = cut.class.key_bits() else { return true };
        let filter = search.filter(bits);
        self.show(worker, &cut.band(index), |worker, bytes| worker.keys(cut, bytes, &filter, search, &mut take))
    }

    /// A tensor on one thread.
    fn small(&self, worker: &mut Worker, cut: &Cut) -> Option<FullStats> {
        let mut partial = Partial::new(cut);
        let whole = (0..cut.bands()).all(|index| self.count_band(worker, cut, &cut.band(index), &mut partial));
        let counts = worker.counter.take(if cut.class.is_coded() { cut.class.codes() } else { CODES });
        if !whole {
            return None;
        }
        let mut quantiles = None;
        if let Some(mut search) = Search::new(&cut.class, &counts).filter(|_| !cut.class.is_coded()) {
            let mut keys = Vec::new();
            if !(0..cut.bands()).all(|index| self.refine_band(worker, cut, &search, index, |key| keys.push(key))) {
                return None;
            }
            search.pick(keys);
            quantiles = Some(search.quantiles(&cut.class));
        }
        Some(self.finish(cut, partial, &counts, quantiles))
    }

    /// A tensor on all threads.
    fn large(&self, workers: &Workers, cut: &Cut) -> Option<FullStats> {
        let next = AtomicU64::new(0);
        let totals = Mutex::new(vec![0u64; CODES].into_boxed_slice());
        let drain = |worker: &mut Worker| {
            if let Ok(totals) = (&mut **lock(&totals)).try_into() {
                worker.counter.drain(totals);
            }
        };
        let partials = workers.all(|worker| {
            let mut partial = Partial::new(cut);
            let mut bands = 0;
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= cut.bands() || !self.count_band(worker, cut, &cut.band(index), &mut partial) {
                    break;
                }
                bands += 1;
                if bands % BANDS_A_DRAIN == 0 {
                    drain(worker);
                }
            }
            drain(worker);
            partial
        });
        if self.is_stopped() {
            return None;
        }
        let partial = partials.into_iter().reduce(|mut all, one| {
            all.merge(one);
            all
        })?;
        let totals = totals.into_inner().unwrap_or_else(PoisonError::into_inner);
        let counts: Vec<(u16, u64)> =
            totals.iter().enumerate().filter(|(_, n)| **n > 0).map(|(code, n)| (code as u16, *n)).collect();
        drop(totals);
        let quantiles = if cut.class.is_coded() { None } else { self.refine(workers, cut, &counts)? };
        Some(self.finish(cut, partial, &counts, quantiles))
    }

    /// Further passes over a large tensor until its quantiles are exact. The outer `None` after a stop, the inner where nothing is finite.
    #[allow(clippy::option_option)]
    fn refine(&self, workers: &Workers, cut: &Cut, counts: &[(u16, u64)]) -> Option<Option<Quantiles>> {
        let Some(mut search) = Search::new(&cut.class, counts) else { return Some(None) };
        while !search.is_done() {
            let next = AtomicU64::new(0);
            let bands = || std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)).filter(|index| *index < cut.bands()));
            if search.is_short() {
                let keys = workers.all(|worker| {
                    let mut keys = Vec::new();
                    let _ = bands().all(|index| self.refine_band(worker, cut, &search, index, |key| keys.push(key)));
                    keys
                });
                search.pick(keys.into_iter().flatten().collect());
            } else {
                let counters = workers.all(|worker| {
                    let mut counters = search.counters();
                    let _ =
                        bands().all(|index| self.refine_band(worker, cut, &search, index, |key| search.count(key, &mut counters)));
                    counters
                });
                let sum = counters.into_iter().reduce(|mut all, one| {
                    all.iter_mut().zip(one).for_each(|(a, b)| *a += b);
                    all
                })?;
                search.narrow(&sum);
            }
            if self.is_stopped() {
                return None;
            }
        }
        Some(Some(search.quantiles(&cut.class)))
    }

    fn finish(&self, cut: &Cut, mut partial: Partial, counts: &[(u16, u64)], quantiles: Option<Quantiles>) -> FullStats {
        let class = &cut.class;
        lock(&self.pooled).add(cut.role, class, counts);
        let mut stats = if class.is_coded() {
            coded(class, counts, cut.tensor.bytes, self.cast)
        } else {
            let binned = binned(class, counts, partial.zeros, cut.tensor.bytes);
            FullStats { quantiles, ..binned }
        };
        stats.elements = cut.tensor.elements;
        stats.first_nan = partial.first_nan;
        stats.first_inf = partial.first_inf;
        if class.key_bits().is_none() {
            stats.subnormals = None;
        }
        if class.dtype == crate::dtype::Dtype::F32 {
            stats.narrower = Some(partial.narrower);
        }
        if !partial.losses.is_empty() {
            stats.cast = Some(partial.loss());
        }
        let sparsity = stats.zeros as f64 / stats.elements.max(1) as f64;
        stats.structure = partial.gather.map(|gather| gather.finish(sparsity));
        stats
    }
}
