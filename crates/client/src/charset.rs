//! Names in another charset than UTF-8.

use std::str::FromStr;

use encoding_rs::Encoding;

use crate::error::Error;

/// The charset of the names on a server that speaks no UTF-8 (RFC 2640): `windows-1251`, `shift_jis`, `iso-8859-2`, any
/// label of the WHATWG Encoding Standard whose charset has ASCII in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charset(&'static Encoding);

/// A label that names no charset of names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no charset that names can be in: one of them is windows-1252, another shift_jis")]
pub struct CharsetError(String);

impl FromStr for Charset {
    type Err = CharsetError;

    fn from_str(label: &str) -> Result<Charset, CharsetError> {
        let encoding = Encoding::for_label(label.as_bytes()).filter(|encoding| encoding.is_ascii_compatible());
        // What is written in `replacement` cannot be read, and nothing can be written in it.
        let encoding =
            encoding.filter(|encoding| encoding.can_encode_everything() == (*encoding == encoding_rs::UTF_8));
        encoding.map(Charset).ok_or_else(|| CharsetError(label.to_owned()))
    }
}

impl Charset {
    /// A name as the server has it.
    pub(crate) fn encode(self, name: &[u8]) -> Result<Vec<u8>, Error> {
        const WRONG: Error = Error::Usage("the name is not UTF-8, or has characters that the server's charset has not");
        let name = std::str::from_utf8(name).map_err(|_| WRONG)?;
        let (bytes, _, unmappable) = self.0.encode(name);
        // A name that would be another one on its way back is not sent.
        match !unmappable && self.decode(&bytes).is_some_and(|back| back == name.as_bytes()) {
            true => Ok(bytes.into_owned()),
            false => Err(WRONG),
        }
    }

    /// A name of the server's in UTF-8; nothing where it is in another charset.
    pub(crate) fn decode(self, name: &[u8]) -> Option<Vec<u8>> {
        let text = self.0.decode_without_bom_handling_and_without_replacement(name)?;
        Some(text.into_owned().into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_there_and_back() {
        for (label, name, bytes) in [
            ("windows-1252", "größe", &b"gr\xf6\xdfe"[..]),
            ("latin1", "größe", b"gr\xf6\xdfe"),
            ("koi8-r", "файл", b"\xc6\xc1\xca\xcc"),
            ("Shift_JIS", "表.txt", b"\x95\\.txt"),
            ("utf-8", "größe", "größe".as_bytes()),
        ] {
            let charset: Charset = label.parse().unwrap();
            assert_eq!(charset.encode(name.as_bytes()).unwrap(), bytes, "{label}");
            assert_eq!(charset.decode(bytes).unwrap(), name.as_bytes(), "{label}");
        }
    }

    #[test]
    fn names_that_it_has_not() {
        let latin: Charset = "windows-1252".parse().unwrap();
        assert!(latin.encode("файл".as_bytes()).is_err() && latin.encode(b"\xff").is_err());
        let japanese: Charset = "shift_jis".parse().unwrap();
        assert_eq!(japanese.decode(b"\xff"), None);
        // It would come back as another character.
        assert!(japanese.encode("\u{a5}".as_bytes()).is_err());
    }

    #[test]
    fn charsets_that_are_none() {
        for label in ["", "utf-16", "utf-16le", "iso-2022-jp", "replacement", "hz-gb-2312", "nonsense"] {
            assert_eq!(label.parse::<Charset>(), Err(CharsetError(label.to_owned())), "{label}");
        }
    }
}
