//! FTP is known by what is said, whatever the port; the port helps where too little is said.

use port21_proto::Verb;

/// So many bytes of both directions are looked at before a connection is taken for something else.
pub(super) const MAX_LOOKED_AT: usize = 4 * 1024;

/// The ports of control connections (RFC 959, RFC 4217).
pub(super) const CONTROL: u16 = 21;
pub(super) const IMPLICIT_TLS: u16 = 990;

/// What a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A control connection; the side of this index is the server's.
    Control(usize),
    /// A control connection within TLS from its first byte on.
    Implicit(usize),
    /// None.
    Other,
    /// Too little was said.
    NotYet,
}

/// What one side's first bytes sound like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Voice {
    Silent,
    Reply,
    /// A verb; whether no other protocol has it.
    Verb(bool),
    Tls,
    Other,
}

/// Judges by the first bytes of both sides and their ports.
pub(super) fn judge(said: [&[u8]; 2], ports: [u16; 2], opener: Option<usize>) -> Verdict {
    let [a, b] = said.map(voice);
    let server = match (a, b) {
        (Voice::Reply, Voice::Verb(true)) => Some(0),
        (Voice::Verb(true), Voice::Reply) => Some(1),
        _ => None,
    };
    if let Some(server) = server {
        return Verdict::Control(server);
    }
    let of_port = |wanted| {
        let [at_a, at_b] = ports.map(|p| p == wanted);
        match opener {
            Some(0) => at_b.then_some(1),
            Some(_) => at_a.then_some(0),
            None => at_a.then_some(0).or(at_b.then_some(1)),
        }
    };
    if let Some(server) = of_port(CONTROL) {
        let (of_server, of_client) = if server == 0 { (a, b) } else { (b, a) };
        return match (of_server, of_client) {
            (Voice::Reply, _) | (_, Voice::Verb(_)) => Verdict::Control(server),
            (Voice::Other | Voice::Tls, Voice::Other | Voice::Tls) => Verdict::Other,
            _ => Verdict::NotYet,
        };
    }
    if let Some(server) = of_port(IMPLICIT_TLS)
        && [a, b].contains(&Voice::Tls)
    {
        return Verdict::Implicit(server);
    }
    match (a, b) {
        (Voice::Other | Voice::Tls, _) | (_, Voice::Other | Voice::Tls) => Verdict::Other,
        (Voice::Reply, Voice::Reply) => Verdict::Other,
        _ => Verdict::NotYet,
    }
}

fn voice(said: &[u8]) -> Voice {
    match said {
        [] => Voice::Silent,
        [0x16, 3, ..] | [0x16] => Voice::Tls,
        [b'1'..=b'6', b'0'..=b'9', b'0'..=b'9', b' ' | b'-' | b'\r' | b'\n', ..] => Voice::Reply,
        [b'1'..=b'6', rest @ ..] if rest.len() < 3 && rest.iter().all(u8::is_ascii_digit) => Voice::Silent,
        _ => verbs(said),
    }
}

fn verbs(said: &[u8]) -> Voice {
    let mut any = Voice::Other;
    let mut lines = said.split_inclusive(|&b| b == b'\n');
    for line in lines.by_ref().take(16) {
        // Telnet's IP and DM before ABOR.
        let start = line.iter().position(|b| b.is_ascii_alphabetic() || b.is_ascii_whitespace()).unwrap_or(0);
        let line = line.get(start..).unwrap_or_default();
        let end = line.iter().position(|b| !b.is_ascii_alphabetic());
        let Some(end) = end else {
            // The verb is not whole yet.
            return if line.len() <= 5 && any == Voice::Other { Voice::Silent } else { any };
        };
        match line.get(..end).and_then(Verb::from_name) {
            // NNTP and SMTP, whose replies have codes as well, have these too.
            Some(Verb::Quit | Verb::Noop | Verb::Help | Verb::Stat | Verb::List | Verb::Mode) => {
                any = Voice::Verb(false);
            }
            Some(_) => return Voice::Verb(true),
            None => return any,
        }
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(a: &str, b: &str, ports: [u16; 2]) -> Verdict {
        judge([a.as_bytes(), b.as_bytes()], ports, None)
    }

    #[test]
    fn ftp_on_any_port() {
        assert_eq!(judged("220 Ready\r\n", "USER anna\r\n", [2121, 40000]), Verdict::Control(0));
        assert_eq!(judged("NOOP\r\nfeat\r\n", "220-a\r\n", [40000, 5555]), Verdict::Control(1));
        assert_eq!(judged("22", "", [2121, 40000]), Verdict::NotYet);
        assert_eq!(judged("220 x", "US", [2121, 40000]), Verdict::NotYet);
        assert_eq!(judged("220 x", "\u{0}", [2121, 40000]), Verdict::Other);
    }

    #[test]
    fn what_sounds_like_it() {
        assert_eq!(judged("220 mail\r\n", "EHLO me\r\n", [25, 40000]), Verdict::Other);
        assert_eq!(judged("200 news\r\n", "MODE READER\r\nGROUP x\r\n", [119, 40000]), Verdict::NotYet);
        assert_eq!(judged("+OK pop\r\n", "USER me\r\n", [110, 40000]), Verdict::Other);
        assert_eq!(judged("", "GET / HTTP/1.1\r\n", [80, 40000]), Verdict::Other);
        assert_eq!(judged("-rw-r--r-- 1 a b 3 Jan 1 x\r\n", "", [20, 40000]), Verdict::Other);
    }

    #[test]
    fn ports_help_where_little_is_said() {
        assert_eq!(judged("nonsense\r\n", "USER anna\r\n", [21, 40000]), Verdict::Control(0));
        assert_eq!(judged("", "421 Busy\r\n", [40000, 21]), Verdict::Control(1));
        assert_eq!(judged("SSH-2.0-x\r\n", "SSH-2.0-y\r\n", [21, 40000]), Verdict::Other);
        assert_eq!(judge([b"", b"\x16\x03\x01"], [990, 40000], Some(1)), Verdict::Implicit(0));
        assert_eq!(judge([b"\x16\x03\x01", b""], [990, 443], Some(0)), Verdict::Other);
    }
}
