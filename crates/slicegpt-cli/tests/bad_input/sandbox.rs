//! [`Sandbox`]: a folder with a checkpoint that tests may damage, and the checks of refusals.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use slicegpt_testkit::{Cli, fixtures};
use tempfile::TempDir;

/// The commands that read weights.
pub const READERS: &[&str] =
    &["inspect dense", VERIFY, "eval ppl dense --tokens tokens.safetensors", LOGITS, COMPRESS];
pub const COMPRESS: &str = "compress dense --out out --calibration tokens.safetensors";
pub const LOGITS: &str = "logits dense --tokens tokens.safetensors --out logits.safetensors";
pub const VERIFY: &str = "verify dense";
/// Commands that read a checkpoint or only its config.
pub const ALL: &[&str] =
    &[READERS[0], READERS[1], READERS[2], READERS[3], READERS[4], "plan dense"];

/// A temporary folder with the checkpoint `dense`, and `tokens.safetensors` with token ids for it.
pub struct Sandbox(TempDir);

impl Sandbox {
    /// A sandbox with a copy of `fixtures/{case}`.
    pub fn new(case: &str) -> Self {
        let sandbox = Self(tempfile::tempdir().unwrap());
        fs::create_dir(sandbox.path("dense")).unwrap();
        for entry in fs::read_dir(fixtures().join(case)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if !name.starts_with("expected") {
                sandbox.write(&format!("dense/{name}"), fs::read(entry.path()).unwrap());
            }
        }
        let tokens = fixtures().join("families/llama2/expected.safetensors");
        sandbox.write("tokens.safetensors", fs::read(tokens).unwrap());
        sandbox
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        fs::write(self.path(name), contents).unwrap();
    }

    pub fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    pub fn create_dir(&self, name: &str) {
        fs::create_dir_all(self.path(name)).unwrap();
    }

    /// Edits a JSON file.
    pub fn json(&self, name: &str, edit: impl FnOnce(&mut Value)) {
        let mut json = serde_json::from_slice(&self.read(name)).unwrap();
        edit(&mut json);
        self.write(name, json.to_string());
    }

    /// Edits the header and the data of a safetensors file, and corrects the length of the header.
    pub fn parts(&self, name: &str, edit: impl FnOnce(&mut Value, &mut Vec<u8>)) {
        let mut bytes = self.read(name);
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let mut data = bytes.split_off(8 + length);
        let mut header = serde_json::from_slice(&bytes[8..]).unwrap();
        edit(&mut header, &mut data);
        self.write_parts(name, header.to_string().as_bytes(), &data);
    }

    /// Writes a safetensors file with any header.
    pub fn write_parts(&self, name: &str, header: &[u8], data: &[u8]) {
        let length = (header.len() as u64).to_le_bytes();
        self.write(name, [&length, header, data].concat());
    }

    /// Applies `edit` to the bytes of a tensor.
    pub fn tensor(&self, file: &str, tensor: &str, edit: impl FnOnce(&mut [u8])) {
        self.parts(file, |header, data| {
            let offsets = header[tensor]["data_offsets"].as_array().unwrap();
            let [start, end] = [0, 1].map(|i| offsets[i].as_u64().unwrap() as usize);
            edit(&mut data[start..end]);
        });
    }

    /// Replaces a tensor by zeros of this type and shape, or adds it.
    pub fn replace(&self, file: &str, tensor: &str, dtype: Dtype, shape: &[usize]) {
        let bytes = self.read(file);
        let zeros = vec![0; shape.iter().product::<usize>() * dtype.bitsize() / 8];
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let zeros = TensorView::new(dtype, shape.to_vec(), &zeros).unwrap();
        let others = tensors.iter().filter(|(name, _)| *name != tensor);
        let all = others.chain([(tensor, zeros)]);
        self.write(file, safetensors::serialize(all, None).unwrap());
    }

