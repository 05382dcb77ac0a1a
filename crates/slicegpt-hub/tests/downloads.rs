//! Downloads from a Hub: what is requested, where files are stored, and what interruptions leave.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use slicegpt_hub::{DownloadObserver, HubError, HubSettings, ModelId, Need, Snapshot};
use slicegpt_testkit::HubServer;

const MODEL: Need = Need::Model(|name| name.starts_with("tokenizer"));

/// A Hub with `org/name`, and an empty cache.
struct Fixture {
    hub: HubServer,
    cache: tempfile::TempDir,
    settings: HubSettings,
}

/// A file of weights that is longer than the download buffer.
fn weights() -> Vec<u8> {
    (0..300_000_u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect()
}

fn files(names: &[&str]) -> BTreeMap<String, Vec<u8>> {
    let contents = |name: &str| match name {
        name if name.ends_with(".index.json") => {
            let [one, two] = [1, 2].map(|i| format!("model 0000{i}.safetensors"));
            format!(r#"{{"weight_map": {{"a": "{one}", "b": "{two}", "c": "{one}"}}}}"#)
                .into_bytes()
        }
        name if name.ends_with(".json") => b"{}".to_vec(),
        name => [name.as_bytes(), &weights()].concat(),
    };
    names.iter().map(|name| (name.to_string(), contents(name))).collect()
}

impl Fixture {
    fn new(names: &[&str]) -> Self {
        let hub = HubServer::start();
        hub.add_files("org/name", files(names));
        let cache = tempfile::tempdir().unwrap();
        let settings = HubSettings {
            endpoint: hub.endpoint().parse().unwrap(),
            cache: cache.path().to_path_buf(),
            token: None,
            offline: false,
            patience: Duration::from_millis(400),
            retries: 3,
            pause: Duration::from_millis(1),
        };
        Self { hub, cache, settings }
    }

    fn single() -> Self {
        Self::new(&["config.json", "model.safetensors", "tokenizer.json", "README.md"])
    }

    fn get(&self, need: Need) -> Result<PathBuf, HubError> {
        self.watched(need, &mut ())
    }

    fn watched(
        &self,
        need: Need,
        observer: &mut dyn DownloadObserver,
    ) -> Result<PathBuf, HubError> {
        let id = ModelId::parse("org/name").unwrap();
        Snapshot::open(&id, &self.settings, observer)?.directory(need, observer)
    }

    /// Downloads the model, and checks that its weights are those of the Hub.
    fn get_whole(&self) -> PathBuf {
        let directory = self.get(MODEL).unwrap();
        let held = self.hub.state().models["org/name"].files["model.safetensors"].clone();
        assert!(std::fs::read(directory.join("model.safetensors")).unwrap() == held);
        directory
    }

    fn blobs(&self) -> Vec<String> {
        names(&self.cache.path().join("models--org--name/blobs"))
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|e| e.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[derive(Default)]
struct Seen {
    begun: Vec<(String, Option<u64>, u64)>,
    bytes: u64,
    stop_after: Option<u64>,
    warnings: Vec<String>,
}

impl DownloadObserver for Seen {
    fn begin(&mut self, file: &str, size: Option<u64>, from: u64) {
        self.begun.push((file.into(), size, from));
    }

    fn advance(&mut self, bytes: u64) -> ControlFlow<()> {
        self.bytes += bytes;
        match self.stop_after {
            Some(most) if self.bytes >= most => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }

    fn end(&mut self) {}

    fn warn(&mut self, message: &str) {
        self.warnings.push(message.into());
    }
}

/// Other users may share a cache: its files have the permissions that the umask gives.
#[cfg(unix)]
#[test]
fn stored_files_are_readable_by_other_users() {
    use std::os::unix::fs::PermissionsExt;

    let fixture = Fixture::single();
    fixture.get_whole();
    let folder = fixture.cache.path().join("models--org--name");
    std::fs::write(folder.join("any"), "").unwrap();
    let mode = |name: &str| folder.join(name).metadata().unwrap().permissions().mode();
    assert_eq!(mode("refs/main"), mode("any"));
}

#[test]
fn needed_files_are_stored_in_the_layout_of_huggingface_hub() {
    let fixture = Fixture::single();
    let directory = fixture.get(Need::Config).unwrap();
    assert_eq!(fixture.hub.downloaded(), ["config.json"]);
    let commit = fixture.hub.state().models["org/name"].commit.clone();
    let folder = fixture.cache.path().join("models--org--name");
    assert_eq!(directory, folder.join("snapshots").join(&commit));
    assert_eq!(fixture.get_whole(), directory);
    // The tokenizer's file has the same contents as another file.
    assert_eq!(fixture.hub.downloaded(), ["model.safetensors"]);
    assert_eq!(names(&directory), ["config.json", "model.safetensors", "tokenizer.json"]);
    assert_eq!(std::fs::read_to_string(folder.join("refs/main")).unwrap(), commit);
    assert_eq!(fixture.blobs().len(), 2);
    #[cfg(unix)]
    for name in names(&directory) {
        let target = std::fs::read_link(directory.join(&name)).unwrap();
        assert!(target.starts_with("../../blobs"), "{name} -> {}", target.display());
    }
    // Files in the cache are not requested again.
    fixture.get_whole();
    assert!(fixture.hub.downloaded().is_empty());
}

#[test]
fn the_shards_of_the_index_are_downloaded() {
    let shards = ["model 00001.safetensors", "model 00002.safetensors"];
    let index = "model.safetensors.index.json";
    let other = ["config.json", "other.safetensors", "pytorch_model.bin"];
    let fixture = Fixture::new(&[&shards[..], &[index], &other].concat());
    let directory = fixture.get(MODEL).unwrap();
    let asked = ["config.json", index, "model%2000001.safetensors", "model%2000002.safetensors"];
    assert_eq!(fixture.hub.downloaded(), asked);
    let there: Vec<_> = [&["config.json"], &shards[..], &[index]].concat();
    assert_eq!(names(&directory), there);
}

#[test]
fn a_new_commit_shares_unchanged_files() {
    let fixture = Fixture::single();
    let old = fixture.get_whole();
    let mut changed = fixture.hub.state().models["org/name"].files.clone();
    changed.insert("config.json".into(), b"{ }".to_vec());
    fixture.hub.add_files("org/name", changed);
    fixture.hub.downloaded();
    let new = fixture.get_whole();
    assert_ne!(old, new);
    assert_eq!(fixture.hub.downloaded(), ["config.json"]);
    assert_eq!(std::fs::read_to_string(old.join("config.json")).unwrap(), "{}");
    assert_eq!(std::fs::read_to_string(new.join("config.json")).unwrap(), "{ }");
}

#[test]
fn a_revision_may_be_a_commit() {
    let fixture = Fixture::single();
    let commit = fixture.hub.state().models["org/name"].commit.clone();
    let id = ModelId::parse(&format!("org/name@{commit}")).unwrap();
    let open = |settings: &HubSettings| {
        Snapshot::open(&id, settings, &mut ())?.directory(Need::Config, &mut ())
    };
    let directory = open(&fixture.settings).unwrap();
    assert!(directory.ends_with(commit));
    let refs = fixture.cache.path().join("models--org--name/refs");
    assert!(names(&refs).is_empty());
    let offline = HubSettings { offline: true, ..fixture.settings.clone() };
    assert_eq!(open(&offline).unwrap(), directory);
}

#[test]
fn an_interrupted_download_is_resumed() {
    let fixture = Fixture::single();
    fixture.hub.state().faults.cut = Some((200_000, 1));
    let mut seen = Seen::default();
    fixture.watched(MODEL, &mut seen).unwrap();
    fixture.get_whole();
    let size = Some(300_000 + "model.safetensors".len() as u64);
    let weights: Vec<_> =
        seen.begun.into_iter().filter(|(f, ..)| f == "model.safetensors").collect();
    let again = |from| ("model.safetensors".to_string(), size, from);
    assert_eq!(weights, [again(0), again(200_000)]);
    assert_eq!(fixture.blobs().len(), 2, "nothing incomplete is left");
    // A connection that stays open without data counts as interrupted.
    let fixture = Fixture::single();
    fixture.hub.state().faults.stall = Some((100_000, 1));
    fixture.get_whole();
}

#[test]
fn repeated_interruptions_are_an_error_and_the_next_run_resumes() {
    let fixture = Fixture::single();
    fixture.hub.state().faults.cut = Some((200_000, usize::MAX));
    let error = fixture.get(MODEL).unwrap_err();
    assert!(matches!(&error, HubError::Cut { at: 200_000, .. }), "{error}");
    assert!(error.to_string().contains("model.safetensors"), "{error}");
    // The first attempt, and the set number of retries.
    let asked = fixture.hub.downloaded().iter().filter(|f| *f == "model.safetensors").count();
    assert_eq!(asked, 4);
    let commit = fixture.hub.state().models["org/name"].commit.clone();
    let snapshot = fixture.cache.path().join("models--org--name/snapshots").join(commit);
    assert_eq!(names(&snapshot), ["config.json", "tokenizer.json"]);
    assert!(fixture.blobs().iter().any(|name| name.ends_with(".incomplete")));
    fixture.hub.state().faults.cut = None;
    fixture.get_whole();
    let state = fixture.hub.state();
    let resumed = state.requests.iter().filter(|r| r.path.contains("signed") && r.method == "GET");
    assert_eq!(resumed.map(|r| r.from).collect::<Vec<_>>(), [Some(200_000)]);
}

#[test]
fn an_interruption_keeps_the_bytes_received() {
    let fixture = Fixture::single();
    let mut seen = Seen { stop_after: Some(150_000), ..Seen::default() };
    let error = fixture.watched(MODEL, &mut seen).unwrap_err();
    assert!(matches!(error, HubError::Interrupted));
    assert!(fixture.blobs().iter().any(|name| name.ends_with(".incomplete")));
    let mut seen = Seen::default();
    fixture.watched(MODEL, &mut seen).unwrap();
    assert!(matches!(seen.begun[..], [(_, _, from)] if from > 0), "{:?}", seen.begun);
    fixture.get_whole();
}

#[test]
fn a_server_without_ranges_sends_the_whole_file_again() {
    let fixture = Fixture::single();
    fixture.hub.state().faults.cut = Some((200_000, 1));
    fixture.hub.state().faults.no_ranges = true;
    fixture.get_whole();
}

/// Writes `contents` as the unfinished download of the weights.
fn leave(fixture: &Fixture, contents: &[u8]) {
    fixture.hub.state().faults.cut = Some((1000, usize::MAX));
    fixture.get(MODEL).unwrap_err();
    fixture.hub.state().faults.cut = None;
    let blobs = fixture.cache.path().join("models--org--name/blobs");
    let left = fixture.blobs().into_iter().find(|name| name.ends_with(".incomplete")).unwrap();
    std::fs::write(blobs.join(left), contents).unwrap();
}

#[test]
fn an_unfinished_download_is_used_only_if_it_matches() {
    let whole = files(&["model.safetensors"])["model.safetensors"].clone();
    for left in [&whole[..], &[0; 5000], &[1; 400_000], &vec![0; whole.len()], &whole[..77]] {
        let fixture = Fixture::single();
        leave(&fixture, left);
        fixture.get_whole();
    }
}

#[test]
fn contents_other_than_announced_are_refused() {
    let fixture = Fixture::single();
    fixture.hub.state().faults.garbled = true;
    let error = fixture.get(MODEL).unwrap_err();
    assert!(matches!(error, HubError::Damaged { .. }), "{error}");
    assert_eq!(fixture.blobs().len(), 1, "neither the weights nor a part of them is kept");
    fixture.hub.state().faults.garbled = false;
    fixture.get_whole();
}

#[test]
fn without_the_hub_the_cache_is_used() {
    let mut fixture = Fixture::single();
    let directory = fixture.get_whole();
    fixture.hub.downloaded();
    // Offline, unreachable, failing: each time the cache is used.
    fixture.hub.state().faults.status = Some((503, 1));
    let mut seen = Seen::default();
    assert_eq!(fixture.watched(MODEL, &mut seen).unwrap(), directory);
    assert!(seen.warnings[0].contains("503") && seen.warnings[0].contains("cache"));
    fixture.hub.state().requests.clear();
    fixture.settings.offline = true;
    assert_eq!(fixture.get(MODEL).unwrap(), directory);
    assert!(fixture.hub.state().requests.is_empty(), "nothing is asked");
    fixture.settings.offline = false;
    fixture.settings.endpoint = "http://127.0.0.1:1".parse().unwrap();
    let mut seen = Seen::default();
    assert_eq!(fixture.watched(MODEL, &mut seen).unwrap(), directory);
    assert!(seen.warnings[0].contains("cannot be reached"), "{:?}", seen.warnings);
}

#[test]
fn an_incomplete_cache_names_the_missing_files() {
    let mut fixture = Fixture::single();
    fixture.get(Need::Config).unwrap();
    fixture.settings.offline = true;
    fixture.get(Need::Config).unwrap();
    let error = fixture.get(MODEL).unwrap_err().to_string();
    assert!(error.contains("model.safetensors") && error.contains("HF_HUB_OFFLINE"), "{error}");
}

#[test]
fn two_concurrent_downloads_download_once() {
    let fixture = Fixture::single();
    std::thread::scope(|scope| {
        let both = [0, 1].map(|_| scope.spawn(|| fixture.get(MODEL).unwrap()));
        let [one, other] = both.map(|one| one.join().unwrap());
        assert_eq!(one, other);
    });
    let asked = fixture.hub.downloaded().iter().filter(|f| *f == "model.safetensors").count();
    assert_eq!(asked, 1);
}
