//! What a network does to answers: a proxy that loses some of them, and a server that says what a test wants.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// One request, as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// `POST /users/ada/reservations`, without the query.
    pub what: String,
    pub head: String,
    pub body: String,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Reads one request; `None` when the other side has nothing to say.
    fn read(stream: &mut TcpStream) -> Option<Self> {
        let mut bytes = Vec::new();
        let mut part = [0; 4096];
        loop {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| {
                    let (name, value) = line.split_once(':')?;
                    name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
                });
                if body.len() >= length.unwrap_or(0) {
                    let mut words = head.split([' ', '?']);
                    let what = format!("{} {}", words.next()?, words.next()?);
                    return Some(Self { what, head: head.to_owned(), body: body.to_owned() });
                }
            }
            match stream.read(&mut part) {
                Ok(read) if read > 0 => bytes.extend_from_slice(&part[..read]),
                _ => return None,
            }
        }
    }
}

/// What becomes of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Nothing of it arrives.
    Whole,
    /// It is cut in the middle of its body.
    Half,
    /// The request itself never arrives.
    Request,
}

/// Forwards one request per connection, and loses the answers it was told to lose.
pub struct Proxy {
    pub address: String,
    losses: Arc<Mutex<Vec<(String, Loss)>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Proxy {
    pub fn to(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let (losses, seen) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
        let proxy = Self { address, losses: Arc::clone(&losses), seen: Arc::clone(&seen) };
        let upstream = upstream.to_owned();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (losses, seen, upstream) = (Arc::clone(&losses), Arc::clone(&seen), upstream.clone());
                std::thread::spawn(move || forward(stream, &upstream, &losses, &seen));
            }
        });
        proxy
    }

    /// Loses the answer to the next request of this kind; once for every call.
    pub fn lose(&self, what: &str, loss: Loss) {
        self.losses.lock().expect("nobody panics here").push((what.to_owned(), loss));
    }

    pub fn seen(&self, what: &str) -> Vec<Seen> {
        let seen = self.seen.lock().expect("nobody panics here");
        seen.iter().filter(|seen| seen.what == what).cloned().collect()
    }

    pub fn left(&self) -> usize {
        self.losses.lock().expect("nobody panics here").len()
    }
}

fn forward(
    mut client: TcpStream,
    upstream: &str,
    losses: &Mutex<Vec<(String, Loss)>>,
    seen: &Mutex<Vec<Seen>>,
) {
    let Some(request) = Seen::read(&mut client) else { return };
    seen.lock().expect("nobody panics here").push(request.clone());
    let loss = {
        let mut losses = losses.lock().expect("nobody panics here");
        let at = losses.iter().position(|(what, _)| *what == request.what);
        at.map(|at| losses.remove(at).1)
    };
    if loss == Some(Loss::Request) {
        return;
    }
    let Ok(mut server) = TcpStream::connect(upstream) else { return };
    let (first, rest) = request.head.split_once("\r\n").unwrap_or((&request.head, ""));
    let text = format!("{first}\r\nconnection: close\r\n{rest}\r\n\r\n{}", request.body);
    let mut answer = Vec::new();
    if server.write_all(text.as_bytes()).is_err() || server.read_to_end(&mut answer).is_err() {
        return;
    }
    match loss {
        None => drop(client.write_all(&answer)),
        Some(Loss::Half) => drop(client.write_all(&answer[..answer.len() - 20])),
        Some(_) => {}
    }
    let _ = client.shutdown(Shutdown::Both);
}

/// A server that a test plays: it gets each request with its number, and writes whatever it likes.
pub struct Played {
    pub address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Played {
    pub fn new(play: impl Fn(&Seen, usize, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let seen = Arc::new(Mutex::new(Vec::<Seen>::new()));
        let (all, play) = (Arc::clone(&seen), Arc::new(play));
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let (all, play) = (Arc::clone(&all), Arc::clone(&play));
                std::thread::spawn(move || {
                    let Some(request) = Seen::read(&mut stream) else { return };
                    let number = {
                        let mut all = all.lock().expect("nobody panics here");
                        all.push(request.clone());
                        all.iter().filter(|seen| seen.what == request.what).count()
                    };
                    play(&request, number, &mut stream);
                    let _ = stream.shutdown(Shutdown::Both);
                });
            }
        });
        Self { address, seen }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("nobody panics here").clone()
    }
}

/// A whole answer.
pub fn answer(stream: &mut TcpStream, status: u16, kind: &str, body: &str) {
    let text = format!(
        "HTTP/1.1 {status} x\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let _ = stream.write_all(text.as_bytes());
}

/// An answer that says no.
pub fn problem(stream: &mut TcpStream, status: u16, code: &str, detail: &str, more: &str) {
    let body = format!(
        "{{\"type\":\"urn:infra:problem:{code}\",\"title\":\"t\",\"status\":{status},\"detail\":\"{detail}\",\
         \"request_id\":\"req_1\",\"errors\":[]{more}}}"
    );
    answer(stream, status, "application/problem+json", &body);
}
