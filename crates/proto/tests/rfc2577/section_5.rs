//! Guessing passwords.

use crate::bench::Bench;
use crate::play::expect;

/// The number of tries is limited (three by default), and then the connection ends with 421.
#[test]
fn few_tries() {
    let mut b = Bench::new();
    expect(&mut b, &[("USER root\r\nPASS 1", &[331, 530]), ("USER ann\r\nPASS 2", &[331, 530])]);
    expect(&mut b, &[("USER root\r\nPASS 3", &[331, 421])]);
    assert!(b.closed);
}
