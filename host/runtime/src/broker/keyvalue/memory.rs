//! Values that are forgotten when the process ends: for one-shot commands, which are not the state directory's host.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use razar_core::grant::Quota;

use super::{StoreName, ValueError, ValueStore, incremented};

/// Keeps values as long as it lives.
#[derive(Debug, Default)]
pub struct MemoryValues(Mutex<BTreeMap<StoreName, Values>>);

type Values = BTreeMap<String, Vec<u8>>;

impl MemoryValues {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<StoreName, Values>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The values with these set, if they fit.
fn replaced(values: &Values, quota: &Quota, new: &[(String, Vec<u8>)]) -> Result<Values, ValueError> {
    let mut values = values.clone();
    values.extend(new.iter().cloned());
    let bytes: u64 = values.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum();
    if bytes > quota.bytes.0 || values.len() as u64 > u64::from(quota.keys) {
        return Err(ValueError::Quota { bytes: quota.bytes.0, keys: quota.keys });
    }
    Ok(values)
}

impl ValueStore for MemoryValues {
    fn get(&self, store: &StoreName, key: &str) -> Result<Option<Vec<u8>>, ValueError> {
        Ok(self.lock().get(store).and_then(|values| values.get(key)).cloned())
    }

    fn keys(&self, store: &StoreName, skip: u64, most: usize) -> Result<Vec<String>, ValueError> {
        let stores = self.lock();
        let keys = stores.get(store).into_iter().flat_map(Values::keys);
        Ok(keys.skip(usize::try_from(skip).unwrap_or(usize::MAX)).take(most).cloned().collect())
    }

    fn set(&self, store: &StoreName, quota: &Quota, new: &[(String, Vec<u8>)]) -> Result<(), ValueError> {
        let mut stores = self.lock();
        let values = stores.entry(store.clone()).or_default();
        *values = replaced(values, quota, new)?;
        Ok(())
    }

    fn delete(&self, store: &StoreName, keys: &[String]) -> Result<(), ValueError> {
        if let Some(values) = self.lock().get_mut(store) {
            values.retain(|key, _| !keys.contains(key));
        }
        Ok(())
    }

    fn increment(&self, store: &StoreName, quota: &Quota, key: &str, delta: u64) -> Result<u64, ValueError> {
        let mut stores = self.lock();
        let values = stores.entry(store.clone()).or_default();
        let sum = incremented(values.get(key).map(Vec::as_slice), delta)?;
        *values = replaced(values, quota, &[(key.to_owned(), sum.to_string().into_bytes())])?;
        Ok(sum)
    }
}
