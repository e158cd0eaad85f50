//! What is on a tape, as it is kept: plain values in the order in which the guest met them, kind by kind. It holds what the guest
//! was given and, of what the guest said, only what is needed to know it again: address, length and digest.

use std::collections::BTreeMap;
use std::fmt::Display;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use razar_core::id::Digest;
use razar_core::redact::is_secret_name;
use serde::{Deserialize, Serialize};

/// Everything that came into one call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// What all chance of the call grows from.
    pub seed: Data,
    /// Configuration values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
    /// Its environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Whether it could open a connection at all.
    #[serde(default)]
    pub tcp: bool,
    /// Readings of the wall clock, in nanoseconds since 1970.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wall: Vec<u64>,
    /// Readings of the other clock, in nanoseconds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub monotonic: Vec<u64>,
    /// HTTP requests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exchanges: Vec<Exchange>,
    /// Names that were looked up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lookups: Vec<Lookup>,
    /// TCP connections.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub connections: Vec<Connection>,
    /// What was asked of kept values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Kept>,
    /// Directories it was given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// The files in them, by their digests.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub contents: BTreeMap<Digest, Data>,
    /// What is missing: it cannot be played.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

/// Bytes: text where they are text. Clones share them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Data(pub Bytes);

/// Bytes of a contract's own types, as they are kept.
pub(crate) mod as_data {
    use bytes::Bytes;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use super::Data;

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        Data(Bytes::copy_from_slice(bytes)).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        Data::deserialize(deserializer).map(|data| data.0.into())
    }
}

/// What begins a text that is not the bytes' own.
const AS_HEX: &str = "\u{0}hex:";

impl From<Data> for String {
    fn from(data: Data) -> Self {
        match Self::from_utf8(data.0.into()) {
            Ok(text) if !text.starts_with(AS_HEX) => text,
            Ok(text) => format!("{AS_HEX}{}", hex::encode(text)),
            Err(error) => format!("{AS_HEX}{}", hex::encode(error.into_bytes())),
        }
    }
}

impl TryFrom<String> for Data {
    type Error = hex::FromHexError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.strip_prefix(AS_HEX) {
            Some(digits) => hex::decode(digits).map(|bytes| Self(bytes.into())),
            None => Ok(Self(text.into())),
        }
    }
}

/// What a guest sent: known again by its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sent {
    /// Bytes.
    pub length: u64,
    /// Of them.
    pub digest: Digest,
    /// It was sent to its end.
    pub whole: bool,
    /// Until secrets are taken out of it.
    #[serde(skip)]
    raw: Vec<u8>,
}

impl Default for Sent {
    fn default() -> Self {
        Self { length: 0, digest: Digest::of(b""), whole: false, raw: Vec::new() }
    }
}

impl Sent {
    /// All of it at once.
    pub(crate) fn all(bytes: Bytes) -> Self {
        Self { whole: true, raw: bytes.into(), ..Self::default() }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.raw.extend_from_slice(bytes);
    }

    fn close(&mut self, redact: &mut Redact<'_>) {
        if self.raw.is_empty() {
            return;
        }
        let changed = redact.changed;
        let raw = redact.bytes(Came::Said, std::mem::take(&mut self.raw).into());
        // Nothing of it is kept.
        redact.changed = changed;
        (self.length, self.digest) = (raw.len() as u64, Digest::of(&raw));
    }

    /// Whether the same was sent again.
    pub(crate) fn is(&self, bytes: &[u8]) -> bool {
        self.length == bytes.len() as u64 && self.digest == Digest::of(bytes)
    }
}

/// One HTTP request and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// As the guest said it.
    pub method: String,
    /// As the guest said it.
    pub url: String,
    /// The headers that the guest set, by name.
    pub headers: BTreeMap<String, Sent>,
    /// The request's body.
    pub sent: Sent,
    /// What came of it.
    pub answer: Answer,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// Nothing, as long as the call lasted.
    Never,
    /// An error, by its name and the number in it.
    Failed(Fault),
    /// A response.
    Response {
        /// Its code.
        status: u16,
        /// Without secrets.
        headers: Vec<(String, Data)>,
        /// As it came, piece by piece, as far as the guest read it; an empty one where it looked in vain.
        body: Vec<Data>,
        /// How it ended.
        end: BodyEnd,
    },
}

