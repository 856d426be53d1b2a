//! Against libunftp, a server that others have written.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use libunftp::ServerBuilder;
use libunftp::options::ActivePassiveMode;
use port21_client::{
    Client, Clock, DataMode, Error, GetOptions, Listed, Phase, Progress, PutOptions, Representation, Upload,
};
use port21_proto::SessionEvent;
use port21_proto::event::{End, EventKind};
use port21_proto::listing::EntryKind;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use unftp_sbe_fs::Filesystem;

type Events = Arc<Mutex<Vec<SessionEvent>>>;

struct Site {
    root: TempDir,
    local: TempDir,
    addr: SocketAddr,
    events: Events,
}

impl Site {
    async fn start() -> Site {
        let root = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let path = root.path().to_owned();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let path = path.clone();
                let server = ServerBuilder::new(Box::new(move || Filesystem::new(path.clone()).unwrap()))
                    .active_passive_mode(ActivePassiveMode::ActiveAndPassive)
                    .greeting("unftp")
                    .build()
                    .unwrap();
                tokio::spawn(server.service(stream));
            }
        });
        Site { root, local: tempfile::tempdir().unwrap(), addr, events: Events::default() }
    }

    async fn client(&self, mode: DataMode) -> Client {
        let events = self.events.clone();
        let sink = Arc::new(move |event: SessionEvent| events.lock().unwrap().push(event));
        let builder = Client::builder().host(self.addr.ip().to_string()).port(self.addr.port());
        builder.mode(mode).sink(sink, Clock::start()).open().await.unwrap()
    }

    fn remote(&self, name: &str) -> std::path::PathBuf {
        self.root.path().join(name)
    }

    fn local(&self, name: &str) -> std::path::PathBuf {
        self.local.path().join(name)
    }

    fn commands(&self) -> Vec<String> {
        let events = self.events.lock().unwrap();
        let command = |event: &SessionEvent| match &event.kind {
            EventKind::Command { verb, .. } => Some(verb.clone()),
            _ => None,
        };
        events.iter().filter_map(command).collect()
    }
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 251) as u8).collect()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn files_there_and_back_in_both_modes() {
    let site = Site::start().await;
    let whole = bytes(3_000_001);
    std::fs::write(site.local("up"), &whole).unwrap();
    for mode in [DataMode::Passive, DataMode::Active] {
        let mut client = site.client(mode).await;
        let mut last = Progress::default();
        let sent =
            client.put_file(&site.local("up"), "there", &PutOptions::default(), &mut |p| last = p).await.unwrap();
        assert_eq!((sent.bytes, last.done, last.total), (3_000_001, 3_000_001, Some(3_000_001)));
        assert!(std::fs::read(site.remote("there")).unwrap() == whole);
        let got =
            client.get_file("there", &site.local("back"), &GetOptions::default(), &mut |p| last = p).await.unwrap();
        assert_eq!((got.bytes, got.from, last.done), (3_000_001, 0, 3_000_001));
        assert!(std::fs::read(site.local("back")).unwrap() == whole);
        assert_eq!(names(site.local.path()), ["back", "up"]);
        client.quit().await.unwrap();
    }
}

