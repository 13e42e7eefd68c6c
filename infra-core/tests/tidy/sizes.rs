//! Files and functions stay small, docs stay long, and nothing unfinished is left in code.

use super::tree::{File, names, rust};
use super::{assert_found, assert_none};

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 60;
/// Doc lines per hundred lines of code: what well-kept libraries of this kind have at least.
const DOCS_MIN_PERCENT: usize = 35;

/// Lines that are neither empty nor a comment.
fn code_lines(body: &str) -> usize {
    body.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}

fn doc_lines(body: &str) -> usize {
    body.lines().map(str::trim).filter(|line| line.starts_with("///") || line.starts_with("//!")).count()
}

/// The name of the function that this line begins.
fn function(line: &str) -> Option<&str> {
    let mut rest = line.trim_start();
    loop {
        if let Some(name) = rest.strip_prefix("fn ") {
            return names(name).next();
        }
        let (word, after) = rest.split_once(' ')?;
        let visible = word == "pub" || word.starts_with("pub(");
        if !visible && !["async", "const", "unsafe", "extern"].contains(&word) {
            return None;
        }
        // `pub(in a::b)` has a blank of its own.
        rest = if word == "pub(in" { after.split_once(' ')?.1 } else { after };
    }
}

/// Every function with its first line and its length; inner ones count with the one around them.
fn functions(code: &str) -> Vec<(usize, String, usize)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String, i64, bool)> = None;
    for (at, line) in code.lines().enumerate() {
        if open.is_none() {
            open = function(line).map(|name| (at, name.to_owned(), 0, false));
        }
        let Some((start, name, depth, seen)) = &mut open else { continue };
        let count = |c| i64::try_from(line.matches(c).count()).expect("a line is short");
        *depth += count('{') - count('}');
        *seen |= line.contains('{');
        if (*seen && *depth <= 0) || (!*seen && line.trim_end().ends_with(';')) {
            found.push((*start + 1, std::mem::take(name), at - *start));
            open = None;
        }
    }
    found
}

fn too_large(file: &File) -> Vec<String> {
    if file.is_test() {
        return Vec::new();
    }
    let mut wrong = Vec::new();
    let lines = code_lines(&file.body());
    if lines > FILE_LINES_MAX {
        wrong.push(format!("{}: {lines} lines of code, at most {FILE_LINES_MAX}", file.path));
    }
    let long = functions(&file.code()).into_iter().filter(|(.., length)| *length > FUNCTION_LINES_MAX);
    wrong.extend(long.map(|(line, name, length)| {
        format!("{}:{line}: {name} has {length} lines, at most {FUNCTION_LINES_MAX}", file.path)
    }));
    wrong
}

fn unfinished(file: &File) -> Vec<String> {
    if file.is_test() {
        return Vec::new();
    }
    let code = file.code();
    let found = |what: &&str| code.contains(*what);
    let left = [".unwrap()", "todo!(", "unimplemented!(", "dbg!("];
    left.into_iter().filter(found).map(|what| format!("{}: {what}", file.path)).collect()
}

fn ignored(file: &File) -> Vec<String> {
    let found = super::tree::bare(&file.text).contains("#[ignore");
    if found { vec![format!("{}: a test that is never run", file.path)] } else { Vec::new() }
}

fn docs_percent(files: &[File]) -> usize {
    let sum = |count: fn(&str) -> usize| files.iter().map(|file| count(&file.body())).sum::<usize>();
    sum(doc_lines) * 100 / sum(code_lines).max(1)
}

#[test]
fn a_file_or_a_function_never_grows_past_reading() {
    let wrong: Vec<_> = rust().iter().flat_map(too_large).collect();
    assert_none("files and functions stay small", &wrong);
}

#[test]
fn what_is_too_long_is_found_and_what_is_a_test_may_be() {
    let lines = |n: usize| "    step();\n".repeat(n);
    let long = format!("pub(crate) async fn long() {{\n{}}}\nfn short() {{}}\n", lines(61));
    assert_found(&too_large(&File::new("a/src/b.rs", &long)), "a/src/b.rs:1: long has 62 lines");
    let tricky = format!("fn tricky() {{\n    let c = '{{'; // }}\n{}}}\n", lines(61));
    assert_found(&too_large(&File::new("a/src/b.rs", &tricky)), "tricky");
    assert_none(
        "just fits",
        &too_large(&File::new("a/src/b.rs", &format!("fn fits() {{\n{}}}\n", lines(59)))),
    );
    let big = lines(401);
    assert_found(&too_large(&File::new("a/src/b.rs", &big)), "401 lines of code");
    assert_none("comments are free", &too_large(&File::new("a/src/b.rs", &"// why\n\n".repeat(500))));
    assert_none("tests", &too_large(&File::new("a/tests/b.rs", &format!("{long}{big}"))));
    assert_none(
        "tests inside",
        &too_large(&File::new("a/src/b.rs", &format!("#[cfg(test)]\nmod tests {{\n{big}}}"))),
    );
}

#[test]
fn nothing_unfinished_is_left_in_code() {
    let wrong: Vec<_> = rust().iter().flat_map(unfinished).collect();
    assert_none("nothing unfinished", &wrong);
    for left in [
        "fn a() { b().unwrap(); }",
        "fn a() { todo!() }",
        "fn a() { dbg!(b); }",
        "fn a() { unimplemented!() }",
    ] {
        assert_found(&unfinished(&File::new("a/src/b.rs", left)), "a/src/b.rs");
    }
    assert_none(
        "prose",
        &unfinished(&File::new("a/src/b.rs", "// never .unwrap()\nconst A: &str = \"dbg!(\";")),
    );
}

#[test]
fn no_test_is_switched_off() {
    let wrong: Vec<_> = rust().iter().flat_map(ignored).collect();
    assert_none("every test runs", &wrong);
    assert_found(
        &ignored(&File::new("a/tests/b.rs", "#[test]\n#[ignore = \"slow\"]\nfn a() {}")),
        "never run",
    );
}

#[test]
fn the_core_never_outgrows_its_docs() {
    let core = |file: &File| file.path.starts_with("infra-core/src/") && !file.is_test();
    let core: Vec<File> = rust().into_iter().filter(core).collect();
    let percent = docs_percent(&core);
    println!("DOCS crate=infra-core percent={percent} min={DOCS_MIN_PERCENT}");
    assert!(
        percent >= DOCS_MIN_PERCENT,
        "{percent} doc lines per 100 lines of code, at least {DOCS_MIN_PERCENT}"
    );
}

#[test]
fn docs_are_counted_in_percent_of_code_and_the_floor_itself_passes() {
    let file = |docs: usize, code: usize| {
        let tests = "#[cfg(test)]\nmod tests {\n    /// Tests are no code of the crate.\n    fn a() {}\n}\n";
        let text = format!(
            "//! One.\n{}{}// why\n\n{tests}",
            "/// More.\n".repeat(docs - 1),
            "fn a() {}\n".repeat(code)
        );
        File::new("infra-core/src/a.rs", &text)
    };
    assert_eq!(docs_percent(&[file(1, 4)]), 25);
    assert_eq!(docs_percent(&[file(1, 4), file(3, 4)]), 50, "over all files, not the mean of them");
    assert_eq!(docs_percent(&[file(1, 3)]), 33, "never rounded up");
    assert_eq!(docs_percent(&[file(DOCS_MIN_PERCENT, 100)]), DOCS_MIN_PERCENT);
    assert!(
        docs_percent(&[file(DOCS_MIN_PERCENT - 1, 100)]) < DOCS_MIN_PERCENT,
        "one line less is too little"
    );
}
