use std::sync::Mutex;

use super::*;
use crate::storage::Quota;
use crate::storage::local::disk::record::{Step, notes_of};

fn ann() -> LocalSettings {
    LocalSettings { owner: Some("ann".into()), ..LocalSettings::default() }
}

impl Place {
    /// The same files, as another account has them.
    fn other(&self, owner: Option<&str>) -> LocalFs {
        let owner = owner.map(Arc::from);
        LocalFs::open(self.root(), LocalSettings { owner, ..LocalSettings::default() }).unwrap()
    }

    /// The names that sessions see.
    fn visible(&self) -> Vec<String> {
        self.names().into_iter().filter(|name| !name.starts_with(".port21-")).collect()
    }

    async fn part(&self, name: &str) -> Result<u64, StorageError> {
        self.fs.part(&path(name)).await.map(|part| part.size)
    }
}

/// An upload that breaks off.
async fn broken(put: &Put<'_>, text: &str) {
    drop(put.write(text).await.unwrap());
}

fn end(fs: &LocalFs, told: Option<u64>) -> Put<'_> {
    Put { placement: Placement::End, told: told.map(|size| of_size(fs, size)), ..Put::new(fs, "a") }
}

fn at(fs: &LocalFs, from: u64, told: Option<u64>) -> Put<'_> {
    Put { placement: Placement::At(from), told: told.map(|size| of_size(fs, size)), ..Put::new(fs, "a") }
}

/// Told of Ann's part of `a` as it is now, but for its size perhaps.
fn of_size(fs: &LocalFs, size: u64) -> Told {
    let name = aside::part_name("ann", b"a");
    let root = fs.tree.open(&FtpPath::root(), LOOK, Lookup::Full).unwrap();
    let identity = aside::part(&root, &name, SystemTime::UNIX_EPOCH).map_or([0; 2], |part| part.identity);
    Told::Part(Part { size, identity })
}

#[tokio::test]
async fn what_was_written_before_the_machine_was_started_is_not_gone_on_with() {
    let place = Place::with(ann());
    assert!(place.fs.settings.parts_since < SystemTime::now());
    broken(&Put::new(&place.fs, "a"), "some of it").await;
    assert_eq!(place.part("a").await.unwrap(), 10);
    let parts_since = SystemTime::now() + Duration::from_secs(60);
    let later = LocalFs::open(place.root(), LocalSettings { parts_since, ..ann() }).unwrap();
    assert_eq!(later.part(&path("a")).await, Err(StorageError::NotFound));
    // Who was told of it earlier cannot go on with it either.
    for put in [end(&later, Some(10)), at(&later, 10, Some(10))] {
        assert_eq!(put.write("the rest").await.err(), Some(StorageError::NoResume));
    }
    assert!(place.visible().is_empty());
    Put::new(&later, "a").all("all of it").await.unwrap();
    assert_eq!(place.read("a"), "all of it");
    assert_eq!(place.names().into_iter().collect::<Vec<_>>(), ["a"]);
}

#[tokio::test]
async fn an_interrupted_upload_is_kept_and_goes_on() {
    for commit in [CommitMode::Durable, CommitMode::Atomic] {
        let place = Place::with(ann());
        broken(&Put { commit, ..Put::new(&place.fs, "a") }, "12345").await;
        assert_eq!(place.part("a").await, Ok(5));
        assert_eq!(
            place.fs.size(&path("a"), Representation::Image).await,
            Err(StorageError::NotFound),
            "it is no file"
        );
        // Broken off once more, by an account that has it from the disk: the server was started again.
        broken(&Put { commit, ..at(&place.other(Some("ann")), 5, Some(5)) }, "67").await;
        assert_eq!(place.part("a").await, Ok(7));
        Put { commit, ..end(&place.fs, Some(7)) }.all("89").await.unwrap();
        assert_eq!(place.read("a"), "123456789");
        assert_eq!(place.names().len(), 1);
        assert_eq!(place.part("a").await, Err(StorageError::NotFound));
    }
}

#[tokio::test]
async fn who_was_told_nothing_begins_afresh() {
    let place = Place::with(ann());
    for put in [end(&place.fs, None), Put::new(&place.fs, "a"), at(&place.fs, 0, Some(5))] {
        broken(&Put::new(&place.fs, "a"), "12345").await;
        put.all("new").await.unwrap();
        assert_eq!(place.read("a"), "new");
        assert_eq!(place.names().len(), 1);
        place.fs.remove_file(&path("a")).await.unwrap();
    }
}

