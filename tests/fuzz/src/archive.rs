//! Packages in one file: whatever a stranger's archive holds, it is a package with the files it names, or it is refused.

use std::path::Path;

use razar_runtime::archive::{MAX_ARCHIVE, read};

/// Longest refusal anybody reads.
const LONGEST: usize = 16 << 10;

/// A package in a tar archive.
pub fn archive(data: &[u8]) {
    match read(data, Path::new("it.tar")) {
        Ok(package) => {
            assert!(package.wasm.len() <= MAX_ARCHIVE.min(data.len()), "more than there was");
            assert_eq!(package.manifest.settings.is_some(), package.settings.is_some());
        }
        Err(error) => {
            let text = error.to_string();
            assert!(text.len() <= LONGEST, "a refusal of {} bytes", text.len());
            let odd = text.chars().find(|c| c.is_control() && *c != '\n');
            assert_eq!(odd, None, "{text:?}");
        }
    }
}
