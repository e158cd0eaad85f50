//! The server that misbehaves: on loopback, on threads of its own, one way of misbehaving per path. It ends with its
//! value, and every connection with its client.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Longest request header that is read.
const MAX_HEADER: usize = 256 * 1024;
/// How often a connection that says nothing looks whether its client is still there.
const LOOK: Duration = Duration::from_millis(50);
/// Written again and again by those that never end.
const PIECE: [u8; 16 * 1024] = [b'x'; 16 * 1024];

/// A listening server.
#[derive(Debug)]
pub struct Upstream {
    port: u16,
    elsewhere: u16,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Upstream {
    /// Listens.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        // Free now, and nobody is told to listen there.
        let elsewhere = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("upstream".to_owned()).spawn(move || {
            for stream in listener.incoming().flatten() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let stopped = Arc::clone(&stopped);
                // A client that goes away is what most of these end with.
                let serve = move || drop(serve(stream, elsewhere, &stopped));
                if std::thread::Builder::new().name("misbehaves".to_owned()).spawn(serve).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { port, elsewhere, stop, thread: Some(thread) })
    }

    /// Where it listens, on 127.0.0.1.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Where nobody does.
    pub const fn elsewhere(&self) -> u16 {
        self.elsewhere
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for a client.
        let woken = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            let _ = thread.join();
        }
    }
}

fn serve(mut stream: TcpStream, elsewhere: u16, stop: &AtomicBool) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let header = header(&mut stream)?;
    let path = header.split(' ').nth(1).and_then(|path| path.split('?').next()).unwrap_or_default();
    let ok = |more: &str, body: &str| {
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n{more}\r\n{body}", body.len())
    };
    let ended = || stop.load(Ordering::Relaxed);
    match path {
        "/echo" => stream.write_all(ok("", &header).as_bytes())?,
        "/echo-header" => {
            let value = header.lines().find_map(|line| line.strip_prefix("x-api-key: ")).unwrap_or("none");
            stream.write_all(ok(&format!("x-echo: {value}\r\n"), "see the header").as_bytes())?;
        }
        "/redirect" => {
            let to = format!(
                "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:{elsewhere}/\r\ncontent-length: 0\r\n\r\n"
            );
            stream.write_all(to.as_bytes())?;
        }
        "/gzip" => stream.write_all(ok("content-encoding: gzip\r\n", &"z".repeat(1_000)).as_bytes())?,
        "/short" => stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nten bytes.")?,
        "/two-lengths" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 5\r\n\r\nfive.")?
        }
        "/garbage" => stream.write_all(b"\x00\x01\x02 this is no HTTP \xff\r\n\r\n")?,
        "/many-headers" => stream.write_all(ok(&"a: b\r\n".repeat(5_000), "many").as_bytes())?,
        "/endless-body" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
            while !ended() {
                stream.write_all(&PIECE)?;
            }
        }
        "/endless-header" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nx-long: ")?;
            while !ended() {
                stream.write_all(&PIECE)?;
            }
        }
        "/drip" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
            while !ended() {
                stream.write_all(b".")?;
                std::thread::sleep(LOOK);
            }
        }
        "/hang" => wait(&mut stream, stop)?,
        "/sink" => {
            swallow(&mut stream, &header)?;
            stream.write_all(ok("", "swallowed").as_bytes())?;
        }
        _ => stream.write_all(ok("", "fine").as_bytes())?,
    }
    stream.shutdown(Shutdown::Write)?;
    wait(&mut stream, stop)
}

/// A request's body in pieces, to the last of them.
fn swallow(stream: &mut TcpStream, begun: &str) -> io::Result<()> {
    const END: &[u8] = b"0\r\n\r\n";
    let mut last = begun.as_bytes().to_vec();
    let mut buffer = [0; 16 * 1024];
    while !last.ends_with(END) {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        last.extend_from_slice(buffer.get(..read).unwrap_or_default());
        last.drain(..last.len().saturating_sub(END.len()));
    }
    Ok(())
}

/// Until the client goes away.
fn wait(stream: &mut TcpStream, stop: &AtomicBool) -> io::Result<()> {
    stream.set_read_timeout(Some(LOOK))?;
    let mut buffer = [0; 1024];
    while !stop.load(Ordering::Relaxed) {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn header(stream: &mut TcpStream) -> io::Result<String> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    while !bytes.windows(4).any(|end| end == b"\r\n\r\n") && bytes.len() < MAX_HEADER {
        match stream.read(&mut buffer)? {
            0 => break,
            read => bytes.extend_from_slice(buffer.get(..read).unwrap_or_default()),
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(upstream: &Upstream, path: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, upstream.port())).unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut answer = Vec::new();
        stream.take(100_000).read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[test]
    fn each_path_misbehaves_in_its_own_way() {
        let upstream = Upstream::start().unwrap();
        assert!(get(&upstream, "/").ends_with("\r\n\r\nfine"));
        assert!(get(&upstream, "/echo?a").contains("GET /echo?a HTTP/1.1"));
        assert!(get(&upstream, "/redirect").contains(&format!("127.0.0.1:{}/", upstream.elsewhere())));
        assert!(get(&upstream, "/short").ends_with("ten bytes."));
        assert_eq!(get(&upstream, "/endless-body").len(), 100_000);
        assert_eq!(get(&upstream, "/endless-header").len(), 100_000);
    }
}