#[tokio::test]
async fn no_upload_goes_on_from_anywhere_else() {
    let place = Place::with(ann());
    broken(&Put::new(&place.fs, "a"), "12345").await;
    let other = place.other(Some("bob"));
    for put in [
        at(&place.fs, 4, Some(5)),
        at(&place.fs, 4, Some(4)),
        at(&place.fs, 6, Some(6)),
        end(&place.fs, Some(4)),
        end(&place.fs, Some(6)),
        at(&other, 5, Some(5)),
        end(&other, Some(5)),
        end(&place.other(None), Some(5)),
        Put { representation: Representation::Ascii, ..end(&place.fs, Some(5)) },
    ] {
        assert_eq!(put.all("x").await, Err(StorageError::NoResume));
        assert_eq!(place.part("a").await, Ok(5));
    }
    assert_eq!(at(&place.fs, 5, None).all("x").await, Err(StorageError::BadOffset));
    // The part has become another one, and the file of another: the tail belongs to neither.
    place.write("a", "12345");
    assert_eq!(end(&place.fs, Some(5)).all("x").await, Err(StorageError::NoResume));
    assert_eq!(at(&place.fs, 5, Some(5)).all("x").await, Err(StorageError::NoResume));
    // Nor does it whatever the client was told: what is there was begun by somebody else.
    assert_eq!(end(&place.fs, None).all("x").await, Err(StorageError::NoResume));
    let told = Some(Told::File(5));
    assert_eq!(Put { told, ..at(&place.fs, 5, None) }.all("x").await, Err(StorageError::NoResume));
    assert_eq!(place.read("a"), "12345");
    end(&other, None).all("x").await.unwrap();
}

#[tokio::test]
async fn who_was_told_of_a_part_goes_on_with_that_one_alone() {
    let place = Place::with(ann());
    for by_dele in [false, true] {
        broken(&Put::new(&place.fs, "a"), "AAAAA").await;
        let told = place.fs.part(&path("a")).await.unwrap();
        let of_first =
            || [end(&place.fs, None), at(&place.fs, 5, None)].map(|put| Put { told: Some(Told::Part(told)), ..put });
        // Another session of the account breaks off at the same size: more than once, for inodes are used again.
        for _ in 0..3 {
            if by_dele {
                // A file that has the inode of another is told apart by when it was made, as exactly as the system stamps files.
                let part = place.names().into_iter().next().unwrap();
                let Ok(made) = fs::metadata(place.at(part)).unwrap().created() else { return };
                place.fs.remove_file(&path("a")).await.unwrap();
                let later = (0..1_000_000).any(|_| {
                    fs::File::create(place.at("later")).unwrap();
                    let later = fs::metadata(place.at("later")).unwrap().created().unwrap() > made;
                    fs::remove_file(place.at("later")).unwrap();
                    later
                });
                assert!(later, "the clock stands still");
            }
            broken(&Put::new(&place.fs, "a"), "BBBBB").await;
            for put in of_first() {
                assert_eq!(put.all("aaaa").await, Err(StorageError::NoResume));
            }
        }
        // What it writes to a part does not make it another one.
        let told = place.fs.part(&path("a")).await.unwrap();
        broken(&end(&place.fs, Some(5)), "b").await;
        let now = place.fs.part(&path("a")).await.unwrap();
        assert_eq!(now, Part { size: 6, ..told });
        end(&place.fs, Some(6)).all("bb").await.unwrap();
        assert_eq!(place.read("a"), "BBBBBbbb");
        place.fs.remove_file(&path("a")).await.unwrap();
    }
}

#[tokio::test]
async fn a_part_is_its_accounts_and_nobody_elses() {
    let place = Place::with(ann());
    broken(&Put::new(&place.fs, "a"), "12345").await;
    let bob = place.other(Some("bob"));
    assert_eq!(bob.part(&path("a")).await, Err(StorageError::NotFound));
    assert_eq!(bob.remove_file(&path("a")).await, Err(StorageError::NotFound));
    assert_eq!(place.fs.open_read(&path("a"), 0).await.err(), Some(StorageError::NotFound));
    let all = ListOptions { all: true, ..ListOptions::default() };
    assert_eq!(names(&place.fs, &listed("/", ListFormat::Facts(FactSet::ALL), all)).await, [".", ".."]);
    // Bob's own upload of that name is another matter, and does not touch Ann's.
    Put::new(&bob, "a").all("whole").await.unwrap();
    assert_eq!(place.part("a").await, Err(StorageError::NotFound), "there is a file");
    bob.remove_file(&path("a")).await.unwrap();
    assert_eq!(place.part("a").await, Ok(5));
}

#[tokio::test]
async fn nothing_is_kept_that_could_not_be_gone_on_with() {
    let place = Place::with(ann());
    place.write("there", "old");
    broken(&Put::new(&place.fs, "there"), "new").await;
    broken(&Put::new(&place.other(None), "shared"), "new").await;
    broken(&Put::new(&place.fs, "empty"), "").await;
    broken(&Put { representation: Representation::Ascii, ..Put::new(&place.fs, "text") }, "new").await;
    let none = LocalFs::open(place.root(), LocalSettings { parts_kept: Duration::ZERO, ..ann() }).unwrap();
    broken(&Put::new(&none, "off"), "new").await;
    broken(&Put { placement: Placement::Unique, ..Put::new(&place.fs, "unique") }, "new").await;
    let mut full = Put::new(&place.fs, "full").write("new").await.unwrap();
    full.spoil();
    drop(full);
    // Its name was taken by somebody else meanwhile.
    let taken = Put::new(&place.fs, "taken").write("new").await.unwrap();
    place.write("taken", "theirs");
    drop(taken);
    assert_eq!(place.visible(), ["taken", "there"]);
    assert_eq!((place.read("there"), place.read("taken")), ("old".into(), "theirs".into()));
}

