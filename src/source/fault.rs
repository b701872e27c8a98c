//! The SIGBUS guard: what happens when a mapped file loses bytes under a reader.
//!
//! A load from a mapped page that lies beyond the (new) end of its file, or that the disk cannot deliver, raises SIGBUS. The
//! handler here acts only on ranges that [`Guarded::new`] has put into its table: it lays anonymous zero pages over the rest of
//! the range, notes that the range is broken, and returns, so that the load sees zeros and the reader gets to look at the note.
//! Any other SIGBUS goes where it would have gone without us.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// From now on a write beyond the limit on the size of files (`ulimit -f`) fails like one to a full disk, where the system would end
/// the process at once and leave half a file behind. For a command: it changes what the whole process does at SIGXFSZ.
pub fn fail_beyond_file_size_limit() {
    // SAFETY: SIG_IGN installs no handler; nothing of ours is reached from a signal. Failure leaves what was there.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
}

/// Ranges that can be guarded at once. Scans keep a few windows each.
const SLOTS: usize = 256;

/// A guarded range; `start` is 0 while the slot is free or not yet filled.
struct Slot {
    taken: AtomicBool,
    start: AtomicUsize,
    end: AtomicUsize,
    broken: AtomicBool,
}

impl Slot {
    #[allow(clippy::declare_interior_mutable_const)] // the initialiser of the table below
    const FREE: Self = Self {
        taken: AtomicBool::new(false),
        start: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
        broken: AtomicBool::new(false),
    };
}

static TABLE: [Slot; SLOTS] = [Slot::FREE; SLOTS];

/// The disposition that was there before ours. Written once, before our handler can run.
struct Previous(UnsafeCell<MaybeUninit<libc::sigaction>>);

// SAFETY: written once by the thread that installs the handler, before sigaction() makes the handler reachable for others
// (`install` orders the two); only read afterwards.
unsafe impl Sync for Previous {}

static PREVIOUS: Previous = Previous(UnsafeCell::new(MaybeUninit::zeroed()));

/// Page size, for the handler, which may not ask.
static PAGE: AtomicUsize = AtomicUsize::new(4096);

/// Keeps a range in the table. Dropping it takes the range out: drop it before the mapping goes.
#[derive(Debug)]
pub(super) struct Guarded {
    slot: usize,
}

impl Guarded {
    /// Guards `len` bytes from `start`, which must be one mapping of the caller's, page-aligned. `None` when the handler could
    /// not be installed or the table is full: the mapping must then not be read.
    pub(super) fn new(start: usize, len: usize) -> Option<Self> {
        if start == 0 || !install() {
            return None;
        }
        let end = start.checked_add(len)?;
        for (index, slot) in TABLE.iter().enumerate() {
            if slot.taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                slot.broken.store(false, Ordering::Relaxed);
                slot.end.store(end, Ordering::Relaxed);
                slot.start.store(start, Ordering::Release);
                return Some(Self { slot: index });
            }
        }
        None
    }

    /// Whether a load in the range has failed since.
    pub(super) fn is_broken(&self) -> bool {
        TABLE[self.slot].broken.load(Ordering::Acquire)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let slot = &TABLE[self.slot];
        slot.start.store(0, Ordering::Release);
        slot.taken.store(false, Ordering::Release);
    }
}

/// Installs the handler, once per process.
fn install() -> bool {
    static DONE: OnceLock<bool> = OnceLock::new();
    *DONE.get_or_init(|| {
        // SAFETY: sysconf has no preconditions.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        PAGE.store(usize::try_from(page).ok().filter(|p| p.is_power_of_two()).unwrap_or(4096), Ordering::Relaxed);
        // SAFETY: both structures are valid for the calls; sigaction is plain data for which zero is a valid state. The first
        // call only asks, so that PREVIOUS is filled before our handler can run. Between the two calls another thread may
        // install a handler of its own, which would then be left out of the chain: a race that sigaction() cannot avoid.
        unsafe {
            if libc::sigaction(libc::SIGBUS, std::ptr::null(), (*PREVIOUS.0.get()).as_mut_ptr()) != 0 {
                return false;
            }
            let mut ours: libc::sigaction = std::mem::zeroed();
            ours.sa_sigaction = handler as *const () as usize;
            ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
            libc::sigemptyset(&mut ours.sa_mask);
            libc::sigaction(libc::SIGBUS, &ours, std::ptr::null_mut()) == 0
        }
    })
}

