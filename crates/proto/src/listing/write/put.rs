//! What all writers of listings share: numbers and names, appended without an allocation of their own.

/// Appends `n` in decimal, right-aligned in `width` columns (at most 20).
pub(super) fn right(out: &mut Vec<u8>, n: u64, width: usize) {
    number(out, n, width, b' ');
}

/// Appends `n` in decimal with zeros before it, `width` digits or more (at most 20).
pub(super) fn zeros(out: &mut Vec<u8>, n: u64, width: usize) {
    number(out, n, width, b'0');
}

fn number(out: &mut Vec<u8>, mut n: u64, width: usize, fill: u8) {
    let mut digits = [fill; 20];
    let mut len = 0;
    for slot in digits.iter_mut().rev() {
        *slot = b'0' + (n % 10) as u8;
        n /= 10;
        len += 1;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len().saturating_sub(len.max(width))..).unwrap_or_default());
}

/// Appends a name. CR, LF and NUL become `?`, so that a name cannot add a line, or cut one off.
///
/// No path of FTP can hold those bytes (see [`FtpPath`](crate::FtpPath)), so such a file cannot be fetched at all. It is
/// listed all the same, by MLSD too: a client that mirrors a tree then gets a 550 for it and can tell its user, where a
/// listing without it would let the copy pass for whole.
pub(super) fn name(out: &mut Vec<u8>, name: &[u8]) {
    out.extend(name.iter().map(|&b| if matches!(b, b'\r' | b'\n' | 0) { b'?' } else { b }));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_fill_their_columns() {
        let mut out = Vec::new();
        right(&mut out, 0, 3);
        right(&mut out, 1715, 2);
        zeros(&mut out, 7, 2);
        right(&mut out, u64::MAX, 99);
        assert_eq!(out, b"  017150718446744073709551615");
    }

    proptest! {
        #[test]
        fn numbers_are_written_as_format_writes_them(n: u64, width in 0usize..=20) {
            let (mut spaced, mut zeroed) = (Vec::new(), Vec::new());
            right(&mut spaced, n, width);
            zeros(&mut zeroed, n, width);
            prop_assert_eq!(spaced, format!("{n:width$}").into_bytes());
            prop_assert_eq!(zeroed, format!("{n:0width$}").into_bytes());
        }
    }
}
