//! `conform`: what the sandbox withstands with the plugins, grants and limits of this host. It tries and tells; it starts
//! no service, writes nothing, and never changes a grant.

mod tell;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use razar_conform::arena::{Arena, tried};
use razar_conform::{Corpus, names};
use razar_core::grant::{CallScope, LimitField, Target, Use};
use razar_core::id::PluginId;
use razar_core::plan::{BootPlan, Check, LogSource, Overrides};
use razar_runtime::broker::keyvalue::MemoryValues;
use razar_runtime::contract::{ProbeCall, ProbeTarget};
use razar_runtime::{Runtime, RuntimeOptions};

use self::tell::{Limit, Tell};
use super::check::read_plan;
use super::{Exit, complain, one_shot_kept, own_compiler, show_problems, show_warnings};
use crate::cli;
use crate::packages::{Packages, roles};

pub(super) async fn conform(arguments: cli::Conform) -> Exit {
    match try_conform(&arguments).await {
        Ok(exit) => exit,
        Err((message, exit)) => {
            complain(arguments.output, &message);
            exit
        }
    }
}

type Failed = (String, Exit);

fn usage(message: impl ToString) -> Failed {
    (message.to_string(), Exit::Usage)
}

fn internal(message: impl ToString) -> Failed {
    (message.to_string(), Exit::Internal)
}

async fn try_conform(arguments: &cli::Conform) -> Result<Exit, Failed> {
    let cli::Plugins { plugins, grants, .. } = &arguments.plugins;
    if plugins.is_empty() {
        return Err(usage("no plugins: name a directory of packages with `--plugins DIR`"));
    }
    let corpus = arguments.corpus.as_deref().map(Corpus::read).transpose().map_err(usage)?;
    let own = one_shot_kept().map_err(internal)?;
    let packages = Packages::load(arguments.plugins.sources(), &own).await;
    show_problems(packages.problems(), arguments.output);
    show_warnings(packages.warnings(), arguments.output);
    let plan =
        arguments.config.as_deref().map(|config| plan(config, &packages, arguments.output)).transpose()?;

    let mut tell = Tell::new(arguments.output, grants.as_deref());
    if let Some(corpus) = corpus {
        tell.begin(packages.iter().count(), corpus.cases().len());
        // Each guest is compiled once, and of what is compiled here nothing stays.
        let code = tempfile::tempdir().map_err(internal)?;
        let arena = arena(corpus, &code.path().join("code"))?;
        limits(&arena, &packages, &mut tell).await?;
        for case in arena.corpus().cases() {
            tell.case(case, &arena.run(case).await.map_err(usage)?);
        }
    }
    if let Some(plan) = plan {
        let uses = ask(&plan, &packages, &mut tell).await;
        for (name, entry) in packages.iter() {
            let used = uses.get(name).map(Vec::as_slice).unwrap_or_default();
            entry
                .grant
                .idle(used)
                .into_iter()
                .for_each(|(capability, line)| tell.idle(name, capability, &line));
        }
    }
    let holes = tell.sum(packages.iter().count(), packages.problems().len());
    Ok(match (holes, packages.problems().is_empty()) {
        (0, true) => Exit::Done,
        (0, false) => Exit::Usage,
        (_, _) => Exit::Failed,
    })
}

fn plan(config: &Path, packages: &Packages, output: cli::Output) -> Result<BootPlan, Failed> {
    read_plan(config, None, &Overrides::default(), packages).map(|checked| checked.plan).map_err(|problems| {
        show_problems(&problems, output);
        usage("nothing was tried: mend the boot configuration, or leave `--config` out")
    })
}

/// A runtime like this host's own, whose guests reach only this machine and know no secret of anybody.
fn arena(corpus: Corpus, code: &Path) -> Result<Arena, Failed> {
    names::hush();
    let egress = names::egress().map_err(internal)?;
    let options = RuntimeOptions {
        pool: None,
        cache: Some(code.to_owned()),
        compiler: own_compiler().map_err(internal)?,
        scratch: std::env::temp_dir(),
        egress,
        values: Arc::new(MemoryValues::default()),
    };
    let runtime = Runtime::new(options).map_err(internal)?;
    Arena::new(corpus, Arc::new(runtime)).map_err(internal)
}

/// Every limit of every plugin at the number in force, with a guest that goes beyond it.
async fn limits(arena: &Arena, packages: &Packages, tell: &mut Tell) -> Result<(), Failed> {
    // Most plugins have their role's limits: each number is tried once.
    let mut known: BTreeMap<(LimitField, u64), Vec<String>> = BTreeMap::new();
    for (name, entry) in packages.iter() {
        for role in roles(&entry.plugin) {
            let Some(limits) = entry.plugin.limits(role) else { continue };
            for field in LimitField::ALL.iter().copied() {
                let Some(in_force) = limits.get(field) else { continue };
                let at = tried(field, in_force);
                let wrong = match known.get(&(field, at)) {
                    Some(wrong) => wrong.clone(),
                    None => {
                        let case = arena.corpus().cases().iter().find(|case| case.limit() == Some(field));
                        let wrong = match case {
                            Some(case) => arena.run(&case.at_limit(at)).await.map_err(usage)?,
                            None => vec!["the corpus has no case about it".to_owned()],
                        };
                        known.insert((field, at), wrong.clone());
                        wrong
                    }
                };
                tell.limit(&Limit { plugin: name, role, field, in_force, tried: at, wrong: &wrong });
            }
        }
    }
    Ok(())
}

type Uses = BTreeMap<PluginId, Vec<(Use, Option<Target>)>>;

/// Every probe of the plan once, as a host would ask it; what each used.
async fn ask(plan: &BootPlan, packages: &Packages, tell: &mut Tell) -> Uses {
    let mut uses = Uses::new();
    for component in &plan.components {
        for (phase, probe) in component.probes.all() {
            let Check::Plugin { plugin, address, log, settings, .. } = &probe.check else { continue };
            let Some(found) = packages.probe(plugin) else { continue };
            let log = match log {
                Some(LogSource::File(path)) => Some(path.clone()),
                // Nothing runs that could have printed anything.
                Some(LogSource::Output) | None => None,
            };
            let target: Option<Target> = address.as_deref().and_then(|address| address.parse().ok());
            let scope = CallScope { target: target.clone(), log, ..CallScope::default() };
            let about =
                ProbeTarget { component: &component.id, address: address.as_deref(), phase, settings };
            let deadline = probe.schedule.timeout.into();
            let report = found.check(ProbeCall { target: about, scope, deadline }).await;
            tell.asked(plugin, &component.id, phase, &report);
            let used = report.record.used.into_iter().map(|used| (used, target.clone()));
            uses.entry(plugin.clone()).or_default().extend(used);
        }
    }
    uses
}
