//! From what went wrong to why, in words: who owes the next message, which side is to be looked at, and what to change there.
//!
//! Settings are told by the names that the servers give them, so that they can be looked for in their manuals.

use std::io;
use std::net::{IpAddr, SocketAddr};

use port21_client::{Error, Phase, TlsError};
use port21_proto::text::Shown;

use super::report::{Cause, Side, limit};

/// Between whom it happens.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub(super) port: u16,
    /// The server, as this side reaches it.
    pub(super) peer: SocketAddr,
    /// This side, as it sees itself.
    pub(super) local: SocketAddr,
    pub(super) secure: bool,
    pub(super) guest: bool,
}

/// Where each server is told which passive ports it may use.
const PASSIVE_RANGE: &str = "pasv_min_port and pasv_max_port (vsftpd), PassivePorts (proftpd), -p (pure-ftpd), \
    passive_ports (pyftpdlib), passive.ports (port21)";
/// Where each server is told the address that others see.
const PUBLIC_ADDRESS: &str = "pasv_address (vsftpd), MasqueradeAddress (proftpd), -P (pure-ftpd), \
    masquerade_address (pyftpdlib), passive.advertise (port21)";

pub(super) fn resolving(error: &Error, host: &str) -> Cause {
    let silent = error.to_string().contains("no answer within");
    let (text, advice) = if silent {
        (
            format!("the name server owes an answer to the query for {host}, and none comes"),
            "look at this machine's name servers (/etc/resolv.conf), or ask another one: --dns ADDRESS",
        )
    } else {
        (
            format!("there is no address for {host}"),
            "check how the name is written; ask another name server (--dns ADDRESS), or give the server's address in the URL",
        )
    };
    Cause { side: Side::Client, text, advice: advice.to_owned() }
}

/// One of the server's addresses cannot be connected to.
pub(super) fn connecting(error: &Error, address: SocketAddr) -> Cause {
    let kind = match error {
        Error::Connect { attempts, .. } => attempts.first().map(|attempt| attempt.error.kind()),
        _ => None,
    };
    let port = address.port();
    match kind {
        Some(io::ErrorKind::ConnectionRefused) => Cause {
            side: Side::Server,
            text: format!("{} answers that nothing listens at port {port}", address.ip()),
            advice: format!(
                "start the server, or let it listen at this address and at port {port}; if it listens elsewhere, name that \
                port in the URL (implicit TLS, ftps://, is mostly at 990)"
            ),
        },
        Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable) => {
            let family = if address.is_ipv6() { ("IPv6", "-4") } else { ("IPv4", "-6") };
            Cause {
                side: Side::Client,
                text: format!("there is no way from here to {}: this machine may have no {}", address.ip(), family.0),
                advice: format!("look at this machine's routes; {} leaves such addresses out", family.1),
            }
        }
        Some(io::ErrorKind::ConnectionReset) => Cause {
            side: Side::Between,
            text: "the connection is reset as soon as it stands".to_owned(),
            advice: format!(
                "look for a firewall or a load balancer in front of port {port} that resets what it does not know"
            ),
        },
        _ => Cause {
            side: Side::Between,
            text: format!(
                "{} owes an answer to the SYN to port {port}, and none comes: a firewall drops it, or the host is down",
                address.ip()
            ),
            advice: format!(
                "let TCP port {port} in at the firewall before the server, and forward it where the server stands behind NAT; \
                try from another network, for some block FTP"
            ),
        },
    }
}

