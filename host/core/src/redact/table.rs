//! What secrets look like. Each row says where it holds, how it is found, and what a find must look like: what looks like a
//! reference, a placeholder or a plain word is left, because whoever reads the text needs it.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::Kind;

/// One shape of secrets.
pub(super) struct Row {
    /// Where it holds: everywhere, or in one kind of text.
    only: Option<Kind>,
    /// The group `s`, or the whole, is the secret.
    pattern: Regex,
    /// What it must look like.
    looks: Looks,
}

/// What a find must look like in order to be a secret.
#[derive(Clone, Copy)]
enum Looks {
    /// Its shape says it all.
    Anything,
    /// Some value: not a reference to one, a type, or a word for none.
    Value,
    /// As no word does: letters and digits mixed, or very long.
    Random,
}

impl Row {
    pub(super) fn holds_in(&self, kind: Kind) -> bool {
        self.only.is_none_or(|only| only == kind)
    }

    pub(super) fn find(&self, text: &str) -> Vec<Range<usize>> {
        let group = |found: regex::Captures<'_>| {
            let secret = found.name("s").or_else(|| found.get(0))?;
            let looks = match self.looks {
                Looks::Anything => !secret.as_str().is_empty(),
                Looks::Value => is_value(secret.as_str()),
                Looks::Random => is_random(secret.as_str()),
            };
            looks.then(|| secret.range())
        };
        self.pattern.captures_iter(text).filter_map(group).collect()
    }
}

/// What names of secrets end with.
const WORDS: &str = "password|passwd|passphrase|[_-]pwd|dbpwd|secret|token|credentials?|api[_-]?key|access[_-]?key|secret[_-]?key\
|private[_-]?key|signing[_-]?key|encryption[_-]?key|auth[_-]?key|account[_-]?key|shared[_-]?key|master[_-]?key\
|client[_-]?secret|connection[_-]?string|session[_-]?id|sessionid|webhook[_-]?url";

/// Names whose value is secret whatever it looks like.
const STRONG: &str = "password|passwd|passphrase|[_-]pwd|dbpwd";

/// A whole name that ends so. `PWD` is a directory.
pub(super) static NAME: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(&format!(r"(?i)^[A-Z0-9_.-]*?(?:{WORDS})$")).ok());

/// Those that are patterns; a test says that all are.
pub(super) static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| rows().into_iter().flatten().collect());