/// Runs on the thread whose load failed. Calls nothing but mmap (a plain system call) and atomics.
extern "C" fn handler(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid siginfo_t, and for SIGBUS from a load si_addr is set. A SIGBUS sent by kill() has
    // whatever lies there, so such signals (si_code <= 0) are passed on unread.
    let (code, address) = unsafe { ((*info).si_code, (*info).si_addr() as usize) };
    if code > 0 {
        for slot in &TABLE {
            let start = slot.start.load(Ordering::Acquire);
            let end = slot.end.load(Ordering::Relaxed);
            if start != 0 && start <= address && address < end {
                slot.broken.store(true, Ordering::Release);
                if cover(address, end) {
                    return;
                }
            }
        }
    }
    pass_on(signal, info, context);
}

/// Lays zero pages from the page of `address` to `end`.
fn cover(address: usize, end: usize) -> bool {
    let from = address & !(PAGE.load(Ordering::Relaxed) - 1);
    // SAFETY: [from, end) lies within a mapping that a live `Guarded` stands for, whose pages nobody else owns: its thread is
    // in the middle of a load from it, so neither the slot nor the mapping can go away now. MAP_FIXED replaces exactly these
    // pages, readable as before. errno is put back because the interrupted code may be about to look at it.
    unsafe {
        let errno = errno_location();
        let saved = *errno;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED | libc::MAP_NORESERVE;
        let done = libc::mmap(from as *mut libc::c_void, end - from, libc::PROT_READ, flags, -1, 0);
        *errno = saved;
        done != libc::MAP_FAILED
    }
}

/// Gives the signal to whoever had it before us.
fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: PREVIOUS was filled by sigaction() before this handler was installed. A previous handler is called as its flags
    // say. Where there was none, the disposition is put back and the failing load, run again, ends the process as it would
    // have without us.
    unsafe {
        let previous = &*(*PREVIOUS.0.get()).as_ptr();
        match previous.sa_sigaction {
            libc::SIG_DFL | libc::SIG_IGN => {
                let mut default: libc::sigaction = std::mem::zeroed();
                default.sa_sigaction = libc::SIG_DFL;
                libc::sigaction(signal, &default, std::ptr::null_mut());
                if (*info).si_code <= 0 && previous.sa_sigaction == libc::SIG_DFL {
                    libc::raise(signal);
                }
            }
            address if previous.sa_flags & libc::SA_SIGINFO != 0 => {
                let call: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = std::mem::transmute(address);
                call(signal, info, context);
            }
            address => {
                let call: extern "C" fn(libc::c_int) = std::mem::transmute(address);
                call(signal);
            }
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "emscripten", target_os = "hurd", target_os = "redox"))]
unsafe fn errno_location() -> *mut libc::c_int {
    // SAFETY: the location of the calling thread's errno, always valid.
    unsafe { libc::__errno_location() }
}

#[cfg(any(target_os = "macos", target_os = "ios", target_os = "freebsd"))]
unsafe fn errno_location() -> *mut libc::c_int {
    // SAFETY: the location of the calling thread's errno, always valid.
    unsafe { libc::__error() }
}

#[cfg(any(target_os = "android", target_os = "netbsd", target_os = "openbsd"))]
unsafe fn errno_location() -> *mut libc::c_int {
    // SAFETY: the location of the calling thread's errno, always valid.
    unsafe { libc::__errno() }
}
