//! A minimal HTTP client: one request on each connection.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// A response.
#[derive(Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Names, in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body, without the framing of chunks.
    pub body: String,
}

impl Reply {
    /// The value of header `name`, which is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// If it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    /// The body as JSON, of a response with status 200.
    ///
    /// # Panics
    ///
    /// If the status is another one, or the body is not JSON.
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        self.json()
    }

    /// The server-sent events of a response with status 200, which must end with `[DONE]`.
    ///
    /// # Panics
    ///
    /// If the response is not such a stream.
    pub fn events(&self) -> Vec<Value> {
        assert_eq!(self.status, 200, "{}", self.body);
        let content_type = self.header("content-type").expect("a content type");
        assert!(content_type.starts_with("text/event-stream"), "{content_type}");
        let mut events: Vec<&str> = self.body.split("\n\n").collect();
        assert_eq!(events.pop(), Some(""), "{}", self.body);
        let mut events: Vec<&str> =
            events.into_iter().map(|event| event.strip_prefix("data: ").expect("data")).collect();
        assert_eq!(events.pop(), Some("[DONE]"));
        events.into_iter().map(|event| serde_json::from_str(event).expect("JSON")).collect()
    }
}

/// Opens a connection and writes a request to it. `headers` is text with a `\r\n` after each
/// header.
///
/// # Panics
///
/// If the server cannot be reached.
pub fn send(address: &str, method: &str, path: &str, headers: &str, body: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("a server");
    stream.set_read_timeout(Some(Duration::from_secs(120))).expect("a time above zero");
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("a server that reads");
    stream.write_all(body).expect("a server that reads");
    stream
}

/// Reads a response to its end.
///
/// # Panics
///
/// If it is not HTTP.
pub fn receive(mut stream: TcpStream) -> Reply {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("a server that writes");
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
    let head = std::str::from_utf8(&bytes[..end]).expect("a head of text");
    let mut lines = head.trim_end().split("\r\n");
    let first = lines.next().unwrap_or_default();
    let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.unwrap_or_else(|| panic!("no status in {first:?}"));
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(": ").expect("a header"))
        .map(|(name, value)| (name.to_lowercase(), value.to_string()))
        .collect();
    let chunked =
        headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let body = if chunked { unchunked(&bytes[end..]) } else { bytes[end..].to_vec() };
    Reply { status, headers, body: String::from_utf8(body).expect("a body of text") }
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n").expect("the length of a chunk");
        let digits = std::str::from_utf8(&rest[..line]).expect("hexadecimal digits");
        let length = usize::from_str_radix(digits, 16).expect("hexadecimal digits");
        let start = line + 2;
        if length == 0 {
            return body;
        }
        body.extend(&rest[start..start + length]);
        rest = &rest[start + length + 2..];
    }
}
