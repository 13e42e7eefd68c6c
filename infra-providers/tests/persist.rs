//! A world in a file outlives `kill -9` at any instant.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use common::subject;
use infra_core::SystemClock;
use infra_core::contracts::provider::Send;
use infra_core::nouns::launch::{FrozenLaunch, LaunchBody};
use infra_core::testing::VirtualClock;
use infra_core::testing::laws::provider::Subject;
use infra_core::words::clock::Clock;
use infra_core::words::ids::LaunchToken;
use infra_core::words::lane::{Mark, Version};
use infra_providers::sim::{FaultEffect, Rule, SimConfig, SimDriver, SimOpenError, SimWorld};

const CHILD: &str = "SIM_PERSIST_CHILD";
const KILLS: u64 = 12;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("infra-sim-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("makes a folder");
        Self(path)
    }

    fn world(&self) -> PathBuf {
        self.0.join("world.jsonl")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _best_effort = std::fs::remove_dir_all(&self.0);
    }
}

/// Another test of this program starts children: between fork and exec one of them has the lock of a world that was
/// closed here, too. That passes.
#[allow(clippy::needless_pass_by_value, reason = "its callers make one for it")]
fn open(path: &Path, clock: Arc<dyn Clock>) -> SimWorld {
    for _ in 0..500 {
        match SimWorld::open(path, SimConfig::small(3), Arc::clone(&clock)) {
            Err(SimOpenError::InUse { .. }) => {
                std::thread::park_timeout(std::time::Duration::from_millis(10));
            }
            opened => return opened.expect("opens"),
        }
    }
    panic!("{} stays in use", path.display());
}

fn frozen(on: &Subject, at: Version) -> FrozenLaunch {
    let entropy = infra_core::SystemEntropy;
    let token = LaunchToken::draw(on.clock.wall(), &entropy);
    let body = LaunchBody::Machine(on.machine.clone());
    FrozenLaunch {
        token,
        mark: Mark { installation: on.installation, token, kind: body.kind(), seq: at },
        name: format!("m-{token}"),
        count: 2,
        zone: on.zones.first().cloned(),
        labels: Default::default(),
        body,
    }
}

/// Runs only as the child that is killed: launches for ever, and says what was answered.
#[tokio::test]
#[allow(clippy::print_stdout, reason = "the parent reads it")]
async fn child_that_is_killed() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let world = open(Path::new(&path), Arc::new(SystemClock));
    let on = subject(&SimDriver::new(world), Arc::new(SystemClock), "sim-east", "t3.small").await;
    for at in 0.. {
        let frozen = frozen(&on, Version(at));
        let send = Send { user_data: None, files: None, deadline: on.clock.mono() + on.settles_within };
        let made = on.provider.launch(&frozen, &send).await.expect("launches");
        let line = serde_json::to_string(&(&frozen, &made)).expect("serialises");
        println!("ANSWERED {line}");
        std::io::stdout().flush().expect("the parent reads");
    }
}

#[tokio::test]
async fn kill_9_loses_nothing_that_was_answered() {
    let folder = Folder::new("kill");
    let mut answered = Vec::new();
    for round in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().expect("has a path"))
            .args(["--exact", "child_that_is_killed", "--nocapture"])
            .env(CHILD, folder.world())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let mut lines = BufReader::new(child.stdout.take().expect("is piped")).lines();
        let mut seen = 0;
        // SIGKILL lands wherever the child is; what it still wrote before is read to the end of the pipe.
        while let Some(Ok(line)) = lines.next() {
            if let Some((_, line)) = line.split_once("ANSWERED ")
                && let Ok(answer) =
                    serde_json::from_str::<(FrozenLaunch, Vec<infra_core::nouns::cloud::Observed>)>(line)
            {
                answered.push(answer);
                seen += 1;
            }
            if seen == 1 + 20 * round {
                child.kill().expect("is killed");
            }
        }
        child.wait().expect("has ended");
        assert!(seen > 0, "the child never answered");
    }
    let world = open(&folder.world(), Arc::new(SystemClock));
    let truth = world.truth();
    let here = |id| truth.iter().any(|thing| &thing.id == id && thing.alive());
    for (frozen, made) in &answered {
        assert!(made.iter().all(|thing| here(&thing.id)), "{} was answered and is lost", frozen.token);
    }
    // At most one launch per kill was done and not answered; none is there twice.
    let launched = truth.len() / 2;
    assert!(truth.len().is_multiple_of(2), "half a batch survived");
    let kills = usize::try_from(KILLS).expect("a small number");
    assert!((answered.len()..=answered.len() + kills).contains(&launched), "{launched} launches");
    let on = subject(&SimDriver::new(world), Arc::new(SystemClock), "sim-east", "t3.small").await;
    for (frozen, made) in answered.iter().rev().take(20) {
        let send = Send { user_data: None, files: None, deadline: on.clock.mono() + on.settles_within };
        let again = on.provider.launch(frozen, &send).await.expect("replays");
        let same = again.iter().zip(made).all(|(again, made)| again.id == made.id);
        assert!(same, "token {} was forgotten", frozen.token);
    }
    println!("COUNT sim_kill_9 kills={KILLS} answered={} lost=0", answered.len());
}

#[tokio::test]
async fn time_rules_and_a_torn_line_survive_reopening() {
    let folder = Folder::new("reopen");
    let clock = Arc::new(VirtualClock::default());
    let world = open(&folder.world(), clock.clone());
    let second = SimWorld::open(&folder.world(), SimConfig::small(3), clock.clone());
    assert!(matches!(second, Err(SimOpenError::InUse { .. })), "two processes would write one file");
    world.tick(std::time::Duration::from_secs(7200));
    world.rule(Rule::once("launch", FaultEffect::Capacity));
    world.revoke_key("sim-ada");
    let now = world.now();
    drop(world);

    let mut file = std::fs::OpenOptions::new().append(true).open(folder.world()).expect("opens");
    file.write_all(b"{\"at\":\"2026-0").expect("writes");
    drop(file);
    let world = open(&folder.world(), clock.clone());
    assert!(world.now() >= now, "the cloud's time went back from {now} to {}", world.now());
    assert_eq!(world.rules().len(), 1);
    let key = common::key("sim-ada");
    use infra_core::CloudDriver;
    SimDriver::new(world.clone()).identify(&key).await.expect_err("was revoked");
    world.restore_key("sim-ada");
    drop(world);
    let world = open(&folder.world(), clock);
    SimDriver::new(world).identify(&key).await.expect("works again");

    let text = std::fs::read_to_string(folder.world()).expect("reads");
    std::fs::write(folder.world(), format!("nonsense\n{text}")).expect("writes");
    drop(text);
    let damaged = SimWorld::open(&folder.world(), SimConfig::small(3), Arc::new(SystemClock));
    assert!(matches!(damaged, Err(SimOpenError::Damaged { line: 1, .. })));
}
