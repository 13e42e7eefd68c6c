//! The server on a network that is not its own: TLS, clients that dribble, more connections than it takes, callers that
//! ask too often. All over the real process.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use common::{Reply, Scratch, Server};
use infra_core::{Clock, SystemClock};
use rustix::process::Signal;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// A certificate for `localhost`, and its key, PEM.
fn drawn() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("draws");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// Where a server finds its pair.
struct Files {
    cert: PathBuf,
    key: PathBuf,
}

impl Files {
    fn new(scratch: &Scratch, cert: &str, key: &str) -> Self {
        let files = Self { cert: scratch.0.join("cert.pem"), key: scratch.0.join("key.pem") };
        files.write(cert, key);
        files
    }

    fn write(&self, cert: &str, key: &str) {
        std::fs::write(&self.cert, cert).expect("the folder is ours");
        std::fs::write(&self.key, key).expect("the folder is ours");
        std::fs::set_permissions(&self.key, std::fs::Permissions::from_mode(0o600)).expect("it is ours");
    }

    fn flags(&self) -> [&str; 4] {
        ["--tls-cert", self.cert.to_str().expect("text"), "--tls-key", self.key.to_str().expect("text")]
    }
}

/// Asks over TLS, trusting one certificate alone.
fn ask(server: &Server, trusted: &str, path: &str) -> Result<Reply, String> {
    let mut roots = RootCertStore::empty();
    let cert = CertificateDer::from_pem_slice(trusted.as_bytes()).expect("PEM");
    roots.add(cert).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("it is well formed");
    let stream = TcpStream::connect(&server.address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("above zero");
    let mut stream = StreamOwned::new(connection, stream);
    let auth = &server.admin;
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {auth}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).map_err(|error| error.to_string())?;
    let mut text = String::new();
    // Whoever closes without a word of TLS has still said everything that HTTP promised.
    match stream.read_to_string(&mut text) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof && !text.is_empty() => {}
        Err(error) => return Err(error.to_string()),
    }
    Ok(Reply::parse(&text))
}

#[test]
fn a_public_address_without_tls_gives_every_token_away() {
    let scratch = Scratch::new("public");
    for address in ["0.0.0.0:0", "[::]:0"] {
        let refused = scratch.output(&["--listen", address], &[]);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(78), "{said}");
        assert!(said.contains("in the clear") && said.contains("--insecure"), "{said}");
    }
    assert!(!scratch.data().exists(), "nothing was touched");
    let server = scratch.start(&["--listen", "0.0.0.0:0", "--insecure"], &[]);
    assert!(server.banner.contains("INSECURE"), "{}", server.banner);
    drop(server);
    let (cert, key) = drawn();
    let files = Files::new(&scratch, &cert, &key);
    let server = scratch.start(&[&files.flags()[..], &["--listen", "0.0.0.0:0"]].concat(), &[]);
    assert!(server.banner.contains("https://") && !server.banner.contains("INSECURE"), "{}", server.banner);
}

#[test]
fn tls_is_spoken_with_the_given_certificate_and_with_no_other() {
    let scratch = Scratch::new("tls");
    let (cert, key) = drawn();
    let files = Files::new(&scratch, &cert, &key);
    let server = scratch.start(&files.flags(), &[]);
    let reply = ask(&server, &cert, "/admin/users").expect("its certificate is trusted");
    assert_eq!(reply.status, 200, "{reply:?}");
    let stranger = ask(&server, &drawn().0, "/admin/users").expect_err("another certificate is trusted");
    assert!(stranger.contains("certificate"), "{stranger}");
    // Plain HTTP gets nothing out of it.
    let mut plain = TcpStream::connect(&server.address).expect("it listens");
    plain.set_read_timeout(Some(Duration::from_secs(20))).expect("above zero");
    plain.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").expect("it reads");
    let mut said = Vec::new();
    let _cut = plain.read_to_end(&mut said);
    assert!(!String::from_utf8_lossy(&said).contains("HTTP/1.1"), "{said:?}");
    server.signal(Signal::TERM);
    assert!(server.wait().success(), "{}", scratch.log());
}

