//! `wasi:keyvalue` for guests: values of a plugin's own, kept from call to call, behind one gate.
//!
//! ```text
//! open(name) ──► permit (plugin's own store, quota) ──► bucket
//! bucket operation ──► key, value and writes against the quota ──► whoever keeps values, on a thread that may wait
//! ```
//!
//! The runtime keeps nothing itself: a [`ValueStore`] does, and the host's is the ledger, because that is where a state
//! directory's one writer, its lock, its backup and its crash safety are. A store's name reaches it only through a
//! permit and a plugin's name only from the loader, so no guest can say whose values it means. Without a grant every
//! `open` is `access-denied`. Must never trap a guest for what it asks, and never hold a thread of the runtime while
//! the disk is slow.

mod memory;
mod taped;
mod wasi;

use std::sync::Arc;

use razar_core::grant::{EffectiveGrant, Limits, Quota, StorePermit, Use};
use razar_core::id::{Digest, PluginId};

pub use self::memory::MemoryValues;
pub(crate) use self::wasi::INTERFACES;
pub use self::wasi::{KeyValueView, add_keyvalue_to_linker};
use super::journal::{Journal, Refused};

/// Keys in one answer of `list-keys`; the guest asks for the next ones with the cursor.
const PAGE: usize = 256;

/// One store of one plugin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreName {
    /// Whose.
    pub plugin: PluginId,
    /// Which of its stores: letters, digits, `_`, `-` and `.`.
    pub store: String,
}

/// Why a value was not kept or found; nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// The store is full.
    #[error("the store may hold {bytes} bytes under {keys} keys and would exceed that; delete a key first")]
    Quota {
        /// Keys and values together.
        bytes: u64,
        /// Keys.
        keys: u32,
    },
    /// The value under the key is no number, or would become too large for one.
    #[error("the value is not a whole number that can be incremented by so much")]
    NotANumber,
    /// Whoever keeps them could not.
    #[error("{0}")]
    Unavailable(String),
}

/// Whoever keeps values: called on a thread that may wait.
pub trait ValueStore: Send + Sync {
    /// The value of a key.
    fn get(&self, store: &StoreName, key: &str) -> Result<Option<Vec<u8>>, ValueError>;

    /// Keys in order, `skip` of them left out, at most `most`.
    fn keys(&self, store: &StoreName, skip: u64, most: usize) -> Result<Vec<String>, ValueError>;

    /// Keeps all of these, or none when they do not fit.
    fn set(&self, store: &StoreName, quota: &Quota, values: &[(String, Vec<u8>)]) -> Result<(), ValueError>;

    /// Forgets these keys; those that are not there are forgotten already.
    fn delete(&self, store: &StoreName, keys: &[String]) -> Result<(), ValueError>;

    /// Adds to the decimal number under a key, which is zero when there is none, and says the sum. Nobody else sees
    /// or changes the value in between.
    fn increment(&self, store: &StoreName, quota: &Quota, key: &str, delta: u64) -> Result<u64, ValueError>;
}

/// The sum of a kept number and a delta: decimal digits, as other hosts keep them.
pub fn incremented(kept: Option<&[u8]>, delta: u64) -> Result<u64, ValueError> {
    let number = match kept {
        None => 0,
        Some(bytes) => std::str::from_utf8(bytes)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
            .ok_or(ValueError::NotANumber)?,
    };
    number.checked_add(delta).ok_or(ValueError::NotANumber)
}

/// The gate of one call. Cheap to clone.
#[derive(Clone)]
pub struct KeyValueBroker(Arc<Call>);

struct Call {
    plugin: PluginId,
    grant: Arc<EffectiveGrant>,
    limits: Limits,
    values: Arc<dyn ValueStore>,
    journal: Arc<Journal>,
}

/// A store that was opened.
#[derive(Debug, Clone)]
pub struct Bucket {
    name: StoreName,
    quota: Quota,
}

