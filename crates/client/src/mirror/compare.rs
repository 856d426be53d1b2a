//! Whether a file is the same on both sides, as far as sizes and times tell.

use std::cmp::Ordering;
use std::time::SystemTime;

use jiff::Timestamp;
use port21_proto::listing::{Entry, Modified, Precision};

use crate::folder::Facts;

/// What sizes and times say of a file here and at the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Same,
    /// The sizes are the same, or one is not known, and the server's was changed later.
    RemoteNewer,
    /// The other way round.
    LocalNewer,
    /// The sizes differ; which was changed later, where that can be told.
    Differ(Option<Ordering>),
}

/// Compares an entry of the server with what is here.
pub(crate) fn compare(remote: &Entry, here: &Facts) -> Verdict {
    let times = remote.modified.as_ref().and_then(|modified| order(modified, here.modified));
    match (remote.size, times) {
        (Some(size), times) if size != here.len => Verdict::Differ(times),
        (_, Some(Ordering::Equal)) | (Some(_), None) => Verdict::Same,
        (_, Some(Ordering::Greater)) => Verdict::RemoteNewer,
        (_, Some(Ordering::Less)) => Verdict::LocalNewer,
        // Nothing is known of it.
        (None, None) => Verdict::Differ(None),
    }
}

/// Which was changed later, the server's (`Greater`) or the one here; the same where the listing is not exact enough to
/// tell them apart.
fn order(remote: &Modified, here: SystemTime) -> Option<Ordering> {
    let here = Timestamp::try_from(here).ok()?.as_millisecond();
    // What is cut off makes the server's time the earlier one.
    let (early, late) = match remote.precision {
        Precision::Second => (1_000, 1_000),
        Precision::Minute => (1_000, 60_000),
        // In whichever zone.
        Precision::Day => (15 * HOUR, 39 * HOUR),
    };
    let ahead = here.saturating_sub(remote.at.as_millisecond());
    let is_same = |ahead: i64| -early <= ahead && ahead <= late;
    // A server whose listings are in its own zone changes to summer time and back.
    let summer = !remote.utc && (is_same(ahead + HOUR) || is_same(ahead - HOUR));
    Some(if is_same(ahead) || summer { Ordering::Equal } else { 0.cmp(&ahead) })
}

const HOUR: i64 = 3_600_000;

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use port21_proto::listing::EntryKind;

    use super::*;
    use crate::folder::Kind;

    fn verdict(size: Option<u64>, at: Option<(i64, Precision, bool)>, here: u64) -> Verdict {
        let modified = at.map(|(second, precision, utc)| {
            let at = Timestamp::from_second(second).unwrap();
            Modified { at, precision, utc }
        });
        let entry = Entry { size, modified, ..Entry::new(EntryKind::File, "f") };
        let modified = UNIX_EPOCH + Duration::from_secs(here);
        compare(&entry, &Facts { kind: Kind::File, len: 5, modified, id: (0, 0) })
    }

    #[test]
    fn as_exact_as_the_listing() {
        use Precision::{Day, Minute, Second};
        const NOON: u64 = 1_000_000_000;
        let at = |ahead: i64, precision, utc| Some((NOON as i64 + ahead, precision, utc));
        for (at, wanted) in [
            (at(0, Second, true), Verdict::Same),
            (at(-1, Second, true), Verdict::Same),
            (at(-2, Second, true), Verdict::LocalNewer),
            (at(2, Second, true), Verdict::RemoteNewer),
            (at(-59, Minute, true), Verdict::Same),
            (at(-61, Minute, true), Verdict::LocalNewer),
            (at(3, Minute, true), Verdict::RemoteNewer),
            (at(3600, Minute, true), Verdict::RemoteNewer),
            (at(3600, Minute, false), Verdict::Same),
            (at(-3630, Minute, false), Verdict::Same),
            (at(7200, Minute, false), Verdict::RemoteNewer),
            (at(-80_000, Day, false), Verdict::Same),
            (at(-200_000, Day, false), Verdict::LocalNewer),
            (None, Verdict::Same),
        ] {
            assert_eq!(verdict(Some(5), at, NOON), wanted, "{at:?}");
        }
        assert_eq!(verdict(Some(6), at(9, Second, true), NOON), Verdict::Differ(Some(Ordering::Greater)));
        assert_eq!(verdict(None, None, NOON), Verdict::Differ(None));
        assert_eq!(verdict(None, at(0, Second, true), NOON), Verdict::Same);
    }
}
