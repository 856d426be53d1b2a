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
    let size = async |name: &str, representation| place.fs.size(&path(name), representation).await;
    assert_eq!(size("text", Representation::Image).await, Ok(7));
    assert_eq!(size("text", Representation::Ascii).await, Ok(9));
    assert_eq!(size("large", Representation::Ascii).await, Ok(2 << 20));
    assert_eq!(size("larger", Representation::Ascii).await, Err(StorageError::TooCostly));
    assert_eq!(size("/", Representation::Image).await, Err(StorageError::IsADirectory));

    let source = place.fs.open_read(&path("text"), 2).await.unwrap();
    assert_eq!(source.wire_size(Representation::Ascii).await, Some(6));
    assert_eq!(source.wire_size(Representation::Image).await, Some(5));
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