#[tokio::test]
async fn a_text_is_not_to_be_found_again_even_if_the_server_is_killed() {
    let place = Place::with(ann());
    broken(&Put::new(&place.fs, "a"), "12345").await;
    let upload = Put { representation: Representation::Ascii, ..Put::new(&place.fs, "a") }.write("text").await.unwrap();
    assert_eq!(place.part("a").await, Err(StorageError::NotFound));
    upload.commit().await.unwrap();
    assert_eq!(place.names().len(), 1);
}

#[tokio::test]
async fn room_that_was_made_is_not_kept_with_a_part() {
    let place = Place::with(ann());
    broken(&Put { announced: Some(1 << 20), ..Put::new(&place.fs, "a") }, "12345").await;
    let name = place.names().into_iter().next().unwrap();
    let part = fs::metadata(place.at(name)).unwrap();
    assert!(part.len() == 5 && part.blocks() < 64, "{} blocks", part.blocks());
}

#[tokio::test]
async fn room_that_a_killed_server_had_made_is_given_back() {
    let place = Place::with(ann());
    let old = fs::metadata(place.root()).unwrap().modified().unwrap() - Duration::from_secs(3600);
    let room = |name: &str| fs::metadata(place.at(name)).unwrap().blocks() * 512;
    let (part, over) = (aside::part_name("ann", b"a"), aside::over_name(Some("ann"), b"b"));
    let (part, over) = (std::str::from_utf8(&part).unwrap(), std::str::from_utf8(&over).unwrap());
    for name in [part, over] {
        place.write(name, "12345");
        let file = fs::File::options().write(true).open(place.at(name)).unwrap();
        let _ = rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::KEEP_SIZE, 0, 1 << 20);
        file.set_modified(old).unwrap();
    }
    // One that an upload has is not touched.
    let upload = Put { announced: Some(1 << 20), ..Put::new(&place.fs, "c") }.write("123").await.unwrap();
    let held = place.names().into_iter().find(|name| name.starts_with(".port21-part-") && name != part).unwrap();
    let before = room(&held);
    assert_eq!(place.fs.collect_stale().await, Ok(0));
    assert!(room(part) < 1 << 18 && room(over) < 1 << 18, "{} and {}", room(part), room(over));
    assert_eq!((place.read(part), place.read(over), room(&held)), ("12345".into(), String::new(), before));
    for name in [part, over] {
        assert_eq!(fs::metadata(place.at(name)).unwrap().modified().unwrap(), old, "it does not become younger");
    }
    upload.commit().await.unwrap();
    end(&place.fs, Some(5)).all("67").await.unwrap();
    assert_eq!(place.read("a"), "1234567");
}

#[tokio::test]
async fn a_part_is_one_uploads_at_a_time() {
    let place = Place::with(ann());
    let upload = Put::new(&place.fs, "a").write("12345").await.unwrap();
    assert_eq!(place.part("a").await, Ok(5));
    assert_eq!(place.fs.remove_file(&path("a")).await, Err(StorageError::Busy));
    for put in [end(&place.fs, Some(5)), at(&place.fs, 5, Some(5)), Put::new(&place.fs, "a")] {
        assert_eq!(put.all("x").await, Err(StorageError::Busy));
    }
    drop(upload);
    // Another process has it: the table of this one knows nothing of that.
    let name = place.names().into_iter().next().unwrap();
    let theirs = fs::File::open(place.at(name)).unwrap();
    rustix::fs::flock(&theirs, rustix::fs::FlockOperation::LockExclusive).unwrap();
    for put in [end(&place.fs, Some(5)), at(&place.fs, 5, Some(5)), Put::new(&place.fs, "a")] {
        assert_eq!(put.all("x").await, Err(StorageError::Busy));
    }
    drop(theirs);
    end(&place.fs, Some(5)).all("67").await.unwrap();
    assert_eq!(place.read("a"), "1234567");
}

#[tokio::test]
async fn parts_go_with_dele_and_with_their_directory() {
    let place = Place::with(ann());
    broken(&Put::new(&place.fs, "a"), "12345").await;
    place.fs.remove_file(&path("a")).await.unwrap();
    assert_eq!(place.fs.remove_file(&path("a")).await, Err(StorageError::NotFound));
    // One beside a file that came later goes with that.
    broken(&Put::new(&place.fs, "a"), "12345").await;
    place.write("a", "theirs");
    place.fs.remove_file(&path("a")).await.unwrap();
    assert!(place.names().is_empty());

    fs::create_dir(place.at("d")).unwrap();
    broken(&Put::new(&place.fs, "d/a"), "12345").await;
    place.write("d/file", "");
    assert_eq!(place.fs.remove_directory(&path("d")).await, Err(StorageError::NotEmpty));
    assert_eq!(place.part("d/a").await, Ok(5), "a directory that stays keeps its parts");
    place.fs.remove_file(&path("d/file")).await.unwrap();
    assert_eq!(place.fs.remove_directory(&path("d")).await, Ok(()));
}

