//! `list-time-zone`: a time zone by its name.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use jiff::tz::TimeZone;
use serde::Deserialize;

/// Those that were looked up. A server that reads its configuration again is not let at the files of zones any more, once
/// it is in its sandbox; and `local` is the same for as long as it runs.
static KNOWN: Mutex<BTreeMap<String, TimeZone>> = Mutex::new(BTreeMap::new());

/// The zone in which LIST tells times.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct ListZone(pub(crate) TimeZone);

impl Default for ListZone {
    fn default() -> ListZone {
        ListZone(TimeZone::UTC)
    }
}

impl FromStr for ListZone {
    type Err = String;

    fn from_str(name: &str) -> Result<ListZone, String> {
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(zone) = known.get(name) {
            return Ok(ListZone(zone.clone()));
        }
        let found = match name {
            "UTC" => Ok(TimeZone::UTC),
            "local" => TimeZone::try_system(),
            name => TimeZone::get(name),
        };
        let zone = found.map_err(|error| {
            format!(
                "`{name}` is no time zone that is known here ({error}): write UTC, local, or a name as in Europe/Vienna; a \
                 server that runs in its sandbox learns no new one: restart it"
            )
        })?;
        known.insert(name.to_owned(), zone.clone());
        Ok(ListZone(zone))
    }
}

impl TryFrom<String> for ListZone {
    type Error = String;

    fn try_from(name: String) -> Result<ListZone, String> {
        name.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_have_names() {
        assert_eq!("UTC".parse(), Ok(ListZone::default()));
        assert!("local".parse::<ListZone>().is_ok());
        let told = "Middle/Earth".parse::<ListZone>().unwrap_err();
        assert!(told.contains("`Middle/Earth`") && told.contains("Europe/Vienna"), "{told}");
    }

    #[test]
    fn what_was_looked_up_stays_known() {
        KNOWN.lock().unwrap().insert("Test/Known".to_owned(), TimeZone::fixed(jiff::tz::offset(3)));
        assert_eq!("Test/Known".parse(), Ok(ListZone(TimeZone::fixed(jiff::tz::offset(3)))));
    }
}
