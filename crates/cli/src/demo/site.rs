//! The server's files in the demo.

use std::io;
use std::path::Path;

use tempfile::TempDir;

/// What the user fetches: with the line ends of this disk.
pub(super) const README: &[u8] = include_bytes!("readme.txt");

/// Makes the files, in a directory that is gone when it is dropped.
pub(super) fn make() -> io::Result<TempDir> {
    let dir = tempfile::Builder::new().prefix("port21-demo-").tempdir()?;
    let root = dir.path();
    // The directory itself is the owner's alone; what is in it looks as on any public server.
    std::fs::create_dir(root.join("pub"))?;
    std::fs::write(root.join("pub/readme.txt"), README)?;
    std::fs::write(root.join("welcome.msg"), "The file to fetch is pub/readme.txt.\n")?;
    for (name, mode) in [("pub", 0o755), ("pub/readme.txt", 0o644), ("welcome.msg", 0o644)] {
        set_mode(&root.join(name), mode)?;
    }
    Ok(dir)
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use port21_proto::ascii::ToWire;

    use super::*;

    #[test]
    fn the_readme_has_1715_bytes_on_the_wire() {
        assert_eq!(ToWire::default().wire_len(README), 1715);
        assert!(!README.contains(&b'\r') && README.is_ascii() && README.ends_with(b"\n"));
    }
}
