//! Secrets this host knows: what its environment calls by such a name, and what grants say is one. They are told to the
//! redactor and to nobody else.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;

use razar_core::grant::{Grant, SecretSource};
use razar_core::redact::is_secret_name;
use rustix::fs::OFlags;

/// A secret file is a token or a key.
const MAX_FILE: u64 = 64 << 10;

/// All of them: of the environment, and of these grants.
pub(crate) fn known<'a>(
    environment: impl Iterator<Item = (String, String)>,
    grants: impl Iterator<Item = &'a Grant>,
) -> BTreeSet<String> {
    let (mut named, mut files) = (BTreeSet::new(), BTreeSet::new());
    for source in grants.flat_map(|grant| &grant.http).filter_map(|http| Some(http.secret.as_ref()?.source()))
    {
        match source {
            SecretSource::Env(name) => drop(named.insert(name.as_str())),
            SecretSource::File(path) => drop(files.insert(path.as_str())),
        }
    }
    let of_environment = environment
        .filter(|(name, _)| named.contains(name.as_str()) || is_secret_name(name))
        .map(|(_, value)| value);
    // One that cannot be read cannot be sent either.
    of_environment.chain(files.into_iter().filter_map(read)).collect()
}

fn read(path: &str) -> Option<String> {
    let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits()).ok()?;
    let file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
    file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let mut text = String::new();
    file.take(MAX_FILE).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_grants_say_what_is_secret() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        std::fs::write(&file, "of-the-file\n").unwrap();
        let text = format!(
            r#"[a]
            http = [
              {{ url = "https://a.example/x", methods = ["POST"], secret = {{ env = "ODD", header = "x-key", format = "{{}}" }} }},
              {{ url = "https://b.example/x", methods = ["POST"], secret = {{ file = "{}", header = "x-key", format = "{{}}" }} }},
              {{ url = "https://c.example/x", methods = ["POST"], secret = {{ file = "{}", header = "x-key", format = "{{}}" }} }},
            ]"#,
            file.display(),
            dir.path().display(),
        );
        let grants = razar_core::document::grants::parse("grants.toml", &text).unwrap();
        let environment =
            [("ODD", "by-grant"), ("DB_PASSWORD", "by-name"), ("PATH", "/bin"), ("PWD", "/srv")];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let found = known(environment.into_iter(), grants.values());
        assert_eq!(
            found.iter().map(|text| text.trim()).collect::<Vec<_>>(),
            ["by-grant", "by-name", "of-the-file"]
        );
    }
}
