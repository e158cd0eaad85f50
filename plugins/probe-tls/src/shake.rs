//! One TLS handshake over one connection, under its deadline. It asks for nothing afterwards.

use std::sync::Arc;
use std::time::Instant;

use razar_sdk::tcp::{Connection, TcpError};
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, Error};

/// A long chain with its signatures has a tenth of it.
const MOST: usize = 128 * 1024;

/// Read at a time.
const PIECE: usize = 8 * 1024;

/// Why there is no handshake.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The connection.
    Tcp(TcpError),
    /// The other side, or its certificates.
    Tls(Error),
    /// It sends without end.
    TooLong,
}

impl From<TcpError> for Failure {
    fn from(problem: TcpError) -> Self {
        Self::Tcp(problem)
    }
}

impl From<Error> for Failure {
    fn from(problem: Error) -> Self {
        Self::Tls(problem)
    }
}

/// The certificates that the server showed, and has proved to be its own.
pub(crate) fn shake(
    address: &str,
    name: ServerName<'static>,
    verifier: Arc<WebPkiServerVerifier>,
    deadline: Instant,
) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let config = ClientConfig::builder_with_provider(Arc::new(rustls_rustcrypto::provider()))
        .with_safe_default_protocol_versions()?
        .with_webpki_verifier(verifier)
        .with_no_client_auth();
    let mut tls = ClientConnection::new(Arc::new(config), name)?;
    let mut connection = Connection::open(address, deadline)?;
    let shaken = converse(&mut tls, &mut connection);
    // Whoever is told why, or that this was all, need not wait for more.
    tls.send_close_notify();
    let told = flush(&mut tls, &mut connection);
    shaken.and(told)?;
    Ok(tls.peer_certificates().unwrap_or_default().iter().map(|one| one.clone().into_owned()).collect())
}

fn converse(tls: &mut ClientConnection, connection: &mut Connection) -> Result<(), Failure> {
    let mut received = 0;
    while tls.is_handshaking() {
        flush(tls, connection)?;
        let mut piece = Vec::new();
        if connection.receive(&mut piece, PIECE)? == 0 {
            return Err(TcpError::Closed.into());
        }
        received += piece.len();
        if received > MOST {
            return Err(Failure::TooLong);
        }
        let mut rest = piece.as_slice();
        while !rest.is_empty() {
            tls.read_tls(&mut rest).map_err(|_| Failure::TooLong)?;
            tls.process_new_packets()?;
        }
    }
    flush(tls, connection)
}

fn flush(tls: &mut ClientConnection, connection: &mut Connection) -> Result<(), Failure> {
    let mut out = Vec::new();
    while tls.wants_write() {
        // Writing to memory cannot fail.
        if tls.write_tls(&mut out).is_err() {
            break;
        }
    }
    Ok(connection.send(&out)?)
}
