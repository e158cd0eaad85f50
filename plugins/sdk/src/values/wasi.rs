//! Stores over `wasi:keyvalue@0.2.0-draft`.

use crate::PluginError;
use crate::bindings::types::PluginErrorKind;
use crate::bindings::wasi_keyvalue::wasi::keyvalue::atomics;
use crate::bindings::wasi_keyvalue::wasi::keyvalue::store::{self, Bucket, Error};

/// An open bucket.
#[derive(Debug)]
pub(super) struct Store(Bucket);

impl Store {
    pub(super) fn open(name: &str) -> Result<Self, PluginError> {
        store::open(name).map(Self).map_err(named)
    }

    pub(super) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, PluginError> {
        self.0.get(key).map_err(named)
    }

    pub(super) fn set(&self, key: &str, value: &[u8]) -> Result<(), PluginError> {
        self.0.set(key, value).map_err(named)
    }

    pub(super) fn delete(&self, key: &str) -> Result<(), PluginError> {
        self.0.delete(key).map_err(named)
    }

    pub(super) fn increment(&self, key: &str, delta: u64) -> Result<u64, PluginError> {
        atomics::increment(&self.0, key, delta).map_err(named)
    }
}

fn named(error: Error) -> PluginError {
    match error {
        Error::AccessDenied => PluginError::denied("the host denied the store; see its log for the grant"),
        Error::NoSuchStore => PluginError::new(PluginErrorKind::NotFound, "the host knows no such store"),
        Error::Other(why) => PluginError::new(PluginErrorKind::Unavailable, why),
    }
}
