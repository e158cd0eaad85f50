//! `patch check`: the gate, asked by a person, and with `--trial` the trial of what it takes. It reads, judges and says; nothing
//! here changes a file of the component.

mod trial;

use std::io::Read as _;
use std::path::Path;

use razar_core::count::counted;
use razar_core::id::IncidentId;
use razar_core::patch::{ChangeSet, MAX_PROPOSAL, Proposal, Protected, Refusal, Tree, gate};
use razar_core::plan::{Patchable, patchable};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use self::trial::Trials;
use super::check::{absolute_parent, read_document};
use super::{Exit, blocking, complain, say, show_problems};
use super::{control, incident};
use crate::cli::{One, Output, Patch, PatchApply, PatchCheck};
use crate::report::escape;
use crate::sources::{self, Bounds};

/// What a trial would find out, and the gate cannot.
const NOT_CHECKED: &str = "whether it repairs anything: no test was run, no service was started";

pub(super) async fn patch(command: Patch) -> Exit {
    match command {
        Patch::Check(arguments) => blocking(move || check_all(&arguments)).await,
        Patch::Apply(arguments) => apply(arguments).await,
        Patch::Rollback(one) => rollback(one).await,
        Patch::List(arguments) => blocking(move || incident::patches(&arguments)).await,
        Patch::Show(arguments) => blocking(move || incident::patch(&arguments, false)).await,
        Patch::Diff(arguments) => blocking(move || incident::patch(&arguments, true)).await,
    }
}

/// One diff after the other; one that is refused keeps no other from being judged.
fn check_all(arguments: &PatchCheck) -> Exit {
    let (mut worst, mut trials) = (Exit::Done, None);
    for file in &arguments.files {
        let exit = check(arguments, file).and_then(|(changes, tree)| {
            if !arguments.trial {
                taken_by_the_gate(&arguments.component, &changes, arguments.output);
                return Ok(Exit::Done);
            }
            let prepared = match trials.take() {
                Some(prepared) => prepared,
                None => Handle::current().block_on(Trials::prepare(arguments))?,
            };
            Ok(trials.insert(prepared).hold(&changes, tree))
        });
        match exit.unwrap_or_else(|exit| exit) {
            Exit::Done => {}
            Exit::Failed => worst = Exit::Failed,
            other => return other,
        }
        if trials.as_ref().is_some_and(Trials::are_over) {
            return Exit::Failed;
        }
    }
    worst
}

/// Hands a diff to the running host.
async fn apply(arguments: PatchApply) -> Exit {
    let PatchApply { file, component, state, output } = arguments;
    let text = match read(&file) {
        Ok(text) => text,
        Err(error) => {
            complain(output, &escape::line(&format!("cannot read `{}`: {error}", file.display())));
            return Exit::Usage;
        }
    };
    match String::from_utf8(text) {
        Ok(diff) => control::apply(state.state, component, diff, output).await,
        Err(_) => {
            complain(output, &escape::line(&format!("`{}` is not UTF-8 text", file.display())));
            Exit::Usage
        }
    }
}

/// Hands a rollback to the running host, which knows components alone.
async fn rollback(mut one: One) -> Exit {
    if let Ok(number) = one.component.parse() {
        let state = one.state.state.clone();
        match tokio::task::spawn_blocking(move || incident::patched(&state, IncidentId(number))).await {
            Ok(Ok(component)) => one.component = component.to_string(),
            Ok(Err(nothing)) => return nothing.tell(one.output),
            Err(_) => return Exit::Internal,
        }
    }
    control::rollback(one).await
}

