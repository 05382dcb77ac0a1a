//! Refusals of a Hub and what is sent to it: names, revisions, terms, tokens.

use std::collections::BTreeMap;
use std::time::Duration;

use slicegpt_hub::{HubError, HubSettings, ModelId, Need, Snapshot};
use slicegpt_testkit::{Access, HubServer};

const MODEL: Need = Need::Model(|_| false);

fn hub(names: &[&str]) -> HubServer {
    let hub = HubServer::start();
    let files: BTreeMap<_, _> =
        names.iter().map(|name| (name.to_string(), b"{}".to_vec())).collect();
    hub.add_files("org/name", files);
    hub
}

fn plain() -> HubServer {
    hub(&["config.json", "model.safetensors"])
}

/// Downloads `id` into an empty cache, and checks that the cache is empty after an error.
fn get(hub: &HubServer, id: &str, token: Option<&str>) -> Result<(), HubError> {
    let cache = tempfile::tempdir().unwrap();
    let settings = HubSettings {
        endpoint: hub.endpoint().parse().unwrap(),
        cache: cache.path().join("hub"),
        token: token.map(Into::into),
        offline: false,
        patience: Duration::from_secs(2),
        retries: 1,
        pause: Duration::from_millis(1),
    };
    let id = ModelId::parse(id).unwrap();
    let found = Snapshot::open(&id, &settings, &mut ())
        .and_then(|snapshot| snapshot.directory(MODEL, &mut ()));
    let snapshots = cache.path().join("hub/models--org--name/snapshots");
    assert_eq!(snapshots.exists(), found.is_ok(), "{found:?}");
    found.map(drop)
}

/// The error, whose message must contain all of `says`.
fn refused(hub: &HubServer, id: &str, token: Option<&str>, says: &[&str]) -> HubError {
    let error = get(hub, id, token).unwrap_err();
    let message = error.to_string();
    for text in says {
        assert!(message.contains(text), "`{text}` is not in: {message}");
    }
    assert!(!message.contains('\n'));
    assert!(
        token.is_none_or(|token| !message.contains(token)),
        "the message contains the token: {message}"
    );
    error
}

#[test]
fn an_unknown_model_may_be_private() {
    let hub = plain();
    let says = ["org/none", "no such directory", "private", "HF_TOKEN"];
    let error = refused(&hub, "org/none", None, &says);
    assert!(matches!(error, HubError::UnknownModel { token: false, .. }));
    // With a token, the status is 404.
    let error = refused(&hub, "org/none", Some("hf_right"), &["org/none", "the one in use"]);
    assert!(matches!(error, HubError::UnknownModel { token: true, .. }));
    hub.state().models.get_mut("org/name").unwrap().access = Access::Private;
    refused(&hub, "org/name", None, &["org/name", "private"]);
    get(&hub, "org/name", Some("hf_right")).unwrap();
}

#[test]
fn an_unknown_revision_is_named() {
    let error = refused(&plain(), "org/name@v9", None, &["org/name", "revision `v9`"]);
    assert!(matches!(error, HubError::UnknownRevision { .. }));
}

#[test]
fn gated_models_name_the_terms() {
    let hub = plain();
    hub.state().models.get_mut("org/name").unwrap().access = Access::Gated;
    let says = ["gated", "/org/name", "HF_TOKEN"];
    assert!(matches!(refused(&hub, "org/name", None, &says), HubError::Gated { .. }));
    get(&hub, "org/name", Some("hf_right")).unwrap();
    hub.state().models.get_mut("org/name").unwrap().access = Access::Disabled;
    refused(&hub, "org/name", None, &["refuses", "This model is disabled."]);
}

#[test]
fn a_wrong_token_is_not_a_missing_model() {
    let hub = plain();
    let error = refused(&hub, "org/name", Some("hf_wrong"), &["HF_TOKEN", "hf auth login"]);
    assert!(matches!(error, HubError::Token { .. }));
}

#[test]
fn the_token_is_sent_to_the_hub_only() {
    let hub = plain();
    get(&hub, "org/name", Some("hf_right")).unwrap();
    let state = hub.state();
    let endpoint = hub.endpoint();
    let (asked, stored): (Vec<_>, Vec<_>) =
        state.requests.iter().partition(|r| endpoint.ends_with(&r.host));
    assert!(asked.len() >= 4 && !stored.is_empty());
    let bearer = Some("Bearer hf_right");
    assert!(asked.iter().all(|r| r.authorization.as_deref() == bearer));
    assert!(stored.iter().all(|r| r.authorization.is_none()));
    drop(state);
    // Without a token, none is sent.
    get(&hub, "org/name", None).unwrap();
    assert!(hub.state().requests.iter().rev().take(4).all(|r| r.authorization.is_none()));
}

#[test]
fn a_repository_without_a_model_names_the_missing_files() {
    let lacks = |names: &[&str], says: &[&str]| {
        let error = refused(&hub(names), "org/name", None, says);
        assert!(matches!(error, HubError::NoModel { .. }));
    };
    lacks(&["model.gguf"], &["config.json", "GGUF"]);
    lacks(&["adapter_config.json", "adapter_model.safetensors"], &["config.json", "adapter"]);
    lacks(&["config.json", "tf_model.h5"], &["model.safetensors", "pytorch_model.bin"]);
}

#[test]
fn a_failing_hub_is_an_error() {
    let hub = plain();
    hub.state().faults.status = Some((500, usize::MAX));
    refused(&hub, "org/name", None, &["500", "out of order"]);
    hub.state().faults.status = None;
    hub.state().faults.nonsense = true;
    let error = refused(&hub, "org/name", None, &["HF_ENDPOINT"]);
    assert!(matches!(error, HubError::UnexpectedReply { .. }));
}

#[test]
fn an_unreachable_hub_fails_quickly() {
    let cache = tempfile::tempdir().unwrap();
    let mut settings = HubSettings::from_env().unwrap();
    settings.cache = cache.path().into();
    settings.offline = false;
    settings.endpoint = "http://127.0.0.1:1".parse().unwrap();
    let id = ModelId::parse("org/name").unwrap();
    let error = Snapshot::open(&id, &settings, &mut ()).err().unwrap();
    assert!(matches!(error, HubError::Nowhere { .. }), "{error}");
    settings.offline = true;
    let error = Snapshot::open(&id, &settings, &mut ()).err().unwrap();
    assert!(matches!(error, HubError::Offline { .. }), "{error}");
    assert!(std::fs::read_dir(cache.path()).unwrap().next().is_none(), "nothing is written");
}
