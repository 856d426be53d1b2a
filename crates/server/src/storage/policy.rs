//! How an account's uploads become files: when they are there for others, and how surely.

use port21_proto::FtpPath;
use port21_proto::server::UploadEof;

use super::rules::PathPattern;

/// How an upload becomes a file. [`Placement::At`](port21_proto::server::Placement::At), [`Placement::Within`](port21_proto::server::Placement::Within) and
/// [`Placement::End`](port21_proto::server::Placement::End) write a file that is there in place (the client asked to
/// change that very file); of the modes they then have only the sync of `Durable`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CommitMode {
    /// Written aside, its bytes forced to the disk, then renamed, and the name forced to the disk: once 226 is told,
    /// the file is whole even if the power fails. Costs two waits for the disk an upload (a few milliseconds on an
    /// SSD, tens on a spinning disk), of which uploads to one directory at the same time share the second. The default:
    /// nobody's bytes are lost after "Transfer complete".
    #[default]
    Durable,
    /// Written aside, then renamed: nobody ever sees a part of it, but what was told in the seconds before a power cut
    /// may be gone, or be there with no bytes. Costs a rename.
    Atomic,
    /// Written under its own name at once, as most servers do: others see it grow, the old file is gone with the first
    /// byte, and an upload that breaks off leaves its part. For files that someone reads while they grow, and for places
    /// where a rename is not possible.
    Direct,
}

/// An account's uploads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UploadPolicy {
    /// How they become files. Nothing, the default: as [`Settings::commit`](crate::Settings::commit) says.
    pub commit: Option<CommitMode>,
    /// The same for some paths, as the account names them: the first that fits decides. Default none.
    pub commit_by_path: Vec<(PathPattern, CommitMode)>,
    /// What counts as the end of a whole upload. Default [`UploadEof::Strict`]; see [`UploadEof::Lenient`] for the
    /// danger of the other.
    pub eof: UploadEof,
}

impl UploadPolicy {
    /// How an upload to this path becomes a file, where this policy says.
    pub fn commit_of(&self, path: &FtpPath) -> Option<CommitMode> {
        let by_path = self.commit_by_path.iter().find(|(pattern, _)| pattern.covers(path));
        by_path.map(|(_, mode)| *mode).or(self.commit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> FtpPath {
        FtpPath::new(text).unwrap()
    }

    #[test]
    fn the_first_path_that_fits_decides() {
        let policy = UploadPolicy {
            commit: Some(CommitMode::Durable),
            commit_by_path: vec![
                ("/logs/keep/**".parse().unwrap(), CommitMode::Atomic),
                ("/logs/**".parse().unwrap(), CommitMode::Direct),
            ],
            ..UploadPolicy::default()
        };
        assert_eq!(policy.commit_of(&path("/logs/keep/a")), Some(CommitMode::Atomic));
        assert_eq!(policy.commit_of(&path("/logs/a")), Some(CommitMode::Direct));
        assert_eq!(policy.commit_of(&path("/a")), Some(CommitMode::Durable));
        assert_eq!(UploadPolicy::default().commit_of(&path("/a")), None);
    }
}
