//! Secrets are planted wherever a secret may be handed in or pasted by mistake; then everything that the server wrote,
//! answered or logged (at `trace`) is searched for them, also in hex and base64.

mod common;

use std::collections::BTreeSet;

use common::{Reply, Scratch, Server};
use rustix::process::Signal;

const ADMIN: &str = "planted-admin-token-4c1f9a";
/// The simulator's accounts are named after their keys, so it is the whole key that must stand nowhere.
const CLOUD_KEY: &str = "sim-PLANTEDCLOUDKEY7391";
const SETUP: &str = "planted-setup-script-51d2";
const FILE: &str = "planted-file-content-90be";
/// What people paste into the field for public keys.
const PRIVATE_KEY: &str =
    "-----BEGIN OPENSSH PRIVATE KEY-----\\nplantedprivatesshkey77aa\\n-----END OPENSSH PRIVATE KEY-----";
/// Pasted where no secret belongs: unknown fields, paths, parameters, bodies that are not JSON.
const PASTED: &str = "planted-and-pasted-3e07";

/// One secret under all the names that it may hide behind.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let hex = |upper: bool| {
        secret
            .bytes()
            .map(|b| if upper { format!("{b:02X}") } else { format!("{b:02x}") })
            .collect::<String>()
    };
    // Base64 depends on where in a group of three the secret begins; the middle does not change.
    let base64 = (0..3).map(|skip| {
        let bytes: Vec<u8> = std::iter::repeat_n(b' ', skip).chain(secret.bytes()).collect();
        let text = encode(&bytes);
        let inner = &text[if skip == 0 { 0 } else { 4 }..text.trim_end_matches('=').len() / 4 * 4 - 4];
        inner.to_owned()
    });
    let texts = [secret.to_owned(), hex(false), hex(true)].into_iter().chain(base64);
    texts.map(String::into_bytes).collect()
}

fn encode(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |chunk: &[u8]| {
        let bits =
            chunk.iter().fold(0_u32, |bits, byte| (bits << 8) | u32::from(*byte)) << (8 * (3 - chunk.len()));
        let letter = |n: usize| char::from(LETTERS[(bits >> (18 - 6 * n)) as usize & 63]);
        (0..4).map(|n| if n <= chunk.len() { letter(n) } else { '=' }).collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}

/// Where something was written or said, and what.
type Place = (String, Vec<u8>);

/// Every secret that stands somewhere, and where.
fn leaks(places: &[Place], secrets: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for secret in secrets {
        let forms = forms(secret);
        for (place, bytes) in places {
            let stands = |form: &Vec<u8>| bytes.windows(form.len()).any(|window| window == form);
            if forms.iter().any(stands) {
                found.push(format!("{secret} stands in {place}"));
            }
        }
    }
    found
}

/// A server under test, and everything that it answered.
struct Walk<'s> {
    server: &'s Server,
    token: String,
    said: Vec<Place>,
    statuses: BTreeSet<u16>,
}

