//! How far a server's listings are from UTC.

use jiff::SignedDuration;
use port21_proto::listing::{Entry, EntryKind, Precision};

use crate::client::Client;
use crate::error::Error;

/// By how much the times of a server's listings are ahead of UTC. RFC 3659 has all its times in UTC; LIST is as the server
/// likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Zone(SignedDuration);

/// Zones are whole quarters of an hour.
const QUARTER: i64 = 15 * 60;

/// The zone furthest from UTC, and a day for summer time and for what clocks are off.
const FURTHEST: i64 = 26 * 3600;

impl Zone {
    /// Finds it by one file whose time the server tells in both ways, where the listing needs that.
    pub(crate) async fn find(client: &mut Client, directory: &[u8], entries: &[Entry]) -> Result<Option<Zone>, Error> {
        let is_local = |entry: &&Entry| entry.modified.is_some_and(|m| !m.utc && m.precision >= Precision::Minute);
        let Some(entry) = entries.iter().filter(|entry| entry.kind == EntryKind::File).find(is_local) else {
            return Ok(None);
        };
        let (Some(name), Some(modified)) = (entry.safe_name(), entry.modified) else { return Ok(None) };
        let path = crate::tree::join(directory, name);
        let Some(utc) = client.mtime_if_told(&path).await? else { return Ok(Some(Zone(SignedDuration::ZERO))) };
        Ok(Some(Zone::between(modified.at.as_second(), utc.as_second())))
    }

    fn between(listed: i64, utc: i64) -> Zone {
        let ahead = listed.saturating_sub(utc);
        // A listing may leave the seconds out.
        let quarters = (ahead + QUARTER / 2).div_euclid(QUARTER);
        let ahead = quarters.saturating_mul(QUARTER);
        Zone(SignedDuration::from_secs(if ahead.abs() > FURTHEST { 0 } else { ahead }))
    }

    /// Makes an entry's time one of UTC, as far as is known.
    pub(crate) fn correct(self, entry: &mut Entry) {
        if let Some(modified) = &mut entry.modified
            && !modified.utc
            && modified.precision >= Precision::Minute
            && let Ok(at) = modified.at.checked_sub(self.0)
        {
            modified.at = at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_of_listings() {
        for (listed, utc, hours) in
            [(7200, 0, 2.0), (7200, 59, 2.0), (0, 19830, -5.5), (60, 119, 0.0), (9_999_999, 0, 0.0)]
        {
            let wanted = SignedDuration::from_secs_f64(hours * 3600.0);
            assert_eq!(Zone::between(listed, utc), Zone(wanted), "{listed} {utc}");
        }
    }
}
