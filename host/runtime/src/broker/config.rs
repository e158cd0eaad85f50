//! Configuration values and environment variables: exactly what the grant says, nothing of the host's own.

use std::collections::BTreeMap;

use razar_core::grant::EffectiveGrant;
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi_config::WasiConfigVariables;

use crate::tape::Tape;

/// What `wasi:config/store` answers in this call.
pub(crate) fn variables(grant: &EffectiveGrant, tape: Option<&Tape>) -> WasiConfigVariables {
    let values = match tape.and_then(Tape::playing) {
        Some(playing) => &playing.recording.config,
        None => grant.config(),
    };
    if let Some(tape) = tape {
        tape.write(size(values), |writing| writing.recording.config.clone_from(values));
    }
    values.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

/// Gives the guest its environment.
pub(crate) fn environment(grant: &EffectiveGrant, wasi: &mut WasiCtxBuilder, tape: Option<&Tape>) {
    let values = match tape.and_then(Tape::playing) {
        Some(playing) => &playing.recording.env,
        None => grant.env(),
    };
    if let Some(tape) = tape {
        tape.write(size(values), |writing| writing.recording.env.clone_from(values));
    }
    for (name, value) in values {
        wasi.env(name, value);
    }
}

fn size(values: &BTreeMap<String, String>) -> usize {
    values.iter().map(|(name, value)| name.len() + value.len()).sum()
}