/// The session does not begin: no greeting, or no TLS.
pub(super) fn beginning(error: &Error, scene: &Scene) -> Cause {
    if let Error::Tls { why, .. } = error {
        return securing(why);
    }
    let port = scene.port;
    let (text, advice) = match error {
        Error::Refused { phase: Phase::Tls, reply, .. } => (
            format!("the server does not take AUTH TLS ({reply})"),
            "switch TLS on there: ssl_enable=YES (vsftpd), TLSEngine on (proftpd), --tls=1 (pure-ftpd), tls.mode (port21), \
            each with a certificate. Without TLS passwords and files can be read on the way"
                .to_owned(),
        ),
        Error::Refused { .. } | Error::ServiceClosing { .. } => (
            "it is there, and does not let this side in: it is full, has too many sessions of this address, or bans it"
                .to_owned(),
            "wait and try again; at the server look at its limits of connections, its bans, and /etc/hosts.deny".to_owned(),
        ),
        Error::Closed { .. } | Error::Transport { .. } => (
            format!("the connection to port {port} stands, and is closed before the server's first word"),
            "look at the server's log and at its lists of whom it lets in (/etc/hosts.deny, limits for each address); a port of \
            implicit TLS closes so as well: try ftps://"
                .to_owned(),
        ),
        Error::Protocol { .. } => (
            format!("what answers at port {port} speaks something else than FTP"),
            "check the port: FTP is mostly at 21; SFTP, at 22, is another protocol (use sftp)".to_owned(),
        ),
        _ => (
            format!("the connection to port {port} stands, and the server owes its greeting (220)"),
            "a server that looks up its clients' names or their ident is slow to greet: reverse_lookup_enable=NO (vsftpd), \
            UseReverseDNS off and IdentLookups off (proftpd), -H (pure-ftpd); --timeout 60s waits longer. A port of implicit \
            TLS waits for TLS and says nothing: try ftps://"
                .to_owned(),
        ),
    };
    Cause { side: Side::Server, text, advice }
}

/// TLS on the control connection does not come to stand.
fn securing(why: &TlsError) -> Cause {
    let (side, text, advice) = match why {
        TlsError::UnknownIssuer { pin, .. } => (
            Side::Server,
            "its certificate is of no authority that is trusted here: it may be its own (self-signed), or it does not send the \
            certificates between"
                .to_owned(),
            format!(
                "let the server send its whole chain, or name its authority here (--cacert FILE). Where its operator tells that \
                the key is {pin}: --pin {pin}"
            ),
        ),
        TlsError::WrongName { wanted, names, .. } => (
            Side::Server,
            format!("its certificate is for {}, and not for {wanted}", names.join(", ")),
            "connect by a name that is in it, or give the server a certificate with this one".to_owned(),
        ),
        TlsError::Date { why } => (
            Side::Server,
            format!("its certificate {why}"),
            "renew it there; check that this machine's clock is right".to_owned(),
        ),
        TlsError::OtherPin { .. } => (
            Side::Server,
            "it is not the server that --pin names: it has a new key, or another one stands in its place".to_owned(),
            "ask its operator for the fingerprint, by another way than this one".to_owned(),
        ),
        TlsError::TooOld { .. } => (
            Side::Server,
            "it speaks neither TLS 1.2 nor 1.3, and what is older is broken".to_owned(),
            "update the server, or let it speak TLS 1.2 (ssl_tlsv1_2, TLSProtocol TLSv1.2)".to_owned(),
        ),
        TlsError::NotTls => (
            Side::Server,
            "what it answers is no TLS".to_owned(),
            "check the port: ftps:// (implicit TLS) is mostly at 990, and --tls (AUTH TLS) at 21".to_owned(),
        ),
        TlsError::ClientCertificate { .. } => (
            Side::Client,
            "the server wants a certificate of this side".to_owned(),
            "show one that it knows: --client-cert FILE".to_owned(),
        ),
        TlsError::NoAuthorities { .. } => (
            Side::Client,
            "this machine knows no authorities".to_owned(),
            "install them (ca-certificates), or name them: --cacert FILE".to_owned(),
        ),
        other => (
            Side::Between,
            format!("the handshake breaks off ({other})"),
            "look at the server's log; a firewall that reads FTP may cut what it cannot read".to_owned(),
        ),
    };
    Cause { side, text, advice }
}

