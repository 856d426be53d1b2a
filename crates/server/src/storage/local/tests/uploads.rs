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
    assert_eq!(names(&place.fs, &long("/")).await, ["a"]);
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
    for first in [Placement::End, Placement::At(1), Placement::Within { from: 0, to: 9 }, Placement::Whole] {
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
async fn a_name_that_an_upload_will_get_is_given_to_nobody_else() {
    let place = Place::new();
    for (overwrites, commit) in
        [(false, MODES[0]), (false, MODES[1]), (true, MODES[0]), (true, MODES[1]), (true, MODES[2])]
    {
        place.write("f", "theirs");
        if overwrites {
            place.write("n", "old");
        }
        let upload = Put { commit, ..Put::new(&place.fs, "n") }.write("mine").await.unwrap();
        let other = LocalFs::open(place.root(), LocalSettings::default()).unwrap();
        for overwrite in [false, true] {
            assert_eq!(other.rename(&path("f"), &path("n"), overwrite).await, Err(StorageError::Busy));
        }
        assert_eq!(other.make_directory(&path("n")).await, Err(StorageError::Busy));
        assert_eq!(other.link(&path("f"), &path("n")).await, Err(StorageError::Busy));
        upload.commit().await.unwrap();
        assert_eq!((place.read("n"), place.read("f")), ("mine".into(), "theirs".into()));
        other.rename(&path("f"), &path("n"), true).await.unwrap();
        assert_eq!(place.read("n"), "theirs");
        fs::remove_file(place.at("n")).unwrap();
    }
    // What a program outside has put there meanwhile is not replaced unseen either.
    let upload = Put::new(&place.fs, "n").write("mine").await.unwrap();
    place.write("n", "theirs");
    assert_eq!(upload.commit().await, Err(StorageError::Exists));
    assert_eq!(place.read("n"), "theirs");
}

#[tokio::test]
async fn what_is_written_is_not_taken_away() {
    let place = Place::new();
    place.write("a", "0123456789");
    place.write("b", "b");
    fs::hard_link(place.at("a"), place.at("same")).unwrap();
    let whole = Put::new(&place.fs, "a");
    let adds = Put { placement: Placement::End, ..Put::new(&place.fs, "a") };
    let direct = Put { commit: CommitMode::Direct, ..Put::new(&place.fs, "a") };
    let from = Put { placement: Placement::At(1), ..Put::new(&place.fs, "a") };
    for (put, want) in [(whole, "x"), (adds, "xx"), (from, "xx"), (direct, "x")] {
        let upload = put.write("x").await.unwrap();
        for name in ["a", "same"] {
            assert_eq!(place.fs.remove_file(&path(name)).await, Err(StorageError::Busy), "{name}");
            assert_eq!(place.fs.rename(&path(name), &path("c"), true).await, Err(StorageError::Busy), "{name}");
            assert_eq!(place.fs.rename(&path("b"), &path(name), true).await, Err(StorageError::Busy), "{name}");
        }
        upload.commit().await.unwrap();
        assert_eq!(place.read("a"), want);
        fs::remove_file(place.at("same")).unwrap();
        fs::hard_link(place.at("a"), place.at("same")).unwrap();
    }
    place.fs.remove_file(&path("a")).await.unwrap();
    // A directory moves with what is being written in it, and does not go before that.
    fs::create_dir(place.at("d")).unwrap();
    let upload = Put::new(&place.fs, "d/new").write("x").await.unwrap();
    assert_eq!(place.fs.remove_directory(&path("d")).await, Err(StorageError::NotEmpty));
    place.fs.rename(&path("d"), &path("e"), true).await.unwrap();
    upload.commit().await.unwrap();
    assert_eq!(place.read("e/new"), "x");
}

#[tokio::test]
async fn who_wants_the_file_of_an_upload_on_its_way_out_waits_for_that() {
    let place = Place::new();
    place.write("a", "old");
    for _ in 0..20 {
        let upload = Put::new(&place.fs, "a").write("new").await.unwrap();
        let newer = Put::new(&place.fs, "a");
        let gone = tokio::spawn(upload.let_go());
        // It has been told to go, and may not have gone yet.
        let ((), result) = tokio::join!(async { gone.await.unwrap() }, async {
            tokio::task::yield_now().await;
            newer.all("newer").await
        });
        result.unwrap();
        assert_eq!(place.read("a"), "newer");
    }
}

#[tokio::test]
async fn two_names_of_one_file_become_one() {
    let place = Place::new();
    place.write("a", "one");
    fs::hard_link(place.at("a"), place.at("b")).unwrap();
    assert_eq!(place.fs.rename(&path("a"), &path("b"), false).await, Err(StorageError::Exists));
    place.fs.rename(&path("a"), &path("a"), true).await.unwrap();
    place.fs.rename(&path("a"), &path("b"), true).await.unwrap();
    assert_eq!(place.names().into_iter().collect::<Vec<_>>(), ["b"]);
    assert_eq!(place.read("b"), "one");
}

#[tokio::test]
async fn permissions_that_are_set_while_an_upload_runs_hold() {
    let place = Place::new();
    place.write("a", "old");
    let upload = Put::new(&place.fs, "a").write("secret").await.unwrap();
    place.fs.set_mode(&path("a"), 0o600).await.unwrap();
    upload.commit().await.unwrap();
    assert_eq!(place.read("a"), "secret");
    assert_eq!(fs::metadata(place.at("a")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn unique_names_begin_as_asked_and_never_meet() {
    let place = Place::new();
    let mut seen = BTreeSet::new();
    for _ in 0..20 {
        let upload = Put { placement: Placement::Unique, ..Put::new(&place.fs, "in.txt") }.write("x").await.unwrap();
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

fn within(fs: &LocalFs, from: u64, to: u64) -> Put<'_> {
    Put { placement: Placement::Within { from, to }, ..Put::new(fs, "a") }
}

/// As a session writes: each piece is asked for first.
async fn pieces(put: &Put<'_>, all: &[&str]) -> Result<Box<dyn Upload>, StorageError> {
    let mut upload = put.write("").await?;
    for text in all {
        upload.take(text.len() as u64)?;
        let Sink::File(file) = upload.sink() else { unreachable!("local files are files") };
        (&*file).write_all(text.as_bytes()).unwrap();
    }
    Ok(upload)
}

#[tokio::test]
async fn a_range_leaves_all_else_as_it_is() {
    let place = Place::new();
    for commit in MODES {
        for (from, to, text, want) in [
            (2, 5, ["a", "bc"], "01abc56789"),
            (0, 2, ["ab", ""], "ab23456789"),
            (8, 12, ["abcd", ""], "01234567abcd"),
            (10, 12, ["ab", ""], "0123456789ab"),
        ] {
            place.write("a", "0123456789");
            let put = Put { commit, ..within(&place.fs, from, to) };
            let mut upload = pieces(&put, &text).await.unwrap();
            upload.sync().await.unwrap();
            upload.commit().await.unwrap();
            assert_eq!(place.read("a"), want);
        }
        place.write("a", "0123456789");
        let put = Put { commit, ..within(&place.fs, 2, 5) };
        assert_eq!(pieces(&put, &["ab", "cd"]).await.err(), Some(StorageError::WrongLength));
        assert_eq!(place.read("a"), "01ab456789", "what came before it");
        let mut short = pieces(&put, &["xy"]).await.unwrap();
        assert_eq!(short.sync().await, Err(StorageError::WrongLength));
        assert_eq!(short.commit().await, Err(StorageError::WrongLength));
        drop(pieces(&put, &["z"]).await.unwrap());
        assert_eq!(place.read("a"), "01zy456789", "an upload that breaks off cuts nothing");
    }
    assert_eq!(pieces(&within(&place.fs, 11, 12), &[]).await.err(), Some(StorageError::BadOffset));
    let refused = Put { overwrite: false, ..within(&place.fs, 0, 1) };
    assert_eq!(pieces(&refused, &[]).await.err(), Some(StorageError::Exists));
}

#[tokio::test]
async fn a_range_of_no_file_is_one_from_its_first_byte_on() {
    let place = Place::new();
    assert_eq!(pieces(&within(&place.fs, 1, 2), &[]).await.err(), Some(StorageError::BadOffset));
    let upload = pieces(&within(&place.fs, 0, 3), &["ab", "c"]).await.unwrap();
    assert!(!place.at("a").exists(), "as any other upload of a file that is not there");
    upload.commit().await.unwrap();
    assert_eq!(place.read("a"), "abc");
    fs::remove_file(place.at("a")).unwrap();
    let mut short = pieces(&within(&place.fs, 0, 3), &["ab"]).await.unwrap();
    assert_eq!(short.sync().await, Err(StorageError::WrongLength));
    drop(short);
    assert!(place.names().is_empty());
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
async fn no_room_stays_behind_the_end_of_a_file_that_has_its_name() {
    for (name, placement, commit) in [
        ("there", Placement::End, CommitMode::Atomic),
        ("there", Placement::At(3), CommitMode::Atomic),
        ("there", Placement::Within { from: 0, to: 1 << 20 }, CommitMode::Atomic),
        ("there", Placement::Whole, CommitMode::Direct),
        ("new", Placement::Whole, CommitMode::Direct),
    ] {
        for text in ["", "x"] {
            let place = Place::with(LocalSettings { owner: Some("ann".into()), ..LocalSettings::default() });
            place.write("there", "text");
            let put = Put { placement, commit, announced: Some(1 << 20), ..Put::new(&place.fs, name) };
            let upload = put.write(text).await.unwrap();
            // As if the server were killed here: nobody would give it back.
            let meta = fs::metadata(place.at(name)).unwrap();
            assert!(meta.blocks() < 64, "{placement:?} {commit:?} {text:?}: {} blocks", meta.blocks());
            upload.let_go().await;
            assert!(fs::metadata(place.at(name)).unwrap().blocks() < 64, "{placement:?} {commit:?} {text:?}");
        }
    }
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

#[tokio::test]
async fn permissions_are_those_of_the_system() {
    let place = Place::new();
    place.write("locked", "old");
    fs::set_permissions(place.at("locked"), fs::Permissions::from_mode(0o444)).unwrap();
    // Root may do everything; everybody else is refused, though the directory would allow a rename over the file.
    let want = if rustix::process::geteuid().is_root() { Ok(()) } else { Err(StorageError::Denied) };
    for commit in MODES {
        for placement in [Placement::Whole, Placement::End, Placement::At(1)] {
            assert_eq!(Put { commit, placement, ..Put::new(&place.fs, "locked") }.all("new").await, want);
        }
    }
    // A directory that may be filled, not read: its name cannot be made to last by way of the directory.
    fs::create_dir(place.at("drop")).unwrap();
    fs::set_permissions(place.at("drop"), fs::Permissions::from_mode(0o300)).unwrap();
    let put = Put { commit: CommitMode::Durable, ..Put::new(&place.fs, "drop/a") };
    assert_eq!(put.all("x").await, Ok(()));
    fs::set_permissions(place.at("drop"), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(place.read("drop/a"), "x");
}
