use std::sync::Weak;

use rustix::fs::openat;

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
    for root in [of("."), of(".."), &place.fs.stat(&FtpPath::root()).await.unwrap()] {
        assert_eq!(root.perm.as_deref(), Some(&b"celmp"[..]), "the root is neither removed nor renamed");
    }
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
async fn no_name_stands_for_a_pattern_that_matches_it_and_others() {
    let place = Place::new();
    fs::create_dir(place.at("*")).unwrap();
    fs::create_dir(place.at("why?")).unwrap();
    for name in ["a", "a*", "ab", "why?/x"] {
        place.write(name, "");
    }
    let of = |pattern: &str| ListRequest { pattern: Some(pattern.into()), written: pattern.into(), ..long("/") };
    for (pattern, matched) in [
        ("*", &["*", "a", "a*", "ab", "why?"][..]),
        ("a*", &["a", "a*", "ab"]),
        ("[*]", &["*"]),
        ("a[*]", &["a*"]),
        ("why?", &["x"]),
    ] {
        assert_eq!(names(&place.fs, &of(pattern)).await, matched, "{pattern}");
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
    assert_eq!(list.into_iter().map(|e| e.name).collect::<BTreeSet<_>>(), hostile.iter().map(|n| n.to_vec()).collect());
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
        let names: Vec<&[u8]> = batches.flatten().map(|e| e.name.as_slice()).filter(|n| !n.starts_with(b".")).collect();
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
    for options in [none, ListOptions { by_time: true, ..none }, ListOptions { by_size: true, reverse: true, ..none }] {
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
    let place = Place::with(LocalSettings { recursive_depth: 5, recursive_entries: 40, ..LocalSettings::default() });
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

#[tokio::test]
async fn nobody_reads_what_nobody_waits_for() {
    let place = Place::new();
    place.write("0000", "");
    for i in 1..2000 {
        fs::hard_link(place.at("0000"), place.at(format!("{i:04}"))).unwrap();
    }
    let open = |pattern: &str, waited_for| {
        let request = ListRequest { pattern: Some(pattern.into()), ..long("/") };
        settle(listing::open(Arc::clone(&place.fs.tree), &place.fs.settings, request, waited_for))
    };
    for pattern in ["x*", "*"] {
        assert_eq!(open(pattern, Weak::new()).err(), Some(StorageError::Cancelled));
        let waits = Arc::new(());
        assert!(open(pattern, Arc::downgrade(&waits)).is_ok());
    }
    // Dropped with its reader at work.
    let mut listing =
        place.fs.list(&listed("/", ListFormat::Facts(FactSet::ALL), ListOptions::default())).await.unwrap();
    assert!(listing.next().await.unwrap().is_some());
}

#[tokio::test]
async fn a_tree_of_ten_thousand_levels_harms_nobody() {
    let mut place = Place::in_memory();
    let mut dir = rustix::fs::open(place.root(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
    for _ in 0..10_000 {
        mkdirat(&dir, "d", Mode::from_raw_mode(0o755)).unwrap();
        dir = openat(&dir, "d", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    for fs in [&place.fs, &place.walking()] {
        for format in [ListFormat::Long, ListFormat::Names] {
            assert_eq!(pieces(fs, &listed("/", format, RECURSIVE)).await, Err(StorageError::TooMany));
        }
        // Not a recursive one: that lists one level.
        let facts = ListFormat::Facts(FactSet::ALL);
        assert_eq!(names(fs, &listed("/", facts, RECURSIVE)).await.last().map(String::as_str), Some("d"));
        assert_eq!(fs.remove_directory(&path("/d")).await, Err(StorageError::NotEmpty));
    }
    assert_eq!(place.fs.collect_stale().await, Ok(0));
    // Where the operator sets no bound, that of paths holds.
    place.fs =
        LocalFs::open(place.root(), LocalSettings { recursive_depth: usize::MAX, ..Default::default() }).unwrap();
    let mut listing = place.fs.list(&listed("/", ListFormat::Names, RECURSIVE)).await.unwrap();
    let mut levels = 0;
    let end = loop {
        match listing.next().await {
            Ok(Some(Piece::Directory(_))) => levels += 1,
            Ok(Some(Piece::Entries(_))) => {}
            end => break end,
        }
    };
    assert_eq!(end, Err(StorageError::TooMany));
    assert_eq!(levels, port21_proto::path::MAX_PATH / 2 + 1, "as many as a path can name");
    // What removes a tree by going down it has not so many descriptors. This goes up from its end.
    for _ in 0..10_000 {
        dir = openat(&dir, "..", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        rustix::fs::unlinkat(&dir, "d", AtFlags::REMOVEDIR).unwrap();
    }
}
