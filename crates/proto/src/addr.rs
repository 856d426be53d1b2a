//! The addresses that PORT, EPRT, PASV and EPSV carry, read as leniently as peers need and written exactly.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};

/// Why an address could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddrError {
    /// Not the shape that the command or reply has.
    #[error("not an address in the form {0}")]
    Form(&'static str),
    /// A number is beyond its range, or the port is 0.
    #[error("a number of the address is out of range")]
    Range,
    /// EPRT or EPSV named a network protocol other than 1 (IPv4) and 2 (IPv6): RFC 2428 section 2, reply 522.
    #[error("network protocol not supported, use (1,2)")]
    Protocol,
}

const PORT_FORM: &str = "h1,h2,h3,h4,p1,p2";
const EPRT_FORM: &str = "|protocol|address|port|";
const EPSV_FORM: &str = "(|||port|)";

/// The address as its own family has it: an IPv4 address mapped into IPv6, which sockets for both families give, as the
/// IPv4 address that it is. The scope of a link-local address stays.
pub fn canonical(addr: SocketAddr) -> SocketAddr {
    match addr.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::new(ip.into(), addr.port()),
        IpAddr::V6(_) => addr,
    }
}

/// Reads a PORT argument, `h1,h2,h3,h4,p1,p2` (RFC 959 section 5.3.2). Port 0 is refused: nothing listens there.
///
/// # Errors
/// [`AddrError::Form`] or [`AddrError::Range`].
pub fn parse_port(arg: &[u8]) -> Result<SocketAddrV4, AddrError> {
    let arg = arg.trim_ascii();
    if !arg.iter().all(|b| b.is_ascii_digit() || *b == b',' || *b == b' ') {
        return Err(AddrError::Form(PORT_FORM));
    }
    let addr = six_numbers(arg)?;
    if addr.port() == 0 {
        return Err(AddrError::Range);
    }
    Ok(addr)
}

/// Writes a PORT argument, which is also what stands in the parentheses of a 227 reply.
pub fn write_port(addr: SocketAddrV4) -> String {
    let [a, b, c, d] = addr.ip().octets();
    let [hi, lo] = addr.port().to_be_bytes();
    format!("{a},{b},{c},{d},{hi},{lo}")
}

/// Finds the address in the text of a 227 reply. RFC 1123 section 4.1.2.6: the parentheses cannot be relied on, so
/// the first run of six numbers parted by commas is taken wherever it stands.
///
/// # Errors
/// [`AddrError`] where no such run is there, or its numbers are out of range.
pub fn parse_pasv(text: &[u8]) -> Result<SocketAddrV4, AddrError> {
    let is_part = |b: &u8| b.is_ascii_digit() || matches!(b, b',' | b' ');
    let mut rest = text;
    let mut out = Err(AddrError::Form(PORT_FORM));
    while let Some(start) = rest.iter().position(u8::is_ascii_digit) {
        let run = rest.get(start..).unwrap_or_default();
        let end = run.iter().position(|b| !is_part(b)).unwrap_or(run.len());
        let (run, tail) = run.split_at_checked(end).unwrap_or((run, &[]));
        if run.iter().filter(|&&b| b == b',').count() >= 5 {
            out = six_numbers(run.trim_ascii());
            if out.is_ok() {
                break;
            }
        }
        rest = tail;
    }
    out
}

/// An EPRT argument (RFC 2428 section 2): `|1|132.235.1.2|6275|` or `|2|1080::8:800:200C:417A|5282|`, with any
/// printable delimiter.
///
/// # Errors
/// [`AddrError::Protocol`] for a protocol other than 1 and 2, else [`AddrError::Form`] or [`AddrError::Range`].
pub fn parse_eprt(arg: &[u8]) -> Result<SocketAddr, AddrError> {
    const FORM: AddrError = AddrError::Form(EPRT_FORM);
    let text = std::str::from_utf8(arg.trim_ascii()).map_err(|_| FORM)?;
    let delimiter = text.chars().next().filter(|c| ('\x21'..='\x7e').contains(c)).ok_or(FORM)?;
    let mut parts = text.split(delimiter);
    let (_, protocol, ip, port, end) = (parts.next(), parts.next(), parts.next(), parts.next(), parts.next());
    if end != Some("") || parts.next().is_some() {
        return Err(FORM);
    }
    let ip: IpAddr = match protocol {
        Some("1") => ip.and_then(|ip| ip.parse::<Ipv4Addr>().ok()).ok_or(FORM)?.into(),
        Some("2") => ip.and_then(|ip| ip.parse::<Ipv6Addr>().ok()).ok_or(FORM)?.into(),
        Some(p) if !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()) => return Err(AddrError::Protocol),
        _ => return Err(FORM),
    };
    Ok(SocketAddr::new(ip, port_number(port.unwrap_or_default().as_bytes())?))
}

