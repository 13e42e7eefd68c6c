//! TLS as the command line speaks it: with whom it talks, and what it says when it does not.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use super::{Ran, command, run};
use crate::common::{Scratch, Server};

fn written(path: &Path, text: &str) -> String {
    std::fs::write(path, text).expect("the folder is ours");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("it is ours");
    path.to_str().expect("text").to_owned()
}

/// An authority's file, and a pair that it signed for a name.
struct Pair {
    ca: String,
    cert: String,
    key: String,
}

fn signed(folder: &Path, who: &str, name: &str, expired: bool) -> Pair {
    let authority = KeyPair::generate().expect("draws");
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&authority).expect("signs");
    let issuer = Issuer::new(params, authority);
    let key = KeyPair::generate().expect("draws");
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    if expired {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    }
    let cert = params.signed_by(&key, &issuer).expect("signs");
    Pair {
        ca: written(&folder.join(format!("{who}-ca.pem")), &ca.pem()),
        cert: written(&folder.join(format!("{who}.pem")), &cert.pem()),
        key: written(&folder.join(format!("{who}-key.pem")), &key.serialize_pem()),
    }
}

fn served(scratch: &Scratch, pair: &Pair) -> (Server, String) {
    let server = scratch.start(&["--tls-cert", &pair.cert, "--tls-key", &pair.key], &[]);
    let port = server.address.rsplit_once(':').expect("an address has a port").1.to_owned();
    (server, port)
}

fn users(scratch: &Scratch, server: &Server, url: &str, more: &[&str]) -> Ran {
    let args = [&["users"], more].concat();
    run(scratch, &args, &[("INFRA_URL", url), ("INFRA_TOKEN", &server.admin)], "")
}

#[test]
fn a_server_that_nobody_vouches_for_is_told_the_token() {
    let scratch = Scratch::new("cli-tls");
    let (ours, theirs) =
        (signed(&scratch.0, "ours", "localhost", false), signed(&scratch.0, "theirs", "localhost", false));
    let (server, port) = served(&scratch, &ours);
    let url = format!("https://localhost:{port}");
    users(&scratch, &server, &url, &["--ca-file", &ours.ca]).ok();
    let mut by_environment = command(&scratch);
    by_environment.args(["users"]).env("INFRA_URL", &url).env("INFRA_TOKEN", &server.admin);
    let ran = by_environment.env("INFRA_CA_FILE", &ours.ca).output().expect("the binary runs");
    assert!(ran.status.success(), "{ran:?}");
    let none = scratch.0.join("none.pem");
    std::fs::write(&none, "no certificate").expect("the folder is ours");
    let none = none.to_str().expect("text");
    for (url, more, code, said) in [
        (&url, &[][..], 69, "--ca-file"),
        (&url, &["--ca-file", &theirs.ca], 69, "theirs-ca.pem"),
        (&url, &["--ca-file", none], 78, "none.pem: holds no certificate"),
        (&url, &["--ca-file", "/does/not/exist"], 78, "/does/not/exist"),
        (
            &format!("https://127.0.0.1:{port}"),
            &["--ca-file", &ours.ca],
            69,
            "not for 127.0.0.1 but for localhost",
        ),
    ] {
        let ran = users(&scratch, &server, url, more);
        assert_eq!((ran.code, ran.err.contains(said)), (code, true), "{url} {more:?}: {ran:?}");
        assert!(ran.out.is_empty() && !ran.err.contains(&server.admin), "{ran:?}");
        assert_eq!(ran.err.lines().count(), 1, "{ran:?}");
    }
    // A login remembers whom it trusts.
    let login = ["login", "--profile", "admin", "--url", &url, "--ca-file", &ours.ca, "--token-stdin"];
    run(&scratch, &login, &[], &server.admin).ok();
    run(&scratch, &["--profile", "admin", "users"], &[], "").ok();
}

#[test]
fn a_certificate_that_is_over_or_no_tls_at_all_is_an_error_nobody_understands() {
    let scratch = Scratch::new("cli-tls-over");
    let over = signed(&scratch.0, "over", "localhost", true);
    let (server, port) = served(&scratch, &over);
    let ran = users(&scratch, &server, &format!("https://localhost:{port}"), &["--ca-file", &over.ca]);
    assert_eq!((ran.code, ran.err.contains("has expired")), (69, true), "{ran:?}");
    drop(server);
    let plain = scratch.start(&[], &[]);
    let ran = users(&scratch, &plain, &format!("https://{}", plain.address), &[]);
    assert_eq!((ran.code, ran.err.contains("is it http://?")), (69, true), "{ran:?}");
}
