//! Headers only the host may set. A guest that could set one of these would decide where a request goes, where it
//! ends, or as whom it is sent.

use std::sync::{Arc, LazyLock};

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};
use wasmtime_wasi_http::{DEFAULT_FORBIDDEN_HEADERS, ForbiddenHeaderFilter};

use crate::guard::{self, Guard};

static FILTER: LazyLock<ForbiddenHeaderFilter> = LazyLock::new(|| Arc::new(is_forbidden));

/// Whether a guest may not set it. The header of a secret is not here: the host replaces it when it sends.
pub(super) fn is_forbidden(name: &HeaderName) -> bool {
    let hosts = *name == AUTHORIZATION
        || DEFAULT_FORBIDDEN_HEADERS.contains(name)
        || matches!(name.as_str(), "te" | "trailer" | "expect" | "forwarded")
        || name.as_str().starts_with("proxy-");
    hosts && guard::on(Guard::Headers)
}

/// The same, for wasmtime.
pub(super) fn filter() -> ForbiddenHeaderFilter {
    Arc::clone(&FILTER)
}

/// Takes out what no guest may set, whichever way it came in.
pub(super) fn strip(headers: &mut HeaderMap) {
    if headers.keys().any(is_forbidden) {
        let kept = headers.drain().fold((HeaderMap::new(), None), |(mut kept, last), (name, value)| {
            let name: Option<HeaderName> = name.or(last);
            if let Some(name) = name.clone().filter(|name| !is_forbidden(name)) {
                kept.append(name, value);
            }
            (kept, name)
        });
        *headers = kept.0;
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    /// E18: framing, routing and identity are the host's.
    #[test]
    fn what_a_guest_may_not_set() {
        for name in [
            "Authorization",
            "Host",
            "Transfer-Encoding",
            "Connection",
            "Keep-Alive",
            "Upgrade",
            "Proxy-Authorization",
            "Proxy-Connection",
            "proxy-anything",
            "TE",
            "HTTP2-Settings",
        ] {
            let name: HeaderName = name.parse().unwrap();
            assert!(is_forbidden(&name) && filter()(&name), "{name}");
        }
        for name in ["accept", "content-type", "content-length", "user-agent", "x-api-key", "cookie"] {
            assert!(!is_forbidden(&name.parse().unwrap()), "{name}");
        }
    }

    #[test]
    fn stripping_keeps_the_rest_in_order() {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("accept", "a"), ("authorization", "x"), ("accept", "b"), ("authorization", "y")]
        {
            headers.append(name, HeaderValue::from_static(value));
        }
        strip(&mut headers);
        assert_eq!(headers.get_all("accept").iter().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(headers.len(), 2);
    }
}