/// Why an operation is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyValueError {
    /// No grant gives this store.
    Denied,
    /// Something else, in words.
    Other(String),
}

impl KeyValueBroker {
    /// A gate to a plugin's own stores.
    pub fn new(
        plugin: PluginId,
        grant: Arc<EffectiveGrant>,
        limits: Limits,
        values: Arc<dyn ValueStore>,
        journal: Arc<Journal>,
    ) -> Self {
        Self(Arc::new(Call { plugin, grant, limits, values, journal }))
    }

    /// Opens one of the plugin's stores.
    pub fn open(&self, store: &str) -> Result<Bucket, KeyValueError> {
        taped::now(
            self.0.journal.tape(),
            || format!("open {store}"),
            || self.opened(store),
            |()| Bucket {
                name: StoreName { plugin: self.0.plugin.clone(), store: store.to_owned() },
                quota: Quota::DEFAULT,
            },
        )
    }

    fn opened(&self, store: &str) -> Result<Bucket, KeyValueError> {
        let permit: StorePermit = self.0.grant.permit_store(store).map_err(|denied| {
            self.0.journal.refuse(Refused::Denied(denied));
            KeyValueError::Denied
        })?;
        self.0.journal.uses(Use::Store(permit.store().to_owned()));
        let name = StoreName { plugin: self.0.plugin.clone(), store: permit.store().to_owned() };
        Ok(Bucket { name, quota: *permit.quota() })
    }

    /// The values of these keys, in their order.
    pub async fn get(
        &self,
        bucket: &Bucket,
        keys: Vec<String>,
    ) -> Result<Vec<Option<(String, Vec<u8>)>>, KeyValueError> {
        let asked = || format!("get {} {keys:?}", bucket.name.store);
        taped::later(self.0.journal.tape(), asked, || self.got(bucket, keys.clone())).await
    }

    async fn got(
        &self,
        bucket: &Bucket,
        keys: Vec<String>,
    ) -> Result<Vec<Option<(String, Vec<u8>)>>, KeyValueError> {
        keys.iter().try_for_each(|key| self.fits(bucket, key))?;
        // An answer crosses the border: one key asked for a thousand times must not become a thousand values.
        let most = self.0.limits.hostcall.0;
        self.on_a_thread(bucket, move |values, bucket| {
            let mut found = Vec::with_capacity(keys.len());
            let mut bytes = 0_u64;
            for key in keys {
                let value = values.get(&bucket.name, &key)?;
                bytes = bytes.saturating_add(value.as_ref().map_or(0, |value| value.len() as u64));
                if bytes > most {
                    let why = format!("the values have more than {most} bytes; ask for fewer keys");
                    return Err(ValueError::Unavailable(why));
                }
                found.push(value.map(|value| (key, value)));
            }
            Ok(found)
        })
        .await
    }

    /// Some keys, and where to go on.
    pub async fn keys(
        &self,
        bucket: &Bucket,
        skip: u64,
    ) -> Result<(Vec<String>, Option<u64>), KeyValueError> {
        let asked = || format!("keys {} from {skip}", bucket.name.store);
        taped::later(self.0.journal.tape(), asked, || self.listed(bucket, skip)).await
    }

    async fn listed(&self, bucket: &Bucket, skip: u64) -> Result<(Vec<String>, Option<u64>), KeyValueError> {
        self.on_a_thread(bucket, move |values, bucket| {
            let mut keys = values.keys(&bucket.name, skip, PAGE + 1)?;
            let more = keys.len() > PAGE;
            keys.truncate(PAGE);
            Ok((keys, more.then(|| skip.saturating_add(PAGE as u64))))
        })
        .await
    }

    /// Keeps values: all of them or none.
    pub async fn set(&self, bucket: &Bucket, values: Vec<(String, Vec<u8>)>) -> Result<(), KeyValueError> {
        let asked = || {
            let pairs = values.iter().map(|(key, value)| format!(" {key:?}={}", Digest::of(value)));
            format!("set {}{}", bucket.name.store, pairs.collect::<String>())
        };
        taped::later(self.0.journal.tape(), asked, || self.kept(bucket, values.clone())).await
    }

