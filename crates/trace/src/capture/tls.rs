//! TLS records of a connection whose keys are not known: what can be told of them (RFC 8446 section 5, RFC 5246 section 6.2).

use crate::words::shown;

/// The most bytes of one record that are kept to be looked into: a whole one (RFC 8446 section 5.1).
const MAX_KEPT: usize = 16 * 1024;

/// One direction of a TLS connection.
#[derive(Debug, Default)]
pub(crate) struct Records {
    head: Vec<u8>,
    body: Vec<u8>,
    /// Bytes of the record that are still to come.
    left: usize,
    /// Bytes of a handshake message that began in an earlier record.
    within: usize,
    /// ChangeCipherSpec was sent: what follows is encrypted.
    changed: bool,
    /// Bytes are missing: where records begin is not known any more.
    lost: bool,
    records: u64,
}

/// What was sent: its name, and its bytes with the records' headers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) what: String,
    /// The code of an alert that can be read.
    pub(crate) alert: Option<u8>,
    pub(crate) bytes: u64,
}

impl Records {
    /// Takes bytes, and tells of each record that they end. Returns how many were taken: what follows is no TLS.
    pub(crate) fn push(&mut self, bytes: &[u8], told: &mut Vec<Told>) -> usize {
        if self.lost {
            told.push(Told { what: ENCRYPTED.to_owned(), alert: None, bytes: bytes.len() as u64 });
            return bytes.len();
        }
        let mut taken = 0;
        while let Some(&byte) = bytes.get(taken) {
            if self.left == 0 {
                self.head.push(byte);
                if !is_head(&self.head) {
                    let before = taken.saturating_sub(self.head.len() - 1);
                    self.head.clear();
                    return before;
                }
                taken += 1;
                if let [_, _, _, hi, lo] = *self.head.as_slice() {
                    self.left = usize::from(u16::from_be_bytes([hi, lo]));
                    self.body.clear();
                    if self.left == 0 {
                        self.record(told);
                    }
                }
                continue;
            }
            let rest = bytes.get(taken..).unwrap_or_default();
            let part = rest.get(..self.left).unwrap_or(rest);
            let room = MAX_KEPT.saturating_sub(self.body.len());
            self.body.extend_from_slice(part.get(..room).unwrap_or(part));
            taken += part.len();
            self.left -= part.len();
            if self.left == 0 {
                self.record(told);
            }
        }
        taken
    }

    /// Bytes are missing.
    pub(crate) fn gap(&mut self) {
        *self = Records { lost: true, ..Records::default() };
    }

    /// How many bytes it keeps.
    pub(crate) fn size(&self) -> usize {
        self.body.len()
    }

    /// Whether any record was read.
    pub(crate) fn any(&self) -> bool {
        self.records > 0
    }

    fn record(&mut self, told: &mut Vec<Told>) {
        let [kind, _, _, hi, lo] = *self.head.as_slice() else { return };
        let bytes = u64::from(u16::from_be_bytes([hi, lo])) + 5;
        self.head.clear();
        self.records += 1;
        let what = match kind {
            20 => {
                self.changed = true;
                "ChangeCipherSpec".to_owned()
            }
            ALERT => alert(&self.body),
            22 if !self.changed => self.handshake(),
            _ => ENCRYPTED.to_owned(),
        };
        match told.last_mut() {
            Some(last) if last.what == what && what == ENCRYPTED => last.bytes += bytes,
            _ => {
                let alert = match *self.body.as_slice() {
                    [_, code] if kind == ALERT => Some(code),
                    _ => None,
                };
                told.push(Told { what, alert, bytes });
            }
        }
    }

    fn handshake(&mut self) -> String {
        let mut names: Vec<String> = Vec::new();
        let skip = self.within.min(self.body.len());
        self.within -= skip;
        let mut rest = self.body.get(skip..).unwrap_or_default();
        while let [kind, a, b, c, ref message @ ..] = *rest {
            let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap_or(usize::MAX);
            let (body, behind) = message.split_at_checked(length).unwrap_or((message, &[]));
            self.within = length.saturating_sub(message.len());
            names.push(match kind {
                1 => client_hello(body),
                2 => server_hello(body),
                4 => "NewSessionTicket".to_owned(),
                11 => "Certificate".to_owned(),
                12 => "ServerKeyExchange".to_owned(),
                13 => "CertificateRequest".to_owned(),
                14 => "ServerHelloDone".to_owned(),
                15 => "CertificateVerify".to_owned(),
                16 => "ClientKeyExchange".to_owned(),
                22 => "CertificateStatus".to_owned(),
                other => format!("handshake message {other}"),
            });
            if names.len() >= 8 {
                break;
            }
            rest = behind;
        }
        if names.is_empty() { "more of the handshake".to_owned() } else { names.join(", ") }
    }
}

/// The type of records that hold an alert.
const ALERT: u8 = 21;

/// What is said of records that cannot be read.
pub(crate) const ENCRYPTED: &str = "encrypted";

/// Whether bytes may begin a record: its type, and version 3.
fn is_head(head: &[u8]) -> bool {
    match *head {
        [kind] => (20..=24).contains(&kind),
        [_, major, ..] => major == 3,
        [] => true,
    }
}

/// `ClientHello for ftp.any-domain.com`.
fn client_hello(body: &[u8]) -> String {
    let name = extension(body, true, 0).and_then(|names| {
        // server_name_list: its length, then a type and a length before each (RFC 6066 section 3).
        let [_, _, 0, hi, lo, name @ ..] = names else { return None };
        name.get(..usize::from(u16::from_be_bytes([*hi, *lo])))
    });
    match name {
        Some(name) => format!("ClientHello for {}", crate::words::clip(&shown(name), 100)),
        None => "ClientHello".to_owned(),
    }
}

