//! Values that the operator writes into the grants, over `wasi:config`. Natively nothing is configured: a plugin's logic
//! takes what it needs as arguments, and tests pass them.

use crate::PluginError;

/// The value of a key that `plugin.toml` requests. Whether the operator has to give it, `plugin.toml` says too, by asking.
pub fn get(key: &str) -> Result<Option<String>, PluginError> {
    #[cfg(target_family = "wasm")]
    {
        use crate::bindings::wasi_config::wasi::config::store;
        store::get(key).map_err(|error| match error {
            store::Error::Upstream(why) | store::Error::Io(why) => {
                PluginError::new(crate::PluginErrorKind::Unavailable, format!("`{key}`: {why}"))
            }
        })
    }
    #[cfg(not(target_family = "wasm"))]
    {
        let _ = key;
        Ok(None)
    }
}
