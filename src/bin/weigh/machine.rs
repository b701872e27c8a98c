//! What depends on this machine, passed down as figures.

use weighbridge::error::{Error, ErrorKind, Result};
use weighbridge::project::memory::Budget;

/// Reads `24GiB`, `2x24GiB` and `this`.
pub(crate) fn budget(text: &str) -> Result<Budget> {
    if text.trim().eq_ignore_ascii_case("this") {
        return Ok(Budget::machine(memory()?));
    }
    Budget::parse(text)
}

/// Reads a list of budgets.
pub(crate) fn budgets(text: Option<&str>) -> Result<Vec<Budget>> {
    let budgets: Vec<Budget> =
        text.unwrap_or_default().split(',').filter(|part| !part.trim().is_empty()).map(budget).collect::<Result<_>>()?;
    if text.is_some() && budgets.is_empty() {
        return Err(Error::new(ErrorKind::Usage, "--fit names no budget").help("write 24GiB, 2x24GiB or this"));
    }
    Ok(budgets)
}

/// Memory of the host beside a device, in bytes; `None` where the system does not say.
pub(crate) fn host() -> Option<u64> {
    memory().ok()
}

/// Memory that this process may use, in bytes: the smaller of the installed memory and the control group's limit.
///
/// # Errors
/// Where the system does not say (only Linux is asked).
fn memory() -> Result<u64> {
    let unknown = || Error::new(ErrorKind::Usage, "the memory of this machine is not known here").help("give a size: --fit 24GiB");
    let meminfo = std::fs::read_to_string("/proc/meminfo").map_err(|_| unknown())?;
    let kib = meminfo.lines().find_map(|l| l.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    let total = kib.and_then(|n| n.checked_mul(1024)).ok_or_else(unknown)?;
    Ok(cgroup_limit().map_or(total, |limit| limit.min(total)))
}

/// The limit of the control group, version 2, then 1.
fn cgroup_limit() -> Option<u64> {
    ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .iter()
        .find_map(|path| std::fs::read_to_string(path).ok()?.trim().parse().ok())
}
