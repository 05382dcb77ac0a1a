//! The rules themselves, as tables. A new crate needs a row here.

/// What a crate may depend on, other than in its tests.
pub struct CrateRule {
    pub name: &'static str,
    /// The crates of this workspace it may use. The test kit is only in the list of the benches:
    /// everything else uses it as a dev-dependency.
    pub siblings: &'static [&'static str],
    /// Third-party crates that it must not depend on.
    pub forbidden: &'static [&'static str],
}

const LIBRARIES: &[&str] = &[
    "slicegpt-core",
    "slicegpt-kernels",
    "slicegpt-models",
    "slicegpt-limits",
    "slicegpt-provenance",
    "slicegpt-checkpoint",
    "slicegpt-adapters",
    "slicegpt-invariance",
    "slicegpt-calibrate",
    "slicegpt-corpus",
    "slicegpt-device",
    "slicegpt-slice",
    "slicegpt-eval",
    "slicegpt-train",
    "slicegpt-compress",
    "slicegpt-chat",
    "slicegpt-generate",
    "slicegpt-gguf",
    "slicegpt-serve",
    "slicegpt-tasks",
    "slicegpt-hub",
    "slicegpt-report",
];

/// The crates that the benches measure, and the toy decoders they measure them on.
const MEASURED: &[&str] = &[
    "slicegpt-core",
    "slicegpt-models",
    "slicegpt-invariance",
    "slicegpt-calibrate",
    "slicegpt-device",
    "slicegpt-slice",
    "slicegpt-testkit",
];

/// The crates that read files of users.
const READERS: &[&str] = &[
    "slicegpt-adapters",
    "slicegpt-chat",
    "slicegpt-checkpoint",
    "slicegpt-core",
    "slicegpt-corpus",
    "slicegpt-gguf",
    "slicegpt-models",
    "slicegpt-provenance",
    "slicegpt-tasks",
];

/// The crates that the GPU kit checks, with the kernels and the models that it measures.
const KIT: &[&str] = &[
    "slicegpt-benches",
    "slicegpt-calibrate",
    "slicegpt-checkpoint",
    "slicegpt-cli",
    "slicegpt-core",
    "slicegpt-device",
    "slicegpt-models",
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
    CrateRule {
        name: "slicegpt-limits",
        siblings: &[],
        forbidden: &["burn", "faer", "safetensors", "serde_json", "tokenizers"],
    },
    CrateRule { name: "slicegpt-corpus", siblings: &["slicegpt-limits"], forbidden: &[] },
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
        siblings: &["slicegpt-core", "slicegpt-limits", "slicegpt-provenance"],
        forbidden: &[],
    },
    CrateRule {
        name: "slicegpt-adapters",
        siblings: &["slicegpt-checkpoint", "slicegpt-core", "slicegpt-limits"],
        forbidden: &["burn", "faer", "safetensors", "tokenizers"],
    },
    CrateRule {
        name: "slicegpt-eval",
        siblings: &["slicegpt-core", "slicegpt-kernels"],
        forbidden: &[],
    },
    CrateRule {
        name: "slicegpt-train",
        siblings: &["slicegpt-core", "slicegpt-eval", "slicegpt-kernels"],
        forbidden: &["clap", "safetensors", "tokenizers"],
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
        name: "slicegpt-chat",
        siblings: &["slicegpt-limits"],
        forbidden: &["burn", "faer", "safetensors", "tokenizers"],
    },
    CrateRule {
        name: "slicegpt-generate",
        siblings: &[
            "slicegpt-chat",
            "slicegpt-core",
            "slicegpt-corpus",
            "slicegpt-kernels",
            "slicegpt-models",
        ],
        forbidden: &[],
    },
    CrateRule {
        name: "slicegpt-gguf",
        siblings: &["slicegpt-chat", "slicegpt-core", "slicegpt-limits", "slicegpt-models"],
        forbidden: &["burn", "faer", "tokenizers"],
    },
    CrateRule {
        name: "slicegpt-serve",
        siblings: &["slicegpt-core", "slicegpt-corpus", "slicegpt-generate", "slicegpt-models"],
        forbidden: &["burn", "faer", "tokenizers"],
    },
    CrateRule {
        name: "slicegpt-tasks",
        siblings: &[
            "slicegpt-core",
            "slicegpt-corpus",
            "slicegpt-generate",
            "slicegpt-limits",
            "slicegpt-models",
        ],
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
    CrateRule { name: "slicegpt-fuzz", siblings: READERS, forbidden: &["burn"] },
    CrateRule { name: "slicegpt-benches", siblings: MEASURED, forbidden: &[] },
    CrateRule { name: "slicegpt-gpu-kit", siblings: KIT, forbidden: &["tokenizers"] },
    CrateRule { name: "xtask", siblings: &[], forbidden: &["burn"] },
];

