//! Arguments with a grammar of their own: SITE, OPTS, ranges, names in quotes.

use std::net::{Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;

use super::parse::{first_word, name, number};
use super::{Command, CommandError, Digest, Opts, Site, SiteVerb, Text, Timed};
use crate::listing::Changes;
use crate::parameters::Algorithm;
use crate::path::PathArg;
use crate::stamp;
use crate::verb::Verb;

/// At most this many files are joined by one COMB.
const MAX_PARTS: usize = 100;

/// The longest name of a host (RFC 1035 section 2.3.4).
const MAX_HOST: usize = 255;

pub(super) fn parse_site(arg: &[u8]) -> Result<Site, CommandError> {
    let (word, rest) = first_word(arg).unwrap_or((arg.trim_ascii(), b""));
    let verb = SiteVerb::from_name(word).ok_or(CommandError::Parameter(Verb::Site))?;
    let bad = || CommandError::SiteArgument(verb);
    match verb {
        SiteVerb::Help => Ok(Site::Help),
        SiteVerb::Who => Ok(Site::Who),
        SiteVerb::Chmod => {
            let (mode, file) = first_word(rest).ok_or_else(bad)?;
            Ok(Site::Chmod(octal(mode).ok_or_else(bad)?, name(Verb::Site, file)?))
        }
        SiteVerb::Utime => parse_utime(rest),
        SiteVerb::Symlink => match names(rest).as_deref() {
            Some([target, link]) => {
                Ok(Site::Symlink { target: name(Verb::Site, target)?, link: name(Verb::Site, link)? })
            }
            _ => Err(bad()),
        },
    }
}

/// `YYYYMMDDhhmm[ss] PATH`, or `PATH ACCESSED CHANGED MADE UTC`: the first is of proftpd, the second of ncftp and of
/// Pure-FTPd.
fn parse_utime(arg: &[u8]) -> Result<Site, CommandError> {
    let bad = || CommandError::SiteArgument(SiteVerb::Utime);
    let mut words = arg.trim_ascii_end().rsplitn(5, |&b| b == b' ');
    if let (Some(zone), Some(made), Some(changed), Some(accessed), Some(file)) =
        (words.next(), words.next(), words.next(), words.next(), words.next())
        && zone.eq_ignore_ascii_case(b"UTC")
        && let (Some(_), Some(changed), Some(_)) = (minute(accessed), minute(changed), minute(made))
    {
        return Ok(Site::Utime(changed, name(Verb::Site, file)?));
    }
    let (time, file) = first_word(arg).ok_or_else(bad)?;
    Ok(Site::Utime(minute(time).ok_or_else(bad)?, name(Verb::Site, file)?))
}

/// A time whose seconds may be missing.
fn minute(word: &[u8]) -> Option<Timestamp> {
    if word.len() == 12 { stamp::parse(&[word, b"00"].concat()) } else { stamp::parse(word) }
}

/// RFC 2389 section 4: an option that is not there is an error of the argument, 501.
pub(super) fn parse_opts(arg: &[u8]) -> Result<Opts, CommandError> {
    let bad = || CommandError::Argument(Verb::Opts);
    let word = arg.trim_ascii();
    let (option, value) = first_word(word).unwrap_or((word, b""));
    let value = value.trim_ascii().to_ascii_uppercase();
    match (option.to_ascii_uppercase().as_slice(), value.as_slice()) {
        // draft-ietf-ftpext-utf-8-option-00, and the forms that clients in use send.
        (b"UTF8" | b"UTF-8", b"" | b"ON" | b"NLST") => Ok(Opts::Utf8(true)),
        (b"UTF8" | b"UTF-8", b"OFF") => Ok(Opts::Utf8(false)),
        (b"MLST", _) => Ok(Opts::Mlst(value)),
        (b"HASH", b"") => Ok(Opts::Hash(None)),
        (b"HASH", value) => Algorithm::from_name(value).map(|algorithm| Opts::Hash(Some(algorithm))).ok_or_else(bad),
        (b"MODE", value) => parse_mode_z(value).map(Opts::ModeZ).ok_or_else(bad),
        _ => Err(bad()),
    }
}

/// draft-preston-ftpext-deflate-04 section 3.4: `Z`, then settings by name.
fn parse_mode_z(value: &[u8]) -> Option<Option<u8>> {
    let mut words = value.split(|&b| b == b' ').filter(|word| !word.is_empty());
    if words.next() != Some(b"Z") {
        return None;
    }
    let mut level = None;
    while let Some(setting) = words.next() {
        match (setting, words.next()?) {
            (b"ENGINE", b"ZLIB") => {}
            (b"LEVEL", [digit @ b'1'..=b'9']) => level = Some(digit - b'0'),
            _ => return None,
        }
    }
    Some(level)
}

/// The argument of RANG. `1 0` takes a range back; any other whose end comes before its beginning is wrong.
pub(super) fn parse_range(word: &[u8]) -> Option<Option<(u64, u64)>> {
    let mut words = word.split(|&b| b == b' ').filter(|word| !word.is_empty());
    let (first, last) = (number(words.next()?)?, number(words.next()?)?);
    if words.next().is_some() {
        return None;
    }
    match (first, last) {
        (1, 0) => Some(None),
        (first, last) if first <= last => Some(Some((first, last))),
        _ => None,
    }
}

/// RFC 7151 section 3.1: a host name, an IPv4 address, or an IPv6 address in brackets. A colon elsewhere would be a port,
/// which has no place here.
pub(super) fn parse_host(word: &[u8]) -> Option<Text> {
    let text = std::str::from_utf8(word).ok().filter(|text| text.len() <= MAX_HOST)?;
    let is_address = match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(ip) => ip.parse::<Ipv6Addr>().is_ok(),
        None => text.parse::<Ipv4Addr>().is_ok(),
    };
    let part =
        |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    let is_name = text.strip_suffix('.').unwrap_or(text).split('.').all(part);
    if is_address || is_name { Text::new(word).ok() } else { None }
}