/// Writes an EPRT argument. A v4-mapped IPv6 address is written as the IPv4 address it stands for.
pub fn write_eprt(addr: SocketAddr) -> String {
    let ip = addr.ip().to_canonical();
    let protocol = if ip.is_ipv4() { 1 } else { 2 };
    format!("|{protocol}|{ip}|{}|", addr.port())
}

/// Finds the port in the text of a 229 reply: `(|||6446|)` (RFC 2428 section 3), with any delimiter and with an
/// address, which some servers put in, passed over.
///
/// # Errors
/// [`AddrError::Form`] where there is none, [`AddrError::Range`] where it is 0 or beyond 65535.
pub fn parse_epsv(text: &[u8]) -> Result<u16, AddrError> {
    const FORM: AddrError = AddrError::Form(EPSV_FORM);
    let open = text.iter().rposition(|&b| b == b'(').ok_or(FORM)?;
    let body = text.get(open + 1..).ok_or(FORM)?;
    let end = body.iter().position(|&b| b == b')').ok_or(FORM)?;
    let (body, _) = body.split_at_checked(end).ok_or(FORM)?;
    let (&delimiter, _) = body.split_first().ok_or(FORM)?;
    if !(0x21..=0x7e).contains(&delimiter) || delimiter.is_ascii_digit() {
        return Err(FORM);
    }
    let fields: Vec<&[u8]> = body.split(|&b| b == delimiter).take(6).collect();
    match fields.as_slice() {
        [_, _, _, port, []] => port_number(port),
        _ => Err(FORM),
    }
}

fn six_numbers(text: &[u8]) -> Result<SocketAddrV4, AddrError> {
    let mut n = [0u8; 6];
    let mut fields = text.split(|&b| b == b',');
    for slot in &mut n {
        let field = fields.next().ok_or(AddrError::Form(PORT_FORM))?.trim_ascii();
        *slot = match decimal(field) {
            Some(value) => u8::try_from(value).map_err(|_| AddrError::Range)?,
            None => return Err(AddrError::Form(PORT_FORM)),
        };
    }
    if fields.next().is_some_and(|extra| !extra.trim_ascii().is_empty()) {
        return Err(AddrError::Form(PORT_FORM));
    }
    let [a, b, c, d, hi, lo] = n;
    Ok(SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([hi, lo])))
}

fn port_number(field: &[u8]) -> Result<u16, AddrError> {
    let value = decimal(field).ok_or(AddrError::Form(EPRT_FORM))?;
    match u16::try_from(value) {
        Ok(0) | Err(_) => Err(AddrError::Range),
        Ok(port) => Ok(port),
    }
}

