//! Texts and token files that are empty, invalid, or not for this model.

use safetensors::Dtype;

use crate::sandbox::{Sandbox, check_commands, none};

/// Checks that each file is refused by every option that takes a text or a token file.
fn check(sandbox: &Sandbox, rows: &[(&str, &[&str])]) {
    let mut complaints = Vec::new();
    for (file, says) in rows {
        for command in [
            format!("compress dense --out out --seqlen 32 --calibration {file}"),
            format!(
                "compress dense --out out --seqlen 32 --calibration good.safetensors \
                 --eval-text {file}"
            ),
            format!("eval ppl dense --seqlen 32 --text {file}"),
            format!("verify dense --seqlen 32 --text {file}"),
        ] {
            complaints.extend(sandbox.complaint(sandbox.slicegpt(".", &command), says));
        }
    }
    none(&complaints);
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new("models/ts-llama3-gqa");
    sandbox.tokens("good.safetensors", [2, 8], &[("input_ids", &[5; 16])]);
    sandbox
}

#[test]
fn files_without_text_are_refused() {
    let sandbox = sandbox();
    for (name, contents) in [
        ("empty.txt", &b""[..]),
        ("blank.txt", b" \n\n \t\r\n"),
        ("latin.txt", b"caf\xe9 au lait"),
        ("short.txt", b"Once upon a time"),
        ("empty.jsonl", b"\n\n"),
        ("broken.jsonl", b"{\"text\": \"a\"}\n{\"text\": \"b\"\n{\"text\": \"c\"}\n"),
        ("list.jsonl", b"[\"a\"]\n"),
        ("column.jsonl", b"{\"body\": \"a\"}\n"),
        ("number.jsonl", b"{\"text\": 3}\n"),
        ("null.jsonl", b"{\"text\": null}\n"),
        ("broken.json", b"[{\"text\": \"a\"}, {\"text\""),
        ("garbage.parquet", b"PAR1 is how they begin, and end: PAR1"),
        ("empty.parquet", b""),
    ] {
        sandbox.write(name, contents);
    }
    sandbox.create_dir("folder.txt");
    check(
        &sandbox,
        &[
            ("nowhere.txt", &["nowhere.txt"]),
            ("nowhere.parquet", &["nowhere.parquet"]),
            ("folder.txt", &["folder.txt"]),
            ("empty.txt", &["empty.txt", "no text"]),
            ("blank.txt", &["blank.txt", "no text"]),
            ("latin.txt", &["latin.txt", "UTF-8"]),
            ("short.txt", &["short.txt", "tokens", "32"]),
            ("empty.jsonl", &["empty.jsonl", "no text"]),
            ("broken.jsonl", &["broken.jsonl", "line 2"]),
            ("list.jsonl", &["list.jsonl", "line 1"]),
            ("column.jsonl", &["column.jsonl", "`text`", "`body`"]),
            ("column.jsonl --text-column story", &["column.jsonl", "`story`", "`body`"]),
            ("number.jsonl", &["number.jsonl", "line 1", "`text`"]),
            ("null.jsonl", &["null.jsonl", "no text"]),
            ("broken.json", &["broken.json"]),
            ("short.txt --text-column story", &["short.txt", "`story`"]),
            ("garbage.parquet", &["garbage.parquet"]),
            ("empty.parquet", &["empty.parquet"]),
        ],
    );
}

