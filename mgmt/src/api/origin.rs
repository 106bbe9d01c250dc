//! Where a caller reached the node: what the node's own addresses look like from there.

use std::{fmt, str::FromStr};

use http::{HeaderMap, uri::Authority};

/// What an address of this node begins with, as a caller sees it, such as `https://cloud.example.org:8443`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Whether the caller speaks TLS, with a proxy in front of the node.
    secure: bool,
    /// The node's name or address, an IPv6 address in brackets, and the port where it is not the scheme's own.
    authority: Authority,
}

impl Origin {
    /// The origin of a request: its `Host`, and the `X-Forwarded-Proto` of a proxy. `None` where it names no host.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let authority: Authority = text("host")?.parse().ok()?;
        Some(Self { secure: text("x-forwarded-proto") == Some("https"), authority: without_user(authority)? })
    }

    /// The origin of plain HTTP at a host and a port.
    pub fn plain(host: &str, port: u16) -> Option<Self> {
        Some(Self { secure: false, authority: format!("{}:{port}", bracketed(host)).parse().ok()? })
    }

    /// The same with another name or address.
    #[must_use]
    pub fn at(&self, host: &str) -> Option<Self> {
        let port = self.authority.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
        Some(Self { secure: self.secure, authority: format!("{}{port}", bracketed(host)).parse().ok()? })
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    /// The name or address, an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        self.authority.host()
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.authority.port_u16().unwrap_or(if self.secure { 443 } else { 80 })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme(), self.authority)
    }
}

/// The text is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an origin: http:// or https://, a host, and perhaps a port are needed")]
pub struct InvalidOrigin(String);

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let invalid = || InvalidOrigin(text.to_owned());
        let (scheme, authority) = text.split_once("://").ok_or_else(invalid)?;
        let secure = match scheme {
            "http" => false,
            "https" => true,
            _ => return Err(invalid()),
        };
        let authority = authority.parse().ok().and_then(without_user).ok_or_else(invalid)?;
        Ok(Self { secure, authority })
    }
}

/// A user's name in front of the host would only mislead whoever reads the address.
fn without_user(authority: Authority) -> Option<Authority> {
    (!authority.as_str().contains('@')).then_some(authority)
}

fn bracketed(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(headers: &[(&'static str, &'static str)]) -> Option<Origin> {
        let pairs = headers.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        Origin::of(&pairs.collect())
    }

    #[test]
    fn an_origin_is_what_the_caller_sees_and_is_read_as_it_is_written() {
        for (headers, text, scheme, host, port) in [
            (&[("host", "10.0.0.1:8080")][..], "http://10.0.0.1:8080", "http", "10.0.0.1", 8080),
            (&[("host", "cloud")], "http://cloud", "http", "cloud", 80),
            (&[("host", "cloud"), ("x-forwarded-proto", "https")], "https://cloud", "https", "cloud", 443),
            (&[("host", "[::1]:8080")], "http://[::1]:8080", "http", "[::1]", 8080),
        ] {
            let origin = of(headers).unwrap();
            assert_eq!((origin.scheme(), origin.host(), origin.port()), (scheme, host, port));
            assert_eq!(origin.to_string(), text);
            assert_eq!(text.parse(), Ok(origin));
        }
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[("host", "admin@cloud")]), None);
    }

    #[test]
    fn another_host_keeps_scheme_and_port() {
        let origin: Origin = "https://10.0.0.1:8443".parse().unwrap();
        assert_eq!(origin.at("cloud.example.org").unwrap().to_string(), "https://cloud.example.org:8443");
        assert_eq!(origin.at("2001:db8::7").unwrap().to_string(), "https://[2001:db8::7]:8443");
        assert_eq!(Origin::plain("::1", 80).unwrap().to_string(), "http://[::1]:80");
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for text in ["", "cloud", "ftp://cloud", "http://", "http://a b", "http://user@cloud"] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }
}
