//! Every key of every section is documented in the default file: found by asking serde which keys a struct has.

use serde::de::{self, DeserializeOwned, Deserializer, Visitor};

use super::*;

/// A further section has a line here.
fn sections() -> Vec<(&'static str, Vec<&'static str>)> {
    vec![
        ("site", keys_of::<Site>()),
        ("listen", keys_of::<Listen>()),
        ("tls", keys_of::<Tls>()),
        ("certificate", keys_of::<Certificate>()),
        ("anonymous", keys_of::<Anonymous>()),
        ("accounts", keys_of::<Accounts>()),
        ("user", keys_of::<User>()),
        ("authenticator", keys_of::<Authenticator>()),
        ("host", keys_of::<Host>()),
        ("logins", keys_of::<Logins>()),
        ("uploads", keys_of::<Uploads>()),
        ("passive", keys_of::<Passive>()),
        ("proxy", keys_of::<Proxy>()),
        ("timeouts", keys_of::<Timeouts>()),
        ("limits", keys_of::<Limits>()),
        ("record", keys_of::<Record>()),
        ("sandbox", keys_of::<Sandbox>()),
        ("log", keys_of::<Log>()),
        ("control", keys_of::<Control>()),
        ("metrics", keys_of::<Metrics>()),
        ("hook", keys_of::<Hook>()),
    ]
}

#[test]
fn every_section_is_looked_at() {
    let mut known: Vec<&str> = sections().iter().map(|(name, _)| *name).collect();
    let mut all = keys_of::<Config>();
    known.sort_unstable();
    all.sort_unstable();
    assert_eq!(known, all);
}

#[test]
fn every_key_is_documented_in_the_default_file() {
    for (section, keys) in sections() {
        let documented = documented_keys(section);
        assert!(!keys.is_empty(), "[{section}] has no key");
        for key in &keys {
            assert!(
                documented.contains(&(*key).to_owned()),
                "`{key}` of [{section}] is not documented: {documented:?}"
            );
        }
        assert_eq!(documented.len(), keys.len(), "[{section}] documents a key twice, or one that is not there");
    }
}

/// The keys of a section of the default file that have a comment above them.
fn documented_keys(section: &str) -> Vec<String> {
    let headers = [format!("[{section}]"), format!("[[{section}]]")];
    let header = |line: &str| line.strip_prefix('#').unwrap_or(line).starts_with('[');
    let lines: Vec<&str> = DEFAULT_FILE.lines().collect();
    let at = lines.iter().position(|line| headers.iter().any(|h| line.strip_prefix('#').unwrap_or(line) == h));
    let at = at.unwrap_or_else(|| panic!("there is no [{section}]"));
    let within: Vec<&str> = lines[at + 1..].iter().copied().take_while(|line| !header(line)).collect();
    let key = |line: &str| {
        let (key, _) = line.strip_prefix('#').unwrap_or(line).split_once(" = ")?;
        let is_key = !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        is_key.then(|| key.to_owned())
    };
    let pairs = std::iter::once("").chain(within.iter().copied()).zip(&within);
    pairs.filter(|(above, _)| above.starts_with("# ")).filter_map(|(_, line)| key(line)).collect()
}

/// The keys that a struct has in a file.
fn keys_of<T: DeserializeOwned>() -> Vec<&'static str> {
    let mut keys = Vec::new();
    assert!(T::deserialize(Asks(&mut keys)).is_err());
    keys
}

/// Takes down the names of a struct's fields, and gives nothing.
struct Asks<'a>(&'a mut Vec<&'static str>);

impl<'de> Deserializer<'de> for Asks<'_> {
    type Error = de::value::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields.to_vec();
        Err(de::Error::custom("asked"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(de::Error::custom("no struct"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct
        seq tuple tuple_struct map enum identifier ignored_any
    }
}
