//! Why a text is not a rule, with what to write instead.

/// Why a text is not a rule. What is shown of it is bounded and free of control characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Not a method that can be granted.
    #[error("`{0}` is not a method that can be granted")]
    Method(String),
    /// A rule without a method allows nothing.
    #[error("`{0}` names no method")]
    NoMethods(String),
    /// Neither `http` nor `https`.
    #[error("`{0}` is neither `http://` nor `https://`")]
    Scheme(String),
    /// A user or password before the host.
    #[error("`{0}` has a user name before its host")]
    UserInfo(String),
    /// Not a URL this host would send.
    #[error("`{url}` is not a URL that can be used: {why}")]
    Url {
        /// As written.
        url: String,
        /// In words.
        why: &'static str,
    },
    /// Not a host name or address.
    #[error("`{host}` is not a host: {why}")]
    Host {
        /// As written.
        host: String,
        /// In words.
        why: &'static str,
    },
    /// An address written in a way that hides what it is.
    #[error("`{found}` is not how this address is written")]
    Spelling {
        /// As written.
        found: String,
        /// The only accepted spelling.
        canonical: String,
    },
    /// A wildcard where none is possible.
    #[error("`{0}` has a `*` where none is possible")]
    Wildcard(String),
    /// Not a port.
    #[error("`{0}` does not end in a port between 1 and 65535")]
    Port(String),
    /// An address that no connection can have.
    #[error("`{address}` is {class}, which nothing can be granted for")]
    Address {
        /// As written.
        address: String,
        /// What it is.
        class: &'static str,
    },
    /// A placeholder that means nothing here.
    #[error("`{0}` is not a placeholder that can be used here")]
    Placeholder(String),
    /// Not a path.
    #[error("`{path}` is not a path that can be granted: {why}")]
    Path {
        /// As written.
        path: String,
        /// In words.
        why: &'static str,
    },
    /// Not the text of a directory rule.
    #[error("`{0}` is not a directory rule")]
    Dir(String),
    /// Not a header a secret can travel in.
    #[error("`{0}` is not a header a secret can travel in")]
    Header(String),
    /// The format does not say where the secret goes.
    #[error("`{0}` must contain `{{}}` exactly once and no control characters")]
    Format(String),
    /// Not the name of an environment variable, a configuration key or a store.
    #[error("`{name}` is not {what}")]
    Key {
        /// As written.
        name: String,
        /// What it should be.
        what: &'static str,
    },
    /// A secret for a rule that is not one origin.
    #[error("a secret cannot be bound to `{rule}`: {why}")]
    SecretPlace {
        /// The rule.
        rule: String,
        /// In words.
        why: &'static str,
    },
}

impl RuleError {
    /// What to write instead.
    pub fn hint(&self) -> String {
        match self {
            Self::Method(_) | Self::NoMethods(_) => {
                "write some of GET, HEAD, OPTIONS, POST, PUT, PATCH, DELETE; CONNECT and TRACE are never granted".into()
            }
            Self::Scheme(_) => "write the whole URL: `https://api.example.com/v1/*`".into(),
            Self::UserInfo(_) => "remove everything up to `@`; credentials belong in `secret`".into(),
            Self::Url { .. } => "write `https://host/path`, or `https://host/path/*` for everything below it".into(),
            Self::Host { .. } => "write a name such as `api.example.com`, without a final dot".into(),
            Self::Spelling { canonical, .. } => format!("write `{canonical}`"),
            Self::Wildcard(_) => {
                "write `*.example.com` for every name below `example.com`, or end a path in `/*`".into()
            }
            Self::Port(_) => "write `db.example.com:5432`".into(),
            Self::Address { .. } => "name the address the service listens on, for instance `127.0.0.1`".into(),
            Self::Placeholder(_) => {
                "`{target}` stands in http, tcp and names; `{log}`, `{tree}` and `{scratch}` in dirs".into()
            }
            Self::Path { .. } => "write an absolute path without `.` and `..`, such as `/srv/models`".into(),
            Self::Dir(_) => "write `{ source = \"/srv/models\", at = \"/models\", access = \"read\" }`".into(),
            Self::Header(_) => "write a header such as `authorization` or `x-api-key`".into(),
            Self::Format(_) => "write `Bearer {}`".into(),
            Self::Key { .. } => "write letters, digits, `_`, `-` and `.`, at most 64".into(),
            Self::SecretPlace { .. } => "write one exact https origin for each secret".into(),
        }
    }
}

/// At most so many characters of what somebody wrote are repeated.
const SHOWN: usize = 200;

/// What may be shown of a foreign text: bounded and visible.
pub(super) fn shown(text: &str) -> String {
    let mut out = visible(&text.chars().take(SHOWN).collect::<String>());
    if text.chars().nth(SHOWN).is_some() {
        out.push('…');
    }
    out
}

/// The text with everything escaped that could make one line look like another.
pub(crate) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_deceptive(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// Control characters, and those that have no width or turn the reading direction.
pub(crate) fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}
