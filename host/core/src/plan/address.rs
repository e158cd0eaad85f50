//! Addresses probes connect to, in the one form in which they are compared with grants. Reads text only: resolves
//! nothing, and a name is never an address.

use url::Url;

/// `host:port` in the one form that is compared with grants: `[::1]:80` for an IPv6 address.
pub(super) fn host_and_port(text: &str) -> Option<String> {
    // `http` knows the rules for hosts, including the ways to write an IPv4 address that are not four numbers; the port
    // is read apart, because 80 would be taken for granted.
    let (_, port) = text.rsplit_once(':')?;
    let port: u16 = port.parse().ok().filter(|port| *port != 0)?;
    let url = Url::parse(&format!("http://{text}/")).ok()?;
    let plain =
        url.username().is_empty() && url.password().is_none() && url.path() == "/" && url.query().is_none();
    (plain && url.fragment().is_none()).then(|| url.host_str().map(|host| format!("{host}:{port}")))?
}

/// A URL in its canonical form; the error completes "`…` …".
pub(super) fn web_address(text: &str) -> Result<String, &'static str> {
    let url = Url::parse(text).map_err(|_| "is not a URL")?;
    if url.host_str().is_none_or(str::is_empty) {
        return Err("names no host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("carries a user name or a password, which would be visible to everybody");
    }
    if url.port() == Some(0) {
        return Err("names port 0, where nothing listens");
    }
    Ok(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_and_a_port_have_one_form() {
        for (text, form) in [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("LOCALHOST:6379", "localhost:6379"),
            ("[::1]:443", "[::1]:443"),
            ("[0:0::1]:1", "[::1]:1"),
            ("0x7f.1:8080", "127.0.0.1:8080"),
        ] {
            assert_eq!(host_and_port(text).as_deref(), Some(form), "{text}");
        }
        for bad in [
            "", "h", "h:", ":80", "h:0", "h:65536", "h:80/x", "h:80?x", "u@h:80", "::1:80", "a b:80", "h:+80",
        ] {
            assert_eq!(host_and_port(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_web_address_carries_no_password() {
        assert_eq!(web_address("http://H:80/a/../b").as_deref(), Ok("http://h/b"));
        for bad in ["http://", "http://u@h/", "http://:p@h/", "http://h:0/", "nonsense", "unix:///run/x"] {
            assert!(web_address(bad).is_err(), "{bad}");
        }
    }
}
