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
    assert_eq!(rename("/", "x", true).await, Err(no_name_of_its_own()));
    assert_eq!(rename("a", "/", true).await, Err(no_name_of_its_own()));
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
    assert_eq!(fs.remove_directory(&path("/")).await, Err(no_name_of_its_own()));
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

#[tokio::test]
async fn a_file_that_is_held_is_nobody_elses_until_it_is_gone() {
    let place = Place::new();
    fs::create_dir(place.at("d")).unwrap();
    place.write("d/a", "held");
    place.write("other", "other");
    fs::hard_link(place.at("d/a"), place.at("same")).unwrap();
    symlink("d", place.at("e")).unwrap();
    let held = place.fs.hold(&path("d/a")).await.unwrap();
    for name in ["d/a", "e/a", "same"] {
        assert_eq!(place.fs.hold(&path(name)).await.err(), Some(StorageError::Busy), "{name}");
        assert_eq!(Put::new(&place.fs, name).all("new").await, Err(StorageError::Busy), "{name}");
        assert_eq!(place.fs.remove_file(&path(name)).await, Err(StorageError::Busy), "{name}");
        assert_eq!(place.fs.rename(&path("other"), &path(name), true).await, Err(StorageError::Busy), "{name}");
        assert_eq!(get(&place.fs, name, 0).await.as_deref(), Ok("held"));
    }
    assert_eq!((held.size(), held.unique()), (4, &*place.fs.stat(&path("same")).await.unwrap().unique.unwrap()));
    let Source::File { len: 4, .. } = held.open().await.unwrap() else { panic!("a file of 4 bytes") };
    held.remove().await.unwrap();
    assert!(!place.at("d/a").exists() && place.at("same").exists());
    // What is being written cannot be held.
    let upload = Put::new(&place.fs, "other").write("x").await.unwrap();
    assert_eq!(place.fs.hold(&path("other")).await.err(), Some(StorageError::Busy));
    upload.commit().await.unwrap();
    // What has become another file, or a longer one, by somebody outside stays.
    let held = place.fs.hold(&path("other")).await.unwrap();
    fs::File::options().append(true).open(place.at("other")).unwrap().write_all(b" and more").unwrap();
    assert_eq!(held.remove().await, Err(StorageError::Busy));
    let held = place.fs.hold(&path("other")).await.unwrap();
    fs::rename(place.at("same"), place.at("other")).unwrap();
    assert_eq!(held.open().await.err(), Some(StorageError::Busy));
    assert_eq!(held.remove().await, Err(StorageError::Busy));
    assert_eq!(place.read("other"), "held");
    assert_eq!(place.fs.hold(&path("d")).await.err(), Some(StorageError::IsADirectory));
    assert_eq!(place.fs.hold(&path("nothing")).await.err(), Some(StorageError::NotFound));
}

/// The root cannot be moved or removed.
fn no_name_of_its_own() -> StorageError {
    StorageError::Forbidden(Errno::PERM.to_string())
}
