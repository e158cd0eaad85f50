//! From a permit to a connection: the addresses are looked up once, all of them are checked, and only a checked one is
//! dialed. There is no second lookup that could answer something else.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use razar_core::grant::{Dialable, Host, HttpPermit, Scheme};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::client::TlsStream;
use wasmtime_wasi_http::Error;

use super::{Call, send};
use crate::broker::journal::Refused;
use crate::broker::resolve::{self, ResolveError};

/// One connection, in the clear or not.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Connects, at the latest at `end`.
pub(super) async fn dial(call: &Call, permit: &HttpPermit, end: Instant) -> Result<Stream, Error> {
    let addresses = timeout_at(end, addresses(call, permit)).await.map_err(|_| Error::DnsTimeout)??;
    let stream = connect(addresses, end).await?;
    // Small requests must not wait for an acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    match permit.url().scheme() {
        Scheme::Http => Ok(Stream::Plain(stream)),
        Scheme::Https => {
            let handshake = call.shared.tls.handshake(permit.url().host(), stream);
            let stream = timeout_at(end, handshake).await.map_err(|_| Error::ConnectionTimeout)??;
            Ok(Stream::Tls(Box::new(stream)))
        }
    }
}

/// Every address the permit's host leads to, each of them checked; one bad one is enough for no.
async fn addresses(call: &Call, permit: &HttpPermit) -> Result<Vec<Dialable>, Error> {
    let url = permit.url();
    let found: Vec<SocketAddr> = match url.host() {
        Host::Address(address) => vec![SocketAddr::new(*address, url.port())],
        Host::Name(name) => {
            call.journal.name(name);
            let lookup = resolve::addresses_of(call.shared.resolver.as_ref(), name);
            let found = lookup.await.map_err(|error| match error {
                ResolveError::Timeout => Error::DnsTimeout,
                ResolveError::Unknown => {
                    Error::DnsError { rcode: Some("NXDOMAIN".to_owned()), info_code: None }
                }
            })?;
            found.into_iter().map(|address| SocketAddr::new(address, url.port())).collect()
        }
    };
    permit.addresses(&found).map_err(|denied| send::refuse(call, Refused::Denied(denied)))
}

/// One after the other, each with its share of the time that is left.
async fn connect(addresses: Vec<Dialable>, end: Instant) -> Result<TcpStream, Error> {
    let mut last = Error::DestinationNotFound;
    let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    for address in addresses {
        let share = end.saturating_duration_since(Instant::now()) / left.max(1);
        left -= 1;
        last = match tokio::time::timeout(share, TcpStream::connect(address.socket())).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => in_words(&error),
            Err(_) => Error::ConnectionTimeout,
        };
    }
    Err(last)
}

fn in_words(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Error::ConnectionRefused,
        io::ErrorKind::TimedOut => Error::ConnectionTimeout,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Error::DestinationIpUnroutable,
        _ => Error::DestinationUnavailable,
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
