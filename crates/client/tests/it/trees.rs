//! Trees: mirrored down and up, interrupted and run again, and from servers that mean no good.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use port21_client::{
    Batch, BatchOptions, Builder, Choose, Client, Error, Event, Filter, Links, Mirror, MirrorOptions, Parallel,
    Pattern, Retry, Summary, Target, Watch,
};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

use crate::common::{Server, close};
use crate::memory::Net;
use crate::own::serve;

/// What was told of a mirror, a line each.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Watch for Told {
    fn event(&self, event: &Event<'_>) {
        let line = match event {
            Event::Moved(..) => return,
            Event::Ended { item, result, .. } => {
                format!("ended {} {}", String::from_utf8_lossy(&item.remote), result.is_ok())
            }
            Event::Did(deed, place) => format!("{deed:?} {place}"),
            Event::Skipped(place, why) => format!("skipped {place}: {why}"),
            Event::Failed(place, error) => format!("failed {place}: {error}"),
            Event::Notice(text) => (*text).to_owned(),
            other => format!("{other:?}"),
        };
        self.0.lock().unwrap().push(line);
    }
}

impl Told {
    fn has(&self, part: &str) -> bool {
        self.0.lock().unwrap().iter().any(|line| line.contains(part))
    }
}

pub(crate) fn settings(addr: SocketAddr) -> Builder {
    Client::builder().target(&Target::parse(&format!("ftp://joe:opensesame@{addr}/")).unwrap())
}

fn batch() -> BatchOptions {
    BatchOptions { parallel: Parallel::Sessions(3), retry: Retry::NEVER, ..BatchOptions::default() }
}

fn mirror(addr: SocketAddr, options: MirrorOptions) -> (Mirror, Told) {
    let told = Told::default();
    (Mirror::new(settings(addr), batch(), options, Arc::new(told.clone())), told)
}

/// A tree with one of everything.
fn plant(root: &Path) {
    std::fs::create_dir_all(root.join("a/deep/er")).unwrap();
    std::fs::create_dir(root.join("empty")).unwrap();
    for (name, bytes) in [
        ("top.txt", &b"top"[..]),
        ("a/one", b"1"),
        ("a/with space \u{fc}", b"22"),
        ("a/deep/er/-dash", b""),
        ("a/back\\slash", b"4444"),
    ] {
        let path = root.join(name);
        std::fs::write(&path, bytes).unwrap();
        let at = UNIX_EPOCH + Duration::from_secs(1_115_068_020 + bytes.len() as u64);
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(at).unwrap();
    }
}

/// What a tree holds: files with their bytes and seconds, directories, links.
fn picture(root: &Path) -> BTreeMap<String, String> {
    fn walk(root: &Path, at: &Path, out: &mut BTreeMap<String, String>) {
        for entry in std::fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            let facts = path.symlink_metadata().unwrap();
            if facts.is_dir() {
                out.insert(name, "directory".to_owned());
                walk(root, &path, out);
            } else if facts.is_symlink() {
                out.insert(name, format!("-> {}", path.read_link().unwrap().display()));
            } else {
                let seconds = facts.modified().unwrap().duration_since(UNIX_EPOCH).unwrap().as_secs();
                out.insert(name, format!("{:?} {seconds}", String::from_utf8_lossy(&std::fs::read(&path).unwrap())));
            }
        }
    }
    let mut out = BTreeMap::new();
    walk(root, root, &mut out);
    out
}

fn counts(summary: &Summary) -> (u64, u64, u64, u64, u64) {
    (summary.transferred, summary.unchanged, summary.directories, summary.removed, summary.failed)
}

fn sites() -> ((SocketAddr, TempDir), TempDir) {
    (serve(Ipv4Addr::LOCALHOST.into()), tempfile::tempdir().unwrap())
}

