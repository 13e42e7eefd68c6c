//! Runs the README's example and looks at everything process-wide before and after: a library that is embedded leaves
//! no trace in its host. With `--prove` it then leaves every trace itself, and fails unless each is found.
//!
//! Made into a crate by scripts/stages/embed, which puts the example into `example.rs`.

use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::OsString;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{env, fs, io, panic, process};

/// What the example printed. Everything else that reaches standard output or error is somebody else's.
static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn said(line: String) {
    SAID.lock().expect("no panic while printing").push(line);
}

// They stand before the example, so it prints into `SAID`.
macro_rules! println { ($($what:tt)*) => { crate::said(format!($($what)*)) }; }
#[allow(unused_macros, reason = "an example need not complain")]
macro_rules! eprintln { ($($what:tt)*) => { crate::said(format!($($what)*)) }; }

mod example;

/// Signals this process catches and ignores, as the kernel says.
fn signals() -> io::Result<(String, String)> {
    let status = fs::read_to_string("/proc/self/status")?;
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.trim_start_matches(name).trim().to_owned()
    };
    Ok((field("SigCgt:"), field("SigIgn:")))
}

fn threads() -> io::Result<usize> {
    Ok(fs::read_dir("/proc/self/task")?.count())
}

fn environment() -> BTreeMap<OsString, OsString> {
    env::vars_os().collect()
}

/// Our own panic hook: it counts, so that it is no zero-sized closure and has an address of its own.
fn hook(count: &'static AtomicU64) -> Hook {
    let calls = [count; 4];
    Box::new(move |_| {
        calls[0].fetch_add(1, Ordering::Relaxed);
    })
}

type Hook = Box<dyn Fn(&panic::PanicHookInfo<'_>) + Sync + Send + 'static>;

static PANICS: AtomicU64 = AtomicU64::new(0);

struct Before {
    signals: (String, String),
    environment: BTreeMap<OsString, OsString>,
    folder: std::path::PathBuf,
    hook: usize,
}

impl Before {
    fn look() -> io::Result<Self> {
        // The C library installs a handler of its own with the first thread: that one is nobody's doing.
        std::thread::spawn(|| {}).join().expect("an empty thread ends");
        let ours = hook(&PANICS);
        let address = address(&ours);
        panic::set_hook(ours);
        Ok(Self {
            signals: signals()?,
            environment: environment(),
            folder: env::current_dir()?,
            hook: address,
        })
    }

    /// Everything that is not as it was.
    fn traces(&self) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        let mut trace = |left: bool, what: String| {
            if left {
                found.push(what);
            }
        };
        trace(
            rustls::crypto::CryptoProvider::get_default().is_some(),
            "a default rustls provider".to_owned(),
        );
        trace(tracing::dispatcher::has_been_set(), "a tracing subscriber".to_owned());
        // Taken, looked at, and put back: even a hook that calls ours is another one.
        let now = panic::take_hook();
        trace(address(&now) != self.hook, "a panic hook".to_owned());
        panic::set_hook(now);
        let signals = signals()?;
        trace(signals != self.signals, format!("signal handlers: {:?} are now {signals:?}", self.signals));
        trace(environment() != self.environment, "environment variables".to_owned());
        trace(env::current_dir()? != self.folder, "another working folder".to_owned());
        Ok(found)
    }
}

fn address(hook: &Hook) -> usize {
    std::ptr::from_ref(&**hook).cast::<()>().addr()
}

/// Leaves every trace that `traces` looks for.
fn leave_all() -> Result<(), Box<dyn Error>> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    tracing::subscriber::set_global_default(tracing::subscriber::NoSubscriber::new())?;
    let ours = panic::take_hook();
    panic::set_hook(Box::new(move |info| ours(info)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::user_defined1()).map(drop)
    })?;
    env::set_current_dir("/")?;
    Ok(())
}

fn run(prove: bool) -> Result<Vec<String>, Box<dyn Error>> {
    let before = Before::look()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(example::main())?;
    runtime.shutdown_timeout(Duration::from_secs(5));
    let mut traces = before.traces()?;
    let threads = threads()?;
    if threads != 1 {
        traces.push(format!("{} threads that outlive the runtime", threads - 1));
    }
    let panics = PANICS.load(Ordering::Relaxed);
    if panics > 0 {
        traces.push(format!("{panics} panics inside"));
    }
    if SAID.lock().expect("nobody prints any more").is_empty() {
        traces.push("nothing: the example shows nothing, so was it run?".to_owned());
    }
    if prove && traces.is_empty() {
        leave_all()?;
        let found = before.traces()?;
        let wanted = ["rustls", "tracing", "panic hook", "signal handlers", "working folder"];
        let missed = wanted.iter().filter(|what| !found.iter().any(|trace| trace.contains(*what)));
        traces.extend(missed.map(|what| format!("{what}, left on purpose and not found")));
    }
    Ok(traces)
}

/// The verdict goes into the file that the caller names: standard output and error must stay silent.
fn main() {
    let mut arguments = env::args().skip(1);
    let verdict = arguments.next().expect("the verdict's file is named");
    let prove = arguments.next().is_some_and(|argument| argument == "--prove");
    let (text, code) = match run(prove) {
        Ok(traces) if traces.is_empty() => {
            let lines = SAID.lock().expect("nobody prints any more").len();
            (format!("no trace; the example printed {lines} lines\n"), 0)
        }
        Ok(traces) => (format!("the library left {}\n", traces.join("; ")), 1),
        Err(error) => (format!("the example failed: {error}\n"), 1),
    };
    fs::write(verdict, text).expect("the verdict is written");
    process::exit(code);
}