#[tokio::test]
async fn an_upload_over_a_file_ends_what_was_left_before_it() {
    for commit in [CommitMode::Atomic, CommitMode::Direct] {
        let place = Place::with(ann());
        broken(&Put::new(&place.fs, "a"), "12345").await;
        place.write("a", "theirs");
        Put { commit, ..Put::new(&place.fs, "a") }.all("new").await.unwrap();
        assert_eq!(place.names().len(), 1);
    }
    let place = Place::with(ann());
    broken(&Put::new(&place.fs, "a"), "12345").await;
    Put { commit: CommitMode::Direct, ..Put::new(&place.fs, "a") }.all("new").await.unwrap();
    assert_eq!(place.names().len(), 1);
}

#[tokio::test]
async fn parts_are_collected_when_they_are_old_and_no_upload_has_them() {
    let place = Place::with(LocalSettings { parts_kept: Duration::from_nanos(1), ..ann() });
    broken(&Put::new(&place.fs, "a"), "12345").await;
    let upload = Put::new(&place.fs, "b").write("12345").await.unwrap();
    let young = place.other(Some("ann"));
    assert_eq!(young.collect_stale().await, Ok(0));
    assert_eq!(place.fs.collect_stale().await, Ok(1));
    assert_eq!(place.part("a").await, Err(StorageError::NotFound));
    upload.commit().await.unwrap();
    assert_eq!(place.read("b"), "12345");
}

/// An upload over a file that broke off: by its end, or with the whole server.
async fn cut_over(place: &Place, name: &str, by_kill: bool) {
    if by_kill {
        // The file aside is left as it is, and unlocked.
        let aside = aside::over_name(Some("ann"), name.as_bytes());
        place.write(std::str::from_utf8(&aside).unwrap(), "new con");
    } else {
        broken(&Put::new(&place.fs, name), "new con").await;
        let mark = place.names().into_iter().find(|name| name.starts_with(".port21-over-")).unwrap();
        assert_eq!(place.read(&mark), "");
    }
}

#[tokio::test]
async fn nobody_goes_on_with_the_old_file_after_an_upload_over_it_broke_off() {
    let bob = |place: &Place| place.other(Some("bob"));
    for by_kill in [false, true] {
        let place = Place::with(ann());
        place.write("a", "old");
        cut_over(&place, "a", by_kill).await;
        let adds = [
            // As curl goes on, and as lftp does; and who has the size from a listing.
            Put { told: Some(Told::File(3)), ..end(&place.fs, None) },
            at(&place.fs, 3, None),
            Put { told: Some(Told::File(3)), ..at(&place.fs, 3, None) },
            end(&place.fs, None),
        ];
        let nobody_adds = async |what: &str| {
            for put in &adds {
                assert_eq!(put.all("tent").await, Err(StorageError::NoResume), "{what}");
            }
        };
        nobody_adds("as it was cut").await;
        // Whatever else becomes of the old file, it is not what the client has begun to send.
        place.fs.set_mode(&path("a"), 0o600).await.unwrap();
        place.fs.set_modified(&path("a"), Timestamp::UNIX_EPOCH).await.unwrap();
        fs::hard_link(place.at("a"), place.at("backup")).unwrap();
        nobody_adds("after changes of the old file").await;
        // An upload that does not even begin changes nothing of that.
        drop(Put::new(&place.fs, "a").write("").await.unwrap());
        let announced = Put { announced: Some(1 << 62), ..Put::new(&place.fs, "a") };
        assert_eq!(announced.all("x").await, Err(StorageError::NoSpace));
        nobody_adds("after an upload without a byte").await;
        end(&bob(&place), None).all("er").await.unwrap();
        assert_eq!(place.read("a"), "older", "it is Ann's matter alone");
        Put::new(&bob(&place), "a").all("bob's").await.unwrap();
        place.write("b", "b");
        bob(&place).rename(&path("b"), &path("a"), true).await.unwrap();
        nobody_adds("after it became another file").await;
        bob(&place).remove_file(&path("a")).await.unwrap();
        nobody_adds("after it went").await;
        assert_eq!(place.visible(), ["backup"]);
    }
}

