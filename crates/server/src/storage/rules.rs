//! What an account may do, and where.

use std::fmt;
use std::str::FromStr;

use port21_proto::FtpPath;
use port21_proto::verb::{Permission, Permissions};

use super::glob::Pattern;

/// The names of permissions as operators write them, and the permissions.
pub const PERMISSIONS: [(&str, Permission); 10] = [
    ("list", Permission::List),
    ("read", Permission::Read),
    ("write", Permission::Write),
    ("overwrite", Permission::Overwrite),
    ("delete", Permission::Delete),
    ("rename", Permission::Rename),
    ("mkdir", Permission::MakeDirectory),
    ("attributes", Permission::Attributes),
    ("link", Permission::Link),
    ("who", Permission::Who),
];

/// Reads one permission, or one of the words for several: `none`, `read-only` (list and read), `all` (all but link and who).
///
/// # Errors
/// A sentence that names the words there are.
pub fn parse_permission(word: &str) -> Result<Permissions, String> {
    match word {
        "none" => return Ok(Permissions::NONE),
        "read-only" => return Ok(Permissions::READ_ONLY),
        "all" => return Ok(Permissions::ALL),
        _ => {}
    }
    match PERMISSIONS.iter().find(|(name, _)| *name == word) {
        Some((_, permission)) => Ok(Permissions::NONE.with(*permission)),
        None => {
            let names: Vec<&str> = PERMISSIONS.iter().map(|(name, _)| *name).collect();
            Err(format!("`{word}` is no permission: there are {}, and none, read-only, all", names.join(", ")))
        }
    }
}

/// The permissions in words, with commas: what [`parse_permission`] reads word by word.
pub fn permission_names(permissions: Permissions) -> String {
    if permissions == Permissions::ALL {
        return "all".into();
    }
    let names: Vec<&str> = PERMISSIONS.iter().filter(|(_, p)| permissions.allows(*p)).map(|(name, _)| *name).collect();
    if names.is_empty() { "none".into() } else { names.join(",") }
}

/// What may be done with which paths: the first rule that covers a path decides, and where none does the permissions for
/// everywhere else.
///
/// A path is judged as it is named. A symbolic link has the permissions of its own path, wherever it leads (inside the
/// root): who may make links, which the operator alone may, decides that. On a file system that does not tell upper case
/// from lower, neither do its files, but rules do.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    everywhere: Permissions,
    rules: Vec<Rule>,
}

/// One rule: a pattern of paths, and what may be done with them.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Which paths.
    pub paths: PathPattern,
    /// What may be done with them.
    pub permissions: Permissions,
}

impl Rules {
    /// The rules in this order; `everywhere` for what none of them covers.
    pub fn new(everywhere: Permissions, rules: Vec<Rule>) -> Rules {
        Rules { everywhere, rules }
    }

    /// Whether all paths are alike.
    pub fn is_uniform(&self) -> bool {
        self.rules.is_empty()
    }

    /// What may be done with a path.
    pub fn at(&self, path: &FtpPath) -> Permissions {
        let rule = self.rules.iter().find(|rule| rule.paths.reach(path) == Reach::Covers);
        rule.map_or(self.everywhere, |rule| rule.permissions)
    }

    /// All that may be done with anything below a path.
    pub fn below(&self, path: &FtpPath) -> Permissions {
        let mut all = Permissions::NONE;
        for rule in &self.rules {
            match rule.paths.reach(path) {
                Reach::Covers => return union(all, rule.permissions),
                Reach::Below => all = union(all, rule.permissions),
                Reach::Never => {}
            }
        }
        union(all, self.everywhere)
    }

    /// What may be done with a name in a directory that no rule is about in particular.
    pub fn inside(&self, directory: &FtpPath) -> Permissions {
        // Patterns for all names match it, and those for some do not.
        directory.join(b"\x01").map_or(Permissions::NONE, |path| self.at(&path))
    }

    /// All that may be done anywhere.
    pub fn anywhere(&self) -> Permissions {
        union(self.at(&FtpPath::root()), self.below(&FtpPath::root()))
    }

    /// Whether a path may be known of at all: something may be done with it, or with something below it.
    pub fn is_visible(&self, path: &FtpPath) -> bool {
        union(self.at(path), self.below(path)) != Permissions::NONE
    }

    /// Whether some paths below this one may be treated in another way than it is.
    pub fn differs_below(&self, path: &FtpPath) -> bool {
        let decided = self.rules.iter().map(|rule| rule.paths.reach(path)).find(|reach| *reach != Reach::Never);
        decided == Some(Reach::Below)
    }
}

fn union(a: Permissions, b: Permissions) -> Permissions {
    PERMISSIONS.iter().filter(|(_, p)| b.allows(*p)).fold(a, |all, (_, p)| all.with(*p))
}