pub(super) fn login(error: &Error, scene: &Scene) -> Cause {
    let words = error.reply().map(|reply| Shown(reply.text()).to_string()).unwrap_or_default();
    let says = |all: &[&str]| all.iter().any(|word| words.to_ascii_lowercase().contains(word));
    let code = error.reply().map(|reply| reply.code().number());
    let before_the_password = matches!(error, Error::Refused { verb: "USER", .. });
    let (side, text, advice) = match code {
        Some(_) if !scene.secure && says(&["tls", "ssl", "encrypt", "secure", "cleartext", "clear text"]) => (
            Side::Client,
            "the server lets nobody in without TLS",
            "say --tls, or write the URL as ftpes:// (AUTH TLS) or ftps:// (implicit)",
        ),
        Some(_) if says(&["writable root", "writeable root"]) => (
            Side::Server,
            "vsftpd refuses a home that its user may write to, where it locks users into it",
            "take the right to write away from the home itself (chmod a-w), or set allow_writeable_chroot=YES in vsftpd.conf",
        ),
        Some(500) if says(&["oops"]) => (
            Side::Server,
            "the password is right or was not asked for: the server fails behind it",
            "look at what it says above: mostly the account's home is not there, or may not be entered",
        ),
        Some(421) => (
            Side::Server,
            "it is there, and ends the session: it is full, the account has too many sessions, or it has just been banned",
            "wait and try again; look at its limits and its log",
        ),
        Some(332 | 532) => {
            (Side::Client, "the server wants an account (ACCT) beside the password", "use port21 shell: account")
        }
        Some(_) if scene.guest => (
            Side::Server,
            "it lets no guests in",
            "name a user (ftp://USER@HOST/), or allow guests: anonymous_enable=YES (vsftpd), <Anonymous> (proftpd), \
            [anonymous] enabled = true (port21)",
        ),
        Some(_) if before_the_password => (
            Side::Server,
            "the name itself is refused, before any password: it is on a list of those who may not log in, or is in the list of \
            nobody who may",
            "look at /etc/ftpusers, userlist_file and userlist_deny (vsftpd), <Limit LOGIN> (proftpd), and whether TLS is demanded",
        ),
        Some(_) => (
            Side::Client,
            "the user name or the password is wrong, or the account may not log in by FTP (servers do not say which)",
            "check both; at the server look whether the account is locked, its shell is in /etc/shells, and at its log",
        ),
        None => (
            Side::Server,
            "the server owes its answer to the login",
            "look at its log: what it asks for passwords (PAM, LDAP, a database) may not answer",
        ),
    };
    Cause { side, text: text.to_owned(), advice: advice.to_owned() }
}

/// A passive port that was named cannot be connected to.
pub(super) fn passive(error: &Error, scene: &Scene, to: SocketAddr) -> Cause {
    let port = to.port();
    let refused = matches!(error, Error::Transport { source, .. } if source.kind() == io::ErrorKind::ConnectionRefused);
    if refused {
        return Cause {
            side: Side::Between,
            text: format!(
                "the server has named port {port} for data, and {} answers that nothing listens there: a NAT before the server \
                forwards port {} alone, or several servers share the address",
                to.ip(),
                scene.port
            ),
            advice: format!(
                "give the server a fixed range of passive ports, {PASSIVE_RANGE}, and forward just these ports to it, to the \
                same numbers"
            ),
        };
    }
    let keeps =
        if scene.secure { ". A firewall that opens such ports by reading along cannot do so under TLS" } else { "" };
    Cause {
        side: Side::Between,
        text: format!(
            "the control connection to port {} stands, and the SYN to the data port {port} that the server has named is not \
            answered by {}: a firewall drops it, mostly the one before the server{keeps}",
            scene.port,
            to.ip()
        ),
        advice: format!(
            "give the server a fixed range of passive ports, {PASSIVE_RANGE}, and let TCP to these ports in at its firewall, \
            forwarded to it where it stands behind NAT. If this side's firewall forbids connections out to such ports, allow them"
        ),
    }
}

/// EPSV or PASV itself is answered by no port.
pub(super) fn no_passive_port(code: u16) -> Cause {
    let (text, advice) = match code {
        421 | 425 | 450..=452 => (
            "it has no passive port left, or may not open one".to_owned(),
            format!("make the range larger: {PASSIVE_RANGE}; end sessions that hang"),
        ),
        _ => (
            "it has passive mode switched off".to_owned(),
            "allow it: pasv_enable=YES (vsftpd); in active mode (--active) the server connects back".to_owned(),
        ),
    };
    Cause { side: Side::Server, text, advice }
}

/// PASV names another address than the one that the server is reached at.
pub(super) fn foreign_address(told: IpAddr, scene: &Scene) -> Cause {
    let peer = scene.peer.ip();
    let what = if told.is_unspecified() {
        "no address at all".to_owned()
    } else if is_private(told) && !is_private(peer) {
        "an address of the private network behind its NAT".to_owned()
    } else if told.is_loopback() {
        "its own loopback address".to_owned()
    } else {
        "another address".to_owned()
    };
    Cause {
        side: Side::Server,
        text: format!(
            "PASV names {told}, {what}, while the server is reached at {peer}. Clients that go there connect to nobody, or to \
            somebody else; port21 takes {peer} instead, as do others that are careful"
        ),
        advice: format!(
            "tell the server its public address: {PUBLIC_ADDRESS}. EPSV, which names no address, does without"
        ),
    }
}