#[tokio::test]
async fn a_mark_goes_with_what_it_is_about() {
    let added = async |place: &Place, name: &str, want: &str| {
        let put = Put { told: Some(Told::File(3)), path: path(name), ..end(&place.fs, None) };
        put.all("er").await.unwrap();
        assert_eq!(place.read(name), want);
        assert!(!place.names().iter().any(|name| name.starts_with(".port21-")), "{:?}", place.names());
    };
    for by_kill in [false, true] {
        for commit in [CommitMode::Atomic, CommitMode::Durable, CommitMode::Direct] {
            let place = Place::with(ann());
            place.write("a", "old");
            cut_over(&place, "a", by_kill).await;
            Put { commit, ..Put::new(&place.fs, "a") }.all("new").await.unwrap();
            added(&place, "a", "newer").await;
        }
        let place = Place::with(ann());
        place.write("a", "old");
        cut_over(&place, "a", by_kill).await;
        place.fs.remove_file(&path("a")).await.unwrap();
        assert!(place.names().is_empty());
        end(&place.fs, None).all("new").await.unwrap();
        added(&place, "a", "newer").await;
        cut_over(&place, "a", by_kill).await;
        place.fs.rename(&path("a"), &path("b"), true).await.unwrap();
        added(&place, "b", "newerer").await;
        // The account has sent it whole under another name, and gives that the name.
        cut_over(&place, "b", by_kill).await;
        Put::new(&place.fs, "b.tmp").all("new").await.unwrap();
        place.fs.rename(&path("b.tmp"), &path("b"), true).await.unwrap();
        added(&place, "b", "newer").await;
        // Of a name that somebody else has freed, a whole upload makes a new file.
        place.write("a", "old");
        cut_over(&place, "a", by_kill).await;
        fs::remove_file(place.at("a")).unwrap();
        assert_eq!(place.fs.remove_file(&path("missing")).await, Err(StorageError::NotFound));
        Put::new(&place.fs, "a").all("new").await.unwrap();
        added(&place, "a", "newer").await;
        cut_over(&place, "a", by_kill).await;
        fs::remove_file(place.at("a")).unwrap();
        assert_eq!(place.fs.remove_file(&path("a")).await, Err(StorageError::NotFound));
        assert_eq!(place.names().len(), 1, "{:?}", place.names());
    }
}

#[tokio::test]
async fn what_is_given_a_name_is_what_its_account_was_to_send() {
    let quota = Arc::new(Count { most: 100, ..Count::default() });
    let place = Place::with(LocalSettings { quota: Some(quota.clone()), ..ann() });
    let now = || *quota.now.lock().unwrap();
    drop(counted(&Put::new(&place.fs, "a"), "12345").await.unwrap());
    counted(&Put::new(&place.fs, "a.tmp"), "123").await.unwrap().commit().await.unwrap();
    assert_eq!(now(), (8, 2));
    place.fs.rename(&path("a.tmp"), &path("a"), false).await.unwrap();
    assert_eq!((now(), place.names().len()), ((3, 1), 1), "its part is gone");
    end(&place.fs, None).all("45").await.unwrap();
    assert_eq!(place.read("a"), "12345");
    // Or it is put together from parts, where there is nothing to add to.
    cut_over(&place, "a", false).await;
    fs::remove_file(place.at("a")).unwrap();
    Put { adds: true, ..Put::new(&place.fs, "a") }.all("12").await.unwrap();
    end(&place.fs, None).all("345").await.unwrap();
    assert_eq!((place.read("a"), place.names().len()), ("12345".into(), 1));
}

#[tokio::test]
async fn what_an_interrupted_upload_was_to_become_is_not_combined() {
    let adds = |place: &Place| place.other(Some("ann"));
    for by_kill in [false, true] {
        let place = Place::with(ann());
        place.write("a", "old");
        cut_over(&place, "a", by_kill).await;
        symlink("a", place.at("link")).unwrap();
        let fs = adds(&place);
        for name in ["a", "link"] {
            let put = Put { adds: true, ..Put::new(&fs, name) };
            assert_eq!(put.all("oldtent").await, Err(StorageError::NoResume));
            assert_eq!(fs.hold(&path(name)).await.err(), Some(StorageError::NoResume), "{name}");
        }
        assert!(place.other(Some("bob")).hold(&path("a")).await.is_ok(), "it is Ann's matter alone");
        Put::new(&fs, "a").all("new").await.unwrap();
        assert!(fs.hold(&path("link")).await.is_ok());
    }
    // A part whose name somebody else has given to a file.
    let place = Place::with(ann());
    broken(&Put::new(&place.fs, "a"), "12345").await;
    place.write("a", "other");
    assert_eq!(place.fs.hold(&path("a")).await.err(), Some(StorageError::NoResume));
    let put = Put { adds: true, ..Put::new(&place.fs, "a") };
    assert_eq!(put.all("more").await, Err(StorageError::NoResume));
}

#[tokio::test]
async fn what_adds_leaves_nothing_when_it_breaks_off() {
    for old in [None, Some("old")] {
        for commit in [CommitMode::Durable, CommitMode::Atomic] {
            let place = Place::with(ann());
            old.inspect(|old| place.write("a", old));
            let add = Put { adds: true, commit, ..Put::new(&place.fs, "a") };
            broken(&add, "12345").await;
            assert_eq!(place.names(), place.visible().into_iter().collect());
            add.all("12345").await.unwrap();
            assert_eq!(place.read("a"), "12345");
        }
    }
}

