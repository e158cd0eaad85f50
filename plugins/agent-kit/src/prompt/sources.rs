//! Which sources a model is shown: files that the failure speaks of before others, each whole or not at all, because half a
//! file invites an answer that loses the other half. What is not shown is listed.

use razar_sdk::agent::{Failure, SourceFile};
use razar_sdk::one_line;

use super::{ERROR, LOG, Part};
use crate::text::{head, tail};

/// Files that are listed by name when they are not shown.
const LISTED: usize = 200;

/// A block for each file that fits, and one that lists the rest.
pub(super) fn parts(failure: &Failure, bytes: usize) -> Vec<Part> {
    let said = format!("{}\n{}", head(&failure.error, ERROR), tail(&failure.log_tail, LOG));
    let mut files: Vec<(bool, &SourceFile)> =
        failure.sources.iter().map(|file| (is_spoken_of(&said, &file.path), file)).collect();
    files.sort_by(|(a, one), (b, other)| b.cmp(a).then_with(|| one.path.cmp(&other.path)));

    let (mut parts, mut rest, mut left) = (Vec::new(), Vec::new(), bytes);
    for (_, file) in files {
        match std::str::from_utf8(&file.content) {
            Ok(text) if text.len() <= left => {
                left -= text.len();
                parts.push(Part::new(format!("file {}", file.path), text));
            }
            Ok(_) => rest.push(format!("{} ({} bytes)", one_line(&file.path), file.content.len())),
            Err(_) => rest.push(format!("{} ({} bytes, no text)", one_line(&file.path), file.content.len())),
        }
    }
    if !rest.is_empty() {
        let more = rest.len().saturating_sub(LISTED);
        rest.truncate(LISTED);
        if more > 0 {
            rest.push(format!("and {more} more"));
        }
        parts.push(Part::new("files of the component that are not shown", rest.join("\n")));
    }
    parts
}

/// Whether a traceback or message names this file: by its path, or by its last part.
fn is_spoken_of(said: &str, path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let ends = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    let begins = |before: &str| !before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '-');
    !name.is_empty()
        && said.match_indices(name).any(|(at, _)| {
            let (before, rest) = (said.get(..at), said.get(at + name.len()..));
            before.is_some_and(begins) && rest.is_some_and(ends)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_spoken_of_by_its_own_name_only() {
        let said = r#"File "/srv/shop/src/app.py", line 3, in main"#;
        for (path, spoken) in [
            ("src/app.py", true),
            ("app.py", true),
            ("other/app.py", true),
            ("p.py", false),
            ("app.p", false),
            ("main", true),
            ("", false),
        ] {
            assert_eq!(is_spoken_of(said, path), spoken, "{path}");
        }
    }
}
