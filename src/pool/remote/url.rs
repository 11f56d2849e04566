//! A server's address: scheme, host, port, and the path below which its API stands.

use std::fmt;
use std::str::FromStr;

/// Where a server is. Holds no credentials, so it can be printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl(reqwest::Url);

/// Why a text is no server's address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ServerUrlError(&'static str);

impl FromStr for ServerUrl {
    type Err = ServerUrlError;

    /// Reads `http://host:port`, with or without the `/v1` that clients are often given.
    fn from_str(text: &str) -> Result<Self, ServerUrlError> {
        let url: reqwest::Url =
            text.parse().map_err(|_| ServerUrlError("not an address such as http://host:8080"))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(ServerUrlError("an address here begins with http:// or https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ServerUrlError(
                "a key does not belong into the address, which is logged; set workers.api_key",
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(ServerUrlError("an address here has no ? and no #"));
        }
        let mut url = url;
        let path = url.path().trim_end_matches('/');
        let path = path.strip_suffix("/v1").unwrap_or(path).to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }
}

impl ServerUrl {
    /// The address of an endpoint, such as `/v1/models`.
    pub(super) fn join(&self, path: &str) -> reqwest::Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}{path}", self.0.path().trim_end_matches('/')));
        url
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_with_or_without_v1_and_below_a_path() {
        for (text, shown, models) in [
            ("http://a:8080", "http://a:8080", "http://a:8080/v1/models"),
            ("http://a:8080/v1/", "http://a:8080", "http://a:8080/v1/models"),
            ("https://a/llm/v1", "https://a/llm", "https://a/llm/v1/models"),
        ] {
            let url: ServerUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(url.join("/v1/models").as_str(), models);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_and_a_key_in_it_is_not_shown() {
        for (text, reason) in [
            ("gpu-box", "not an address"),
            ("ftp://a", "http://"),
            ("http://a/?key=b", "no ?"),
            ("http://key:secret@a", "workers.api_key"),
        ] {
            let error = text.parse::<ServerUrl>().unwrap_err().to_string();
            assert!(error.contains(reason) && !error.contains("secret"), "{text}: {error}");
        }
    }
}