#[tokio::test]
async fn down_and_again_and_what_is_too_much() {
    let ((addr, root), here) = sites();
    plant(root.path());
    let target = here.path().join("new/tree");
    let delete = MirrorOptions { delete: true, ..MirrorOptions::default() };
    let dry = MirrorOptions { dry_run: true, ..delete.clone() };

    let would = mirror(addr, dry.clone()).0.down(b"", &target).await.unwrap();
    assert_eq!((counts(&would), target.exists()), ((5, 0, 4, 0, 0), false));
    let done = mirror(addr, delete.clone()).0.down(b"", &target).await.unwrap();
    assert_eq!(counts(&done), (5, 0, 4, 0, 0), "{done:?}");
    assert_eq!(picture(&target), picture(root.path()));
    let again = mirror(addr, delete.clone()).0.down(b"/", &target).await.unwrap();
    assert_eq!(counts(&again), (0, 5, 0, 0, 0), "{again:?}");

    std::fs::write(root.path().join("a/one"), "changed").unwrap();
    std::fs::remove_file(root.path().join("top.txt")).unwrap();
    std::fs::create_dir_all(target.join("extra/tree")).unwrap();
    std::fs::write(target.join("extra/tree/x"), "").unwrap();
    symlink(root.path(), target.join("extra/link")).unwrap();
    std::fs::write(target.join("top.txt.port21-part"), "").unwrap();
    let would = mirror(addr, dry).0.down(b"", &target).await.unwrap();
    assert_eq!(counts(&would), (1, 3, 0, 6, 0), "{would:?}");
    let kept = mirror(addr, MirrorOptions::default()).0.down(b"", &target).await.unwrap();
    assert_eq!(counts(&kept), (1, 3, 0, 0, 0), "{kept:?}");
    let done = mirror(addr, delete).0.down(b"", &target).await.unwrap();
    assert_eq!(counts(&done), (0, 4, 0, 6, 0), "{done:?}");
    assert_eq!(picture(&target), picture(root.path()));
}

#[tokio::test]
async fn up_and_again_and_what_is_too_much() {
    let ((addr, root), here) = sites();
    plant(here.path());
    let delete = MirrorOptions { delete: true, ..MirrorOptions::default() };
    let there = root.path().join("new/tree");
    for remote in [&b"new/tree"[..], b"/new/tree"] {
        let done = mirror(addr, delete.clone()).0.up(here.path(), remote).await.unwrap();
        let wanted = if remote.starts_with(b"/") { (0, 5, 0, 0, 0) } else { (5, 0, 4, 0, 0) };
        assert_eq!(counts(&done), wanted, "{done:?}");
        assert_eq!(picture(&there), picture(here.path()));
    }
    std::fs::write(here.path().join("a/one"), "changed").unwrap();
    std::fs::remove_dir_all(here.path().join("a/deep")).unwrap();
    std::fs::create_dir_all(there.join("a/deep/more")).unwrap();
    std::fs::write(there.join("a/deep/more/x"), "").unwrap();
    let done = mirror(addr, delete).0.up(here.path(), b"new/tree").await.unwrap();
    assert_eq!(counts(&done), (1, 3, 0, 5, 0), "{done:?}");
    assert_eq!(picture(&there), picture(here.path()));
}

#[tokio::test]
async fn nothing_is_removed_on_a_doubtful_word() {
    let ((addr, root), here) = sites();
    std::fs::write(here.path().join("mine"), "mine").unwrap();
    let delete = MirrorOptions { delete: true, ..MirrorOptions::default() };
    let done = mirror(addr, delete.clone()).0.down(b"", here.path()).await.unwrap();
    assert!(done.not_removed.unwrap().contains("the source is empty") && here.path().join("mine").exists());
    let error = mirror(addr, delete.clone()).0.down(b"none", here.path()).await.unwrap_err();
    assert!(error.to_string().contains("550") && here.path().join("mine").exists());

    let empty = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("theirs"), "").unwrap();
    let done = mirror(addr, delete).0.up(empty.path(), b"").await.unwrap();
    assert!(done.not_removed.is_some() && root.path().join("theirs").exists());
}

