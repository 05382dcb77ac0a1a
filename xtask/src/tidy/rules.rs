//! The rules themselves, as tables. A new crate is a row here.

/// What a crate may depend on, other than in its tests.
pub struct CrateRule {
    pub name: &'static str,
    /// The crates of this workspace it may use. The testkit is in no list: it is only ever a
    /// dev-dependency.
    pub siblings: &'static [&'static str],
    /// Crates from outside that must not get in.
    pub forbidden: &'static [&'static str],
}

const LIBRARIES: &[&str] = &[
    "slicegpt-core",
    "slicegpt-kernels",
    "slicegpt-models",
    "slicegpt-provenance",
    "slicegpt-checkpoint",
    "slicegpt-invariance",
    "slicegpt-calibrate",
    "slicegpt-corpus",
    "slicegpt-device",
    "slicegpt-slice",
    "slicegpt-eval",
    "slicegpt-compress",
    "slicegpt-generate",
    "slicegpt-gguf",
    "slicegpt-serve",
    "slicegpt-tasks",
    "slicegpt-hub",
    "slicegpt-report",
];

/// What the benches measure, with the toys they measure it on.
const MEASURED: &[&str] = &[
    "slicegpt-core",
    "slicegpt-models",
    "slicegpt-invariance",
    "slicegpt-calibrate",
    "slicegpt-device",
    "slicegpt-slice",
    "slicegpt-testkit",
];

pub const CRATES: &[CrateRule] = &[
    CrateRule {
        name: "slicegpt-core",
        siblings: &[],
        forbidden: &["faer", "serde_json", "tokenizers"],
    },
    CrateRule {
        name: "slicegpt-kernels",
        siblings: &["slicegpt-core"],
        forbidden: &["serde_json", "tokenizers"],
    },
    CrateRule {
        name: "slicegpt-models",
        siblings: &["slicegpt-core", "slicegpt-kernels"],
        forbidden: &["tokenizers"],
    },
    CrateRule { name: "slicegpt-invariance", siblings: &["slicegpt-core"], forbidden: &[] },
    CrateRule {
        name: "slicegpt-calibrate",
        siblings: &["slicegpt-core", "slicegpt-kernels"],
        forbidden: &[],
    },
    CrateRule { name: "slicegpt-corpus", siblings: &[], forbidden: &[] },
    CrateRule { name: "slicegpt-device", siblings: &[], forbidden: &["faer", "tokenizers"] },
    CrateRule {
        name: "slicegpt-slice",
        siblings: &["slicegpt-core", "slicegpt-calibrate"],
        forbidden: &[],
    },
    CrateRule {
        name: "slicegpt-provenance",
        siblings: &[],
        forbidden: &["burn", "faer", "safetensors", "tokenizers"],
    },
    CrateRule {
        name: "slicegpt-checkpoint",
        siblings: &["slicegpt-core", "slicegpt-provenance"],
        forbidden: &[],
    },
    CrateRule {
        name: "slicegpt-eval",
        siblings: &["slicegpt-core", "slicegpt-kernels"],
        forbidden: &[],
    },
    CrateRule {
        name: "slicegpt-compress",
        siblings: &[
            "slicegpt-core",
            "slicegpt-models",
            "slicegpt-checkpoint",
            "slicegpt-provenance",
            "slicegpt-invariance",
            "slicegpt-calibrate",
            "slicegpt-slice",
            "slicegpt-eval",
        ],
        forbidden: &["clap", "tokenizers"],
    },
    CrateRule {
        name: "slicegpt-generate",
        siblings: &["slicegpt-core", "slicegpt-corpus", "slicegpt-kernels", "slicegpt-models"],
        forbidden: &[],
    },
    CrateRule {
        name: "slicegpt-gguf",
        siblings: &["slicegpt-core", "slicegpt-models"],
        forbidden: &["burn", "faer", "tokenizers"],
    },
    CrateRule {
        name: "slicegpt-serve",
        siblings: &["slicegpt-core", "slicegpt-corpus", "slicegpt-generate", "slicegpt-models"],
        forbidden: &["burn", "faer", "tokenizers"],
    },
    CrateRule {
        name: "slicegpt-tasks",
        siblings: &["slicegpt-core", "slicegpt-corpus", "slicegpt-generate", "slicegpt-models"],
        forbidden: &["burn", "faer", "tokenizers"],
    },
    CrateRule {
        name: "slicegpt-hub",
        siblings: &[],
        forbidden: &["burn", "faer", "safetensors", "tokenizers", "tokio"],
    },
    CrateRule {
        name: "slicegpt-report",
        siblings: &["slicegpt-provenance"],
        forbidden: &["burn", "faer", "safetensors", "tokenizers"],
    },
    CrateRule { name: "slicegpt-cli", siblings: LIBRARIES, forbidden: &[] },
    CrateRule { name: "slicegpt-testkit", siblings: LIBRARIES, forbidden: &[] },
    CrateRule { name: "slicegpt-benches", siblings: MEASURED, forbidden: &[] },
    CrateRule { name: "xtask", siblings: &[], forbidden: &["burn"] },
];

