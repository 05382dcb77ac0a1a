//! The responses of the Hub, and of the storage server for large files.

use serde_json::json;

use super::connection::Reply;
use super::state::{Access, Faults, Model, Request, State, digest, is_large};

/// The Hub: lists of files, small files, and redirects to large files.
pub fn hub(request: &Request, state: &mut State) -> Reply {
    if let Some(reply) = broken(&mut state.faults) {
        return reply;
    }
    let known = request.authorization.as_deref() == Some(&format!("Bearer {}", state.token));
    if request.authorization.is_some() && !known {
        return refused(401, "", "Invalid credentials in Authorization header");
    }
    let path = request.path.split('?').next().unwrap_or_default();
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let (owner, name, kind, revision, file) = match parts.as_slice() {
        ["api", "models", owner, name, "revision", revision] => {
            (owner, name, "info", *revision, "")
        }
        [owner, name, "resolve", revision, file] => (owner, name, "resolve", *revision, *file),
        ["api", "resolve-cache", owner, name, revision, file] => {
            (owner, name, "cache", *revision, *file)
        }
        _ => return refused(404, "", "no such page"),
    };
    let id = format!("{owner}/{name}");
    let Some(model) = state.models.get(&id).filter(|m| m.access != Access::Private || known) else {
        // Without a token, a private model looks like a missing one.
        return refused(if known { 404 } else { 401 }, "RepoNotFound", "Repository not found");
    };
    if revision != "main" && revision != model.commit {
        return refused(404, "RevisionNotFound", &format!("Invalid rev id: {revision}"));
    }
    if kind == "info" {
        if state.faults.nonsense {
            let body = b"<html>Welcome</html>".to_vec();
            return Reply { status: 200, body, ..Reply::default() };
        }
        return info(&id, model);
    }
    match model.access {
        Access::Gated if !known => {
            return refused(401, "GatedRepo", &format!("Access to model {id} is restricted."));
        }
        Access::Disabled => return refused(403, "DisabledRepo", "This model is disabled."),
        _ => {}
    }
    let Some(bytes) = model.files.get(&file.replace("%20", " ")) else {
        return refused(404, "EntryNotFound", "Entry not found");
    };
    let etag = format!("\"{}\"", digest(file, bytes));
    let commit = ("X-Repo-Commit", model.commit.clone());
    if is_large(file) {
        let storage = state.storage.expect("the storage runs");
        let location = format!("http://{storage}/{id}/{file}?signed=1");
        let size = ("X-Linked-Size", bytes.len().to_string());
        let headers = vec![("Location", location), ("X-Linked-Etag", etag), size, commit];
        return Reply { status: 302, headers, ..Reply::default() };
    }
    if kind == "resolve" {
        let location = format!("/api/resolve-cache/{id}/{}/{file}?etag=1", model.commit);
        return Reply {
            status: 307,
            headers: vec![("Location", location), commit],
            ..Reply::default()
        };
    }
    let bytes = bytes.clone();
    let mut reply = contents(&bytes, request.from, &state.faults);
    reply.headers.extend([("ETag", etag), commit]);
    reply
}

/// The storage server: large files, without authorization.
pub fn storage(request: &Request, state: &mut State) -> Reply {
    let path = request.path.split('?').next().unwrap_or_default();
    let (id, file) = path.trim_start_matches('/').rsplit_once('/').unwrap_or_default();
    let file = file.replace("%20", " ");
    let Some(bytes) = state.models.get(id).and_then(|model| model.files.get(&file)) else {
        return refused(404, "", "no such key");
    };
    let mut bytes = bytes.clone();
    if let Some(last) = bytes.last_mut().filter(|_| state.faults.garbled) {
        *last ^= 1;
    }
    let mut reply = contents(&bytes, request.from, &state.faults);
    let start = bytes.len() - reply.body.len();
    let mut stop = |fault: &mut Option<(usize, usize)>, stays: bool| match fault {
        Some((at, times @ 1..)) if (start..bytes.len()).contains(at) => {
            *times -= 1;
            reply.only = Some((*at - start, stays));
        }
        _ => {}
    };
    stop(&mut state.faults.cut, false);
    stop(&mut state.faults.stall, true);
    reply
}

/// The requested range of `bytes`.
fn contents(bytes: &[u8], from: Option<usize>, faults: &Faults) -> Reply {
    let total = bytes.len();
    match from.filter(|_| !faults.no_ranges) {
        None => Reply { status: 200, body: bytes.to_vec(), ..Reply::default() },
        Some(from) if from >= total => {
            let headers = vec![("Content-Range", format!("bytes */{total}"))];
            Reply { status: 416, headers, ..Reply::default() }
        }
        Some(from) => {
            let range = format!("bytes {from}-{}/{total}", total - 1);
            let headers = vec![("Content-Range", range)];
            Reply { status: 206, headers, body: bytes[from..].to_vec(), only: None }
        }
    }
}

fn info(id: &str, model: &Model) -> Reply {
    let files: Vec<_> = model.files.keys().map(|name| json!({ "rfilename": name })).collect();
    let json = json!({ "id": id, "sha": model.commit, "private": false, "siblings": files });
    Reply { status: 200, body: json.to_string().into_bytes(), ..Reply::default() }
}

/// An error response of the Hub.
fn refused(status: u16, code: &str, message: &str) -> Reply {
    let mut headers = vec![("X-Error-Message", message.to_string())];
    if !code.is_empty() {
        headers.push(("X-Error-Code", code.into()));
    }
    let body = json!({ "error": message }).to_string().into_bytes();
    Reply { status, headers, body, only: None }
}

fn broken(faults: &mut Faults) -> Option<Reply> {
    let (status, times) = faults.status.as_mut().filter(|(_, times)| *times > 0)?;
    *times -= 1;
    Some(refused(*status, "", "out of order"))
}
