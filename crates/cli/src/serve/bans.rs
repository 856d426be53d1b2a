//! Bans that outlast the server: a file of them, written anew when they change.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use port21_server::ServerHandle;
use port21_server::account::guard::{Ban, BannedFrom};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

/// How often it is looked whether there is something new: a server that is killed loses the bans of so long.
const LOOK: Duration = Duration::from_secs(2);

/// The most bans that are kept: those that last longest. A file of some 3 MB.
const MOST: usize = 20_000;

/// The longest file that is read.
const MOST_BYTES: u64 = 64 << 20;

/// The file.
pub(super) struct Kept {
    path: PathBuf,
}

/// What is in it. Read by the next server, which may be of another version: fields may be added.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    bans: Vec<Line>,
}

/// One ban.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    address: IpAddr,
    /// Of an account: the site, where it is not the one to begin with, and the name, in hexadecimal, as a stranger wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    site: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_hex: Option<String>,
    failures: u32,
    /// When it ends, in seconds since the Unix epoch.
    until: u64,
}

impl Kept {
    /// Gives a server the bans that the last one had. A file that cannot be read is as good as none: it is logged.
    ///
    /// # Errors
    /// Where its directory is not there and cannot be made.
    pub(super) fn open(path: &Path, server: &ServerHandle) -> anyhow::Result<Kept> {
        if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty() && !dir.exists()) {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
            made.with_context(|| format!("cannot make {}", dir.display()))?;
        }
        match read(path, SystemTime::now()) {
            Ok(bans) => server.guard().restore(bans),
            Err(error) => tracing::warn!(%error, "cannot read the bans in {}: there are none", path.display()),
        }
        Ok(Kept { path: path.to_owned() })
    }

    /// Keeps the file as the bans are, for as long as it is not dropped.
    pub(super) async fn keep(self: Arc<Kept>, server: ServerHandle) {
        let mut written = server.guard().changes();
        loop {
            sleep(LOOK).await;
            let now = server.guard().changes();
            if now != written {
                written = now;
                let (own, server) = (self.clone(), server.clone());
                // It waits for a disk. Where it has panicked, that was told.
                let _ = tokio::task::spawn_blocking(move || own.write(&server)).await;
            }
        }
    }

    /// Writes the bans that there are; what goes wrong is logged.
    pub(super) fn write(&self, server: &ServerHandle) {
        if let Err(error) = write(&self.path, server.guard().bans(), SystemTime::now()) {
            tracing::warn!(%error, "cannot keep the bans in {}", self.path.display());
        }
    }
}

fn read(path: &Path, now: SystemTime) -> io::Result<Vec<Ban>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut bytes)?;
    let content: Content = serde_json::from_slice(&bytes)?;
    Ok(content.bans.into_iter().take(MOST).filter_map(|line| line.ban(now)).collect())
}

/// Aside and renamed: the file is the old one or the new one, whenever the server is killed.
fn write(path: &Path, mut bans: Vec<Ban>, now: SystemTime) -> io::Result<()> {
    bans.sort_by_key(|ban| std::cmp::Reverse(ban.left));
    bans.truncate(MOST);
    let content = Content { bans: bans.iter().map(|ban| Line::of(ban, now)).collect() };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let aside = path.with_file_name(name);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    file.write_all(&serde_json::to_vec(&content)?)?;
    file.sync_all()?;
    std::fs::rename(&aside, path)
}

impl Line {
    fn of(ban: &Ban, now: SystemTime) -> Line {
        let until = (now + ban.left).duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let hex = |from: &BannedFrom| from.user.iter().map(|byte| format!("{byte:02x}")).collect();
        let from = ban.from.as_ref();
        Line {
            address: ban.address,
            site: from.and_then(|from| from.site.clone()),
            user_hex: from.map(hex),
            failures: ban.failures,
            until,
        }
    }

    /// Nothing where it has ended, or names nobody.
    fn ban(self, now: SystemTime) -> Option<Ban> {
        let until = UNIX_EPOCH.checked_add(Duration::from_secs(self.until))?;
        let left = until.duration_since(now).ok().filter(|left| !left.is_zero())?;
        let from = match self.user_hex {
            None => None,
            Some(hex) => Some(BannedFrom { site: self.site, user: bytes(&hex)? }),
        };
        Some(Ban { address: self.address, from, failures: self.failures, left })
    }
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = hex.chars().map(|c| c.to_digit(16)).collect::<Option<_>>()?;
    digits.chunks(2).map(|pair| u8::try_from(pair.first()? * 16 + pair.get(1)?).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_but_for_what_has_ended() {
        let dir = tempfile::tempdir().unwrap();
        let (path, now) = (dir.path().join("bans.json"), UNIX_EPOCH + Duration::from_secs(1_000_000));
        let ban = |n: u8, from: Option<(Option<&str>, &[u8])>, left| Ban {
            address: [192, 0, 2, n].into(),
            from: from.map(|(site, user)| BannedFrom { site: site.map(str::to_owned), user: user.to_vec() }),
            failures: 7,
            left: Duration::from_secs(left),
        };
        let all = vec![
            ban(1, None, 3600),
            ban(2, Some((Some("a.example"), b"x\xff\r\n")), 600),
            ban(3, Some((None, b"")), 5),
        ];
        assert_eq!(read(&path, now).unwrap(), []);
        write(&path, all.clone(), now).unwrap();
        assert_eq!(read(&path, now).unwrap(), all);
        let left = read(&path, now + Duration::from_secs(5)).unwrap();
        assert_eq!(left.len(), 2);
        assert_eq!(left[0].left, Duration::from_secs(3595));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        std::fs::write(&path, "{").unwrap();
        assert!(read(&path, now).is_err());
        let odd = r#"{"bans":[{"address":"::1","user_hex":"0","failures":1,"until":9000000,"new":0}]}"#;
        std::fs::write(&path, odd).unwrap();
        assert_eq!(read(&path, now).unwrap(), []);
    }

    #[test]
    fn no_more_are_kept_than_there_is_room_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bans.json");
        let ban = |n: u32| Ban {
            address: IpAddr::V4((0x0a00_0000 + n).into()),
            from: None,
            failures: 1,
            left: Duration::from_secs(u64::from(n) + 1),
        };
        write(&path, (0..MOST as u32 + 10).map(ban).collect(), UNIX_EPOCH).unwrap();
        let kept = read(&path, UNIX_EPOCH).unwrap();
        assert_eq!((kept.len(), kept.last().unwrap().left), (MOST, Duration::from_secs(11)));
    }
}
