//! The files of the repository, as git sees them. It never looks at what git ignores.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use razar_tests::repository;

use crate::tokens::{Name, Tests, names};

/// One Rust file.
pub(crate) struct Source {
    /// From the top of the repository.
    pub(crate) file: PathBuf,
    /// As written.
    pub(crate) text: String,
    /// Every name in it, tests included.
    pub(crate) names: Vec<Name>,
}

static RUST: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let rust = files().into_iter().filter(|file| file.extension().is_some_and(|extension| extension == "rs"));
    let source = |file: PathBuf| {
        let text = read(&file);
        Source { names: names(&text, Tests::Included), text, file }
    };
    let sources: Vec<_> = rust.map(source).collect();
    assert!(sources.len() > 20, "the sources were not found");
    sources
});

/// Every Rust file.
pub(crate) fn rust() -> &'static [Source] {
    &RUST
}

/// Every file that is in git or could be: ignored ones are left out, deleted ones too.
pub(crate) fn files() -> Vec<PathBuf> {
    let mut files = list(&["--cached", "--others", "--exclude-standard"]);
    files.retain(|file| repository().join(file).is_file());
    files
}

/// Every file that is in git.
pub(crate) fn tracked() -> Vec<PathBuf> {
    list(&["--cached"])
}

/// The text of a file; bytes that are none are replaced.
pub(crate) fn read(file: &Path) -> String {
    let bytes = std::fs::read(repository().join(file)).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    String::from_utf8_lossy(&bytes).into_owned()
}

fn list(arguments: &[&str]) -> Vec<PathBuf> {
    let mut git = Command::new("git");
    git.current_dir(repository()).args(["ls-files", "-z", "--deduplicate"]).args(arguments);
    let output = git.output().expect("`git` cannot be run; install it");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "`git ls-files` failed; run the tests in a clone of the repository: {said}"
    );
    let names = output.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    names.map(|name| PathBuf::from(String::from_utf8_lossy(name).into_owned())).collect()
}