/// A decimal, nothing where there is any other byte. One that does not fit is as large as can be, which is no port and no
/// part of an address either.
fn decimal(field: &[u8]) -> Option<u32> {
    let push = |n: u32, b: &u8| b.is_ascii_digit().then(|| n.saturating_mul(10).saturating_add(u32::from(b - b'0')));
    if field.is_empty() { None } else { field.iter().try_fold(0, push) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn port_arguments() {
        assert_eq!(parse_port(b"192,168,0,2,19,137").unwrap(), "192.168.0.2:5001".parse().unwrap());
        assert_eq!(parse_port(b"192, 168, 0, 2, 19, 137 ").unwrap(), "192.168.0.2:5001".parse().unwrap());
        assert_eq!(parse_port(b"256,0,0,1,1,1"), Err(AddrError::Range));
        assert_eq!(parse_port(b"10,0,0,1,0,0"), Err(AddrError::Range));
        assert_eq!(parse_port(b"10,0,0,1,1,99999999999999999999"), Err(AddrError::Range));
        for bad in [&b""[..], b"1,2,3,4,5", b"1,2,3,4,5,6,7", b"1,2,3,4,5,x", b"-1,2,3,4,5,6", b"(1,2,3,4,5,6)"] {
            assert!(matches!(parse_port(bad), Err(AddrError::Form(_))), "{bad:?}");
        }
    }

    #[test]
    fn passive_replies_of_many_servers() {
        let want: SocketAddrV4 = "10.0.0.5:1025".parse().unwrap();
        for text in [
            "Entering Passive Mode (10,0,0,5,4,1).",
            "Entering Passive Mode 10,0,0,5,4,1",
            "=10,0,0,5,4,1",
            "Entering Passive Mode. 10, 0, 0, 5, 4, 1",
            "2 ways (10,0,0,5,4,1)",
        ] {
            assert_eq!(parse_pasv(text.as_bytes()), Ok(want), "{text}");
        }
        assert!(parse_pasv(b"Entering Passive Mode (10,0,0,5,4)").is_err());
        for text in ["Entering Passive Mode (10,0,0,500,4,4)", "Passive (10,0,0,500,4,4), 12 34 56"] {
            assert_eq!(parse_pasv(text.as_bytes()), Err(AddrError::Range), "{text}");
        }
    }

    #[test]
    fn eprt_arguments() {
        assert_eq!(parse_eprt(b"|1|132.235.1.2|6275|").unwrap(), "132.235.1.2:6275".parse().unwrap());
        assert_eq!(
            parse_eprt(b"!2!1080::8:800:200C:417A!5282!").unwrap(),
            "[1080::8:800:200c:417a]:5282".parse().unwrap()
        );
        assert_eq!(parse_eprt(b"|3|x|1|"), Err(AddrError::Protocol));
        assert_eq!(parse_eprt(b"|1|1.2.3.4|0|"), Err(AddrError::Range));
        for bad in
            [&b""[..], b"|", b"||||", b"|1|1.2.3.4|6275", b"|1|::1|6275|", b"|1|1.2.3.4|6275|x", b"|1|1.2.3.4|-5|"]
        {
            assert!(matches!(parse_eprt(bad), Err(AddrError::Form(_))), "{bad:?}");
        }
    }

    #[test]
    fn extended_passive_replies() {
        assert_eq!(parse_epsv(b"Entering Extended Passive Mode (|||6446|)"), Ok(6446));
        assert_eq!(parse_epsv(b"Entering Extended Passive Mode (!!!6446!)"), Ok(6446));
        assert_eq!(parse_epsv(b"ok (|1|10.0.0.1|6446|)"), Ok(6446));
        assert_eq!(parse_epsv(b"(|||0|)"), Err(AddrError::Range));
        assert_eq!(parse_epsv(b"(|||70000|)"), Err(AddrError::Range));
        for bad in [
            &b""[..],
            b"()",
            b"(|||6446)",
            b"(6446)",
            b"(||6446|)",
            b"10,0,0,5,4,1",
            b"(11164461)",
            b"(\x07\x07\x076446\x07)",
        ] {
            assert!(matches!(parse_epsv(bad), Err(AddrError::Form(_))), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn written_addresses_read_back(ip: [u8; 4], port in 1u16..) {
            let addr = SocketAddrV4::new(ip.into(), port);
            prop_assert_eq!(parse_port(write_port(addr).as_bytes()), Ok(addr));
            prop_assert_eq!(parse_pasv(format!("Entering Passive Mode ({}).", write_port(addr)).as_bytes()), Ok(addr));
            prop_assert_eq!(parse_eprt(write_eprt(addr.into()).as_bytes()), Ok(addr.into()));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = (parse_port(&bytes), parse_pasv(&bytes), parse_eprt(&bytes), parse_epsv(&bytes));
        }
    }
}
