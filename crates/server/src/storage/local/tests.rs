use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};

use port21_proto::listing::{EntryKind, FactSet, ListOptions};
use port21_proto::server::{ListFormat, Placement};
use tempfile::TempDir;

use super::*;
use crate::storage::{CommitMode, Piece, Sink};

/// A directory that holds a root and, outside it, a secret.
struct Place {
    dir: TempDir,
    fs: LocalFs,
}

impl Place {
    fn new() -> Place {
        Place::with(LocalSettings::default())
    }

    fn with(settings: LocalSettings) -> Place {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("root")).unwrap();
        fs::create_dir(dir.path().join("outside")).unwrap();
        fs::write(dir.path().join("outside/secret"), "secret").unwrap();
        let fs = LocalFs::open(dir.path().join("root"), settings).unwrap();
        Place { dir, fs }
    }

    /// The same root, without openat2.
    fn walking(&self) -> LocalFs {
        LocalFs { tree: Arc::new(Tree::walking(&self.root())), settings: Arc::clone(&self.fs.settings) }
    }

    fn root(&self) -> std::path::PathBuf {
        self.dir.path().join("root")
    }

    fn at(&self, name: impl AsRef<Path>) -> std::path::PathBuf {
        self.root().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.at(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap()
    }

    /// All names in the root, hidden ones too.
    fn names(&self) -> BTreeSet<String> {
        fs::read_dir(self.root()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }
}

fn path(text: &str) -> FtpPath {
    FtpPath::new(text).unwrap()
}

/// What a session reads from a path.
async fn get(fs: &LocalFs, name: &str, from: u64) -> Result<String, StorageError> {
    match fs.open_read(&path(name), from).await? {
        Source::File { mut file, len } => {
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            assert_eq!(text.len() as u64, len);
            Ok(text)
        }
        Source::Reader { .. } => unreachable!("local files are files"),
    }
}

struct Put<'a> {
    fs: &'a LocalFs,
    path: FtpPath,
    placement: Placement,
    overwrite: bool,
    announced: Option<u64>,
    commit: CommitMode,
}

impl Put<'_> {
    fn new<'a>(fs: &'a LocalFs, name: &str) -> Put<'a> {
        Put {
            fs,
            path: path(name),
            placement: Placement::Whole,
            overwrite: true,
            announced: None,
            commit: CommitMode::Atomic,
        }
    }

    /// Begins the upload and writes its bytes.
    async fn write(&self, text: &str) -> Result<Box<dyn Upload>, StorageError> {
        let Put { placement, overwrite, announced, commit, .. } = *self;
        let request = UploadRequest { path: &self.path, placement, overwrite, announced, commit };
        let mut upload = self.fs.create(request).await?;
        match upload.sink() {
            Sink::File(file) => (&*file).write_all(text.as_bytes()).unwrap(),
            Sink::Writer(_) => unreachable!("local files are files"),
        }
        Ok(upload)
    }

    /// A whole upload.
    async fn all(&self, text: &str) -> Result<(), StorageError> {
        let mut upload = self.write(text).await?;
        upload.sync().await?;
        upload.commit().await
    }
}

fn listed(name: &str, format: ListFormat, options: ListOptions) -> ListRequest {
    ListRequest { path: path(name), pattern: None, written: name.into(), format, options }
}

fn long(name: &str) -> ListRequest {
    listed(name, ListFormat::Long, ListOptions::default())
}

async fn pieces(fs: &LocalFs, request: &ListRequest) -> Result<Vec<Piece>, StorageError> {
    let mut listing = fs.list(request).await?;
    let mut pieces = Vec::new();
    while let Some(piece) = listing.next().await? {
        pieces.push(piece);
    }
    assert_eq!(listing.next().await, Ok(None));
    Ok(pieces)
}

async fn entries(fs: &LocalFs, request: &ListRequest) -> Vec<Entry> {
    let pieces = pieces(fs, request).await.unwrap();
    let entries = pieces.into_iter().filter_map(|piece| match piece {
        Piece::Entries(entries) => Some(entries),
        Piece::Directory(_) => None,
    });
    entries.flatten().collect()
}

async fn names(fs: &LocalFs, request: &ListRequest) -> Vec<String> {
    entries(fs, request).await.into_iter().map(|e| String::from_utf8(e.name).unwrap()).collect()
}

mod confinement {
    use super::*;

