//! [`CASES`]: what the output of each script must be.

use crate::cases::check::Case;
use crate::cases::check::Check::{
    self, AnyOf, AtMost, Errors, Has, Lacks, Last, LastLacks, Runs, Same, Times,
};
use crate::cases::check::Need::{self, Module, Program, Root};

const STRACE: Need = Program("strace");

/// A server that was stopped by a signal, and said nothing on stderr.
const STOPPED: &str = "server: exit 0 ";

const TEMPLATE: Check = Runs { exits: &[2], seconds: 5.0, peak_mb: 500 };
const OF_TEMPLATE: Check = Errors("error: chat template: ");

/// A configuration that describes a model too large: a plan, or an error.
const CONFIG: &[Check] = &[Runs { exits: &[0, 2], seconds: 5.0, peak_mb: 200 }];

const PARQUET: &[Check] =
    &[Runs { exits: &[2], seconds: 5.0, peak_mb: 500 }, Errors("table.parquet: ")];

const PICKLE: &[Check] =
    &[Runs { exits: &[2], seconds: 10.0, peak_mb: 500 }, Errors("pytorch_model.bin: ")];

/// A pickle that would run code in Python.
const CODE: &[Check] = &[
    Runs { exits: &[2], seconds: 10.0, peak_mb: 500 },
    Errors("pytorch_model.bin: "),
    Errors("posix.system"),
];

const TOKENIZER: &[Check] =
    &[Runs { exits: &[2], seconds: 10.0, peak_mb: 500 }, Errors("tokenizer.json: ")];

const POOR_MESSAGES: &[Check] = &[
    Has("git lfs pull"),
    Has("its base model, org/base"),
    Has("model.safetensors: is a file"),
    Has("is a URL"),
    Lacks("is not UTF-8"),
    Lacks("unexpected argument '-1'"),
    Lacks("'--top-k <N>'"),
    Lacks("Broken pipe"),
    Has(" rc 0"),
];

