//! The plugin contract as the rest of the host sees it: plain types and object-safe traits, whatever track a plugin
//! was built for. One adapter file per track; older ones turn their types into these.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use razar_core::fact::Phase;
use razar_core::grant::CallScope;
use razar_core::id::ComponentId;
use serde::{Deserialize, Serialize};

use crate::outcome::CallReport;

pub mod agent;
pub mod evaluator;
pub mod roles;
pub(crate) mod since_v0_1;

/// A call under way.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Watches one component.
pub trait Probe: Send + Sync {
    /// Asks once. Dropping the future ends the call.
    fn check<'a>(&'a self, call: ProbeCall<'a>) -> BoxFuture<'a, CallReport<Report>>;
}

/// One question to a probe.
#[derive(Debug, Clone)]
pub struct ProbeCall<'a> {
    /// Who is asked about.
    pub target: ProbeTarget<'a>,
    /// What this call may reach besides what was granted at load.
    pub scope: CallScope,
    /// Time for everything, from waiting for a place to run to the answer. Never more than the plugin's limit.
    pub deadline: Duration,
}

/// What a probe is told.
#[derive(Debug, Clone, Copy)]
pub struct ProbeTarget<'a> {
    /// Which component.
    pub component: &'a ComponentId,
    /// Where it listens.
    pub address: Option<&'a str>,
    /// Which question.
    pub phase: Phase,
    /// JSON object, validated against the plugin's schema.
    pub settings: &'a str,
}

/// A probe's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// How the component is.
    pub health: Health,
    /// In the plugin's words: data, to be escaped where it is shown.
    pub summary: String,
    /// What was measured.
    pub measurements: Vec<Measurement>,
    /// Additive information; unknown keys are ignored.
    pub extensions: Vec<(String, String)>,
}

/// How a component is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Health {
    /// Well.
    Healthy,
    /// Working, but not well.
    Degraded,
    /// Not working.
    Unhealthy,
    /// A word this host does not know: counts as unhealthy.
    Other(String),
}

impl Health {
    /// Whether it counts as a success for the detectors.
    pub const fn is_well(&self) -> bool {
        matches!(self, Self::Healthy | Self::Degraded)
    }

    /// The word in logs and labels.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
            Self::Other(_) => "other",
        }
    }
}

/// One number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// What.
    pub name: String,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: String,
}