/// A server that lists the one directory that it has so, and whose files are all `x`.
async fn listed(lines: &str, farewell: &str, options: MirrorOptions, here: &Path) -> (Summary, Told) {
    let server = Server::start().await;
    let told = Told::default();
    let single = BatchOptions { parallel: Parallel::Sessions(1), ..batch() };
    let mirror = Mirror::new(server.client(), single, options, Arc::new(told.clone()));
    let serve = async {
        let mut peer = server.login().await;
        let mut offered = None;
        loop {
            let line = String::from_utf8(peer.line().await).unwrap();
            match line.as_str() {
                "EPSV" => offered = Some(peer.offer().await),
                line if line.starts_with("LIST") || line.starts_with("RETR ") => {
                    let (mut data, _) = offered.take().unwrap().accept().await.unwrap();
                    peer.say("150 go").await;
                    let is_list = line.starts_with("LIST");
                    data.write_all(if is_list { lines.as_bytes() } else { b"x" }).await.unwrap();
                    close(data).await;
                    peer.say(if is_list { farewell } else { "226 done" }).await;
                }
                "TYPE I" => peer.say("200 ok").await,
                "QUIT" => {
                    peer.say("221 bye").await;
                    return;
                }
                _ => peer.say("502 no").await,
            }
        }
    };
    let (summary, ()) = tokio::join!(mirror.down(b"", here), serve);
    (summary.unwrap(), told)
}

#[tokio::test]
async fn names_of_a_hostile_server_stay_in_the_tree() {
    let outside = tempfile::tempdir().unwrap();
    let here = outside.path().join("here");
    let lines = "-rw-r--r-- 1 u g 1 Jan 1 2001 ../up\r\n\
        -rw-r--r-- 1 u g 1 Jan 1 2001 /tmp/absolute\r\n\
        -rw-r--r-- 1 u g 1 Jan 1 2001 ..\r\n\
        -rw-r--r-- 1 u g 1 Jan 1 2001 ..\\windows\r\n\
        lrwxrwxrwx 1 u g 1 Jan 1 2001 way -> ..\r\n\
        -rw-r--r-- 1 u g 1 Jan 1 2001 way\r\n\
        -rw-r--r-- 1 u g 1 Jan 1 2001 good\r\n\
        -rw-r--r-- 1 u g 1 Jan 1 2001 GOOD\r\n\
        -rw-r--r-- 1 u g 1 Jan 1 2001 x.port21-part\r\n";
    std::fs::create_dir(&here).unwrap();
    // What an attacker may have brought about before.
    symlink(outside.path().join("victim"), here.join("good")).unwrap();
    std::fs::write(outside.path().join("victim"), "mine").unwrap();
    std::fs::write(here.join("old"), "").unwrap();
    for links in [Links::Keep, Links::Skip] {
        let options = MirrorOptions { links, delete: true, ..MirrorOptions::default() };
        let (summary, told) = listed(lines, "226 done", options, &here).await;
        assert_eq!(summary.failed, 0, "{:?}", told.0);
        assert!(told.has("good differ in case alone") && told.has("leads out of its directory"), "{:?}", told.0);
        assert!(summary.not_removed.is_some() && here.join("old").exists());
    }
    let names: Vec<String> = picture(outside.path()).into_keys().collect();
    assert_eq!(names, ["here", "here/..\\windows", "here/GOOD", "here/good", "here/old", "victim"]);
    assert_eq!(std::fs::read(outside.path().join("victim")).unwrap(), b"mine");
    assert!(!here.join("good").is_symlink());
}

/// A link that leads back to a directory above looks so.
#[tokio::test]
async fn trees_without_end_are_followed_so_far() {
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("old"), "").unwrap();
    let lines = "drwxr-xr-x 1 u g 1 Jan 1 2001 d\r\n-rw-r--r-- 1 u g 1 Jan 1 2001 f\r\n";
    let delete = MirrorOptions { delete: true, ..MirrorOptions::default() };
    let (summary, told) = listed(lines, "226 done", delete, here.path()).await;
    assert_eq!(counts(&summary), (257, 0, 256, 0, 1), "{summary:?}");
    assert!(told.has("/d/d: command: more than 256 directories deep"), "{:?}", told.0);
    // What lies deeper is not known.
    assert!(summary.not_removed.is_some() && here.path().join("old").exists());

    let ((addr, _root), here) = sites();
    std::fs::create_dir_all(here.path().join("d/".repeat(300))).unwrap();
    let dry = MirrorOptions { dry_run: true, ..MirrorOptions::default() };
    let (up, told) = mirror(addr, dry);
    let summary = up.up(here.path(), b"").await.unwrap();
    assert_eq!(counts(&summary), (0, 0, 256, 0, 1), "{summary:?}");
    assert!(told.has("more than 256 directories deep"), "{:?}", told.0);
}