    /// Writes a file of integer tensors of one shape.
    pub fn tokens(&self, file: &str, shape: [usize; 2], tensors: &[(&str, &[i64])]) {
        let bytes: Vec<(&str, Vec<u8>)> = tensors
            .iter()
            .map(|(name, ids)| (*name, ids.iter().flat_map(|id| id.to_le_bytes()).collect()))
            .collect();
        let views = bytes.iter().map(|(name, bytes)| {
            (*name, TensorView::new(Dtype::I64, shape.to_vec(), bytes).unwrap())
        });
        self.write(file, safetensors::serialize(views, None).unwrap());
    }

    /// `slicegpt` with the arguments in `command`, in folder `from` of the sandbox.
    pub fn slicegpt(&self, from: &str, command: &str) -> Cli {
        self.prepare(Cli::new(command), from)
    }

    /// `slicegpt` started by a shell after `before`, which may lower limits.
    #[cfg(unix)]
    pub fn after(&self, before: &str, command: &str) -> Cli {
        let mut shell = std::process::Command::new("sh");
        let script = format!("{before}; exec \"$0\" {command}");
        shell.arg("-c").arg(script).arg(Cli::program());
        self.prepare(Cli::from_command(shell), ".")
    }

    fn prepare(&self, command: Cli, from: &str) -> Cli {
        // With this variable, an error must still be one line without a backtrace.
        command.env("RUST_BACKTRACE", "1").current_dir(self.path(from))
    }

    /// What is wrong with the way `command` is refused, or `None`. The error must contain all of
    /// `says`, and nothing in the sandbox may change.
    pub fn complaint(&self, command: Cli, says: &[&str]) -> Option<String> {
        let before = self.contents();
        let run = command.run();
        let changed = changes(&before, &self.contents());
        let fault = (!changed.is_empty()).then(|| format!("changed on disk: {changed:?}"));
        run.refusal_fault(says).or(fault)
    }

    /// Everything in the sandbox: files with their bytes, links with their targets, folders.
    fn contents(&self) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        let mut all = BTreeMap::new();
        collect(self.0.path(), &mut all);
        all
    }
}

fn collect(directory: &Path, all: &mut BTreeMap<PathBuf, Option<Vec<u8>>>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let kind = fs::symlink_metadata(&path).unwrap().file_type();
        let contents = match (kind.is_dir(), kind.is_symlink()) {
            (true, _) => None,
            (_, true) => Some(fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()),
            (_, false) => Some(fs::read(&path).unwrap_or_default()),
        };
        if kind.is_dir() {
            collect(&path, all);
        }
        all.insert(path, contents);
    }
}

/// The paths that differ.
fn changes<V: PartialEq>(
    before: &BTreeMap<PathBuf, V>,
    after: &BTreeMap<PathBuf, V>,
) -> Vec<PathBuf> {
    let paths = before.keys().chain(after.keys().filter(|path| !before.contains_key(*path)));
    paths.filter(|path| before.get(*path) != after.get(*path)).cloned().collect()
}

/// A way to damage a sandbox, and words that the error must contain.
pub type Damage<'a> = (&'a dyn Fn(&Sandbox), &'a [&'a str]);

/// Checks that all `commands` refuse `fixtures/{case}` after each damage.
pub fn check_damages(case: &str, commands: &[&str], damages: &[Damage<'_>]) {
    let mut complaints = Vec::new();
    for (damage, says) in damages {
        let sandbox = Sandbox::new(case);
        damage(&sandbox);
        complaints.extend(
            commands.iter().filter_map(|c| sandbox.complaint(sandbox.slicegpt(".", c), says)),
        );
    }
    none(&complaints);
}

/// Checks that each command is refused in `sandbox` with an error that contains the words next to
/// it.
pub fn check_commands<C: AsRef<str>>(sandbox: &Sandbox, rows: &[(C, &[&str])]) {
    let complaint = |(command, says): &(C, &[&str])| {
        sandbox.complaint(sandbox.slicegpt(".", command.as_ref()), says)
    };
    none(&rows.iter().filter_map(complaint).collect::<Vec<_>>());
}

/// Fails with all complaints at once, so that one wrong row of a table does not hide another.
pub fn none(complaints: &[String]) {
    assert!(complaints.is_empty(), "{} complaints:\n\n{}", complaints.len(), complaints.join("\n"));
}
