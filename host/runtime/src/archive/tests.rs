//! What an archive may hold, and what a stranger's would like to.

use std::path::PathBuf;

use super::*;

const MANIFEST_TEXT: &str =
    "name = \"probe-x\"\nversion = \"0.1.0\"\nwasm = \"probe_x.wasm\"\ndescription = \"a probe\"\n";

/// Names are written into headers as they are, which a builder would refuse to do.
fn archive(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, kind, content) in entries {
        let mut header = Header::new_ustar();
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        let bytes = header.as_mut_bytes();
        bytes[..100].fill(0);
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        if *kind == EntryType::Symlink || *kind == EntryType::Link {
            header.set_link_name("/etc/passwd").unwrap();
        }
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

fn place() -> PathBuf {
    PathBuf::from("there/x.tar")
}

#[test]
fn a_directory_and_its_archive_are_the_same_package() {
    let home = tempfile::tempdir().unwrap();
    let settings = format!("{MANIFEST_TEXT}settings = \"settings.schema.json\"\n");
    std::fs::write(home.path().join(MANIFEST), settings).unwrap();
    std::fs::write(home.path().join("settings.schema.json"), "{}").unwrap();
    std::fs::write(home.path().join("probe_x.wasm"), b"code").unwrap();
    let bytes = pack(home.path()).unwrap();
    assert_eq!(bytes, pack(home.path()).unwrap(), "the same files make the same bytes");
    assert!(is_archive(&bytes) && !is_archive(b"\0asm") && !is_archive(&[0; 1024]));
    let (packed, plain) = (read(&bytes, &place()).unwrap(), Package::read(home.path()).unwrap());
    assert_eq!((packed.wasm, packed.settings, packed.manifest), (plain.wasm, plain.settings, plain.manifest));
}

#[test]
fn what_tar_makes_of_a_directory_is_read() {
    let regular = EntryType::Regular;
    let bytes = archive(&[
        ("./", EntryType::Directory, b""),
        ("./probe_x.wasm", regular, b"code"),
        ("./README.md", regular, b"about it"),
        ("./plugin.toml", regular, MANIFEST_TEXT.as_bytes()),
    ]);
    let package = read(&bytes, &place()).unwrap();
    assert_eq!((&*package.wasm, package.manifest.name.as_str()), (&b"code"[..], "probe-x"));
}

#[test]
fn whatever_leads_out_of_it_or_is_ambiguous_is_refused_by_name() {
    let (regular, toml) = (EntryType::Regular, MANIFEST_TEXT.as_bytes());
    let sound = ("plugin.toml", regular, toml);
    for (entries, said) in [
        (
            vec![sound, ("../probe_x.wasm", regular, b"".as_slice())],
            "`../probe_x.wasm` in it is not the plain name",
        ),
        (vec![sound, ("/etc/cron.d/x", regular, b"")], "is not the plain name"),
        (vec![("inner/probe_x.wasm", regular, b"")], "make it with `tar -cf FILE -C inner .`"),
        (
            vec![("inner", EntryType::Directory, b""), ("inner/x", regular, b"")],
            "lie in the directory `inner`",
        ),
        (vec![sound, ("inner", EntryType::Directory, b"")], "`inner` in it does not lie at the top"),
        (vec![("inner/x", regular, b""), sound], "-C DIRECTORY .` where there is no `inner`"),
        (vec![sound, ("probe_x.wasm", EntryType::Symlink, b"")], "is not a regular file"),
        (vec![sound, ("probe_x.wasm", EntryType::Link, b"")], "is not a regular file"),
        (vec![sound, ("probe_x.wasm", EntryType::Fifo, b"")], "is not a regular file"),
        (vec![sound, ("a\u{1b}[2J", regular, b"")], "a\\u{1b}[2J"),
        (vec![sound, sound], "`plugin.toml` is in it twice"),
        (vec![sound], "it holds no `probe_x.wasm`"),
        (vec![("x", regular, b"")], "it holds no `plugin.toml`"),
        (vec![("x", regular, b""); MAX_ENTRIES + 1], "is in it twice"),
    ] {
        let error = read(&archive(&entries), &place()).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains("there/x.tar"), "{said}: {error}");
        assert!(!error.chars().any(char::is_control), "{error:?}");
    }
    let many: Vec<String> = (0..=MAX_ENTRIES).map(|number| format!("x{number}")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), regular, b"".as_slice())).collect();
    let error = read(&archive(&many), &place()).unwrap_err().to_string();
    assert!(error.contains("it holds more than 32 files"), "{error}");
}

#[test]
fn an_archive_that_is_cut_anywhere_is_no_other_package() {
    let bytes = archive(&[
        ("plugin.toml", EntryType::Regular, MANIFEST_TEXT.as_bytes()),
        ("probe_x.wasm", EntryType::Regular, &[7; 700]),
    ]);
    for end in 0..bytes.len() {
        if let Ok(package) = read(&bytes[..end], &place()) {
            assert_eq!(&*package.wasm, &[7; 700], "cut at {end}");
        }
    }
}
