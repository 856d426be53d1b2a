//! Names.

use crate::bench::Bench;
use crate::play::asked;

/// A name may have any byte but those that end a line: blanks and bytes beyond ASCII come through as they are (section
/// 4.1.4.1).
#[test]
fn any_name() {
    for name in ["a b", " leading", "größe", "a\"b", "-x", "*"] {
        let got = asked(&mut Bench::logged_in("root"), &format!("DELE {name}"));
        assert!(got[0].contains(&format!("/{name}")), "{got:?}");
    }
}