pub const CASES: &[Case] = &[
    Case {
        name: "address-space-limit",
        needs: &[],
        checks: &[AnyOf(&["rc 0", "out of memory"]), Lacks(".o.partial-")],
    },
    Case { name: "at-most-is-exactly", needs: &[], checks: &[Last("rc 0"), Has("919 K")] },
    Case {
        name: "chat-bos-string",
        needs: &[],
        checks: &[Times("\"prompt_tokens\": 3", 2), Times(" and the cat went to the park.", 2)],
    },
    Case { name: "compute-dtype-panic", needs: &[], checks: &[AnyOf(&["rc 0", "rc 2"])] },
    Case {
        name: "csv-and-jsonl-read-as-text",
        needs: &[],
        checks: &[Times("\"perplexity\": ", 3), AtMost("\"perplexity\": ", 31.0)],
    },
    Case { name: "llama1-config", needs: &[], checks: &[Last("rc 0"), Has("taking 512 tokens")] },
    Case { name: "opt-vocab-merges", needs: &[], checks: &[AnyOf(&["rc 0", "save_pretrained"])] },
    Case {
        name: "out-is-a-mount",
        needs: &[Program("unshare")],
        checks: &[Has("rc 0"), Lacks("/.out.partial-")],
    },
    Case {
        name: "out-parent-not-writable",
        needs: &[Root, Program("setpriv")],
        checks: &[AnyOf(&["rc 0", "must be writable"])],
    },
    Case { name: "poor-messages", needs: &[], checks: POOR_MESSAGES },
    Case {
        name: "serve-browser-clients",
        needs: &[Program("curl")],
        checks: &[Lacks("Unrecognized request argument"), Lacks("unknown_parameter")],
    },
    Case { name: "stale-partials", needs: &[], checks: &[Has("rc 0"), LastLacks(".o.partial-")] },
    Case {
        name: "stock-not-loadable",
        needs: &[Module("transformers")],
        checks: &[Has("loads"), Lacks("is not a multiple of")],
    },
    Case { name: "template-generation-tag", needs: &[], checks: &[Last("rc 0"), Lacks("error")] },
    Case {
        name: "template-python-methods",
        needs: &[],
        checks: &[Times("\"prompt_tokens\": ", 9), Lacks("error")],
    },
    Case { name: "template-tools-none", needs: &[], checks: &[Has("\"prompt_tokens\": 1,")] },
    Case {
        name: "tied-with-own-head",
        needs: &[Module("transformers"), Module("torch")],
        checks: &[Has("rc 0"), Has("untied"), AtMost("transformers 5 ", 0.001)],
    },
    Case {
        name: "hostile/calibrate-not-synced",
        needs: &[STRACE],
        checks: &[Lacks("synced: 0,"), AtMost("onto the output: ", 1.0), Same("digest: ")],
    },
    Case {
        name: "hostile/compress-kill-amend",
        needs: &[STRACE],
        checks: &[Times("exit 0", 1), Lacks("error")],
    },
    Case {
        name: "hostile/compress-kill-force",
        needs: &[STRACE],
        checks: &[Times("exit 0", 2), Lacks("error"), Last("out")],
    },
    Case { name: "hostile/config-opt-wide", needs: &[], checks: CONFIG },
    Case { name: "hostile/config-rope-lists", needs: &[], checks: CONFIG },
    Case { name: "hostile/config-widths-odd", needs: &[], checks: CONFIG },
    Case {
        name: "hostile/man-disk-full",
        needs: &[Root],
        checks: &[Has("error: "), Last("there: 0 pages")],
    },
    Case { name: "hostile/parquet-delta", needs: &[], checks: PARQUET },
    Case { name: "hostile/parquet-dictionary-repeats", needs: &[], checks: PARQUET },
    Case { name: "hostile/parquet-dictionary-values", needs: &[], checks: PARQUET },
    Case { name: "hostile/parquet-empty-texts", needs: &[], checks: PARQUET },
    Case { name: "hostile/parquet-nulls", needs: &[], checks: PARQUET },
    Case { name: "hostile/parquet-num-children", needs: &[], checks: PARQUET },
    Case { name: "hostile/parquet-page-size", needs: &[], checks: PARQUET },
    Case { name: "hostile/pickle-duplicate-first", needs: &[], checks: CODE },
    Case { name: "hostile/pickle-legacy-fifth", needs: &[], checks: CODE },
    Case { name: "hostile/pickle-line", needs: &[], checks: PICKLE },
    Case { name: "hostile/pickle-lists", needs: &[], checks: PICKLE },
    Case { name: "hostile/pickle-many", needs: &[], checks: PICKLE },
    Case { name: "hostile/pickle-memo", needs: &[], checks: PICKLE },
    Case { name: "hostile/pickle-memoize", needs: &[], checks: CODE },
    Case { name: "hostile/pickle-none", needs: &[], checks: PICKLE },
    Case { name: "hostile/pickle-overlapping", needs: &[], checks: PICKLE },
    Case { name: "hostile/pickle-recall", needs: &[], checks: PICKLE },
    Case { name: "hostile/pickle-storage", needs: &[], checks: PICKLE },
    Case { name: "hostile/pickle-texts", needs: &[], checks: PICKLE },
    Case { name: "hostile/pickle-upper-case", needs: &[], checks: CODE },
    Case {
        name: "hostile/serve-bodies-held",
        needs: &[],
        checks: &[
            AtMost("of 4 MB and wait: ", 500.0),
            AtMost("they have left: ", 500.0),
            Has(STOPPED),
        ],
    },
    Case {
        name: "hostile/serve-idle",
        needs: &[],
        checks: &[AtMost("/health 200 after ", 12.0), Has(STOPPED)],
    },
    Case {
        name: "hostile/serve-template-loops",
        needs: &[],
        checks: &[
            Times("'400 after ", 2),
            AtMost("'400 after ", 5.0),
            AtMost("over; a completion: 200 after ", 1.0),
            Has(STOPPED),
        ],
    },
    Case {
        name: "hostile/serve-unread",
        needs: &[],
        checks: &[AtMost("nobody reads: 200 after ", 10.0), Has(STOPPED)],
    },
    Case {
        name: "hostile/special-files",
        needs: &[],
        checks: &[Runs { exits: &[2], seconds: 3.0, peak_mb: 200 }],
    },
    Case {
        name: "hostile/stale-partials",
        needs: &[],
        checks: &[Has("exit 0"), LastLacks(".out.partial-")],
    },
    Case {
        name: "hostile/template-concat",
        needs: &[],
        checks: &[TEMPLATE, OF_TEMPLATE, Errors("text too long")],
    },
    Case {
        name: "hostile/template-deep-attr",
        needs: &[],
        checks: &[TEMPLATE, OF_TEMPLATE, Errors("nested too deeply")],
    },
    Case {
        name: "hostile/template-deep-filter",
        needs: &[],
        checks: &[TEMPLATE, OF_TEMPLATE, Errors("nested too deeply")],
    },
    Case {
        name: "hostile/template-deep-minus",
        needs: &[],
        checks: &[TEMPLATE, OF_TEMPLATE, Errors("nested too deeply")],
    },
    Case {
        name: "hostile/template-deep-not",
        needs: &[],
        checks: &[TEMPLATE, OF_TEMPLATE, Errors("nested too deeply")],
    },
    Case {
        name: "hostile/template-deep-value-print",
        needs: &[],
        checks: &[TEMPLATE, OF_TEMPLATE, Errors("value nested too deeply")],
    },
    Case {
        name: "hostile/template-format",
        needs: &[],
        checks: &[TEMPLATE, OF_TEMPLATE, Errors("text too long")],
    },
    Case {
        name: "hostile/template-indent",
        needs: &[],
        checks: &[TEMPLATE, OF_TEMPLATE, Errors("text too long")],
    },
    Case {
        name: "hostile/template-loops",
        needs: &[],
        checks: &[TEMPLATE, OF_TEMPLATE, Errors("too much work")],
    },
    Case {
        name: "hostile/template-nested-print",
        needs: &[],
        checks: &[TEMPLATE, OF_TEMPLATE, Errors("value too large")],
    },
    Case {
        name: "hostile/template-nested-value",
        needs: &[],
        checks: &[TEMPLATE, OF_TEMPLATE, Errors("value too large")],
    },
    Case {
        name: "hostile/template-output",
        needs: &[],
        checks: &[TEMPLATE, OF_TEMPLATE, Errors("prompt too long")],
    },
    Case {
        name: "hostile/template-replace-filter",
        needs: &[],
        checks: &[TEMPLATE, OF_TEMPLATE, Errors("text too long")],
    },
    Case {
        name: "hostile/template-slice",
        needs: &[],
        checks: &[TEMPLATE, OF_TEMPLATE, Errors("list too long")],
    },
    Case { name: "hostile/tokenizer-added-alternating-replace", needs: &[], checks: TOKENIZER },
    Case { name: "hostile/tokenizer-added-long", needs: &[], checks: TOKENIZER },
    Case { name: "hostile/tokenizer-decoder", needs: &[], checks: TOKENIZER },
    Case { name: "hostile/tokenizer-replace", needs: &[], checks: TOKENIZER },
    Case { name: "hostile/tokenizer-replace-long", needs: &[], checks: TOKENIZER },
    Case { name: "hostile/tokenizer-template", needs: &[], checks: TOKENIZER },
    Case { name: "hostile/tokenizer-wordpiece", needs: &[], checks: TOKENIZER },
];
