//! How the files of certificates are reached. A server that has given up the right to read its private key again needs
//! somebody else to do it.

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::time::SystemTime;

/// Reads files and looks at them. It may wait for as long as that takes: it is never called by a task.
pub trait Files: Debug + Send + Sync {
    /// The whole of a file.
    ///
    /// # Errors
    /// Where it cannot be read.
    fn read(&self, file: &Path) -> io::Result<Vec<u8>>;

    /// When it was last changed; nothing where that cannot be told at this moment.
    fn changed(&self, file: &Path) -> Option<SystemTime>;
}

/// The files as this process sees them.
#[derive(Clone, Copy, Debug, Default)]
pub struct OwnFiles;

impl Files for OwnFiles {
    fn read(&self, file: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(file)
    }

    fn changed(&self, file: &Path) -> Option<SystemTime> {
        std::fs::metadata(file).and_then(|facts| facts.modified()).ok()
    }
}
