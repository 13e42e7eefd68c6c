//! Wrong settings files, each kept with the exact message that it gets: `tests/config/NAME.toml` and `NAME.txt`.
//!
//! To keep a new one, add the `.toml`, run this test, and judge the message that it prints before saving it as `.txt`.

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use common::Scratch;
use infra_examples::server::{Args, Settings};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config")
}

/// Names of all files with this ending.
fn names(ending: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder()).expect("the folder is kept");
    let paths = entries.map(|entry| entry.expect("an entry reads").path());
    let named = paths.filter(|path| path.extension().is_some_and(|found| found == ending));
    named.map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned()).collect()
}

fn message(path: &Path) -> String {
    let args = Args { config: Some(path.to_owned()), ..Args::default() };
    let why = Settings::load(&args, &|_| None).expect_err(&path.display().to_string());
    assert_eq!(why.code(), 78, "{}: {why}", path.display());
    why.to_string().replace(&path.display().to_string(), "FILE")
}

#[test]
fn each_wrong_file_gets_exactly_its_message() {
    let files = names("toml");
    assert!(files.len() >= 20, "{files:?}");
    assert_eq!(files, names("txt"), "each file with its message");
    let mut wrong = Vec::new();
    for name in &files {
        let kept = std::fs::read_to_string(folder().join(format!("{name}.txt"))).expect("it is kept");
        let said = message(&folder().join(format!("{name}.toml")));
        if said != kept.trim_end() {
            wrong.push(format!("{name} says\n  {said}\nand not\n  {}", kept.trim_end()));
        }
        assert!(!said.contains("planted"), "{name} shows a secret: {said}");
        assert!(!said.contains('\n'), "{name}: one line");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("COUNT wrong_config_files kept={}", files.len());
}

#[test]
fn the_program_refuses_a_wrong_file_before_it_touches_anything() {
    let scratch = Scratch::new("wrong-config");
    for name in ["typo_in_a_limit", "open_to_everybody", "setting_of_another_kind"] {
        let path = folder().join(format!("{name}.toml"));
        for flags in [&[][..], &["--check-config"], &["--print-config"]] {
            let args = [flags, &["--config", path.to_str().expect("text")]].concat();
            let output = scratch.output(&args, &[]);
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(78), "{name} {flags:?}: {said}");
            assert!(said.starts_with("http-server: ") && said.lines().count() == 1, "{said}");
            assert!(output.stdout.is_empty(), "{name} {flags:?}");
        }
    }
    assert!(!scratch.data().exists());
}

#[test]
fn a_price_file_is_found_wrong_only_when_somebody_asks_for_a_price() {
    let scratch = Scratch::new("price-files");
    let (prices, settings) = (scratch.0.join("lab.csv"), scratch.0.join("some.toml"));
    let text = format!("[clouds.sim]\nprices = \"{}\"\n", prices.display());
    std::fs::write(&settings, text).expect("the folder is ours");
    let key = "77".repeat(32);
    let check = |rows: &str| {
        let head = "type,price_per_hour,currency,as_of,os\n";
        std::fs::write(&prices, format!("{head}{rows}")).expect("the folder is ours");
        let args = ["--config", settings.to_str().expect("text"), "--check-config"];
        let output = scratch.output(&args, &[("INFRA_MASTER_KEY", &*key)]);
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), said(&output.stdout), said(&output.stderr))
    };
    let (code, out, err) = check("a,0.5,USD,2026-11-01,\nb,0,USD,2026-11-01,\nc,1,EUR,2026-11-01,windows\n");
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    for line in [
        "# clouds.sim.prices: lab.csv of 2026-11-01, 1 with a price, 2 without",
        "#   b: line 3: 0 is not above zero",
        "#   c with windows: priced in EUR, for which no rate is configured ([pricing.rates])",
        "# the configuration is fine",
    ] {
        assert!(out.lines().any(|said| said == line), "{line}\n{out}");
    }
    for (rows, why) in [
        ("a,0.5,USD,2026-11-01,\nb,0.5,usd,2026-11-01,\n", " line 3: \"usd\" is no currency"),
        ("a,0.5,USD,2026-11-01\n", " line 2: 4 fields where the first line has 5"),
        ("a,0.5,USD,2026-11-01,windoze\n", " line 2: unknown system \"windoze\"; there are linux, windows"),
        (
            "a,0.5,CHF,2026-11-01,\n",
            " names no price at all (1 rows without one, a: priced in CHF, for which no rate",
        ),
        ("0.5,a,USD,2026-11-01,\n", " names no price at all (1 rows without one, 0.5: line 2: \"a\" is not"),
    ] {
        let (code, out, err) = check(rows);
        assert_eq!((code, out.as_str()), (Some(78), ""), "{rows}: {err}");
        let wanted = format!("http-server: clouds.sim: prices {}{why}", prices.display());
        assert!(err.starts_with(&wanted) && err.lines().count() == 1, "{wanted}\n{err}");
    }
}

