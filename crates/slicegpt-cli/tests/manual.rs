//! `completions` and `man`: the output is complete and agrees with the help texts.

use slicegpt_testkit::Cli;

fn stdout(args: &[&str]) -> String {
    Cli::new("").args(args).succeed().stdout
}

#[test]
fn every_shell_gets_its_completions() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = stdout(&["completions", shell]);
        for word in ["compress", "keep-params", "per-layer"] {
            // Not every shell can complete the values of options.
            assert!(script.contains(word) || shell != "bash", "{shell}: {word}");
        }
        assert!(script.contains("compress"), "{shell}");
    }
    Cli::new("completions tcsh").refuse(&["possible values: bash"]);
}

#[test]
fn bash_accepts_the_script() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("slicegpt.bash");
    std::fs::write(&file, stdout(&["completions", "bash"])).unwrap();
    let Ok(status) = std::process::Command::new("bash").arg("-n").arg(&file).status() else {
        return;
    };
    assert!(status.success());
}

#[test]
fn a_page_has_the_text_of_the_help() {
    let page = stdout(&["man", "eval", "ppl"]);
    assert!(page.contains(".TH") && page.contains("SYNOPSIS"), "{page}");
    assert!(page.contains("Perplexity, with its protocol"), "{page}");
    assert!(stdout(&["man", "compress"]).contains(".SH EXAMPLES\n.nf\n  slicegpt compress"));
    Cli::new("man slice").refuse(&["no command `slice`"]);
}

#[test]
fn all_pages_are_written() {
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("man1");
    stdout(&["man", "--out", out.to_str().unwrap()]);
    for page in ["slicegpt.1", "slicegpt-compress.1", "slicegpt-eval-ppl.1"] {
        assert!(out.join(page).is_file(), "{page}");
    }
    // Nothing else is written there.
    let others = std::fs::read_dir(&out)
        .unwrap()
        .filter(|entry| !entry.as_ref().unwrap().file_name().to_str().unwrap().ends_with(".1"));
    assert_eq!(others.count(), 0);
}

/// The same as on a disk that is full: files cannot grow beyond a few kilobytes.
#[cfg(unix)]
#[test]
fn where_a_page_cannot_be_written_no_directory_stays() {
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("share/man1");
    let limited = "trap '' XFSZ; ulimit -f 8; exec \"$0\" man --out \"$1\"";
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", limited, env!("CARGO_BIN_EXE_slicegpt")]).arg(&out);
    let output = shell.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("share/man1"));
    assert!(!scratch.path().join("share").exists());
}
