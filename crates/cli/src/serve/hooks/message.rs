//! What a hook is told: one JSON object.

use port21_proto::server::Representation;
use port21_server::{Activity, Deed, Direction};
use serde_json::{Map, Value};

use crate::config::hooks::Occasion;

/// One message, written down.
#[derive(Debug)]
pub(super) struct Message {
    json: Vec<u8>,
}

/// What an activity is an occasion for. Files that were carried in part are none.
pub(super) fn occasion(activity: &Activity) -> Option<Occasion> {
    match &activity.deed {
        Deed::Login { result: Ok(()), .. } => Some(Occasion::Login),
        Deed::Login { .. } => Some(Occasion::LoginFailed),
        Deed::Transferred { whole: true, direction: Direction::Down, .. } => Some(Occasion::Download),
        Deed::Transferred { whole: true, direction: Direction::Up, .. } => Some(Occasion::Upload),
        Deed::Removed { .. } => Some(Occasion::Delete),
        Deed::Renamed { .. } => Some(Occasion::Rename),
        Deed::DirectoryMade { .. } => Some(Occasion::Mkdir),
        Deed::DirectoryRemoved { .. } => Some(Occasion::Rmdir),
        _ => None,
    }
}

impl Message {
    pub(super) fn new(activity: &Activity, occasion: Occasion) -> Message {
        let mut fields = Map::new();
        let mut put = |key: &str, value: Value| drop(fields.insert(key.to_owned(), value));
        put("event", occasion.name().into());
        put("time", activity.at.timestamp().to_string().into());
        put("session", activity.session.into());
        put("address", activity.peer.ip().to_string().into());
        put("port", activity.peer.port().into());
        put("site", activity.site.as_deref().into());
        put("anonymous", activity.anonymous.into());
        if let Some(guest) = &activity.guest {
            put("guest", guest.as_ref().into());
        }
        match &activity.deed {
            Deed::Login { user, .. } => put("user", String::from_utf8_lossy(user).into()),
            _ => put("user", activity.account.as_ref().into()),
        }
        if let Deed::Login { result: Err(error), .. } = &activity.deed {
            put("error", error.to_string().into());
        }
        if let Deed::Renamed { from, .. } = &activity.deed {
            put_bytes(&mut put, "from", from.as_bytes());
        }
        if let Deed::Transferred { path, file, .. }
        | Deed::Removed { path, file }
        | Deed::Renamed { path, file, .. }
        | Deed::DirectoryMade { path, file }
        | Deed::DirectoryRemoved { path, file } = &activity.deed
        {
            put_bytes(&mut put, "path", path.as_bytes());
            if let Some(file) = file {
                put_bytes(&mut put, "file", file.as_os_str().as_encoded_bytes());
            }
        }
        if let Deed::Transferred { bytes, took, representation, .. } = &activity.deed {
            put("bytes", (*bytes).into());
            put("seconds", took.as_secs_f64().into());
            put("type", if *representation == Representation::Ascii { "ascii" } else { "image" }.into());
        }
        let mut json = Value::Object(fields).to_string().into_bytes();
        json.push(b'\n');
        Message { json }
    }

    /// The object and a line end.
    pub(super) fn json(&self) -> &[u8] {
        &self.json
    }
}

/// A name may hold bytes that no JSON text can: then they are there in hexadecimal too, under `KEY_hex`.
fn put_bytes(put: &mut impl FnMut(&str, Value), key: &str, bytes: &[u8]) {
    put(key, String::from_utf8_lossy(bytes).into());
    if std::str::from_utf8(bytes).is_err() {
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        put(&format!("{key}_hex"), hex.into());
    }
}
