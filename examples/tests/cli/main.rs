//! The command line, run as people and scripts run it: the real binary against the real server on the simulator.

#![allow(
    unreachable_pub,
    missing_docs,
    missing_debug_implementations,
    clippy::print_stderr,
    reason = "one test binary, shared by its files"
)]

#[path = "../common/mod.rs"]
mod common;
mod login;
mod lost;
mod proxy;
mod streams;
mod talk;
mod tls;
mod wrong;

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use common::{Scratch, Server};
use serde_json::Value;

/// What a run came to.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:#?}");
        self
    }

    /// Standard output as the one JSON document that it must be.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(self.out.lines().count(), 1, "{self:#?}");
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

/// A folder, a server on the simulator, and a user with a key.
pub struct World {
    pub scratch: Scratch,
    pub server: Server,
    pub token: String,
    /// Where the command line is sent to; the server, if nothing stands in between.
    pub url: String,
}

pub const KEY: &str = "sim-planted-key";

impl World {
    pub fn new(name: &str) -> Self {
        let scratch = Scratch::new(&format!("cli-{name}"));
        let server = scratch.start(&["--sim-control"], &[]);
        let token = server.user("ada", "user");
        let body = format!("{{\"provider\":\"sim\",\"kind\":\"static\",\"token\":\"{KEY}\"}}");
        assert_eq!(server.send("POST", "/users/ada/keys", &token, &body).status, 201);
        let url = format!("http://{}", server.address);
        Self { scratch, server, token, url }
    }

    /// Ada, by her environment.
    pub fn ada(&self, args: &[&str]) -> Ran {
        let token = self.token.clone();
        self.run(args, &[("INFRA_URL", &self.url), ("INFRA_TOKEN", &token), ("INFRA_USER", "ada")], "")
    }

    /// The admin, by the environment.
    pub fn admin(&self, args: &[&str]) -> Ran {
        self.run(args, &[("INFRA_URL", &self.url), ("INFRA_TOKEN", &self.server.admin)], "")
    }

    pub fn run(&self, args: &[&str], env: &[(&str, &str)], stdin: &str) -> Ran {
        run(&self.scratch, args, env, stdin)
    }

    pub fn config(&self) -> PathBuf {
        self.scratch.0.join("home/.config/infra/cli.toml")
    }

    /// Two small machines for an hour, ready.
    pub fn reserved(&self, name: &str) -> Value {
        let line = [
            "reserve",
            "-n",
            "2",
            "--vcpus",
            "1",
            "--for",
            "1h",
            "--name",
            name,
            "--yes",
            "--wait=60s",
            "--json",
        ];
        self.ada(&line).ok().json()
    }

    /// Whatever the server holds for ada, by the API itself.
    pub fn held(&self) -> Vec<Value> {
        let all = self.server.send("GET", "/users/ada/reservations?state=all", &self.token, "").json;
        all["items"].as_array().expect("a list").clone()
    }
}

pub fn command(scratch: &Scratch) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_infra"));
    command.current_dir(&scratch.0).env_clear().env("HOME", scratch.0.join("home"));
    command
}

pub fn run(scratch: &Scratch, args: &[&str], env: &[(&str, &str)], stdin: &str) -> Ran {
    let mut command = command(scratch);
    command.args(args).envs(env.iter().copied());
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut input = child.stdin.take().expect("it was piped");
    // Who reads nothing has closed it already.
    let _ = input.write_all(stdin.as_bytes());
    drop(input);
    let output = child.wait_with_output().expect("it is our child");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Ran { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

/// Ids that differ from run to run, by their kind.
const IDS: [(&str, &str); 5] = [
    ("rsv_", "0123456789abcdef"),
    ("req_", "0123456789abcdef"),
    ("tok_", "0123456789abcdef"),
    ("vm-", "0123456789abcdef"),
    ("planted-key/", "0123456789abcdef"),
];

/// A text with its ids as `rsv_*`.
fn masked(line: &str) -> String {
    let mut line = line.to_owned();
    for (start, legal) in IDS {
        let long = start.len();
        while let Some(at) = line.find(start).filter(|at| !line[at + long..].starts_with('*')) {
            let rest = &line[at + long..];
            let end = rest.find(|c| !legal.contains(c)).unwrap_or(rest.len());
            line.replace_range(at..at + long + end, &format!("{start}*"));
        }
    }
    line
}

/// The lines, ids masked, every run of blanks as one since columns follow ids, and times and costs by their kind.
pub fn squeezed(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| {
        let line = masked(line);
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut shown: Vec<&str> = Vec::new();
        let mut at = 0;
        while at < words.len() {
            let time = |n: usize| {
                words.get(n).is_some_and(|word| word.chars().all(|c| c.is_ascii_digit()))
                    && words.get(n + 1).is_some_and(|unit| ["d", "h", "min", "s"].contains(unit))
            };
            let word = words[at];
            let (kind, taken) = if time(at) {
                ("TIME", if time(at + 2) { 4 } else { 2 })
            } else if word == "now" {
                ("TIME ago", 1)
            } else if word.len() == 11 && word.starts_with("(20") {
                // "(2026-11-21 18:00:00 UTC)"
                ("(MOMENT)", 3)
            } else if word.len() == 8 && word.matches(':').count() == 2 {
                ("CLOCK", 1)
            } else if words.get(at + 1..at + 3) == Some(&["so", "far"]) {
                ("$COST", 1)
            } else {
                (word, 1)
            };
            shown.push(kind);
            at += taken;
        }
        shown.join(" ")
    });
    lines.collect()
}
