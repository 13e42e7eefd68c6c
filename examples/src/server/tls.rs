//! The server's certificate: read at the start, read again when it changes, never installed process-wide.
//!
//! # Guarantees
//! * A pair that does not belong together is refused: at the start the server does not start, later it keeps the pair
//!   it has and says so.
//! * A connection keeps the certificate with which it began.

use std::path::Path;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use infra_core::words::clock::Clock;
use infra_core::words::secret::digest;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::config::TlsFiles;
use super::error::StartError;
use super::shutdown::Stop;

/// Files are looked at this often: whoever renews certificates need not know how to send a signal.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Largest certificate or key file.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// A certificate in use, and where it comes from.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    current: RwLock<Arc<ServerConfig>>,
    /// Digest of the newest pair that was looked at, good or bad: each is judged once.
    judged: Mutex<String>,
}

/// What came of looking at the files again.
#[derive(Debug, PartialEq, Eq)]
enum Looked {
    Same,
    Taken,
    Kept(String),
}

impl Tls {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// [`StartError::Config`] when a file cannot be read or the two do not belong together.
    pub(super) fn open(files: &TlsFiles) -> Result<Self, StartError> {
        let (pair, config) = read(files).map_err(|why| StartError::Config(format!("tls: {why}")))?;
        Ok(Self { files: files.clone(), current: RwLock::new(Arc::new(config)), judged: Mutex::new(pair) })
    }

    /// What new connections are greeted with.
    pub(super) fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().expect("nothing panics while it holds the certificate"))
    }

    /// Takes a changed pair over for new connections, or keeps the old one.
    fn look(&self) -> Looked {
        let mut judged = self.judged.lock().expect("nothing panics while it judges");
        match read_bytes(&self.files).map(|(pair, ..)| pair) {
            Ok(pair) if pair == *judged => return Looked::Same,
            Ok(pair) => *judged = pair,
            Err(why) if why == *judged => return Looked::Same,
            Err(why) => {
                judged.clone_from(&why);
                return Looked::Kept(why);
            }
        }
        match read(&self.files) {
            Ok((_, config)) => {
                let mut current =
                    self.current.write().expect("nothing panics while it holds the certificate");
                *current = Arc::new(config);
                Looked::Taken
            }
            Err(why) => Looked::Kept(why),
        }
    }

    /// Looks at the files on SIGHUP and every minute, until told to stop.
    pub(super) async fn watch(self: Arc<Self>, stop: Stop, clock: Arc<dyn Clock>) {
        let mut again = stop.again();
        loop {
            let asked = tokio::select! {
                () = stop.told() => return,
                () = again.asked() => true,
                () = clock.sleep(LOOK_EVERY) => false,
            };
            let tls = Arc::clone(&self);
            let looked = tokio::task::spawn_blocking(move || tls.look()).await;
            match looked {
                Ok(Looked::Taken) => tracing::info!("new connections get the new certificate"),
                Ok(Looked::Kept(why)) => {
                    tracing::error!(why, "the new certificate is refused; the old one stays in use");
                }
                Ok(Looked::Same) if asked => tracing::info!("the certificate has not changed"),
                Ok(Looked::Same) => {}
                Err(error) => tracing::error!(%error, "the certificate could not be looked at"),
            }
        }
    }
}

type Bytes = (String, Vec<u8>, Vec<u8>);

/// Both files, and what tells this pair from any other.
fn read_bytes(files: &TlsFiles) -> Result<Bytes, String> {
    let (cert, key) = (file(&files.cert)?, file(&files.key)?);
    Ok((format!("{} {}", digest(&cert), digest(&key)), cert, key))
}

fn file(path: &Path) -> Result<Vec<u8>, String> {
    let unread = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    let size = std::fs::metadata(path).map_err(unread)?.len();
    if size > FILE_BYTES_MAX {
        return Err(format!("{} has {size} bytes, the limit is {FILE_BYTES_MAX}", path.display()));
    }
    std::fs::read(path).map_err(unread)
}

