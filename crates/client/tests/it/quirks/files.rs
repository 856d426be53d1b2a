//! Files, sizes, times, directories and listings that are told in a server's own way.

use port21_client::{Client, Error, GetOptions, ListOptions, Listed, PutOptions, Representation, Upload};
use port21_proto::listing::EntryKind;
use tokio::io::AsyncWriteExt;

use crate::memory::{Net, Peer, fetch, take};

/// A session in which the server does what the first says, and the client what the second does.
async fn session(serve: impl AsyncFnOnce(&mut Peer), play: impl AsyncFnOnce(&mut Client)) -> Net {
    let mut net = Net::new();
    let builder = net.client();
    let serve = async {
        let mut peer = net.login().await;
        serve(&mut peer).await;
        peer.quit().await;
    };
    let play = async {
        let mut client = builder.open().await.unwrap();
        play(&mut client).await;
        client.quit().await.unwrap();
    };
    tokio::join!(serve, play);
    net
}

async fn entries(client: &mut Client, path: &str) -> Result<Vec<(EntryKind, String)>, Error> {
    let mut found = Vec::new();
    let mut entries = client.list(path).await?;
    while let Some(entry) = entries.next().await {
        let Listed::Entry(entry) = entry? else { panic!("unreadable") };
        found.push((entry.kind, String::from_utf8(entry.name).unwrap()));
    }
    Ok(found)
}

