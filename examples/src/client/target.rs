//! Where the server is, and as whom it is asked.

use std::net::IpAddr;
use std::path::PathBuf;

use infra_core::words::secret::Secret;
use reqwest::Url;

use super::error::ClientError;

/// A server, and the token to show there.
#[derive(Debug, Clone)]
pub struct Target {
    pub(super) url: Url,
    pub(super) token: Secret,
    pub(super) user: Option<String>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) insecure: bool,
}

impl Target {
    /// Takes an address like `https://infra.example.com` or `http://127.0.0.1:8080`; without a scheme it is
    /// `http` for this machine and `https` for any other.
    ///
    /// # Errors
    /// [`ClientError::Target`] when it is no such address.
    pub fn new(address: &str, token: Secret) -> Result<Self, ClientError> {
        let wrong = |why: &str| ClientError::Target { address: address.to_owned(), why: why.to_owned() };
        let text = address.trim();
        let url = if text.contains("://") {
            Url::parse(text).map_err(|error| wrong(&error.to_string()))?
        } else {
            let guessed = Url::parse(&format!("http://{text}")).map_err(|error| wrong(&error.to_string()))?;
            if is_here(&guessed) {
                guessed
            } else {
                Url::parse(&format!("https://{text}")).map_err(|error| wrong(&error.to_string()))?
            }
        };
        if !["http", "https"].contains(&url.scheme()) || url.host_str().is_none() {
            return Err(wrong("must be like https://infra.example.com or http://127.0.0.1:8080"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            // Not repeated: it may be a secret.
            let why = "must not hold a user or a password".to_owned();
            return Err(ClientError::Target { address: "the address".to_owned(), why });
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("must end with its path"));
        }
        if token.expose().is_empty() || !token.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ClientError::Token);
        }
        Ok(Self { url, token, user: None, ca_file: None, insecure: false })
    }

    /// Whose things are asked for. A bot's token and the admin's act for anybody, a user's for that user alone.
    #[must_use]
    pub fn with_user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Trusts the certificates in this PEM file besides the machine's own.
    #[must_use]
    pub fn with_ca_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(file.into());
        self
    }

    /// Allows plain HTTP to another machine: whoever is on the way reads the token.
    #[must_use]
    pub const fn with_insecure(mut self, insecure: bool) -> Self {
        self.insecure = insecure;
        self
    }

    /// The address, as it is used.
    #[must_use]
    pub fn address(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    /// Whose things are asked for.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Would the token go over the network unprotected?
    pub(super) fn is_exposed(&self) -> bool {
        self.url.scheme() == "http" && !is_here(&self.url) && !self.insecure
    }
}

/// Is it this machine?
pub(super) fn is_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(address: &str) -> Result<Target, ClientError> {
        Target::new(address, Secret::new("infra_0".to_owned()))
    }

    #[test]
    fn an_address_is_read_as_people_write_it() {
        for (text, read) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("localhost:8080/", "http://localhost:8080"),
            (" https://infra.example.com ", "https://infra.example.com"),
            ("infra.example.com", "https://infra.example.com"),
            ("https://example.com/infra/", "https://example.com/infra"),
            ("[::1]:80", "http://[::1]"),
        ] {
            assert_eq!(target(text).expect(text).address(), read);
        }
        for bad in ["", "ftp://x", "http://", "https://x/?a=1", "https://x/#a", "not an address"] {
            assert!(matches!(target(bad), Err(ClientError::Target { .. })), "{bad}");
        }
        let told = target("https://ada:planted@example.com").expect_err("it holds a password");
        assert!(!told.to_string().contains("planted"), "{told}");
        for bad in ["", "two words", "line\n", "é"] {
            let refused = Target::new("localhost", Secret::new(bad.to_owned()));
            assert!(matches!(refused, Err(ClientError::Token)), "{bad}");
        }
    }

    #[test]
    fn a_token_leaves_this_machine_in_the_clear_only_when_that_was_allowed() {
        assert!(target("http://infra.example.com").expect("an address").is_exposed());
        assert!(target("http://10.0.0.7:8080").expect("an address").is_exposed());
        assert!(!target("http://10.0.0.7").expect("an address").with_insecure(true).is_exposed());
        for safe in ["http://127.0.0.1:1", "http://localhost", "http://[::1]:9", "https://10.0.0.7"] {
            assert!(!target(safe).expect("an address").is_exposed(), "{safe}");
        }
    }
}
