//! A backend that reads strictly and keeps every byte: what really arrived behind the gateway.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// One request as strict reading finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRequest {
    pub line: String,
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub trailers: Vec<String>,
}

impl RawRequest {
    /// All values of a field.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.fields
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
            .collect()
    }
}

/// The backend. Ends when dropped.
pub struct RawBackend {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<RawRequest>>>,
    faults: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for RawBackend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl RawBackend {
    pub async fn start() -> RawBackend {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let address = listener.local_addr().expect("an address");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let faults = Arc::new(Mutex::new(Vec::new()));
        let (seen, wrong) = (requests.clone(), faults.clone());
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    continue;
                };
                let (seen, wrong) = (seen.clone(), wrong.clone());
                tokio::spawn(async move { serve(stream, &seen, &wrong).await });
            }
        });
        RawBackend {
            address,
            requests,
            faults,
            task,
        }
    }

    /// Takes what arrived since the last time: requests, and what could not be read strictly.
    pub fn take(&self) -> (Vec<RawRequest>, Vec<String>) {
        (
            std::mem::take(&mut *self.requests.lock().expect("the record")),
            std::mem::take(&mut *self.faults.lock().expect("the record")),
        )
    }
}

async fn serve(mut stream: tokio::net::TcpStream, seen: &Mutex<Vec<RawRequest>>, wrong: &Mutex<Vec<String>>) {
    let mut buffer = Vec::new();
    loop {
        loop {
            match parse(&buffer) {
                Parsed::One(request, used) => {
                    buffer.drain(..used);
                    seen.lock().expect("the record").push(request);
                    if stream
                        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                        .await
                        .is_err()
                    {
                        return;
                    }
                }
                Parsed::More => break,
                Parsed::Wrong(what) => {
                    wrong
                        .lock()
                        .expect("the record")
                        .push(format!("{what}: {}", String::from_utf8_lossy(&buffer)));
                    return;
                }
            }
        }
        let mut chunk = [0; 16 * 1024];
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(n) => buffer.extend_from_slice(&chunk[..n]),
        }
    }
}

enum Parsed {
    One(RawRequest, usize),
    More,
    Wrong(&'static str),
}

fn parse(bytes: &[u8]) -> Parsed {
    let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else {
        return Parsed::More;
    };
    let Ok(head) = std::str::from_utf8(&bytes[..end]) else {
        return Parsed::Wrong("a head that is not UTF-8");
    };
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap_or_default().to_owned();
    let parts: Vec<&str> = line.split(' ').collect();
    if parts.len() != 3 || parts[2] != "HTTP/1.1" || !parts[1].starts_with('/') {
        return Parsed::Wrong("a request line out of form");
    }
    let mut fields = Vec::new();
    for field in lines {
        if field.contains(['\r', '\n', '\0']) || field.starts_with([' ', '\t']) {
            return Parsed::Wrong("a field line with control characters or folding");
        }
        let Some((name, value)) = field.split_once(':') else {
            return Parsed::Wrong("a field without a colon");
        };
        if name.is_empty() || name.contains([' ', '\t']) {
            return Parsed::Wrong("a field name with blanks");
        }
        fields.push((name.to_owned(), value.trim().to_owned()));
    }
    let request = RawRequest {
        line,
        fields,
        body: Vec::new(),
        trailers: Vec::new(),
    };
    let (codings, lengths) = (request.all("transfer-encoding"), request.all("content-length"));
    if codings.len() + lengths.len() > 1 {
        return Parsed::Wrong("more than one framing field");
    }
    let rest = &bytes[end + 4..];
    if let Some(coding) = codings.first() {
        if !coding.eq_ignore_ascii_case("chunked") {
            return Parsed::Wrong("a transfer coding other than chunked");
        }
        return match chunked(rest) {
            Some((body, trailers, used)) => {
                let request = RawRequest {
                    body,
                    trailers,
                    ..request
                };
                Parsed::One(request, end + 4 + used)
            }
            None => Parsed::More,
        };
    }
    let length = match lengths.first().map(|value| value.parse::<usize>()) {
        Some(Ok(length)) => length,
        Some(Err(_)) => return Parsed::Wrong("a length that is no number"),
        None => 0,
    };
    if rest.len() < length {
        return Parsed::More;
    }
    let request = RawRequest {
        body: rest[..length].to_vec(),
        ..request
    };
    Parsed::One(request, end + 4 + length)
}

fn chunked(bytes: &[u8]) -> Option<(Vec<u8>, Vec<String>, usize)> {
    let mut body = Vec::new();
    let mut trailers = Vec::new();
    let mut at = 0;
    loop {
        let line = bytes[at..].windows(2).position(|w| w == b"\r\n")?;
        let size = std::str::from_utf8(&bytes[at..at + line]).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?, 16).ok()?;
        at += line + 2;
        if size == 0 {
            loop {
                let line = bytes[at..].windows(2).position(|w| w == b"\r\n")?;
                let field = String::from_utf8_lossy(&bytes[at..at + line]).into_owned();
                at += line + 2;
                if line == 0 {
                    return Some((body, trailers, at));
                }
                trailers.push(field);
            }
        }
        if bytes.len() < at + size + 2 {
            return None;
        }
        body.extend_from_slice(&bytes[at..at + size]);
        at += size + 2;
    }
}
