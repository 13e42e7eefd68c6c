//! What the tests of the served process share: a folder, a process, and a client of thirty lines.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// A folder of its own for one test, removed at its end.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("infra-http-{name}-{}-{next}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(path.join("home")).expect("the temporary folder can be written");
        Self(path)
    }

    pub fn data(&self) -> PathBuf {
        self.0.join("infra-data")
    }

    pub fn master_key(&self) -> PathBuf {
        self.0.join("home/.config/infra/master-key")
    }

    /// The server's command in this folder, with an empty environment but for its home.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_http-server"));
        command.current_dir(&self.0).env_clear().env("HOME", self.0.join("home"));
        command
    }

    /// Runs a command that ends by itself. One that serves instead is a failure, not a test that never ends.
    pub fn output(&self, args: &[&str], env: &[(&str, &str)]) -> Output {
        let mut command = self.command();
        command.args(args).envs(env.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
        for _ in 0..400 {
            if child.try_wait().expect("it is our child").is_some() {
                return child.wait_with_output().expect("it is our child");
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
        child.kill().expect("it is our child");
        let output = child.wait_with_output().expect("it is our child");
        panic!("{args:?} {env:?} serves instead of refusing: {}", String::from_utf8_lossy(&output.stdout));
    }

    /// Starts a server on a free port and waits until it listens.
    pub fn start(&self, args: &[&str], env: &[(&str, &str)]) -> Server {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.log_path())
            .expect("the folder can be written");
        let mut command = self.command();
        if !args.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        command.args(args).envs(env.iter().copied());
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().expect("the binary runs");
        let out = BufReader::new(child.stdout.take().expect("it was piped"));
        let (mut banner, mut address) = (String::new(), None);
        for line in out.lines() {
            let line = line.expect("the banner is text");
            address = line
                .trim()
                .strip_prefix("address")
                .map(|rest| rest.trim().replace("http://", ""))
                .or(address);
            banner.push_str(&line);
            banner.push('\n');
            // The last line of every banner.
            if line.trim_start().starts_with("ready") {
                break;
            }
        }
        let address = address.unwrap_or_else(|| panic!("no address: {banner}{}", self.log()));
        let admin =
            env.iter().find(|(name, _)| *name == "INFRA_ADMIN_TOKEN").map(|(_, token)| (*token).to_owned());
        let admin = admin.unwrap_or_else(|| {
            let token = std::fs::read_to_string(self.data().join("admin-token")).expect("it is written");
            token.trim().to_owned()
        });
        Server { child, address, banner, admin }
    }

    pub fn log_path(&self) -> PathBuf {
        self.0.join("server.log")
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A server process; killed when dropped.
pub struct Server {
    child: Child,
    pub address: String,
    pub banner: String,
    pub admin: String,
}

impl Server {
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("the process is ours and runs");
    }

    pub fn wait(mut self) -> ExitStatus {
        self.child.wait().expect("it is our child")
    }

    pub fn kill_9(self) {
        self.signal(Signal::KILL);
        assert_eq!(self.wait().signal(), Some(9));
    }

    /// Sends one request as somebody; the token may be empty.
    pub fn send(&self, method: &str, path: &str, token: &str, body: &str) -> Reply {
        self.send_with(method, path, token, body, "")
    }

    /// As [`Self::send`], with more header lines, each ended by `\r\n`.
    pub fn send_with(&self, method: &str, path: &str, token: &str, body: &str, headers: &str) -> Reply {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(90))).expect("a timeout above zero");
        let auth =
            if token.is_empty() { String::new() } else { format!("authorization: Bearer {token}\r\n") };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{auth}{headers}content-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).expect("it reads");
        stream.write_all(body.as_bytes()).expect("it reads");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("it answers");
        Reply::parse(&text)
    }

    pub fn admin(&self, method: &str, path: &str, body: &str) -> Reply {
        self.send(method, path, &self.admin, body)
    }

    /// Makes a user and answers a token of it.
    pub fn user(&self, name: &str, role: &str) -> String {
        let made = self.admin("POST", "/admin/users", &format!("{{\"name\":\"{name}\"}}"));
        assert!([201, 409].contains(&made.status), "{made:?}");
        let path = format!("/admin/users/{name}/tokens");
        let issued = self.admin("POST", &path, &format!("{{\"label\":\"test\",\"role\":\"{role}\"}}"));
        assert_eq!(issued.status, 201, "{issued:?}");
        issued.json["token"].as_str().expect("a token").to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
    pub json: Value,
}

impl Reply {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        let json = serde_json::from_str(body).unwrap_or(Value::Null);
        Self { status, head: head.to_lowercase(), body: body.to_owned(), json }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub fn code(&self) -> &str {
        self.json["type"].as_str().unwrap_or_default().trim_start_matches("urn:infra:problem:")
    }
}

/// Every file below a folder, read whole.
pub fn every_file(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder is ours") {
        let path = entry.expect("the folder is ours").path();
        if path.is_dir() {
            files.extend(every_file(&path));
        } else {
            files.push((path.clone(), std::fs::read(&path).unwrap_or_default()));
        }
    }
    files
}
