//! Storages that are no plain file system: one that gives readers, one with a limit.

use std::sync::Arc;

use jiff::Timestamp;
use port21_proto::FtpPath;
use port21_proto::listing::Entry;
use port21_proto::server::{ListRequest, Representation, StorageError};
use port21_server::Storage;
use port21_server::storage::{Answer, Hold, Listing, Sink, Source, Upload, UploadRequest};

/// Gives every file as a reader, as a storage on another machine would.
pub(crate) struct AsReader(pub(crate) Arc<dyn Storage>);

/// Takes no more than so many bytes an upload.
pub(crate) struct Capped {
    pub(crate) files: Arc<dyn Storage>,
    pub(crate) most: u64,
}

/// Passes everything on, but for `open_read` and `create`.
macro_rules! the_others {
    ($files:tt) => {
        fn list<'a>(&'a self, request: &'a ListRequest) -> Answer<'a, Box<dyn Listing>> {
            self.$files.list(request)
        }
        fn stat<'a>(&'a self, path: &'a FtpPath) -> Answer<'a, Entry> {
            self.$files.stat(path)
        }
        fn size<'a>(&'a self, path: &'a FtpPath, representation: Representation) -> Answer<'a, u64> {
            self.$files.size(path, representation)
        }
        fn enter<'a>(&'a self, path: &'a FtpPath) -> Answer<'a, ()> {
            self.$files.enter(path)
        }
        fn rename<'a>(&'a self, from: &'a FtpPath, to: &'a FtpPath, overwrite: bool) -> Answer<'a, ()> {
            self.$files.rename(from, to, overwrite)
        }
        fn remove_file<'a>(&'a self, path: &'a FtpPath) -> Answer<'a, ()> {
            self.$files.remove_file(path)
        }
        fn remove_directory<'a>(&'a self, path: &'a FtpPath) -> Answer<'a, ()> {
            self.$files.remove_directory(path)
        }
        fn make_directory<'a>(&'a self, path: &'a FtpPath) -> Answer<'a, ()> {
            self.$files.make_directory(path)
        }
        fn set_modified<'a>(&'a self, path: &'a FtpPath, at: Timestamp) -> Answer<'a, ()> {
            self.$files.set_modified(path, at)
        }
        fn set_mode<'a>(&'a self, path: &'a FtpPath, mode: u32) -> Answer<'a, ()> {
            self.$files.set_mode(path, mode)
        }
    };
}

impl Storage for AsReader {
    the_others!(0);

    fn open_read<'a>(&'a self, path: &'a FtpPath, from: u64) -> Answer<'a, Source> {
        Box::pin(async move { Ok(as_reader(self.0.open_read(path, from).await?)) })
    }

    fn hold<'a>(&'a self, path: &'a FtpPath) -> Answer<'a, Box<dyn Hold>> {
        Box::pin(async move { Ok(Box::new(HeldAsReader(self.0.hold(path).await?)) as Box<dyn Hold>) })
    }

    fn create<'a>(&'a self, request: UploadRequest<'a>) -> Answer<'a, Box<dyn Upload>> {
        self.0.create(request)
    }
}

fn as_reader(source: Source) -> Source {
    let Source::File { mut file, .. } = source else { panic!("no file") };
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut file, &mut bytes).unwrap();
    Source::Reader { reader: Box::new(std::io::Cursor::new(bytes)), len: None }
}

struct HeldAsReader(Box<dyn Hold>);

impl Hold for HeldAsReader {
    fn unique(&self) -> &[u8] {
        self.0.unique()
    }

    fn size(&self) -> u64 {
        self.0.size()
    }

    fn open(&self) -> Answer<'_, Source> {
        Box::pin(async { Ok(as_reader(self.0.open().await?)) })
    }

    fn remove(self: Box<Self>) -> Answer<'static, ()> {
        self.0.remove()
    }
}

impl Storage for Capped {
    the_others!(files);

    fn open_read<'a>(&'a self, path: &'a FtpPath, from: u64) -> Answer<'a, Source> {
        self.files.open_read(path, from)
    }

    fn create<'a>(&'a self, request: UploadRequest<'a>) -> Answer<'a, Box<dyn Upload>> {
        Box::pin(async move {
            let upload = self.files.create(request).await?;
            Ok(Box::new(CappedUpload { upload, left: self.most }) as Box<dyn Upload>)
        })
    }
}

struct CappedUpload {
    upload: Box<dyn Upload>,
    left: u64,
}

impl Upload for CappedUpload {
    fn path(&self) -> &FtpPath {
        self.upload.path()
    }

    fn take(&mut self, bytes: u64) -> Result<(), StorageError> {
        self.left = self.left.checked_sub(bytes).ok_or(StorageError::OverQuota)?;
        Ok(())
    }

    fn spoil(&mut self) {
        self.upload.spoil();
    }

    fn sink(&mut self) -> Sink<'_> {
        self.upload.sink()
    }

    fn sync(&mut self) -> Answer<'_, ()> {
        self.upload.sync()
    }

    fn commit(self: Box<Self>) -> Answer<'static, ()> {
        self.upload.commit()
    }
}