    #[tokio::test]
    async fn links_are_followed_inside_the_root_and_never_out_of_it() {
        let place = Place::new();
        fs::create_dir_all(place.at("pub/deep")).unwrap();
        place.write("pub/file", "inside");
        let outside = place.dir.path().join("outside");
        for (link, target) in [
            ("relative", Path::new("pub/file")),
            ("pub/deep/up", Path::new("../file")),
            ("absolute", Path::new("/pub/file")),
            ("chain", Path::new("relative")),
            ("folder", Path::new("/pub")),
            ("out-absolute", &outside.join("secret")),
            ("out-relative", Path::new("../outside/secret")),
            ("pub/deep/out-nested", Path::new("../../../outside/secret")),
            ("out-folder", &outside),
            ("out-up", Path::new("..")),
            ("ring", Path::new("ring")),
            ("magic", Path::new("/proc/self/root")),
            ("magic-cwd", Path::new("/proc/self/cwd")),
        ] {
            symlink(target, place.at(link)).unwrap();
        }
        for fs in [&place.fs, &place.walking()] {
            for name in
                ["relative", "pub/deep/up", "absolute", "chain", "folder/file", "folder/deep/up", "out-up/pub/file"]
            {
                assert_eq!(get(fs, name, 0).await.as_deref(), Ok("inside"), "{name}");
            }
            for name in [
                "out-absolute",
                "out-relative",
                "pub/deep/out-nested",
                "out-folder/secret",
                "out-up/outside/secret",
                "../outside/secret",
                "magic/etc/passwd",
                "magic-cwd/Cargo.toml",
            ] {
                assert_eq!(get(fs, name, 0).await, Err(StorageError::NotFound), "{name}");
                assert_eq!(fs.stat(&path(name)).await, Err(StorageError::NotFound), "{name}");
                let put = Put::new(fs, name).all("x").await;
                assert!(put.is_err() || !name.contains('/'), "{name}");
            }
            assert_eq!(get(fs, "ring", 0).await, Err(StorageError::Denied));
        }
        assert_eq!(fs::read_to_string(outside.join("secret")).unwrap(), "secret");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn magic_links_are_not_followed() {
        // The root is a directory of /proc: links in it are magic ones.
        let fs = LocalFs::open("/proc/self", LocalSettings::default()).unwrap();
        assert_eq!(get(&fs, "root/etc/passwd", 0).await, Err(StorageError::Denied));
        assert_eq!(fs.enter(&path("cwd")).await, Err(StorageError::Denied));
        assert_eq!(get(&fs, "fd/0", 0).await, Err(StorageError::Denied));
        let walking = LocalFs { tree: Arc::new(Tree::walking(Path::new("/proc/self"))), settings: fs.settings };
        assert!(get(&walking, "root/etc/passwd", 0).await.is_err());
        assert!(get(&walking, "exe", 0).await.is_err());
    }

    #[tokio::test]
    async fn names_are_changed_beneath_the_root_alone() {
        let place = Place::new();
        let outside = place.dir.path().join("outside");
        symlink(&outside, place.at("out")).unwrap();
        symlink("../outside", place.at("out2")).unwrap();
        for fs in [&place.fs, &place.walking()] {
            place.write("file", "x");
            for out in ["out", "out2"] {
                let inside = path(&format!("{out}/secret"));
                assert!(fs.remove_file(&inside).await.is_err());
                assert!(fs.rename(&inside, &path("stolen"), true).await.is_err());
                assert!(fs.rename(&path("file"), &path(&format!("{out}/file")), true).await.is_err());
                assert!(fs.make_directory(&path(&format!("{out}/dir"))).await.is_err());
                assert!(fs.set_mode(&inside, 0o777).await.is_err());
                assert!(fs.set_modified(&inside, Timestamp::UNIX_EPOCH).await.is_err());
                assert!(fs.list(&long(out)).await.is_ok_and(|l| !l.is_directory()));
            }
        }
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
        assert_eq!(fs::metadata(outside.join("secret")).unwrap().permissions().mode() & 0o777, 0o644);
    }

    #[tokio::test]
    async fn a_race_of_directory_and_link_wins_nothing() {
        let place = Place::new();
        fs::create_dir(place.at("d")).unwrap();
        place.write("d/secret", "inside");
        symlink("../outside", place.at("l")).unwrap();
        let root = place.root();
        let stop = Arc::new(AtomicBool::new(false));
        let swapper = std::thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                while !stop.load(Ordering::Relaxed) {
                    let exchange = rustix::fs::RenameFlags::EXCHANGE;
                    rustix::fs::renameat_with(CWD, root.join("d"), CWD, root.join("l"), exchange).unwrap();
                }
            }
        });
        let (mut read, mut refused) = (0, 0);
        for fs in [&place.fs, &place.walking()] {
            for round in 0..3000 {
                match get(fs, "d/secret", 0).await {
                    Ok(text) => {
                        assert_eq!(text, "inside");
                        read += 1;
                    }
                    Err(_) => refused += 1,
                }
                if round % 10 == 0 {
                    let _ = Put::new(fs, &format!("d/new{round}")).all("x").await;
                    let _ = fs.rename(&path("d/secret"), &path("d/secret2"), true).await;
                    let _ = fs.rename(&path("d/secret2"), &path("d/secret"), true).await;
                    let _ = fs.rename(&path("l/secret2"), &path("l/secret"), true).await;
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
        swapper.join().unwrap();
        let outside = place.dir.path().join("outside");
        assert_eq!(fs::read_to_string(outside.join("secret")).unwrap(), "secret");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
        assert_eq!(read + refused, 6000);
    }

    #[tokio::test]
    async fn only_regular_files_are_transferred_and_nothing_hangs() {
        let place = Place::new();
        rustix::fs::mkfifoat(CWD, place.at("fifo"), Mode::from_raw_mode(0o666)).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(place.at("socket")).unwrap();
        fs::create_dir(place.at("dir")).unwrap();
        symlink("fifo", place.at("link")).unwrap();
        for fs in [&place.fs, &place.walking()] {
            for special in ["fifo", "socket", "link"] {
                assert_eq!(get(fs, special, 0).await, Err(StorageError::NotARegularFile), "{special}");
                assert_eq!(fs.size(&path(special), Form::Image).await, Err(StorageError::NotARegularFile));
                for placement in [Placement::Whole, Placement::End, Placement::At(1)] {
                    for commit in [CommitMode::Atomic, CommitMode::Direct] {
                        let put = Put { placement, commit, ..Put::new(fs, special) };
                        assert_eq!(put.all("x").await, Err(StorageError::NotARegularFile), "{special}");
                    }
                }
            }
            assert_eq!(get(fs, "dir", 0).await, Err(StorageError::IsADirectory));
            assert_eq!(Put::new(fs, "dir").all("x").await, Err(StorageError::IsADirectory));
            assert_eq!(Put::new(fs, "/").all("x").await, Err(StorageError::IsADirectory));
            assert_eq!(get(fs, "dir/x", 0).await, Err(StorageError::NotFound));
            assert_eq!(get(fs, "fifo/x", 0).await, Err(StorageError::NotADirectory));
        }
    }
}

mod reading {
    use super::*;

    #[tokio::test]
    async fn from_an_offset_up_to_the_end_and_no_further() {
        let place = Place::new();
        place.write("a", "0123456789");
        assert_eq!(get(&place.fs, "a", 4).await.as_deref(), Ok("456789"));
        assert_eq!(get(&place.fs, "a", 10).await.as_deref(), Ok(""));
        assert_eq!(get(&place.fs, "a", 11).await, Err(StorageError::BadOffset));
        assert_eq!(get(&place.fs, "a", u64::MAX).await, Err(StorageError::BadOffset));
        assert_eq!(get(&place.fs, "b", 0).await, Err(StorageError::NotFound));
    }

    #[tokio::test]
    async fn sizes_are_those_of_a_transfer() {
        let place = Place::new();
        place.write("text", "a\nb\r\nc\n");
        place.write("large", &"\n".repeat(1 << 20));
        fs::write(place.at("larger"), vec![b'x'; (1 << 20) + 1]).unwrap();
        let size = async |name: &str, form| place.fs.size(&path(name), form).await;
        assert_eq!(size("text", Form::Image).await, Ok(7));
        assert_eq!(size("text", Form::Ascii).await, Ok(9));
        assert_eq!(size("large", Form::Ascii).await, Ok(2 << 20));
        assert_eq!(size("larger", Form::Ascii).await, Err(StorageError::TooCostly));
        assert_eq!(size("/", Form::Image).await, Err(StorageError::IsADirectory));

        let source = place.fs.open_read(&path("text"), 2).await.unwrap();
        assert_eq!(source.wire_size(Form::Ascii).await, Some(6));
        assert_eq!(source.wire_size(Form::Image).await, Some(5));
        let Source::File { mut file, .. } = source else { unreachable!("local files are files") };
        let mut rest = String::new();
        file.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "b\r\nc\n");
    }

    #[tokio::test]
    async fn facts_of_one_file() {
        let place = Place::new();
        place.write("a", "12345");
        symlink("a", place.at("link")).unwrap();
        let at = Timestamp::from_second(1_115_068_020).unwrap();
        place.fs.set_modified(&path("link"), at).await.unwrap();
        let entry = place.fs.stat(&path("link")).await.unwrap();
        assert_eq!((entry.kind, entry.name.as_slice(), entry.size), (EntryKind::File, &b"/link"[..], Some(5)));
        assert_eq!(entry.modified.map(|m| (m.at, m.utc)), Some((at, true)));
        assert_eq!(entry.perm.as_deref(), Some(&b"adfrw"[..]));
        assert_eq!(entry.unique, place.fs.stat(&path("a")).await.unwrap().unique);
        assert_eq!((entry.owner, entry.group), (None, None));
        let root = place.fs.stat(&path("/")).await.unwrap();
        assert_eq!((root.kind, root.name.as_slice()), (EntryKind::Directory, &b"/"[..]));
    }

    #[tokio::test]
    async fn only_directories_can_be_entered() {
        let place = Place::new();
        place.write("a", "");
        fs::create_dir(place.at("d")).unwrap();
        symlink("d", place.at("link")).unwrap();
        for fs in [&place.fs, &place.walking()] {
            assert_eq!(fs.enter(&path("/")).await, Ok(()));
            assert_eq!(fs.enter(&path("d")).await, Ok(()));
            assert_eq!(fs.enter(&path("link")).await, Ok(()));
            assert_eq!(fs.enter(&path("a")).await, Err(StorageError::NotADirectory));
            assert_eq!(fs.enter(&path("b")).await, Err(StorageError::NotFound));
        }
    }
}

