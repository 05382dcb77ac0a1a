//! Nothing but benchmarks: see `benches/`. `cargo bench --workspace --bench passes` runs them.
