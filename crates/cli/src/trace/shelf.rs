//! The file that a live capture is written to, bounded in size.

use std::fs::File;
use std::io::BufWriter;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use port21_proto::Time;
use port21_trace::capture::{Link, PcapngWriter};

/// A capture file. When it has its size, it gets `.1` behind its name, in place of the one before, and another is begun.
#[derive(Debug)]
pub(super) struct Shelf {
    path: PathBuf,
    limit: u64,
    interface: String,
    link: Link,
    writer: PcapngWriter<BufWriter<File>>,
}

impl Shelf {
    /// Begins a file; one of that name is replaced.
    pub(super) fn begin(path: &Path, limit: u64, interface: &str, link: Link) -> anyhow::Result<Shelf> {
        let writer = create(path, interface, link)?;
        Ok(Shelf { path: path.to_owned(), limit, interface: interface.to_owned(), link, writer })
    }

    /// Writes a packet.
    pub(super) fn packet(&mut self, at: Time, bytes: &[u8]) -> anyhow::Result<()> {
        if self.writer.written().saturating_add(bytes.len() as u64) > self.limit {
            self.flush()?;
            let old = self.older();
            std::fs::rename(&self.path, &old).with_context(|| format!("cannot write {}", old.display()))?;
            self.writer = create(&self.path, &self.interface, self.link)?;
        }
        self.writer.packet(at, bytes).with_context(|| self.cannot())
    }

    /// Writes what is still held back.
    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        self.writer.flush().with_context(|| self.cannot())
    }

    fn cannot(&self) -> String {
        format!("cannot write {}", self.path.display())
    }

    fn older(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".1");
        name.into()
    }
}

fn create(path: &Path, interface: &str, link: Link) -> anyhow::Result<PcapngWriter<BufWriter<File>>> {
    // Packets hold what was said, passwords in clear text too: a new file is its owner's alone.
    let open = || File::options().write(true).create(true).truncate(true).mode(0o600).open(path);
    let begin = || PcapngWriter::new(BufWriter::new(open()?), interface, link);
    begin().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn files_are_bounded_and_the_one_before_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.pcapng");
        let mut shelf = Shelf::begin(&path, 4_000, "lo", Link::Ip).unwrap();
        for n in 0..20 {
            shelf.packet(Time::from_unix_secs(n), &[0; 1000]).unwrap();
        }
        shelf.flush().unwrap();
        let names = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap());
        let sizes: Vec<u64> = names.map(|entry| entry.metadata().unwrap().len()).collect();
        assert_eq!(sizes.len(), 2);
        assert!(sizes.iter().all(|size| (1_000..=4_200).contains(size)), "{sizes:?}");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let begin = std::fs::read(&path).unwrap();
        assert_eq!(begin[..4], [0x0a, 0x0d, 0x0d, 0x0a]);
    }
}
