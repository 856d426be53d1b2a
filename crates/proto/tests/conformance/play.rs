//! Small helpers of the tests.

use port21_proto::server::{Action, Outcome, Secured, SessionSettings, StorageError, TlsMode, TlsSettings};

use crate::bench::{Bench, settings};

/// Each line brings exactly these codes.
#[track_caller]
pub(crate) fn expect(b: &mut Bench, lines: &[(&str, &[u16])]) {
    for (line, codes) in lines {
        assert_eq!(&b.codes(line), codes, "{line}");
    }
}

/// The lines of the reply to `line`.
pub(crate) fn reply(b: &mut Bench, line: &str) -> Vec<String> {
    b.take();
    b.say(&format!("{line}\r\n"));
    b.take().into_iter().filter_map(|line| line.strip_prefix("S: ").map(str::to_owned)).collect()
}

/// A session with a passive port, in TYPE I, of somebody who may do everything.
pub(crate) fn ready() -> Bench {
    let mut b = Bench::logged_in("root");
    expect(&mut b, &[("TYPE I", &[200]), ("EPSV", &[229])]);
    b
}

/// What is asked of the driver when `line` is said; the small operations are not answered.
pub(crate) fn asked(b: &mut Bench, line: &str) -> Vec<String> {
    b.take();
    b.hold_all = true;
    b.say(&format!("{line}\r\n"));
    b.take().into_iter().filter_map(|line| line.strip_prefix("* ").map(str::to_owned)).collect()
}

/// Ends the upload that runs: its bytes last and it has its name.
pub(crate) fn stored(b: &mut Bench, bytes: u64) {
    b.complete(bytes);
    for _ in 0..2 {
        let op = b.only();
        b.answer(op, Outcome::Done(Ok(())));
    }
}

/// The code of the reply to `line` where the storage answers its one operation so.
pub(crate) fn refused(b: &mut Bench, line: &str, error: StorageError) -> Vec<u16> {
    b.take();
    b.hold_all = true;
    b.say(&format!("{line}\r\n"));
    let op = b.only();
    let outcome = match &b.held[&op] {
        Action::Open { .. } | Action::List(_) => Outcome::Opened(Err(error)),
        Action::Create { .. } => Outcome::Created(Err(error)),
        Action::Stat(_) | Action::Named(_) | Action::Facts(_) => Outcome::Entry(Err(error)),
        Action::Size { .. } | Action::TreeSize(_) | Action::Available(_) => Outcome::Size(Err(error)),
        Action::Describe(_) => Outcome::Described(Err(error)),
        Action::Who { .. } => Outcome::Text(Err(error)),
        Action::Digest(_) => Outcome::Digest(Err(error)),
        _ => Outcome::Done(Err(error)),
    };
    b.answer(op, outcome);
    b.hold_all = false;
    b.reply_codes()
}

pub(crate) fn with_tls(mode: TlsMode, tls: TlsSettings) -> Bench {
    let mut b = Bench::under(mode, SessionSettings { tls, ..settings() }, "192.0.2.1:1175".parse().unwrap());
    b.take();
    b
}

/// The handshake that is waited for ends well.
pub(crate) fn shake(b: &mut Bench) {
    let op = b.only();
    b.answer(op, Outcome::Secured(Ok(Secured { description: "TLS 1.3".into(), certificate: false })));
}
