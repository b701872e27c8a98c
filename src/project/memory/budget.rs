//! Memory to fit into.

use crate::error::{Error, ErrorKind, Result};
use crate::units::{Bytes, parse_bytes};

/// Whose memory a budget is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// A device's, beside a host with memory of its own.
    Device,
    /// A machine's: it holds what devices and host take.
    Machine,
    /// All that a run takes, wherever that lies; nothing of it is set aside.
    Total,
}

/// A budget: memory to fit into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// The budget as it was asked for.
    pub text: String,
    /// Bytes of memory of one device.
    pub bytes: u64,
    /// Number of devices; `None` where each device of the run has so much.
    pub devices: Option<u64>,
    /// Whether it is the memory of a device, of a machine, or a bound on all.
    pub memory: Memory,
}

impl Budget {
    /// Reads `24GiB` (each device) and `2x24GiB` (two devices). `this` is not read here: what this machine has is measured by the
    /// caller.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] when the text is no budget.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let (devices, size) = match text.split_once(['x', 'X']) {
            Some((n, size)) => (n.trim().parse::<u64>().ok().filter(|&n| n > 0).map(Some), size),
            None => (Some(None), text),
        };
        let devices = devices.ok_or_else(|| {
            Error::new(ErrorKind::Usage, format!("`{}` is no budget", crate::text::escape(text))).help("write 24GiB or 2x24GiB")
        })?;
        Ok(Self { text: text.to_owned(), bytes: parse_bytes(size.trim())?.0, devices, memory: Memory::Device })
    }

    /// The memory of this machine.
    pub fn machine(bytes: u64) -> Self {
        Self { text: "this".to_owned(), bytes, devices: Some(1), memory: Memory::Machine }
    }

    /// A bound on all that a run takes.
    pub fn total(bytes: u64) -> Self {
        Self { text: Bytes(bytes).binary(), bytes, devices: None, memory: Memory::Total }
    }
}
