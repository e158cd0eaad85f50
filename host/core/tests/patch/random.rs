//! Trees and edits nobody thought of. Diffs are made by another implementation than any the gate uses.

use std::collections::BTreeMap;

use proptest::prelude::*;
use razar_core::patch::{Change, MAX_FILE, Proposal, Rules, Tree, gate};
use similar::TextDiff;

type Files = BTreeMap<&'static str, String>;

const NAMES: [&str; 5] = ["app.py", "src/a.py", "src/b c.py", "src/deep/x.txt", "notes"];

/// Few different lines, so that a hunk could easily fit at the wrong place.
fn line() -> impl Strategy<Value = String> {
    let words = [
        "",
        "a",
        "b",
        "    a",
        "-- x",
        "++ y",
        "@@ -1 +1 @@",
        "--- a/app.py",
        "\\ No newline",
        "caf\u{e9}",
        "\t",
    ];
    prop::sample::select(words.to_vec()).prop_map(str::to_owned)
}

fn content() -> impl Strategy<Value = String> {
    (prop::collection::vec(line(), 0..20), any::<bool>(), prop::bool::weighted(0.2)).prop_map(
        |(lines, ended, dos)| {
            let end = if dos { "\r\n" } else { "\n" };
            let mut text: String = lines.iter().map(|line| format!("{line}{end}")).collect();
            if !ended {
                text.truncate(text.trim_end_matches(['\r', '\n']).len());
            }
            text
        },
    )
}

/// How a file is edited: at a place, so many lines go and these come.
fn edits() -> impl Strategy<Value = Vec<(usize, usize, Vec<String>)>> {
    prop::collection::vec((0..20_usize, 0..4_usize, prop::collection::vec(line(), 0..4)), 0..4)
}

fn edited(text: &str, edits: &[(usize, usize, Vec<String>)]) -> String {
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    for (at, gone, came) in edits {
        let at = (*at).min(lines.len());
        let until = (at + gone).min(lines.len());
        lines.splice(at..until, came.iter().map(|line| format!("{line}{end}")));
    }
    // Only the last line may have no end.
    let last = lines.len().saturating_sub(1);
    for line in lines.iter_mut().take(last).filter(|line| !line.ends_with('\n')) {
        line.push_str(end);
    }
    lines.concat()
}

fn tree(files: &Files) -> Tree {
    let mut tree = Tree::default();
    for directory in ["src/x", "src/deep/x"] {
        tree.insert_file(directory, b"kept\n");
    }
    for (path, text) in files {
        tree.insert_file(path, text.as_bytes());
    }
    tree
}

/// A diff of whole trees as `similar` writes it; deleted and new files have `/dev/null` on the other side.
fn diff(before: &Files, after: &Files, context: usize) -> String {
    let mut text = String::new();
    for path in NAMES {
        let (old, new) = (before.get(path), after.get(path));
        if old == new {
            continue;
        }
        let name = |side: Option<&String>, prefix: &str| match side {
            Some(_) => format!("{prefix}/{path}"),
            None => "/dev/null".to_owned(),
        };
        let (from, to) = (name(old, "a"), name(new, "b"));
        let (old, new) = (old.map_or("", String::as_str), new.map_or("", String::as_str));
        let made = TextDiff::from_lines(old, new);
        text += &made.unified_diff().context_radius(context).header(&from, &to).to_string();
    }
    text
}

fn files() -> impl Strategy<Value = Files> {
    let file = |name: &'static str| {
        prop::option::weighted(0.7, content()).prop_map(move |text| text.map(|text| (name, text)))
    };
    NAMES.map(file).prop_map(|files| files.into_iter().flatten().collect())
}

/// A tree, and what it becomes.
fn pair() -> impl Strategy<Value = (Files, Files)> {
    let change = prop::collection::vec((0..4_u8, edits(), content()), NAMES.len());
    (files(), change).prop_map(|(before, changes)| {
        let mut after = before.clone();
        for (path, (kind, edits, content)) in NAMES.into_iter().zip(changes) {
            match (kind, before.get(path)) {
                (0, Some(_)) => drop(after.remove(path)),
                (1 | 2, Some(text)) => drop(after.insert(path, edited(text, &edits))),
                // What `similar` writes of a new file without lines has no hunk.
                (0 | 1, None) if !content.is_empty() => drop(after.insert(path, content)),
                _ => {}
            }
        }
        // The same for one that is deleted.
        after.extend(
            before.iter().filter(|(_, text)| text.is_empty()).map(|(path, text)| (*path, text.clone())),
        );
        (before, after)
    })
}