/// It is refused before it fills the memory.
#[tokio::test(start_paused = true)]
async fn directories_of_too_many_entries() {
    for (count, length, is_taken) in [(50, 1, true), (51, 1, false), (1, 15_000, false)] {
        let mut net = Net::new();
        let builder = net.client().max_entries(50);
        let serve = async {
            let mut peer = net.login().await;
            let mut data = peer.passive().await;
            peer.answer("LIST", "150 go").await;
            let line = |n| {
                format!(
                    "-rw-r--r-- 1 u g 1 Jan 1 2001 {}{n}
",
                    "f".repeat(length)
                )
            };
            let lines: String = (0..count).map(line).collect();
            // Who has had enough closes both connections.
            let _ = data.write_all(lines.as_bytes()).await;
            drop(data);
            let _ = peer.try_raw(b"226 done\r\n").await;
            peer
        };
        let play = async {
            let mut client = builder.open().await.unwrap();
            client.matches(&Pattern::new("f*").unwrap()).await
        };
        let (_peer, matches) = tokio::join!(serve, play);
        match matches {
            Ok(matches) => assert!(is_taken && matches.found.len() == count),
            Err(error) => assert!(!is_taken && matches!(error, Error::TooMuch { .. }), "{error}"),
        }
    }
}

#[tokio::test]
async fn a_listing_that_may_not_be_whole_removes_nothing() {
    let here = tempfile::tempdir().unwrap();
    let delete = MirrorOptions { delete: true, ..MirrorOptions::default() };
    for (lines, farewell) in [
        ("-rw-r--r-- 1 u g 1 Jan 1 2001 f\r\nwhat is this\r\n", "226 done"),
        ("-rw-r--r-- 1 u g 1 Jan 1 2001 f\r\n", "226 Transfer done (but failed to open directory)."),
    ] {
        std::fs::write(here.path().join("old"), "").unwrap();
        let (summary, told) = listed(lines, farewell, delete.clone(), here.path()).await;
        assert!(summary.not_removed.is_some() && here.path().join("old").exists(), "{:?}", told.0);
    }
    let (summary, _) = listed("-rw-r--r-- 1 u g 1 Jan 1 2001 f\r\n", "226 done", delete, here.path()).await;
    assert_eq!((summary.unchanged, summary.removed, here.path().join("old").exists()), (1, 1, false));
}

#[tokio::test]
async fn links_filters_and_what_is_newer() {
    let ((addr, root), here) = sites();
    plant(root.path());
    symlink("one", root.path().join("a/link")).unwrap();
    symlink("/top.txt", root.path().join("a/absolute")).unwrap();
    let with = |links| MirrorOptions { links, ..MirrorOptions::default() };
    let done = mirror(addr, with(Links::Skip)).0.down(b"a", here.path()).await.unwrap();
    assert_eq!((done.skipped, done.links), (2, 0));
    let done = mirror(addr, with(Links::Keep)).0.down(b"a", here.path()).await.unwrap();
    assert_eq!((done.skipped, done.links), (1, 1));
    assert_eq!(std::fs::read_link(here.path().join("link")).unwrap(), Path::new("one"));
    let done = mirror(addr, with(Links::Follow)).0.down(b"a", here.path()).await.unwrap();
    assert_eq!((done.transferred, done.failed), (2, 0));
    assert_eq!(std::fs::read(here.path().join("link")).unwrap(), b"1");
    assert!(!here.path().join("link").is_symlink());

    let all = tempfile::tempdir().unwrap();
    let filter = Filter::new(&["*o*".to_owned()], &["deep/".to_owned()]).unwrap();
    let options = MirrorOptions { filter, delete: true, ..MirrorOptions::default() };
    std::fs::write(all.path().join("mine"), "it is not meant").unwrap();
    std::fs::write(all.path().join("too"), "it is").unwrap();
    let done = mirror(addr, options).0.down(b"", all.path()).await.unwrap();
    assert_eq!((done.transferred, done.removed), (2, 1), "{done:?}");
    let names: Vec<String> = picture(all.path()).into_keys().collect();
    assert_eq!(names, ["a", "a/one", "empty", "mine", "top.txt"]);

    // What is newer here stays; what is the same by its digest, too.
    std::fs::write(all.path().join("top.txt"), "TOP").unwrap();
    let choose = |choose| MirrorOptions { choose, ..MirrorOptions::default() };
    mirror(addr, choose(Choose::Newer)).0.down(b"", all.path()).await.unwrap();
    assert_eq!(std::fs::read(all.path().join("top.txt")).unwrap(), b"TOP");
    let done = mirror(addr, choose(Choose::Checksum)).0.down(b"", all.path()).await.unwrap();
    assert_eq!((done.transferred, done.unchanged), (1, 4), "{done:?}");
    assert_eq!(std::fs::read(all.path().join("top.txt")).unwrap(), b"top");
    let done = mirror(addr, choose(Choose::Checksum)).0.up(all.path(), b"").await.unwrap();
    assert_eq!((done.transferred, done.unchanged, done.failed), (1, 5, 0), "{done:?}");
}