/// Asks the gate; what it refuses is told. With what it takes come the files as they were.
fn check(arguments: &PatchCheck, file: &Path) -> Result<(ChangeSet, Tree), Exit> {
    let output = arguments.output;
    let Patchable { id, workdir, mut rules } = component(arguments)?;
    let directory = Path::new(&workdir);
    let mut own = vec![
        (arguments.config.as_path(), Protected::Config),
        (arguments.state.state.as_path(), Protected::State),
    ];
    own.extend(arguments.plugins.grants.as_deref().map(|file| (file, Protected::Grants)));
    own.extend(arguments.plugins.plugins.iter().map(|dir| (dir.as_path(), Protected::Host)));
    let program = std::env::current_exe().ok();
    own.extend(program.as_deref().map(|program| (program, Protected::Host)));
    sources::protect(&mut rules, directory, &own);
    let usage = |message: String| {
        complain(output, &escape::line(&message));
        Exit::Usage
    };
    let unreadable = |error| usage(format!("cannot read `{}`: {error}", file.display()));
    let text = read(file).map_err(unreadable)?;
    let tree = sources::read(directory, &rules, Bounds::DEFAULT);
    let tree = tree.map_err(|error| usage(format!("{id}: {error}")))?;
    let proposal = Proposal { shown: arguments.shown.iter().cloned().collect(), ..Proposal::diff(text) };
    match gate(&proposal, &tree, &rules) {
        Ok(changes) => Ok((changes, tree)),
        Err(refusal) => {
            refused(id.as_str(), &refusal, output);
            Err(Exit::Failed)
        }
    }
}

fn component(arguments: &PatchCheck) -> Result<Patchable, Exit> {
    let (config, output) = (&arguments.config, arguments.output);
    let document = read_document(config).map_err(|problem| {
        show_problems(&[problem], output);
        Exit::Usage
    })?;
    let directory = absolute_parent(config).map_err(|error| {
        complain(output, &format!("`{}` cannot be located: {error}", config.display()));
        Exit::Usage
    })?;
    let (file, directory) = (config.display().to_string(), directory.display().to_string());
    patchable(&document, &file, &directory, &arguments.component).map_err(|problems| {
        show_problems(&problems, output);
        Exit::Usage
    })
}

/// The diff, and one byte more than is judged, so that a larger one is refused as that.
fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = MAX_PROPOSAL as u64 + 1;
    if file.as_os_str() == "-" {
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes)?;
    } else {
        std::fs::File::open(file)?.take(limit).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

fn taken_by_the_gate(component: &str, changes: &ChangeSet, output: Output) {
    if output == Output::Json {
        let more =
            [("verdict", json!("accepted")), ("checked", json!("gate")), ("not_checked", json!(NOT_CHECKED))];
        return say(&told(component, changes, more).to_string());
    }
    show(component, changes);
    say(&format!("not checked: {NOT_CHECKED}"));
}

/// What will be different, and what else there is to say, for programs.
fn told<'k>(component: &str, changes: &ChangeSet, more: impl IntoIterator<Item = (&'k str, Value)>) -> Value {
    let file = |file: &razar_core::patch::FileChange| {
        json!({
            "path": file.path().as_str(), "change": file.kind().as_str(), "added": file.added(),
            "removed": file.removed(), "before": file.before().map(|digest| digest.to_string()),
        })
    };
    let files: Vec<_> = changes.files().iter().map(file).collect();
    let own = [
        ("component", json!(component)),
        ("digest", json!(changes.digest().to_string())),
        ("added", json!(changes.added())),
        ("removed", json!(changes.removed())),
        ("files", json!(files)),
    ];
    own.into_iter().chain(more).map(|(key, value)| (key.to_owned(), value)).collect()
}

/// The same for people.
fn show(component: &str, changes: &ChangeSet) {
    let (files, added, removed) = (changes.files().len(), changes.added(), changes.removed());
    say(&format!("{component}: the gate takes it: {}, +{added} -{removed}", counted(files, "file")));
    for file in changes.files() {
        let line =
            format!("  {} {} +{} -{}", file.kind().as_str(), file.path(), file.added(), file.removed());
        say(&escape::line(&line));
    }
    say(&format!("  {}", changes.digest()));
}

fn refused(component: &str, refusal: &Refusal, output: Output) {
    if output == Output::Json {
        return say(&json!({
            "verdict": "refused", "component": component, "checked": "gate", "code": refusal.code(),
            "file": refusal.file(), "line": refusal.line(), "message": refusal.what(), "remedy": refusal.remedy(),
        })
        .to_string());
    }
    complain(output, &format!("{component}: the gate refuses it: {}", escape::line(&refusal.to_string())));
    complain_hint(refusal.remedy());
}

/// The second line of a refusal.
fn complain_hint(remedy: &str) {
    use std::io::Write as _;
    // A closed pipe is no failure; the exit code says it too.
    drop(writeln!(std::io::stderr(), "  hint: {remedy}"));
}
