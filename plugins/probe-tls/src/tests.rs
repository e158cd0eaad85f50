//! The plugin's logic against real servers with certificates of every kind.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::SystemTime;

use razar_sdk::Health;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, ServerConnection, Stream, SupportedProtocolVersion};

use super::*;

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    Authority { issuer: Issuer::new(params, key), pem }
}

type Versions = &'static [&'static SupportedProtocolVersion];

const ALL: Versions = &[&TLS12, &TLS13];
const OLDER: Versions = &[&TLS12];
const NEWER: Versions = &[&TLS13];

/// A server with a certificate for these names that holds for so many more days, or that expired long ago.
fn serve(authority: &Authority, names: &[&str], days: Option<u64>, versions: Versions) -> String {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_after = match days {
        Some(days) => (SystemTime::now() + Duration::from_secs(days * DAY + DAY / 2)).into(),
        None => date_time_ymd(2020, 1, 1),
    };
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &authority.issuer).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    answer(move |mut stream| {
        let mut tls = ServerConnection::new(Arc::clone(&config)).unwrap();
        let _ = Stream::new(&mut tls, &mut stream).read(&mut [0; 16]);
    })
}

fn answer(talk: impl Fn(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || listener.incoming().flatten().for_each(talk));
    format!("localhost:{port}")
}

fn check(address: &str, ca: &str, more: &str) -> Report {
    let settings = format!("{{\"ca\":{}{more}}}", serde_json::Value::from(ca));
    ProbeTls::check(Target::new("web").at(address).within_ms(30_000).with_settings(&settings)).unwrap()
}

#[test]
fn a_good_chain_is_healthy_and_says_for_how_long() {
    let authority = authority("ours");
    for versions in [ALL, OLDER, NEWER] {
        let address = serve(&authority, &["localhost", "127.0.0.1"], Some(90), versions);
        let port = address.rsplit_once(':').unwrap().1.to_owned();
        for address in [address, format!("https://127.0.0.1:{port}/healthz")] {
            let report = check(&address, &authority.pem, "");
            assert_eq!(
                (report.health, report.summary.as_str()),
                (Health::Healthy, "the certificate is valid for 90 more days"),
                "{address}"
            );
            assert_eq!(
                (report.measurements[0].name.as_str(), report.measurements[0].value),
                ("expires-in", 90.0)
            );
        }
    }
}

#[test]
fn few_days_are_a_warning_and_fewer_are_a_failure() {
    let authority = authority("ours");
    let address = serve(&authority, &["localhost"], Some(5), ALL);
    for (more, health, summary) in [
        ("", Health::Degraded, "the certificate is valid for 5 more days, fewer than 21"),
        (",\"warn_days\":3", Health::Healthy, "the certificate is valid for 5 more days"),
        (",\"min_days\":7", Health::Unhealthy, "the certificate is valid for 5 more days, fewer than 7"),
    ] {
        let report = check(&address, &authority.pem, more);
        assert_eq!((report.health, report.summary.as_str()), (health, summary), "{more}");
    }
}

#[test]
fn what_does_not_hold_is_unhealthy_and_says_why() {
    let (ours, theirs) = (authority("ours"), authority("theirs"));
    let expired = serve(&ours, &["localhost"], None, ALL);
    let other = serve(&ours, &["example.com"], Some(90), ALL);
    let foreign = serve(&theirs, &["localhost"], Some(90), ALL);
    let plain = answer(|mut stream| {
        let _ = stream.read(&mut [0; 4_096]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n");
    });
    let closed = answer(drop);
    for (address, summary) in [
        (&expired, "a certificate has expired"),
        (&other, "the certificate is for another name"),
        (&foreign, "the certificate's issuer is not trusted, or its chain is not complete"),
        (&plain, "the server does not speak TLS"),
        (&closed, "connection closed by the other side"),
    ] {
        let report = check(address, &ours.pem, "");
        assert_eq!((report.health, report.summary.as_str()), (Health::Unhealthy, summary));
    }
    let report = check(&other, &ours.pem, ",\"name\":\"example.com\"");
    assert_eq!(report.health, Health::Healthy, "{}", report.summary);
}

#[test]
fn wrong_settings_and_addresses_are_refused_by_name() {
    for (address, settings, part) in [
        ("localhost:1", r#"{"ca":"no pem"}"#, "`ca` holds no certificate"),
        ("localhost:1", r#"{"name":"a b"}"#, "`name` is no name"),
        ("localhost:1", r#"{"days":1}"#, "unknown field `days`"),
        ("https:///x", "{}", "address must be"),
        ("localhost:port", "{}", "address must be"),
    ] {
        let error = ProbeTls::check(Target::new("web").at(address).with_settings(settings)).unwrap_err();
        assert!(error.message.contains(part), "{address} {settings}: {}", error.message);
    }
}

#[test]
fn addresses_are_taken_apart() {
    for (address, host, place_) in [
        ("db:5432", "db", "db:5432"),
        ("https://web", "web", "web:443"),
        ("tcp://web:8443/x?y", "web", "web:8443"),
        ("https://[::1]:8443", "::1", "[::1]:8443"),
        ("https://[::1]/", "::1", "[::1]:443"),
    ] {
        assert_eq!(place(address).unwrap(), (host, place_.to_owned()), "{address}");
    }
}