/// How a response's body ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyEnd {
    /// Nobody read further, or nothing more came while the call lasted.
    Open,
    /// It was all.
    Whole,
    /// In an error.
    Failed(Fault),
}

/// An error of the wire, as the guest is told it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Which.
    pub name: String,
    /// The limit it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
}

/// One name and its addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lookup {
    /// As the guest asked.
    pub name: String,
    /// Addresses, or why there are none; nothing when no answer came while the call lasted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Result<Vec<std::net::IpAddr>, NoName>>,
}

/// Why a name has no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoName {
    /// Nobody granted it.
    Denied,
    /// It has none.
    Unknown,
    /// Nobody answered.
    Timeout,
    /// Too many.
    Quota,
}

/// One TCP connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// Where to.
    pub address: std::net::SocketAddr,
    /// Whether it was made, or the error's name; nothing when neither came while the call lasted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<Result<(), String>>,
    /// Where from, if the guest has asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<std::net::SocketAddr>,
    /// How often the guest looked in vain before that.
    #[serde(default)]
    pub waits: u32,
    /// What came, piece by piece; an empty one where the guest looked in vain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub received: Vec<Data>,
    /// How that ended.
    pub end: ReadEnd,
    /// What went.
    pub sent: Sent,
}

/// How far a connection was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadEnd {
    /// Nothing more came.
    Open,
    /// The other side closed it.
    Closed,
    /// It broke.
    Broken,
}

/// One question about kept values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// What was asked, in one line.
    pub asked: String,
    /// What came of it.
    pub answer: KeptAnswer,
}

/// An answer about kept values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeptAnswer {
    /// No grant gives it.
    Denied,
    /// In words.
    Refused(String),
    /// It is done.
    Done,
    /// Values.
    Values(Vec<Option<(String, Data)>>),
    /// Keys, and where to go on.
    Keys(Vec<String>, Option<u64>),
    /// A sum.
    Sum(u64),
}

/// A directory as the guest found it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// Where the guest sees it.
    pub at: String,
    /// Whether it may write there.
    pub writes: bool,
    /// Directories in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dirs: Vec<String>,
    /// Files in it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, Digest>,
    /// Links in it, and where they lead.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub links: BTreeMap<String, String>,
}

/// What sort of text something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came<'a> {
    /// The guest said it: only its digest is kept.
    Said,
    /// It came from outside.
    Answer,
    /// A file of this name.
    File(&'a str),
}

/// Takes secrets out of a text.
pub type Clean<'a> = dyn FnMut(Came<'_>, &str) -> String + 'a;

/// What stands for a value whose name says that it is a secret.
const MARK: &str = "[redacted]";

/// Headers that hold somebody's session, besides those that are named as a secret is.
const SESSION: [&str; 5] =
    ["authorization", "cookie", "proxy-authorization", "set-cookie", "www-authenticate"];

/// Whether a header of this name holds a secret, or a session.
fn is_secret_header(name: &str) -> bool {
    is_secret_name(name) || SESSION.contains(&name)
}

/// The headers that a guest sets, by their names. What order different names have means nothing; what order one name's values
/// have does. What is a secret by its name is the same as any other.
pub(crate) fn told(headers: &HeaderMap) -> BTreeMap<String, Bytes> {
    let value = |name: &HeaderName| {
        if is_secret_header(name.as_str()) {
            return Bytes::from_static(MARK.as_bytes());
        }
        let values: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
        values.join(&b", "[..]).into()
    };
    headers.keys().map(|name| (name.to_string(), value(name))).collect()
}

/// Takes secrets out of what is kept.
struct Redact<'a> {
    clean: &'a mut Clean<'a>,
    changed: bool,
}