mod uploads {
    use super::*;

    const MODES: [CommitMode; 3] = [CommitMode::Durable, CommitMode::Atomic, CommitMode::Direct];

    #[tokio::test]
    async fn every_mode_makes_a_file() {
        let place = Place::new();
        for commit in MODES {
            for fs in [&place.fs, &place.walking()] {
                Put { commit, ..Put::new(fs, "a") }.all("first").await.unwrap();
                Put { commit, ..Put::new(fs, "a") }.all("2nd").await.unwrap();
                assert_eq!(place.read("a"), "2nd");
                // Without sync the commit does what is to be done.
                Put { commit, ..Put::new(fs, "a") }.write("3").await.unwrap().commit().await.unwrap();
                assert_eq!(place.read("a"), "3");
                assert_eq!(place.names().len(), 1);
            }
        }
    }

    #[tokio::test]
    async fn the_old_file_is_whole_until_the_new_one_is() {
        let place = Place::new();
        place.write("a", "old");
        let mut upload = Put::new(&place.fs, "a").write("new").await.unwrap();
        upload.sync().await.unwrap();
        assert_eq!(place.read("a"), "old");
        assert_eq!(names(&place.fs, &long("/")).await, ["a"]);
        upload.commit().await.unwrap();
        assert_eq!(place.read("a"), "new");
    }

    #[tokio::test]
    async fn what_is_dropped_never_happened() {
        let place = Place::new();
        place.write("a", "old");
        drop(Put::new(&place.fs, "a").write("new").await.unwrap());
        drop(Put::new(&place.fs, "b").write("new").await.unwrap());
        assert_eq!(place.names(), BTreeSet::from(["a".into()]));
        assert_eq!(place.read("a"), "old");
        // The claim went with it.
        Put::new(&place.fs, "a").all("new").await.unwrap();
    }

