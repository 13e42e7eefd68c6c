//! The tree as text: which files there are, which of them are tests, and what of them is code.

use std::fs;
use std::path::{Path, PathBuf};

/// One file, by its path from the root with `/` between.
#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// Tests may be long, and may unwrap.
    pub(crate) fn is_test(&self) -> bool {
        let path = format!("/{}", self.path);
        let beside = path.ends_with("tests.rs") || path.contains("/tests/");
        beside || path.contains("/testing/") || path.starts_with("/benches/")
    }

    /// Everything but the test modules inside the file.
    pub(crate) fn body(&self) -> String {
        let chars: Vec<char> = self.text.chars().collect();
        // As many letters as the text has, so places in one are places in the other.
        let bare: Vec<char> = bare(&self.text).chars().collect();
        let mut body = String::with_capacity(self.text.len());
        let mut at = 0;
        while at < chars.len() {
            match end_of_test_module(&bare, at) {
                Some(end) => at = end,
                None => {
                    body.push(chars[at]);
                    at += 1;
                }
            }
        }
        body
    }

    /// The body without comments and without what stands in texts: line by line as it was.
    pub(crate) fn code(&self) -> String {
        bare(&self.body())
    }
}

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("the crate stands in a workspace").to_owned()
}

/// Folders that hold nothing of ours: what is built, drawn or kept at run time.
const SKIPPED: [&str; 4] = ["target", ".git", ".testbed", "infra-data"];

/// Every text file of the tree.
pub(crate) fn files() -> Vec<File> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the tree reads") {
            let path = entry.expect("an entry reads").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if SKIPPED.contains(&name) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                let path =
                    path.strip_prefix(&root).expect("below the root").to_string_lossy().replace('\\', "/");
                found.push(File { path, text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(found.len() > 50, "only {} files: is this the tree?", found.len());
    found
}

/// Every Rust file of the tree.
pub(crate) fn rust() -> Vec<File> {
    files().into_iter().filter(|file| file.path.ends_with(".rs")).collect()
}

/// One file of the tree.
pub(crate) fn file(path: &str) -> File {
    let text = fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    File::new(path, &text)
}

/// Where the test module that begins here ends; `None` when none does.
fn end_of_test_module(bare: &[char], at: usize) -> Option<usize> {
    if bare.get(at) != Some(&'#') {
        return None;
    }
    let attribute: Vec<char> = "#[cfg(test)]".chars().collect();
    let rest = bare.get(at..).filter(|rest| rest.starts_with(&attribute))?;
    let item = attribute.len() + rest[attribute.len()..].iter().take_while(|c| c.is_whitespace()).count();
    if !rest[item..].starts_with(&['m', 'o', 'd', ' ']) {
        return None;
    }
    let mut depth = 0_usize;
    let end = rest[item..].iter().position(|c| {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && matches!(c, '}' | ';')
    });
    Some(end.map_or(bare.len(), |end| at + item + end + 1))
}

/// Blanks comments, texts and letters; line ends stay.
pub(crate) fn bare(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = end_of_blank(&chars, at);
        if end == at {
            out.push(chars[at]);
            at += 1;
        } else {
            out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    out
}

/// Where the comment, text or letter that begins here ends; `at` itself when none does.
fn end_of_blank(chars: &[char], at: usize) -> usize {
    let next = chars.get(at + 1).copied();
    match (chars[at], next) {
        ('/', Some('/')) => until(chars, at, |rest| rest[0] == '\n'),
        ('/', Some('*')) => until(chars, at + 2, |rest| rest.starts_with(&['*', '/'])).saturating_add(2),
        ('"', _) => end_of_text(chars, at + 1),
        ('r', Some('"' | '#')) if !chars[..at].last().is_some_and(|c| is_word(*c)) => end_of_raw(chars, at),
        // A letter, not a lifetime: it is closed again.
        ('\'', Some('\\')) => until(chars, at + 3, |rest| rest[0] == '\'').saturating_add(1),
        ('\'', Some(_)) if chars.get(at + 2) == Some(&'\'') => at + 3,
        _ => at,
    }
    .min(chars.len())
}

fn end_of_text(chars: &[char], mut at: usize) -> usize {
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

fn end_of_raw(chars: &[char], at: usize) -> usize {
    let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
    let open = at + 1 + hashes;
    if chars.get(open) != Some(&'"') {
        return at;
    }
    let mut close = vec!['"'];
    close.extend(std::iter::repeat_n('#', hashes));
    until(chars, open + 1, |rest| rest.starts_with(&close)) + close.len()
}

fn until(chars: &[char], from: usize, ends: impl Fn(&[char]) -> bool) -> usize {
    (from..chars.len()).find(|at| ends(&chars[*at..])).unwrap_or(chars.len())
}

/// May stand in a name?
pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Every name in a text, in order.
pub(crate) fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !is_word(c)).filter(|name| !name.is_empty())
}

#[test]
fn what_stands_in_comments_and_texts_is_no_code() {
    let text = "a // b {\nc /* d\ne */ \"f { \\\" g\" r#\"h \" i\"# '{' '\\n' 'life j::k";
    let bare = bare(text);
    assert_eq!(names(&bare).collect::<Vec<_>>(), ["a", "c", "life", "j", "k"]);
    assert_eq!(bare.lines().count(), text.lines().count());
    assert!(!bare.contains('{'));
}

#[test]
fn a_test_module_is_no_body_and_what_follows_it_is() {
    let text = "fn a() {}\n#[cfg(test)]\nuse x;\n#[cfg(test)]\nmod tests { const C: &str = \"}\"; fn b() {} }\nfn c() {}\n";
    let file = File::new("a/src/b.rs", text);
    let body = file.body();
    assert!(body.contains("use x;") && body.contains("fn c"), "{body}");
    assert!(!body.contains("fn b"), "{body}");
    assert!(File::new("a/src/b.rs", "#[cfg(test)]\nmod tests;\nfn c() {}").body().contains("fn c"));
    assert!(!file.is_test());
    assert!(File::new("a/tests/b.rs", "").is_test() && File::new("benches/b.rs", "").is_test());
}
