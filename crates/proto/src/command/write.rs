//! From a command to its line, as a client sends it.

use super::{Command, Digest, Epsv, Listing, Mechanism, Opts, Site};
use crate::addr;
use crate::line::write_line;
use crate::parameters::{Mode, Protection, Representation};
use crate::path::PathArg;
use crate::stamp;
use crate::verb::Verb;

impl Command {
    /// Appends the command as it goes on the wire, with its end.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut line = self.verb().name().as_bytes().to_vec();
        let argument = self.argument();
        if !argument.is_empty() {
            line.push(b' ');
            line.extend_from_slice(&argument);
        }
        write_line(out, &line);
        // The line may hold a password.
        line.fill(0);
    }

    /// What stands behind the verb. That of PASS and ACCT is a secret.
    pub(crate) fn argument(&self) -> Vec<u8> {
        let path = |p: &PathArg| p.as_bytes().to_vec();
        let maybe = |p: &Option<PathArg>| p.as_ref().map(path).unwrap_or_default();
        match self {
            Command::User(t) | Command::Clnt(t) | Command::Host(t) => t.as_bytes().to_vec(),
            Command::Pass(secret) | Command::Acct(secret) => secret.expose().to_vec(),
            Command::Help(t) | Command::Lang(t) | Command::Csid(t) => {
                t.as_ref().map(|t| t.as_bytes().to_vec()).unwrap_or_default()
            }
            Command::Type(Representation::Ascii) => b"A".to_vec(),
            Command::Type(Representation::Image) => b"I".to_vec(),
            Command::Stru => b"F".to_vec(),
            Command::Mode(Mode::Stream) => b"S".to_vec(),
            Command::Mode(Mode::Deflate) => b"Z".to_vec(),
            Command::Port(addr) => addr::write_port(*addr).into_bytes(),
            Command::Eprt(addr) => addr::write_eprt(*addr).into_bytes(),
            Command::Epsv(Epsv::Same) => Vec::new(),
            Command::Epsv(Epsv::V4) => b"1".to_vec(),
            Command::Epsv(Epsv::V6) => b"2".to_vec(),
            Command::Epsv(Epsv::All) => b"ALL".to_vec(),
            Command::Auth(Mechanism::Tls) => b"TLS".to_vec(),
            Command::Auth(Mechanism::Ssl) => b"SSL".to_vec(),
            Command::Pbsz(n) => n.to_string().into_bytes(),
            Command::Prot(Protection::Clear) => b"C".to_vec(),
            Command::Prot(Protection::Private) => b"P".to_vec(),
            Command::Rest(n) | Command::Allo(n) => n.to_string().into_bytes(),
            Command::Rang(None) => b"1 0".to_vec(),
            Command::Rang(Some((first, last))) => format!("{first} {last}").into_bytes(),
            Command::SetMdtm(timed) => path(&timed.whole),
            Command::Mff(changes, p) => [changes.to_string().as_bytes(), b" ", p.as_bytes()].concat(),
            Command::Comb(target, parts) => {
                let all: Vec<Vec<u8>> = std::iter::once(target).chain(parts).map(|p| quoted(p.as_bytes())).collect();
                all.join(&b' ')
            }
            Command::Digest(digest) => digest.argument(),
            Command::Mfmt(at, p) | Command::Mfct(at, p) => [stamp::write(*at).as_bytes(), b" ", p.as_bytes()].concat(),
            Command::Cwd(p)
            | Command::Retr(p)
            | Command::Stor(p)
            | Command::Appe(p)
            | Command::Size(p)
            | Command::Mdtm(p)
            | Command::Rnfr(p)
            | Command::Rnto(p)
            | Command::Dele(p)
            | Command::Rmd(p)
            | Command::Rmda(p)
            | Command::Hash(p)
            | Command::Mkd(p) => path(p),
            Command::Stou(p) | Command::Mlsd(p) | Command::Mlst(p) | Command::Dsiz(p) | Command::Avbl(p) => maybe(p),
            Command::List(l) | Command::Nlst(l) => l.argument(),
            Command::Stat(l) => l.as_ref().map(Listing::argument).unwrap_or_default(),
            Command::Site(Site::Chmod(mode, p)) => [format!("CHMOD {mode:o} ").as_bytes(), p.as_bytes()].concat(),
            Command::Site(Site::Utime(at, p)) => [b"UTIME ", stamp::write(*at).as_bytes(), b" ", p.as_bytes()].concat(),
            Command::Site(Site::Symlink { target, link }) => {
                [b"SYMLINK ", quoted(target.as_bytes()).as_slice(), b" ", &quoted(link.as_bytes())].concat()
            }
            Command::Site(Site::Who) => b"WHO".to_vec(),
            Command::Site(Site::Help) => b"HELP".to_vec(),
            Command::Opts(Opts::Utf8(true)) => b"UTF8 ON".to_vec(),
            Command::Opts(Opts::Utf8(false)) => b"UTF8 OFF".to_vec(),
            Command::Opts(Opts::Mlst(facts)) => [b"MLST ", facts.as_slice()].concat(),
            Command::Opts(Opts::Hash(None)) => b"HASH".to_vec(),
            Command::Opts(Opts::Hash(Some(algorithm))) => format!("HASH {algorithm}").into_bytes(),
            Command::Opts(Opts::ModeZ(None)) => b"MODE Z".to_vec(),
            Command::Opts(Opts::ModeZ(Some(level))) => format!("MODE Z LEVEL {level}").into_bytes(),
            Command::Rein
            | Command::Quit
            | Command::Cdup
            | Command::Pwd
            | Command::Pasv
            | Command::Abor
            | Command::Syst
            | Command::Noop
            | Command::Ccc
            | Command::Feat => Vec::new(),
        }
    }
}

