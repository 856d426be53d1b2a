//! Trees that are made the same: a directory of the server's here, or one of here at the server.
//!
//! | file | what it is |
//! |---|---|
//! | `compare` | whether a file is the same on both sides |
//! | `down`, `up` | the two directions: what is found, and what follows from it |
//! | `report` | what was done: counted, and told as it happens |

mod compare;
mod down;
mod report;
mod up;

use std::path::Path;
use std::sync::Arc;

use self::down::Down;
use self::report::Report;
use self::up::Up;
use crate::batch::BatchOptions;
use crate::bounds::{Bounds, Held};
use crate::builder::Builder;
use crate::crew::Crew;
use crate::error::Error;
use crate::filter::Filter;
use crate::get::GetOptions;
use crate::put::PutOptions;
use crate::tree::join;
use crate::watch::{Place, Watch};

pub use self::report::Summary;

/// What a mirror does, beyond how files are transferred.
#[derive(Clone, Debug, Default)]
pub struct MirrorOptions {
    /// Remove from the target what the source does not have. Nothing is removed where any listing of the source is not
    /// whole, or the source is empty: it is more often a mistake than meant. What the filter leaves out stays.
    pub delete: bool,
    /// Change nothing, and tell what would be done.
    pub dry_run: bool,
    /// Which names are meant, on both sides.
    pub filter: Filter,
    /// Which files are transferred.
    pub choose: Choose,
    /// What is done with symbolic links of the source.
    pub links: Links,
}

/// Which of the files that both sides have are transferred.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choose {
    /// Those whose size or time differs. To a server that can set no times: those whose size differs, or that are newer.
    #[default]
    Changed,
    /// Those that are newer in the source.
    Newer,
    /// Those whose size or digest differs; times are not looked at. Both sides read every file of the same size.
    Checksum,
    /// All.
    All,
}

/// What is done with symbolic links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Links {
    /// They are left out, and told of.
    #[default]
    Skip,
    /// They become links in the target, where they lead to something in the tree by a relative path; others are left out.
    /// Downloads alone: FTP makes no links.
    Keep,
    /// The file that a link leads to is transferred under the link's name; a link to a directory is left out.
    Follow,
}

/// Makes trees the same, over sessions of its own.
pub struct Mirror {
    settings: Builder,
    batch: BatchOptions,
    options: MirrorOptions,
    watch: Arc<dyn Watch>,
}

impl Mirror {
    /// A mirror over sessions with these settings.
    pub fn new(settings: Builder, batch: BatchOptions, options: MirrorOptions, watch: Arc<dyn Watch>) -> Mirror {
        Mirror { settings, batch, options, watch }
    }

    /// Makes `local` what the server's directory `remote` is (empty: the one that the login leads to). Files take their
    /// names when they are whole, and keep the server's times, so that the next run knows them. What the server names is
    /// written below `local` and nowhere else.
    ///
    /// Cancel safety: the future may be dropped; what was transferred stays, and another run does what is left.
    ///
    /// # Errors
    /// Where the server's directory cannot be listed at all, or `local` cannot be made. What goes wrong with single files
    /// is told to the watch and counted in the summary.
    pub async fn down(&self, remote: &[u8], local: &Path) -> Result<Summary, Error> {
        let report = Report::new(&self.watch, &self.options, self.batch.max_size);
        let mut crew = self.crew();
        let bounds = Bounds::new(&self.settings);
        let mut down = Down::new(remote, local, &self.options, self.get_options(), report, bounds)?;
        let done = down.run(&mut crew).await;
        crew.end().await;
        done.map(|()| down.finish())
    }

    /// Makes the server's directory `remote` what `local` is. Files are sent aside and renamed when they are whole, where
    /// the batch's options say so, and keep their times where the server can set them.
    ///
    /// Cancel safety: as [`Mirror::down`].
    ///
    /// # Errors
    /// Where `local` cannot be read, or the server's directory can neither be listed nor made.
    pub async fn up(&self, local: &Path, remote: &[u8]) -> Result<Summary, Error> {
        if self.options.links == Links::Keep {
            return Err(Error::Usage("links cannot be kept at a server: FTP makes none; skip or follow them"));
        }
        let report = Report::new(&self.watch, &self.options, self.batch.max_size);
        let mut crew = self.crew();
        let bounds = (Bounds::new(&self.settings), Held::new(&self.settings));
        let mut up = Up::new(local, remote, &self.options, self.put_options(), report, bounds)?;
        let done = up.run(&mut crew).await;
        crew.end().await;
        done.map(|()| up.finish())
    }

    fn crew(&self) -> Crew {
        Crew::new(self.settings.clone(), self.batch.parallel, self.batch.retry).expecting_more()
    }

    fn get_options(&self) -> GetOptions {
        GetOptions {
            keep_time: self.batch.keep_time,
            verify: self.batch.verify,
            rate: self.batch.rate.clone(),
            max_size: self.batch.max_size,
            ..GetOptions::default()
        }
    }

    fn put_options(&self) -> PutOptions {
        PutOptions {
            keep_time: self.batch.keep_time,
            verify: self.batch.verify,
            rate: self.batch.rate.clone(),
            aside: self.batch.aside && !self.settings.is_guest(),
            ..PutOptions::default()
        }
    }
}

/// A directory of the server's, by its path in the tree.
fn above_it(root: &[u8], relative: &[u8]) -> Place {
    Place::Remote(if relative.is_empty() { root.to_vec() } else { join(root, relative) })
}
