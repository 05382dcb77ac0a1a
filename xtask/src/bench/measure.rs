//! The cost of one child process: its wall time, CPU time and peak memory.

use std::process::{Child, Command, ExitStatus};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

#[derive(Clone, Copy, Debug)]
pub struct Cost {
    pub wall_seconds: f64,
    /// User and system time of all threads. `None` on systems that do not report it.
    pub cpu_seconds: Option<f64>,
    /// The peak resident set size. `None` on systems that do not report it.
    pub peak_mib: Option<f64>,
}

/// Runs `command` to its end. The caller chooses its streams.
pub fn measure(command: &mut Command) -> Result<Cost> {
    let program = command.get_program().to_string_lossy().into_owned();
    let began = Instant::now();
    let child = command.spawn().with_context(|| format!("cannot start {program}"))?;
    let (status, cpu_seconds, peak_mib) = wait(child)?;
    let wall_seconds = began.elapsed().as_secs_f64();
    ensure!(status.success(), "{program} failed ({status}): see its message above");
    Ok(Cost { wall_seconds, cpu_seconds, peak_mib })
}

/// `wait4` reports on the child it waits for, whereas `getrusage(RUSAGE_CHILDREN)` keeps the
/// maximum over all children so far.
///
/// On Linux, the peak of a child starts at the resident set of its parent. That is why this program
/// must stay small: its few MiB are below anything it measures.
#[cfg(unix)]
fn wait(child: Child) -> Result<(ExitStatus, Option<f64>, Option<f64>)> {
    use std::os::unix::process::ExitStatusExt;

    let pid = libc::pid_t::try_from(child.id()).context("a process id beyond pid_t")?;
    let mut status = 0;
    // SAFETY: rusage consists of integers, for which all-zero bytes are valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both pointers are to locals that outlive the call. Nothing else waits for this
        // child: dropping a `Child` does not reap it.
        let waited = unsafe { libc::wait4(pid, &mut status, 0, &mut usage) };
        if waited == pid {
            break;
        }
        let error = std::io::Error::last_os_error();
        if error.kind() != std::io::ErrorKind::Interrupted {
            return Err(error).context("cannot wait for the measured process");
        }
    }
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 * 1e-6;
    let cpu_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    // Apple systems count bytes, all others KiB.
    let unit = if cfg!(target_vendor = "apple") { 1.0 } else { 1024.0 };
    let peak_mib = usage.ru_maxrss as f64 * unit / (1024.0 * 1024.0);
    Ok((ExitStatus::from_raw(status), Some(cpu_seconds), Some(peak_mib)))
}

#[cfg(not(unix))]
fn wait(mut child: Child) -> Result<(ExitStatus, Option<f64>, Option<f64>)> {
    Ok((child.wait().context("cannot wait for the measured process")?, None, None))
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;
    use crate::workspace::cargo;

    #[test]
    fn a_child_is_measured() {
        let cost = measure(cargo().arg("--version").stdout(Stdio::null())).unwrap();
        assert!(cost.wall_seconds > 0.0);
        if cfg!(unix) {
            assert!(cost.cpu_seconds.unwrap() < 60.0, "{cost:?}");
            assert!((1.0..1000.0).contains(&cost.peak_mib.unwrap()), "{cost:?}");
        }
    }

    #[test]
    fn a_failure_is_an_error() {
        let mut command = cargo();
        command.arg("--no-such-option").stdout(Stdio::null()).stderr(Stdio::null());
        assert!(measure(&mut command).is_err());
    }

    /// A large child must not count for the small child after it.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_childs_peak_is_its_own() {
        let peak = |script: &str| {
            let cost = measure(Command::new("sh").args(["-c", script]).stdout(Stdio::null()));
            cost.unwrap().peak_mib.unwrap()
        };
        let large = peak("exec dd if=/dev/zero of=/dev/null bs=96M count=1 2>/dev/null");
        let small = peak("true");
        assert!(large > 90.0, "{large} MiB");
        assert!(small < large / 2.0, "{small} of {large} MiB");
    }
}
