//! The adapter for `razar:plugin@0.1.x`: generated bindings in, plain types out. Nothing outside of it sees them. Probes are
//! here, agents and evaluators in files of their own.

use std::sync::Arc;
use std::time::Duration;

use razar_core::fact::Phase;
use wasmtime::Store;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{ComponentNamedList, InstancePre, Lift, Lower};

use self::probe::exports::razar::plugin::probe as wit;
use super::{BoxFuture, Health, Measurement, Probe, ProbeCall, Report};
use crate::call::Invocation;
use crate::incident::words;
use crate::outcome::{CallReport, PluginError, PluginErrorKind, extensions_size};
use crate::plugin::Shared;
use crate::state::{Stage, State};

pub(crate) mod agent;
pub(crate) mod evaluator;

mod probe {
    wasmtime::component::bindgen!({
        path: "../../wit/plugin-0.1",
        world: "probe-plugin",
        exports: { default: async },
    });
}

/// A plugin's `probe` interface, ready to be instantiated.
pub(crate) struct ProbeAdapter {
    pre: probe::ProbePluginPre<State>,
    shared: Arc<Shared>,
}

impl ProbeAdapter {
    /// Checks the exported functions against the contract, so that a wrong type is found at load and not in a call.
    pub(crate) fn new(pre: InstancePre<State>, shared: Arc<Shared>) -> wasmtime::Result<Self> {
        typecheck::<(wit::Target,), (Result<wit::Report, wit::PluginError>,)>(&pre, "probe", "check")?;
        Ok(Self { pre: probe::ProbePluginPre::new(pre)?, shared })
    }
}

/// Whether a role's interface has this function with these types.
fn typecheck<P, R>(pre: &InstancePre<State>, role: &str, function: &str) -> wasmtime::Result<()>
where
    P: ComponentNamedList + Lower,
    R: ComponentNamedList + Lift,
{
    let component = pre.component();
    let interface = component
        .get_export_index(None, format!("razar:plugin/{role}@0.1.0"))
        .ok_or_else(|| wasmtime::Error::msg(format!("no export `razar:plugin/{role}@0.1`")))?;
    match component.get_export(Some(&interface), function) {
        Some((ComponentItem::ComponentFunc(found), _)) => found.typecheck::<P, R>(&pre.instance_type()),
        _ => Err(wasmtime::Error::msg(format!("`razar:plugin/{role}` has no function `{function}`"))),
    }
}

impl Probe for ProbeAdapter {
    fn check<'a>(&'a self, call: ProbeCall<'a>) -> BoxFuture<'a, CallReport<Report>> {
        Box::pin(async move {
            let deadline = call.deadline.min(self.shared.limits.deadline.into());
            let check = Check { pre: &self.pre, target: target(&call, deadline) };
            crate::call::call(&self.shared, deadline, call.scope, check).await
        })
    }
}

fn target(call: &ProbeCall<'_>, deadline: Duration) -> wit::Target {
    wit::Target {
        component: call.target.component.as_str().to_owned(),
        address: call.target.address.map(str::to_owned),
        phase: match call.target.phase {
            Phase::Startup => wit::Phase::Startup,
            Phase::Readiness => wit::Phase::Readiness,
            Phase::Liveness => wit::Phase::Liveness,
        },
        timeout_ms: u32::try_from(deadline.as_millis()).unwrap_or(u32::MAX),
        settings: call.target.settings.to_owned(),
        extensions: Vec::new(),
    }
}

struct Check<'a> {
    pre: &'a probe::ProbePluginPre<State>,
    target: wit::Target,
}

impl Invocation for Check<'_> {
    type Reply = Report;

    async fn invoke(self, store: &mut Store<State>) -> wasmtime::Result<Result<Report, PluginError>> {
        let instance = self.pre.instantiate_async(&mut *store).await?;
        store.data_mut().stage = Stage::Calling;
        let answer = instance.razar_plugin_probe().call_check(&mut *store, &self.target).await?;
        if let Ok(report) = &answer
            && let Some(wrong) = report.measurements.iter().find(|measured| !measured.value.is_finite())
        {
            let name = words(&wrong.name);
            return Err(wasmtime::Error::msg(format!("the measurement `{name}` is not a finite number")));
        }
        Ok(answer.map(Report::from).map_err(PluginError::from))
    }

    fn size(reply: &Report) -> usize {
        let health = match &reply.health {
            Health::Other(word) => word.len(),
            Health::Healthy | Health::Degraded | Health::Unhealthy => 0,
        };
        let numbers =
            reply.measurements.iter().map(|m| m.name.len() + m.unit.len() + size_of::<f64>()).sum::<usize>();
        reply.summary.len() + health + numbers + extensions_size(&reply.extensions)
    }
}

impl From<wit::Report> for Report {
    fn from(report: wit::Report) -> Self {
        Self {
            health: match report.health {
                wit::Health::Healthy => Health::Healthy,
                wit::Health::Degraded => Health::Degraded,
                wit::Health::Unhealthy => Health::Unhealthy,
                wit::Health::Other(word) => Health::Other(word),
            },
            summary: report.summary,
            measurements: report
                .measurements
                .into_iter()
                .map(|m| Measurement { name: m.name, value: m.value, unit: m.unit })
                .collect(),
            extensions: report.extensions,
        }
    }
}

impl From<wit::PluginError> for PluginError {
    fn from(error: wit::PluginError) -> Self {
        use probe::razar::plugin::types::PluginErrorKind as Kind;
        Self {
            kind: match error.kind {
                Kind::InvalidInput => PluginErrorKind::InvalidInput,
                Kind::NotFound => PluginErrorKind::NotFound,
                Kind::Unauthenticated => PluginErrorKind::Unauthenticated,
                Kind::Denied => PluginErrorKind::Denied,
                Kind::Unavailable => PluginErrorKind::Unavailable,
                Kind::Timeout => PluginErrorKind::Timeout,
                Kind::RateLimited => PluginErrorKind::RateLimited,
                Kind::QuotaExhausted => PluginErrorKind::QuotaExhausted,
                Kind::NotEvaluable => PluginErrorKind::NotEvaluable,
                Kind::Internal => PluginErrorKind::Internal,
                Kind::Other(word) => PluginErrorKind::Other(word),
            },
            message: error.message,
            retry_after: error.retry_after_ms.map(|ms| Duration::from_millis(ms.into())),
            extensions: error.extensions,
        }
    }
}