/// What may happen to a diff on its way.
#[derive(Debug, Clone)]
enum Damage {
    Drop(usize),
    Double(usize),
    Swap(usize, usize),
    Put(usize, String),
    Byte(usize, u8),
    Cut(usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = 0..10_000_usize;
    let words = [
        "--- a/app.py",
        "+++ b/app.py",
        "@@ -1 +1 @@",
        "@@ -1,2 +1,2 @@",
        "+x",
        "-x",
        " x",
        "",
        "\\ No newline at end of file",
        "diff --git a/app.py b/app.py",
        "new file mode 100644",
        "rename from app.py",
        "--- /dev/null",
        "+++ b/../x",
        "old mode 100644",
        "+++ b/tests/x.py",
        "@@ -0,0 +1 @@",
    ];
    let words = prop::sample::select(words.to_vec()).prop_map(str::to_owned);
    prop_oneof![
        at.clone().prop_map(Damage::Drop),
        at.clone().prop_map(Damage::Double),
        (at.clone(), at.clone()).prop_map(|(a, b)| Damage::Swap(a, b)),
        (at.clone(), words).prop_map(|(at, word)| Damage::Put(at, word)),
        (at.clone(), any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        at.prop_map(Damage::Cut),
    ]
}

fn damaged(text: &str, damages: &[Damage]) -> Vec<u8> {
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let mut bytes = Vec::new();
    for damage in damages {
        let within = |at: &usize| at % lines.len();
        match damage {
            Damage::Drop(at) if lines.len() > 1 => drop(lines.remove(within(at))),
            Damage::Double(at) => {
                let at = within(at);
                lines.insert(at, lines[at].clone());
            }
            Damage::Swap(a, b) => {
                let (a, b) = (within(a), within(b));
                lines.swap(a, b);
            }
            Damage::Put(at, line) => lines.insert(within(at), line.clone()),
            Damage::Cut(at) if *at > 0 => lines.truncate(within(at).max(1)),
            Damage::Drop(_) | Damage::Cut(_) | Damage::Byte(..) => {}
        }
    }
    bytes.extend(lines.join("\n").bytes());
    for damage in damages {
        if let Damage::Byte(at, byte) = damage
            && !bytes.is_empty()
        {
            let at = at % bytes.len();
            bytes[at] = *byte;
        }
    }
    bytes
}

/// Whatever is taken changes what it says it changes, and nothing that may not be changed.
fn holds(proposal: &Proposal, base: &Tree, rules: &Rules) -> Result<(), TestCaseError> {
    match gate(proposal, base, rules) {
        Err(refusal) => {
            let said = refusal.to_string();
            prop_assert!(said.len() < 1_000 && !said.contains(char::is_control), "{:?}", said);
        }
        Ok(changes) => {
            let result = changes.onto(base).unwrap();
            let mut differences = base.differences(&result);
            differences.sort_unstable();
            let announced: Vec<&str> = changes.files().iter().map(|file| file.path().as_str()).collect();
            prop_assert_eq!(differences, announced);
            for file in changes.files() {
                prop_assert!(rules.protected(file.path().as_str()).is_none(), "{:?}", file);
                prop_assert!(file.after().is_none_or(|bytes| bytes.len() <= MAX_FILE));
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_diff_of_another_implementation_gives_exactly_the_edited_tree((before, after) in pair(), context in 1..5_usize) {
        let (base, wanted) = (tree(&before), tree(&after));
        let wanted_gone: Vec<&str> = before.keys().filter(|path| !after.contains_key(*path)).copied().collect();
        let text = diff(&before, &after, context);
        let rules = Rules::default().with_deletions(true);
        let judged = gate(&Proposal::diff(text.as_str()), &base, &rules);
        if before == after {
            prop_assert_eq!(judged.unwrap_err().code(), "empty");
        } else {
            let changes = judged.map_err(|refusal| TestCaseError::fail(format!("{refusal}\n{text}")))?;
            let result = changes.onto(&base).unwrap();
            let same = NAMES.iter().all(|path| result.file(path) == wanted.file(path));
            prop_assert!(same, "{}", text);
            prop_assert!(wanted_gone.iter().all(|path| result.get(path).is_none()));

            let whole = after.iter().filter(|(path, text)| before.get(*path) != Some(text));
            let whole = whole.map(|(path, text)| Change::Write { path: (*path).to_owned(), content: text.clone().into_bytes() });
            let gone = wanted_gone.iter().map(|path| Change::Delete { path: (*path).to_owned() });
            let whole = Proposal { changes: whole.chain(gone).collect(), ..Proposal::default() };
            let same = gate(&whole, &base, &rules).map_err(|refusal| TestCaseError::fail(refusal.to_string()))?;
            prop_assert_eq!(same.digest(), changes.digest(), "whole files and a diff are judged alike");
        }
    }

    #[test]
    fn a_damaged_diff_changes_what_it_says_or_nothing(
        (before, after) in pair(),
        context in 0..5_usize,
        damages in prop::collection::vec(damage(), 1..6),
        deletions in any::<bool>(),
    ) {
        let bytes = damaged(&diff(&before, &after, context), &damages);
        holds(&Proposal::diff(bytes), &tree(&before), &Rules::default().with_deletions(deletions))?;
    }

    #[test]
    fn a_heap_of_lines_changes_what_it_says_or_nothing(lines in prop::collection::vec(damage(), 0..40)) {
        let words = lines.iter().filter_map(|damage| match damage {
            Damage::Put(_, line) => Some(format!("{line}\n")),
            _ => None,
        });
        let base = tree(&[("app.py", "x\n".to_owned())].into());
        holds(&Proposal::diff(words.collect::<String>()), &base, &Rules::default())?;
    }
}