#[test]
fn token_files_hold_ids_of_this_model() {
    let sandbox = sandbox();
    let ids: [i64; 8] = [5, 6, 7, 2047, 0, 1, 2, 3];
    let with = |at: usize, id: i64| {
        let mut ids = ids;
        ids[at] = id;
        ids
    };
    sandbox.tokens("other.safetensors", [2, 4], &[("ids", &ids)]);
    sandbox.tokens("outside.safetensors", [2, 4], &[("input_ids", &with(5, 2048))]);
    sandbox.tokens("negative.safetensors", [2, 4], &[("input_ids", &with(2, -1))]);
    sandbox.tokens("huge.safetensors", [2, 4], &[("input_ids", &with(3, 1 << 40))]);
    sandbox.tokens("none.safetensors", [0, 4], &[("input_ids", &[])]);
    let masks = |mask| [("input_ids", &ids[..]), ("attention_mask", mask)];
    sandbox.tokens("padding.safetensors", [2, 4], &masks(&[1, 1, 1, 1, 0, 0, 0, 0]));
    sandbox.tokens("mask.safetensors", [2, 4], &masks(&[1; 8]));
    sandbox.replace("mask.safetensors", "attention_mask", Dtype::I64, &[2, 3]);
    sandbox.tokens("floats.safetensors", [2, 4], &[("input_ids", &ids)]);
    sandbox.replace("floats.safetensors", "input_ids", Dtype::F32, &[2, 4]);
    sandbox.tokens("cube.safetensors", [2, 4], &[("input_ids", &ids)]);
    sandbox.replace("cube.safetensors", "input_ids", Dtype::I64, &[2, 2, 2]);
    let good = sandbox.read("other.safetensors");
    sandbox.write("cut.safetensors", &good[..good.len() - 1]);
    sandbox.write("garbage.safetensors", [0xff; 100]);
    sandbox.write("empty.safetensors", "");
    let outside = "vocabulary of 2048";
    let rows: &[(&str, &[&str])] = &[
        ("nowhere.safetensors", &["nowhere.safetensors"]),
        ("other.safetensors", &["other.safetensors", "`input_ids`", "`ids`"]),
        ("other.safetensors:input", &["other.safetensors", "`input`", "`ids`"]),
        ("outside.safetensors", &["outside.safetensors", "2048", "sample 1, position 1", outside]),
        ("negative.safetensors", &["negative.safetensors", "`input_ids`", "-1"]),
        ("huge.safetensors", &["huge.safetensors", "`input_ids`", "1099511627776"]),
        ("none.safetensors", &["none.safetensors", "`input_ids`", "[0, 4]"]),
        ("padding.safetensors", &["padding.safetensors", "`attention_mask`", "sample 1"]),
        ("mask.safetensors", &["mask.safetensors", "`attention_mask`", "[2, 3]", "[2, 4]"]),
        ("floats.safetensors", &["floats.safetensors", "`input_ids`", "F32"]),
        ("cube.safetensors", &["cube.safetensors", "`input_ids`", "[2, 2, 2]"]),
        ("cut.safetensors", &["cut.safetensors"]),
        ("garbage.safetensors", &["garbage.safetensors"]),
        ("empty.safetensors", &["empty.safetensors"]),
    ];
    check(&sandbox, rows);
    let mut complaints = Vec::new();
    for (file, says) in rows {
        for command in ["eval ppl dense", "logits dense --out logits.safetensors"] {
            let command = format!("{command} --tokens {file}");
            complaints.extend(sandbox.complaint(sandbox.slicegpt(".", &command), says));
        }
    }
    none(&complaints);
    let rows: &[(&str, &[&str])] = &[
        ("eval ppl dense --tokens words.txt", &["words.txt", "safetensors"]),
        ("logits dense --tokens words.txt --out logits.safetensors", &["words.txt", "safetensors"]),
    ];
    check_commands(&sandbox, rows);
}

#[test]
fn a_sequence_of_one_token_has_nothing_to_score() {
    let rows: &[(&str, &[&str])] = &[
        ("eval ppl dense --tokens good.safetensors --seqlen 1", &["--seqlen"]),
        ("eval ppl dense --tokens good.safetensors --ignore-token-id 5", &["--ignore-token-id"]),
    ];
    check_commands(&sandbox(), rows);
}

