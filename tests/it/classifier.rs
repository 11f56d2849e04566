//! Classifiers of this process: from the hub, or a directory, to what is known of a text.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use dramatis::classifier::{Classifier, ClassifierError, fetch_model};
use dramatis::config::{Config, Environment, LoadOptions, ModerationConfig, Override};
use dramatis::fetch::{Digest, FetchOptions, Fetcher};
use dramatis::moderation::{Categories, Category};

use crate::support::hub::{HubFile, HubServer};
use crate::support::{classifier_copy, fixture};

const NAME: &str = "hf:ada/mild@v1";

fn settings(classifier: &str) -> ModerationConfig {
    let set = |key, value: &str| Override::flag("test", key, value);
    let options = LoadOptions {
        config_file: None,
        overrides: vec![
            set("moderation.classifier", classifier),
            set("moderation.timeout_ms", "30000"),
        ],
        environment: Environment::from_pairs([("HOME", "/nonexistent")]),
        working_dir: PathBuf::from("/nonexistent"),
    };
    Config::load(&options).unwrap().moderation
}

/// A hub that has these files of a directory.
fn hub_with(directory: &Path, files: &[&str]) -> HubServer {
    let file = |name: &&str| {
        let content = std::fs::read(directory.join(name)).unwrap();
        HubFile {
            path: format!("/ada/mild/resolve/v1/{name}"),
            etag: Digest::of(&content).to_string(),
            content,
            num_cuts: AtomicUsize::new(0),
            token: None,
        }
    };
    HubServer::start_with(files.iter().map(file).collect())
}

fn fetcher(hub: &HubServer) -> Fetcher {
    Fetcher::new(FetchOptions { hub_endpoint: Some(hub.endpoint()), ..FetchOptions::default() })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_of_the_hub_is_fetched_once_and_asked_here() {
    let models = tempfile::tempdir().unwrap();
    let config = settings(NAME);
    let open = || Classifier::open(&config, models.path(), Arc::default());
    let absent = open().unwrap_err();
    assert_eq!(absent, ClassifierError::NotHere(NAME.into()));
    let files = ["config.json", "tokenizer.json", "model.safetensors"];
    let directory = fixture("classifiers/xlm_roberta");
    let hub = hub_with(&directory, &files);
    let fetch = |hub: &HubServer| {
        tokio::task::block_in_place(|| fetch_model(&config, models.path(), &fetcher(hub), &()))
    };
    fetch(&hub).unwrap();
    fetch(&hub).unwrap();
    assert_eq!(hub.download_starts().len(), files.len(), "the second time nothing is asked for");
    for file in files {
        let fetched = std::fs::read(models.path().join("ada/mild@v1").join(file)).unwrap();
        assert!(fetched == std::fs::read(directory.join(file)).unwrap(), "{file}");
    }
    let classifier = open().unwrap().unwrap();
    assert_eq!(classifier.name(), NAME);
    let labels = classifier.labels().unwrap();
    assert_eq!(labels.categories(), [Category::Sexual, Category::Harassment, Category::Hate]);
    assert_eq!(labels.ignored(), ["LABEL_7"]);
    let texts = ["She waves at him.", "He jeers!", "", "He kisses her."];
    let [harassment, sexual] = [Category::Harassment, Category::Sexual];
    let none = Categories::new();
    let wanted = [none.clone(), [harassment].into(), none, [sexual].into()];
    assert_eq!(classifier.classify(&texts).await.unwrap(), wanted);
}

#[test]
fn what_the_hub_lacks_or_is_of_no_use_is_told_before_the_weights_come() {
    let all = ["config.json", "tokenizer.json", "model.safetensors"];
    let refusal = |directory: &Path, files: &[&str]| {
        let (hub, models) = (hub_with(directory, files), tempfile::tempdir().unwrap());
        let error = fetch_model(&settings(NAME), models.path(), &fetcher(&hub), &()).unwrap_err();
        let absent = Classifier::open(&settings(NAME), models.path(), Arc::default()).unwrap_err();
        assert_eq!(absent.kind(), "not_here");
        (error.to_string(), hub.download_starts().len())
    };
    for file in all {
        let others: Vec<&str> = all.into_iter().filter(|other| *other != file).collect();
        let (reason, _) = refusal(&fixture("classifiers/bert"), &others);
        assert!(reason.contains(&format!("{NAME}/{file}")), "{reason}");
        assert!(reason.contains("deploy/moderation.md"), "{reason}");
    }
    // Older models of BERT have a list of words instead, which is asked for then.
    let older = classifier_copy("bert");
    std::fs::write(older.path().join("tokenizer_config.json"), "{}").unwrap();
    std::fs::write(older.path().join("vocab.txt"), "[CLS]\n[SEP]\n[UNK]\na\n").unwrap();
    let files = ["config.json", "tokenizer_config.json", "vocab.txt", "model.safetensors"];
    let (hub, models) = (hub_with(older.path(), &files), tempfile::tempdir().unwrap());
    fetch_model(&settings(NAME), models.path(), &fetcher(&hub), &()).unwrap();
    Classifier::open(&settings(NAME), models.path(), Arc::default()).unwrap();
    let spoiled = classifier_copy("bert");
    let path = spoiled.path().join("config.json");
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, config.replace("\"model_type\": \"bert\"", "\"model_type\": \"gpt2\""))
        .unwrap();
    let (reason, num_downloads) = refusal(spoiled.path(), &all);
    assert!(reason.contains("\"gpt2\"") && num_downloads == 1, "{reason}");
    for wrong in ["hf:ada", "hf:ada/mild/model.safetensors", "hf:../mild"] {
        let error = Classifier::open(&settings(wrong), Path::new("/nonexistent"), Arc::default());
        let reason = error.unwrap_err().to_string();
        assert!(
            reason.contains("moderation.classifier") && reason.contains("hf:OWNER/REPO"),
            "{reason}"
        );
    }
}
