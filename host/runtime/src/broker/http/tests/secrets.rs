//! Secrets: on the wire, and nowhere else.

use super::server::{Server, ok};
use super::*;
use crate::broker::journal::Refused;

/// E18, E19: the host adds the secret; an upstream that repeats it repeats stars, however it cuts its answer.
#[tokio::test]
async fn an_echoed_secret_is_scrubbed() {
    let server = Server::start(|mut stream, request| async move {
        use tokio::io::AsyncWriteExt as _;
        let secret =
            request.lines().find_map(|line| line.strip_prefix("authorization: Bearer ")).unwrap().to_owned();
        let head =
            format!("HTTP/1.1 200 OK\r\nx-echo: you said {secret}\r\ntransfer-encoding: chunked\r\n\r\n");
        stream.set_nodelay(true).unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        for byte in format!("<{secret}>").bytes() {
            stream.write_all(&[b'1', b'\r', b'\n', byte, b'\r', b'\n']).await.unwrap();
            stream.flush().await.unwrap();
            tokio::task::yield_now().await;
        }
        stream.write_all(format!("0\r\nx-trailer: {secret}\r\n\r\n").as_bytes()).await.unwrap();
    })
    .await;
    let target = url(server.address, "/");
    let mut guest = Setup::target(&target).secret("authorization", "Bearer {}").begin();
    let mut request = request(Method::GET, &target);
    request.headers_mut().insert("accept-encoding", "gzip".parse().unwrap());
    let seen = guest.send(request).await.unwrap();
    let stars = "*".repeat(SECRET.len());
    assert_eq!(String::from_utf8(seen.body).unwrap(), format!("<{stars}>"));
    assert_eq!(seen.headers["x-echo"], format!("you said {stars}"));
    let heard = server.heard().concat();
    assert!(heard.contains(&format!("authorization: Bearer {SECRET}\r\n")), "{heard}");
    assert!(heard.contains("accept-encoding: identity\r\n") && !heard.contains("gzip"), "{heard}");
}

/// A guest that sets the header of the secret itself is overruled, not joined.
#[tokio::test]
async fn the_header_of_a_secret_is_the_hosts() {
    let server = Server::saying(ok("")).await;
    let target = url(server.address, "/");
    let mut guest = Setup::target(&target).secret("x-api-key", "{}").begin();
    let mut request = request(Method::GET, &target);
    request.headers_mut().append("x-api-key", "mine".parse().unwrap());
    request.headers_mut().append("x-api-key", "mine too".parse().unwrap());
    guest.send(request).await.unwrap();
    let heard = server.heard().concat();
    assert_eq!(heard.matches("x-api-key").count(), 1);
    assert!(heard.contains(&format!("x-api-key: {SECRET}\r\n")));
}

/// What is compressed cannot be scrubbed, so it does not come through.
#[tokio::test]
async fn a_compressed_answer_to_a_secret_is_refused() {
    let server =
        Server::saying("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\nxx").await;
    let target = url(server.address, "/");
    let mut guest = Setup::target(&target).secret("authorization", "Bearer {}").begin();
    let error = guest.get(&target).await.unwrap_err();
    assert!(matches!(error, Error::HttpResponseContentCoding(None)), "{error:?}");
    assert_eq!(guest.record().refused, [Refused::Encoded]);
}

#[tokio::test]
async fn a_missing_secret_stops_the_request_and_names_the_variable() {
    let server = Server::saying(ok("")).await;
    let target = url(server.address, "/");
    let mut setup = Setup::target(&target);
    let source = SecretSource::Env("OTHER_KEY".to_owned());
    setup.grant.http[0].secret = Some(SecretRef::new(source, "authorization", "Bearer {}").unwrap());
    let mut guest = setup.begin();
    assert!(matches!(guest.get(&target).await, Err(Error::ConfigurationError)));
    let refused = guest.record().refused[0].to_string();
    assert_eq!(refused, "no secret in environment variable `OTHER_KEY`: set it before the host starts");
    assert!(server.heard().is_empty());
}
