//! ABOR, and finding back into step.

use crate::play::{PASSIVE, transcript};

#[test]
fn aborts() {
    let started = format!(
        "? get f {PASSIVE}\n C: RETR f\n S: 150 go\n started #0 RETR: 150 go\n ? abort\n urgent [ff, f4, ff, f2]\n C: ABOR"
    );
    transcript(&format!("{started}\n S: 426 stopped\n release #0\n S: 226 ok\n done aborted\n ? cwd a\n C: CWD a"));
    transcript(&format!("{started}\n S: 226 was quicker\n release #0\n S: 225 ok\n done aborted"));
    // Given up itself, and asked for again: there is one ABOR.
    transcript(&format!("{started}\n ? abort\n S: 426 stopped\n release #0\n ? abort\n S: 226 ok\n done aborted"));
    transcript(&format!("{started}\n > after 1\n release #0\n ? abort\n S: 426 stopped\n S: 226 ok\n done aborted"));
    // The server ends the data only when it is made to.
    transcript(&format!("{started}\n > after 1\n release #0\n S: 426 stopped\n S: 226 ok\n done aborted"));
    // One reply for both.
    transcript(&format!("{started}\n S: 226 stopped\n release #0\n > after 2\n C: NOOP\n S: 200 ok\n done aborted"));
    transcript(&format!(
        "{started}\n S: 426 stopped\n release #0\n > after 2\n C: NOOP\n S: 226 late\n S: 200 ok\n done aborted"
    ));
    // None at all.
    transcript(&format!(
        "{started}\n > after 1\n release #0\n > after 9
        error transfer: the transfer could not be stopped within 10s
        close
        ? cwd a
        error transfer: the transfer could not be stopped within 10s"
    ));
}

#[test]
fn what_was_given_up_is_waited_for() {
    transcript("? cwd a\n C: CWD a\n ? abort\n S: 250 ok\n done aborted");
    transcript("? get f\n C: EPSV\n ? abort\n S: 229 ok (|||5000|)\n done aborted");
    transcript("? get f active\n do #0 listen\n ? abort\n release #0\n done aborted");
    transcript("? abort\n done aborted");
}
