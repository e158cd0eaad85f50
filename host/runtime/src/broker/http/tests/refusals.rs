//! What never reaches the network.

use super::server::{Server, ok};
use super::*;
use crate::broker::journal::Refused;

/// E4 to E7, E11, E15: method, spelling, host, port, path and scheme must be the rule's, or nothing is dialed.
#[tokio::test]
async fn only_the_exact_rule_is_dialed() {
    let server = Server::saying(ok("yes")).await;
    let port = server.address.port();
    let rule = format!("GET http://127.0.0.1:{port}/health");
    for (method, url) in [
        ("CONNECT", format!("http://127.0.0.1:{port}/health")),
        ("TRACE", format!("http://127.0.0.1:{port}/health")),
        ("POST", format!("http://127.0.0.1:{port}/health")),
        ("get", format!("http://127.0.0.1:{port}/health")),
        ("GET", format!("http://127.0.0.1:{port}/other")),
        ("GET", format!("http://127.0.0.1:{port}/health/../other")),
        ("GET", format!("http://127.0.0.1:{port}/%68ealth/..%2fother")),
        ("GET", "http://127.0.0.1:1/health".to_owned()),
        ("GET", format!("https://127.0.0.1:{port}/health")),
        ("GET", format!("http://user@127.0.0.1:{port}/health")),
        ("GET", format!("http://127.0.0.1:{port}@evil.example/health")),
        ("GET", format!("http://2130706433:{port}/health")),
        ("GET", format!("http://0x7f000001:{port}/health")),
        ("GET", format!("http://127.1:{port}/health")),
        ("GET", format!("http://[::ffff:127.0.0.1]:{port}/health")),
        ("GET", format!("http://localhost:{port}/health")),
        ("GET", "http://169.254.169.254/latest/meta-data/".to_owned()),
    ] {
        let mut guest = Setup::new(&[&rule]).begin();
        let Ok(method) = Method::from_bytes(method.as_bytes()) else { continue };
        let Ok(uri) = url.parse::<http::Uri>() else { continue };
        let request = Request::builder().method(method.clone()).uri(uri).body(Bytes::new()).unwrap();
        let error = guest.send(request).await.unwrap_err();
        assert!(matches!(error, Error::HttpRequestDenied), "{method} {url}: {error:?}");
        let record = guest.record();
        assert_eq!((record.refusals, record.requests, record.denied().count()), (1, 0, 1), "{method} {url}");
    }
    assert_eq!(server.heard(), Vec::<String>::new());
}

/// E13, E14: what could end a line never becomes a request at all.
#[test]
fn line_ends_make_no_request() {
    for url in ["http://a.example/x\r\nHost: b", "http://a.example/\n", "http://a.example/\0", "http://a b/"]
    {
        assert!(url.parse::<http::Uri>().is_err(), "{url:?}");
    }
    assert!(http::HeaderValue::from_bytes(b"a\r\nb: c").is_err());
}

/// E8, E10: a granted name may lead to public addresses only, and one bad address is enough.
#[tokio::test]
async fn a_name_that_leads_inside_is_refused() {
    for addresses in [
        &["169.254.169.254"][..],
        &["127.0.0.1"],
        &["10.0.0.1"],
        &["0.0.0.0"],
        &["::1"],
        &["::ffff:169.254.169.254"],
        &["::ffff:127.0.0.1"],
        &["64:ff9b::a9fe:a9fe"],
        &["100.100.100.200"],
        &["192.0.0.192"],
        &["fd00:ec2::254"],
        &["93.184.215.14", "127.0.0.1"],
    ] {
        let mut guest = Setup::new(&["GET http://api.example/"]).name("api.example", addresses).begin();
        let error = guest.get("http://api.example/").await.unwrap_err();
        assert!(matches!(error, Error::DestinationIpProhibited), "{addresses:?}: {error:?}");
        let record = guest.record();
        assert_eq!((record.names, record.refusals), (vec!["api.example".to_owned()], 1));
    }
}

/// A component's own name may lead to its machine, never to a metadata service.
#[tokio::test]
async fn the_target_may_be_on_this_machine() {
    let server = Server::saying(ok("up")).await;
    let target = format!("http://orders.internal:{}/health", server.address.port());
    let seen =
        Setup::target(&target).name("orders.internal", &["127.0.0.1"]).begin().get(&target).await.unwrap();
    assert_eq!((seen.status.as_u16(), seen.body.as_slice()), (200, &b"up"[..]));
    let error =
        Setup::target(&target).name("orders.internal", &["169.254.169.254"]).begin().get(&target).await;
    assert!(matches!(error, Err(Error::DestinationIpProhibited)));
    // Nobody listens on the first address: the second is tried.
    let both = Setup::target(&target)
        .name("orders.internal", &["127.0.0.9", "127.0.0.1"])
        .begin()
        .get(&target)
        .await;
    assert_eq!(both.unwrap().status, 200);
}

#[tokio::test]
async fn names_without_an_address_say_so() {
    let mut guest = Setup::new(&["GET http://api.example/"]).begin();
    assert!(matches!(guest.get("http://api.example/").await, Err(Error::DnsError { .. })));
}

/// E28.
#[tokio::test]
async fn a_call_has_so_many_requests() {
    let server = Server::saying(ok("")).await;
    let target = url(server.address, "/");
    let mut guest = Setup::target(&target).limit(|limits| limits.requests = 2).begin();
    assert!(guest.get(&target).await.is_ok());
    assert!(guest.get(&target).await.is_ok());
    assert!(matches!(guest.get(&target).await, Err(Error::ConnectionLimitReached)));
    assert_eq!(guest.record().refused, [Refused::Requests { limit: 2 }]);
    assert_eq!(server.heard().len(), 2);
}

#[tokio::test]
async fn a_request_has_so_many_bytes() {
    let server = Server::start(|mut stream, _| async move {
        use tokio::io::AsyncReadExt as _;
        while stream.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {}
    })
    .await;
    let target = url(server.address, "/");
    let mut guest = Setup::target(&target).limit(|limits| limits.request.0 = 1000).begin();
    let request = request(Method::POST, &target).map(|_| Bytes::from(vec![b'x'; 1001]));
    let error = guest.send(request).await.unwrap_err();
    assert!(matches!(error, Error::HttpRequestBodySize(Some(1000))), "{error:?}");
    assert_eq!(guest.record().refused, [Refused::RequestBody { limit: 1000 }]);
}
