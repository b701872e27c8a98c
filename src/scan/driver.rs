//! The workers: each takes a job, reads it, and puts its figures where they belong.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::error::Result;
use crate::observe::Observer;
use crate::stats::{LeafStats, PartNode, TensorFold, TensorStats, Tree};
use crate::threads::{self, Team};

use super::input::Input;
use super::kernel::LeafKernel;
use super::plan::{Cursor, Job, Next, Slicing, Unit};
use super::simd::Level;
use super::{FileOutcome, IoUsed, ScanFile, ScanOptions, ScanOutcome, Skip, TensorOutcome};

/// Scans the tensors of some files.
///
/// Files that cannot be opened or read, or that change meanwhile, are reported in their [`FileOutcome`]; the others keep their
/// figures. After a stop by the observer, tensors that were wholly read have their figures.
///
/// # Errors
/// [`ErrorKind::Usage`](crate::error::ErrorKind::Usage) when the processor lacks the instructions chosen.
pub fn scan(files: &[ScanFile], options: &ScanOptions, observer: &dyn Observer) -> Result<ScanOutcome> {
    let begun = Instant::now();
    let level = Level::choose(options.simd)?;
    let team = Team::of(threads::count(options.threads), "scan");
    let shared = Shared {
        files,
        options,
        observer,
        level,
        state: Mutex::new(State {
            cursor: Cursor::new(files, options.part),
            progress: files.iter().map(|file| Progress::new(file, options.part.is_some())).collect(),
            bytes_read: 0,
            io: IoUsed::Nothing,
            stopped: false,
        }),
    };
    team.all(|_| shared.work());
    let mut state = shared.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    // Files that a stop left open.
    for progress in &mut state.progress {
        if let Some(Err(error)) = progress.input.take().map(|input| input.verify()) {
            progress.outcome.error.get_or_insert(error);
        }
    }
    let part = options.part.is_some();
    let outcomes: Vec<FileOutcome> =
        state.progress.into_iter().zip(files).map(|(progress, file)| progress.finish(file, state.stopped)).collect();
    let whole = |file: &FileOutcome| {
        let done = |t: &TensorOutcome| t.stats.is_some() || (part && t.skipped == Some(Skip::OtherPart));
        file.error.is_none() && file.tensors.iter().all(done)
    };
    Ok(ScanOutcome {
        complete: !state.stopped && outcomes.iter().all(whole),
        files: outcomes,
        bytes_read: state.bytes_read,
        seconds: begun.elapsed().as_secs_f64(),
        threads: team.len(),
        io: state.io,
        interrupted: state.stopped,
    })
}

struct Shared<'a> {
    files: &'a [ScanFile],
    options: &'a ScanOptions,
    observer: &'a dyn Observer,
    level: Level,
    state: Mutex<State<'a>>,
}

/// What the workers share. The lock is taken twice per job, which is about a MiB.
struct State<'a> {
    cursor: Cursor<'a>,
    progress: Vec<Progress>,
    bytes_read: u64,
    io: IoUsed,
    stopped: bool,
}

/// What is known so far of one file.
struct Progress {
    input: Option<Arc<Input>>,
    /// Jobs handed out and not yet brought back; whether the cursor has left the file.
    outstanding: usize,
    handed_out: bool,
    folds: BTreeMap<usize, TensorFold>,
    outcome: FileOutcome,
    /// Whether nodes are kept: a scan of the whole keeps none, a file may have a million tensors.
    part: bool,
}

impl Progress {
    fn new(file: &ScanFile, part: bool) -> Self {
        let start = |tensor: &super::ScanTensor| match Slicing::in_file(file, tensor) {
            Err(skip) => TensorOutcome { skipped: Some(skip), ..TensorOutcome::default() },
            Ok(_) if tensor.elements == 0 => TensorOutcome { stats: Some(TensorStats::default()), ..TensorOutcome::default() },
            Ok(_) => TensorOutcome::default(),
        };
        let tensors = file.tensors.iter().map(start).collect();
        Self {
            input: None,
            outstanding: 0,
            handed_out: false,
            folds: BTreeMap::new(),
            outcome: FileOutcome { tensors, ..FileOutcome::default() },
            part,
        }
    }

    /// Puts the figures of a unit in their tensor.
    fn insert(&mut self, tensor: &super::ScanTensor, unit: &Unit, stats: TensorStats) {
        let Ok(slicing) = Slicing::of(tensor) else { return };
        let fold = self.folds.entry(unit.tensor).or_insert_with(|| TensorFold::new(slicing.slices, slicing.leaves_per_slice));
        fold.insert(PartNode { slice: unit.slice, level: unit.level, index: unit.index, stats });
        if fold.stats().is_some()
            && let Some(fold) = self.folds.remove(&unit.tensor)
        {
            let outcome = &mut self.outcome.tensors[unit.tensor];
            outcome.stats = fold.stats();
            if self.part {
                outcome.nodes = fold.nodes();
            }
            outcome.slices = fold.into_slices();
        }
    }