#[tokio::test(start_paused = true)]
async fn size_is_refused_in_ascii_so_it_is_asked_for_in_image() {
    session(
        async |peer| {
            peer.answer("SIZE f", "550 SIZE not allowed in ASCII").await;
            peer.answer("TYPE I", "200 ok").await;
            peer.answer("SIZE f", "213 5").await;
        },
        async |client| {
            client.set_representation(Representation::Ascii).await.unwrap();
            assert!(matches!(client.size("f").await, Err(Error::Refused { .. })));
            client.set_representation(Representation::Image).await.unwrap();
            assert_eq!(client.size("f").await.unwrap(), 5);
        },
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_size_of_zero_or_none_loses_no_byte() {
    let local = tempfile::tempdir().unwrap();
    let path = local.path().join("f");
    for reply in ["213 0", "550 no", "213 many", "500 what?"] {
        std::fs::write(local.path().join("f.port21-part"), b"part").unwrap();
        session(
            async |peer| {
                peer.answer("TYPE I", "200 ok").await;
                peer.answer("SIZE f", reply).await;
                if reply.starts_with("500") {
                    // Alone as well: it might have been TYPE that was in its way.
                    peer.answer("SIZE f", reply).await;
                }
                peer.send("RETR f", b"the whole of it").await;
            },
            async |client| {
                let options = GetOptions { resume: true, ..GetOptions::default() };
                client.get_file("f", &path, &options, &mut |_| {}).await.unwrap();
                assert_eq!(std::fs::read(&path).unwrap(), b"the whole of it");
                std::fs::remove_file(&path).unwrap();
            },
        )
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn times_of_all_kinds() {
    session(
        async |peer| {
            for reply in ["213 19100502210700", "213 191000502210700", "213  20000502210700.123 ", "213 2000-05-02"] {
                peer.answer("MDTM f", reply).await;
            }
        },
        async |client| {
            // 14 digits are a year of four, however old that makes the file.
            assert_eq!(client.mtime("f").await.unwrap().to_string(), "1910-05-02T21:07:00Z");
            assert_eq!(client.mtime("f").await.unwrap().to_string(), "2000-05-02T21:07:00Z");
            assert_eq!(client.mtime("f").await.unwrap().to_string(), "2000-05-02T21:07:00.123Z");
            assert!(matches!(client.mtime("f").await, Err(Error::Protocol { .. })));
        },
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_empty_directory_is_an_error() {
    session(
        async |peer| {
            for reply in ["450 No files found", "550 No files found.", "550 The directory is empty"] {
                let data = peer.passive().await;
                peer.answer("LIST", reply).await;
                drop(data);
            }
            let data = peer.passive().await;
            peer.answer("LIST", "550 No such directory").await;
            drop(data);
            // Done without any data connection.
            let port = peer.port();
            peer.answer("EPSV", &format!("229 ok (|||{}|)", port.number)).await;
            peer.answer("LIST", "226 nothing there").await;
        },
        async |client| {
            for _ in 0..3 {
                assert!(entries(client, "").await.unwrap().is_empty());
            }
            assert!(matches!(entries(client, "").await, Err(Error::Refused { .. })));
            assert!(entries(client, "").await.unwrap().is_empty());
        },
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_directory_itself_under_many_names() {
    use EntryKind::{Directory, File};
    let listing = "type=cdir; .\r\ntype=pdir; ..\r\ntype=cdir; /pub\r\ntype=cdir; pub\r\ntype=pdir; /\r\n\
        type=dir; .\r\ntype=cdir; mislabelled\r\ntype=pdir; also\r\ntype=dir;sizd=4096; d\r\nsizd=4096; e\r\n\
        type=file;size=5; f\r\n";
    let kinds = [(Directory, "mislabelled"), (Directory, "also"), (Directory, "d"), (Directory, "e"), (File, "f")];
    let wanted = kinds.map(|(kind, name)| (kind, name.to_owned()));
    let mut net = Net::new();
    let builder = net.client().probe(true);
    let serve = async {
        let mut peer = net.login().await;
        peer.answer("FEAT", "211-x\r\n EPSV\r\n MLST type*;size*;\r\n211 End").await;
        peer.send("MLSD /pub", listing.as_bytes()).await;
        peer.send("MLSD sub/pub/", listing.as_bytes()).await;
        peer.answer("CWD pub", "250 ok").await;
        peer.send("MLSD", listing.as_bytes()).await;
        peer.quit().await;
    };
    let play = async {
        let mut client = builder.open().await.unwrap();
        assert_eq!(entries(&mut client, "/pub").await.unwrap(), wanted);
        assert_eq!(entries(&mut client, "sub/pub/").await.unwrap(), wanted);
        client.cwd("pub").await.unwrap();
        assert_eq!(entries(&mut client, "").await.unwrap(), wanted);
        client.quit().await.unwrap();
    };
    tokio::join!(serve, play);
}

#[tokio::test(start_paused = true)]
async fn the_options_of_list_are_taken_for_a_path() {
    async fn all(client: &mut Client) -> Vec<Vec<u8>> {
        let mut lines = client.list_lines("", ListOptions { all: true, ..ListOptions::default() }).await.unwrap();
        let mut found = Vec::new();
        while let Some(line) = lines.next().await {
            found.push(line.unwrap());
        }
        found
    }
    session(
        async |peer| {
            let data = peer.passive().await;
            peer.answer("LIST -a", "550 -a: no such file").await;
            drop(data);
            peer.send("LIST", b"one\r\n").await;
            peer.send("LIST -a", b"").await;
            peer.send("LIST", b"one\r\n").await;
            peer.send("LIST -a", b".\r\none\r\n").await;
        },
        async |client| {
            assert_eq!(all(client).await, [b"one"]);
            assert_eq!(all(client).await, [b"one"]);
            assert_eq!(all(client).await, [&b"."[..], b"one"]);
        },
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_offset_stays_beyond_its_transfer() {
    session(
        async |peer| {
            peer.answer("TYPE I", "200 ok").await;
            let mut port = peer.port();
            peer.answer("EPSV", &format!("229 ok (|||{}|)", port.number)).await;
            let data = port.accept().await;
            peer.answer("REST 3", "350 ok").await;
            peer.answer("RETR f", "150 go").await;
            crate::memory::give(data, b"le").await;
            peer.say("226 done").await;
            // A server that still had it would send the end of this file.
            let data = peer.passive().await;
            peer.answer("REST 0", "350 ok").await;
            peer.answer("RETR g", "150 go").await;
            crate::memory::give(data, b"whole").await;
            peer.say("226 done").await;
            peer.send("RETR g", b"whole").await;
        },
        async |client| {
            client.download("f", 3).await.unwrap().finish().await.unwrap();
            assert_eq!(fetch(client, "g").await, b"whole");
            assert_eq!(fetch(client, "g").await, b"whole");
        },
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_offset_wraps_at_four_gib() {
    session(
        async |peer| {
            peer.answer("TYPE I", "200 ok").await;
            let data = peer.passive().await;
            peer.answer("REST 4294967301", "350 Restarting at 5.").await;
            drop(data);
            peer.answer("NOOP", "200 ok").await;
        },
        async |client| {
            let error = client.download("f", 4_294_967_301).await.unwrap_err();
            assert!(matches!(&error, Error::Protocol { .. }), "{error}");
            assert_eq!(
                error.to_string(),
                "command: REST 4294967301 was taken for 5: the server counts no further than it can"
            );
            client.noop().await.unwrap();
        },
    )
    .await;
}

/// Bytes behind the end cannot get anywhere else: an offset can.
#[tokio::test(start_paused = true)]
async fn large_uploads_are_gone_on_with_by_appending() {
    let local = tempfile::tempdir().unwrap();
    let path = local.path().join("f");
    let file = std::fs::File::create(&path).unwrap();
    file.set_len((1 << 31) + 3).unwrap();
    session(
        async |peer| {
            peer.answer("TYPE I", "200 ok").await;
            peer.answer("SIZE f", "213 2147483648").await;
            peer.answer("MDTM f", "550 no").await;
            let mut data = peer.passive().await;
            peer.answer("APPE f", "150 go").await;
            assert_eq!(take(&mut data).await, b"\0\0\0");
            drop(data);
            peer.say("226 done").await;
            peer.answer("SIZE f", "213 2147483651").await;
        },
        async |client| {
            let options = PutOptions { resume: true, ..PutOptions::default() };
            let sent = client.put_file(&path, "f", &options, &mut |_| {}).await.unwrap();
            assert_eq!((sent.from, sent.bytes), (1 << 31, 3));
        },
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_is_there_already() {
    session(
        async |peer| {
            peer.answer("MKD new", "257 \"/new\"").await;
            peer.answer("MKD old", "521 \"/old\" directory already exists").await;
            for refusal in ["550 exists", "553 no", "450 busy"] {
                peer.answer("MKD /a", "550 exists").await;
                peer.answer("MKD /a/old", refusal).await;
                peer.answer("PWD", "257 \"/home \"\"x\" is current").await;
                peer.answer("CWD /a/old", "250 ok").await;
                peer.answer("CWD /home \"x", "250 ok").await;
            }
            peer.answer("MKD file", "550 exists").await;
            peer.answer("PWD", "257 \"/\"").await;
            peer.answer("CWD file", "550 not a directory").await;
        },
        async |client| {
            assert!(client.make_directories("new").await.unwrap());
            assert!(!client.make_directories("old").await.unwrap());
            for path in ["/a/old", "/a//old/", "/a/old//"] {
                assert!(!client.make_directories(path).await.unwrap());
            }
            let error = client.make_directories("file").await.unwrap_err();
            assert!(matches!(&error, Error::Refused { verb: "MKD", .. }), "{error}");
        },
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_upload_s_name_is_the_server_s() {
    session(
        async |peer| {
            peer.answer("TYPE I", "200 ok").await;
            for reply in ["150 FILE: a.1", "125 file: a.1 "] {
                let mut data = peer.passive().await;
                peer.answer("STOU", reply).await;
                take(&mut data).await;
                drop(data);
                peer.say("226 done").await;
            }
        },
        async |client| {
            for _ in 0..2 {
                let mut stream = client.upload("", Upload::Unique).await.unwrap();
                stream.write_all(b"x").await.unwrap();
                assert_eq!(stream.unique_name().unwrap(), b"a.1");
                stream.finish().await.unwrap();
            }
        },
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn names_in_another_charset() {
    let mut net = Net::new();
    let builder = net.client().probe(true).charset("windows-1252".parse().unwrap());
    let serve = async {
        let mut peer = net.login().await;
        peer.answer("MKD plain", "257 \"plain\"").await;
        // The server must not go over to UTF-8 of itself.
        peer.answer("FEAT", "211-x\r\n CLNT\r\n UTF8\r\n EPSV\r\n211 End").await;
        peer.answer("OPTS UTF8 OFF", "200 ok").await;
        assert_eq!(peer.bytes().await, b"CWD gr\xf6\xdfe");
        peer.say("250 ok").await;
        peer.hear("PWD").await;
        peer.raw(b"257 \"/gr\xf6\xdfe\"\r\n").await;
        peer.send("LIST", b"-rw-r--r-- 1 o g 5 Jan 1 2020 \x80.txt\r\n").await;
        peer.send("NLST", b"\x80.txt\r\n").await;
        peer.quit().await;
    };
    let play = async {
        let mut client = builder.open().await.unwrap();
        client.mkdir("plain").await.unwrap();
        client.cwd("größe").await.unwrap();
        assert_eq!(client.pwd().await.unwrap(), "/größe".as_bytes());
        assert_eq!(entries(&mut client, "").await.unwrap(), [(EntryKind::File, "€.txt".to_owned())]);
        let mut lines = client.nlst("").await.unwrap();
        assert_eq!(lines.next().await.unwrap().unwrap(), "€.txt".as_bytes());
        assert!(lines.next().await.is_none());
        // Not a byte of it is sent.
        assert!(matches!(client.cwd("файл").await, Err(Error::Usage(_))));
        client.quit().await.unwrap();
    };
    tokio::join!(serve, play);
}