/// Whatever is wrong with several texts, or with conversations, the error names the option and
/// comes before the model is read.
#[test]
fn mixtures_that_cannot_be_made_are_refused() {
    let sandbox = sandbox();
    sandbox.write("story.txt", "Once upon a time there was a cat. ".repeat(100));
    sandbox.write("short.txt", "Once upon a time");
    let option = "--calibration";
    let rows: &[(&str, &[&str])] = &[
        ("story.txt=0", &[option, "share"]),
        ("story.txt=-0.5", &[option, "share"]),
        ("story.txt=nan", &[option, "share"]),
        ("=0.5", &[option, "name of a text"]),
        ("story.txt=1 --calibration self", &[option, "nothing is left"]),
        ("story.txt --calibration nowhere.txt=0.5", &[option, "nowhere.txt"]),
        ("self=0.5 --calibration nowhere.safetensors", &[option, "nowhere.safetensors"]),
        ("self --calibration short.txt", &[option, "short.txt", "32", "--seqlen"]),
        ("story.txt --calibration story.txt=0.5", &[option, "`story.txt`", "twice"]),
        ("story.txt --calibration self --samples 1", &[option, "2 texts", "--samples"]),
        ("self:chat", &[option, "self:chat", "dense", "no chat template"]),
        ("self --samples some", &["--samples", "auto"]),
    ];
    let mut all: Vec<(String, &[&str])> = Vec::new();
    for (options, says) in rows {
        for command in ["compress dense --out out", "calibrate dense --out stats"] {
            all.push((format!("{command} --seqlen 32 --calibration {options}"), says));
        }
    }
    check_commands(&sandbox, &all);
}

#[test]
fn chat_templates_that_show_no_turns_are_refused() {
    let sandbox = sandbox();
    let command = "compress dense --out out --calibration self:chat";
    let whole = "{% for m in messages %}{{ m.role }}: {{ m.content }}. {% endfor %}assistant: ";
    for (template, options, says) in [
        ("Hello.", "", "does not show"),
        ("{{ messages[0].content }}", "", "does not show"),
        ("{% if %}", "", "syntax error"),
        ("{{ raise_exception('no follow-up') }}", "", "no follow-up"),
        (whole, "--seqlen 4", "--seqlen"),
    ] {
        sandbox.write("dense/chat_template.jinja", template);
        let says: &[&str] = &["--calibration", says];
        check_commands(&sandbox, &[(format!("{command} {options}"), says)]);
    }
}

/// With padding on the left, the first tokens of all sequences may be padding.
#[test]
fn samples_of_padding_alone_are_refused() {
    let sandbox = sandbox();
    let mask = [0, 0, 0, 1, 1, 1, 1, 1].repeat(2);
    let tensors = [("input_ids", &[5; 16][..]), ("attention_mask", &mask)];
    sandbox.tokens("left.safetensors", [2, 8], &tensors);
    let rows: &[(&str, &[&str])] = &[
        (
            "compress dense --out out --calibration left.safetensors --seqlen 3",
            &["left.safetensors", "padding"],
        ),
        ("eval ppl dense --tokens left.safetensors --seqlen 3", &["left.safetensors", "padding"]),
    ];
    check_commands(&sandbox, rows);
}

#[test]
fn text_needs_a_tokenizer() {
    let rows: &[(&str, &[&str])] = &[
        ("compress dense --out out", &["dense", "tokenizer.json", "safetensors"]),
        ("compress dense --out out --calibration story.txt", &["dense", "tokenizer.json"]),
        (
            "compress dense --out out --calibration good.safetensors --eval-text story.txt",
            &["dense", "tokenizer.json"],
        ),
        ("eval ppl dense --text story.txt", &["dense", "tokenizer.json", "safetensors"]),
        ("verify dense --text story.txt", &["dense", "tokenizer.json", "safetensors"]),
    ];
    let sandbox = sandbox();
    sandbox.write("story.txt", "Once upon a time there was a cat. ".repeat(100));
    sandbox.remove("dense/tokenizer.json");
    check_commands(&sandbox, rows);
    let says = &["dense/tokenizer.json", "download the tokenizer again"][..];
    let rows: Vec<_> = rows.iter().map(|(command, _)| (*command, says)).collect();
    let tokenizer = Sandbox::new("models/ts-llama3-gqa").read("dense/tokenizer.json");
    let half = &tokenizer[..tokenizer.len() / 2];
    for broken in
        [b"", &b"{}"[..], b"[]", b"{\"model\": {\"type\": \"Unknown\"}}", half, b"\xff\xfe"]
    {
        sandbox.write("dense/tokenizer.json", broken);
        check_commands(&sandbox, &rows);
    }
}

