//! How long reading the weights takes here: a sample of the files, timed, what is in the page cache apart from what is not.

use std::time::{Duration, Instant};

use weighbridge::checkpoint::{Checkpoint, CheckpointFile};
use weighbridge::error::Result;
use weighbridge::project::memory::Load;
use weighbridge::source::{FileSource, RESIDENT_STEP, Source, resident};

const STEP: u64 = RESIDENT_STEP;

/// The page cache is asked about at most so many steps: of files of more than 32 GiB in all about every nth.
const ASKED: u64 = 32 << 10;

/// At most so many steps of each kind are read: 128 MiB.
const STEPS: usize = 128;

/// And for at most so long.
const PATIENCE: Duration = Duration::from_millis(500);

/// Steps timed together: one alone is as good as noise.
const TOGETHER: usize = 8;

/// A step of a file.
#[derive(Clone, Copy)]
struct Place {
    file: usize,
    offset: u64,
}

/// What is timed as one is timed again from the cache so often.
const AGAIN: usize = 3;

/// Slowest and fastest rate seen, in bytes per second, and how many were.
type Rates = Option<(f64, f64, usize)>;

/// The range for a checkpoint's selected files; `None` where there is nothing to read. What cannot be read, or changes meanwhile, is an
/// error.
pub(crate) fn measure(checkpoint: &Checkpoint) -> Result<Option<Load>> {
    let files = checkpoint.selected_files().into_iter().map(|i| &checkpoint.files[i]);
    // Declared tensors have no file of weights.
    let files = files.filter(|file| file.path.file_name().is_none_or(|name| name != "config.json"));
    let files = files.map(CheckpointFile::open).collect::<Result<Vec<FileSource>>>()?;
    let bytes = files.iter().fold(0u64, |n, f| n.saturating_add(f.len()));
    if bytes == 0 {
        return Ok(None);
    }
    let (mut cold, mut warm, mut partly, mut unknown) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let nth = bytes.div_ceil(STEP).div_ceil(ASKED);
    // Bytes asked about, and those of them that are there.
    let mut cached = Some((0u64, 0u64));
    for (file, source) in files.iter().enumerate() {
        let Some(steps) = resident(source, nth) else {
            cached = None;
            unknown.extend((0..source.len()).step_by((STEP * nth) as usize).map(|offset| Place { file, offset }));
            continue;
        };
        for (offset, there) in steps {
            let place = Place { file, offset };
            let length = STEP.min(source.len() - offset);
            cached = cached.map(|(asked, found)| (asked + length, found + there));
            match there {
                0 => cold.push(place),
                there if there >= length => warm.push(place),
                _ => partly.push(place),
            }
        }
    }
    // What was not asked about is taken to be as the rest is.
    let cached = cached.map(|(asked, found)| (u128::from(found) * u128::from(bytes) / u128::from(asked.max(1))) as u64);
    // Where hardly a step is wholly out of the cache, those that are in it in part have to do.
    if cold.len() < 2 * TOGETHER {
        cold.append(&mut partly);
    }
    let from_disk_places = spread(&cold);
    let cold_rates = timed(&files, &from_disk_places, 1)?;
    // What was just read from the disk is in the cache now.
    let warm_rates = timed(&files, &if warm.is_empty() { from_disk_places } else { spread(&warm) }, AGAIN)?;
    let unknown_rates = timed(&files, &spread(&unknown), AGAIN)?;
    // One rate of a disk is no range: it is at best as fast as the cache.
    let cold_rates = match (cold_rates, warm_rates) {
        (Some((slow, fast, 1)), Some(warm)) => Some((slow, fast.max(warm.1), 1)),
        (rates, _) => rates,
    };
    for source in &files {
        source.read_whole(|_| Ok(()))?;
    }
    let seconds = match cached {
        Some(cached) => {
            let (from_disk, from_cache) = ((bytes - cached) as f64, cached as f64);
            let disk = if from_disk > 0.0 { cold_rates } else { Some((1.0, 1.0, 0)) };
            let cache = if from_cache > 0.0 { warm_rates } else { Some((1.0, 1.0, 0)) };
            disk.zip(cache)
                .map(|(disk, cache)| (from_disk / disk.1 + from_cache / cache.1, from_disk / disk.0 + from_cache / cache.0))
        }
        None => unknown_rates.map(|rates| (bytes as f64 / rates.1, bytes as f64 / rates.0)),
    };
    Ok(Some(Load { bytes, cached_bytes: cached, seconds_low: seconds.map(|s| s.0), seconds_high: seconds.map(|s| s.1) }))
}

/// Steps from all over, in order.
fn spread(places: &[Place]) -> Vec<Place> {
    let every = places.len().div_ceil(STEPS).max(1);
    places.iter().step_by(every).copied().collect()
}

/// Reads steps in groups; a group that is the only one is read `again` times in all.
fn timed(files: &[FileSource], places: &[Place], again: usize) -> Result<Rates> {
    let mut buffer = vec![0u8; STEP as usize];
    let began = Instant::now();
    let mut rates: Rates = None;
    let group = (places.len() / TOGETHER).clamp(1, TOGETHER);
    let times = if places.len() > group { 1 } else { again };
    for together in places.chunks(group).cycle().take(places.len().div_ceil(group).saturating_mul(times)) {
        let start = Instant::now();
        let mut bytes = 0.0;
        for place in together {
            bytes += files[place.file].read_at(place.offset, &mut buffer)? as f64;
        }
        let rate = bytes / start.elapsed().as_secs_f64().max(1e-9);
        if bytes > 0.0 {
            rates = Some(rates.map_or((rate, rate, 1), |(slow, fast, n)| (rate.min(slow), rate.max(fast), n + 1)));
        }
        if began.elapsed() > PATIENCE {
            break;
        }
    }
    Ok(rates)
}