#[tokio::test]
async fn patterns_are_expanded_by_listing() {
    let ((addr, root), _here) = sites();
    plant(root.path());
    std::fs::write(root.path().join("a/.hidden"), "").unwrap();
    let mut client = settings(addr).open().await.unwrap();
    for (pattern, wanted) in [
        ("*.txt", &["top.txt"][..]),
        ("a/*", &["a/back\\slash", "a/deep", "a/one", "a/with space \u{fc}"]),
        ("/a/.h*", &["/a/.hidden"]),
        ("*/[o]ne", &["a/one"]),
        ("*/deep/*/*", &["a/deep/er/-dash"]),
        ("none*", &[]),
    ] {
        let found = client.matches(&Pattern::new(pattern).unwrap()).await.unwrap().found;
        let found: Vec<String> = found.into_iter().map(|(path, _)| String::from_utf8(path).unwrap()).collect();
        assert_eq!(found, wanted, "{pattern}");
    }
}

/// A server with MLSD and these directories, each by its path; the commands that it has heard.
async fn paged(server: &Server, pages: &[(&str, &str)]) -> Vec<String> {
    let mut peer = server.login().await;
    let (mut offered, mut heard) = (None, Vec::new());
    loop {
        let line = String::from_utf8(peer.line().await).unwrap();
        heard.push(line.clone());
        let (verb, path) = line.split_once(' ').unwrap_or((&line, ""));
        match verb {
            "EPSV" => offered = Some(peer.offer().await),
            "MLSD" | "RETR" => {
                let page = pages.iter().find(|(name, _)| *name == path).map(|(_, page)| *page);
                let (mut data, _) = offered.take().unwrap().accept().await.unwrap();
                peer.say("150 go").await;
                data.write_all(page.unwrap_or("x").as_bytes()).await.unwrap();
                close(data).await;
                peer.say("226 done").await;
            }
            "FEAT" => peer.say("211-some\r\n MLST type*;size*;unique*;\r\n211 end").await,
            "TYPE" | "DELE" | "RMD" => peer.say("200 ok").await,
            "QUIT" => {
                peer.say("221 bye").await;
                return heard;
            }
            _ => peer.say("502 no").await,
        }
    }
}

