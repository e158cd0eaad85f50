//! Which sockets listen at a TCP port, in this network namespace: asks the kernel for these alone (`sock_diag(7)`,
//! `INET_DIAG`). The tables under `/proc/net` say the same, after milliseconds of looking at every connection there could
//! be. Finds nothing where the kernel does not answer, and judges nobody.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;

use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};

/// `SOCK_DIAG_BY_FAMILY`, of `linux/sock_diag.h`.
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const DUMP: u16 = 0x301;
/// `1 << TCP_LISTEN`.
const LISTENING: u32 = 1 << 10;
const TCP: u8 = 6;
/// `sizeof(struct nlmsghdr)`.
const HEADER: usize = 16;
/// The kernel's own bound on one part of an answer.
const PART: usize = 32 << 10;

/// One listening TCP socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) address: IpAddr,
    pub(super) user: u32,
    pub(super) inode: u64,
}

/// All that listen at a port.
pub(super) fn listening(port: u16) -> Vec<Socket> {
    let (v4, v6) = (family(AddressFamily::INET, port), family(AddressFamily::INET6, port));
    v4.into_iter().chain(v6).flatten().collect()
}

fn family(family: AddressFamily, port: u16) -> rustix::io::Result<Vec<Socket>> {
    let (flags, protocol) = (SocketFlags::CLOEXEC, Some(netlink::SOCK_DIAG));
    let kernel: OwnedFd = net::socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, protocol)?;
    net::send(&kernel, &request(family, port), SendFlags::empty())?;
    let (mut part, mut sockets) = (vec![0; PART], Vec::new());
    loop {
        let (_, length) = net::recv(&kernel, part.as_mut_slice(), RecvFlags::empty())?;
        if !take(part.get(..length).unwrap_or_default(), port, &mut sockets) {
            return Ok(sockets);
        }
    }
}

/// `struct nlmsghdr` and `struct inet_diag_req_v2`.
fn request(family: AddressFamily, port: u16) -> Vec<u8> {
    let length = HEADER + 56;
    let mut bytes = Vec::with_capacity(length);
    bytes.extend(u32::try_from(length).unwrap_or_default().to_ne_bytes());
    bytes.extend(BY_FAMILY.to_ne_bytes());
    bytes.extend(DUMP.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend([family.as_raw().to_ne_bytes()[0], TCP, 0, 0]);
    bytes.extend(LISTENING.to_ne_bytes());
    bytes.extend(port.to_be_bytes());
    bytes.resize(length, 0);
    bytes
}

/// Takes the sockets out of one part of an answer; whether more parts follow.
fn take(mut part: &[u8], port: u16, sockets: &mut Vec<Socket>) -> bool {
    while let Some(length) = number(part, 0) {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let Some(message) = part.get(HEADER..length) else { return false };
        if part.get(4..6) != Some(&BY_FAMILY.to_ne_bytes()) {
            // The end, or an error.
            return false;
        }
        sockets.extend(socket(message, port));
        part = part.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    true
}

/// `struct inet_diag_msg`.
fn socket(message: &[u8], port: u16) -> Option<Socket> {
    let address = message.get(8..24)?;
    let address = match message.first()? {
        2 => Ipv4Addr::from(<[u8; 4]>::try_from(address.get(..4)?).ok()?).into(),
        10 => Ipv6Addr::from(<[u8; 16]>::try_from(address).ok()?).into(),
        _ => return None,
    };
    // Older kernels do not filter by port.
    let same = message.get(4..6)? == port.to_be_bytes();
    same.then_some(Socket { address, user: number(message, 64)?, inode: number(message, 68)?.into() })
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn whoever_listens_is_found_by_family_address_and_inode() {
        for address in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let bound = listener.local_addr().unwrap();
            let link = std::os::fd::AsRawFd::as_raw_fd(&listener);
            let link = std::fs::read_link(format!("/proc/self/fd/{link}")).unwrap();
            let found = listening(bound.port());
            let found =
                found.iter().find(|socket| link.to_str() == Some(&format!("socket:[{}]", socket.inode)));
            let found = found.unwrap_or_else(|| panic!("{address} is not found"));
            assert_eq!((found.address, found.user), (bound.ip(), rustix::process::geteuid().as_raw()));
            // Another test may be starting a process, which holds every socket until it becomes its program.
            rustix::net::shutdown(&listener, rustix::net::Shutdown::Both).unwrap();
            drop(listener);
            assert!(listening(bound.port()).iter().all(|socket| socket.inode != found.inode));
        }
    }

    #[test]
    fn what_is_no_answer_has_no_sockets() {
        let mut sockets = Vec::new();
        let mut message = request(AddressFamily::INET, 80);
        for length in 0..message.len() {
            take(message.get(..length).unwrap(), 80, &mut sockets);
        }
        for length in [0_u32, 1, 15, u32::MAX] {
            message[..4].copy_from_slice(&length.to_ne_bytes());
            assert!(!take(&message, 80, &mut sockets), "{length}");
        }
        assert_eq!(sockets, []);
    }
}