#[test]
fn a_misspelt_region_of_a_price_file_counts_as_fine() {
    let scratch = Scratch::new("price-regions");
    let (prices, settings) = (scratch.0.join("lab.csv"), scratch.0.join("some.toml"));
    let text = format!(
        "[clouds.lab]\nkind = \"openstack\"\nendpoint = \"https://lab.example\"\nregions = [\"one\", \"two\"]\nprices = \"{}\"\n",
        prices.display()
    );
    std::fs::write(&settings, text).expect("the folder is ours");
    let rows = "type,price_per_hour,currency,as_of,region\na,1,USD,2026-11-01,one\na,2,USD,2026-11-01,two\na,2,USD,2026-11-01,tow\n";
    std::fs::write(&prices, rows).expect("the folder is ours");
    let args = ["--config", settings.to_str().expect("text"), "--check-config"];
    let output = scratch.output(&args, &[("INFRA_MASTER_KEY", &*"77".repeat(32))]);
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(out.contains("lab.csv of 2026-11-01, 3 with a price, 0 without"), "{out}{output:?}");
    assert!(out.lines().any(|line| line == "#   rows of no region in use: tow"), "{out}");
}

#[test]
fn the_printed_configuration_of_the_program_is_read_as_the_same() {
    let scratch = Scratch::new("print-config");
    let key = "77".repeat(32);
    let env = [("INFRA_MASTER_KEY", &*key), ("INFRA_ADMIN_TOKEN", "planted-admin-token-of-more-than-32")];
    let flags = ["--listen", "[::]:9", "--insecure", "--cloud", "lab=http://127.0.0.1:5000"];
    let file = scratch.0.join("some.toml");
    let text = "home = \"here\"\n[clouds.lab]\nkind = \"openstack\"\nregions = [\"one\"]\n[limits]\nmachines_max = 3\n\
                retry_min = \"1500ms\"\ncreate_rate = { per_second = 0.5, burst = 7 }\n[http]\nwait_max = \"90s\"\n";
    std::fs::write(&file, text).expect("the folder is ours");
    let some = file.to_str().expect("text");
    let first = scratch.output(&[&flags[..], &["--config", some, "--print-config"]].concat(), &env);
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    let printed = String::from_utf8(first.stdout).expect("TOML is text");
    assert!(!printed.contains("planted") && !printed.contains(&key), "{printed}");
    for said in [
        "machines_max = 3",
        "retry_min = \"1500ms\"",
        "wait_max = \"90s\"",
        "insecure = true",
        "home = \"here\"",
    ] {
        assert!(printed.contains(said), "{said} is not in {printed}");
    }
    std::fs::write(&file, &printed).expect("the folder is ours");
    let again = scratch.output(&["--config", some, "--print-config"], &env);
    assert_eq!(String::from_utf8_lossy(&again.stdout), printed, "{}", String::from_utf8_lossy(&again.stderr));
}