/// The library that reads tokenizers panics at this one. Still, only the error may be printed.
#[test]
fn a_tokenizer_that_contradicts_itself_is_refused() {
    let sandbox = sandbox();
    sandbox.write("story.txt", "Once upon a time there was a cat. ".repeat(100));
    sandbox.json("dense/tokenizer.json", |tokenizer| {
        let mut emptied = 0;
        for processor in tokenizer["post_processor"]["processors"].as_array_mut().unwrap() {
            if let Some(special) = processor.get_mut("special_tokens") {
                *special = serde_json::json!({});
                emptied += 1;
            }
        }
        assert_eq!(emptied, 1, "a template among the processors");
    });
    let rows: &[(&str, &[&str])] = &[
        ("compress dense --out out --calibration story.txt", &["dense/tokenizer.json"]),
        ("eval ppl dense --text story.txt --seqlen 16", &["dense/tokenizer.json"]),
    ];
    check_commands(&sandbox, rows);
}

#[test]
fn a_tokenizer_of_another_model_is_refused() {
    let sandbox = sandbox();
    sandbox.write("story.txt", "Once upon a time there was a cat. ".repeat(100));
    let other = Sandbox::new("families/llama2");
    for name in ["config.json", "model.safetensors"] {
        sandbox.write(&format!("dense/{name}"), other.read(&format!("dense/{name}")));
    }
    check(&sandbox, &[("story.txt", &["tokenizer", "vocabulary of 64"])]);
}

/// The error names the option, and comes before any work: the calibration text is damaged too, and
/// is not read yet.
#[test]
fn texts_to_evaluate_on_are_checked_first() {
    let sandbox = sandbox();
    sandbox.write("story.txt", "Once upon a time there was a cat. ".repeat(100));
    sandbox.write("short.txt", "Once upon a time");
    // It exists, and is read only after the texts to evaluate on.
    sandbox.write("broken.parquet", "no table");
    sandbox.create_dir("other");
    sandbox.write("other/story.txt", "Once upon a time there was a dog. ".repeat(100));
    let twice = "--seqlen 32 --eval-text story.txt --eval-text";
    let rows: &[(&str, &[&str])] = &[
        ("--eval-text nowhere.txt", &["--eval-text nowhere.txt", "No such file"]),
        ("--eval-text short.txt", &["--eval-text short.txt", "tokens", "needs 512", "--seqlen"]),
        ("--eval-text good.safetensors:ids", &["--eval-text good.safetensors:ids", "`input_ids`"]),
        (
            "--eval-text good.safetensors --seqlen 1",
            &["--eval-text good.safetensors", "no token is left", "--seqlen"],
        ),
        (
            "--eval-text good.safetensors --ignore-token-id 5",
            &["--eval-text good.safetensors", "no token is left", "--ignore-token-id"],
        ),
        (&format!("{twice} nowhere.txt"), &["--eval-text nowhere.txt"]),
        (&format!("{twice} other/story.txt"), &["--eval-text other/story.txt", "has the name of"]),
        ("--eval-text story.txt --eval-prompts=-1", &["--eval-prompts", "-1"]),
        ("--eval-text story.txt --eval-max-samples 0", &["--eval-max-samples", "0"]),
    ];
    let all = |(options, says): &(&str, _)| {
        (format!("compress dense --out out --calibration broken.parquet {options}"), *says)
    };
    check_commands(&sandbox, &rows.iter().map(all).collect::<Vec<_>>());
    sandbox.remove("dense/tokenizer.json");
    let says = &["--eval-text story.txt", "tokenizer.json"][..];
    let command = "compress dense --out out --calibration good.safetensors --eval-text story.txt";
    check_commands(&sandbox, &[(command, says)]);
}