#[tokio::test]
async fn directories_and_names() {
    let site = Site::start().await;
    let mut client = site.client(DataMode::Passive).await;
    client.mkdir("d").await.unwrap();
    client.cwd("d").await.unwrap();
    assert_eq!(client.pwd().await.unwrap(), b"/d");
    for name in ["b c", "größe", "\"q\""] {
        let mut upload = client.upload(name, Upload::Whole).await.unwrap();
        upload.write_all(b"12345").await.unwrap();
        upload.finish().await.unwrap();
    }
    let mut seen = Vec::new();
    let mut entries = client.list("").await.unwrap();
    while let Some(entry) = entries.next().await {
        let Listed::Entry(entry) = entry.unwrap() else { panic!("unreadable") };
        assert_eq!((entry.kind, entry.size), (EntryKind::File, Some(5)));
        seen.push(String::from_utf8(entry.name).unwrap());
    }
    seen.sort();
    assert_eq!(seen, ["\"q\"", "b c", "größe"]);
    assert_eq!(site.commands().iter().filter(|verb| *verb == "MLSD").count(), 1);

    let mut lines = client.list_lines("", Default::default()).await.unwrap();
    let mut count = 0;
    while let Some(line) = lines.next().await {
        count += usize::from(line.unwrap().ends_with(b"b c"));
    }
    assert_eq!(count, 1);
    let mut lines = client.nlst("").await.unwrap();
    let mut found = false;
    while let Some(line) = lines.next().await {
        found |= line.unwrap() == "größe".as_bytes();
    }
    assert!(found);

    client.rename("b c", "e").await.unwrap();
    assert_eq!(client.size("e").await.unwrap(), 5);
    assert!(client.mtime("e").await.unwrap() > "2020-01-01T00:00:00Z".parse().unwrap());
    // From the root: libunftp's MLST does not know the working directory.
    let entry = client.stat("/d/e").await.unwrap();
    assert_eq!((entry.kind, entry.size), (EntryKind::File, Some(5)));
    for name in ["e", "größe", "\"q\""] {
        client.remove(name).await.unwrap();
    }
    client.cdup().await.unwrap();
    client.rmdir("d").await.unwrap();
    assert!(names(site.root.path()).is_empty());
    assert!(client.features().await.unwrap().has("EPSV"));
    client.noop().await.unwrap();
    client.quit().await.unwrap();
}

#[tokio::test]
async fn an_empty_file_and_an_empty_directory() {
    let site = Site::start().await;
    for mode in [DataMode::Passive, DataMode::Active] {
        let mut client = site.client(mode).await;
        assert!(client.list("").await.unwrap().next().await.is_none());
        client.upload("empty", Upload::Whole).await.unwrap().finish().await.unwrap();
        client.get_file("empty", &site.local("e"), &GetOptions::default(), &mut |_| {}).await.unwrap();
        assert_eq!(std::fs::read(site.local("e")).unwrap(), b"");
        client.remove("empty").await.unwrap();
        client.quit().await.unwrap();
    }
}

#[tokio::test]
async fn downloads_are_resumed() {
    let site = Site::start().await;
    let whole = bytes(200_000);
    std::fs::write(site.remote("f"), &whole).unwrap();
    let mut client = site.client(DataMode::Passive).await;
    let resume = GetOptions { resume: true, keep_time: true, ..GetOptions::default() };

    std::fs::write(site.local("f.port21-part"), &whole[..100_000]).unwrap();
    let got = client.get_file("f", &site.local("f"), &resume, &mut |_| {}).await.unwrap();
    assert_eq!((got.from, got.bytes), (100_000 - 16 * 1024, 100_000 + 16 * 1024));
    assert!(std::fs::read(site.local("f")).unwrap() == whole);

    // A whole file is found to be whole, and a short one is gone on with.
    for there in [200_000, 150_000] {
        std::fs::write(site.local("f"), &whole[..there]).unwrap();
        client.get_file("f", &site.local("f"), &resume, &mut |_| {}).await.unwrap();
        assert!(std::fs::read(site.local("f")).unwrap() == whole);
    }
    // A part of another file is not gone on with.
    let mut other = whole[..100_000].to_vec();
    other[99_000] ^= 1;
    std::fs::write(site.local("f.port21-part"), &other).unwrap();
    let got = client.get_file("f", &site.local("f"), &resume, &mut |_| {}).await.unwrap();
    assert_eq!((got.from, got.bytes), (0, 200_000));
    assert!(std::fs::read(site.local("f")).unwrap() == whole);
    assert_eq!(names(site.local.path()), ["f"]);
    client.quit().await.unwrap();
}

#[tokio::test]
async fn uploads_are_resumed_and_appended() {
    let site = Site::start().await;
    let whole = bytes(100_000);
    std::fs::write(site.local("f"), &whole).unwrap();
    std::fs::write(site.remote("f"), &whole[..40_000]).unwrap();
    let mut client = site.client(DataMode::Passive).await;
    let resume = PutOptions { resume: true, ..PutOptions::default() };
    let sent = client.put_file(&site.local("f"), "f", &resume, &mut |_| {}).await.unwrap();
    assert_eq!((sent.from, sent.bytes), (40_000, 60_000));
    assert!(std::fs::read(site.remote("f")).unwrap() == whole);

    let aside = PutOptions { aside: true, ..PutOptions::default() };
    client.put_file(&site.local("f"), "g", &aside, &mut |_| {}).await.unwrap();
    assert_eq!(names(site.root.path()), ["f", "g"]);
    client.quit().await.unwrap();
}