impl Digest {
    fn argument(&self) -> Vec<u8> {
        if self.verb == Verb::Md5 {
            return self.path.as_bytes().to_vec();
        }
        let mut out = quoted(self.path.as_bytes());
        if self.from > 0 || self.to.is_some() {
            out.extend_from_slice(format!(" {}", self.from).as_bytes());
        }
        if let Some(to) = self.to {
            out.extend_from_slice(format!(" {to}").as_bytes());
        }
        out
    }
}

/// A name in quotes, those within it doubled: where more follows behind it.
fn quoted(name: &[u8]) -> Vec<u8> {
    let mut out = vec![b'"'];
    for &b in name {
        if b == b'"' {
            out.push(b'"');
        }
        out.push(b);
    }
    out.push(b'"');
    out
}

impl Listing {
    fn argument(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let letters = self.options.letters();
        if !letters.is_empty() {
            out.push(b'-');
            out.extend_from_slice(&letters);
        }
        if let Some(path) = &self.path {
            if !out.is_empty() {
                out.push(b' ');
            }
            if path.as_bytes().trim_ascii_start().first() == Some(&b'-') {
                out.extend_from_slice(b"-- ");
            }
            out.extend_from_slice(path.as_bytes());
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, SocketAddrV4};

    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::command::Text;
    use crate::listing::{Changes, ListOptions};
    use crate::parameters::Algorithm;
    use crate::secret::Secret;

    fn name() -> impl Strategy<Value = PathArg> {
        proptest::collection::vec(any::<u8>(), 1..20).prop_filter_map("not a name", |bytes| {
            // Names of blanks alone, or that end a line, cannot be sent.
            (!bytes.trim_ascii().is_empty()).then(|| PathArg::new(bytes).ok()).flatten()
        })
    }

    fn word() -> impl Strategy<Value = Text> {
        "[!-~]{1,20}".prop_map(|s| Text::new(s).unwrap())
    }

    fn listing() -> impl Strategy<Value = Listing> {
        (proptest::option::of(name()), proptest::collection::vec(0usize..10, 0..4)).prop_map(|(path, letters)| {
            let mut options = ListOptions::default();
            options.read(&letters.iter().map(|&i| b"aAlRtSr1dF"[i]).collect::<Vec<u8>>());
            // Blanks before a path are lost behind options; nobody has such names there.
            let path = path.filter(|p| !p.as_bytes()[0].is_ascii_whitespace());
            Listing { options, path }
        })
    }

    fn digest() -> impl Strategy<Value = Command> {
        let verbs = vec![Verb::Xcrc, Verb::Xmd5, Verb::Xsha, Verb::Xsha1, Verb::Xsha256, Verb::Xsha512];
        (proptest::sample::select(verbs), name(), 0u64..9, proptest::option::of(9u64..99))
            .prop_map(|(verb, path, from, to)| Command::Digest(Digest { verb, path, from, to }))
    }

    fn command() -> impl Strategy<Value = Command> {
        let addr = (any::<[u8; 4]>(), 1u16..).prop_map(|(ip, port)| SocketAddrV4::new(ip.into(), port));
        let addr6 = (any::<[u16; 8]>(), 1u16..)
            .prop_map(|(ip, port)| SocketAddr::new(std::net::IpAddr::from(ip).to_canonical(), port));
        let time = (0i64..4_000_000_000).prop_map(|s| Timestamp::from_second(s).unwrap());
        prop_oneof![
            word().prop_map(Command::User),
            proptest::collection::vec(1u8..10, 0..9)
                .prop_map(|s| Command::Pass(Secret::new(s.iter().map(|b| b + b'a').collect::<Vec<u8>>()))),
            prop_oneof![Just(Representation::Ascii), Just(Representation::Image)].prop_map(Command::Type),
            addr.prop_map(Command::Port),
            addr6.prop_map(Command::Eprt),
            prop_oneof![Just(Epsv::Same), Just(Epsv::V4), Just(Epsv::V6), Just(Epsv::All)].prop_map(Command::Epsv),
            (0..=i64::MAX as u64).prop_map(Command::Rest),
            (0..=i64::MAX as u64).prop_map(Command::Allo),
            name().prop_map(Command::Retr),
            name().prop_map(Command::Stor),
            proptest::option::of(name()).prop_map(Command::Stou),
            proptest::option::of(name()).prop_map(Command::Mlst),
            name().prop_map(Command::Rnto),
            listing().prop_map(Command::List),
            listing().prop_map(Command::Nlst),
            (time.clone(), name()).prop_map(|(t, n)| Command::Mfmt(t, n)),
            (0u32..=0o777, name()).prop_map(|(m, n)| Command::Site(Site::Chmod(m, n))),
            any::<bool>().prop_map(|on| Command::Opts(Opts::Utf8(on))),
            Just(Command::Opts(Opts::Mlst(b"SIZE;TYPE;".to_vec()))),
            prop_oneof![Just(Mechanism::Tls), Just(Mechanism::Ssl)].prop_map(Command::Auth),
            any::<u32>().prop_map(Command::Pbsz),
            prop_oneof![Just(Protection::Clear), Just(Protection::Private)].prop_map(Command::Prot),
            proptest::option::of(word()).prop_map(Command::Help),
            prop_oneof![
                Just(Command::Pwd),
                Just(Command::Abor),
                Just(Command::Stru),
                Just(Command::Ccc),
                Just(Command::Quit)
            ],
            prop_oneof![Just(Mode::Stream), Just(Mode::Deflate)].prop_map(Command::Mode),
            prop_oneof![Just(Command::Rang(None)), (0u64..9, 9u64..99).prop_map(|r| Command::Rang(Some(r)))],
            (time.clone(), name()).prop_map(|(t, n)| Command::Mfct(t, n)),
            (proptest::option::of(time.clone()), proptest::option::of(0u32..=0o777), name())
                .prop_filter("one fact", |(modified, mode, _)| modified.is_some() || mode.is_some())
                .prop_map(|(modified, mode, n)| Command::Mff(Changes { modified, mode }, n)),
            (name(), proptest::collection::vec(name(), 1..4)).prop_map(|(t, p)| Command::Comb(t, p)),
            digest(),
            "[a-z0-9-]{1,9}(\\.[a-z0-9-]{1,9}){0,3}".prop_map(|name| Command::Host(Text::new(name).unwrap())),
            proptest::option::of(word()).prop_map(Command::Lang),
            proptest::option::of(name()).prop_map(Command::Dsiz),
            (name(), name()).prop_map(|(target, link)| Command::Site(Site::Symlink { target, link })),
            (time, name()).prop_map(|(t, n)| Command::Site(Site::Utime(t, n))),
            proptest::option::of(1u8..=9).prop_map(|level| Command::Opts(Opts::ModeZ(level))),
            proptest::option::of(proptest::sample::select(&Algorithm::ALL[..]))
                .prop_map(|algorithm| Command::Opts(Opts::Hash(algorithm))),
        ]
    }

    #[test]
    fn nothing_is_written_that_need_not_be() {
        let path = |text: &str| PathArg::new(text).unwrap();
        let xcrc = |from, to| Command::Digest(Digest { verb: Verb::Xcrc, path: path("a"), from, to });
        for (command, line) in [
            (Command::List(Listing::of(None)), "LIST\r\n"),
            (Command::List(Listing::of(Some(path("a b")))), "LIST a b\r\n"),
            (Command::Nlst(Listing::of(Some(path("-a")))), "NLST -- -a\r\n"),
            (xcrc(0, None), "XCRC \"a\"\r\n"),
            (xcrc(7, None), "XCRC \"a\" 7\r\n"),
            (xcrc(0, Some(9)), "XCRC \"a\" 0 9\r\n"),
        ] {
            let mut wire = Vec::new();
            command.encode(&mut wire);
            assert_eq!(String::from_utf8(wire).unwrap(), line);
            assert_eq!(Command::parse(line.trim_end().as_bytes()), Ok(command));
        }
    }

    #[test]
    fn what_is_shown_steers_no_terminal() {
        assert_eq!(format!("{:?}", Text::new("a\x1b[2J").unwrap()), r#""a\x1b[2J""#);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(command in command()) {
            let mut wire = Vec::new();
            command.encode(&mut wire);
            let mut decoder = crate::line::LineDecoder::new(crate::line::MAX_COMMAND_LINE);
            let (read, line) = decoder.feed(&wire);
            prop_assert_eq!(read, wire.len());
            let Some(crate::line::Line::Whole(line)) = line else { panic!("no line in {wire:?}") };
            prop_assert_eq!(Command::parse(line), Ok(command));
        }

        #[test]
        fn no_line_panics(line: Vec<u8>) {
            let _ = Command::parse(&line);
        }

        #[test]
        fn no_argument_panics(verb in 0..crate::verb::VERBS.len(), argument: Vec<u8>) {
            let line = [crate::verb::VERBS[verb].name.as_bytes(), b" ", argument.as_slice()].concat();
            let _ = Command::parse(&line);
        }
    }
}
