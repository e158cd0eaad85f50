//! The crates of this repository and what they declare, from `cargo metadata`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use cargo_metadata::{Metadata, MetadataCommand, Package};
use razar_tests::repository;

use crate::tree::{self, Source};

/// All of it, for this machine's platform.
pub(crate) static METADATA: LazyLock<Metadata> = LazyLock::new(|| {
    let rustc = Command::new("rustc").arg("-vV").output().expect("`rustc` cannot be run");
    let version = String::from_utf8_lossy(&rustc.stdout).into_owned();
    let host =
        version.lines().find_map(|line| line.strip_prefix("host: ")).expect("`rustc -vV` names the host");
    let mut command = MetadataCommand::new();
    command.current_dir(repository()).other_options(["--filter-platform".to_owned(), host.to_owned()]);
    command.exec().expect("`cargo metadata` fails; `cargo metadata --format-version 1` says why")
});

/// The crates of this repository.
pub(crate) fn members() -> Vec<&'static Package> {
    METADATA.workspace_packages()
}

/// The directory of a crate, from the top of the repository.
pub(crate) fn directory(package: &Package) -> PathBuf {
    let manifest = package.manifest_path.as_std_path();
    let directory = manifest.parent().expect("a manifest lies in a directory");
    directory.strip_prefix(&METADATA.workspace_root).expect("members lie in the workspace").to_path_buf()
}

/// A crate's sources: tests, benches and build script included, crates inside its directory left out.
pub(crate) fn sources(package: &Package) -> Vec<&'static Source> {
    let own = directory(package);
    let inner: Vec<_> = members().into_iter().map(directory).filter(|other| *other != own).collect();
    let belongs = |file: &Path| {
        file.starts_with(&own)
            && !inner.iter().any(|other| other.starts_with(&own) && file.starts_with(other))
    };
    tree::rust().iter().filter(|source| belongs(&source.file)).collect()
}
