//! Uploads that are cut off leave the old file whole, and nothing else behind.

use std::io::Write;
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use port21_proto::FtpPath;
use port21_proto::listing::Entry;
use port21_proto::server::{ListRequest, Representation};
use port21_server::Storage;
use port21_server::storage::{Answer, Listing, Sink, Source, Upload, UploadRequest};

use crate::site::{Raw, Site, noise};

/// A client in the middle of an upload over a file that is there.
fn halfway(site: &Site) -> (Raw, TcpStream) {
    site.write("file", "old");
    let mut raw = site.login();
    raw.command("TYPE I", 200);
    let mut data = raw.passive();
    raw.command("STOR file", 150);
    data.write_all(&noise(700_000)).unwrap();
    (raw, data)
}

fn reset(stream: &TcpStream) {
    socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
}

fn assert_old(site: &Site) {
    assert_eq!(site.names(), ["file"]);
    assert_eq!(site.read("file"), b"old");
}

#[test]
fn by_a_reset_of_the_data_connection() {
    let site = Site::new();
    let (mut raw, data) = halfway(&site);
    reset(&data);
    drop(data);
    raw.expect(426);
    assert_old(&site);
    raw.store("STOR file", b"new");
    assert_eq!(site.read("file"), b"new");
}

#[test]
fn by_the_end_of_the_client() {
    let site = Site::new();
    let (raw, data) = halfway(&site);
    // What the system does for a client that was killed: both connections end in order.
    drop(raw);
    drop(data);
    site.wait_for_the_end();
    assert_old(&site);
}

#[test]
fn by_resets_of_both_connections() {
    let site = Site::new();
    let (raw, data) = halfway(&site);
    reset(&data);
    reset(raw.socket());
    drop(data);
    drop(raw);
    site.wait_for_the_end();
    assert_old(&site);
}

#[test]
fn by_a_shutdown_of_the_server() {
    let mut settings = Site::settings();
    settings.shutdown_grace = Duration::from_millis(50);
    let mut site = Site::with(settings);
    let (raw, data) = halfway(&site);
    site.join();
    assert_old(&site);
    drop((raw, data));
}

/// The hardest case: the data connection has ended in order, the file is complete, and while it is made to last the
/// control connection ends as well.
#[test]
fn by_the_end_of_the_client_while_the_bytes_are_made_to_last() {
    let (syncing, is_syncing) = channel();
    let (go_on, may_go_on) = channel();
    let site = Site::over(Site::settings(), |files| Arc::new(SlowSync { files, syncing, gate: gate(may_go_on) }));
    let (raw, data) = halfway(&site);
    drop(data);
    is_syncing.recv().unwrap();
    drop(raw);
    go_on.send(()).unwrap();
    site.wait_for_the_end();
    assert_old(&site);
}

/// Who was killed may have sent QUIT before.
#[test]
fn by_the_end_of_a_client_that_has_said_quit() {
    let (syncing, is_syncing) = channel();
    let (go_on, may_go_on) = channel();
    let site = Site::over(Site::settings(), |files| Arc::new(SlowSync { files, syncing, gate: gate(may_go_on) }));
    let (mut raw, data) = halfway(&site);
    drop(data);
    is_syncing.recv().unwrap();
    raw.send("QUIT\r\n");
    drop(raw);
    go_on.send(()).unwrap();
    site.wait_for_the_end();
    assert_old(&site);
}

#[test]
fn in_place_keeps_what_came() {
    let site = Site::new();
    site.write("file", "0123456789");
    let mut raw = site.login();
    raw.command("TYPE I", 200);
    raw.command("REST 10", 350);
    let mut data = raw.passive();
    raw.command("STOR file", 150);
    data.write_all(&noise(600_000)).unwrap();
    drop(data);
    raw.expect(226);
    raw.command("REST 600010", 350);
    let mut data = raw.passive();
    raw.command("STOR file", 150);
    data.write_all(b"more").unwrap();
    // All four bytes arrive before the end does, whichever it is.
    data.shutdown(std::net::Shutdown::Write).unwrap();
    raw.expect(226);
    let all = site.read("file");
    assert_eq!(all.len(), 600_014);
    assert!(all.starts_with(b"0123456789") && all.ends_with(b"more"));
}

#[test]
fn a_full_disk_is_told_at_once() {
    let site = Site::over(Site::settings(), |files| Arc::new(FullDisk(files)));
    let mut raw = site.login();
    let mut data = raw.passive();
    raw.command("STOR file", 150);
    // The client goes on sending, or would like to: the refusal does not wait for it.
    let _ = data.write_all(&noise(600_000));
    raw.expect(452);
    assert!(site.names().is_empty());
    drop(data);
}

fn gate(may_go_on: Receiver<()>) -> Arc<Mutex<Receiver<()>>> {
    Arc::new(Mutex::new(may_go_on))
}

/// Passes everything on, but for `create`.
macro_rules! all_but_create {
    ($files:tt) => {
        fn open_read<'a>(&'a self, path: &'a FtpPath, from: u64) -> Answer<'a, Source> {
            self.$files.open_read(path, from)
        }
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

/// A storage whose uploads take as long to last as a test wants.
struct SlowSync {
    files: Arc<dyn Storage>,
    syncing: Sender<()>,
    gate: Arc<Mutex<Receiver<()>>>,
}

struct SlowUpload {
    upload: Box<dyn Upload>,
    syncing: Sender<()>,
    gate: Arc<Mutex<Receiver<()>>>,
}

impl Storage for SlowSync {
    all_but_create!(files);

    fn create<'a>(&'a self, request: UploadRequest<'a>) -> Answer<'a, Box<dyn Upload>> {
        Box::pin(async move {
            let upload = self.files.create(request).await?;
            let slow = SlowUpload { upload, syncing: self.syncing.clone(), gate: self.gate.clone() };
            Ok(Box::new(slow) as Box<dyn Upload>)
        })
    }
}

impl Upload for SlowUpload {
    fn path(&self) -> &FtpPath {
        self.upload.path()
    }

    fn sink(&mut self) -> Sink<'_> {
        self.upload.sink()
    }

    fn sync(&mut self) -> Answer<'_, ()> {
        Box::pin(async move {
            let (syncing, gate) = (self.syncing.clone(), self.gate.clone());
            let waited = tokio::task::spawn_blocking(move || {
                syncing.send(()).unwrap();
                gate.lock().unwrap().recv().unwrap();
            });
            waited.await.unwrap();
            self.upload.sync().await
        })
    }

    fn commit(self: Box<Self>) -> Answer<'static, ()> {
        self.upload.commit()
    }
}

/// A storage without room: what is written goes to /dev/full.
struct FullDisk(Arc<dyn Storage>);

struct FullUpload(Box<dyn Upload>);

impl Storage for FullDisk {
    all_but_create!(0);

    fn create<'a>(&'a self, request: UploadRequest<'a>) -> Answer<'a, Box<dyn Upload>> {
        Box::pin(async move { Ok(Box::new(FullUpload(self.0.create(request).await?)) as Box<dyn Upload>) })
    }
}

impl Upload for FullUpload {
    fn path(&self) -> &FtpPath {
        self.0.path()
    }

    fn sink(&mut self) -> Sink<'_> {
        Sink::File(Arc::new(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap()))
    }

    fn sync(&mut self) -> Answer<'_, ()> {
        self.0.sync()
    }

    fn commit(self: Box<Self>) -> Answer<'static, ()> {
        self.0.commit()
    }
}