    #[tokio::test]
    async fn a_second_writer_is_refused() {
        let place = Place::new();
        place.write("a", "old");
        fs::hard_link(place.at("a"), place.at("same")).unwrap();
        symlink("a", place.at("link")).unwrap();
        for first in [Placement::Whole, Placement::End, Placement::At(1)] {
            let upload = Put { placement: first, ..Put::new(&place.fs, "a") }.write("").await.unwrap();
            // Another account with the same root is no way round.
            let other = LocalFs::open(place.root(), LocalSettings::default()).unwrap();
            for (name, placement, commit) in [
                ("a", Placement::Whole, CommitMode::Atomic),
                ("a", Placement::Whole, CommitMode::Direct),
                ("a", Placement::End, CommitMode::Atomic),
                ("a", Placement::At(1), CommitMode::Atomic),
                ("link", Placement::Whole, CommitMode::Atomic),
                ("same", Placement::End, CommitMode::Atomic),
            ] {
                let put = Put { placement, commit, ..Put::new(&other, name) };
                assert_eq!(put.all("x").await, Err(StorageError::Busy), "{name} {placement:?}");
            }
            Put::new(&other, "b").all("x").await.unwrap();
            drop(upload);
            assert_eq!(place.read("a"), "old");
        }
        let upload = Put::new(&place.fs, "new").write("").await.unwrap();
        assert_eq!(Put::new(&place.fs, "new").all("x").await, Err(StorageError::Busy));
        upload.commit().await.unwrap();
        Put::new(&place.fs, "new").all("x").await.unwrap();
    }

    #[tokio::test]
    async fn nothing_is_replaced_that_may_not_be() {
        let place = Place::new();
        place.write("a", "old");
        for commit in MODES {
            for placement in [Placement::Whole, Placement::End, Placement::At(1)] {
                let put = Put { commit, placement, overwrite: false, ..Put::new(&place.fs, "a") };
                assert_eq!(put.all("new").await, Err(StorageError::Exists));
            }
        }
        // Taken while the upload ran, by somebody outside.
        let upload = Put { overwrite: false, ..Put::new(&place.fs, "b") }.write("mine").await.unwrap();
        place.write("b", "theirs");
        assert_eq!(upload.commit().await, Err(StorageError::Exists));
        assert_eq!((place.read("a"), place.read("b")), ("old".into(), "theirs".into()));
        assert_eq!(place.names().len(), 2);
    }

    #[tokio::test]
    async fn unique_names_begin_as_asked_and_never_meet() {
        let place = Place::new();
        let mut seen = BTreeSet::new();
        for _ in 0..20 {
            let upload =
                Put { placement: Placement::Unique, ..Put::new(&place.fs, "in.txt") }.write("x").await.unwrap();
            let name = upload.path().to_string();
            assert!(name.starts_with("/in.txt.") && name.len() == 16, "{name}");
            upload.commit().await.unwrap();
            assert!(seen.insert(name));
        }
        let long = "x".repeat(255);
        let upload = Put { placement: Placement::Unique, ..Put::new(&place.fs, &long) }.write("x").await.unwrap();
        upload.commit().await.unwrap();
        assert_eq!(place.names().len(), 21);
    }

    #[tokio::test]
    async fn a_restarted_upload_ends_the_file_where_it_ends() {
        let place = Place::new();
        for (from, text, want) in
            [(4, "xy", "0123xy"), (10, "xy", "0123456789xy"), (4, "", "0123"), (9, "xyz", "012345678xyz")]
        {
            for commit in MODES {
                place.write("a", "0123456789");
                Put { commit, placement: Placement::At(from), ..Put::new(&place.fs, "a") }.all(text).await.unwrap();
                assert_eq!(place.read("a"), want);
            }
        }
        place.write("a", "0123456789");
        for (name, from) in [("a", 11), ("a", u64::MAX), ("b", 1)] {
            let put = Put { placement: Placement::At(from), ..Put::new(&place.fs, name) };
            assert_eq!(put.all("x").await, Err(StorageError::BadOffset));
        }
        // From its first byte on it is a whole upload.
        let upload = Put { placement: Placement::At(0), ..Put::new(&place.fs, "a") }.write("new").await.unwrap();
        assert_eq!(place.read("a"), "0123456789");
        upload.commit().await.unwrap();
        assert_eq!(place.read("a"), "new");
    }

    #[tokio::test]
    async fn a_restart_that_breaks_off_leaves_what_came_and_harms_nothing_when_nothing_came() {
        let place = Place::new();
        place.write("a", "0123456789");
        let put = Put { placement: Placement::At(4), ..Put::new(&place.fs, "a") };
        drop(put.write("").await.unwrap());
        assert_eq!(place.read("a"), "0123456789");
        drop(put.write("xy").await.unwrap());
        assert_eq!(place.read("a"), "0123xy");
    }

    #[tokio::test]
    async fn appending_adds_and_makes() {
        let place = Place::new();
        let put = Put { placement: Placement::End, ..Put::new(&place.fs, "log") };
        let upload = put.write("one").await.unwrap();
        assert!(!place.at("log").exists());
        upload.commit().await.unwrap();
        let mut upload = put.write("two").await.unwrap();
        // A program outside writes to the same end.
        fs::File::options().append(true).open(place.at("log")).unwrap().write_all(b"-").unwrap();
        let Sink::File(file) = upload.sink() else { unreachable!("local files are files") };
        (&*file).write_all(b"three").unwrap();
        upload.commit().await.unwrap();
        assert_eq!(place.read("log"), "onetwo-three");
    }

    #[tokio::test]
    async fn modes_are_kept_and_new_ones_follow_the_umask() {
        let place = Place::with(LocalSettings { umask: 0o027, ..LocalSettings::default() });
        let mode = |name: &str| fs::metadata(place.at(name)).unwrap().permissions().mode() & 0o7777;
        Put::new(&place.fs, "new").all("x").await.unwrap();
        assert_eq!(mode("new"), 0o640);
        place.write("old", "x");
        fs::set_permissions(place.at("old"), fs::Permissions::from_mode(0o4751)).unwrap();
        Put::new(&place.fs, "old").all("y").await.unwrap();
        assert_eq!(mode("old"), 0o751);
        place.fs.make_directory(&path("dir")).await.unwrap();
        assert_eq!(mode("dir"), 0o750);
    }

