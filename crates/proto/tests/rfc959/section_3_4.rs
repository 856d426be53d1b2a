//! Transmission modes and structures.

use crate::bench::Bench;
use crate::play::expect;

/// Stream mode and file structure are there and are the default.
#[test]
fn stream_and_file() {
    let mut b = Bench::logged_in("ftp");
    expect(&mut b, &[("MODE S", &[200]), ("mode s", &[200]), ("STRU F", &[200]), ("stru f", &[200])]);
}

/// Block and compressed mode, record and page structure are refused with 504; what is no mode at all with 501.
#[test]
fn others_are_refused() {
    let mut b = Bench::logged_in("ftp");
    expect(
        &mut b,
        &[
            ("MODE B", &[504]),
            ("MODE C", &[504]),
            ("MODE X", &[501]),
            ("MODE", &[501]),
            ("STRU R", &[504]),
            ("STRU P", &[504]),
            ("STRU X", &[501]),
            ("STRU", &[501]),
        ],
    );
}
