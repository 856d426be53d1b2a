//! TYPE A: the line ends of a file and those of the wire (RFC 959 section 3.1.1.1).

/// From a file's line ends to the wire's: each LF that has no CR before it becomes CR LF. CR LF stays as it is, so that
/// a file that already has the wire's line ends is not changed by the journey.
#[derive(Clone, Copy, Debug, Default)]
pub struct ToWire {
    after_cr: bool,
}

impl ToWire {
    /// Appends the wire form of `input` to `out`; at most twice as many bytes.
    pub fn convert(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let mut rest = input;
        while let Some(lf) = rest.iter().position(|&b| b == b'\n') {
            let (head, tail) = rest.split_at_checked(lf).unwrap_or((rest, &[]));
            out.extend_from_slice(head);
            let after_cr = head.last().map_or(self.after_cr, |&b| b == b'\r');
            out.extend_from_slice(if after_cr { b"\n" } else { b"\r\n" });
            self.after_cr = false;
            rest = tail.get(1..).unwrap_or_default();
        }
        out.extend_from_slice(rest);
        if let Some(&last) = rest.last() {
            self.after_cr = last == b'\r';
        }
    }

    /// How many bytes `input` has on the wire, as [`ToWire::convert`] would write them.
    pub fn wire_len(&mut self, input: &[u8]) -> u64 {
        let mut extra = 0u64;
        for &b in input {
            if b == b'\n' && !self.after_cr {
                extra += 1;
            }
            self.after_cr = b == b'\r';
        }
        input.len() as u64 + extra
    }
}

/// From the wire's line ends to those of Unix: each CR LF becomes LF. Any other CR is kept.
#[derive(Clone, Copy, Debug, Default)]
pub struct FromWire {
    held_cr: bool,
}

impl FromWire {
    /// Appends the local form of `input` to `out`; at most one byte more than `input` has. A CR at the end is held back
    /// until it is known what follows: call [`FromWire::finish`] at the end.
    pub fn convert(&mut self, input: &[u8], out: &mut Vec<u8>) {
        for &b in input {
            if self.held_cr && b != b'\n' {
                out.push(b'\r');
            }
            self.held_cr = b == b'\r';
            if !self.held_cr {
                out.push(b);
            }
        }
    }

    /// Appends a CR that was the last byte of all.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.held_cr) {
            out.push(b'\r');
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn to_wire(chunks: &[&[u8]]) -> Vec<u8> {
        let (mut c, mut out) = (ToWire::default(), Vec::new());
        chunks.iter().for_each(|chunk| c.convert(chunk, &mut out));
        out
    }

    fn from_wire(chunks: &[&[u8]]) -> Vec<u8> {
        let (mut c, mut out) = (FromWire::default(), Vec::new());
        chunks.iter().for_each(|chunk| c.convert(chunk, &mut out));
        c.finish(&mut out);
        out
    }

    #[test]
    fn line_ends() {
        assert_eq!(to_wire(&[b"a\nb\r\n\nc\rd\n"]), b"a\r\nb\r\n\r\nc\rd\r\n");
        assert_eq!(from_wire(&[b"a\r\nb\r\r\nc\rd\ne\r"]), b"a\nb\r\nc\rd\ne\r");
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'x')], 0..60),
            cut in 0usize..60,
        ) {
            let cut = cut.min(bytes.len());
            let (a, b) = bytes.split_at(cut);
            let wire = to_wire(&[&bytes]);
            prop_assert_eq!(&to_wire(&[a, b]), &wire);
            prop_assert_eq!(from_wire(&[a, b]), from_wire(&[&bytes]));
            let mut counter = ToWire::default();
            prop_assert_eq!(counter.wire_len(a) + counter.wire_len(b), wire.len() as u64);
        }

        #[test]
        fn unix_text_comes_back(text in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'x')], 0..60)) {
            prop_assert_eq!(from_wire(&[&to_wire(&[&text])]), text);
        }
    }
}
