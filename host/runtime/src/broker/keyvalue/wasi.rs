//! `wasi:keyvalue@0.2.0-draft` (`store`, `atomics`, `batch`), answered by the call's [`KeyValueBroker`]. Types in, types
//! out; nothing is decided here.

use wasmtime::component::{HasData, Linker, Resource, ResourceTable};

use self::bindings::wasi::keyvalue::store::{Error, KeyResponse};
use self::bindings::wasi::keyvalue::{atomics, batch, store};
use super::{Bucket, KeyValueBroker, KeyValueError};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/plugin-0.1",
        world: "wasi:keyvalue/imports",
        imports: { default: async | trappable },
        with: { "wasi:keyvalue/store.bucket": crate::broker::keyvalue::Bucket },
    });
}

/// The interfaces that are defined here: exactly this draft.
pub(crate) const INTERFACES: [&str; 3] = [
    "wasi:keyvalue/store@0.2.0-draft",
    "wasi:keyvalue/atomics@0.2.0-draft",
    "wasi:keyvalue/batch@0.2.0-draft",
];

/// What the functions need of a store's data.
pub struct KeyValueView<'a> {
    /// The gate of the call.
    pub broker: &'a KeyValueBroker,
    /// Where the guest's resources are.
    pub table: &'a mut ResourceTable,
}

struct Views;

impl HasData for Views {
    type Data<'a> = KeyValueView<'a>;
}

/// Defines the three interfaces.
pub fn add_keyvalue_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> KeyValueView<'_>,
) -> wasmtime::Result<()> {
    store::add_to_linker::<T, Views>(linker, view)?;
    atomics::add_to_linker::<T, Views>(linker, view)?;
    batch::add_to_linker::<T, Views>(linker, view)
}

impl From<KeyValueError> for Error {
    fn from(error: KeyValueError) -> Self {
        match error {
            KeyValueError::Denied => Self::AccessDenied,
            KeyValueError::Other(why) => Self::Other(why),
        }
    }
}

/// What a function of the draft answers; the outer error is the runtime's, such as too many handles.
type Answer<T> = wasmtime::Result<Result<T, Error>>;

impl KeyValueView<'_> {
    fn bucket(&self, bucket: &Resource<Bucket>) -> wasmtime::Result<Bucket> {
        Ok(self.table.get(bucket)?.clone())
    }
}

impl store::Host for KeyValueView<'_> {
    async fn open(&mut self, identifier: String) -> Answer<Resource<Bucket>> {
        match self.broker.open(&identifier) {
            Ok(bucket) => Ok(Ok(self.table.push(bucket)?)),
            Err(error) => Ok(Err(error.into())),
        }
    }
}

impl store::HostBucket for KeyValueView<'_> {
    async fn get(&mut self, bucket: Resource<Bucket>, key: String) -> Answer<Option<Vec<u8>>> {
        let found = self.broker.get(&self.bucket(&bucket)?, vec![key]).await;
        Ok(found.map(|found| found.into_iter().flatten().next().map(|(_, value)| value)).map_err(Error::from))
    }

    async fn set(&mut self, bucket: Resource<Bucket>, key: String, value: Vec<u8>) -> Answer<()> {
        Ok(self.broker.set(&self.bucket(&bucket)?, vec![(key, value)]).await.map_err(Error::from))
    }

    async fn delete(&mut self, bucket: Resource<Bucket>, key: String) -> Answer<()> {
        Ok(self.broker.delete(&self.bucket(&bucket)?, vec![key]).await.map_err(Error::from))
    }

    async fn exists(&mut self, bucket: Resource<Bucket>, key: String) -> Answer<bool> {
        let found = self.broker.get(&self.bucket(&bucket)?, vec![key]).await;
        Ok(found.map(|found| found.iter().any(Option::is_some)).map_err(Error::from))
    }

    async fn list_keys(&mut self, bucket: Resource<Bucket>, cursor: Option<u64>) -> Answer<KeyResponse> {
        let found = self.broker.keys(&self.bucket(&bucket)?, cursor.unwrap_or(0)).await;
        Ok(found.map(|(keys, cursor)| KeyResponse { keys, cursor }).map_err(Error::from))
    }

    async fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}

impl atomics::Host for KeyValueView<'_> {
    async fn increment(&mut self, bucket: Resource<Bucket>, key: String, delta: u64) -> Answer<u64> {
        Ok(self.broker.increment(&self.bucket(&bucket)?, key, delta).await.map_err(Error::from))
    }
}

impl batch::Host for KeyValueView<'_> {
    async fn get_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> Answer<Vec<Option<(String, Vec<u8>)>>> {
        Ok(self.broker.get(&self.bucket(&bucket)?, keys).await.map_err(Error::from))
    }

    async fn set_many(&mut self, bucket: Resource<Bucket>, values: Vec<(String, Vec<u8>)>) -> Answer<()> {
        Ok(self.broker.set(&self.bucket(&bucket)?, values).await.map_err(Error::from))
    }

    async fn delete_many(&mut self, bucket: Resource<Bucket>, keys: Vec<String>) -> Answer<()> {
        Ok(self.broker.delete(&self.bucket(&bucket)?, keys).await.map_err(Error::from))
    }
}