    async fn kept(&self, bucket: &Bucket, values: Vec<(String, Vec<u8>)>) -> Result<(), KeyValueError> {
        for (key, value) in &values {
            self.fits(bucket, key)?;
            let most = bucket.quota.value.0;
            if value.len() as u64 > most {
                return Err(self.over(format!("a value of `{}` may have {most} bytes", bucket.name.store)));
            }
        }
        self.write(bucket, values.len())?;
        self.on_a_thread(bucket, move |store, bucket| store.set(&bucket.name, &bucket.quota, &values)).await
    }

    /// Forgets keys.
    pub async fn delete(&self, bucket: &Bucket, keys: Vec<String>) -> Result<(), KeyValueError> {
        let asked = || format!("delete {} {keys:?}", bucket.name.store);
        taped::later(self.0.journal.tape(), asked, || self.deleted(bucket, keys.clone())).await
    }

    async fn deleted(&self, bucket: &Bucket, keys: Vec<String>) -> Result<(), KeyValueError> {
        keys.iter().try_for_each(|key| self.fits(bucket, key))?;
        self.write(bucket, keys.len())?;
        self.on_a_thread(bucket, move |store, bucket| store.delete(&bucket.name, &keys)).await
    }

    /// Adds to the number under a key.
    pub async fn increment(&self, bucket: &Bucket, key: String, delta: u64) -> Result<u64, KeyValueError> {
        let asked = || format!("increment {} {key:?} by {delta}", bucket.name.store);
        taped::later(self.0.journal.tape(), asked, || self.incremented(bucket, key.clone(), delta)).await
    }

    async fn incremented(&self, bucket: &Bucket, key: String, delta: u64) -> Result<u64, KeyValueError> {
        self.fits(bucket, &key)?;
        self.write(bucket, 1)?;
        self.on_a_thread(bucket, move |store, bucket| {
            store.increment(&bucket.name, &bucket.quota, &key, delta)
        })
        .await
    }

    fn fits(&self, bucket: &Bucket, key: &str) -> Result<(), KeyValueError> {
        let most = bucket.quota.key.0;
        match key.len() as u64 {
            0 => Err(KeyValueError::Other("a key may not be empty".to_owned())),
            length if length > most => {
                Err(self.over(format!("a key of `{}` may have {most} bytes", bucket.name.store)))
            }
            _ => Ok(()),
        }
    }

    fn write(&self, bucket: &Bucket, keys: usize) -> Result<(), KeyValueError> {
        let keys = u32::try_from(keys).unwrap_or(u32::MAX);
        let most = bucket.quota.writes;
        self.0.journal.write(keys, most).map_err(|()| {
            self.over(format!("more than {most} keys of `{}` written in one call", bucket.name.store))
        })
    }

    fn over(&self, why: String) -> KeyValueError {
        self.0.journal.refuse(Refused::Quota(why.clone()));
        KeyValueError::Other(why)
    }

    async fn on_a_thread<T: Send + 'static>(
        &self,
        bucket: &Bucket,
        work: impl FnOnce(&dyn ValueStore, &Bucket) -> Result<T, ValueError> + Send + 'static,
    ) -> Result<T, KeyValueError> {
        let (values, bucket) = (Arc::clone(&self.0.values), bucket.clone());
        let store = bucket.name.store.clone();
        match tokio::task::spawn_blocking(move || work(values.as_ref(), &bucket)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error @ ValueError::Quota { .. })) => Err(self.over(format!("`{store}`: {error}"))),
            Ok(Err(error)) => Err(KeyValueError::Other(error.to_string())),
            Err(_) => Err(KeyValueError::Other("the host could not look; try again".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests;
