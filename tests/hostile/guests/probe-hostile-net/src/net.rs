//! Sockets and names, as a program in any language would use them. A step is an operation and an address.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, ToSocketAddrs as _, UdpSocket};

use razar_sdk::Report;

use crate::say;

pub(crate) fn steps(steps: &[Vec<String>]) -> Report {
    let done = steps.iter().map(|step| {
        let word = |at: usize| step.get(at).map_or("", String::as_str);
        let done = one(word(0), word(1)).unwrap_or_else(|error| format!("{:?}", error.kind()));
        format!("{}: {done}", step.join(" "))
    });
    say(&done.collect::<Vec<_>>().join("; "))
}

fn one(operation: &str, address: &str) -> std::io::Result<String> {
    match operation {
        "connect" => {
            let stream = TcpStream::connect(address)?;
            // In a component a refused connection is only told afterwards.
            match stream.take_error()? {
                Some(error) => Err(error),
                None => stream.peer_addr().map(|_| "connected".to_owned()),
            }
        }
        "get" => {
            let mut stream = TcpStream::connect(address)?;
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
            let mut head = [0; 12];
            stream.read_exact(&mut head)?;
            Ok(String::from_utf8_lossy(&head).into_owned())
        }
        "listen" => TcpListener::bind(address).map(|_| "listens".to_owned()),
        "bind" => UdpSocket::bind(address).map(|_| "bound".to_owned()),
        "datagram" => {
            let socket = UdpSocket::bind("0.0.0.0:0")?;
            socket.send_to(b"x", address).map(|_| "sent".to_owned())
        }
        "lookup" => {
            let found = address.to_socket_addrs()?;
            Ok(format!("{} addresses", found.count()))
        }
        other => Ok(format!("no operation {other}")),
    }
}
