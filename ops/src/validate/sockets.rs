//! Sockets of a process, from the kernel's own tables: does execution hold one to market data?
//!
//! Linux only; elsewhere the answer is "not available", never "none".

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// Endpoints to which the process holds a TCP socket; `None` when its sockets cannot be read.
pub(super) async fn connected(pid: i32, endpoints: &[String]) -> Option<Vec<String>> {
    let peers = peers(Path::new(&format!("/proc/{pid}")))?;
    let mut found = Vec::new();
    for endpoint in endpoints {
        let Some(authority) = authority(endpoint) else { continue };
        let addresses = tokio::net::lookup_host(authority).await.ok()?;
        if addresses.into_iter().any(|address| peers.contains(&address)) {
            found.push(endpoint.clone());
        }
    }
    Some(found)
}

/// `host:port` of a URL.
fn authority(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?))
}

/// Remote ends of the TCP sockets that the process holds.
fn peers(process: &Path) -> Option<BTreeSet<SocketAddr>> {
    let mut inodes = BTreeSet::new();
    for entry in std::fs::read_dir(process.join("fd")).ok()? {
        // A descriptor may be closed while the directory is read.
        let Ok(target) = entry.and_then(|entry| std::fs::read_link(entry.path())) else { continue };
        let inode = target.to_str().and_then(|t| t.strip_prefix("socket:[")?.strip_suffix(']'));
        inodes.extend(inode.map(str::to_owned));
    }
    let mut peers = BTreeSet::new();
    for table in ["net/tcp", "net/tcp6"] {
        let text = std::fs::read_to_string(process.join(table)).unwrap_or_default();
        for line in text.lines().skip(1) {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let (Some(remote), Some(inode)) = (columns.get(2), columns.get(9)) else { continue };
            if inodes.contains(*inode) {
                peers.extend(address(remote));
            }
        }
    }
    Some(peers)
}

/// `0100007F:1F90` as an address: words of the host's byte order, port in plain hex.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words: Vec<u32> = (0..ip.len() / 8)
        .map(|i| u32::from_str_radix(ip.get(i * 8..i * 8 + 8)?, 16).ok())
        .collect::<Option<_>>()?;
    let ip = match words.as_slice() {
        [word] => IpAddr::V4(Ipv4Addr::from(word.to_ne_bytes())),
        [a, b, c, d] => {
            let mut bytes = [0; 16];
            for (at, word) in [a, b, c, d].into_iter().enumerate() {
                bytes[at * 4..at * 4 + 4].copy_from_slice(&word.to_ne_bytes());
            }
            let ip = Ipv6Addr::from(bytes);
            ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4)
        }
        _other => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_addresses_read_and_garbage_does_not() {
        let wanted: SocketAddr = "127.0.0.1:8080".parse().unwrap();
        if cfg!(target_endian = "little") {
            assert_eq!(address("0100007F:1F90"), Some(wanted));
            assert_eq!(address("0000000000000000FFFF00000100007F:1F90"), Some(wanted));
        }
        for bad in ["", ":", "xyz", "0100007F", "01:1F90", "0100007F:FFFFF"] {
            assert_eq!(address(bad), None, "{bad}");
        }
    }

    #[tokio::test]
    async fn a_socket_of_this_process_is_seen() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = format!("ws://127.0.0.1:{port}/v2");
        let pid = i32::try_from(std::process::id()).unwrap();
        assert_eq!(connected(pid, std::slice::from_ref(&url)).await, Some(Vec::new()));
        let _held = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        assert_eq!(connected(pid, std::slice::from_ref(&url)).await, Some(vec![url]));
    }
}
