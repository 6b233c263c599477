//! What both ends do to a TCP connection before TLS: no delay, keep-alive, and a buffer under the TLS library.
//!
//! It reads and writes nothing itself.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::BufReader;
use tokio::net::TcpStream;

/// The TLS library reads 4 KiB at a time; this makes one system call of eight of those.
const READ_BUFFER_BYTES: usize = 32 * 1024;
/// Idle time before the kernel probes the other end, and between probes: finds a vanished host in about a minute
/// on connections that nobody uses. Those in use are watched more closely by pings.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// Sets the options of a connection and puts the buffer in front of it.
pub(super) fn prepare(stream: TcpStream) -> io::Result<BufReader<TcpStream>> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
    SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
    Ok(BufReader::with_capacity(READ_BUFFER_BYTES, stream))
}