/// A pattern of paths: parts between slashes, in which `*` is any bytes, `?` one character, `[a-z]` one of a set; a part
/// `**` is any number of parts. One that begins with `/` is matched from the root, any other from any directory. What it
/// matches, it matches with all below: `/in` is the directory and all in it, `/in/**` all in it without itself, `*.exe`
/// every such file (and all in such a directory).
#[derive(Clone)]
pub struct PathPattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone)]
enum Part {
    Any,
    One(Pattern),
}

/// What a pattern has to do with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// It matches the path or something above it.
    Covers,
    /// It matches some of what may be below.
    Below,
    Never,
}

/// The most parts: a bit each of a set of places in the pattern.
const MOST_PARTS: usize = 60;

impl PathPattern {
    /// The one directory or file that it names, where it is no pattern: all that it covers is this and what is below.
    pub fn literal(&self) -> Option<FtpPath> {
        let is_plain = self.text.starts_with('/') && !self.text.contains(['*', '?', '[', '\\']);
        if is_plain { FtpPath::new(&self.text).ok() } else { None }
    }

    /// Whether the path is one of these.
    pub fn covers(&self, path: &FtpPath) -> bool {
        self.reach(path) == Reach::Covers
    }

    /// Follows all places in the pattern at which a path may be at once, a part of the path after the other.
    fn reach(&self, path: &FtpPath) -> Reach {
        let end = 1_u64 << self.parts.len();
        let mut places = self.behind_any(1);
        for part in path.parts() {
            if places & end != 0 {
                break;
            }
            let mut next = 0;
            for (at, wanted) in self.parts.iter().enumerate() {
                if places & 1 << at != 0 {
                    match wanted {
                        Part::Any => next |= 1 << at,
                        Part::One(pattern) if pattern.matches_hidden(part) => next |= 1 << (at + 1),
                        Part::One(_) => {}
                    }
                }
            }
            places = self.behind_any(next);
        }
        match places {
            places if places & end != 0 => Reach::Covers,
            0 => Reach::Never,
            _ => Reach::Below,
        }
    }

    /// `**` may be no part at all.
    fn behind_any(&self, mut places: u64) -> u64 {
        for (at, part) in self.parts.iter().enumerate() {
            if matches!(part, Part::Any) && places & 1 << at != 0 {
                places |= 1 << (at + 1);
            }
        }
        places
    }
}

impl FromStr for PathPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<PathPattern, String> {
        if text.is_empty() || text.contains(['\r', '\n', '\0']) {
            return Err(format!("{text:?} is no pattern of paths: write it as /incoming, /incoming/** or *.exe"));
        }
        let words = || text.split('/').filter(|word| !word.is_empty());
        if words().any(|word| matches!(word, "." | "..")) {
            return Err(format!("{text:?}: a path has no `.` and `..`, so no pattern with one can match it"));
        }
        let mut parts = Vec::new();
        if !text.starts_with('/') {
            parts.push(Part::Any);
        }
        for word in words() {
            parts.push(if word == "**" { Part::Any } else { Part::One(Pattern::new(word.as_bytes())) });
        }
        // At its end `**` is what is in there, not the directory itself.
        if words().next_back() == Some("**") {
            parts.push(Part::One(Pattern::new(b"*")));
        }
        if parts.len() > MOST_PARTS {
            return Err(format!("{text:?}: a pattern has at most {} parts", MOST_PARTS - 2));
        }
        Ok(PathPattern { text: text.to_owned(), parts })
    }
}

impl PartialEq for PathPattern {
    fn eq(&self, other: &PathPattern) -> bool {
        self.text == other.text
    }
}