/// `ServerHello (TLS 1.3)`.
fn server_hello(body: &[u8]) -> String {
    let chosen = match extension(body, false, 43) {
        Some([3, minor]) => Some(*minor),
        _ => body.get(1).copied(),
    };
    match chosen {
        Some(4) => "ServerHello (TLS 1.3)".to_owned(),
        Some(3) => "ServerHello (TLS 1.2)".to_owned(),
        Some(2) => "ServerHello (TLS 1.1)".to_owned(),
        Some(1) => "ServerHello (TLS 1.0)".to_owned(),
        _ => "ServerHello".to_owned(),
    }
}

/// An extension of a hello: behind version, random, session and ciphers.
fn extension(body: &[u8], of_client: bool, wanted: u16) -> Option<&[u8]> {
    let (&session, rest) = body.get(34..)?.split_first()?;
    let rest = rest.get(usize::from(session)..)?;
    let rest = if of_client {
        let (ciphers, rest) = rest.split_first_chunk::<2>()?;
        let rest = rest.get(usize::from(u16::from_be_bytes(*ciphers))..)?;
        let (&compressions, rest) = rest.split_first()?;
        rest.get(usize::from(compressions)..)?
    } else {
        rest.get(3..)?
    };
    let mut rest = rest.get(2..)?;
    while let [a, b, c, d, ref behind @ ..] = *rest {
        let (value, next) = behind.split_at_checked(usize::from(u16::from_be_bytes([c, d])))?;
        if u16::from_be_bytes([a, b]) == wanted {
            return Some(value);
        }
        rest = next;
    }
    None
}

/// `alert: unknown CA` (RFC 8446 section 6).
fn alert(body: &[u8]) -> String {
    let [_, code] = body else { return "encrypted alert".to_owned() };
    let name = match code {
        0 => "close_notify",
        10 => "unexpected message",
        20 => "bad record",
        40 => "handshake failure",
        42 => "bad certificate",
        43 => "unsupported certificate",
        44 => "certificate revoked",
        45 => "certificate expired",
        46 => "certificate unknown",
        47 => "illegal parameter",
        48 => "unknown CA",
        49 => "access denied",
        50 => "decode error",
        51 => "decrypt error",
        70 => "protocol version",
        71 => "insufficient security",
        80 => "internal error",
        90 => "user cancelled",
        109 => "missing extension",
        112 => "unrecognized name",
        116 => "certificate required",
        120 => "no application protocol",
        other => return format!("alert {other}"),
    };
    format!("alert: {name}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind, 3, 3][..], &(body.len() as u16).to_be_bytes(), body].concat()
    }

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind][..], &(body.len() as u32).to_be_bytes()[1..], body].concat()
    }

    fn hello(of_client: bool, extension: u16, value: &[u8]) -> Vec<u8> {
        let ciphers: &[u8] = if of_client { &[0, 2, 0x13, 1, 1, 0] } else { &[0x13, 1, 0] };
        let extensions = [&extension.to_be_bytes()[..], &(value.len() as u16).to_be_bytes(), value].concat();
        [&[3, 3][..], &[7; 32], &[0], ciphers, &(extensions.len() as u16).to_be_bytes(), &extensions].concat()
    }

    fn names(told: &[Told]) -> Vec<&str> {
        told.iter().map(|t| t.what.as_str()).collect()
    }

    #[test]
    fn a_handshake_by_its_names_and_the_rest_by_its_length() {
        let sni = [&[0, 9, 0, 0, 6][..], b"ftp.me"].concat();
        let client = [
            record(22, &message(1, &hello(true, 0, &sni))),
            record(20, &[1]),
            record(22, b"finished"),
            record(23, b"USER"),
            record(23, b"PASS"),
            record(21, &[1, 0]),
        ]
        .concat();
        let server = record(22, &[message(2, &hello(false, 43, &[3, 4])), message(11, b"cert")].concat());
        for size in [1, 3, 1000] {
            let (mut records, mut told) = (Records::default(), Vec::new());
            for part in client.chunks(size) {
                assert_eq!(records.push(part, &mut told), part.len());
            }
            let names = names(&told);
            assert_eq!(names[..2], ["ClientHello for ftp.me", "ChangeCipherSpec"]);
            assert_eq!(names.last(), Some(&"alert: close_notify"));
            assert_eq!(told.iter().map(|t| t.bytes).sum::<u64>(), client.len() as u64);
        }
        let mut told = Vec::new();
        Records::default().push(&server, &mut told);
        assert_eq!(names(&told), ["ServerHello (TLS 1.3), Certificate"]);
    }

    #[test]
    fn what_is_no_record_is_left() {
        let mut told = Vec::new();
        let mut records = Records::default();
        let bytes = [record(21, &[1, 0]), b"USER".to_vec()].concat();
        assert_eq!(records.push(&bytes, &mut told), 7);
        assert!(records.any());
        records.gap();
        assert_eq!(records.push(b"anything", &mut told), 8);
        assert_eq!(names(&told), ["alert: close_notify", "encrypted"]);
    }

    proptest! {
        #[test]
        fn any_bytes(parts in proptest::collection::vec(prop_oneof![
            any::<Vec<u8>>(),
            (20u8..25, any::<Vec<u8>>()).prop_map(|(kind, body)| record(kind, &body)),
            (any::<u8>(), any::<Vec<u8>>()).prop_map(|(kind, body)| record(22, &message(kind, &body))),
        ], 0..20)) {
            let mut records = Records::default();
            let mut told = Vec::new();
            for part in parts {
                prop_assert!(records.push(&part, &mut told) <= part.len());
                prop_assert!(records.body.len() <= MAX_KEPT);
            }
        }
    }
}
