//! Nothing but benchmarks: see `benches/`. `cargo bench -p slicegpt-benches` runs them.