impl Walk<'_> {
    fn ask(&mut self, method: &str, path: &str, token: &str, body: &str) -> Reply {
        let reply = self.server.send_with(
            method,
            path,
            token,
            body,
            &format!("idempotency-key: {PASTED}-{}\r\n", self.said.len()),
        );
        self.said.push((format!("the answer to {method} {path}"), reply.text.clone().into_bytes()));
        self.statuses.insert(reply.status);
        reply
    }

    fn ada(&mut self, method: &str, path: &str, body: &str) -> Reply {
        let token = self.token.clone();
        self.ask(method, path, &token, body)
    }

    fn admin(&mut self, method: &str, path: &str, body: &str) -> Reply {
        self.ask(method, path, ADMIN, body)
    }

    /// What the API is for, with secrets where they belong.
    fn properly(&mut self) -> String {
        let key = format!("{{\"provider\":\"sim\",\"kind\":\"static\",\"token\":\"{CLOUD_KEY}\"}}");
        assert_eq!(self.ada("POST", "/users/ada/keys", &key).status, 201);
        let body = format!("{{\"vcpus\":1,\"duration_s\":3600,\"setup\":\"echo {SETUP}\"}}");
        let made = self.ada("POST", "/users/ada/reservations?wait=30s", &body);
        assert_eq!((made.status, &made.json["state"]), (200, &"ready".into()), "{made:?}");
        // Refused or not, depending on the cloud: the content may stand nowhere either way.
        let files = format!("{{\"vcpus\":1,\"options\":{{\"files\":{{\"/etc/x\":\"{FILE}\"}}}}}}");
        self.ada("POST", "/users/ada/reservations", &files);
        made.json["id"].as_str().expect("an id").to_owned()
    }

    /// What people do by mistake.
    fn by_mistake(&mut self) {
        for body in [
            format!("{{\"vcpus\":1,\"ssh_public_keys\":[\"{PRIVATE_KEY}\"]}}"),
            format!("{{\"vcpus\":1,\"{PASTED}\":1}}"),
            format!("{{\"vcpus\":\"{PASTED}\"}}"),
            format!("{{\"os\":\"{PASTED}\"}}"),
            format!("{{\"image\":\"{PASTED}\"}}"),
            format!("{{\"allow_from\":[\"{PASTED}\"]}}"),
            PASTED.to_owned(),
            format!("[\"{PASTED}\"]"),
        ] {
            self.ada("POST", "/users/ada/reservations", &body);
            self.ada("POST", "/users/ada/quotes", &body);
        }
        for body in [
            format!("{{\"provider\":\"sim\",\"kind\":\"static\",\"token\":[\"{PASTED}\"]}}"),
            format!("{{\"provider\":\"sim\",\"kind\":\"static\",\"token\":\"{PASTED}\"}}"),
            format!("{{\"provider\":\"sim\",\"kind\":\"static\",\"tokn\":\"{PASTED}\"}}"),
            format!("{{\"provider\":\"aws\",\"kind\":\"static\",\"secret_access_key\":\"{PASTED}\"}}"),
            format!("{{\"provider\":\"sim\",\"kind\":\"{PASTED}\",\"token\":\"{PRIVATE_KEY}\"}}"),
        ] {
            let refused = self.ada("POST", "/users/ada/keys", &body);
            assert!(refused.status >= 400, "{refused:?}");
        }
        self.ask("GET", "/users/ada/reservations", PASTED, "");
        self.ada("GET", &format!("/{PASTED}/{PASTED}"), "");
        self.ada("GET", &format!("/users/ada/reservations?{PASTED}=1"), "");
        self.ada("GET", &format!("/users/ada/reservations?limit={PASTED}"), "");
        self.ada("GET", &format!("/users/ada/reservations/{PASTED}"), "");
        self.admin("POST", "/admin/users", &format!("{{\"name\":\"{PASTED} {PASTED}\"}}"));
    }

    /// Every path there is, with every method: those that the server itself describes, or those known here.
    fn everything(&mut self, reservation: &str) -> usize {
        let described = self.ask("GET", "/openapi.json", "", "");
        let mut routes: Vec<(String, String)> = ROUTES
            .iter()
            .flat_map(|(path, methods)| {
                methods.split(' ').map(|method| (method.to_owned(), (*path).to_owned()))
            })
            .collect();
        for (path, methods) in described.json["paths"].as_object().into_iter().flatten() {
            let methods = methods.as_object().into_iter().flatten().map(|(method, _)| method.to_uppercase());
            let methods =
                methods.filter(|method| ["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&method.as_str()));
            routes.extend(methods.map(|method| (method, path.clone())));
        }
        routes.sort();
        routes.dedup();
        // What ends things comes last.
        routes.sort_by_key(|(method, path)| (method == "DELETE", path.len()));
        for (method, path) in &routes {
            if path.ends_with("/events") || path == "/admin/recover" || path.starts_with("/sim/") {
                continue;
            }
            let id = if path.contains("reservations/{id}") { reservation } else { "tok_00" };
            let full = path.replace("{user}", "ada").replace("{id}", id).replace("{provider}", "sim");
            let full = full.replace("{label}", "default").replace("{name}", "kept").replace("{team}", "red");
            for token in [self.token.clone(), ADMIN.to_owned(), String::new()] {
                self.ask(method, &full, &token, if method == "GET" { "" } else { "{}" });
                if method != "GET" && token != ADMIN {
                    self.ask(method, &full, &token, &format!("{{\"{PASTED}\":\"{PRIVATE_KEY}\"}}"));
                }
            }
        }
        routes.len()
    }
}

/// Paths that this test knows by itself; `/openapi.json` adds all others.
const ROUTES: [(&str, &str); 20] = [
    ("/healthz", "GET"),
    ("/readyz", "GET"),
    ("/metrics", "GET"),
    ("/docs", "GET"),
    ("/admin/users", "GET POST"),
    ("/admin/users/{user}", "GET PATCH DELETE"),
    ("/admin/users/{user}/tokens", "GET POST"),
    ("/admin/users/{user}/tokens/{id}", "DELETE"),
    ("/admin/brakes", "GET PUT"),
    ("/admin/reservations/{id}/hold", "DELETE"),
    ("/admin/status", "GET"),
    ("/users/{user}/keys", "GET POST"),
    ("/users/{user}/keys/{provider}/{label}", "DELETE"),
    ("/users/{user}/quotes", "POST"),
    ("/users/{user}/offerings", "GET"),
    ("/users/{user}/reservations", "GET POST"),
    ("/users/{user}/reservations/{id}", "GET PATCH DELETE"),
    ("/users/{user}/reservations/{id}/events", "GET"),
    ("/users/{user}/templates", "GET POST"),
    ("/users/{user}/profile", "GET PUT"),
];

/// Everything on disk below a scratch folder, the log among it.
fn on_disk(scratch: &Scratch) -> Vec<Place> {
    let files = common::every_file(&scratch.0);
    files.into_iter().map(|(path, bytes)| (path.display().to_string(), bytes)).collect()
}

#[test]
fn a_secret_stands_in_an_answer_a_file_or_a_log() {
    let scratch = Scratch::new("planted");
    let master = "5ec7e7".repeat(11)[..64].to_owned();
    let env = [
        ("INFRA_ADMIN_TOKEN", ADMIN),
        ("INFRA_MASTER_KEY", &*master),
        ("INFRA_LOG", "trace"),
        ("INFRA_LOG_FORMAT", "json"),
    ];
    let server = scratch.start(&["--sim-control"], &env);
    let token = server.user("ada", "user");
    let viewer = server.user("ada", "viewer");
    let mut walk =
        Walk { server: &server, token: token.clone(), said: Vec::new(), statuses: BTreeSet::new() };
    let reservation = walk.properly();
    walk.by_mistake();
    let routes = walk.everything(&reservation);
    let (said, statuses) = (walk.said, walk.statuses);
    assert!([200, 201, 400, 401, 403, 404].iter().all(|status| statuses.contains(status)), "{statuses:?}");
    assert!(!statuses.contains(&500), "{statuses:?}");
    server.signal(Signal::TERM);
    assert!(server.wait().success());
    let log = scratch.log();
    assert!(log.contains("/users/{user}/keys"), "the log is on");
    let answers = said.len();
    let mut places = said;
    places.extend(on_disk(&scratch));
    let private = "plantedprivatesshkey77aa";
    let secrets = [ADMIN, CLOUD_KEY, SETUP, FILE, private, &*master, &*token, &*viewer];
    let mut found = leaks(&places, &secrets);
    // A name that was asked for may come back to whoever sent it, and stay in the log of nobody.
    let quiet: Vec<Place> =
        places.iter().filter(|(place, _)| !place.starts_with("the answer")).cloned().collect();
    found.extend(leaks(&quiet, &[PASTED]));
    assert!(found.is_empty(), "{}", found.join("\n"));
    println!(
        "COUNT secret_search secrets={} routes={routes} answers={answers} files={}",
        secrets.len() + 1,
        places.len() - answers
    );
}

#[test]
fn a_leak_would_be_seen_in_each_place_and_form() {
    let secret = "planted-to-be-found-66";
    for form in [
        format!("x{secret}y"),
        secret.bytes().map(|b| format!("{b:02x}")).collect(),
        encode(format!("ab{secret}").as_bytes()),
        encode(format!("a{secret}!").as_bytes()),
        encode(secret.as_bytes()),
    ] {
        assert_eq!(leaks(&[("a place".to_owned(), form.clone().into_bytes())], &[secret]).len(), 1, "{form}");
    }
    assert!(leaks(&[("a place".to_owned(), b"planted-to-be".to_vec())], &[secret]).is_empty());
    // Through the whole server: a tag is public, and so a secret in a tag must be found in answer and store.
    let scratch = Scratch::new("leak");
    let server = scratch.start(&["--sim-control"], &[("INFRA_LOG", "trace")]);
    let token = server.user("ada", "user");
    let key = "{\"provider\":\"sim\",\"kind\":\"static\",\"token\":\"sim-ada\"}";
    assert_eq!(server.send("POST", "/users/ada/keys", &token, key).status, 201);
    let body = format!("{{\"vcpus\":1,\"tags\":{{\"note\":\"{secret}\"}}}}");
    let made = server.send("POST", "/users/ada/reservations?wait=30s", &token, &body);
    assert_eq!(made.status, 200, "{made:?}");
    server.signal(Signal::TERM);
    assert!(server.wait().success());
    let mut places = on_disk(&scratch);
    places.push(("the answer".to_owned(), made.text.into_bytes()));
    let found = leaks(&places, &[secret]);
    for place in ["the answer", "store.sqlite", "sim-world"] {
        assert!(found.iter().any(|leak| leak.contains(place)), "{place}: {found:?}");
    }
}
