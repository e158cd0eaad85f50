//! `probe-tls`: shakes hands with the component and judges its certificates: the chain, the name, and how long they hold. TLS
//! is spoken inside the sandbox; the host lends a connection to the component and nothing else. Must never show what the
//! other side sent, and sends nothing after the handshake.

mod shake;

use std::sync::Arc;
use std::time::{Duration, Instant};

use razar_sdk::tcp::TcpError;
use razar_sdk::{PluginError, Probe, Report, Target};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, Error, RootCertStore};
use serde::Deserialize;
use x509_cert::der::Decode as _;

use self::shake::{Failure, shake};

const DAY: u64 = 86_400;

/// The plugin.
pub struct ProbeTls;

razar_sdk::export_probe!(ProbeTls);

/// What the operator may ask for; see `settings.schema.json`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    name: Option<String>,
    ca: Option<String>,
    warn_days: u32,
    min_days: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { name: None, ca: None, warn_days: 21, min_days: 0 }
    }
}

impl Probe for ProbeTls {
    fn check(target: Target) -> Result<Report, PluginError> {
        let settings: Settings = target.parse_settings()?;
        let (host, address) = place(target.require_address()?)?;
        let name = settings.name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| PluginError::invalid_input("`name` is no name that a certificate could be for"))?;
        let verifier = verifier(settings.ca.as_deref())?;
        let started = Instant::now();
        let shaken = shake(&address, name.clone(), Arc::clone(&verifier), started + target.budget());
        let elapsed = started.elapsed();
        let report = match shaken {
            Ok(chain) => judge(&settings, &verifier, &name, &chain)?,
            Err(Failure::Tcp(TcpError::Address(problem))) => return Err(PluginError::invalid_input(problem)),
            Err(Failure::Tcp(TcpError::Denied)) => {
                return Err(PluginError::denied("the host denied the connection; see its log for the grant"));
            }
            Err(Failure::Tcp(problem)) => Report::unhealthy(problem.to_string()),
            Err(Failure::Tls(problem)) => Report::unhealthy(words(&problem)),
            Err(Failure::TooLong) => Report::unhealthy("the handshake is longer than any honest one"),
        };
        Ok(report.latency(elapsed))
    }
}

/// The host in an address, and `host:port` of it.
fn place(address: &str) -> Result<(&str, String), PluginError> {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority, "443"),
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if bare.is_empty() {
        return Err(PluginError::invalid_input("address must be `host:port` or a URL"));
    }
    Ok((bare, format!("{host}:{port}")))
}

fn verifier(ca: Option<&str>) -> Result<Arc<WebPkiServerVerifier>, PluginError> {
    let unusable = |_| PluginError::invalid_input("`ca` is no certificate in PEM");
    let mut roots = RootCertStore::empty();
    match ca {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                roots.add(certificate.map_err(unusable)?).map_err(|_| {
                    PluginError::invalid_input("`ca` holds a certificate that cannot be trusted as a root")
                })?;
            }
        }
    }
    let provider = Arc::new(rustls_rustcrypto::provider());
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|_| PluginError::invalid_input("`ca` holds no certificate"))
}

/// What holds now: for how long?
fn judge(
    settings: &Settings,
    verifier: &WebPkiServerVerifier,
    name: &ServerName<'_>,
    chain: &[CertificateDer<'_>],
) -> Result<Report, PluginError> {
    let Some((leaf, others)) = chain.split_first() else {
        return Ok(Report::unhealthy("the server showed no certificate"));
    };
    let now = UnixTime::now().as_secs();
    let days = expires(leaf)?.saturating_sub(now) / DAY;
    // Not the first certificate alone: the whole chain has to hold on that day.
    let holds_in = |days: u32| {
        let then = UnixTime::since_unix_epoch(Duration::from_secs(now + u64::from(days) * DAY));
        verifier.verify_server_cert(leaf, others, name, &[], then).is_ok()
    };
    let report = if !holds_in(settings.min_days) {
        Report::unhealthy(left(days, settings.min_days))
    } else if !holds_in(settings.warn_days) {
        Report::degraded(left(days, settings.warn_days))
    } else {
        Report::healthy(format!("the certificate is valid for {days} more days"))
    };
    Ok(report.measure("expires-in", days as f64, "days"))
}

fn left(days: u64, wanted: u32) -> String {
    if days < u64::from(wanted) {
        format!("the certificate is valid for {days} more days, fewer than {wanted}")
    } else {
        format!("a certificate it depends on is valid for fewer than {wanted} more days")
    }
}

/// The last moment at which a certificate holds.
fn expires(certificate: &CertificateDer<'_>) -> Result<u64, PluginError> {
    let parsed = x509_cert::Certificate::from_der(certificate)
        .map_err(|_| PluginError::internal("a certificate that was accepted cannot be read"))?;
    Ok(parsed.tbs_certificate.validity.not_after.to_unix_duration().as_secs())
}

/// Why there is no handshake, without a word of the other side's.
fn words(problem: &Error) -> String {
    let certificate = match problem {
        Error::InvalidCertificate(problem) => problem,
        Error::AlertReceived(alert) => return format!("the server refused the handshake: {alert:?}"),
        Error::InvalidMessage(_) => return "the server does not speak TLS".to_owned(),
        Error::PeerIncompatible(_) => return "the server speaks no TLS that is still safe".to_owned(),
        _ => return "the handshake failed".to_owned(),
    };
    match certificate {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "a certificate has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "a certificate is not valid yet"
        }
        CertificateError::UnknownIssuer => {
            "the certificate's issuer is not trusted, or its chain is not complete"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the certificate is for another name"
        }
        CertificateError::Revoked => "a certificate was revoked",
        CertificateError::BadSignature => "a certificate's signature is wrong",
        _ => "a certificate is not acceptable",
    }
    .to_owned()
}

#[cfg(test)]
mod tests;