#[test]
fn a_pair_that_does_not_belong_together_is_refused_at_the_start() {
    let scratch = Scratch::new("tls-wrong");
    let (cert, key) = drawn();
    let (_, other) = drawn();
    let files = Files::new(&scratch, &cert, &other);
    for flags in [&[][..], &["--check-config"]] {
        let refused = scratch.output(&[&files.flags()[..], flags].concat(), &[]);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(78), "{said}");
        assert!(said.contains("do not belong together") && !said.contains("PRIVATE"), "{said}");
    }
    assert!(!scratch.data().exists(), "nothing was touched");
    files.write(&cert, &key);
    let fine = scratch.output(&[&files.flags()[..], &["--check-config"]].concat(), &[]);
    assert!(fine.status.success(), "{}", String::from_utf8_lossy(&fine.stderr));
}

#[test]
fn a_renewed_certificate_is_taken_over_and_a_broken_one_is_not() {
    let scratch = Scratch::new("tls-renewed");
    let (first, key) = drawn();
    let files = Files::new(&scratch, &first, &key);
    let mut server = scratch.start(&files.flags(), &[]);
    let (second, key) = drawn();
    files.write(&second, "-----BEGIN nothing");
    let until_log = |wanted: &str| {
        let log = scratch.log();
        log.contains(wanted)
    };
    let wait_for = |server: &Server, wanted: &str| {
        server.signal(Signal::HUP);
        for _ in 0..200 {
            if until_log(wanted) {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
        panic!("{wanted} is not in {}", scratch.log());
    };
    wait_for(&server, "the old one stays in use");
    assert!(server.runs(), "SIGHUP ends nothing");
    assert_eq!(ask(&server, &first, "/healthz").expect("the old one").status, 200);
    files.write(&second, &key);
    wait_for(&server, "new connections get the new certificate");
    assert_eq!(ask(&server, &second, "/healthz").expect("the new one").status, 200);
    assert!(ask(&server, &first, "/healthz").is_err());
    assert!(!scratch.log().contains("PRIVATE KEY"));
}

/// Until the server closes, how long it took from the first byte.
fn cut_after(mut stream: TcpStream, mut word: impl FnMut(&mut TcpStream)) -> Duration {
    let begun = SystemClock.mono();
    stream.set_read_timeout(Some(Duration::from_millis(200))).expect("above zero");
    loop {
        word(&mut stream);
        let mut some = [0; 512];
        match stream.read(&mut some) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error)
                if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
        assert!(SystemClock.mono() - begun < Duration::from_secs(30), "it is never cut");
    }
    SystemClock.mono() - begun
}

#[test]
fn clients_that_dribble_keep_everybody_else_out() {
    let scratch = Scratch::new("dribble");
    let file = scratch.0.join("few.toml");
    std::fs::write(&file, "[http]\nhead_within = \"2s\"\nconnections_max = 3\n").expect("the folder is ours");
    let config = ["--config", file.to_str().expect("text")];
    let (cert, key) = drawn();
    let files = Files::new(&scratch, &cert, &key);
    for flags in [&config[..], &[&config[..], &files.flags()].concat()] {
        let server = scratch.start(flags, &[]);
        let slow: Vec<TcpStream> =
            (0..3).map(|_| TcpStream::connect(&server.address).expect("it listens")).collect();
        let took = std::thread::scope(|scope| {
            // One byte now and then, for ever: neither the head nor the handshake ends.
            let begins: &[u8] =
                if flags.len() == 2 { b"GET /healthz" } else { &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3] };
            let dribbling = |stream| {
                let mut bytes = begins.iter().chain(std::iter::repeat(&b'x'));
                scope.spawn(move || {
                    cut_after(stream, |stream| {
                        let _gone = stream.write_all(&[*bytes.next().expect("it never ends")]);
                    })
                })
            };
            let cut: Vec<_> = slow.into_iter().map(dribbling).collect();
            let begun = SystemClock.mono();
            // All places are taken: this one waits until a dribbler is cut, and is served then.
            let served = if flags.len() == 2 {
                server.send("GET", "/healthz", "", "").status
            } else {
                ask(&server, &cert, "/healthz").expect("it is served").status
            };
            assert_eq!(served, 200);
            let waited = SystemClock.mono() - begun;
            assert!(waited > Duration::from_millis(500), "a fourth connection was taken at once: {waited:?}");
            cut.into_iter().map(|cut| cut.join().expect("no panic")).max().expect("three")
        });
        assert!(took < Duration::from_secs(10), "cut only after {took:?}");
    }
}

