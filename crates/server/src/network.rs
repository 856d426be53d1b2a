//! Ranges of addresses, as an operator writes them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A range of addresses: `192.168.0.0/16`, `fe80::/10`, or one address alone.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    base: IpAddr,
    prefix: u8,
}

/// Why a text is no [`Network`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// It is none.
    #[error("{0:?} is no network: write it as 192.168.0.0/16 or fe80::/10")]
    NotANetwork(String),
    /// It is an address within one: whoever has copied it may have meant either.
    #[error("{text:?} names one address and a whole network: write {address}, or {network} for all of them")]
    AddressInNetwork {
        /// What was written.
        text: String,
        /// The address.
        address: IpAddr,
        /// The network.
        network: Network,
    },
}

impl Network {
    /// The addresses that share the first `prefix` bits with `base`; more bits than an address has mean all of them.
    pub fn new(base: IpAddr, prefix: u8) -> Network {
        let base = base.to_canonical();
        let bits = if base.is_ipv4() { 32 } else { 128 };
        Network { base, prefix: prefix.min(bits) }
    }

    /// Whether the address lies within. An IPv4 address mapped into IPv6 is taken as the IPv4 address.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.base, ip.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(ip)) => {
                (u32::from(base) ^ u32::from(ip)).checked_shr(32 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V6(base), IpAddr::V6(ip)) => {
                (u128::from(base) ^ u128::from(ip)).checked_shr(128 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }

    /// The same network by its first address.
    fn first(self) -> Network {
        let base = match self.base {
            IpAddr::V4(base) => {
                let host = u32::MAX.checked_shr(self.prefix.into()).unwrap_or(0);
                Ipv4Addr::from(u32::from(base) & !host).into()
            }
            IpAddr::V6(base) => {
                let host = u128::MAX.checked_shr(self.prefix.into()).unwrap_or(0);
                Ipv6Addr::from(u128::from(base) & !host).into()
            }
        };
        Network { base, ..self }
    }

    /// Loopback, link-local and private addresses: RFC 1918, RFC 6598 (behind a carrier's NAT), RFC 3927, RFC 4193,
    /// RFC 4291.
    pub fn private() -> Vec<Network> {
        let v4 = |a, b, c, d, prefix| Network::new(Ipv4Addr::new(a, b, c, d).into(), prefix);
        let v6 = |first, prefix| Network::new(Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, 0).into(), prefix);
        vec![
            v4(10, 0, 0, 0, 8),
            v4(172, 16, 0, 0, 12),
            v4(192, 168, 0, 0, 16),
            v4(100, 64, 0, 0, 10),
            v4(169, 254, 0, 0, 16),
            v4(127, 0, 0, 0, 8),
            Network::new(Ipv6Addr::LOCALHOST.into(), 128),
            v6(0xfc00, 7),
            v6(0xfe80, 10),
        ]
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Network, NetworkError> {
        let error = || NetworkError::NotANetwork(text.to_owned());
        let (base, prefix) = match text.split_once('/') {
            Some((base, prefix)) => (base, Some(prefix.parse::<u8>().map_err(|_| error())?)),
            None => (text, None),
        };
        let base: IpAddr = base.parse().map_err(|_| error())?;
        let bits = if base.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(bits);
        if prefix > bits {
            return Err(error());
        }
        let network = Network { base, prefix }.first();
        match network.base == base {
            true => Ok(network),
            false => Err(NetworkError::AddressInNetwork { text: text.to_owned(), address: base, network }),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let within = |network: &str, ip: &str| network.parse::<Network>().unwrap().contains(ip.parse().unwrap());
        assert!(within("192.168.0.0/16", "192.168.77.1"));
        assert!(within("192.168.0.0/16", "::ffff:192.168.77.1"));
        assert!(!within("192.168.0.0/16", "192.169.0.1"));
        assert!(within("0.0.0.0/0", "8.8.8.8"));
        assert!(!within("0.0.0.0/0", "::1"));
        assert!(within("10.0.0.1", "10.0.0.1") && !within("10.0.0.1", "10.0.0.2"));
        assert!(within("fe80::/10", "febf::1") && !within("fe80::/10", "fec0::1"));
        assert!(within("::/0", "2001:db8::1"));
    }

    #[test]
    fn refuses_what_is_none() {
        for bad in ["", "10.0.0.0/33", "::/129", "10.0.0.0/", "example.org", "10.0.0.0/x"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
        // Copied from what a system says of its own addresses.
        for (mixed, network) in [("10.1.2.3/8", "10.0.0.0/8"), ("2001:db8::7/64", "2001:db8::/64"), ("::1/0", "::/0")] {
            let told = mixed.parse::<Network>().unwrap_err().to_string();
            assert!(told.contains(network), "{told}");
            assert_eq!(network.parse::<Network>().unwrap().to_string(), network);
        }
    }

    #[test]
    fn private_addresses() {
        let private = |ip: &str| Network::private().iter().any(|n| n.contains(ip.parse().unwrap()));
        assert!(["10.1.2.3", "172.31.0.1", "127.0.21.2", "::1", "fd00::1", "fe80::1"].into_iter().all(private));
        assert!(!["8.8.8.8", "172.32.0.1", "2001:db8::1"].into_iter().any(private));
    }
}