impl Eq for PathPattern {}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_that_name_one_path() {
        let literal = |text: &str| text.parse::<PathPattern>().unwrap().literal().map(|path| path.to_string());
        assert_eq!(literal("/a/b/"), Some("/a/b".to_owned()));
        for pattern in ["a", "/a/*", "/a/**", "/[ab]", "/a?", r"/a\*"] {
            assert_eq!(literal(pattern), None, "{pattern}");
        }
    }

    fn path(text: &str) -> FtpPath {
        FtpPath::new(text).unwrap()
    }

    fn covers(pattern: &str, text: &str) -> bool {
        pattern.parse::<PathPattern>().unwrap().covers(&path(text))
    }

    fn only(permission: Permission) -> Permissions {
        Permissions::NONE.with(permission)
    }

    fn rules(everywhere: Permissions, list: &[(&str, Permissions)]) -> Rules {
        let rule = |(paths, permissions): &(&str, Permissions)| Rule {
            paths: paths.parse().unwrap(),
            permissions: *permissions,
        };
        Rules::new(everywhere, list.iter().map(rule).collect())
    }

    #[test]
    fn patterns() {
        for (pattern, yes, no) in [
            ("/in", &["/in", "/in/a", "/in/a/b"][..], &["/", "/inn", "/a/in", "/i"][..]),
            ("/in/", &["/in", "/in/a"], &["/inn"]),
            ("/in/**", &["/in/a", "/in/a/b", "/in/.hidden"], &["/in", "/a"]),
            ("/in/*", &["/in/a", "/in/a/b"], &["/in"]),
            ("*.exe", &["/a.exe", "/b/a.exe", "/b/.exe", "/d.exe/in"], &["/", "/exe", "/a.exe.txt"]),
            ("tmp/*.log", &["/tmp/a.log", "/x/tmp/a.log"], &["/a.log", "/tmp/x/a.log"]),
            ("/a/**/z", &["/a/z", "/a/b/z", "/a/b/c/z/d"], &["/a", "/a/b", "/z"]),
            ("/", &["/", "/a", "/a/b"], &[]),
            ("/**", &["/a", "/a/b"], &["/"]),
            ("/home/[!r]*", &["/home/ann"], &["/home/root", "/home"]),
        ] {
            for text in yes {
                assert!(covers(pattern, text), "{pattern} {text}");
            }
            for text in no {
                assert!(!covers(pattern, text), "{pattern} {text}");
            }
        }
        for bad in ["", "a\nb", "/a/../b", "./x", &"/a".repeat(100)] {
            assert!(bad.parse::<PathPattern>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_first_rule_that_covers_a_path_decides() {
        let rules = rules(
            Permissions::READ_ONLY,
            &[("/in/keep", Permissions::NONE), ("/in", only(Permission::Write)), ("*.tmp", Permissions::ALL)],
        );
        assert_eq!(rules.at(&path("/in/keep/x")), Permissions::NONE);
        assert_eq!(rules.at(&path("/in/x.tmp")), only(Permission::Write));
        assert_eq!(rules.at(&path("/x.tmp")), Permissions::ALL);
        assert_eq!(rules.at(&path("/x")), Permissions::READ_ONLY);
        assert_eq!(rules.anywhere(), Permissions::ALL);
    }

    #[test]
    fn what_may_be_below() {
        let rules = rules(Permissions::NONE, &[("/in/keep", Permissions::NONE), ("/in/box", Permissions::ALL)]);
        assert!(rules.is_visible(&path("/")) && rules.is_visible(&path("/in")) && rules.is_visible(&path("/in/box/x")));
        assert!(!rules.is_visible(&path("/in/keep")) && !rules.is_visible(&path("/out")));
        assert!(rules.differs_below(&path("/")) && rules.differs_below(&path("/in")));
        assert!(!rules.differs_below(&path("/in/box")) && !rules.differs_below(&path("/out")));
        assert_eq!(rules.below(&path("/in")), Permissions::ALL);
        assert_eq!(rules.below(&path("/in/keep")), Permissions::NONE);
    }

    #[test]
    fn words() {
        assert_eq!(permission_names(Permissions::READ_ONLY), "list,read");
        assert_eq!(
            (permission_names(Permissions::ALL), permission_names(Permissions::NONE)),
            ("all".into(), "none".into())
        );
        for (name, permission) in PERMISSIONS {
            assert_eq!(parse_permission(name), Ok(only(permission)));
        }
        assert!(parse_permission("chmod").unwrap_err().contains("attributes"));
    }

    /// The same by trying all ways.
    fn plainly(pattern: &[&str], parts: &[&str]) -> bool {
        match (pattern, parts) {
            ([], _) => true,
            (["**", rest @ ..], parts) => (0..=parts.len()).any(|at| plainly(rest, &parts[at..])),
            ([word, rest @ ..], [part, parts @ ..]) => (*word == "*" || word == part) && plainly(rest, parts),
            (_, []) => false,
        }
    }

    proptest! {
        #[test]
        fn all_ways_are_followed(pattern in "(/(a|b|\\*|\\*\\*)){0,5}/(a|b|\\*)", text in "(/[ab]){0,6}") {
            let words: Vec<&str> = pattern.split('/').filter(|w| !w.is_empty()).collect();
            let parts: Vec<&str> = text.split('/').filter(|w| !w.is_empty()).collect();
            prop_assert_eq!(covers(&pattern, &format!("/{text}")), plainly(&words, &parts));
        }

        #[test]
        fn what_is_below_is_no_more_than_was_said(
            list in proptest::collection::vec(("(/?(a|b|\\*|\\*\\*)){1,3}", 0_usize..8), 0..4),
            text in "(/[ab]){0,3}",
            more in "(/[ab]){1,3}",
        ) {
            let list: Vec<_> = list.iter().map(|(p, n)| (p.as_str(), only(PERMISSIONS[*n].1))).collect();
            let rules = rules(Permissions::NONE, &list);
            let (above, below) = (path(&format!("/{text}")), path(&format!("/{text}{more}")));
            let said = rules.below(&above);
            prop_assert_eq!(union(said, rules.at(&below)), said);
            if !rules.differs_below(&above) {
                prop_assert_eq!(rules.at(&below), rules.at(&above));
            }
        }
    }
}