impl Redact<'_> {
    fn text(&mut self, text: &mut String) {
        let clean = (self.clean)(Came::Answer, text);
        if clean != *text {
            self.changed = true;
            *text = clean;
        }
    }

    /// What is no text is looked at as if it were: where a secret is in it, it becomes text without it.
    fn bytes(&mut self, came: Came<'_>, bytes: Bytes) -> Bytes {
        let text = String::from_utf8_lossy(&bytes);
        let clean = (self.clean)(came, &text);
        if clean == text {
            return bytes;
        }
        self.changed = true;
        clean.into()
    }

    /// A header's value: one whose name says that it is a secret, or a session, is one whatever it looks like.
    fn named(&mut self, name: &str, value: &mut Bytes) {
        if is_secret_header(name) {
            self.changed |= *value != MARK;
            *value = Bytes::from_static(MARK.as_bytes());
        } else {
            *value = self.bytes(Came::Answer, std::mem::take(value));
        }
    }

    /// Together, because a secret may begin in one piece and end in the next.
    fn pieces(&mut self, pieces: &mut Vec<Data>) {
        let all: Bytes = pieces.iter().flat_map(|piece| piece.0.iter().copied()).collect();
        let clean = self.bytes(Came::Answer, all.clone());
        if clean != all {
            *pieces = vec![Data(clean)];
        }
    }
}

impl Recording {
    pub(crate) fn new() -> Self {
        Self::grown(getrandom::fill)
    }

    /// With the seed that this gives. A call whose chance could be foreseen is not recorded.
    fn grown<E: Display>(fill: impl FnOnce(&mut [u8]) -> Result<(), E>) -> Self {
        let (mut recording, mut seed) = (Self::default(), [0; 32]);
        match fill(&mut seed) {
            Ok(()) => recording.seed = Data(Bytes::copy_from_slice(&seed)),
            Err(error) => {
                recording.leave_out(format!("the machine has no random bytes for its seed: {error}"))
            }
        }
        recording
    }

    /// Says that something is missing, and forgets the rest.
    pub fn leave_out(&mut self, what: String) {
        *self = Self { left_out: vec![what], ..Self::default() };
    }

    /// Whether it names no more files and bytes than one call may have: it may be a stranger's.
    ///
    /// # Errors
    /// What there is too much of.
    pub fn check(&self) -> Result<(), String> {
        super::files::check(self)
    }

    /// Lays its directories out below one that is empty: where the guest saw each, and where it lies.
    ///
    /// # Errors
    /// The disk refuses, a file is missing, there is too much, or a name leads out of the directory.
    pub fn lay_out(&self, dir: &std::path::Path) -> std::io::Result<Vec<(String, std::path::PathBuf)>> {
        super::files::lay_out(self, dir)
    }

    /// Whether it can be played.
    pub const fn is_whole(&self) -> bool {
        self.left_out.is_empty()
    }

    /// Takes secrets out of everything in it, and forgets what was only kept for that. Whether there were any.
    pub fn redact<'a>(&mut self, clean: &'a mut Clean<'a>) -> bool {
        let mut redact = Redact { clean, changed: false };
        for (name, value) in self.config.iter_mut().chain(&mut self.env) {
            redact.text(value);
            if is_secret_name(name) {
                redact.changed |= value != MARK;
                MARK.clone_into(value);
            }
        }
        for exchange in &mut self.exchanges {
            redact.text(&mut exchange.url);
            exchange.headers.values_mut().for_each(|value| value.close(&mut redact));
            exchange.sent.close(&mut redact);
            if let Answer::Response { headers, body, .. } = &mut exchange.answer {
                for (name, value) in headers {
                    redact.named(name, &mut value.0);
                }
                redact.pieces(body);
            }
        }
        for connection in &mut self.connections {
            redact.pieces(&mut connection.received);
            connection.sent.close(&mut redact);
        }
        for kept in &mut self.values {
            redact.text(&mut kept.asked);
            match &mut kept.answer {
                KeptAnswer::Refused(words) => redact.text(words),
                KeptAnswer::Values(values) => {
                    for (_, value) in values.iter_mut().flatten() {
                        value.0 = redact.bytes(Came::Answer, std::mem::take(&mut value.0));
                    }
                }
                KeptAnswer::Keys(keys, _) => keys.iter_mut().for_each(|key| redact.text(key)),
                KeptAnswer::Denied | KeptAnswer::Done | KeptAnswer::Sum(_) => {}
            }
        }
        // The same bytes may lie there under several names, and be another sort of text under each.
        let contents = std::mem::take(&mut self.contents);
        for (path, digest) in self.mounts.iter_mut().flat_map(|mount| &mut mount.files) {
            let Some(data) = contents.get(digest) else { continue };
            let clean = Data(redact.bytes(Came::File(path), data.0.clone()));
            *digest = Digest::of(&clean.0);
            self.contents.insert(*digest, clean);
        }
        redact.changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_kept_as_text_where_they_are_text() {
        for bytes in [&b"plain\n"[..], b"", b"\xff\x00", b"\0hex:00", "größer".as_bytes()] {
            let data = Data(Bytes::from_static(bytes));
            let text = String::from(data.clone());
            assert_eq!(text == String::from_utf8_lossy(bytes), !text.starts_with('\0'), "{text:?}");
            assert_eq!(Data::try_from(text).unwrap(), data);
        }
    }

