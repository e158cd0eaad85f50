//! What a guest may keep: grants, quotas and namespaces, without a guest.

use razar_core::document::units::Bytes;
use razar_core::grant::{CallScope, Grant, Request, Role, StandingGrant};

use super::*;

const QUOTA: Quota = Quota { bytes: Bytes(40), keys: 3, key: Bytes(4), value: Bytes(30), writes: 8 };

fn broker(plugin: &str, values: &Arc<MemoryValues>, granted: bool) -> (KeyValueBroker, Arc<Journal>) {
    let stores = [("a".to_owned(), QUOTA), ("b".to_owned(), QUOTA)];
    let request =
        Request { keyvalue: stores.iter().map(|(name, _)| name.clone()).collect(), ..Request::default() };
    let keyvalue = if granted { stores.into() } else { Default::default() };
    let grant = Grant { keyvalue, ..Grant::default() };
    let standing = Arc::new(StandingGrant::new(Role::Probe, &request, &grant));
    let journal = Arc::new(Journal::new());
    let values: Arc<dyn ValueStore> = Arc::<MemoryValues>::clone(values);
    let grant = Arc::new(standing.for_call(CallScope::default()));
    let limits = Limits::defaults(Role::Probe);
    (KeyValueBroker::new(plugin.parse().unwrap(), grant, limits, values, Arc::clone(&journal)), journal)
}

fn one(key: &str, value: &[u8]) -> Vec<(String, Vec<u8>)> {
    vec![(key.to_owned(), value.to_vec())]
}

async fn value(broker: &KeyValueBroker, bucket: &Bucket, key: &str) -> Option<Vec<u8>> {
    broker.get(bucket, vec![key.to_owned()]).await.unwrap().remove(0).map(|(_, value)| value)
}

#[tokio::test]
async fn without_a_grant_every_open_is_denied_with_the_line_that_allows_it() {
    let (broker, journal) = broker("p", &Arc::default(), false);
    for store in ["a", "a", "other", "", "../a"] {
        assert_eq!(broker.open(store).unwrap_err(), KeyValueError::Denied, "{store}");
    }
    let record = journal.take();
    assert_eq!((record.refusals, record.denied().count()), (5, 4));
    let line = record.denied().next().unwrap().line().unwrap().to_owned();
    assert_eq!(line, "keyvalue = { \"a\" = { bytes = \"64 KiB\", keys = 256 } }");
}

#[tokio::test]
async fn plugins_and_stores_do_not_see_each_other() {
    let values = Arc::default();
    let ((p, _), (q, _)) = (broker("p", &values, true), broker("q", &values, true));
    p.set(&p.open("a").unwrap(), one("k", b"1")).await.unwrap();
    assert_eq!(value(&p, &p.open("a").unwrap(), "k").await.as_deref(), Some(&b"1"[..]));
    assert_eq!(value(&p, &p.open("b").unwrap(), "k").await, None);
    assert_eq!(value(&q, &q.open("a").unwrap(), "k").await, None);
}

#[tokio::test]
async fn every_part_of_the_quota_is_enforced_and_changes_nothing() {
    let values = Arc::default();
    for (name, broken) in [
        ("a key", one("12345", b"")),
        ("no key", one("", b"")),
        ("a value", one("k", &[0; 31])),
        ("bytes", [one("k", &[0; 20]), one("l", &[0; 20])].concat()),
        ("keys", ["k", "l", "m", "n"].iter().flat_map(|key| one(key, b"")).collect()),
        ("writes", (0..9).flat_map(|_| one("k", b"")).collect()),
    ] {
        let (broker, journal) = broker("p", &values, true);
        let bucket = broker.open("a").unwrap();
        let error = broker.set(&bucket, broken).await.unwrap_err();
        assert!(matches!(error, KeyValueError::Other(_)), "{name}: {error:?}");
        assert_eq!(journal.record().refusals, u64::from(name != "no key"), "{name}");
        assert_eq!(broker.keys(&bucket, 0).await.unwrap(), (vec![], None), "{name}");
    }
    let (broker, _) = broker("p", &values, true);
    let bucket = broker.open("a").unwrap();
    broker.set(&bucket, ["k", "l", "m"].iter().flat_map(|key| one(key, b"")).collect()).await.unwrap();
    broker.set(&bucket, one("m", b"in place of another")).await.unwrap();
    broker.delete(&bucket, vec!["k".to_owned(), "none".to_owned()]).await.unwrap();
    assert_eq!(broker.keys(&bucket, 0).await.unwrap(), (vec!["l".to_owned(), "m".to_owned()], None));
}

#[tokio::test]
async fn a_number_is_incremented_or_left_alone() {
    let (broker, _) = broker("p", &Arc::default(), true);
    let bucket = broker.open("a").unwrap();
    for sum in [2, 4] {
        assert_eq!(broker.increment(&bucket, "n".to_owned(), 2).await, Ok(sum));
    }
    assert_eq!(value(&broker, &bucket, "n").await.as_deref(), Some(&b"4"[..]));
    assert!(broker.increment(&bucket, "n".to_owned(), u64::MAX).await.is_err());
    broker.set(&bucket, one("t", b"text")).await.unwrap();
    assert!(broker.increment(&bucket, "t".to_owned(), 1).await.is_err());
    assert_eq!(value(&broker, &bucket, "t").await.as_deref(), Some(&b"text"[..]));
}

/// One large value asked for again and again in one call is not copied without end.
#[tokio::test]
async fn an_answer_is_bounded_by_what_may_cross_the_border() {
    let (broker, _) = broker("p", &Arc::default(), true);
    let bucket = broker.open("a").unwrap();
    broker.set(&bucket, one("k", &[0; 30])).await.unwrap();
    let most = usize::try_from(Limits::defaults(Role::Probe).hostcall.0).unwrap() / 30;
    assert!(broker.get(&bucket, vec!["k".to_owned(); most]).await.is_ok());
    assert!(broker.get(&bucket, vec!["k".to_owned(); most + 1]).await.is_err());
}
