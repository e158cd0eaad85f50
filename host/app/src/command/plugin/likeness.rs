//! What somebody named instead of a package probably is, and what to do with it. It reads a few bytes and names, and unpacks nothing.

use std::path::Path;

use razar_runtime::package::MANIFEST;

/// What a package is.
const PACKAGE: &str =
    "a package is a directory with a `plugin.toml`, or what `tar -cf FILE -C DIRECTORY .` makes of one";

/// How files begin that are taken for packages, what they are, and what makes a tar archive of them.
const LOOKS: &[(&[u8], &str, &str)] = &[
    (
        b"\x1f\x8b",
        "is compressed with gzip",
        "unpack it first: `gunzip -k FILE`, and a `.tgz` becomes a `.tar`",
    ),
    (b"\x28\xb5\x2f\xfd", "is compressed with zstd", "unpack it first: `unzstd FILE`"),
    (b"\xfd7zXZ\0", "is compressed with xz", "unpack it first: `unxz -k FILE`"),
    (b"BZh", "is compressed with bzip2", "unpack it first: `bunzip2 -k FILE`"),
    (b"PK\x03\x04", "is a zip archive", "unpack it into a directory, and name that"),
    (
        b"\0asm",
        "is a component without a package",
        "put it into a directory with a `plugin.toml`, and name that",
    ),
];

/// Why these bytes are no tar archive.
pub(super) fn of_file(bytes: &[u8]) -> String {
    match LOOKS.iter().find(|(begins, ..)| bytes.starts_with(begins)) {
        Some((_, what, todo)) => format!("it {what}, and is read as it was signed; {todo}; {PACKAGE}"),
        None => PACKAGE.to_owned(),
    }
}

/// The package that lies in a directory which is none itself, if there is just one.
pub(super) fn below(dir: &Path) -> Option<String> {
    let entries = std::fs::read_dir(dir).ok()?.flatten();
    let mut packages = entries.map(|entry| entry.path()).filter(|path| path.join(MANIFEST).is_file());
    match (packages.next(), packages.next()) {
        (Some(only), None) => Some(format!("the package is one level below: name `{}`", only.display())),
        (Some(_), Some(_)) => {
            Some("it holds several packages: name one of them, and add one after the other".to_owned())
        }
        (None, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_package_is_called_by_its_name() {
        for (bytes, said) in [
            (&b"\x1f\x8b\x08\0"[..], "compressed with gzip"),
            (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
            (b"\xfd7zXZ\0\0", "compressed with xz"),
            (b"BZh9", "compressed with bzip2"),
            (b"PK\x03\x04", "zip archive"),
            (b"\0asm\x0d\0", "without a package"),
        ] {
            let told = of_file(bytes);
            assert!(told.contains(said) && told.contains("tar -cf FILE -C DIRECTORY ."), "{told}");
        }
        assert_eq!(of_file(b"hello"), PACKAGE);
    }

    #[test]
    fn a_package_one_level_below_is_named() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(below(dir.path()), None);
        for (name, said) in [("one", "one`"), ("two", "several packages")] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            std::fs::write(dir.path().join(name).join(MANIFEST), "").unwrap();
            let told = below(dir.path()).unwrap();
            assert!(told.contains(said), "{told}");
        }
    }
}