/// The server has not come to the port that PORT or EPRT has told it.
pub(super) fn active(error: &Error, scene: &Scene, told: Option<SocketAddr>) -> Cause {
    let ours = told.map_or_else(|| scene.local.ip().to_string(), |told| told.to_string());
    let here = told.map_or(scene.local.ip(), |told| told.ip());
    let behind_nat = is_private(here) && !is_private(scene.peer.ip());
    let refused = matches!(error, Error::Refused { verb: "PORT" | "EPRT", .. });
    let from = scene.port.wrapping_sub(1);
    match (refused, behind_nat) {
        (_, true) => Cause {
            side: Side::Client,
            text: format!(
                "this side has told the server {ours}, an address of a private network, to which the server cannot connect: this \
                side is behind NAT"
            ),
            advice: "use passive mode (which is what port21 does unless told otherwise)".to_owned(),
        },
        (true, false) => Cause {
            side: Side::Server,
            text: format!(
                "it does not connect to {ours}: it has active mode switched off, or does not take the address for ours"
            ),
            advice: "use passive mode; or allow it: port_enable=YES (vsftpd), AllowForeignAddress (proftpd) behind NAT"
                .to_owned(),
        },
        (false, false) => Cause {
            side: Side::Between,
            text: format!(
                "the server owes a connection to {ours}, which it was told by PORT or EPRT, and none comes: a firewall on this \
                side, or before the server, drops it"
            ),
            advice: format!(
                "use passive mode; or let connections in here from {}, mostly from its port {from} (--active-ports A-B fixes the \
                ports of this side), and out there",
                scene.peer.ip()
            ),
        },
    }
}

/// A listing or a file did not come, or did not go.
pub(super) fn transfer(error: &Error, scene: &Scene, resumed: Option<bool>) -> Cause {
    let code = error.reply().map(|reply| reply.code().number());
    let (side, text, advice) = match error {
        Error::Refused { .. } if scene.secure && resumed != Some(true) && matches!(code, Some(425 | 426 | 431 | 522 | 534 | 535)) => (
            Side::Server,
            "it demands that data connections resume the TLS session of the control connection, and this one could not: the \
            server gives no session to resume, or forgets it"
                .to_owned(),
            "look for its cache of TLS sessions; or let it do without: require_ssl_reuse=NO (vsftpd), TLSOptions \
            NoSessionReuseRequired (proftpd)"
                .to_owned(),
        ),
        Error::Tls { why, .. } => (
            Side::Server,
            format!("TLS does not stand on the data connection: {why}"),
            "look at the server's log; try --tls-version 1.2".to_owned(),
        ),
        Error::Refused { .. } if matches!(code, Some(425 | 426)) => (
            Side::Server,
            "the data connection stands for this side, and not for the server: it waits for it at another address, or something \
            between has taken it"
                .to_owned(),
            "look for a proxy, a load balancer or a firewall that reads FTP between the two".to_owned(),
        ),
        Error::Refused { .. } if code == Some(452) || code == Some(552) => (
            Side::Server,
            "there is no room: its disk is full, or the account's quota is used up".to_owned(),
            "make room".to_owned(),
        ),
        Error::Refused { .. } => (
            Side::Server,
            "the account may not do this there, or it is not there".to_owned(),
            "look at the rights of the directory and of the account; name another path in the URL".to_owned(),
        ),
        Error::Timeout { phase: Phase::FinalReply, after, .. } => (
            Side::Server,
            format!("all bytes have come, and the server owes its 226, for {}", limit(*after)),
            "look for a firewall that forgets the control connection while data flows".to_owned(),
        ),
        Error::Timeout { phase: Phase::Transfer, after, .. } => (
            Side::Between,
            format!("the data connection stands, and no byte has come for {}", limit(*after)),
            "large packets may be lost on the way (a tunnel with a smaller MTU): let ICMP 'packet too big' through, or make the \
            MTU smaller"
                .to_owned(),
        ),
        Error::Timeout { .. } => (
            Side::Between,
            "the server owes an answer".to_owned(),
            "see what EPSV, PASV and the active mode tell above; look at the server's log".to_owned(),
        ),
        Error::Closed { .. } | Error::ServiceClosing { .. } => (
            Side::Server,
            "it has closed the control connection meanwhile".to_owned(),
            "look at its log".to_owned(),
        ),
        _ => (Side::Between, "the connection broke".to_owned(), "look at the server's log; try again with -o FILE.svg".to_owned()),
    };
    Cause { side, text, advice }
}

