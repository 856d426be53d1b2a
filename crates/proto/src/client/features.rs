//! What a server says it can (FEAT, RFC 2389).

use crate::reply::Reply;

/// The lines of a FEAT reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    lines: Vec<Vec<u8>>,
}

/// The facts that a listing wants, where the server has them.
const WANTED_FACTS: [&str; 9] =
    ["type", "size", "modify", "perm", "unique", "unix.mode", "unix.owner", "unix.group", "unix.slink"];

impl Features {
    /// Reads a 211 reply: the lines between its first and its last (RFC 2389 section 3.2). Indented or not: the decoder
    /// of replies has taken a code before them off already.
    pub fn read(reply: &Reply) -> Features {
        let inner = match reply.lines() {
            [_, inner @ .., _] => inner,
            _ => &[],
        };
        let lines = inner.iter().map(|line| line.trim_ascii().to_vec()).filter(|line| !line.is_empty());
        Features { lines: lines.collect() }
    }

    /// The lines, without indent and code.
    pub fn lines(&self) -> &[Vec<u8>] {
        &self.lines
    }

    /// Whether the feature is there, in any case, with or without parameters.
    pub fn has(&self, name: &str) -> bool {
        self.parameters(name).is_some()
    }

    /// The parameters behind a feature's name, without the space: for `MLST` its facts.
    pub fn parameters(&self, name: &str) -> Option<&[u8]> {
        self.lines.iter().find_map(|line| {
            let (head, rest) = line.split_at_checked(name.len())?;
            let same = head.eq_ignore_ascii_case(name.as_bytes());
            (same && rest.first().is_none_or(|b| *b == b' ')).then(|| rest.trim_ascii())
        })
    }

    /// The argument of OPTS MLST that turns on every fact that a listing wants, where the server has one that is off
    /// (RFC 3659 section 7.8: a `*` marks those that are on).
    pub(super) fn facts_to_ask_for(&self) -> Option<Vec<u8>> {
        let facts = self.parameters("MLST")?;
        let mut ask = Vec::new();
        let mut missing = false;
        for fact in facts.split(|&b| b == b';').map(<[u8]>::trim_ascii) {
            let (name, on) = fact.strip_suffix(b"*").map_or((fact, false), |name| (name, true));
            if WANTED_FACTS.iter().any(|wanted| wanted.as_bytes().eq_ignore_ascii_case(name)) {
                missing |= !on;
                ask.extend_from_slice(name);
                ask.push(b';');
            }
        }
        missing.then_some(ask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::Code;

    fn features(lines: &[&str]) -> Features {
        let lines = lines.iter().map(|l| l.as_bytes().to_vec().into()).collect();
        Features::read(&Reply::with_lines(Code::new(211).unwrap(), lines))
    }

    #[test]
    fn lines_are_found_in_any_case() {
        let f = features(&["Features:", " mlst type*;size*;", "UTF8", " REST STREAM", "End"]);
        assert!(f.has("MLST") && f.has("utf8") && f.has("REST"));
        assert!(!f.has("MLS") && !f.has("Features:") && !f.has("End"));
        assert_eq!(f.parameters("REST"), Some(&b"STREAM"[..]));
        assert_eq!(features(&["No features"]), Features::default());
    }

    #[test]
    fn facts_are_asked_for_only_where_one_is_off() {
        assert_eq!(features(&["", " MLST type*;size*;x.y;", ""]).facts_to_ask_for(), None);
        let f = features(&["", " MLST Type*;Size*;UNIX.mode;x.y*;", ""]);
        assert_eq!(f.facts_to_ask_for().unwrap(), b"Type;Size;UNIX.mode;");
    }
}
