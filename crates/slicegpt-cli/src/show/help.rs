//! The parts of `--help` that clap does not derive: commands grouped by task, and examples. The
//! description of a command is declared with the command.

use std::fmt::Write;

use clap::Command;

/// The commands, grouped by task.
const TASKS: &[(&str, &[&str])] = &[
    ("Look at a model", &["inspect", "plan", "verify"]),
    ("Make it smaller", &["compress", "calibrate", "finetune", "merge", "import"]),
    ("Judge it", &["eval", "logits", "bench", "report"]),
    ("Use it", &["generate", "chat", "serve", "export"]),
    ("This program", &["devices", "completions", "man", "help"]),
];

/// Example command lines, by command.
const EXAMPLES: &[(&str, &[&str])] = &[
    ("inspect", &["slicegpt inspect dense", "slicegpt inspect small --json"]),
    (
        "plan",
        &[
            "slicegpt plan dense --keep-params 0.75",
            "slicegpt plan dense --keep-params 0.75 --search --calibration calibration.txt",
        ],
    ),
    ("verify", &["slicegpt verify dense"]),
    (
        "compress",
        &[
            "slicegpt compress dense --keep-params 0.75 --out small --calibration chat.jsonl",
            "slicegpt compress dense --out small --samples auto --calibration chat.jsonl=0.7 \
             --calibration self=0.3",
            "slicegpt compress dense --target-bytes 2GB --align 256 --out small",
            "slicegpt compress dense --method per-layer --sparsity 0.25 --out small \
             --eval-text test.txt --eval-text web.jsonl",
        ],
    ),
    (
        "finetune",
        &[
            "slicegpt finetune small --out tuned --train train.txt --distill dense",
            "slicegpt finetune small --out tuned --train chat.jsonl --full --epochs 2",
        ],
    ),
    ("calibrate", &["slicegpt calibrate dense --calibration chat.jsonl --out dense.stats"]),
    (
        "eval",
        &[
            "slicegpt eval ppl small --text test.txt",
            "slicegpt eval kl dense small --text test.txt",
            "slicegpt eval tasks small --tasks piqa,arc_easy,lambada_openai --data zeroshot",
            "slicegpt eval tasks small --tasks mmlu --data mmlu --num-fewshot 5 --json",
        ],
    ),
    ("logits", &["slicegpt logits small --tokens ids.safetensors --out logits.safetensors"]),
    (
        "generate",
        &[
            "slicegpt generate small --prompt 'Once upon a time' -n 100",
            "slicegpt generate small -f question.txt --chat --temperature 0.7 --seed 1",
        ],
    ),
    ("chat", &["slicegpt chat small --system 'You answer in one sentence.'"]),
    (
        "report",
        &[
            "slicegpt report small --out report.html",
            "slicegpt report small smaller smallest --base dense --out report.html \
             --results kl.json tasks.json",
        ],
    ),
    (
        "bench",
        &[
            "slicegpt bench dense small --prefill 512 --batch 1,8",
            "slicegpt bench dense small --memory 24GB --format csv",
            "slicegpt bench dense small --device cpu,cuda:0",
        ],
    ),
    ("merge", &["slicegpt merge small adapter --out tuned"]),
    (
        "import",
        &[
            "slicegpt import gguf model-q4_k_m.gguf --out dense",
            "slicegpt import sliced_models/ --base dense --out small",
        ],
    ),
    (
        "serve",
        &[
            "slicegpt serve small --port 8080",
            "slicegpt serve small --host 0.0.0.0 --api-key secret --max-sequences 16",
        ],
    ),
    ("export", &["slicegpt export gguf small --out small.gguf --type q4_k_m"]),
    ("devices", &["slicegpt devices"]),
    (
        "completions",
        &["slicegpt completions bash", "slicegpt completions zsh", "slicegpt completions fish"],
    ),
    ("man", &["slicegpt man compress", "slicegpt man --out /usr/local/share/man/man1"]),
];

/// `command` with its subcommands grouped by task, and examples after the help of each.
pub fn arranged(command: Command) -> Command {
    let header = *command.get_styles().get_header();
    let literal = *command.get_styles().get_literal();
    let mut tasks = String::new();
    for (task, names) in TASKS {
        let _ = writeln!(tasks, "{header}{task}:{header:#}");
        for name in *names {
            let about = match command.find_subcommand(name) {
                Some(found) => found.get_about().map(ToString::to_string).unwrap_or_default(),
                None => "Print this message or the help of a command".into(),
            };
            let _ = writeln!(tasks, "  {literal}{name:<12}{literal:#}{about}");
        }
        tasks.push('\n');
    }
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{tasks}\
         {header}Options:{header:#}\n{{options}}\n\n\
         `slicegpt COMMAND --help` says more, with examples.\n"
    );
    let mut command = command.help_template(template);
    for (name, lines) in EXAMPLES {
        let mut text = format!("{header}Examples:{header:#}");
        lines.iter().for_each(|line| {
            let _ = write!(text, "\n  {line}");
        });
        command = command.mut_subcommand(name, |found| found.after_help(text));
    }
    command
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::Cli;

    #[test]
    fn every_command_has_its_task_and_its_examples() {
        let command = Cli::command();
        let mut declared: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
        declared.sort_unstable();
        let mut examples: Vec<&str> = EXAMPLES.iter().map(|(name, _)| *name).collect();
        examples.sort_unstable();
        assert_eq!(declared, examples);
        declared.push("help");
        declared.sort_unstable();
        let mut shown: Vec<&str> =
            TASKS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        shown.sort_unstable();
        assert_eq!(declared, shown);
    }

    #[test]
    fn examples_are_understood() {
        for (name, lines) in EXAMPLES {
            for line in *lines {
                let words = shlex::split(line).expect("a shell understands it");
                assert_eq!(words[..2], ["slicegpt", name]);
                if let Err(error) = arranged(Cli::command()).try_get_matches_from(words) {
                    panic!("{line}: {error}");
                }
            }
        }
    }

    #[test]
    fn help_shows_tasks_and_what_commands_do() {
        let help = arranged(Cli::command()).render_long_help().to_string();
        for text in ["Look at a model:", "  compress    Slice a checkpoint", "--version"] {
            assert!(help.contains(text), "{text}: {help}");
        }
        let compress = arranged(Cli::command());
        let help = compress.find_subcommand("compress").unwrap().clone().render_help().to_string();
        assert!(help.contains("Examples:\n  slicegpt compress"), "{help}");
        Cli::command().debug_assert();
    }
}
