//! What goes on the wire, and what comes back.

use super::server::{Server, ok};
use super::*;
use crate::broker::journal::Refused;

#[tokio::test]
async fn a_request_says_what_was_checked_and_the_host_says_where() {
    let server = Server::saying(ok("fine")).await;
    let target = url(server.address, "/health?deep=1");
    let mut guest = Setup::target(&target).begin();
    let mut request = request(Method::GET, &target);
    // E18: the guest's own idea of framing, routing and identity stays with the guest.
    for (name, value) in [
        ("host", "evil.example"),
        ("authorization", "Bearer stolen"),
        ("connection", "upgrade"),
        ("transfer-encoding", "chunked"),
        ("proxy-authorization", "Basic x"),
        ("accept", "text/plain"),
    ] {
        request.headers_mut().append(name, value.parse().unwrap());
    }
    let seen = guest.send(request).await.unwrap();
    assert_eq!(seen.body, b"fine");
    let heard = server.heard().concat().to_ascii_lowercase();
    let mut lines: Vec<&str> = heard.trim_end().lines().collect();
    assert_eq!(lines.remove(0), "get /health?deep=1 http/1.1");
    lines.sort_unstable();
    assert_eq!(lines, ["accept: text/plain", &format!("host: {}", server.address)]);
    let record = guest.record();
    assert_eq!((record.requests, record.received, record.refusals), (1, 4, 0));
}

#[tokio::test]
async fn a_body_is_sent_and_counted() {
    let server = Server::start(|mut stream, _| async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut body = [0; 5];
        stream.read_exact(&mut body).await.unwrap();
        stream.write_all(ok(std::str::from_utf8(&body).unwrap()).as_bytes()).await.unwrap();
    })
    .await;
    let target = url(server.address, "/");
    let mut guest = Setup::target(&target).begin();
    let seen =
        guest.send(request(Method::POST, &target).map(|_| Bytes::from_static(b"hello"))).await.unwrap();
    assert_eq!(seen.body, b"hello");
    assert_eq!((guest.record().sent, guest.record().received), (5, 5));
}

/// E17.
#[tokio::test]
async fn a_redirect_is_returned_and_not_followed() {
    let inside = Server::saying(ok("inside")).await;
    let location = url(inside.address, "/secret");
    let server =
        Server::saying(format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"))
            .await;
    let target = url(server.address, "/");
    let seen = Setup::target(&target).begin().get(&target).await.unwrap();
    assert_eq!((seen.status.as_u16(), seen.headers["location"].to_str().unwrap()), (302, location.as_str()));
    assert!(inside.heard().is_empty());
}

/// E27: nothing is decompressed, so nothing can grow.
#[tokio::test]
async fn a_compressed_body_is_left_alone() {
    let packed = [0x1f, 0x8b, 8, 0, 1, 2, 3, 0xff];
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", packed.len());
    let server = Server::saying([head.as_bytes(), &packed].concat()).await;
    let target = url(server.address, "/");
    let seen = Setup::target(&target).begin().get(&target).await.unwrap();
    assert_eq!(
        (seen.body.as_slice(), seen.headers["content-encoding"].to_str().unwrap()),
        (&packed[..], "gzip")
    );
}

/// E21.
#[tokio::test]
async fn an_endless_body_is_cut() {
    let server = Server::start(|mut stream, _| async move {
        use tokio::io::AsyncWriteExt as _;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(&[b'x'; 16 * 1024]).await.is_ok() {}
    })
    .await;
    let target = url(server.address, "/");
    let mut guest = Setup::target(&target).limit(|limits| limits.response.0 = 100_000).begin();
    let error = guest.get(&target).await.unwrap_err();
    assert!(matches!(error, Error::HttpResponseBodySize(Some(100_000))), "{error:?}");
    let record = guest.record();
    assert!(record.received <= 100_000);
    assert_eq!(record.refused, [Refused::ResponseBody { limit: 100_000 }]);
}

/// E22.
#[tokio::test]
async fn an_endless_header_is_cut() {
    let server = Server::start(|mut stream, _| async move {
        use tokio::io::AsyncWriteExt as _;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nx: ").await;
        while stream.write_all(&[b'x'; 16 * 1024]).await.is_ok() {}
    })
    .await;
    let target = url(server.address, "/");
    let mut guest = Setup::target(&target).begin();
    let error = guest.get(&target).await.unwrap_err();
    assert!(matches!(error, Error::HttpResponseHeaderSectionSize(Some(_))), "{error:?}");
    assert_eq!(guest.record().refused, [Refused::ResponseHeader { limit: 65_536 }]);
}

#[tokio::test]
async fn a_server_that_is_none_is_named_as_such() {
    for (bytes, expected) in [
        (&b"SSH-2.0-OpenSSH_9.2\r\n\r\n"[..], "HttpProtocolError"),
        (b"", "HttpResponseIncomplete"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort", "HttpResponseIncomplete"),
    ] {
        let server = Server::saying(bytes).await;
        let target = url(server.address, "/");
        let error = Setup::target(&target).begin().get(&target).await.unwrap_err();
        assert_eq!(format!("{error:?}"), expected);
    }
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let target = url(closed, "/");
    let error = Setup::target(&target).begin().get(&target).await.unwrap_err();
    assert!(matches!(error, Error::ConnectionRefused), "{error:?}");
}
