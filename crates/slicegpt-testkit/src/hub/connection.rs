//! A minimal HTTP server: one request on each connection.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::state::{Request, State, lock};

/// A response.
#[derive(Default)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// A fault: how many bytes of the body are sent, and whether the connection stays open then.
    pub only: Option<(usize, bool)>,
}

/// Answers requests until the process ends.
pub fn serve(
    listener: &TcpListener,
    state: &Arc<Mutex<State>>,
    answer: fn(&Request, &mut State) -> Reply,
) {
    for stream in listener.incoming().flatten() {
        let state = Arc::clone(state);
        std::thread::spawn(move || {
            let Some(request) = read(&stream) else { return };
            let reply = {
                let mut state = lock(&state);
                state.requests.push(request.clone());
                answer(&request, &mut state)
            };
            // The client may be gone.
            let _ = write(stream, &request, &reply);
        });
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let first = lines.next()?;
    let mut words = first.split(' ');
    let mut request = Request {
        host: String::new(),
        method: words.next()?.into(),
        path: words.next()?.into(),
        authorization: None,
        from: None,
    };
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ")?;
        match name.to_lowercase().as_str() {
            "host" => request.host = value.into(),
            "authorization" => request.authorization = Some(value.into()),
            "range" => request.from = value.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok(),
            _ => {}
        }
    }
    Some(request)
}

fn write(mut stream: TcpStream, request: &Request, reply: &Reply) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} Said\r\nConnection: close\r\n", reply.status);
    head.push_str(&format!("Content-Length: {}\r\n", reply.body.len()));
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all((head + "\r\n").as_bytes())?;
    if request.method == "HEAD" {
        return Ok(());
    }
    let (count, stays) = reply.only.unwrap_or((reply.body.len(), false));
    stream.write_all(&reply.body[..count])?;
    stream.flush()?;
    if stays {
        std::thread::sleep(Duration::from_secs(600));
    }
    Ok(())
}