/// Features of `burn` that choose where tensors live. Benches and tests ask for one in their
/// crate's dev-dependencies, which are free.
pub const BACKENDS: &[&str] = &[
    "cpu", "cuda", "flex", "metal", "ndarray", "remote", "rocm", "tch", "vulkan", "webgpu", "wgpu",
];

/// The crates that may choose a backend: the kernels, because they read and write the memory of the
/// CPU's.
pub const BACKEND_CRATES: &[&str] = &["slicegpt-device", "slicegpt-kernels", "slicegpt-testkit"];

/// Which crates a source rule is about.
pub enum Scope {
    Only(&'static [&'static str]),
    AllBut(&'static [&'static str]),
}

impl Scope {
    pub fn contains(&self, name: &str) -> bool {
        match self {
            Scope::Only(names) => names.contains(&name),
            Scope::AllBut(names) => !names.contains(&name),
        }
    }
}

/// Something that must not stand in the code of some crates.
pub struct SourceRule {
    pub scope: Scope,
    pub forbidden: Forbidden,
    pub advice: &'static str,
}

pub enum Forbidden {
    /// Items, written out or imported in any way; `module::*` is the glob import.
    Paths(&'static [&'static str]),
    /// Macros, without their `!`.
    Macros(&'static [&'static str]),
}

const NO_LIBRARY: Scope = Scope::AllBut(&["slicegpt-cli", "slicegpt-testkit", "xtask"]);

pub const SOURCES: &[SourceRule] = &[
    SourceRule {
        scope: Scope::Only(&["slicegpt-core", "slicegpt-models"]),
        forbidden: Forbidden::Paths(&["std::fs", "std::net"]),
        advice: "files and sockets live in the crates at the edge; take a reader instead",
    },
    SourceRule {
        scope: NO_LIBRARY,
        forbidden: Forbidden::Macros(&["println", "print", "eprintln", "eprint", "dbg"]),
        advice: "a library does not print; return the value",
    },
    SourceRule {
        scope: NO_LIBRARY,
        forbidden: Forbidden::Macros(&["todo", "unimplemented"]),
        advice: "a library is finished or absent",
    },
    SourceRule {
        scope: NO_LIBRARY,
        forbidden: Forbidden::Paths(&["std::process::exit", "process::exit"]),
        advice: "a library returns an error; the binary decides to end",
    },
    SourceRule {
        scope: Scope::Only(&["slicegpt-cli"]),
        forbidden: Forbidden::Paths(&[
            "burn::Tensor",
            "burn::prelude",
            "burn::tensor::*",
            "burn::tensor::Tensor",
        ]),
        advice: "the binary does no tensor arithmetic; put it in the crate whose idea it is",
    },
];

/// The crates that may name a model family in code.
pub const FAMILY_CRATES: &[&str] =
    &["slicegpt-models", "slicegpt-gguf", "slicegpt-testkit", "xtask"];

/// How a family's name is told from an ordinary word.
#[derive(Clone, Copy)]
pub enum Spelling {
    /// Anywhere in an identifier.
    Anywhere,
    /// A part of an identifier: `PhiConfig` and `phi3`, but not `graphics`.
    Part,
    /// A whole identifier: `opt`, but not `opt_level`.
    Whole,
}

pub const FAMILIES: &[(&str, Spelling)] = &[
    ("llama", Spelling::Anywhere),
    ("mistral", Spelling::Anywhere),
    ("qwen", Spelling::Anywhere),
    ("phi", Spelling::Part),
    ("opt", Spelling::Whole),
];

/// Files of the binary whose string literals may name a family, and why: help texts with examples.
pub const FAMILIES_IN_HELP: &[(&str, &str)] = &[];

/// A file this long holds more than one idea.
pub const MAX_LINES: usize = 400;

/// Files that may be longer, and why.
pub const LONG_FILES: &[(&str, &str)] = &[];

/// Names that say nothing about what is inside.
pub const EMPTY_NAMES: &[&str] = &["common.rs", "helpers.rs", "misc.rs", "utils.rs"];

/// Documents at the root, and what each is for.
pub const DOCUMENTS: &[(&str, &str)] = &[
    ("ARCHITECTURE.md", "the map of the code, its invariants and its decisions"),
    ("CHANGELOG.md", "what changed for a user"),
    ("README.md", "what this is and how to start"),
];

/// Folders under `docs` that are no part of the book: what `cargo xtask` writes on request.
pub const WRITTEN_DOCS: &[&str] = &["docs/study"];
