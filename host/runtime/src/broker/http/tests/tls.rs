//! TLS: the certificate must be the URL's host's, whatever address is dialed.

use rcgen::generate_simple_self_signed;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::server::{header, ok};
use super::*;

/// A TLS server for one name; its certificate in PEM.
async fn serve(name: &str) -> (SocketAddr, Vec<u8>) {
    let certified = generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)
            .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let sni = stream.get_ref().1.server_name().unwrap_or("none").to_owned();
            header(&mut stream).await;
            let _ = stream.write_all(ok(&sni).as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (address, certified.cert.pem().into_bytes())
}

#[tokio::test]
async fn the_certificate_is_checked_against_the_urls_host() {
    let (address, pem) = serve("orders.internal").await;
    for (name, trusted, expected) in [
        ("orders.internal", true, Ok("orders.internal")),
        ("orders.internal", false, Err("TlsCertificateError")),
        ("billing.internal", true, Err("TlsCertificateError")),
    ] {
        let target = format!("https://{name}:{}/", address.port());
        let mut setup = Setup::target(&target).name(name, &["127.0.0.1"]);
        if trusted {
            setup.tls = Tls::trusting(std::slice::from_ref(&pem)).unwrap();
        }
        let seen = setup.begin().get(&target).await;
        let seen =
            seen.map(|seen| String::from_utf8(seen.body).unwrap()).map_err(|error| format!("{error:?}"));
        assert_eq!(seen.as_deref().map_err(String::as_str), expected, "{name} trusted: {trusted}");
    }
}

#[tokio::test]
async fn a_server_without_tls_is_no_https_server() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("https://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            let _ = stream.read(&mut [0; 1024]).await;
        }
    });
    let error = Setup::target(&target).begin().get(&target).await.unwrap_err();
    assert!(matches!(error, Error::TlsProtocolError), "{error:?}");
}

#[test]
fn what_is_no_certificate_is_refused() {
    let pem = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(Tls::trusting(&[pem.to_vec()]).is_err());
}
