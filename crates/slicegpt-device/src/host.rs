//! [`Host`]: the machine that the program runs on.

/// The machine that the program runs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Name of the CPU.
    pub processor: String,
    /// Threads available to the process.
    pub cores: usize,
    /// Total memory in bytes; in a container, its limit.
    pub memory_bytes: u64,
    /// Name and version of the operating system.
    pub system: String,
}

impl Host {
    /// Describes this machine.
    pub fn this() -> Self {
        let mut system = sysinfo::System::new();
        system.refresh_cpu_all();
        system.refresh_memory();
        let brand = system.cpus().first().map(|cpu| cpu.brand().trim().to_string());
        let limit = system.cgroup_limits().map_or(u64::MAX, |limits| limits.total_memory);
        Self {
            processor: brand.filter(|brand| !brand.is_empty()).unwrap_or_else(|| "unknown".into()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: system.total_memory().min(limit),
            system: sysinfo::System::long_os_version()
                .unwrap_or_else(|| std::env::consts::OS.into()),
        }
    }
}
