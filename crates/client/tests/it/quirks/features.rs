//! What servers say of themselves, and what of it is true.

use port21_client::{Client, Error, Listed};

use crate::memory::{Net, Peer};

/// A session in which the server is asked what it has.
async fn session(serve: impl AsyncFnOnce(&mut Peer), play: impl AsyncFnOnce(&mut Client)) {
    let mut net = Net::new();
    let builder = net.client().probe(true);
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
}

async fn names(client: &mut Client) -> Vec<String> {
    let mut found = Vec::new();
    let mut entries = client.list("").await.unwrap();
    while let Some(entry) = entries.next().await {
        let Listed::Entry(entry) = entry.unwrap() else { panic!("unreadable") };
        found.push(String::from_utf8(entry.name).unwrap());
    }
    found
}

#[tokio::test(start_paused = true)]
async fn lines_of_feat_in_every_form() {
    for feat in [
        "211-Features:\r\n EPSV\r\n MLST type*;size*;\r\n211 End",
        "211-Features:\r\n211-EPSV\r\n211-MLST type*;size*;\r\n211 End",
        "211-Features:\r\n211- EPSV\r\n211- mlst Type*;Size*;\r\n211 End",
        "211-Features:\r\nEPSV\r\nMLST Type*;Size*;\r\n211 End",
        "211-Features:\r\n\tEPSV\r\n\r\n  MLSD\r\n211 End",
        "211-\r\n EPSV\r\n MLST\r\n211",
    ] {
        session(
            async |peer| {
                peer.answer("FEAT", feat).await;
                peer.send("MLSD", b"type=file;size=5; f\r\n").await;
            },
            async |client| assert_eq!(names(client).await, ["f"], "{feat:?}"),
        )
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn feat_is_refused() {
    for refusal in ["500 what?", "502 no", "530 not now", "211 none at all"] {
        session(
            async |peer| {
                peer.answer("FEAT", refusal).await;
                peer.send("LIST", b"-rw-r--r-- 1 o g 5 Jan 1 2020 f\r\n").await;
                // It is not asked again.
                peer.send("LIST", b"-rw-r--r-- 1 o g 5 Jan 1 2020 f\r\n").await;
            },
            async |client| {
                assert_eq!(names(client).await, ["f"]);
                assert_eq!(names(client).await, ["f"]);
            },
        )
        .await;
    }
}

/// MLST, SIZE, MDTM, REST are tried whether they are advertised or not.
#[tokio::test(start_paused = true)]
async fn what_is_there_and_not_advertised_is_used() {
    session(
        async |peer| {
            peer.answer("FEAT", "211-x\r\n EPSV\r\n211 End").await;
            peer.answer("MLST f", "250-x\r\n type=file;size=7; f\r\n250 End").await;
            peer.answer("TYPE I", "200 ok").await;
            peer.answer("SIZE f", "213 7").await;
            peer.answer("MDTM f", "213 20200102030405").await;
            let data = peer.passive().await;
            peer.answer("REST 3", "350 ok").await;
            peer.answer("RETR f", "150 go").await;
            crate::memory::give(data, b"rest").await;
            peer.say("226 done").await;
        },
        async |client| {
            assert!(!client.features().await.unwrap().has("SIZE"));
            assert_eq!(client.stat("f").await.unwrap().size, Some(7));
            assert_eq!(client.size("f").await.unwrap(), 7);
            assert_eq!(client.mtime("f").await.unwrap().to_string(), "2020-01-02T03:04:05Z");
            client.download("f", 3).await.unwrap().finish().await.unwrap();
        },
    )
    .await;
}

/// MLST is advertised, and not there.
#[tokio::test(start_paused = true)]
async fn what_is_advertised_and_not_there_is_done_without() {
    session(
        async |peer| {
            peer.answer("FEAT", "211-x\r\n EPSV\r\n MLST type*;\r\n211 End").await;
            let data = peer.passive().await;
            peer.answer("MLSD", "500 what?").await;
            drop(data);
            peer.send("LIST", b"-rw-r--r-- 1 o g 5 Jan 1 2020 f\r\n").await;
            peer.send("LIST", b"-rw-r--r-- 1 o g 5 Jan 1 2020 f\r\n").await;
            peer.answer("MLST f", "502 what?").await;
            peer.answer("TYPE I", "200 ok").await;
            peer.answer("SIZE f", "213 7").await;
            peer.answer("MDTM f", "550 no").await;
        },
        async |client| {
            assert_eq!(names(client).await, ["f"]);
            assert_eq!(names(client).await, ["f"]);
            assert_eq!(client.stat("f").await.unwrap().size, Some(7));
        },
    )
    .await;
}

/// Names are sent as they are, whatever becomes of OPTS.
#[tokio::test(start_paused = true)]
async fn opts_utf8_is_refused_or_wants_a_name_first() {
    for (feat, clnt) in [("211-x\r\n UTF8\r\n211 End", false), ("211-x\r\n CLNT\r\n UTF8\r\n211 End", true)] {
        for reply in ["200 ok", "501 always on", "500 what?", "202 already"] {
            session(
                async |peer| {
                    peer.answer("FEAT", feat).await;
                    if clnt {
                        peer.answer("CLNT port21", reply).await;
                    }
                    peer.answer("OPTS UTF8 ON", reply).await;
                    peer.answer("DELE größe", "250 ok").await;
                    peer.answer("DELE größe", "250 ok").await;
                },
                async |client| {
                    client.remove("größe").await.unwrap();
                    client.remove("größe").await.unwrap();
                },
            )
            .await;
        }
    }
}

/// Facts that are off are asked for, and whatever comes is read.
#[tokio::test(start_paused = true)]
async fn opts_mlst_is_refused() {
    session(
        async |peer| {
            peer.answer("FEAT", "211-x\r\n EPSV\r\n MLST type*;size;modify;\r\n211 End").await;
            peer.answer("OPTS MLST type;size;modify;", "501 no").await;
            peer.send("MLSD", b"type=file; f\r\n").await;
        },
        async |client| assert_eq!(names(client).await, ["f"]),
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_path_of_pwd_in_every_form() {
    session(
        async |peer| {
            peer.answer("FEAT", "500 what?").await;
            for reply in [
                "257 \"/a\" is the current directory",
                "257 \"/a\"",
                "257 /a",
                "257 /a is the current directory",
                "250 \"/a\"",
            ] {
                peer.answer("PWD", reply).await;
            }
            peer.answer("PWD", "257 \"/a \"\"b\"\"\" is").await;
            peer.answer("PWD", "257 somewhere").await;
        },
        async |client| {
            client.features().await.unwrap();
            for _ in 0..5 {
                assert_eq!(client.pwd().await.unwrap(), b"/a");
            }
            assert_eq!(client.pwd().await.unwrap(), b"/a \"b\"");
            assert!(matches!(client.pwd().await, Err(Error::Protocol { .. })));
        },
    )
    .await;
}
