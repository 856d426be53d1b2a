//! User names.

use crate::bench::Bench;
use crate::play::reply;

/// USER is answered alike whether there is such a user or not, and so is a wrong password.
#[test]
fn are_not_told() {
    for line in ["USER root", "USER root\r\nPASS x"] {
        let unknown = line.replace("root", "nobody-has-this-name");
        assert_eq!(reply(&mut Bench::new(), line), reply(&mut Bench::new(), &unknown));
    }
}