/// The argument of an MDTM that may be meant to set a time.
pub(super) fn parse_timed(arg: &[u8]) -> Option<Timed> {
    let (time, file) = first_word(arg)?;
    let at = stamp::parse(time)?;
    Some(Timed { at, path: PathArg::new(file).ok()?, whole: PathArg::new(arg).ok()? })
}

/// The facts of MFF, `name=value;...`: each that is not known, or cannot be set, refuses all of them.
pub(super) fn parse_facts(facts: &[u8]) -> Result<Changes, CommandError> {
    let mut changes = Changes::default();
    for fact in facts.strip_suffix(b";").unwrap_or(facts).split(|&b| b == b';') {
        let at = fact.iter().position(|&b| b == b'=').ok_or(CommandError::Argument(Verb::Mff))?;
        let (name, value) = fact.split_at_checked(at).ok_or(CommandError::Argument(Verb::Mff))?;
        let value = value.get(1..).unwrap_or_default();
        let bad = || CommandError::Argument(Verb::Mff);
        match name.to_ascii_lowercase().as_slice() {
            b"modify" => changes.modified = Some(stamp::parse(value).ok_or_else(bad)?),
            b"unix.mode" => changes.mode = Some(octal(value).ok_or_else(bad)?),
            _ => return Err(CommandError::Parameter(Verb::Mff)),
        }
    }
    Ok(changes)
}

pub(super) fn parse_comb(arg: &[u8]) -> Result<Command, CommandError> {
    let all = names(arg).filter(|all| all.len() <= MAX_PARTS).ok_or(CommandError::Argument(Verb::Comb))?;
    let all: Vec<PathArg> = all.into_iter().map(|one| name(Verb::Comb, &one)).collect::<Result<_, _>>()?;
    match all.split_first() {
        Some((target, parts)) if !parts.is_empty() => Ok(Command::Comb(target.clone(), parts.to_vec())),
        _ => Err(CommandError::Argument(Verb::Comb)),
    }
}

/// `PATH`, or `"PATH" [FROM [TO]]`: only a path in quotes can be told from numbers behind it.
pub(super) fn parse_digest(verb: Verb, arg: &[u8]) -> Result<Digest, CommandError> {
    let bad = || CommandError::Argument(verb);
    if !arg.trim_ascii_start().starts_with(b"\"") {
        return Ok(Digest { verb, path: name(verb, arg)?, from: 0, to: None });
    }
    let words = names(arg).ok_or_else(bad)?;
    let numbers: Option<Vec<u64>> = words.iter().skip(1).map(|word| number(word)).collect();
    let path = name(verb, words.first().ok_or_else(bad)?)?;
    match numbers.ok_or_else(bad)?.as_slice() {
        [] => Ok(Digest { verb, path, from: 0, to: None }),
        [from] => Ok(Digest { verb, path, from: *from, to: None }),
        [from, to] if from <= to => Ok(Digest { verb, path, from: *from, to: Some(*to) }),
        _ => Err(bad()),
    }
}

