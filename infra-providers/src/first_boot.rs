//! First-boot data: public keys beside a user's script, for clouds where a key cannot belong to one machine.
//!
//! # Flow
//! Without keys the user's data goes as it is. With keys it becomes a MIME message of two parts, which cloud-init
//! takes apart: the user's own, and a cloud-config that lets the keys in.
//!
//! # Guarantees
//! * Pure: the same script and keys are the same bytes.
//! * The keys' part comes last and is merged: lists of the user's own cloud-config are kept, its other settings win.
//! * A key cannot say anything but a key: more than one line is refused.
//!
//! # Caveats
//! An image without cloud-init ignores all of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use infra_core::contracts::provider::ProviderError;
use infra_core::words::secret::Secret;

use crate::failure::invalid;

/// Stands between the parts. Parts are base64, so it cannot occur in one.
const BOUNDARY: &str = "==infra-first-boot==";

/// The data of a machine that these keys may log in to; `None` when there is nothing to say.
///
/// # Errors
/// [`ProviderError::Invalid`] for what is no OpenSSH public key on one line.
pub(crate) fn with_keys(
    user_data: Option<&Secret>,
    keys: &[String],
) -> Result<Option<Secret>, ProviderError> {
    if keys.is_empty() {
        return Ok(user_data.cloned());
    }
    let mut message =
        format!("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"{BOUNDARY}\"\n\n");
    if let Some(data) = user_data {
        message.push_str(&format!("--{BOUNDARY}\n{}", user_part(data.expose())));
    }
    message.push_str(&format!("--{BOUNDARY}\n{}--{BOUNDARY}--\n", encoded("cloud-config", &config(keys)?)));
    Ok(Some(Secret::new(message)))
}

fn user_part(data: &str) -> String {
    let begins = |with: &str| data.get(..with.len()).is_some_and(|head| head.eq_ignore_ascii_case(with));
    if begins("Content-Type:") || begins("MIME-Version:") {
        // Already a message: its headers are the part's, and cloud-init walks into it.
        return format!("{}\n", data.trim_end_matches('\n'));
    }
    let kinds = [
        ("#cloud-config-archive", "cloud-config-archive"),
        ("#cloud-config", "cloud-config"),
        ("#cloud-boothook", "cloud-boothook"),
        ("#include", "x-include-url"),
        ("## template: jinja", "jinja2"),
    ];
    let kind =
        kinds.iter().find(|(head, _)| data.starts_with(head)).map_or("x-shellscript", |(_, kind)| kind);
    encoded(kind, data)
}

fn encoded(kind: &str, text: &str) -> String {
    let head = "MIME-Version: 1.0\nContent-Transfer-Encoding: base64\nContent-Type: text/";
    format!("{head}{kind}; charset=\"utf-8\"\n\n{}\n", STANDARD.encode(text))
}

/// Keys for the image's first user *and* for root, whose password is never sent to anybody and never to be changed
/// before the first login.
fn config(keys: &[String]) -> Result<String, ProviderError> {
    let mut text = "#cloud-config\nmerge_how: \"list(append)+dict(no_replace,recurse_list)+str()\"\n\
                    disable_root: false\nssh_pwauth: false\nchpasswd: {expire: false}\nssh_authorized_keys:\n"
        .to_owned();
    for key in keys {
        let key = key.trim();
        let words = key.split_ascii_whitespace().count();
        if words < 2 || key.chars().any(char::is_control) {
            return Err(invalid("a public key must be one line of type, key and comment"));
        }
        // A JSON string is a YAML string.
        text.push_str(&format!("  - {}\n", serde_json::Value::from(key)));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3Nza me@home: \"quoted\" # not a comment";

    fn parts(data: Option<&str>) -> Vec<(String, String)> {
        let data = data.map(|text| Secret::new(text.to_owned()));
        let whole = with_keys(data.as_ref(), &[KEY.to_owned()]).expect("a good key").expect("keys");
        let whole = whole.expose().to_owned();
        let between = format!("--{BOUNDARY}\n");
        let parts = whole.split(&between).skip(1);
        let part = |part: &str| {
            let (head, body) = part.split_once("\n\n").expect("head and body");
            let kind = head.split("text/").nth(1).and_then(|rest| rest.split(';').next()).expect("a kind");
            let body = body.lines().next().expect("a body");
            let body = String::from_utf8(STANDARD.decode(body).expect("base64")).expect("text");
            (kind.to_owned(), body)
        };
        parts.map(part).collect()
    }

    #[test]
    fn without_keys_a_script_is_left_alone() {
        let script = Secret::new("#!/bin/sh\ntrue\n".to_owned());
        let same = with_keys(Some(&script), &[]).expect("nothing to refuse").expect("a script");
        assert_eq!(same.expose(), script.expose());
        assert!(with_keys(None, &[]).expect("nothing to refuse").is_none());
    }

    #[test]
    fn a_script_and_the_keys_both_arrive_whole() {
        for (script, kind) in [
            ("#!/bin/sh\necho --==infra-first-boot==\n", "x-shellscript"),
            ("#cloud-config\npackages: [\"ä\"]\n", "cloud-config"),
            ("#include\nhttps://example.org\n", "x-include-url"),
        ] {
            let [user, ours] = <[_; 2]>::try_from(parts(Some(script))).expect("two parts");
            assert_eq!(user, (kind.to_owned(), script.to_owned()));
            assert_eq!(ours.0, "cloud-config");
            let keys = ours.1.lines().skip_while(|line| *line != "ssh_authorized_keys:").nth(1);
            let key: String =
                serde_json::from_str(keys.and_then(|key| key.strip_prefix("  - ")).expect("a key"))
                    .expect("JSON");
            assert_eq!(key, KEY);
        }
        assert_eq!(parts(None).len(), 1);
    }

    #[test]
    fn a_message_of_the_users_own_is_nested_not_wrapped() {
        let own = "Content-Type: multipart/mixed; boundary=\"x\"\n\n--x\n--x--\n";
        let whole = with_keys(Some(&Secret::new(own.to_owned())), &[KEY.to_owned()]);
        let whole = whole.expect("a good key").expect("keys");
        assert!(
            whole.expose().contains(&format!("--{BOUNDARY}\nContent-Type: multipart/mixed; boundary=\"x\""))
        );
    }

    #[test]
    fn a_key_of_two_lines_cannot_smuggle_settings_in() {
        for bad in ["ssh-ed25519 AAAA\nruncmd: [reboot]", "", "justone"] {
            let error = with_keys(None, &[bad.to_owned()]).expect_err("not a key");
            assert!(matches!(error, ProviderError::Invalid { .. }), "{bad:?}");
        }
    }
}