#[tokio::test]
async fn marks_are_kept_where_no_parts_are() {
    let settings = LocalSettings { parts_kept: Duration::ZERO, stale_after: Duration::ZERO, ..ann() };
    let place = Place::with(settings);
    place.write("a", "old");
    cut_over(&place, "a", false).await;
    assert_eq!(place.fs.collect_stale().await, Ok(0));
    assert_eq!(end(&place.fs, None).all("er").await, Err(StorageError::NoResume));
}

#[tokio::test]
async fn a_part_behind_a_link_stands_where_the_file_will() {
    let place = Place::with(ann());
    fs::create_dir(place.at("real")).unwrap();
    symlink("real/file", place.at("link")).unwrap();
    broken(&Put::new(&place.fs, "link"), "12345").await;
    assert_eq!((place.part("link").await, place.part("real/file").await), (Ok(5), Ok(5)));
    let told = Told::Part(place.fs.part(&path("link")).await.unwrap());
    Put { placement: Placement::End, told: Some(told), ..Put::new(&place.fs, "link") }.all("67").await.unwrap();
    assert_eq!(place.read("real/file"), "1234567");
    assert!(fs::symlink_metadata(place.at("link")).unwrap().is_symlink());
}

#[tokio::test]
async fn a_stalled_upload_gives_way_to_a_newer_one_of_its_account() {
    let place = Place::with(LocalSettings { displace_after: Duration::ZERO, ..ann() });
    for name in ["new", "there"] {
        place.write("there", "old");
        let upload = Put::new(&place.fs, name).write("12345").await.unwrap();
        let displaced = upload.displaced();
        // What the session does with one that is told to give way.
        let gives_way = async {
            displaced.await;
            drop(upload);
        };
        let newer = Put::new(&place.fs, name);
        let ((), result) = tokio::join!(gives_way, newer.all("whole"));
        result.unwrap();
        assert_eq!(place.read(name), "whole");
    }
    // Neither for another account, nor once it has all its bytes.
    let mut upload = Put::new(&place.fs, "b").write("12345").await.unwrap();
    let bob = LocalSettings { owner: Some("bob".into()), displace_after: Duration::ZERO, ..LocalSettings::default() };
    let bob = LocalFs::open(place.root(), bob).unwrap();
    assert_eq!(Put::new(&bob, "b").all("whole").await, Err(StorageError::Busy));
    upload.sync().await.unwrap();
    assert_eq!(Put::new(&place.fs, "b").all("whole").await, Err(StorageError::Busy));
    upload.commit().await.unwrap();
    assert_eq!(place.read("b"), "12345");
}

/// Else a power cut would leave a client that goes on with the old file.
#[tokio::test]
async fn that_an_upload_over_a_file_has_begun_is_on_the_disk_before_its_first_byte() {
    for (commit, name, synced) in [
        (CommitMode::Durable, "there", true),
        (CommitMode::Durable, "new", false),
        (CommitMode::Atomic, "there", false),
    ] {
        let place = Place::with(ann());
        place.write("there", "old");
        let root = fs::metadata(place.root()).unwrap();
        // Another test's directory may have had the number before.
        let before = notes_of(&[(root.dev(), root.ino())]).len();
        let upload = Put { commit, ..Put::new(&place.fs, name) }.write("").await.unwrap();
        let notes = notes_of(&[(root.dev(), root.ino())]);
        assert_eq!(notes[before..].iter().any(|note| note.0 == Step::SyncDirectory), synced, "{commit:?} {name}");
        drop(upload);
    }
}

#[tokio::test]
async fn durable_is_write_then_file_then_name_then_directory() {
    let place = Place::with(ann());
    let root = fs::metadata(place.root()).unwrap();
    for name in ["new", "there"] {
        place.write("there", "old");
        Put { commit: CommitMode::Durable, ..Put::new(&place.fs, name) }.all("12345").await.unwrap();
        let file = fs::metadata(place.at(name)).unwrap();
        let (dir, file) = ((root.dev(), root.ino()), (file.dev(), file.ino()));
        let notes = notes_of(&[dir, file]);
        let steps: Vec<_> = notes.iter().map(|(step, of, _)| (*step, *of)).collect();
        assert!(
            steps.ends_with(&[(Step::SyncFile, file), (Step::Rename, dir), (Step::SyncDirectory, dir)]),
            "{steps:?}"
        );
        // The last one: another test's file may have had the number before.
        assert_eq!(
            notes.iter().rfind(|note| note.0 == Step::SyncFile && note.1 == file).unwrap().2,
            5,
            "all its bytes"
        );
    }
    let before = notes_of(&[(root.dev(), root.ino())]).len();
    Put::new(&place.fs, "atomic").all("12345").await.unwrap();
    let notes = notes_of(&[(root.dev(), root.ino())]);
    assert_eq!(
        notes[before..].iter().map(|note| note.0).collect::<Vec<_>>(),
        [Step::Rename],
        "nobody waits for a disk"
    );
}

