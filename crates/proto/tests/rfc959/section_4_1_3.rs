//! Service commands.

use port21_proto::server::{Action, TlsMode, TlsSettings, TransferError};
use port21_proto::verb::VERBS;

use crate::bench::Bench;
use crate::play::{asked, expect, ready, reply, shake, stored, with_tls};

/// RETR sends a copy of the file.
#[test]
fn retr() {
    let mut b = ready();
    expect(&mut b, &[("RETR readme.txt", &[150])]);
    b.complete(1715);
    assert_eq!(b.reply_codes(), [226]);
}

/// STOR makes the file, or replaces one that is there.
#[test]
fn stor() {
    let mut b = ready();
    expect(&mut b, &[("STOR readme.txt", &[150])]);
    stored(&mut b, 9);
    assert_eq!(b.reply_codes(), [226]);
    let mut b = ready();
    assert_eq!(asked(&mut b, "STOR readme.txt"), ["create /readme.txt Whole"]);
}

/// STOU makes a file of a name that is unique in the directory; the name is told.
#[test]
fn stou() {
    let mut b = ready();
    assert_eq!(reply(&mut b, "STOU"), ["150 FILE: /ftp"]);
    stored(&mut b, 9);
    assert_eq!(b.reply_codes(), [226]);
    let mut b = ready();
    assert_eq!(asked(&mut b, "STOU name"), ["create /name Unique"]);
}

/// APPE adds to a file that is there, and else makes it.
#[test]
fn appe() {
    let mut b = ready();
    assert_eq!(asked(&mut b, "APPE readme.txt"), ["create /readme.txt End"]);
}

/// ALLO announces a size, with or without that of a record; who needs no room reserved may treat it as NOOP.
#[test]
fn allo() {
    let mut b = ready();
    expect(&mut b, &[("ALLO 1000", &[200]), ("ALLO 1000 R 80", &[200]), ("ALLO", &[501]), ("ALLO x", &[501])]);
    expect(&mut b, &[("ALLO 1 R", &[501]), ("ALLO 1 X 2", &[501]), ("ALLO 1 R 2 3", &[501])]);
    b.hold_all = true;
    b.say("ALLO 1000\r\nSTOR x\r\n");
    assert!(matches!(b.held[&b.only()], Action::Create { announced: Some(1000), .. }));
}

/// REST names where the next transfer begins, and is followed by it.
#[test]
fn rest() {
    let mut b = ready();
    expect(&mut b, &[("REST 100", &[350])]);
    assert_eq!(asked(&mut b, "RETR readme.txt"), ["open /readme.txt from 100"]);
}

/// RNFR and RNTO together rename; RNTO must follow RNFR immediately.
#[test]
fn rnfr_and_rnto() {
    let mut b = Bench::logged_in("root");
    expect(&mut b, &[("RNFR readme.txt", &[350]), ("RNTO x", &[250]), ("RNTO x", &[503])]);
    expect(&mut b, &[("RNFR readme.txt", &[350]), ("NOOP", &[200]), ("RNTO x", &[503]), ("RNFR nosuch", &[550])]);
}

/// ABOR during a transfer: 426 for the transfer, then 226 for ABOR.
#[test]
fn abor_of_a_transfer() {
    let mut b = ready();
    b.codes("RETR readme.txt");
    b.say("ABOR\r\n");
    b.fail(TransferError::Cancelled);
    assert_eq!(b.reply_codes(), [426, 226]);
}

/// ABOR where the transfer was complete already: 226 for it, and 226 for ABOR.
#[test]
fn abor_of_a_transfer_that_is_complete() {
    let mut b = ready();
    b.codes("RETR readme.txt");
    b.say("ABOR\r\n");
    b.complete(1715);
    assert_eq!(b.reply_codes(), [226, 226]);
}

/// ABOR without a transfer: 225 where a data connection was agreed on, else 226.
#[test]
fn abor_at_rest() {
    let mut b = Bench::logged_in("ftp");
    expect(&mut b, &[("ABOR", &[226]), ("PASV", &[227]), ("ABOR", &[225])]);
}