/// Features of `burn` that choose a backend. Benches and tests choose one in the dev-dependencies,
/// which have no rule.
pub const BACKENDS: &[&str] = &[
    "cpu", "cuda", "flex", "metal", "ndarray", "remote", "rocm", "tch", "vulkan", "webgpu", "wgpu",
];

/// The crates that may choose a backend. The kernels do, because they read and write the memory of
/// Flex tensors.
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

/// Something that the code of some crates must not contain.
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
    /// Options of a command line, such as `--out`, in literals.
    Flags,
}

/// Libraries that open no files and no sockets.
const FILELESS: &[&str] = &[
    "slicegpt-core",
    "slicegpt-models",
    "slicegpt-invariance",
    "slicegpt-calibrate",
    "slicegpt-slice",
    "slicegpt-eval",
    "slicegpt-train",
    "slicegpt-device",
    "slicegpt-provenance",
    "slicegpt-report",
];

/// All crates except programs and the test kit.
const LIBRARY: Scope = Scope::AllBut(&[
    "slicegpt-cli",
    "slicegpt-fuzz",
    "slicegpt-gpu-kit",
    "slicegpt-testkit",
    "xtask",
]);

pub const SOURCES: &[SourceRule] = &[
    SourceRule {
        scope: Scope::Only(FILELESS),
        forbidden: Forbidden::Paths(&["std::fs", "std::net"]),
        advice: "files and sockets live in the crates at the edge; take a reader instead",
    },
    SourceRule {
        scope: LIBRARY,
        forbidden: Forbidden::Macros(&["println", "print", "eprintln", "eprint", "dbg"]),
        advice: "a library does not print; return the value",
    },
    SourceRule {
        scope: LIBRARY,
        forbidden: Forbidden::Macros(&["todo", "unimplemented"]),
        advice: "a library is finished or absent",
    },
    SourceRule {
        scope: LIBRARY,
        forbidden: Forbidden::Paths(&["std::process::exit", "process::exit"]),
        advice: "a library returns an error; the binary decides to end",
    },
    SourceRule {
        scope: LIBRARY,
        forbidden: Forbidden::Flags,
        advice: "a library knows no command line; speak of fields and values",
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
    &["slicegpt-fuzz", "slicegpt-gguf", "slicegpt-models", "slicegpt-testkit", "xtask"];

/// How a family's name is recognised in a word.
#[derive(Clone, Copy)]
pub enum Spelling {
    /// Anywhere in an identifier.
    Anywhere,
    /// A part of an identifier: `PhiConfig` and `phi3`, but not `graphics`.
    Part,
    /// A whole identifier: `opt`, but not `opt_level`.
    Whole,
}

/// Families whose names are ordinary words, or parts of them. The families themselves are the files
/// in [`FAMILIES`].
pub const SPELLINGS: &[(&str, Spelling)] = &[("phi", Spelling::Part), ("opt", Spelling::Whole)];

/// Files whose strings may name a family, and why.
pub const FAMILIES_IN_STRINGS: &[(&str, &str)] =
    &[("crates/slicegpt-cli/src/show/advise.rs", "it names pre-tokenizers of llama.cpp")];

/// The folder that holds one file for each family, named after it.
pub const FAMILIES: &str = "crates/slicegpt-models/src/families";

/// Longer files hold more than one idea.
pub const MAX_LINES: usize = 400;

/// Files that may be longer, and why.
pub const LONG_FILES: &[(&str, &str)] = &[(
    "crates/slicegpt-models/python/modeling_slicegpt.py",
    "the whole model that runs a sliced checkpoint in transformers, copied next to its weights",
)];

/// Longer functions do more than one thing.
pub const MAX_FUNCTION_LINES: usize = 80;

/// Functions that may be longer because they are tables of data: file, name, and what the table is.
pub const LONG_FUNCTIONS: &[(&str, &str, &str)] = &[];

/// Wider lines do not fit into an editor with two files side by side.
pub const MAX_COLUMNS: usize = 100;

/// Files that may have wider lines, and why.
pub const WIDE_FILES: &[(&str, &str)] = &[
    (
        "crates/slicegpt-models/python/configuration_slicegpt.py",
        "its bytes are part of sliced checkpoints",
    ),
    (
        "crates/slicegpt-models/python/modeling_slicegpt.py",
        "its bytes are part of sliced checkpoints",
    ),
];

/// File names that say nothing about the contents.
pub const EMPTY_NAMES: &[&str] = &["common.rs", "helpers.rs", "misc.rs", "utils.rs"];

/// Documents at the root, and what each is for.
pub const DOCUMENTS: &[(&str, &str)] = &[
    ("ARCHITECTURE.md", "the map of the code, its invariants and its decisions"),
    ("CHANGELOG.md", "what changed for a user"),
    ("README.md", "what this is and how to start"),
];

/// Folders under `docs` that are not part of the book: `cargo xtask` writes them on request.
pub const WRITTEN_DOCS: &[&str] = &["docs/study"];