fn rows() -> Vec<Option<Row>> {
    use Kind::{Program, Words};
    use Looks::{Anything, Random, Value};
    let name = format!(r"(?:[A-Za-z0-9_.-]*(?:{WORDS}))");
    // A type may stand between a name and its value.
    let named = format!(
        r#"{name}["'`]?\]?(?:\s*:\s*[&A-Za-z][A-Za-z0-9_\[\]., |<>]{{0,40}}?)?\s*(?:=>|:=|==|=|:)\s*"#
    );
    let strong = format!(r"(?:[A-Za-z0-9_.-]*(?:{STRONG}))");
    let row = |only, pattern: &str, looks| Some(Row { only, pattern: Regex::new(pattern).ok()?, looks });
    let mut rows = vec![
        // Private keys, whole, cut off at the end, or begun before the text does. Certificates and public keys are public.
        row(
            None,
            r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?P<s>.*?)(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\z)",
            Anything,
        ),
        row(
            None,
            r"(?m)(?P<s>(?:^[ \t]*[A-Za-z0-9+/=]{16,}[ \t]*\r?\n)+)[ \t]*-----END [A-Z0-9 ]*PRIVATE KEY",
            Anything,
        ),
        // Headers.
        row(
            None,
            r#"(?i)\bauthorization["']?\s*[:=]\s*["']?(?:[a-z]+\s+)?(?P<s>[A-Za-z0-9._~+/=-]{8,})"#,
            Value,
        ),
        row(None, r"(?i)\b(?:bearer|basic)\s+(?P<s>[A-Za-z0-9._~+/=-]{12,})", Random),
        row(Some(Words), r"(?im)\b(?:set-)?cookie\s*:\s*(?P<s>[^\r\n]+)", Anything),
        // URLs: what stands before `@`, and what queries carry.
        row(None, r#"(?i)\b[a-z][a-z0-9+.-]*://[^\s/:@"'`<>]*:(?P<s>[^\s"'`<>/?#]+)@"#, Value),
        row(None, r#"(?i)\bhttps?://(?P<s>[^\s/:@"'`<>?#]+)@"#, Random),
        row(
            None,
            r#"(?i)[?&](?:[a-z0-9_-]*(?:token|secret|password|key|signature|sig|auth|code))=(?P<s>[^&\s"'`<>#]+)"#,
            Random,
        ),
        // Text in quotes that a name says is secret: in programs, in JSON, in YAML, in TOML.
        row(None, &format!(r#"(?i)\b{named}[a-z]{{0,2}}"(?P<s>[^"\r\n]+)""#), Value),
        row(None, &format!(r"(?i)\b{named}[a-z]{{0,2}}'(?P<s>[^'\r\n]+)'"), Value),
        row(None, &format!(r"(?i)\b{named}`(?P<s>[^`\r\n]+)`"), Value),
        // The same in words, without quotes.
        row(Some(Words), &format!(r#"(?i)\b{name}\s?=\s?(?P<s>[^\s"'`,;&)\]}}]+)"#), Value),
        row(
            Some(Words),
            &format!(
                r#"(?im)^[ \t]*(?:-[ \t]+)?{name}[ \t]*:[ \t]+(?P<s>[^\s"'`#][^\r\n#]*?)[ \t]*(?:#[^\r\n]*)?$"#
            ),
            Value,
        ),
        row(Some(Words), &format!(r#"(?i)\b{strong}\s*(?::|\bis\b)\s*(?P<s>[^\s"'`,;]+)"#), Value),
        row(Some(Words), &format!(r#"(?i)\b{name}\s*:\s*(?P<s>[^\s"'`,;]+)"#), Random),
        row(Some(Words), &format!(r#"(?im)(?:^|\s)--?{name}[ \t]+(?P<s>[^\s"'`-][^\s"'`]*)"#), Value),
        // Hashes of passwords.
        row(None, r"\$(?:1|2[aby]|5|6|y|argon2id?)\$[./A-Za-z0-9$=,+]{20,}", Anything),
    ];
    rows.extend(VENDORS.iter().map(|pattern| row(None, pattern, Anything)));
    // What a program takes when nobody says otherwise.
    rows.push(row(
        Some(Program),
        &format!(
            r#"(?i)\b(?:get|getenv|get_env|setdefault|pop)\(\s*["'](?:[A-Z0-9_.-]*(?:{WORDS}))["']\s*,\s*["'](?P<s>[^"'\r\n]+)["']"#
        ),
        Value,
    ));
    rows
}

/// Keys that show whose they are.
const VENDORS: &[&str] = &[
    r"\b(?:sk|rk|pk|ak)-[A-Za-z0-9_-]{16,}",
    r"\b[srp]k_(?:live|test)_[A-Za-z0-9]{10,}",
    r"\bgh[pousr]_[A-Za-z0-9]{20,}",
    r"\bgithub_pat_[A-Za-z0-9_]{20,}",
    r"\bglpat-[A-Za-z0-9_-]{16,}",
    r"\bxox[abeprs]-[A-Za-z0-9-]{10,}",
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    r"\bAIza[0-9A-Za-z_-]{30,}",
    r"\bya29\.[0-9A-Za-z_-]{20,}",
    r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+)?",
    r"\bnpm_[A-Za-z0-9]{30,}",
    r"\bpypi-[A-Za-z0-9_-]{30,}",
    r"\bhf_[A-Za-z0-9]{20,}",
    r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
    r"\bdo[opr]_v1_[a-f0-9]{32,}",
    r"\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{32,}",
    r"\bAGE-SECRET-KEY-1[0-9A-Z]{40,}",
    r"\b[0-9]{8,10}:AA[A-Za-z0-9_-]{30,}",
    r"\bhooks\.slack\.com/services/(?P<s>[A-Za-z0-9/]{20,})",
];

/// Words that stand where a value would, and are none.
const NONE: &[&str] = &[
    "none",
    "null",
    "nil",
    "true",
    "false",
    "undefined",
    "empty",
    "missing",
    "required",
    "invalid",
    "incorrect",
    "wrong",
    "expired",
    "unset",
    "not",
    "is",
    "was",
    "has",
    "must",
    "str",
    "string",
    "bytes",
    "text",
    "int",
    "bool",
    "optional",
    "any",
    "secretstr",
    "password",
    "passwd",
    "secret",
    "token",
    "username",
    "redacted",
    "hidden",
    "too",
    "needed",
    "for",
    "of",
    "in",
    "a",
    "the",
    "and",
    "or",
    "field",
    "given",
    "set",
    "reset",
    "changed",
    "check",
    "mismatch",
    "does",
    "did",
    "cannot",
    "could",
    "should",
    "will",
    "with",
    "from",
    "no",
    "yes",
    "unknown",
    "default",
    "rejected",
    "accepted",
    "ok",
];

/// Whether it is a value: neither a reference to one nor a word for none.
fn is_value(text: &str) -> bool {
    let text = text.trim();
    let bare = text.trim_end_matches(['.', ',', ';', ':', ')', '!', '?']);
    let reference =
        text.starts_with(['$', '<', '{', '%', '@', '[']) || text.contains("${") || text.contains("{{");
    let masked = text.chars().all(|c| matches!(c, '*' | 'x' | 'X' | '.' | '•' | '-' | '_'));
    let counts = bare.len() < 6 && bare.chars().all(|c| c.is_ascii_digit());
    // `os.environ["KEY"]`, `get_token()`, `settings.password`: what a program says of it.
    let call =
        text.ends_with("()") || text.contains("](") || text.contains("environ") || text.contains("getenv");
    // A format with nothing but places for values: `{}`, `%s`.
    !bare.is_empty()
        && !reference
        && !masked
        && !counts
        && !call
        && !NONE.iter().any(|none| bare.eq_ignore_ascii_case(none))
        // A sentence is no secret, a passphrase of three words may be one.
        && text.split_whitespace().count() < 9
}

/// Whether no word looks so: letters and digits mixed, or longer than words are.
fn is_random(text: &str) -> bool {
    let has = |is: fn(&char) -> bool| text.chars().any(|c| is(&c));
    let mixed = has(char::is_ascii_digit) && has(char::is_ascii_alphabetic);
    is_value(text) && text.len() >= 6 && (mixed || text.len() >= 24)
}

/// A secret as JSON, URLs, and base64 would spell it.
pub(super) fn spellings(secret: &str) -> Vec<String> {
    let mut all = vec![secret.to_owned()];
    let json = serde_json::Value::from(secret).to_string();
    let json = json.trim_matches('"').to_owned();
    let percent: String = secret
        .bytes()
        .map(|byte| match byte {
            b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect();
    let escaped = json.replace('/', "\\/");
    for spelling in [json, escaped, percent.to_lowercase(), percent, base64(secret.as_bytes())] {
        if spelling.len() >= super::SHORTEST && !all.contains(&spelling) {
            all.push(spelling);
        }
    }
    all
}

/// Standard base64 without what fills it up at the end, so that both forms are found.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let at = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let word = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..=chunk.len() {
            let index = usize::try_from(word >> (18 - 6 * digit) & 63).unwrap_or(0);
            text.extend(DIGITS.get(index).map(|digit| char::from(*digit)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_one() {
        assert!(rows().iter().all(Option::is_some) && NAME.is_some());
        assert_eq!(ROWS.len(), rows().len());
    }

    #[test]
    fn base64_is_the_standard_one() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg"),
            ("fo", "Zm8"),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
            ("\u{ff}~", "w79+"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}
