//! The log of transfers in the format of wu-ftpd (xferlog(5)), which many programs read: a line each, eighteen words.

use std::path::Path;

use jiff::tz::TimeZone;
use port21_proto::Time;
use port21_proto::server::Representation;
use port21_server::{Activity, Deed, Direction};

use super::lines::Lines;

/// Writes what belongs there.
pub(super) struct Xferlog {
    lines: Lines,
    zone: TimeZone,
}

impl Xferlog {
    /// For this file; times are those of `zone`.
    ///
    /// # Errors
    /// Where the file cannot be opened.
    pub(super) fn begin(file: &Path, zone: TimeZone) -> anyhow::Result<Xferlog> {
        let lines = Lines::new(Some(file.to_owned()));
        lines.begin()?;
        Ok(Xferlog { lines, zone })
    }

    /// An activity, which may be none of a file.
    pub(super) fn note(&self, activity: &Activity) {
        if let Some(line) = line(activity, &self.zone) {
            self.lines.put(line);
        }
    }

    pub(super) fn reopen(&self) {
        self.lines.reopen();
    }
}

impl Drop for Xferlog {
    fn drop(&mut self) {
        self.lines.flush();
    }
}

/// `current-time transfer-time remote-host file-size filename transfer-type special-action-flag direction access-mode
/// username service-name authentication-method authenticated-user-id completion-status`.
fn line(activity: &Activity, zone: &TimeZone) -> Option<Vec<u8>> {
    let (path, file, bytes, seconds, representation, direction, whole) = match &activity.deed {
        Deed::Transferred { direction, path, file, bytes, took, representation, whole } => {
            let direction = match direction {
                Direction::Down => 'o',
                Direction::Up => 'i',
                Direction::List => return None,
            };
            (path, file, *bytes, took.as_secs_f64().round() as u64, *representation, direction, *whole)
        }
        Deed::Removed { path, file } => (path, file, 0, 0, Representation::Image, 'd', true),
        _ => return None,
    };
    let file = file.as_ref().map_or(path.as_bytes(), |file| file.as_os_str().as_encoded_bytes());
    let mut line = format!("{} {seconds} {} {bytes} ", when(activity.at, zone), activity.peer.ip()).into_bytes();
    line.extend(word(file));
    let representation = if representation == Representation::Ascii { 'a' } else { 'b' };
    let mode = if activity.anonymous { 'a' } else { 'r' };
    line.extend_from_slice(format!(" {representation} _ {direction} {mode} ").as_bytes());
    // Of a guest what they said who they are, as wu-ftpd has it.
    line.extend(word(activity.guest.as_ref().unwrap_or(&activity.account).as_bytes()));
    line.push(b' ');
    line.extend(word(activity.site.as_deref().unwrap_or("ftp").as_bytes()));
    line.extend_from_slice(format!(" 0 * {}\n", if whole { 'c' } else { 'i' }).as_bytes());
    Some(line)
}

/// As ctime(3) writes it.
fn when(at: Time, zone: &TimeZone) -> String {
    at.timestamp().to_zoned(zone.clone()).strftime("%a %b %e %H:%M:%S %Y").to_string()
}

/// One word: what is white space or a control character becomes `_`, as wu-ftpd did.
fn word(text: &[u8]) -> impl Iterator<Item = u8> {
    let empty = text.is_empty().then_some(b'_');
    let blank = |b: u8| if b.is_ascii_whitespace() || b.is_ascii_control() { b'_' } else { b };
    text.iter().map(move |&b| blank(b)).chain(empty)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use port21_proto::FtpPath;

    use super::*;

    /// Reads a line as programs do that were written for wu-ftpd: by its eighteen words.
    fn parse(line: &[u8]) -> Vec<String> {
        let text = String::from_utf8(line.to_vec()).unwrap();
        assert_eq!(text.matches('\n').count(), 1, "{text:?}");
        let words: Vec<String> = text.trim_end_matches('\n').split_ascii_whitespace().map(str::to_owned).collect();
        assert_eq!(words.len(), 18, "{text:?}");
        words
    }

    fn activity(deed: Deed) -> Activity {
        by("alice", false, deed)
    }

    fn by(account: &str, anonymous: bool, deed: Deed) -> Activity {
        let peer = "192.0.2.7:4711".parse().unwrap();
        Activity::new(Time::from_unix_secs(1_115_072_825), 1, peer, account.into(), anonymous, deed)
    }

    fn moved(direction: Direction, name: &[u8], representation: Representation, whole: bool) -> Deed {
        let path = FtpPath::new([b"/", name].concat()).unwrap();
        Deed::Transferred {
            direction,
            path,
            file: None,
            bytes: 1715,
            took: Duration::from_millis(2600),
            representation,
            whole,
        }
    }

    fn words(activity: &Activity) -> Vec<String> {
        parse(&line(activity, &TimeZone::UTC).unwrap())
    }

    #[test]
    fn the_fields_are_those_of_wu_ftpd() {
        let all = words(&activity(moved(Direction::Down, b"pub/readme.txt", Representation::Image, true)));
        let want = "Mon May 2 22:27:05 2005 3 192.0.2.7 1715 /pub/readme.txt b _ o r alice ftp 0 * c";
        assert_eq!(all.join(" "), want);
        // The day has two columns.
        let text = line(&activity(moved(Direction::Down, b"x", Representation::Image, true)), &TimeZone::UTC).unwrap();
        assert!(text.starts_with(b"Mon May  2 22:27:05 2005 "));
        let all = words(&activity(moved(Direction::Up, b"x", Representation::Ascii, false)));
        assert_eq!(all[9..].join(" "), "a _ i r alice ftp 0 * i");
        let removed = Deed::Removed { path: FtpPath::root(), file: Some(PathBuf::from("/srv/ftp/x")) };
        assert_eq!(words(&activity(removed))[8..].join(" "), "/srv/ftp/x b _ d r alice ftp 0 * c");
        let guest = by("anonymous", true, moved(Direction::Down, b"x", Representation::Image, true));
        assert_eq!(words(&guest)[12..14].join(" "), "a anonymous");
        let mut named = guest;
        (named.guest, named.site) = (Some("ann@example.com".into()), Some("a.example".into()));
        assert_eq!(words(&named)[12..].join(" "), "a ann@example.com a.example 0 * c");
    }

    #[test]
    fn names_are_one_word_each() {
        let hostile = moved(Direction::Up, b"a b\tc\x1b[2J\x7f", Representation::Image, true);
        let all = words(&by("x y\nroot", false, hostile.clone()));
        assert_eq!((all[8].as_str(), all[13].as_str()), ("/a_b_c_[2J_", "x_y_root"));
        assert_eq!(words(&by("", false, hostile))[13], "_");
    }

    #[test]
    fn listings_and_logins_are_not_in_it() {
        assert!(line(&activity(moved(Direction::List, b"x", Representation::Ascii, true)), &TimeZone::UTC).is_none());
        let login = Deed::Login { user: b"x".to_vec(), result: Ok(()) };
        assert!(line(&activity(login), &TimeZone::UTC).is_none());
    }
}
