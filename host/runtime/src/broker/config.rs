//! Configuration values and environment variables: exactly what the grant says, nothing of the host's own.

use razar_core::grant::EffectiveGrant;
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi_config::WasiConfigVariables;

/// What `wasi:config/store` answers in this call.
pub fn variables(grant: &EffectiveGrant) -> WasiConfigVariables {
    grant.config().iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

/// Gives the guest its environment.
pub fn environment(grant: &EffectiveGrant, wasi: &mut WasiCtxBuilder) {
    for (name, value) in grant.env() {
        wasi.env(name, value);
    }
}