    #[test]
    fn a_secret_is_taken_out_wherever_it_came_in_also_across_pieces() {
        let data = |text: &'static str| Data(text.into());
        let file = Digest::of(b"a = 's3cr3t'");
        let mut sent = Sent::default();
        sent.push(b"log: s3cr3t");
        let mut recording = Recording {
            env: [("A".to_owned(), "s3cr3t".to_owned())].into(),
            exchanges: vec![Exchange {
                method: "GET".to_owned(),
                url: "http://a/?k=s3cr3t".to_owned(),
                headers: [("x-a".to_owned(), Sent::all("of s3cr3t".into()))].into(),
                sent: sent.clone(),
                answer: Answer::Response {
                    status: 200,
                    headers: vec![("x".to_owned(), data("s3cr3t"))],
                    body: vec![data("one s3c"), data("r3t two")],
                    end: BodyEnd::Whole,
                },
            }],
            connections: vec![Connection {
                address: "127.0.0.1:1".parse().unwrap(),
                made: Some(Ok(())),
                local: None,
                waits: 1,
                received: vec![Data(Bytes::from_static(b"\xffs3cr3t"))],
                end: ReadEnd::Closed,
                sent,
            }],
            values: vec![Kept {
                asked: "get s3cr3t".to_owned(),
                answer: KeptAnswer::Values(vec![None, Some(("k".to_owned(), data("s3cr3t")))]),
            }],
            mounts: vec![Mount {
                at: "/tree".to_owned(),
                writes: false,
                dirs: vec![],
                files: [("a.py".to_owned(), file)].into(),
                links: BTreeMap::new(),
            }],
            contents: [(file, data("a = 's3cr3t'"))].into(),
            ..Recording::new()
        };
        assert!(recording.redact(&mut |_, text| text.replace("s3cr3t", "[redacted-1]")));
        let kept =
            format!("{recording:?}") + &recording.exchanges.iter().map(|e| e.url.clone()).collect::<String>();
        assert!(!kept.contains("s3cr3t"), "{kept}");
        let Answer::Response { body, .. } = &recording.exchanges[0].answer else { panic!() };
        assert_eq!(body, &[data("one [redacted-1] two")]);
        assert!(recording.exchanges[0].sent.is(b"log: [redacted-1]"));
        assert!(recording.exchanges[0].headers["x-a"].is(b"of [redacted-1]"));
        let named = recording.mounts[0].files["a.py"];
        assert_eq!(recording.contents[&named], data("a = '[redacted-1]'"));
        assert!(!recording.redact(&mut |_, text| text.to_owned()), "nothing is left to take out");
    }

    #[test]
    fn without_random_bytes_there_is_no_recording() {
        let recording = Recording::grown(|_| Err("none today"));
        assert!(!recording.is_whole() && recording.seed.0.is_empty());
        assert!(recording.left_out[0].contains("no random bytes for its seed: none today"), "{recording:?}");
        assert_ne!(Recording::new().seed, Recording::new().seed);
    }

    #[test]
    fn headers_are_told_by_name_and_those_that_are_secret_are_all_the_same() {
        let headers = |all: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in all {
                headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            told(&headers)
        };
        let one = headers(&[("x-b", "1"), ("x-a", "1"), ("x-a", "2")]);
        assert_eq!(one, headers(&[("x-a", "1"), ("x-b", "1"), ("x-a", "2")]));
        assert_ne!(
            one,
            headers(&[("x-a", "2"), ("x-b", "1"), ("x-a", "1")]),
            "values of one name have an order"
        );
        assert_eq!(headers(&[("x-api-key", "a")]), headers(&[("x-api-key", "b")]));
        assert_ne!(headers(&[("x-api-key", "a")]), headers(&[]));
    }
}