    #[tokio::test]
    async fn a_link_is_written_through() {
        let place = Place::new();
        fs::create_dir_all(place.at("real/below")).unwrap();
        place.write("real/file", "old");
        symlink("real/below", place.at("short")).unwrap();
        // `..` is that of the directory behind `short`, not of the path as it is written.
        symlink("../file", place.at("real/below/link")).unwrap();
        symlink("/real/made", place.at("dangling")).unwrap();
        for (fs, text) in [(&place.fs, "one"), (&place.walking(), "two")] {
            Put::new(fs, "short/link").all(text).await.unwrap();
            assert_eq!(place.read("real/file"), text);
            Put::new(fs, "dangling").all(text).await.unwrap();
            assert_eq!(place.read("real/made"), text);
        }
        assert!(fs::symlink_metadata(place.at("dangling")).unwrap().is_symlink());
        assert!(fs::symlink_metadata(place.at("real/below/link")).unwrap().is_symlink());
    }

    #[tokio::test]
    async fn announced_bytes_have_room_and_leave_none_behind() {
        let place = Place::new();
        for commit in MODES {
            Put { commit, announced: Some(1 << 20), ..Put::new(&place.fs, "a") }.all("x").await.unwrap();
            let meta = fs::metadata(place.at("a")).unwrap();
            assert!(meta.len() == 1 && meta.blocks() < 64, "{} blocks", meta.blocks());
        }
        for announced in [1 << 62, u64::MAX] {
            let put = Put { announced: Some(announced), ..Put::new(&place.fs, "b") };
            assert_eq!(put.all("x").await, Err(StorageError::NoSpace));
        }
        assert_eq!(place.names().len(), 1);
    }

    #[tokio::test]
    async fn a_vanished_directory_is_an_error_and_not_a_file_elsewhere() {
        let place = Place::new();
        fs::create_dir(place.at("d")).unwrap();
        let upload = Put::new(&place.fs, "d/a").write("x").await.unwrap();
        fs::remove_dir_all(place.at("d")).unwrap();
        assert_eq!(upload.commit().await, Err(StorageError::NotFound));
        // One that was renamed takes the upload along.
        fs::create_dir(place.at("d")).unwrap();
        let upload = Put::new(&place.fs, "d/a").write("x").await.unwrap();
        fs::rename(place.at("d"), place.at("e")).unwrap();
        upload.commit().await.unwrap();
        assert_eq!(place.read("e/a"), "x");
    }

    #[tokio::test]
    async fn files_aside_cannot_be_seen_or_said() {
        let place = Place::new();
        fs::create_dir(place.at("d")).unwrap();
        let _upload = Put::new(&place.fs, "d/a").write("x").await.unwrap();
        let aside = fs::read_dir(place.at("d")).unwrap().next().unwrap().unwrap().file_name();
        let name = path(&format!("d/{}", aside.to_str().unwrap()));
        let fs = &place.fs;
        let all = ListOptions { all: true, ..ListOptions::default() };
        assert_eq!(names(fs, &listed("d", ListFormat::Long, all)).await, [".", ".."]);
        assert_eq!(names(fs, &listed("d", ListFormat::Facts(FactSet::ALL), all)).await, [".", ".."]);
        let pattern = Some(b".port21*".to_vec());
        assert!(names(fs, &ListRequest { pattern, ..long("d") }).await.is_empty());
        assert!(fs.list(&long(&name.to_string())).await.is_err());
        assert!(fs.open_read(&name, 0).await.is_err());
        assert_eq!(fs.stat(&name).await, Err(StorageError::NotFound));
        assert_eq!(fs.remove_file(&name).await, Err(StorageError::NotFound));
        assert_eq!(fs.rename(&name, &path("x"), true).await, Err(StorageError::NotFound));
        assert_eq!(fs.rename(&path("d"), &name, true).await, Err(StorageError::BadName));
        assert_eq!(Put::new(fs, &name.to_string()).all("y").await, Err(StorageError::BadName));
        assert_eq!(fs.make_directory(&name).await, Err(StorageError::BadName));
    }

    #[tokio::test]
    async fn what_a_crash_left_is_collected_and_what_is_written_is_not() {
        let age = Duration::ZERO;
        let place = Place::with(LocalSettings { stale_after: age, ..LocalSettings::default() });
        fs::create_dir_all(place.at("d/e")).unwrap();
        for stale in [".port21-upload-dead", "d/.port21-upload-dead", "d/e/.port21-upload-dead"] {
            place.write(stale, "part");
        }
        place.write("d/e/file", "");
        symlink(place.dir.path(), place.at("out")).unwrap();
        let upload = Put::new(&place.fs, "d/new").write("x").await.unwrap();
        assert_eq!(place.fs.collect_stale().await, Ok(3));
        upload.commit().await.unwrap();
        assert_eq!(place.read("d/new"), "x");

        // Young ones are left alone: their upload may be about to lock them.
        let place = Place::new();
        place.write(".port21-upload-young", "");
        assert_eq!(place.fs.collect_stale().await, Ok(0));
    }
}

mod names {
    use super::*;

