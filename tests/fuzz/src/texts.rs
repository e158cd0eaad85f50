//! Texts that go to a model and come back from one: no known secret is left, every line stays a line, marks become what they
//! stand for; and whatever a model writes is read the same way twice.

use razar_agent_kit::reply::{Offered, parse};
use razar_core::redact::{Kind, Redactor};

/// A secret on the first line, and the text it must not be left in below.
pub fn redact(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some((secret, text)) = text.split_once('\n') else { return };
    // One that could be a part of a mark is told from none.
    if secret.len() < 8 || !secret.bytes().all(|b| b.is_ascii_alphanumeric()) || "redacted".contains(secret) {
        return;
    }
    for kind in [Kind::Words, Kind::Program] {
        let mut redactor = Redactor::new([secret]);
        let clean = redactor.redact("file", kind, text);
        assert!(!clean.contains(secret), "{clean}");
        assert_eq!(clean.lines().count(), text.lines().count());
        assert_eq!(redactor.restore(&["file"], &clean).unwrap(), text);
    }
}

/// A model's answer.
pub fn reply(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let read = || format!("{:?}", parse(&text, &Offered::default()));
    assert_eq!(read(), read());
}
