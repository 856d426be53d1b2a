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
        for name in ["relative", "pub/deep/up", "absolute", "chain", "folder/file", "folder/deep/up", "out-up/pub/file"]
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
    assert!(get(&fs, "fd/0", 0).await.is_err());
    let walking = LocalFs {
        root: "/proc/self".into(),
        tree: Arc::new(Tree::walking(Path::new("/proc/self"))),
        settings: fs.settings,
    };
    assert!(get(&walking, "root/etc/passwd", 0).await.is_err());
    assert!(get(&walking, "exe", 0).await.is_err());
}

/// Nobody but its account learns of an interrupted upload, and nobody changes an upload that runs.
#[tokio::test]
async fn links_do_not_lead_to_what_uploads_hide() {
    let owner = |name: &str| LocalSettings { owner: Some(name.into()), ..LocalSettings::default() };
    let place = Place::with(owner("ann"));
    let stranger = LocalFs::open(place.root(), owner("bob")).unwrap();
    place.write("there", "old");
    fs::create_dir(place.at("d")).unwrap();
    let uploads =
        [Put::new(&place.fs, "new").write("of Ann").await, Put::new(&place.fs, "there").write("of Ann").await];
    let hidden = place.names().into_iter().filter(|name| name.starts_with(".port21-")).collect::<Vec<_>>();
    assert_eq!(hidden.len(), 2);
    for (number, name) in hidden.iter().enumerate() {
        let link = path(&format!("made{number}"));
        for name in [name.clone(), name.to_uppercase(), format!("d/../{name}"), format!("{name}/x")] {
            assert_eq!(stranger.link(&path(&name), &link).await, Err(StorageError::BadName), "{name}");
        }
        symlink(name, place.at(format!("link{number}"))).unwrap();
        symlink(format!("/{name}"), place.at(format!("d/link{number}"))).unwrap();
        symlink(format!("d/link{number}"), place.at(format!("chain{number}"))).unwrap();
        for link in ["link", "d/link", "chain"].map(|link| format!("{link}{number}")) {
            let at = path(&link);
            for fs in [&stranger, &place.walking(), &place.fs] {
                let not_found = Err(StorageError::NotFound);
                assert_eq!(get(fs, &link, 0).await, not_found.clone(), "{link}");
                assert_eq!(fs.stat(&at).await.err(), Some(StorageError::NotFound));
                assert_eq!(fs.size(&at, Representation::Image).await.err(), Some(StorageError::NotFound));
                assert_eq!(fs.part(&at).await.err(), Some(StorageError::NotFound));
                assert_eq!(fs.set_mode(&at, 0o777).await.err(), Some(StorageError::NotFound));
                assert_eq!(fs.set_modified(&at, Timestamp::UNIX_EPOCH).await.err(), Some(StorageError::NotFound));
                assert_eq!(fs.hold(&at).await.err(), Some(StorageError::NotFound));
                for placement in [Placement::Whole, Placement::End, Placement::At(6)] {
                    let put = Put { placement, ..Put::new(fs, &link) };
                    assert_eq!(put.all("else").await.err(), Some(StorageError::NotFound), "{placement:?}");
                }
            }
        }
    }
    for name in [".PORT21-PART-1", "d/.Port21-over-2", ".port21-upload-x"] {
        assert_eq!(get(&stranger, name, 0).await, Err(StorageError::NotFound));
        assert_eq!(Put::new(&stranger, name).all("x").await, Err(StorageError::BadName));
    }
    for upload in uploads {
        upload.unwrap().commit().await.unwrap();
    }
    assert_eq!((place.read("new"), place.read("there")), ("of Ann".into(), "of Ann".into()));
    // Who made such a link is rid of it.
    stranger.remove_file(&path("link0")).await.unwrap();
    assert_eq!(place.names().len(), hidden.len() + 4);
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
    let directory = fs::File::open(place.at("d")).unwrap();
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
    for fs in [&place.fs, &place.walking()] {
        let (mut read, mut refused) = (0, 0);
        // Until there was something to be won, more than once: how the threads take turns is not for us to say.
        for round in 0.. {
            assert!(!swapper.is_finished());
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
            if round >= 3000 && read.min(refused) >= 10 {
                break;
            }
        }
    }
    // Where the last race was lost both ways the file has still its other name.
    let _ = rustix::fs::renameat(&directory, "secret2", &directory, "secret");
    // The look-up alone, in a narrow loop: what every operation begins with.
    let secret = path("d/secret");
    for fs in [&place.fs, &place.walking()] {
        let (mut read, mut refused) = (0, 0);
        while read + refused < 50_000 || read.min(refused) < 10 {
            assert!(!swapper.is_finished());
            let Ok(file) = fs.tree.open(&secret, OFlags::RDONLY | CAREFUL, Lookup::Full) else {
                refused += 1;
                continue;
            };
            let mut text = [0; 16];
            let len = rustix::io::read(&file, &mut text).unwrap();
            assert_eq!(&text[..len], b"inside");
            read += 1;
        }
    }
    stop.store(true, Ordering::Relaxed);
    swapper.join().unwrap();
    let outside = place.dir.path().join("outside");
    assert_eq!(fs::read_to_string(outside.join("secret")).unwrap(), "secret");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
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
            assert_eq!(fs.size(&path(special), Representation::Image).await, Err(StorageError::NotARegularFile));
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