    #[tokio::test]
    async fn renames_replace_files_only_where_they_may() {
        let place = Place::new();
        place.write("a", "a");
        place.write("b", "b");
        fs::create_dir_all(place.at("d/e")).unwrap();
        fs::create_dir(place.at("empty")).unwrap();
        symlink("a", place.at("link")).unwrap();
        let rename = async |from, to, overwrite| place.fs.rename(&path(from), &path(to), overwrite).await;
        assert_eq!(rename("a", "b", false).await, Err(StorageError::Exists));
        assert_eq!(rename("a", "empty", true).await, Err(StorageError::Exists));
        assert_eq!(rename("d", "empty", true).await, Err(StorageError::Exists));
        assert_eq!(rename("d", "a", true).await, Err(StorageError::NotADirectory));
        assert_eq!(rename("d", "d/e/f", true).await, Err(StorageError::BadName));
        assert_eq!(rename("nope", "x", true).await, Err(StorageError::NotFound));
        assert_eq!(rename("a", "nope/x", true).await, Err(StorageError::NotFound));
        assert_eq!(rename("/", "x", true).await, Err(StorageError::Denied));
        assert_eq!(rename("a", "/", true).await, Err(StorageError::Denied));
        assert_eq!(rename("a", "d/e/a", false).await, Ok(()));
        assert_eq!(rename("d/e/a", "b", true).await, Ok(()));
        assert_eq!(place.read("b"), "a");
        assert_eq!(rename("link", "d/link", false).await, Ok(()));
        assert!(fs::symlink_metadata(place.at("d/link")).unwrap().is_symlink());
    }

    #[tokio::test]
    async fn removing_takes_the_thing_that_was_named() {
        let place = Place::new();
        place.write("a", "a");
        fs::create_dir_all(place.at("d/e")).unwrap();
        symlink("a", place.at("link")).unwrap();
        symlink("d/e", place.at("dirlink")).unwrap();
        let fs = &place.fs;
        assert_eq!(fs.remove_file(&path("link")).await, Ok(()));
        assert_eq!(place.read("a"), "a");
        assert_eq!(fs.remove_file(&path("d")).await, Err(StorageError::IsADirectory));
        assert_eq!(fs.remove_directory(&path("a")).await, Err(StorageError::NotADirectory));
        assert_eq!(fs.remove_directory(&path("dirlink")).await, Err(StorageError::NotADirectory));
        assert_eq!(fs.remove_directory(&path("d")).await, Err(StorageError::NotEmpty));
        assert_eq!(fs.remove_directory(&path("/")).await, Err(StorageError::Denied));
        assert_eq!(fs.remove_directory(&path("d/e")).await, Ok(()));
        assert_eq!(fs.remove_directory(&path("d")).await, Ok(()));
        assert_eq!(fs.remove_file(&path("a")).await, Ok(()));
        assert_eq!(fs.remove_file(&path("a")).await, Err(StorageError::NotFound));
    }

    #[tokio::test]
    async fn a_directory_that_looks_empty_can_be_removed() {
        let place = Place::with(LocalSettings { stale_after: Duration::ZERO, ..LocalSettings::default() });
        fs::create_dir(place.at("d")).unwrap();
        place.write("d/.port21-upload-dead", "part");
        let upload = Put::new(&place.fs, "d/a").write("x").await.unwrap();
        assert_eq!(place.fs.remove_directory(&path("d")).await, Err(StorageError::NotEmpty));
        drop(upload);
        assert_eq!(place.fs.remove_directory(&path("d")).await, Ok(()));
    }

    #[tokio::test]
    async fn directories_are_made_once() {
        let place = Place::new();
        place.write("a", "");
        let fs = &place.fs;
        assert_eq!(fs.make_directory(&path("d")).await, Ok(()));
        assert_eq!(fs.make_directory(&path("d")).await, Err(StorageError::Exists));
        assert_eq!(fs.make_directory(&path("/")).await, Err(StorageError::Exists));
        assert_eq!(fs.make_directory(&path("x/y")).await, Err(StorageError::NotFound));
        assert_eq!(fs.make_directory(&path("a/y")).await, Err(StorageError::NotADirectory));
        assert_eq!(fs.make_directory(&path(&"x".repeat(256))).await, Err(StorageError::BadName));
    }

    #[tokio::test]
    async fn attributes_are_set_on_what_is_behind_a_link() {
        let place = Place::new();
        place.write("a", "");
        fs::create_dir(place.at("d")).unwrap();
        fs::set_permissions(place.at("a"), fs::Permissions::from_mode(0o4000)).unwrap();
        fs::set_permissions(place.at("d"), fs::Permissions::from_mode(0o2700)).unwrap();
        symlink("a", place.at("link")).unwrap();
        let mode = |name: &str| fs::metadata(place.at(name)).unwrap().permissions().mode() & 0o7777;
        for fs in [&place.fs, &place.walking()] {
            assert_eq!(fs.set_mode(&path("link"), 0o640).await, Ok(()));
            assert_eq!(fs.set_mode(&path("d"), 0o7755).await, Ok(()));
            assert_eq!((mode("a"), mode("d")), (0o640, 0o2755));
            let at: Timestamp = "1969-12-31T23:59:58.5Z".parse().unwrap();
            assert_eq!(fs.set_modified(&path("a"), at).await, Ok(()));
            assert_eq!(fs.stat(&path("a")).await.unwrap().modified.unwrap().at, at);
            assert_eq!(fs.set_mode(&path("nope"), 0o640).await, Err(StorageError::NotFound));
        }
    }
}

mod listings {
    use super::*;

    #[tokio::test]
    async fn a_directory_is_listed_by_name_with_its_facts() {
        let place = Place::new();
        place.write("b", "12");
        place.write(".hidden", "");
        fs::create_dir(place.at("a")).unwrap();
        symlink("/nowhere/at all", place.at("c")).unwrap();
        for fs in [&place.fs, &place.walking()] {
            let list = entries(fs, &long("/")).await;
            assert_eq!(list.iter().map(|e| e.name.as_slice()).collect::<Vec<_>>(), [b"a", b"b", b"c"]);
            assert_eq!(
                list.iter().map(|e| e.kind).collect::<Vec<_>>(),
                [EntryKind::Directory, EntryKind::File, EntryKind::Symlink]
            );
            assert_eq!((list[1].size, list[1].links, list[1].mode), (Some(2), Some(1), Some(0o644)));
            assert_eq!(list[2].target.as_deref(), Some(&b"/nowhere/at all"[..]));
            assert!(list[1].modified.is_some() && list[1].perm.is_none() && list[1].unique.is_none());
        }
    }

