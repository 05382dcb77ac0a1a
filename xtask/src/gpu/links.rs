//! The requirements of a binary on a machine: the libraries it links, the versions of glibc it
//! needs, and the libraries it loads at run time.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// Libraries that every Linux machine with glibc has.
const ALLOWED: &[&str] = &[
    "ld-linux-aarch64.so.1",
    "ld-linux-x86-64.so.2",
    "libc.so.6",
    "libdl.so.2",
    "libgcc_s.so.1",
    "libm.so.6",
    "libpthread.so.0",
    "librt.so.1",
    "linux-vdso.so.1",
];

/// Libraries that a feature may link in addition: LLVM, which compiles kernels for CUDA, is C++.
const ALLOWED_WITH: &[(&str, &str)] = &[("cuda", "libstdc++.so.6")];

/// The glibc of Debian 12.
const GLIBC: Version = Version { major: 2, minor: 36 };

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Version {
    major: u32,
    minor: u32,
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The libraries that `binary` links.
pub fn libraries(binary: &Path, feature: &str) -> Result<Vec<String>> {
    let found = linked(&output("ldd", &[], binary)?);
    let extra = || ALLOWED_WITH.iter().filter(|(with, _)| *with == feature).map(|(_, name)| *name);
    let allowed = |name: &str| ALLOWED.contains(&name) || extra().any(|other| other == name);
    let others: Vec<&String> = found.iter().filter(|name| !allowed(name)).collect();
    if let Some(other) = others.first() {
        bail!(
            "{} links {other}, which a bare machine may not have: link it statically, or add it \
             to ALLOWED in xtask/src/gpu/links.rs",
            binary.display()
        );
    }
    Ok(found)
}

/// The newest version of glibc that `binary` needs.
pub fn newest_glibc(binary: &Path) -> Result<Option<Version>> {
    let symbols = glibc_symbols(&output("objdump", &["-T"], binary)?);
    let newest = symbols.iter().max_by_key(|(version, _)| *version);
    if let Some((version, symbol)) = newest.filter(|(version, _)| *version > GLIBC) {
        bail!(
            "{} asks for glibc {version} (symbol {symbol}), and Debian 12 has {GLIBC}: build it on \
             a machine with glibc {GLIBC} or older",
            binary.display()
        );
    }
    Ok(newest.map(|(version, _)| *version))
}

/// The libraries that a binary with `feature` loads at run time. The first must exist.
pub fn loaded_at_run_time(feature: &str) -> &'static [&'static str] {
    match feature {
        "cuda" => &[
            "libcuda.so.1 (NVIDIA's driver)",
            "libnvidia-ml.so.1 (the driver's; may be missing)",
            "libnccl.so.2 (may be missing)",
        ],
        _ => &["libvulkan.so.1 (the Vulkan loader, which opens the driver)"],
    }
}

fn output(program: &str, args: &[&str], binary: &Path) -> Result<String> {
    let output = Command::new(program)
        .args(args)
        .arg(binary)
        .env("LC_ALL", "C")
        .output()
        .with_context(|| format!("cannot start `{program}`: install libc-bin and binutils"))?;
    ensure!(output.status.success(), "`{program}` failed on {}", binary.display());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The names in the output of `ldd`: `libm.so.6 => /lib/libm.so.6 (0x7f)`,
/// `/lib64/ld-linux.so.2 (0x7f)`.
fn linked(text: &str) -> Vec<String> {
    let name = |line: &str| {
        let first = line.split_whitespace().next()?;
        Some(first.rsplit('/').next()?.to_owned())
    };
    let mut names: Vec<String> = text.lines().filter_map(name).collect();
    names.sort();
    names
}

/// Versions and symbols in the output of `objdump -T`.
fn glibc_symbols(text: &str) -> Vec<(Version, String)> {
    let symbol = |line: &str| {
        let (_, rest) = line.split_once("GLIBC_")?;
        let (version, rest) = rest.split_once(|c: char| c == ')' || c.is_whitespace())?;
        let mut numbers = version.split('.');
        let major = numbers.next()?.parse().ok()?;
        let minor = numbers.next()?.parse().ok()?;
        Some((Version { major, minor }, rest.split_whitespace().last()?.to_owned()))
    };
    text.lines().filter_map(symbol).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_ldd() {
        let text = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibm.so.6 => /lib/x86_64/libm.so.6 (0x7f)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x7f)\n";
        assert_eq!(linked(text), ["ld-linux-x86-64.so.2", "libm.so.6", "linux-vdso.so.1"]);
        assert!(linked(text).iter().all(|name| ALLOWED.contains(&name.as_str())));
    }

    #[test]
    fn the_newest_symbol_is_named() {
        let text = "0000000000000000      DF *UND*\t0000000000000000 (GLIBC_2.34) __libc_main\n\
                    0000000000000000      DF *UND*\t0000000000000000  GLIBC_2.2.5 free\n\
                    0000000000000000  w   DF *UND*\t0000000000000000 (GLIBC_2.38) __isoc23_strtol\n\
                    0000000000000000  w   D  *UND*\t0000000000000000  Base        _ITM\n";
        let found = glibc_symbols(text);
        assert_eq!(found.len(), 3);
        let newest = found.iter().max_by_key(|(version, _)| *version).unwrap();
        assert_eq!(newest, &(Version { major: 2, minor: 38 }, "__isoc23_strtol".to_owned()));
        assert!(newest.0 > GLIBC && found[0].0 < GLIBC);
    }
}
