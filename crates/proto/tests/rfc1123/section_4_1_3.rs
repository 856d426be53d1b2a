//! Specific issues.

use std::time::Duration;

use crate::bench::Bench;
use crate::play::{expect, ready};

/// Commands under the names of experiments must be understood: XCUP, XCWD, XMKD, XPWD, XRMD (section 4.1.3.1).
#[test]
fn names_that_begin_with_x() {
    let mut b = Bench::logged_in("root");
    expect(
        &mut b,
        &[("XMKD x", &[257]), ("XCWD pub", &[250]), ("XPWD", &[257]), ("XCUP", &[250]), ("XRMD pub", &[250])],
    );
}

/// An idle session may be ended, with 421, after no less than five minutes by default; a transfer is not idle (section
/// 4.1.3.2).
#[test]
fn idle() {
    let mut b = Bench::logged_in("ftp");
    b.pass(Duration::from_secs(299));
    expect(&mut b, &[("NOOP", &[200])]);
    b.pass(Duration::from_secs(301));
    assert_eq!(b.reply_codes(), [421]);
    assert!(b.closed);
}

/// Data and control may be used at the same time: commands are read while a transfer runs (section 4.1.3.3).
#[test]
fn concurrently() {
    let mut b = ready();
    b.codes("RETR readme.txt");
    expect(&mut b, &[("NOOP", &[200]), ("STAT", &[211])]);
    b.complete(1715);
    assert_eq!(b.reply_codes(), [226]);
}