    #[tokio::test]
    async fn options_choose_and_order() {
        let place = Place::new();
        for (name, size, at) in [("a", 2, 30), ("b", 9, 10), (".c", 5, 20)] {
            place.write(name, &"x".repeat(size));
            place.fs.set_modified(&path(name), Timestamp::from_second(at).unwrap()).await.unwrap();
        }
        let none = ListOptions::default();
        for (options, want) in [
            (none, "a b"),
            (ListOptions { almost_all: true, ..none }, ".c a b"),
            (ListOptions { all: true, ..none }, ". .. .c a b"),
            (ListOptions { reverse: true, ..none }, "b a"),
            (ListOptions { almost_all: true, by_time: true, ..none }, "a .c b"),
            (ListOptions { almost_all: true, by_size: true, ..none }, "b .c a"),
            (ListOptions { almost_all: true, by_size: true, reverse: true, ..none }, "a .c b"),
            (ListOptions { directory: true, ..none }, "/"),
        ] {
            for format in [ListFormat::Long, ListFormat::Names] {
                assert_eq!(names(&place.fs, &listed("/", format, options)).await.join(" "), want, "{options:?}");
            }
        }
    }

    #[tokio::test]
    async fn names_alone_cost_no_look_and_facts_tell_what_was_asked() {
        let place = Place::new();
        place.write("a", "x");
        place.write(".b", "x");
        fs::create_dir(place.at("d")).unwrap();
        let list = entries(&place.fs, &listed("/", ListFormat::Names, ListOptions::default())).await;
        assert!(list.iter().all(|e| e.size.is_none()));
        assert_eq!(list[1].kind, EntryKind::Directory);

        let facts = FactSet::NONE.with(port21_proto::listing::Fact::Perm);
        let list = entries(&place.fs, &listed("/", ListFormat::Facts(facts), ListOptions::default())).await;
        let of = |name: &str| list.iter().find(|e| e.name == name.as_bytes()).unwrap();
        assert_eq!((of(".").kind, of("..").kind), (EntryKind::CurrentDirectory, EntryKind::ParentDirectory));
        assert_eq!(of(".b").perm.as_deref(), Some(&b"adfrw"[..]));
        assert_eq!((of("d").perm.as_deref(), &of("d").unique), (Some(&b"cdeflmp"[..]), &None));
        assert_eq!(
            place.fs.list(&listed("a", ListFormat::Facts(facts), ListOptions::default())).await.err(),
            Some(StorageError::NotADirectory)
        );
    }

    #[tokio::test]
    async fn the_root_has_no_parent() {
        let place = Place::new();
        fs::set_permissions(place.root(), fs::Permissions::from_mode(0o711)).unwrap();
        let all = ListOptions { all: true, ..ListOptions::default() };
        let list = entries(&place.fs, &listed("/", ListFormat::Long, all)).await;
        assert_eq!(list.iter().map(|e| e.mode).collect::<Vec<_>>(), [Some(0o711); 2]);
    }

    #[tokio::test]
    async fn files_links_and_patterns() {
        let place = Place::new();
        fs::create_dir(place.at("d")).unwrap();
        fs::create_dir(place.at("Photos [2020]")).unwrap();
        place.write("Photos [2020]/x", "");
        for name in ["d/a.txt", "d/b.txt", "d/c.bin", "d/.d.txt"] {
            place.write(name, "");
        }
        symlink("d", place.at("link")).unwrap();
        symlink("nowhere", place.at("dangling")).unwrap();
        let fs = &place.fs;
        assert_eq!(names(fs, &long("d/a.txt")).await, ["a.txt"]);
        assert_eq!(names(fs, &long("link")).await, ["a.txt", "b.txt", "c.bin"]);
        assert_eq!(entries(fs, &long("dangling")).await[0].kind, EntryKind::Symlink);
        assert_eq!(fs.list(&long("nope")).await.err(), Some(StorageError::NotFound));
        let of = |dir: &str, pattern: &str| ListRequest {
            pattern: Some(pattern.into()),
            written: format!("{dir}/{pattern}").into(),
            ..long(dir)
        };
        assert_eq!(names(fs, &of("d", "*.txt")).await, ["a.txt", "b.txt"]);
        assert_eq!(names(fs, &of("d", ".*.txt")).await, [".d.txt"]);
        assert!(names(fs, &of("d", "*.jpg")).await.is_empty());
        assert!(names(fs, &of("d", &"?".repeat(2000))).await.is_empty());
        assert_eq!(names(fs, &of("/", "Photos [2020]")).await, ["x"]);
        for (request, want) in [
            (long("d"), true),
            (long("d/a.txt"), false),
            (of("d", "*"), false),
            (of("/", "Photos [2020]"), true),
            (listed("d", ListFormat::Names, ListOptions { directory: true, ..ListOptions::default() }), false),
        ] {
            assert_eq!(fs.list(&request).await.unwrap().is_directory(), want, "{request:?}");
        }
    }

    #[tokio::test]
    async fn hostile_names_arrive_as_they_are() {
        let place = Place::new();
        let hostile: [&[u8]; 4] = [b"a\nb", b"\xff\xfe", b"-rf", b"\x1b[31m"];
        for name in hostile {
            fs::write(place.root().join(OsStr::from_bytes(name)), "").unwrap();
        }
        let list = entries(&place.fs, &long("/")).await;
        assert_eq!(
            list.into_iter().map(|e| e.name).collect::<BTreeSet<_>>(),
            hostile.iter().map(|n| n.to_vec()).collect()
        );
        let name = FtpPath::new(b"\xff\xfe").unwrap();
        assert_eq!(place.fs.stat(&name).await.unwrap().name, b"/\xff\xfe");
    }

