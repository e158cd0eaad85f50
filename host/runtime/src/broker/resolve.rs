//! From names to addresses. What comes out is not yet allowed: every address is still checked by a permit.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// How long a name server may take: a probe that waits longer learns nothing more.
pub const LOOKUP_TIME: Duration = Duration::from_secs(5);

/// Addresses looked at per name: more than this is an attempt to be slow, not a service.
pub const MAX_ADDRESSES: usize = 16;

/// The addresses of a name, some day.
pub type Lookup = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Whatever turns names into addresses.
pub trait Resolver: Send + Sync {
    /// Looks a name up.
    fn lookup(&self, name: &str) -> Lookup;
}

/// Why there are no addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// Nobody answered in time.
    #[error("no answer within {} s", LOOKUP_TIME.as_secs())]
    Timeout,
    /// The name has no address.
    #[error("no such name")]
    Unknown,
}

/// Looks a name up, in bounded time, to a bounded number of addresses.
pub async fn addresses_of(resolver: &dyn Resolver, name: &str) -> Result<Vec<IpAddr>, ResolveError> {
    let answer =
        tokio::time::timeout(LOOKUP_TIME, resolver.lookup(name)).await.map_err(|_| ResolveError::Timeout)?;
    let mut addresses = answer.map_err(|_| ResolveError::Unknown)?;
    addresses.truncate(MAX_ADDRESSES);
    if addresses.is_empty() {
        return Err(ResolveError::Unknown);
    }
    Ok(addresses)
}

/// The operating system's resolver: `/etc/hosts`, then name servers.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn lookup(&self, name: &str) -> Lookup {
        let name = name.to_owned();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Fixed answers: for hosts whose addresses are pinned, and for tests.
#[derive(Debug, Clone, Default)]
pub struct FixedResolver(Arc<HashMap<String, Vec<IpAddr>>>);

impl FromIterator<(String, Vec<IpAddr>)> for FixedResolver {
    fn from_iter<I: IntoIterator<Item = (String, Vec<IpAddr>)>>(names: I) -> Self {
        Self(Arc::new(names.into_iter().collect()))
    }
}

impl Resolver for FixedResolver {
    fn lookup(&self, name: &str) -> Lookup {
        let answer = self.0.get(name).cloned().ok_or_else(|| io::ErrorKind::NotFound.into());
        Box::pin(std::future::ready(answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Hangs;
    impl Resolver for Hangs {
        fn lookup(&self, _: &str) -> Lookup {
            Box::pin(std::future::pending())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_name_server_costs_bounded_time() {
        let begun = tokio::time::Instant::now();
        assert_eq!(addresses_of(&Hangs, "a.example").await, Err(ResolveError::Timeout));
        assert_eq!(begun.elapsed(), LOOKUP_TIME);
    }

    #[tokio::test]
    async fn answers_are_bounded_and_never_empty() {
        let many: Vec<IpAddr> = (0..200).map(|n| IpAddr::from([10, 0, 0, n])).collect();
        let resolver: FixedResolver =
            [("many.example".to_owned(), many), ("none.example".to_owned(), vec![])].into_iter().collect();
        assert_eq!(addresses_of(&resolver, "many.example").await.unwrap().len(), MAX_ADDRESSES);
        assert_eq!(addresses_of(&resolver, "none.example").await, Err(ResolveError::Unknown));
        assert_eq!(addresses_of(&resolver, "other.example").await, Err(ResolveError::Unknown));
    }

    #[tokio::test]
    async fn the_system_knows_this_machine() {
        let addresses = addresses_of(&SystemResolver, "localhost").await.unwrap();
        assert!(addresses.iter().all(IpAddr::is_loopback), "{addresses:?}");
    }
}
