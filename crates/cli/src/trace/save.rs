//! Drawings into files: whole, or not at all.

use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use port21_trace::drawing::{Drawing, Format};
use port21_trace::input::Secrets;
use port21_trace::recording::Recording;

use crate::exit::Fault;

/// Draws into a file. Where several sessions are to be drawn in a format that has room for one, each gets a file of its own,
/// with its number before the ending: says which files were written.
///
/// # Errors
/// A usage error where there is nothing to draw; that a file cannot be written.
pub(crate) fn save(path: &Path, drawing: &Drawing, recording: &Recording) -> anyhow::Result<Vec<PathBuf>> {
    let files = drawing.files(recording).map_err(|error| Fault::usage(error.to_string()))?;
    let digits = recording.sessions.len().to_string().len();
    let mut written = Vec::with_capacity(files.len());
    for (number, drawing) in files {
        let path = number.map_or_else(|| path.to_owned(), |number| numbered(path, number, digits));
        let drawn = drawing.file(recording).map_err(|error| Fault::usage(error.to_string()))?;
        // Passwords are for their reader alone; a recording holds none.
        let private = drawing.secrets == Secrets::Shown && drawing.format != Format::Recording;
        write(&path, &drawn, private).with_context(|| format!("cannot write {}", path.display()))?;
        written.push(path);
    }
    Ok(written)
}

/// `x.svg` to `x-07.svg`.
fn numbered(path: &Path, number: usize, digits: usize) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{number:0digits$}"));
    if let Some(ending) = path.extension() {
        name.push(".");
        name.push(ending);
    }
    path.with_file_name(name)
}

/// Writes a file aside, and gives it its name when it is whole. What is no file (a pipe, a terminal) is written to as it is.
pub(super) fn write(path: &Path, bytes: &[u8], private: bool) -> io::Result<()> {
    let there = fs::metadata(path);
    if there.as_ref().is_ok_and(|there| !there.is_file()) {
        return fs::write(path, bytes);
    }
    // Where a link leads the file is written anew; the link stays.
    let path = if there.is_ok() { fs::canonicalize(path)? } else { path.to_owned() };
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut aside = tempfile::Builder::new();
    aside.prefix(".port21-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // What the umask leaves of it.
        aside.permissions(Permissions::from_mode(if private { 0o600 } else { 0o666 }));
    }
    let mut aside = aside.tempfile_in(directory)?;
    aside.write_all(bytes)?;
    if let Some(there) = there.ok().filter(|_| !private) {
        aside.as_file().set_permissions(there.permissions())?;
    }
    aside.persist(&path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_file_is_whole_and_keeps_what_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("x.svg"), dir.path().join("link.svg"));
        write(&file, b"one", false).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o664)).unwrap();
        std::os::unix::fs::symlink("x.svg", &link).unwrap();
        write(&link, b"two", false).unwrap();
        assert_eq!((fs::read(&file).unwrap(), mode(&file)), (b"two".to_vec(), 0o664));
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        // With passwords in it, it is its owner's, whatever it was.
        write(&file, b"three", true).unwrap();
        assert_eq!(mode(&file), 0o600);
        // What cannot take the name leaves no trace.
        fs::create_dir(dir.path().join("d")).unwrap();
        assert!(write(&dir.path().join("d"), b"x", false).is_err());
        assert!(write(&dir.path().join("none/x"), b"x", false).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[test]
    fn what_is_no_file_is_written_to() {
        write(Path::new("/dev/null"), b"x", true).unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn numbers_stand_before_the_ending() {
        let name = |path: &str| numbered(Path::new(path), 7, 3).display().to_string();
        assert_eq!(name("a/x.y.svg"), "a/x.y-007.svg");
        assert_eq!(name("x"), "x-007");
    }
}