    #[tokio::test]
    async fn ten_thousand_names_come_in_batches() {
        let place = Place::new();
        // Names of one file: made in a tenth of the time.
        place.write("00000", "");
        for i in 1..10_000 {
            fs::hard_link(place.at("00000"), place.at(format!("{i:05}"))).unwrap();
        }
        for format in [ListFormat::Long, ListFormat::Names, ListFormat::Facts(FactSet::ALL)] {
            let pieces = pieces(&place.fs, &listed("/", format, ListOptions::default())).await.unwrap();
            let batches = pieces.iter().map(|piece| match piece {
                Piece::Entries(entries) => entries.as_slice(),
                Piece::Directory(_) => unreachable!("not recursive"),
            });
            assert!(batches.clone().all(|batch| (1..=256).contains(&batch.len())));
            let names: Vec<&[u8]> =
                batches.flatten().map(|e| e.name.as_slice()).filter(|n| !n.starts_with(b".")).collect();
            assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), 10_000);
            assert!(matches!(format, ListFormat::Facts(_)) || names.is_sorted());
        }
    }

    #[tokio::test]
    async fn a_directory_beyond_the_cap_is_listed_whole() {
        let place = Place::with(LocalSettings { sorted: 10, ..LocalSettings::default() });
        for i in 0..600 {
            place.write(&format!("{i}"), "");
        }
        let none = ListOptions::default();
        for options in
            [none, ListOptions { by_time: true, ..none }, ListOptions { by_size: true, reverse: true, ..none }]
        {
            let names = names(&place.fs, &listed("/", ListFormat::Long, options)).await;
            assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), 600);
            assert_eq!(names.len(), 600);
        }
    }

    #[tokio::test]
    async fn what_vanishes_meanwhile_is_left_out() {
        let place = Place::new();
        for i in 0..300 {
            place.write(&format!("{i:03}"), "");
        }
        let mut listing = place.fs.list(&long("/")).await.unwrap();
        fs::remove_file(place.at("299")).unwrap();
        let mut count = 0;
        while let Some(Piece::Entries(entries)) = listing.next().await.unwrap() {
            count += entries.len();
        }
        assert_eq!(count, 299);
    }

    fn headings(pieces: &[Piece]) -> Vec<String> {
        let paths = pieces.iter().filter_map(|piece| match piece {
            Piece::Directory(path) => Some(String::from_utf8(path.clone()).unwrap()),
            Piece::Entries(_) => None,
        });
        paths.collect()
    }

    const RECURSIVE: ListOptions = ListOptions {
        all: false,
        almost_all: false,
        long: false,
        recursive: true,
        by_time: false,
        by_size: false,
        reverse: false,
        one: false,
        directory: false,
        classify: false,
    };

    #[tokio::test]
    async fn recursion_goes_down_in_order_and_follows_no_link() {
        let place = Place::new();
        for dir in ["b/x", "a/y", "a/z", ".hidden"] {
            fs::create_dir_all(place.at(dir)).unwrap();
        }
        place.write("a/y/file", "");
        symlink("..", place.at("a/loop")).unwrap();
        symlink("/", place.at("root")).unwrap();
        for fs in [&place.fs, &place.walking()] {
            let pieces = pieces(fs, &listed("/", ListFormat::Long, RECURSIVE)).await.unwrap();
            assert_eq!(headings(&pieces), ["", "a", "a/y", "a/z", "b", "b/x"]);
            let all = ListOptions { all: true, ..RECURSIVE };
            let names = names(fs, &listed("a", ListFormat::Names, all)).await;
            assert_eq!(names.join(" "), ". .. loop y z . .. file . ..");
        }
    }

    #[tokio::test]
    async fn recursion_is_bounded_and_says_so() {
        let place =
            Place::with(LocalSettings { recursive_depth: 5, recursive_entries: 40, ..LocalSettings::default() });
        fs::create_dir_all(place.at("d/1/2/3/4/5/6/7/8/9")).unwrap();
        let mut listing = place.fs.list(&listed("d", ListFormat::Long, RECURSIVE)).await.unwrap();
        let mut found = Vec::new();
        let end = loop {
            match listing.next().await {
                Ok(Some(piece)) => found.push(piece),
                end => break end,
            }
        };
        assert_eq!(end, Err(StorageError::TooMany));
        assert_eq!(listing.next().await, Ok(None));
        assert_eq!(headings(&found).last().map(String::as_str), Some("1/2/3/4/5"));

        fs::create_dir(place.at("wide")).unwrap();
        for i in 0..50 {
            fs::create_dir(place.at(format!("wide/{i}"))).unwrap();
        }
        let answer = pieces(&place.fs, &listed("wide", ListFormat::Long, RECURSIVE)).await;
        assert_eq!(answer, Err(StorageError::TooMany));
    }

    #[tokio::test]
    async fn a_tree_deeper_than_any_path_harms_nobody() {
        let place = Place::new();
        let name = "d".repeat(250);
        let mut dir = rustix::fs::open(place.root(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        for _ in 0..30 {
            mkdirat(&dir, &name, Mode::from_raw_mode(0o755)).unwrap();
            dir = openat(&dir, &name, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        }
        let deepest = path(&format!("/{name}").repeat(16));
        for fs in [&place.fs, &place.walking()] {
            let answer = pieces(fs, &listed("/", ListFormat::Long, RECURSIVE)).await;
            assert_eq!(answer, Err(StorageError::TooMany));
            assert_eq!(fs.enter(&deepest).await, Ok(()));
            assert_eq!(fs.collect_stale().await, Ok(0));
        }
    }
}
