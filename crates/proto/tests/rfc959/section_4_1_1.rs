//! Access control commands.

use crate::bench::Bench;
use crate::play::{expect, ready, reply};

/// USER names the user, PASS follows it immediately; without USER it is 503.
#[test]
fn a_login_is_user_and_then_pass() {
    let mut b = Bench::new();
    expect(&mut b, &[("PASS x", &[503]), ("USER root", &[331]), ("PASS secret", &[230]), ("PASS secret", &[503])]);
}

/// USER in a session begins a new login: what was known of the old user is forgotten, the transfer parameters are not.
#[test]
fn user_begins_anew_and_keeps_the_parameters() {
    let mut b = ready();
    expect(&mut b, &[("CWD pub", &[250]), ("USER ftp", &[331]), ("PWD", &[530]), ("PASS x", &[230])]);
    assert!(reply(&mut b, "PWD")[0].starts_with("257 \"/\""));
    assert!(reply(&mut b, "EPSV\r\nRETR readme.txt")[1].contains("BINARY"), "TYPE I stays");
    b.complete(1);
    expect(&mut b, &[("RETR readme.txt", &[425])]);
}

/// ACCT is understood; no account is needed, which 202 says.
#[test]
fn acct_is_superfluous() {
    let mut b = Bench::new();
    expect(&mut b, &[("ACCT x", &[503]), ("ACCT", &[501]), ("USER root", &[331]), ("ACCT x", &[503])]);
    expect(&mut b, &[("PASS secret", &[230]), ("ACCT x", &[202])]);
}

/// CWD changes the directory without altering the login; CDUP is CWD to the parent, with the codes of CWD.
#[test]
fn cwd_and_cdup() {
    let mut b = Bench::logged_in("ftp");
    expect(&mut b, &[("CWD pub", &[250]), ("CDUP", &[250]), ("CDUP", &[250]), ("CWD nosuch", &[550])]);
    expect(&mut b, &[("CWD readme.txt", &[550]), ("CWD", &[501]), ("XCWD pub", &[250]), ("XCUP", &[250])]);
    assert!(reply(&mut b, "PWD")[0].starts_with("257 \"/\""));
}

/// REIN ends the login and resets all parameters; a transfer that runs is completed first.
#[test]
fn rein_resets_everything_behind_a_transfer() {
    let mut b = ready();
    b.codes("RETR readme.txt");
    b.say("REIN\r\n");
    assert!(b.reply_codes().is_empty());
    b.complete(1715);
    assert_eq!(b.reply_codes(), [226, 220]);
    expect(&mut b, &[("PWD", &[530]), ("USER ftp", &[331]), ("PASS x", &[230]), ("MODE Z", &[200])]);
    assert!(reply(&mut b, "EPSV\r\nRETR readme.txt")[1].contains("ASCII"), "TYPE is A again");
}

/// QUIT ends the session with 221; a transfer that runs is completed first.
#[test]
fn quit_waits_for_a_transfer() {
    let mut b = ready();
    b.codes("RETR readme.txt");
    b.say("QUIT\r\nNOOP\r\n");
    assert!(b.reply_codes().is_empty() && !b.closed);
    b.complete(1715);
    assert_eq!(b.reply_codes(), [226, 221]);
    assert!(b.closed);
}

/// An end of the control connection without QUIT aborts a transfer and logs out, as ABOR and QUIT would.
#[test]
fn an_unexpected_close_is_an_abort_and_a_logout() {
    let mut b = ready();
    b.codes("STOR x");
    b.eof();
    assert!(b.take().contains(&"* cancel transfer Up".to_owned()));
    b.complete(9);
    assert_eq!(b.reply_codes(), [426]);
    assert!(b.closed);
}