/// DELE removes a file, RMD a directory, MKD makes one and quotes its name.
#[test]
fn dele_rmd_mkd() {
    let mut b = Bench::logged_in("root");
    expect(&mut b, &[("DELE readme.txt", &[250]), ("DELE nosuch", &[550]), ("RMD pub", &[250]), ("XRMD pub", &[250])]);
    assert_eq!(reply(&mut b, "MKD a \"b\""), [r#"257 "/a ""b""" directory created."#]);
    assert_eq!(b.codes("XMKD c"), [257]);
}

/// PWD tells the working directory, quoted.
#[test]
fn pwd() {
    let mut b = Bench::logged_in("ftp");
    assert_eq!(reply(&mut b, "PWD"), [r#"257 "/" is the current directory."#]);
    assert_eq!(b.codes("XPWD"), [257]);
}

/// LIST and NLST send a listing of the path, or of the working directory, over the data connection.
#[test]
fn list_and_nlst() {
    let mut b = Bench::logged_in("ftp");
    for line in ["LIST", "LIST pub", "NLST", "NLST pub"] {
        expect(&mut b, &[("PASV", &[227]), (line, &[150])]);
        b.complete(10);
        assert_eq!(b.reply_codes(), [226], "{line}");
    }
    expect(&mut b, &[("PASV", &[227]), ("LIST nosuch", &[550])]);
}

/// SITE is for commands of this server, which SITE HELP lists.
#[test]
fn site() {
    let mut b = Bench::logged_in("root");
    expect(&mut b, &[("SITE HELP", &[214]), ("SITE CHMOD 644 readme.txt", &[200]), ("SITE", &[501])]);
    let listed = reply(&mut b, "SITE HELP");
    assert_eq!(reply(&mut b, "HELP SITE"), listed);
    assert_eq!(listed[1], " CHMOD MODE PATH: set the permission bits of a file");
    assert_eq!(reply(&mut b, "HELP site chmod"), ["214 SITE CHMOD MODE PATH: set the permission bits of a file"]);
    expect(&mut b, &[("HELP SITE EXEC", &[501])]);
}

/// What would be refused is not listed.
#[test]
fn site_help_lists_what_the_session_may_use() {
    let listed = |b: &mut Bench, line: &str| -> Vec<String> {
        let inner = reply(b, line).into_iter().filter_map(|line| line.strip_prefix(' ').map(str::to_owned));
        inner.filter_map(|line| line.split([' ', ':']).next().map(str::to_owned)).collect()
    };
    for (user, want) in [
        ("admin", &["CHMOD", "HELP", "SYMLINK", "UTIME", "WHO"][..]),
        ("root", &["CHMOD", "HELP", "UTIME", "WHO"]),
        ("ftp", &["HELP"]),
    ] {
        let mut b = Bench::logged_in(user);
        for line in ["SITE HELP", "HELP SITE"] {
            assert_eq!(listed(&mut b, line), want, "{user}: {line}");
        }
    }
    assert_eq!(listed(&mut Bench::new(), "HELP SITE"), ["HELP"]);
}

/// An argument of a command behind SITE that is none is 501, with the syntax of that very command.
#[test]
fn site_commands_tell_their_syntax() {
    let mut b = Bench::logged_in("admin");
    for (lines, usage) in [
        (&["SITE CHMOD 9 t", "site chmod", "SITE CHMOD 644"][..], "CHMOD MODE PATH"),
        (&["SITE UTIME", "SITE UTIME x y"], "UTIME YYYYMMDDhhmm[ss] PATH"),
        (&["SITE SYMLINK a", "SITE SYMLINK a b c"], "SYMLINK TARGET LINK"),
    ] {
        for line in lines {
            assert_eq!(reply(&mut b, line), [format!("501 Bad argument: SITE {usage}")], "{line}");
        }
    }
    assert_eq!(reply(&mut b, "SITE EXEC ls"), ["504 SITE has no such parameter here: SITE COMMAND|HELP"]);
}

/// SYST names the system by a word of the list of assigned numbers.
#[test]
fn syst() {
    assert_eq!(reply(&mut Bench::new(), "SYST"), ["215 UNIX Type: L8"]);
}

/// STAT without an argument tells the session's parameters and its connections; during a transfer, how far that is.
#[test]
fn stat() {
    let mut b = ready();
    let text = reply(&mut b, "STAT").join("\n");
    assert!(text.starts_with("211-") && text.contains("Logged in as root") && text.contains("TYPE I, STRU F, MODE S"));
    b.codes("RETR readme.txt");
    let op = b.only();
    b.session.handle_progress(b.now, op, 700);
    assert!(reply(&mut b, "STAT").join("\n").contains("RETR readme.txt running, 700 bytes"));
}

/// STAT with a path is LIST over the control connection: 212 where it is of what is in a directory, 213 where it is of a file,
/// or of the files that a pattern matches (section 4.2.1).
#[test]
fn stat_of_a_path() {
    let mut b = Bench::logged_in("ftp");
    expect(&mut b, &[("STAT readme.txt", &[213]), ("STAT -l pub", &[212]), ("STAT nosuch", &[550])]);
    expect(&mut b, &[("STAT /", &[212]), ("STAT -l", &[212]), ("STAT *.txt", &[213])]);
    assert!(reply(&mut b, "STAT pub")[0].starts_with("212-"));
}

/// HELP lists the commands, with an argument it tells more of one; it may be asked before USER. Of those about TLS there are
/// the ones that FEAT offers.
#[test]
fn help() {
    let about_tls = |mode, allow_ccc| {
        let mut b = with_tls(mode, TlsSettings { allow_ccc, ..TlsSettings::default() });
        if mode == TlsMode::Implicit {
            shake(&mut b);
        }
        let all = reply(&mut b, "HELP").join(" ");
        let mut offered = Vec::new();
        for facts in VERBS {
            let listed = all.split_ascii_whitespace().any(|word| word == facts.name);
            let told = b.codes(&format!("HELP {}", facts.name.to_lowercase())) == [214];
            assert_eq!(listed, told, "{}", facts.name);
            if facts.verb.is_about_tls() && listed {
                offered.push(facts.name);
            }
            assert!(listed || facts.verb.is_about_tls(), "{}", facts.name);
        }
        expect(&mut b, &[("HELP NOSUCH", &[501])]);
        offered.join(" ")
    };
    assert_eq!(about_tls(TlsMode::Off, true), "");
    assert_eq!(about_tls(TlsMode::Offer, false), "AUTH PBSZ PROT");
    assert_eq!(about_tls(TlsMode::Require, true), "AUTH PBSZ PROT CCC");
    assert_eq!(about_tls(TlsMode::Implicit, true), "PBSZ PROT CCC");
}

/// NOOP does nothing but to be answered with 200.
#[test]
fn noop() {
    let mut b = Bench::new();
    expect(&mut b, &[("NOOP", &[200]), ("noop", &[200])]);
}