#[tokio::test]
async fn what_people_have_set_of_a_file_is_taken_over() {
    let place = Place::with(ann());
    place.write("a", "old");
    fs::set_permissions(place.at("a"), fs::Permissions::from_mode(0o640)).unwrap();
    let file = fs::File::open(place.at("a")).unwrap();
    match rustix::fs::fsetxattr(&file, "user.origin", b"scanner 3", rustix::fs::XattrFlags::empty()) {
        // Not every file system has them.
        Err(Errno::OPNOTSUPP) => return,
        set => set.unwrap(),
    }
    // rw for the owner, r for user 12345 and for the group, by the list that ACLs are kept in.
    let entry =
        |tag: u16, perm: u16, id: u32| [&tag.to_le_bytes()[..], &perm.to_le_bytes(), &id.to_le_bytes()].concat();
    let none = u32::MAX;
    let acl = [
        2u32.to_le_bytes().to_vec(),
        entry(0x01, 6, none),
        entry(0x02, 4, 12345),
        entry(0x04, 4, none),
        entry(0x10, 4, none),
        entry(0x20, 0, none),
    ]
    .concat();
    let has_acl =
        rustix::fs::fsetxattr(&file, "system.posix_acl_access", &acl, rustix::fs::XattrFlags::empty()).is_ok();
    Put::new(&place.fs, "a").all("new").await.unwrap();
    let attribute = |name: &str| {
        let mut value = Vec::with_capacity(1024);
        let file = fs::File::open(place.at("a")).unwrap();
        let got = rustix::fs::fgetxattr(&file, name, rustix::buffer::spare_capacity(&mut value));
        got.map(|_| value)
    };
    assert_eq!(attribute("user.origin").as_deref(), Ok(&b"scanner 3"[..]));
    if has_acl {
        assert_eq!(attribute("system.posix_acl_access"), Ok(acl));
    }
    assert_eq!(fs::metadata(place.at("a")).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(place.read("a"), "new");
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_to_is_told() {
    // Of these not even root may make files.
    for root in ["/proc/self", "/sys/kernel"] {
        let fs = LocalFs::open(root, ann()).unwrap();
        let result = Put::new(&fs, "a").all("x").await;
        assert!(matches!(result, Err(StorageError::Forbidden(_) | StorageError::NotFound)), "{root}: {result:?}");
    }
}

/// Counts what is taken.
#[derive(Debug, Default)]
struct Count {
    most: u64,
    now: Mutex<(u64, u64)>,
}

impl Quota for Count {
    fn take(&self, bytes: u64, files: u64) -> Result<(), StorageError> {
        let mut now = self.now.lock().unwrap();
        if now.0 + bytes > self.most {
            return Err(StorageError::OverQuota);
        }
        *now = (now.0 + bytes, now.1 + files);
        Ok(())
    }

    fn give(&self, bytes: u64, files: u64) {
        let mut now = self.now.lock().unwrap();
        *now = (now.0 - bytes, now.1 - files);
    }

    fn room(&self) -> Option<u64> {
        Some(self.most - self.now.lock().unwrap().0)
    }
}

/// Writes as a transfer does.
async fn counted(put: &Put<'_>, text: &str) -> Result<Box<dyn Upload>, StorageError> {
    let mut upload = put.write("").await?;
    if let Err(error) = upload.take(text.len() as u64) {
        upload.spoil();
        return Err(error);
    }
    let Sink::File(file) = upload.sink() else { unreachable!("local files are files") };
    (&*file).write_all(text.as_bytes()).unwrap();
    Ok(upload)
}

#[tokio::test]
async fn room_that_was_announced_is_taken_once() {
    let quota = Arc::new(Count { most: 100, ..Count::default() });
    let settings = || LocalSettings { quota: Some(quota.clone()), ..ann() };
    let place = Place::with(settings());
    let now = || *quota.now.lock().unwrap();
    let announced = |name, bytes| Put { announced: Some(bytes), ..Put::new(&place.fs, name) };
    let first = counted(&announced("a", 90), "x").await.unwrap();
    assert_eq!(now(), (90, 1));
    assert_eq!(counted(&announced("b", 90), "x").await.err(), Some(StorageError::OverQuota));
    assert_eq!(now(), (90, 1), "what was refused has taken nothing");
    drop(first);
    assert_eq!(now(), (1, 1), "the part");
    counted(&announced("b", 90), "12345").await.unwrap().commit().await.unwrap();
    assert_eq!(now(), (6, 2));
    // More than was announced is taken as it comes.
    let mut more = counted(&announced("c", 10), "0123456789abcdef").await.unwrap();
    more.sync().await.unwrap();
    more.commit().await.unwrap();
    assert_eq!(now(), (22, 3));
    // In place: only what is behind the file's end is more.
    let put = Put { placement: Placement::At(10), announced: Some(20), ..Put::new(&place.fs, "c") };
    let upload = counted(&put, "x").await.unwrap();
    assert_eq!(now(), (36, 3));
    upload.commit().await.unwrap();
    assert_eq!(now(), (17, 3));

    // Of whom nobody knows who they are: they are told, and get nothing without sending it.
    let guests = LocalFs::open(place.root(), LocalSettings { owner: None, ..settings() }).unwrap();
    let put = |bytes| Put { announced: Some(bytes), ..Put::new(&guests, "d") };
    assert_eq!(counted(&put(84), "").await.err(), Some(StorageError::OverQuota));
    let upload = counted(&put(83), "x").await.unwrap();
    assert_eq!(now(), (18, 4));
    upload.commit().await.unwrap();
    assert_eq!(now(), (18, 4));
    let unlimited = place.other(None);
    let upload = Put { announced: Some(1 << 20), ..Put::new(&unlimited, "e") }.write("x").await.unwrap();
    let taken: u64 = place.names().iter().map(|name| fs::metadata(place.at(name)).unwrap().blocks() * 512).sum();
    assert!(taken < 1 << 18, "{taken}");
    drop(upload);
}

#[tokio::test]
async fn a_quota_is_told_of_all_that_comes_and_goes() {
    let quota = Arc::new(Count { most: 20, ..Count::default() });
    let place = Place::with(LocalSettings {
        quota: Some(quota.clone()),
        parts_kept: Duration::from_nanos(1),
        stale_after: Duration::ZERO,
        ..ann()
    });
    let now = || *quota.now.lock().unwrap();
    let fs = &place.fs;
    for commit in [CommitMode::Atomic, CommitMode::Direct] {
        let put = Put { commit, ..Put::new(fs, "a") };
        counted(&put, "12345").await.unwrap().commit().await.unwrap();
        assert_eq!(now(), (5, 1));
        assert_eq!(fs.available(&FtpPath::root()).await, Ok(15));
        counted(&put, "123").await.unwrap().commit().await.unwrap();
        assert_eq!(now(), (3, 1));
        counted(&Put { commit, ..end(fs, None) }, "45").await.unwrap().commit().await.unwrap();
        assert_eq!(now(), (5, 1));
        // From the fourth byte on, and so cut there.
        drop(counted(&Put { commit, ..at(fs, 3, None) }, "x").await.unwrap());
        assert_eq!(now(), (4, 1));
        fs.remove_file(&path("a")).await.unwrap();
        assert_eq!(now(), (0, 0));
    }

    // Parts are counted for as long as they are there.
    let put = Put::new(fs, "a");
    drop(counted(&put, "12345").await.unwrap());
    assert_eq!(now(), (5, 1));
    drop(counted(&end(fs, Some(5)), "67").await.unwrap());
    assert_eq!(now(), (7, 1));
    drop(counted(&put, "123").await.unwrap());
    assert_eq!(now(), (3, 1));
    counted(&end(fs, Some(3)), "45").await.unwrap().commit().await.unwrap();
    assert_eq!(now(), (5, 1));
    fs.remove_file(&path("a")).await.unwrap();
    drop(counted(&put, "12345").await.unwrap());
    fs.remove_file(&path("a")).await.unwrap();
    assert_eq!(now(), (0, 0));
    drop(counted(&put, "12345").await.unwrap());
    assert_eq!(fs.collect_stale().await, Ok(1));
    assert_eq!(now(), (0, 0));
    fs.make_directory(&path("d")).await.unwrap();
    drop(counted(&Put::new(fs, "d/a"), "12345").await.unwrap());
    assert_eq!(now(), (5, 2));
    fs.remove_directory(&path("d")).await.unwrap();
    assert_eq!(now(), (0, 0));

    // Links are counted, for they cost inodes too.
    fs.link(&path("none"), &path("l")).await.unwrap();
    fs.link(&path("none"), &path("m")).await.unwrap();
    assert_eq!(fs.link(&path("none"), &path("l")).await, Err(StorageError::Exists));
    assert_eq!(now(), (0, 2));
    fs.rename(&path("l"), &path("m"), true).await.unwrap();
    assert_eq!(now(), (0, 1));
    assert_eq!(fs.count(|| true).unwrap().files, 1);
    fs.remove_file(&path("m")).await.unwrap();
    assert_eq!(now(), (0, 0));

    // What does not fit leaves the old file and nothing else, whether it was announced or not.
    counted(&put, "0123456789").await.unwrap().commit().await.unwrap();
    assert_eq!(counted(&put, "0123456789x").await.err(), Some(StorageError::OverQuota), "twice the room is needed");
    let announced = Put { announced: Some(11), ..Put::new(fs, "a") };
    assert_eq!(counted(&announced, "").await.err(), Some(StorageError::OverQuota));
    assert_eq!(counted(&Put::new(fs, "b"), "0123456789x").await.err(), Some(StorageError::OverQuota));
    assert_eq!(now(), (10, 1));
    assert_eq!((place.read("a").len(), place.visible().len()), (10, 1));
    counted(&Put::new(fs, "b"), "123").await.unwrap().commit().await.unwrap();
    fs.rename(&path("b"), &path("a"), true).await.unwrap();
    assert_eq!(now(), (3, 1));
}