/// Names parted by blanks; one with blanks in it stands in quotes, and a quote within those is doubled.
fn names(arg: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    let mut rest = arg.trim_ascii();
    while let Some(first) = rest.first() {
        let mut one = Vec::new();
        if *first == b'"' {
            let mut at = 1;
            loop {
                match (rest.get(at)?, rest.get(at + 1)) {
                    (b'"', Some(b'"')) => {
                        one.push(b'"');
                        at += 2;
                    }
                    (b'"', None | Some(b' ')) => break,
                    (b'"', Some(_)) => return None,
                    (b, _) => {
                        one.push(*b);
                        at += 1;
                    }
                }
            }
            rest = rest.get(at + 1..)?;
        } else {
            let end = rest.iter().position(|&b| b == b' ').unwrap_or(rest.len());
            one.extend_from_slice(rest.get(..end)?);
            rest = rest.get(end..)?;
        }
        rest = rest.trim_ascii_start();
        all.push(one);
    }
    Some(all)
}

/// Permission bits: at most four octal digits, 0 to 0777.
fn octal(word: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(word).ok().filter(|m| m.len() <= 4 && m.bytes().all(|b| b.is_ascii_digit()))?;
    u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &str) -> Result<Command, CommandError> {
        Command::parse(line.as_bytes())
    }

    fn arg(text: &str) -> PathArg {
        PathArg::new(text).unwrap()
    }

    #[test]
    fn utime_in_both_forms() {
        let at: Timestamp = "2005-05-02T21:07:00Z".parse().unwrap();
        for line in [
            "SITE UTIME 200505022107 a b.txt",
            "SITE UTIME 20050502210700 a b.txt",
            "SITE UTIME a b.txt 20040101000000 20050502210700 20030101000000 UTC",
            "site utime a b.txt 20040101000000 20050502210700 20030101000000 utc",
        ] {
            assert_eq!(command(line), Ok(Command::Site(Site::Utime(at, arg("a b.txt")))), "{line}");
        }
        for line in ["SITE UTIME", "SITE UTIME x", "SITE UTIME x y", "SITE UTIME a 2004 2005 2006 UTC"] {
            assert_eq!(command(line), Err(CommandError::SiteArgument(SiteVerb::Utime)), "{line}");
        }
    }

    #[test]
    fn names_may_stand_in_quotes() {
        let symlink = |target, link| Command::Site(Site::Symlink { target: arg(target), link: arg(link) });
        assert_eq!(command("SITE SYMLINK a b"), Ok(symlink("a", "b")));
        assert_eq!(command(r#"SITE SYMLINK "a b"  "c ""d""" "#), Ok(symlink("a b", r#"c "d""#)));
        for line in
            ["SITE SYMLINK a", "SITE SYMLINK a b c", r#"SITE SYMLINK "a b"#, r#"SITE SYMLINK "a"b c"#, "SITE SYMLINK"]
        {
            assert_eq!(command(line), Err(CommandError::SiteArgument(SiteVerb::Symlink)), "{line}");
        }
        assert_eq!(command(r#"COMB "t" a "b c""#), Ok(Command::Comb(arg("t"), vec![arg("a"), arg("b c")])));
        assert_eq!(command("COMB t"), Err(CommandError::Argument(Verb::Comb)));
        assert!(command(&format!("COMB t{}", " p".repeat(MAX_PARTS - 1))).is_ok());
        assert!(command(&format!("COMB t{}", " p".repeat(MAX_PARTS))).is_err());
    }

    #[test]
    fn digests_of_parts_need_the_quotes() {
        let digest = |path, from, to| Ok(Command::Digest(Digest { verb: Verb::Xcrc, path: arg(path), from, to }));
        assert_eq!(command("XCRC a b 0 9"), digest("a b 0 9", 0, None));
        assert_eq!(command(r#"XCRC "a b" 1 9"#), digest("a b", 1, Some(9)));
        assert_eq!(command(r#"XCRC "a b" 1"#), digest("a b", 1, None));
        assert_eq!(command(r#"XCRC "a b""#), digest("a b", 0, None));
        for line in [r#"XCRC "a" 9 1"#, r#"XCRC "a" x"#, r#"XCRC "a" 1 2 3"#, r#"XCRC "a"#] {
            assert_eq!(command(line), Err(CommandError::Argument(Verb::Xcrc)), "{line}");
        }
    }

    #[test]
    fn ranges_and_how_they_are_taken_back() {
        assert_eq!(command("RANG 0 0"), Ok(Command::Rang(Some((0, 0)))));
        assert_eq!(command("RANG 5000000000 6000000000"), Ok(Command::Rang(Some((5_000_000_000, 6_000_000_000)))));
        assert_eq!(command("RANG 1 0"), Ok(Command::Rang(None)));
        for line in ["RANG 2 0", "RANG 2 1", "RANG 1", "RANG 1 2 3", "RANG -1 2", "RANG 0 9223372036854775808"] {
            assert_eq!(command(line), Err(CommandError::Argument(Verb::Rang)), "{line}");
        }
    }

    #[test]
    fn options_of_mode_z() {
        let level = |line: &str| match command(line) {
            Ok(Command::Opts(Opts::ModeZ(level))) => Ok(level),
            other => Err(other),
        };
        assert_eq!(level("OPTS MODE Z"), Ok(None));
        assert_eq!(level("OPTS MODE Z LEVEL 9"), Ok(Some(9)));
        assert_eq!(level("opts mode z engine zlib level 1"), Ok(Some(1)));
        for line in ["OPTS MODE", "OPTS MODE B", "OPTS MODE Z LEVEL", "OPTS MODE Z LEVEL 10", "OPTS MODE Z LEVEL 0"] {
            assert_eq!(command(line), Err(CommandError::Argument(Verb::Opts)), "{line}");
        }
    }

    #[test]
    fn hosts_are_names_or_addresses() {
        for host in ["ftp.example.com", "FTP.example.com.", "localhost", "192.0.2.1", "[2001:db8::1]", "a_b-c"] {
            assert!(matches!(command(&format!("HOST {host}")), Ok(Command::Host(_))), "{host}");
        }
        let long = "a".repeat(MAX_HOST + 1);
        for host in ["ftp.example.com:21", "2001:db8::1", "[2001:db8::1", "a..b", ".", "a b", "x/y", "\u{e9}", &long] {
            assert_eq!(command(&format!("HOST {host}")), Err(CommandError::Argument(Verb::Host)), "{host}");
        }
    }

    #[test]
    fn facts_that_can_be_set() {
        let at = "2005-05-02T21:07:00Z".parse().unwrap();
        let both = Changes { modified: Some(at), mode: Some(0o640) };
        assert_eq!(command("MFF modify=20050502210700;UNIX.mode=0640; a b"), Ok(Command::Mff(both, arg("a b"))));
        assert_eq!(
            command("MFF Modify=20050502210700 x"),
            Ok(Command::Mff(Changes { mode: None, ..both }, arg("x"))),
            "the last semicolon may be missing"
        );
        assert_eq!(command("MFF Create=20050502210700; x"), Err(CommandError::Parameter(Verb::Mff)));
        for line in ["MFF x", "MFF Modify x", "MFF Modify=2005; x", "MFF UNIX.mode=999; x", "MFF ; x"] {
            assert_eq!(command(line), Err(CommandError::Argument(Verb::Mff)), "{line}");
        }
    }

    #[test]
    fn modes_are_four_octal_digits_at_the_most() {
        let chmod = |mode| Ok(Command::Site(Site::Chmod(mode, arg("x"))));
        assert_eq!((command("SITE CHMOD 0640 x"), command("SITE CHMOD 7 x")), (chmod(0o640), chmod(7)));
        for mode in ["00640", "1000", "8", "+640", "-1", "u+x"] {
            let refused = Err(CommandError::SiteArgument(SiteVerb::Chmod));
            assert_eq!(command(&format!("SITE CHMOD {mode} x")), refused, "{mode}");
        }
    }

    #[test]
    fn a_time_that_is_set_by_mdtm() {
        let timed = |at: &str, path, whole| {
            Ok(Command::SetMdtm(Timed { at: at.parse().unwrap(), path: arg(path), whole: arg(whole) }))
        };
        assert_eq!(command("MDTM 20050502210700 a b"), timed("2005-05-02T21:07:00Z", "a b", "20050502210700 a b"));
        for line in ["MDTM 20050502210700", "MDTM 2005 a", "MDTM a b"] {
            assert!(matches!(command(line), Ok(Command::Mdtm(_))), "{line}");
        }
    }
}
