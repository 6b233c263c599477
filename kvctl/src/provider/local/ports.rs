//! Whether the addresses of nodes are free, and who holds those that are not.
//!
//! Free means that they can be bound now. The holder is found as ss(8) does it: the socket's inode from
//! `/proc/net/{tcp,udp}{,6}`, then the process that has it among its descriptors. Other users' processes cannot be
//! looked into; then only the listening address is known.

use std::fmt;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, TcpListener, UdpSocket};

use infra::topology::{Node, NodeName};

use super::process;

/// An address that a node needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The node.
    pub node: NodeName,
    /// The option that moves it, for example `api-port`.
    pub option: &'static str,
    /// The address.
    pub address: SocketAddrV4,
    /// UDP rather than TCP.
    pub udp: bool,
}

/// Who holds a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Where it listens.
    pub listening: SocketAddr,
    /// Process and program, if they could be seen.
    pub process: Option<(u32, String)>,
}

/// An address that a node cannot have.
#[derive(Debug)]
pub struct Trouble {
    /// The address.
    pub wanted: Wanted,
    /// Why it cannot be bound.
    pub error: io::Error,
    /// Who holds it.
    pub holder: Option<Holder>,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Wanted { node, address, .. } = &self.wanted;
        match &self.holder {
            Some(Holder { listening, process: Some((pid, program)) }) => {
                write!(f, "cannot start {node}: {address} is taken by pid {pid} ({program}, listening on {listening})")
            }
            Some(Holder { listening, process: None }) => {
                write!(f, "cannot start {node}: {address} is taken by another user's program, listening on {listening}")
            }
            None => write!(f, "cannot start {node}: {address} cannot be bound: {}", self.error),
        }
    }
}

/// The three addresses of a node.
#[must_use]
pub fn of_node(node: &Node) -> [Wanted; 3] {
    let one = |option, address, udp| Wanted { node: node.name.clone(), option, address, udp };
    [one("api-port", node.api, false), one("peer-port", node.peer, false), one("gossip-port", node.gossip, true)]
}

/// Those of the addresses that cannot be had now.
#[must_use]
pub fn troubles(wanted: impl IntoIterator<Item = Wanted>) -> Vec<Trouble> {
    let mut found = Vec::new();
    for wanted in wanted {
        let bound = if wanted.udp {
            UdpSocket::bind(wanted.address).map(drop)
        } else {
            TcpListener::bind(wanted.address).map(drop)
        };
        if let Err(error) = bound {
            let taken = error.kind() == io::ErrorKind::AddrInUse;
            let holder = if taken { holder(&wanted) } else { None };
            found.push(Trouble { wanted, error, holder });
        }
    }
    found
}

fn holder(wanted: &Wanted) -> Option<Holder> {
    let tables = if wanted.udp { ["/proc/net/udp", "/proc/net/udp6"] } else { ["/proc/net/tcp", "/proc/net/tcp6"] };
    for table in tables {
        let text = fs::read_to_string(table).unwrap_or_default();
        if let Some((listening, inode)) = find_listener(&text, wanted.address, wanted.udp) {
            let process = process_of_socket(inode).map(|pid| (pid, process::name_of(pid)));
            return Some(Holder { listening, process });
        }
    }
    None
}

/// The listener in the text of a `/proc/net` table that keeps others from an address.
fn find_listener(table: &str, wanted: SocketAddrV4, udp: bool) -> Option<(SocketAddr, u64)> {
    // TCP sockets that listen are in state 0A, UDP sockets that are only bound in state 07.
    let state = if udp { "07" } else { "0A" };
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let address = parse_address(fields.get(1)?)?;
        let covers = match address.ip() {
            IpAddr::V4(ip) => ip == *wanted.ip() || ip.is_unspecified(),
            IpAddr::V6(ip) => ip.is_unspecified() || ip.to_ipv4_mapped() == Some(*wanted.ip()),
        };
        let same = covers && address.port() == wanted.port() && *fields.get(3)? == state;
        same.then_some((address, fields.get(9)?.parse().ok()?))
    })
}

/// Reads `0100007F:1F90`: words of the address in the machine's byte order, the port as a number.
fn parse_address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| Some(u32::from_str_radix(ip.get(at * 8..at * 8 + 8)?, 16).ok()?.to_ne_bytes());
    let ip = match ip.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let bytes = [word(0)?, word(1)?, word(2)?, word(3)?].concat();
            IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

fn process_of_socket(inode: u64) -> Option<u32> {
    let link = format!("socket:[{inode}]");
    let entries = fs::read_dir("/proc").ok()?;
    let mut pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.find(|pid| {
        let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        let mut targets = descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        targets.any(|target| target.as_os_str() == link.as_str())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0102007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0
   1: 00000000:1F0A 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4712 1 0
   2: 0101007F:1F0B 0100007F:9999 01 00000000:00000000 00:00000000 00000000  1000        0 4713 1 0
";

    #[test]
    #[cfg(target_endian = "little")]
    fn listeners_are_found_by_address_or_wildcard() {
        let check = |address: &str, inode: Option<u64>| {
            let wanted = address.parse().expect("an address");
            assert_eq!(find_listener(TABLE, wanted, false).map(|(_, inode)| inode), inode, "{address}");
        };
        check("127.0.2.1:8080", Some(4711));
        check("127.0.1.1:8080", None);
        check("127.0.1.1:7946", Some(4712));
        check("127.0.1.1:7947", None);
    }

    #[test]
    fn a_taken_port_names_its_holder() {
        for udp in [false, true] {
            let any: SocketAddrV4 = "127.0.0.1:0".parse().expect("an address");
            let (listener, socket) = (TcpListener::bind(any).expect("bound"), UdpSocket::bind(any).expect("bound"));
            let local = if udp { socket.local_addr() } else { listener.local_addr() };
            let Ok(SocketAddr::V4(address)) = local else { panic!("bound to IPv4") };
            let wanted = Wanted { node: "a1".parse().expect("a name"), option: "api-port", address, udp };
            let found = troubles([wanted]);
            let [Trouble { holder: Some(Holder { listening, process: Some((pid, _)) }), .. }] = &found[..] else {
                panic!("{found:?}")
            };
            assert_eq!((*listening, *pid), (SocketAddr::V4(address), std::process::id()));
        }
    }
}
