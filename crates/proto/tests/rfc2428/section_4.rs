//! EPSV ALL.

use crate::bench::Bench;
use crate::play::expect;

/// After EPSV ALL every other command for a data connection is refused, also those of a new login; REIN takes it back.
#[test]
fn is_a_promise() {
    let mut b = Bench::logged_in("ftp");
    expect(
        &mut b,
        &[
            ("EPSV ALL", &[200]),
            ("PASV", &[503]),
            ("PORT 192,0,2,1,9,9", &[503]),
            ("EPRT |1|192.0.2.1|6275|", &[503]),
            ("EPSV", &[229]),
            ("USER ftp\r\nPASS x\r\nPASV", &[331, 230, 503]),
            ("REIN\r\nUSER ftp\r\nPASS x\r\nPASV", &[220, 331, 230, 227]),
        ],
    );
}
