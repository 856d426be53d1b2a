use super::*;
use crate::storage::Used;

fn with_quota(bytes: u64, files: u64) -> Place {
    Place::with(LocalSettings { quota: Quota { bytes: Some(bytes), files: Some(files) }, ..LocalSettings::default() })
}

impl Place {
    fn used(&self) -> (u64, u64) {
        let Used { bytes, files } = self.fs.used().unwrap().0;
        (bytes, files)
    }
}

/// Writes as a transfer does.
async fn upload(put: &Put<'_>, chunks: &[&str]) -> Result<Box<dyn Upload>, StorageError> {
    let mut upload = put.write("").await?;
    for chunk in chunks {
        upload.admit(chunk.len() as u64)?;
        match upload.sink() {
            Sink::File(file) => (&*file).write_all(chunk.as_bytes()).unwrap(),
            Sink::Writer(_) => unreachable!("local files are files"),
        }
    }
    Ok(upload)
}

async fn whole(put: &Put<'_>, text: &str) -> Result<(), StorageError> {
    upload(put, &[text]).await?.commit().await
}

#[tokio::test]
async fn what_is_there_is_counted_before_the_first_upload() {
    let place = with_quota(100, 10);
    place.write("old", &"x".repeat(90));
    fs::create_dir(place.at("dir")).unwrap();
    place.write("dir/more", "12345");
    symlink("old", place.at("link")).unwrap();
    assert_eq!(upload(&Put::new(&place.fs, "new"), &["123456"]).await.err(), Some(StorageError::OverQuota));
    assert_eq!(place.used(), (95, 4));
    whole(&Put::new(&place.fs, "new"), "12345").await.unwrap();
    assert_eq!(place.used(), (100, 5));
}

#[tokio::test]
async fn an_upload_without_an_end_stops_at_the_quota_and_leaves_nothing() {
    let place = with_quota(1000, 10);
    let chunk = "x".repeat(64);
    let error = upload(&Put::new(&place.fs, "endless"), &vec![chunk.as_str(); 100]).await.err();
    assert_eq!(error, Some(StorageError::OverQuota));
    assert!(place.names().is_empty());
    assert_eq!(place.used(), (0, 0));
}

#[tokio::test]
async fn uploads_at_the_same_time_share_what_is_left() {
    let place = with_quota(100, 10);
    let (first, second) = (Put::new(&place.fs, "first"), Put::new(&place.fs, "second"));
    let held = upload(&first, &["60".repeat(30).as_str()]).await.unwrap();
    assert_eq!(upload(&second, &["41".repeat(20).as_str(), "x"]).await.err(), Some(StorageError::OverQuota));
    drop(held);
    whole(&second, &"41".repeat(20)).await.unwrap();
    assert_eq!(place.used(), (40, 1));
}

#[tokio::test]
async fn announced_bytes_that_will_not_fit_are_refused_at_once() {
    let place = with_quota(100, 10);
    let put = |bytes| Put { announced: Some(bytes), ..Put::new(&place.fs, "new") };
    assert_eq!(put(101).write("").await.err(), Some(StorageError::OverQuota));
    assert!(put(100).write("").await.is_ok());
}

#[tokio::test]
async fn the_books_follow_what_is_done() {
    for commit in [CommitMode::Atomic, CommitMode::Direct] {
        let place = with_quota(100, 4);
        let put = |name, placement| Put { commit, placement, ..Put::new(&place.fs, name) };
        whole(&put("a", Placement::Whole), &"a".repeat(80)).await.unwrap();
        // What it replaces makes room.
        whole(&put("a", Placement::Whole), &"b".repeat(90)).await.unwrap();
        assert_eq!(place.used(), (90, 1));
        whole(&put("a", Placement::At(10)), &"c".repeat(50)).await.unwrap();
        assert_eq!(place.used(), (60, 1));
        whole(&put("a", Placement::End), &"d".repeat(10)).await.unwrap();
        assert_eq!(place.used(), (70, 1));
        // It broke off before its first byte: the file is as it was.
        drop(upload(&put("a", Placement::At(10)), &[]).await.unwrap());
        assert_eq!(place.used(), (70, 1));
        drop(upload(&put("a", Placement::At(10)), &["e"]).await.unwrap());
        assert_eq!(place.used(), (11, 1));
        whole(&put("b", Placement::Whole), "12345").await.unwrap();
        place.fs.make_directory(&path("dir")).await.unwrap();
        assert_eq!(place.used(), (16, 3));
        place.fs.rename(&path("a"), &path("b"), true).await.unwrap();
        assert_eq!(place.used(), (11, 2));
        place.fs.remove_directory(&path("dir")).await.unwrap();
        place.fs.remove_file(&path("b")).await.unwrap();
        assert_eq!(place.used(), (0, 0));
    }
}

#[tokio::test]
async fn names_have_a_limit_too() {
    let place = with_quota(100, 2);
    whole(&Put::new(&place.fs, "a"), "").await.unwrap();
    place.fs.make_directory(&path("dir")).await.unwrap();
    assert_eq!(place.fs.make_directory(&path("dir2")).await, Err(StorageError::OverQuota));
    assert_eq!(whole(&Put::new(&place.fs, "b"), "").await, Err(StorageError::OverQuota));
    whole(&Put::new(&place.fs, "a"), "again").await.unwrap();
    assert_eq!(place.names().len(), 2);
    // One that fails for another reason costs nothing.
    place.fs.remove_directory(&path("dir")).await.unwrap();
    assert_eq!(place.fs.make_directory(&path("a")).await, Err(StorageError::Exists));
    assert_eq!(place.used(), (5, 1));
}