/// A link to a directory looks like a directory with some servers; MLSD's `unique` tells which one it is.
#[tokio::test]
async fn a_directory_that_is_one_above_it_is_not_followed() {
    let pages = [
        ("", "type=cdir;unique=1; .\r\ntype=dir;unique=2; a\r\ntype=file;size=1;unique=3; f\r\n"),
        ("a", "type=dir;unique=2; self\r\ntype=dir;unique=1; up\r\ntype=dir;unique=4; b\r\n"),
        ("a/b", "type=dir;unique=2; back\r\ntype=file;size=1;unique=5; g\r\n"),
    ];
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("old"), "").unwrap();
    let options = MirrorOptions { delete: true, ..MirrorOptions::default() };
    let single = BatchOptions { parallel: Parallel::Sessions(1), ..batch() };
    let (server, told) = (Server::start().await, Told::default());
    let settings = server.client().probe(true);
    let mirror = Mirror::new(settings, single.clone(), options.clone(), Arc::new(told.clone()));
    let (summary, _) = tokio::join!(mirror.down(b"", here.path()), paged(&server, &pages));
    let summary = summary.unwrap();
    assert_eq!((counts(&summary), summary.skipped), ((2, 0, 2, 1, 0), 3), "{summary:?} {:?}", told.0);
    assert!(told.has("skipped a/up: it is the directory . above it"), "{:?}", told.0);
    assert!(told.has("skipped a/b/back: it is the directory a above it"), "{:?}", told.0);
    let names: Vec<String> = picture(here.path()).into_keys().collect();
    assert_eq!(names, ["a", "a/b", "a/b/g", "f"]);

    // What is removed is not looked for in what is to stay.
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("f"), "x").unwrap();
    let (server, told) = (Server::start().await, Told::default());
    let mirror = Mirror::new(server.client().probe(true), single, options, Arc::new(told.clone()));
    let (summary, heard) = tokio::join!(mirror.up(here.path(), b""), paged(&server, &pages));
    assert_eq!((counts(&summary.unwrap()), told.has("skipped a/up: ")), ((0, 1, 0, 3, 0), true), "{:?}", told.0);
    let removed: Vec<&String> =
        heard.iter().filter(|line| line.starts_with("DELE") || line.starts_with("RMD")).collect();
    assert_eq!(removed, ["DELE a/b/g", "RMD a/b", "RMD a"]);
}

#[tokio::test]
async fn what_is_to_be_removed_has_a_limit() {
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("f"), "x").unwrap();
    let names = ["d", "e", "g", "h", "i"];
    let lines: String = (0..30).map(|at| format!("type=file;size=1; f{at}\r\n")).collect();
    let top: String = names.iter().map(|name| format!("type=dir; {name}\r\n")).collect();
    let top = format!("type=file;size=1; f\r\n{top}");
    let mut pages = names.map(|name| (name, lines.as_str())).to_vec();
    pages.push(("", &top));
    let options = MirrorOptions { delete: true, ..MirrorOptions::default() };
    let single = BatchOptions { parallel: Parallel::Sessions(1), ..batch() };
    let (server, told) = (Server::start().await, Told::default());
    let settings = server.client().probe(true).max_entries(30);
    let mirror = Mirror::new(settings, single, options, Arc::new(told.clone()));
    let (summary, heard) = tokio::join!(mirror.up(here.path(), b""), paged(&server, &pages));
    let summary = summary.unwrap();
    assert_eq!((summary.removed, summary.failed), (120, 1), "{:?}", told.0);
    assert!(told.has("after 120 names: another run removes the rest"), "{:?}", told.0);
    assert_eq!(heard.iter().filter(|line| line.starts_with("DELE")).count(), 115);
}

#[tokio::test]
async fn what_is_too_large_is_passed_over() {
    let ((addr, root), here) = sites();
    plant(root.path());
    std::fs::write(here.path().join("top.txt"), "another one").unwrap();
    let told = Told::default();
    let limited = BatchOptions { max_size: Some(2), ..batch() };
    let delete = MirrorOptions { delete: true, ..MirrorOptions::default() };
    let mirror = Mirror::new(settings(addr), limited.clone(), delete, Arc::new(told.clone()));
    let done = mirror.down(b"", here.path()).await.unwrap();
    assert_eq!((counts(&done), done.skipped), ((3, 0, 4, 0, 0), 2), "{done:?}");
    assert!(told.has("skipped top.txt: larger than 2 bytes"), "{:?}", told.0);
    assert_eq!(std::fs::read(here.path().join("top.txt")).unwrap(), b"another one");
    let done = mirror.up(here.path(), b"new").await.unwrap();
    assert_eq!((counts(&done), done.skipped), ((3, 0, 4, 0, 0), 1), "{done:?}");

    let mut batch = Batch::new(settings(addr), limited, Arc::new(told.clone()));
    batch.get("top.txt", here.path().join("large"), None);
    batch.get("a/one", here.path().join("small"), None);
    batch.run().await.unwrap();
    assert!(told.has("ended top.txt false") && told.has("ended a/one true"), "{:?}", told.0);
    assert!(here.path().join("small").exists() && !here.path().join("large").exists());
    assert!(!here.path().join("large.port21-part").exists());
}