    fn finish(mut self, file: &ScanFile, stopped: bool) -> FileOutcome {
        if self.part {
            for (index, fold) in self.folds {
                self.outcome.tensors[index].nodes = fold.nodes();
            }
        }
        let failed = self.outcome.error.is_some();
        for (outcome, tensor) in self.outcome.tensors.iter_mut().zip(&file.tensors) {
            if failed && tensor.bytes != 0 && outcome.skipped.is_none() {
                *outcome = TensorOutcome { skipped: Some(Skip::FileFailed), ..TensorOutcome::default() };
            }
            if self.part {
                // Only the merged parts have figures, so that one part's are not taken for the whole.
                outcome.slices = Vec::new();
                if outcome.stats.take().is_some() || outcome.skipped.is_none() {
                    outcome.skipped = Some(Skip::OtherPart);
                }
            } else if outcome.stats.is_none() && outcome.skipped.is_none() {
                outcome.skipped = Some(if stopped { Skip::Interrupted } else { Skip::FileFailed });
            }
        }
        self.outcome
    }
}

impl<'a> Shared<'a> {
    fn lock(&self) -> MutexGuard<'_, State<'a>> {
        // A worker that panicked has left counts that may be short, never a broken structure; its panic is passed on.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut buffer = Vec::new();
        while let Some((job, input)) = self.take() {
            let done = self.run(&job, &input, &mut buffer);
            self.bring_back(&job, done);
            drop(input);
            self.close_finished(job.file);
        }
    }

    /// The next job with its file; `None` when there is no more, or the observer asks to stop.
    fn take(&self) -> Option<(Job, Arc<Input>)> {
        loop {
            if self.observer.cancelled() {
                self.lock().stopped = true;
            }
            let mut guard = self.lock();
            let state = &mut *guard;
            if state.stopped {
                return None;
            }
            let mut job = match state.cursor.next() {
                Next::End => return None,
                Next::FileDone(file) => {
                    state.progress[file].handed_out = true;
                    drop(guard);
                    self.close_finished(file);
                    continue;
                }
                Next::Job(job) => job,
            };
            let progress = &mut state.progress[job.file];
            if progress.input.is_none() {
                match Input::open(&self.files[job.file], self.options.io) {
                    Ok(input) => {
                        progress.outcome.len = Some(input.len());
                        progress.input = Some(Arc::new(input));
                    }
                    Err(error) => progress.outcome.error = Some(error),
                }
            }
            let Some(input) = progress.input.clone() else {
                state.cursor.skip_file(job.file);
                continue;
            };
            let tensors = &self.files[job.file].tensors;
            job.units.retain(|unit| {
                let tensor = &tensors[unit.tensor];
                let there = tensor.offset + tensor.bytes <= input.len();
                if !there {
                    progress.outcome.tensors[unit.tensor].skipped = Some(Skip::BeyondEnd);
                }
                there
            });
            if job.units.is_empty() {
                continue;
            }
            progress.outstanding += 1;
            return Some((job, input));
        }
    }

    /// Reads a job and computes its units; fewer than it has after a stop.
    fn run(&self, job: &Job, input: &Input, buffer: &mut Vec<u8>) -> Result<(Vec<TensorStats>, IoUsed)> {
        let (start, end) = job.span();
        let mut figures = Vec::with_capacity(job.units.len());
        let used = input.with_bytes(start, end, buffer, &mut |bytes| {
            for unit in &job.units {
                if self.observer.cancelled() {
                    break;
                }
                let from = usize::try_from(unit.offset - start).unwrap_or(usize::MAX);
                let Some(kernel) = LeafKernel::of(unit.dtype) else { break };
                let Some(bytes) = bytes.get(from..from.saturating_add(usize::try_from(unit.bytes).unwrap_or(usize::MAX))) else {
                    break;
                };
                figures.push(self.unit(kernel, unit, bytes));
                self.observer.advance(unit.bytes);
            }
        })?;
        Ok((figures, used))
    }

    /// The leaves of a unit, folded to its node.
    fn unit(&self, kernel: LeafKernel, unit: &Unit, bytes: &[u8]) -> TensorStats {
        let leaf_bytes = usize::try_from(unit.leaf_bytes).unwrap_or(usize::MAX);
        let mut tree = Tree::new(unit.bytes.div_ceil(unit.leaf_bytes));
        for (index, leaf) in bytes.chunks(leaf_bytes).enumerate() {
            let stats: LeafStats = kernel.leaf(leaf, self.level);
            tree.insert(0, index as u64, stats.into());
        }
        tree.root().copied().unwrap_or_default()
    }

    fn bring_back(&self, job: &Job, done: Result<(Vec<TensorStats>, IoUsed)>) {
        let mut guard = self.lock();
        let state = &mut *guard;
        let progress = &mut state.progress[job.file];
        progress.outstanding -= 1;
        match done {
            Ok((figures, used)) => {
                state.stopped |= figures.len() < job.units.len();
                state.io = state.io.and(used);
                for (unit, stats) in job.units.iter().zip(figures) {
                    state.bytes_read += unit.bytes;
                    progress.insert(&self.files[job.file].tensors[unit.tensor], unit, stats);
                }
            }
            Err(error) => {
                progress.outcome.error.get_or_insert(error);
                state.cursor.skip_file(job.file);
            }
        }
    }

    /// Closes a file that has nothing outstanding, and checks that it is still what it was.
    fn close_finished(&self, file: usize) {
        let mut state = self.lock();
        let stopped = state.stopped;
        let progress = &mut state.progress[file];
        if progress.outstanding != 0 || !(progress.handed_out || stopped) {
            return;
        }
        let Some(input) = progress.input.take() else { return };
        drop(state);
        if let Err(error) = input.verify() {
            self.lock().progress[file].outcome.error.get_or_insert(error);
        }
    }
}