/// Whether nobody on the internet can connect to it (RFC 1918, RFC 6598, RFC 4193, link-local).
pub(super) fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use port21_client::Reply;
    use port21_proto::Code;

    use super::*;

    fn scene() -> Scene {
        Scene {
            port: 21,
            peer: "203.0.113.5:21".parse().unwrap(),
            local: "203.0.113.77:40000".parse().unwrap(),
            secure: false,
            guest: false,
        }
    }

    fn refused(phase: Phase, verb: &'static str, code: u16, text: &str) -> Error {
        Error::Refused { phase, verb, reply: Box::new(Reply::new(Code::new(code).unwrap(), text.as_bytes().to_vec())) }
    }

    fn late() -> Error {
        Error::Timeout { phase: Phase::DataOpen, what: "no connection".to_owned(), after: Duration::from_secs(10) }
    }

    #[test]
    fn ports_that_are_filtered() {
        let cause = passive(&late(), &scene(), "203.0.113.5:50123".parse().unwrap());
        assert!(cause.side == Side::Between && cause.text.contains("50123") && cause.text.contains("203.0.113.5"));
        assert!(cause.advice.contains("pasv_min_port") && cause.advice.contains("passive.ports"));
        let source = io::ErrorKind::ConnectionRefused.into();
        let error = Error::Transport { phase: Phase::DataOpen, what: String::new(), source };
        assert!(passive(&error, &scene(), "203.0.113.5:50123".parse().unwrap()).text.contains("nothing listens"));
    }

    #[test]
    fn addresses_that_are_private() {
        let cause = foreign_address("10.1.2.3".parse().unwrap(), &scene());
        assert!(cause.text.contains("10.1.2.3") && cause.text.contains("behind its NAT"), "{}", cause.text);
        assert!(cause.advice.contains("pasv_address") && cause.advice.contains("passive.advertise"));
        assert!(foreign_address("0.0.0.0".parse().unwrap(), &scene()).text.contains("no address"));
        for (ip, private) in [
            ("192.168.1.1", true),
            ("172.32.0.1", false),
            ("100.64.0.1", true),
            ("fd00::1", true),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_private(ip.parse().unwrap()), private, "{ip}");
        }
    }

    #[test]
    fn logins_that_are_refused() {
        let of = |error: &Error, scene: &Scene| login(error, scene).text;
        let wrong = refused(Phase::Login, "PASS", 530, "Login incorrect.");
        assert!(of(&wrong, &scene()).contains("password is wrong"));
        assert!(of(&wrong, &Scene { guest: true, ..scene() }).contains("no guests"));
        let clear = refused(Phase::Login, "USER", 530, "Non-anonymous sessions must use encryption.");
        assert!(of(&clear, &scene()).contains("without TLS"));
        assert!(!of(&clear, &Scene { secure: true, ..scene() }).contains("without TLS"));
        assert!(
            of(&refused(Phase::Login, "USER", 530, "Permission denied."), &scene()).contains("before any password")
        );
        let home =
            refused(Phase::Login, "PASS", 500, "OOPS: vsftpd: refusing to run with writable root inside chroot()");
        assert!(login(&home, &scene()).advice.contains("allow_writeable_chroot"));
    }

    #[test]
    fn servers_that_do_not_come() {
        let told = |text: &str| Some(text.parse().unwrap());
        assert_eq!(active(&late(), &scene(), told("203.0.113.77:5001")).side, Side::Between);
        let nat = active(&late(), &scene(), told("192.168.0.7:5001"));
        assert!(nat.side == Side::Client && nat.text.contains("192.168.0.7:5001") && nat.text.contains("behind NAT"));
        let off = refused(Phase::DataOpen, "PORT", 500, "Illegal PORT command.");
        assert_eq!(active(&off, &scene(), told("203.0.113.77:5001")).side, Side::Server);
    }

    #[test]
    fn tls_sessions_that_must_be_resumed() {
        let error = refused(Phase::DataOpen, "LIST", 522, "SSL connection failed: session reuse required");
        let secure = Scene { secure: true, ..scene() };
        assert!(transfer(&error, &secure, Some(false)).advice.contains("require_ssl_reuse"));
        assert!(!transfer(&error, &secure, Some(true)).advice.contains("require_ssl_reuse"));
        assert!(transfer(&refused(Phase::FinalReply, "STOR", 552, "full"), &secure, None).text.contains("quota"));
    }
}
