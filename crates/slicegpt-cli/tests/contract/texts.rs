//! What texts may be: several of them, conversations, what comes through a pipe; and tokenizers
//! without `tokenizer.json`.

use serde_json::{Value, json};
use slicegpt_testkit::{TRAINED, Workshop, read_json};

/// A copy of the model in the folder `chat`, with a chat template.
fn with_template(template: &str) -> Workshop {
    let workshop = copied(TRAINED);
    workshop.write("chat/chat_template.jinja", template);
    workshop
}

/// A copy of the model in the folder `chat`.
fn copied(case: &str) -> Workshop {
    let workshop = Workshop::new(case);
    std::fs::create_dir(workshop.path("chat")).unwrap();
    for entry in std::fs::read_dir(workshop.model("")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        workshop.write(&format!("chat/{name}"), std::fs::read(&path).unwrap());
    }
    workshop
}

#[test]
fn several_texts_have_a_result_each() {
    let workshop = Workshop::new(TRAINED);
    let text =
        std::fs::read_to_string(slicegpt_testkit::fixtures().join("text/valid.txt")).unwrap();
    let (first, second) = text.split_at(text.len() / 2);
    workshop.write("a.txt", first);
    workshop.write("b.txt", second);
    for command in ["eval ppl MODEL", "eval kl MODEL MODEL"] {
        let command = format!("{command} --seqlen 32 --max-samples 2");
        let each =
            ["a.txt", "b.txt"].map(|text| workshop.json(&format!("{command} --text {text}")));
        let both = workshop.json(&format!("{command} --text a.txt --text b.txt"));
        assert_eq!(both, json!({ "texts": each }), "{command}");
        let table = workshop.succeed(&format!("{command} --text a.txt --text b.txt")).stdout;
        let header = table.lines().next().unwrap();
        assert!(header.contains("a.txt") && header.contains("b.txt"), "{table}");
    }
    let results = workshop.succeed("eval ppl MODEL --json --text a.txt --text b.txt --seqlen 32");
    workshop.write("ppl.json", results.stdout);
    workshop.json("compress MODEL --out out --samples 2 --seqlen 32");
    workshop.succeed("report out --base MODEL --results ppl.json --out page.html");
    let page = std::fs::read_to_string(workshop.path("page.html")).unwrap();
    assert!(page.contains("a.txt") && page.contains("b.txt"));
}

#[test]
fn conversations_go_through_the_chat_template() {
    let template = "{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor \
                    %}{% if add_generation_prompt %}NO{% endif %}";
    let workshop = with_template(template);
    let conversation = |i: usize| {
        json!({"messages": [
            {"role": "user", "content": format!("Tell a story of {i} cats and a dog.")},
            {"role": "assistant", "content": "Once upon a time there was a big red ball."},
        ]})
    };
    let lines: Vec<String> = (0..40).map(|i| conversation(i).to_string()).collect();
    workshop.write("chats.jsonl", lines.join("\n"));
    // The same as text: each begins with the token that the template writes.
    let config = read_json(&workshop.path("chat/tokenizer_config.json"));
    let bos = config["bos_token"].as_str().unwrap_or_default().to_string();
    let rendered = |i: usize| {
        format!(
            "{bos}<user>Tell a story of {i} cats and a dog.\n\
             <assistant>Once upon a time there was a big red ball.\n"
        )
    };
    let all: String = (0..40).map(rendered).collect();
    // The tokenizer puts the token before a text by itself.
    workshop.write("text.txt", all.strip_prefix(&bos).unwrap());
    let score = |file: &str| workshop.json(&format!("eval ppl chat --text {file} --seqlen 32"));
    let (chats, text) = (score("chats.jsonl"), score("text.txt"));
    for key in ["perplexity", "tokens", "samples"] {
        assert_eq!(chats[key], text[key], "{key}");
    }
    let command = "compress chat --out out --seqlen 32 --samples 4 --calibration chats.jsonl";
    assert_eq!(workshop.json(command)["calibration"]["samples"], 4);
    let refused = workshop.run("eval ppl MODEL --text chats.jsonl");
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("line 1: column `messages`: "), "{}", refused.stderr);
    assert!(refused.stderr.contains("has no chat template"), "{}", refused.stderr);
}

/// Replaces the `tokenizer.json` of the copy by `vocab.json` and `merges.txt`.
fn split_tokenizer(workshop: &Workshop) {
    let tokenizer = read_json(&workshop.path("chat/tokenizer.json"));
    std::fs::remove_file(workshop.path("chat/tokenizer.json")).unwrap();
    let line = |merge: &Value| match merge {
        Value::String(pair) => pair.clone(),
        pair => format!("{} {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()),
    };
    let merges = tokenizer["model"]["merges"].as_array().unwrap();
    let merges: Vec<String> = merges.iter().map(line).collect();
    workshop.write("chat/merges.txt", format!("#version: 0.2\n{}\n", merges.join("\n")));
    workshop.write("chat/vocab.json", tokenizer["model"]["vocab"].to_string());
    let mut config = read_json(&workshop.path("chat/tokenizer_config.json"));
    config["tokenizer_class"] = "GPT2Tokenizer".into();
    config["add_bos_token"] = true.into();
    workshop.write("chat/tokenizer_config.json", config.to_string());
}

#[test]
fn a_tokenizer_may_be_vocabulary_and_merges() {
    let workshop = copied("models/ts-opt");
    let prompt = "eval ppl chat --text FIXTURES/text/valid.txt --seqlen 64 --max-samples 4";
    let expected = workshop.json(prompt);
    split_tokenizer(&workshop);
    assert_eq!(workshop.json(prompt), expected);
    // What was cut has it too.
    workshop.json("compress chat --out out --samples 2 --seqlen 32");
    workshop.json("eval ppl out --text FIXTURES/text/valid.txt --seqlen 64 --max-samples 1");
    // A GGUF file is made of `tokenizer.json`.
    let workshop = copied(TRAINED);
    split_tokenizer(&workshop);
    let refused = workshop.run("export gguf chat --out chat.gguf");
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("save_pretrained("), "{}", refused.stderr);
}

#[cfg(unix)]
#[test]
fn a_text_may_come_through_a_pipe() {
    let workshop = Workshop::new(TRAINED);
    let command = "eval ppl MODEL --seqlen 32 --max-samples 2 --text";
    let expected = workshop.json(&format!("{command} FIXTURES/text/valid.txt"));
    // More than a pipe holds, so that the writer waits for the command.
    let text = std::fs::read(slicegpt_testkit::fixtures().join("text/valid.txt")).unwrap();
    let text = text.repeat(1 + (200 << 10) / text.len());
    let pipe = workshop.path("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let refused = workshop.run(&format!("{command} pipe"));
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("pipe: nothing comes through the pipe"), "{}", refused.stderr);
    // Opened for reading as well, so that it is open before the command begins.
    let writer = std::fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    let thread = std::thread::spawn(move || std::io::Write::write_all(&mut { writer }, &text));
    let found = workshop.json(&format!("{command} pipe"));
    thread.join().unwrap().unwrap();
    assert_eq!(found["perplexity"], expected["perplexity"]);
}
