//! The bounce attack.

use crate::bench::Bench;
use crate::play::expect;

/// No connection to a port below 1024, and none to a host other than the client: 504, and no data is sent.
#[test]
fn only_to_the_client_and_to_no_service() {
    let mut b = Bench::logged_in("ftp");
    expect(
        &mut b,
        &[
            ("PORT 192,0,2,1,3,255", &[504]),
            ("PORT 192,0,2,1,0,25", &[504]),
            ("PORT 192,0,2,9,19,137", &[504]),
            ("EPRT |1|192.0.2.9|5001|", &[504]),
            ("EPRT |1|192.0.2.1|25|", &[504]),
            ("LIST", &[425]),
            ("PORT 192,0,2,1,4,0", &[200]),
        ],
    );
}