#[test]
fn a_token_at_its_limit_is_told_when_to_come_back_and_slows_nobody() {
    let scratch = Scratch::new("rates");
    let file = scratch.0.join("slow.toml");
    let text = "[http]\ntoken_rate = { per_second = 0.5, burst = 3 }\naddress_rate = { per_second = 0.5, burst = 6 }\n";
    std::fs::write(&file, text).expect("the folder is ours");
    let server = scratch.start(&["--config", file.to_str().expect("text")], &[]);
    let (ada, eve) = (server.user("ada", "user"), server.user("eve", "user"));
    let ask = |who: &str, token: &str| server.send("GET", &format!("/users/{who}/reservations"), token, "");
    // The first of each is a stranger's; then the token has a bucket of its own.
    assert_eq!((ask("ada", &ada).status, ask("eve", &eve).status), (200, 200));
    let eves: Vec<_> = (0..20).map(|_| ask("eve", &eve).status).collect();
    assert!((3..=5).contains(&eves.iter().filter(|status| **status == 200).count()), "{eves:?}");
    let refused = ask("eve", &eve);
    assert_eq!((refused.status, refused.code()), (429, "rate-limited"), "{refused:?}");
    let after: u64 = refused.header("retry-after").and_then(|after| after.parse().ok()).expect("a number");
    assert!((1..=2).contains(&after) && refused.json["retry_after_s"] == after, "{refused:?}");
    assert_eq!(ask("ada", &ada).status, 200, "ada is not slowed");
    assert_eq!(server.admin("GET", "/admin/users", "").status, 200, "nor is the admin");
    // Guessers pay at their address, and probes never do.
    let guesses: Vec<_> = (0..20).map(|n| ask("ada", &format!("guess-{n}")).status).collect();
    assert!(guesses.contains(&401) && guesses.contains(&429), "{guesses:?}");
    assert_eq!(ask("ada", &ada).status, 200, "ada is not slowed by guesses from her own address");
    for path in ["/healthz", "/readyz"] {
        assert!((0..50).all(|_| server.send("GET", path, "", "").status == 200), "{path}");
    }
    std::thread::park_timeout(Duration::from_secs(after + 1));
    assert_eq!(ask("eve", &eve).status, 200, "who comes back as told is let in");
}

#[test]
fn behind_a_proxy_one_guesser_keeps_out_whom_the_server_has_not_seen_yet() {
    let from = |address: &str| format!("x-forwarded-for: {address}\r\n");
    // Trusted as the proxy that these connections are; another one; and nobody.
    for (trusted, believed) in [("[\"127.0.0.1\"]", true), ("[\"10.0.0.0/8\"]", false), ("[]", false)] {
        let scratch = Scratch::new("proxied");
        let first = scratch.start(&[], &[]);
        let ada = first.user("ada", "user");
        first.kill_9();
        let path = scratch.0.join("proxied.toml");
        let text = format!(
            "[http]\naddress_rate = {{ per_second = 0.1, burst = 5 }}\ntrusted_proxies = {trusted}\n"
        );
        std::fs::write(&path, text).expect("the folder is ours");
        // Started anew it has seen no token.
        let server = scratch.start(&["--config", path.to_str().expect("text")], &[]);
        let guess = |n: usize, address: &str| {
            server.send_with("GET", "/users/ada/keys", &format!("infra_guess{n}"), "", &from(address)).status
        };
        let guesses: Vec<u16> = (0..8).map(|n| guess(n, "203.0.113.9, 198.51.100.7")).collect();
        assert_eq!(guesses.iter().filter(|status| **status == 429).count(), 3, "{trusted}: {guesses:?}");
        // What the guesser writes before the proxy's own word makes nobody else of it; nor does anything of whoever is
        // not trusted at all.
        assert_eq!(guess(9, "203.0.113.10, 198.51.100.7"), 429, "{trusted}");
        assert_eq!(guess(10, "198.51.100.9") == 429, !believed, "{trusted}");
        let other = server.send_with("GET", "/users/ada/keys", &ada, "", &from("198.51.100.8"));
        assert_eq!(other.status, if believed { 200 } else { 429 }, "{trusted}: {other:?}");
    }
}
