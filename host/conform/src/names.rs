//! How guests of a corpus get out, and what names lead to while it runs: a fixed table, and two that lead nowhere. Nothing is ever asked of a network,
//! and no secret of anybody is read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use razar_runtime::broker::http::{HttpShared, Tls, TlsError};
use razar_runtime::broker::resolve::{Lookup, Resolver};
use razar_runtime::broker::secret::Secrets;

/// Takes the panic that a case asks for off standard error; every other is told as before.
pub fn hush() {
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.payload_as_str().is_some_and(|text| text.contains(BROKEN)) {
            told(panic);
        }
    }));
}

/// How requests of hostile guests leave a host: nowhere but to this machine, with one secret that is none.
pub fn egress() -> Result<HttpShared, TlsError> {
    Ok(HttpShared { resolver: Arc::new(Names), tls: Tls::public()?, secrets: secrets() })
}

/// What the broken resolver says.
const BROKEN: &str = "the resolver is broken";

/// Answers from the table below; hangs for `hang.test`; panics for `panic.test`, as a broken resolver would.
#[derive(Debug, Clone, Copy, Default)]
pub struct Names;

fn table(name: &str) -> Vec<IpAddr> {
    let mapped = |address: Ipv4Addr| IpAddr::V6(address.to_ipv6_mapped());
    match name {
        "loopback.test" => vec![Ipv4Addr::LOCALHOST.into()],
        "mapped.test" => vec![mapped(Ipv4Addr::LOCALHOST)],
        "loopback6.test" => vec![Ipv6Addr::LOCALHOST.into()],
        "private.test" => vec![Ipv4Addr::new(10, 0, 0, 1).into()],
        "metadata.test" => vec![Ipv4Addr::new(169, 254, 169, 254).into()],
        "alibaba.test" => vec![Ipv4Addr::new(100, 100, 100, 200).into()],
        "zero.test" => vec![Ipv4Addr::UNSPECIFIED.into()],
        // One good address does not excuse a bad one.
        "both.test" => vec![Ipv4Addr::new(93, 184, 216, 34).into(), Ipv4Addr::LOCALHOST.into()],
        _ => Vec::new(),
    }
}

impl Resolver for Names {
    #[expect(clippy::panic, reason = "how the host takes a panic inside of it is what is asked")]
    fn lookup(&self, name: &str) -> Lookup {
        match name {
            "hang.test" => Box::pin(std::future::pending()),
            "panic.test" => panic!("{BROKEN}"),
            name => {
                let found = table(name);
                let answer =
                    if found.is_empty() { Err(std::io::ErrorKind::NotFound.into()) } else { Ok(found) };
                Box::pin(std::future::ready(answer))
            }
        }
    }
}

/// The one secret there is: in the environment variable `HOSTILE_SECRET`, as grants of cases say.
fn secrets() -> Secrets {
    Secrets::new(|name| (name == "HOSTILE_SECRET").then(|| "sk-hostile-0123456789".to_owned()))
}
