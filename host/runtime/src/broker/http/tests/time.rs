//! Everything ends in time.

use super::server::Server;
use super::*;

async fn drip(gap: Duration) -> Server {
    Server::start(move |mut stream, _| async move {
        use tokio::io::AsyncWriteExt as _;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(gap).await;
        }
    })
    .await
}

/// E23.
#[tokio::test]
async fn a_server_that_says_nothing_is_left() {
    let server = Server::start(|stream, _| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let target = url(server.address, "/");
    let begun = Instant::now();
    let limited =
        Setup::target(&target).limit(|limits| limits.request_time.0 = 200).begin().get(&target).await;
    assert!(matches!(limited, Err(Error::HttpResponseTimeout)), "{limited:?}");
    let mut guest = Setup::target(&target).begin();
    guest.options.first_byte_timeout = Some(Duration::from_millis(100));
    assert!(matches!(guest.get(&target).await, Err(Error::HttpResponseTimeout)));
    let mut setup = Setup::target(&target);
    setup.time = Duration::from_millis(200);
    assert!(matches!(setup.begin().get(&target).await, Err(Error::HttpResponseTimeout)));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

/// E24: each byte in time, all of them never.
#[tokio::test]
async fn a_drip_ends_with_the_requests_time() {
    let server = drip(Duration::from_millis(20)).await;
    let target = url(server.address, "/");
    let begun = Instant::now();
    let mut guest = Setup::target(&target).limit(|limits| limits.request_time.0 = 300).begin();
    guest.options.between_bytes_timeout = Some(Duration::from_secs(10));
    let error = guest.get(&target).await.unwrap_err();
    assert!(matches!(error, Error::HttpResponseTimeout), "{error:?}");
    assert!(begun.elapsed() >= Duration::from_millis(250) && begun.elapsed() < Duration::from_secs(5));
    assert!(guest.record().received > 0);
}

#[tokio::test]
async fn a_pause_ends_with_the_time_between_bytes() {
    let server = drip(Duration::from_secs(60)).await;
    let target = url(server.address, "/");
    let begun = Instant::now();
    let mut guest = Setup::target(&target).begin();
    guest.options.between_bytes_timeout = Some(Duration::from_millis(100));
    let error = guest.get(&target).await.unwrap_err();
    assert!(matches!(error, Error::ConnectionReadTimeout), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(4));
}

/// A zero is a very short time, not a panic.
#[tokio::test]
async fn zero_timeouts_are_answers() {
    let server = drip(Duration::from_secs(60)).await;
    let target = url(server.address, "/");
    let mut guest = Setup::target(&target).begin();
    let zero = Some(Duration::ZERO);
    guest.options =
        RequestOptions { connect_timeout: zero, first_byte_timeout: zero, between_bytes_timeout: zero };
    assert!(guest.get(&target).await.is_err());
}