/// Reads the pair and proves that the two belong together. Errors name files, never what stands in them.
fn read(files: &TlsFiles) -> Result<(String, ServerConfig), String> {
    let (pair, cert, key) = read_bytes(files)?;
    private(&files.key)?;
    let (cert_path, key_path) = (files.cert.display(), files.key.display());
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&cert)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("{cert_path} is no PEM file: {error}"))?;
    if chain.is_empty() {
        return Err(format!("{cert_path} holds no certificate"));
    }
    let key = PrivateKeyDer::from_pem_slice(&key)
        .map_err(|error| format!("{key_path} holds no private key: {error}"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| format!("{cert_path} and {key_path} do not belong together: {error}"))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((pair, config))
}

/// A key that everybody on the machine reads is no secret.
fn private(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    let unread = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    let mode = std::fs::metadata(path).map_err(unread)?.permissions().mode();
    if mode & 0o007 == 0 {
        return Ok(());
    }
    Err(format!(
        "{} is open to everybody on this machine (mode {:o}): chmod o= it",
        path.display(),
        mode & 0o777
    ))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::*;

    struct Pair(PathBuf, TlsFiles);

    impl Pair {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("infra-tls-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&folder).expect("the temporary folder can be written");
            let files = TlsFiles { cert: folder.join("cert.pem"), key: folder.join("key.pem") };
            let pair = Self(folder, files);
            let (cert, key) = Self::draw();
            pair.write(&cert, &key);
            pair
        }

        fn draw() -> (String, String) {
            let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("draws");
            (made.cert.pem(), made.signing_key.serialize_pem())
        }

        fn write(&self, cert: &str, key: &str) {
            std::fs::write(&self.1.cert, cert).expect("writes");
            std::fs::write(&self.1.key, key).expect("writes");
            let mode = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(&self.1.key, mode).expect("is ours");
        }
    }

    impl Drop for Pair {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_broken_renewal_takes_the_server_down() {
        let pair = Pair::new("renewal");
        let tls = Tls::open(&pair.1).expect("a good pair");
        let first = tls.current();
        assert_eq!(tls.look(), Looked::Same);
        let (cert, _) = Pair::draw();
        let (_, key) = Pair::draw();
        pair.write(&cert, &key);
        let looked = tls.look();
        assert!(matches!(&looked, Looked::Kept(why) if why.contains("do not belong together")), "{looked:?}");
        assert!(Arc::ptr_eq(&first, &tls.current()), "the old one stays");
        assert_eq!(tls.look(), Looked::Same, "it is said once");
        std::fs::remove_file(&pair.1.key).expect("is ours");
        assert!(matches!(tls.look(), Looked::Kept(_)));
        let (cert, key) = Pair::draw();
        pair.write(&cert, &key);
        assert_eq!(tls.look(), Looked::Taken);
        assert!(!Arc::ptr_eq(&first, &tls.current()));
    }

    #[test]
    fn a_wrong_pair_is_served() {
        let pair = Pair::new("wrong");
        let (cert, key) = Pair::draw();
        let (_, other) = Pair::draw();
        for (cert, key, wanted) in [
            (&*cert, &*other, "do not belong together"),
            ("", &*key, "holds no certificate"),
            (&*cert, "", "holds no private key"),
            (&*key, &*key, "holds no certificate"),
        ] {
            pair.write(cert, key);
            let why = Tls::open(&pair.1).expect_err(wanted).to_string();
            assert!(why.contains(wanted), "{why}");
        }
        pair.write(&cert, &key);
        std::fs::set_permissions(&pair.1.key, std::fs::Permissions::from_mode(0o644)).expect("is ours");
        let why = Tls::open(&pair.1).expect_err("everybody reads it").to_string();
        assert!(why.contains("open to everybody"), "{why}");
    }
}