#[tokio::test]
async fn refusals_leave_the_session_in_order() {
    let site = Site::start().await;
    for mode in [DataMode::Passive, DataMode::Active] {
        let mut client = site.client(mode).await;
        // libunftp opens the file only after its 150.
        let error = client.download("none", 0).await.unwrap().finish().await.unwrap_err();
        assert!(matches!(error.phase(), Some(Phase::Transfer | Phase::FinalReply)), "{error}");
        assert_eq!(error.reply().unwrap().code(), 550);
        let error = client.get_file("none", &site.local("x"), &GetOptions::default(), &mut |_| {}).await.unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error}");
        assert!(names(site.local.path()).is_empty());
        assert!(matches!(client.cwd("a\r\nDELE b").await, Err(Error::Name(_))));
        client.noop().await.unwrap();
        client.quit().await.unwrap();
    }
}

#[tokio::test]
async fn a_dropped_download_is_cleared_up_after() {
    let site = Site::start().await;
    std::fs::write(site.remote("f"), bytes(20_000_000)).unwrap();
    for mode in [DataMode::Passive, DataMode::Active] {
        let mut client = site.client(mode).await;
        let mut stream = client.download("f", 0).await.unwrap();
        stream.read_exact(&mut [0; 1000]).await.unwrap();
        drop(stream);
        assert_eq!(client.size("f").await.unwrap(), 20_000_000);
        let mut stream = client.download("f", 19_999_999).await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        stream.finish().await.unwrap();
        assert_eq!(rest.len(), 1);
        client.quit().await.unwrap();
    }
}

#[tokio::test]
async fn text_is_converted_on_its_way() {
    let site = Site::start().await;
    std::fs::write(site.remote("crlf"), "a\r\nb\r\n").unwrap();
    let mut client = site.client(DataMode::Passive).await;
    // libunftp takes TYPE A and sends files as they are: what is stored with CR LF comes as text would.
    client.set_representation(Representation::Ascii).await.unwrap();
    let mut text = String::new();
    let mut stream = client.download("crlf", 0).await.unwrap();
    stream.read_to_string(&mut text).await.unwrap();
    stream.finish().await.unwrap();
    assert_eq!(text, "a\nb\n");
    let mut stream = client.upload("up", Upload::Whole).await.unwrap();
    stream.write_all(b"a\nb\n").await.unwrap();
    stream.finish().await.unwrap();
    assert_eq!(std::fs::read(site.remote("up")).unwrap(), b"a\r\nb\r\n");
    client.quit().await.unwrap();
}

#[tokio::test]
async fn events_tell_the_whole_story_in_order() {
    let site = Site::start().await;
    std::fs::write(site.remote("f"), bytes(1715)).unwrap();
    let mut client = site.client(DataMode::Passive).await;
    let stream = client.download("f", 0).await.unwrap();
    stream.finish().await.unwrap();
    client.quit().await.unwrap();
    let mut story = Vec::new();
    for event in site.events.lock().unwrap().iter() {
        story.push(match &event.kind {
            EventKind::Opening(c) => format!("opening {:?}", c.purpose),
            EventKind::Opened(c) => {
                assert!(c.client.is_some() && c.server.is_some());
                assert_eq!(c.opener, End::Client);
                format!("opened {:?}", c.purpose)
            }
            EventKind::Closed { connection, by, .. } => format!("{} closed by {by:?}", connection.0),
            EventKind::Data { from, bytes, .. } => format!("{bytes} from {from:?}"),
            EventKind::Command { verb, .. } => verb.clone(),
            EventKind::Reply { code, .. } => code.to_string(),
            other => format!("{other:?}"),
        });
    }
    assert_eq!(
        story,
        [
            "opening Control",
            "opened Control",
            "220",
            "USER",
            "331",
            "PASS",
            "230",
            "TYPE",
            "EPSV",
            "200",
            "229",
            "opening Data",
            "opened Data",
            "RETR",
            "150",
            "1715 from Server",
            "1 closed by Server",
            "1 closed by Client",
            "226",
            "QUIT",
            "221",
            "0 closed by Server",
            "0 closed by Client",
        ]
    );
    assert!(!format!("{:?}", site.events.lock().unwrap()).contains("anonymous@"));
}
